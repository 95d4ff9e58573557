"""How tests ask what is served, and the same of the command line."""

from __future__ import annotations

import json
from typing import Any

import httpx

__all__ = ["frames", "offline", "strict"]


def no_nan(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


def strict(response: httpx.Response) -> Any:
    """The answer's JSON, without the NaN that Python would let pass."""
    return json.loads(response.text, parse_constant=no_nan)


def frames(*bodies: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    """Files of a form, in order."""
    return [("frame", (f"{place}.png", body)) for place, body in enumerate(bodies)]


def offline(serving: Any, camera: str) -> list[dict[str, Any]]:
    """`fleet score`, in a process of its own."""
    ran = serving.command("score", camera, serving.pictures[camera])
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]
