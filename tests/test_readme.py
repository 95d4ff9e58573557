"""The README does what it says: its commands run, in order, in an empty folder."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cameras.scenes import write_scene

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
DOCS = [README, *(path.read_text() for path in (ROOT / "docs").glob("*.md"))]


def bash_blocks() -> list[list[str]]:
    """The commands of each ```bash block."""
    blocks = re.findall(r"```bash\n(.*?)```", README, re.S)
    return [[line.split("  #")[0].strip() for line in block.splitlines() if line.strip()] for block in blocks]


def test_the_make_targets_exist() -> None:
    commands = bash_blocks()[0]
    assert commands == ["make demo", "make test"]
    for command in commands:
        done = subprocess.run([*shlex.split(command), "--dry-run"], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_pictures_and_pages_that_are_linked_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if "://" not in target:
            assert (ROOT / target).exists(), target


@pytest.mark.slow
def test_the_commands_run(tmp_path: Path) -> None:
    """Word for word but for the port, on a scene of 200 frames where the reader has the demo's."""
    scene = write_scene("corridor", tmp_path / "demo/scenes", frames=200)
    _first_frame(scene.video, tmp_path / "demo/pictures/corridor.jpg")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    commands = [command for block in bash_blocks()[1:] for command in block]
    assert len(commands) >= 10
    answer = ""
    try:
        for command in commands:
            if command.startswith("source "):
                continue  # the environment that the tests run in
            typed = command.replace(":8000", f":{port}").replace("--detach", f"--detach --port {port}")
            done = subprocess.run(
                typed, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
            answer = done.stdout if command.startswith("curl") else answer
    finally:
        subprocess.run(["fleet", "stop"], cwd=tmp_path, env=environment, capture_output=True, timeout=60)
    shown = json.loads(re.findall(r"```json\n(.*?)```", README, re.S)[0])
    assert json.loads(answer).keys() == shown.keys(), "the README shows another answer than the endpoint gives"


def test_every_command_that_the_docs_name_exists() -> None:
    import typer.main

    from fleet.cli import app

    known = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    named = {name for text in DOCS for name in re.findall(r"^(?:    |`)?\$? ?fleet ([a-z][a-z-]+)", text, re.M)}
    assert named <= known, named - known


def test_the_configuration_reference_is_fresh() -> None:
    import importlib.util

    specification = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert specification is not None
    assert specification.loader is not None
    generate = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(generate)
    written = (ROOT / "docs/configuration.md").read_text()
    assert written == generate.reference(), "run: python docs/generate.py"


def test_every_endpoint_is_documented() -> None:
    from serve.gateway import api

    page = (ROOT / "docs/http.md").read_text()
    for path in api.openapi()["paths"]:
        assert path.replace("{camera_id}", "{id}") in page, path


def test_a_fleets_tables_are_read_as_the_docs_say(tmp_path: Path) -> None:
    from cameras.recording import SCHEMA, Row, encode_part

    at = datetime(2026, 5, 1, 12, tzinfo=UTC)
    for camera in ("hall", "dock"):
        part = tmp_path / f"store/recordings/camera={camera}/date=2026-05-01/x.parquet"
        part.parent.mkdir(parents=True)
        part.write_bytes(encode_part([Row(at, 0, "", 4, 4, b"jpeg")]))
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/operate.md").read_text(), re.S)
    *statements, shown = block.replace("s3://my-fleet/prod", str(tmp_path / "store")).strip().splitlines()
    names: dict[str, Any] = {}
    exec("\n".join(statements), names)
    assert sorted(row["camera"] for row in eval(shown, names).to_pylist()) == ["dock", "hall"]
    assert SCHEMA.field("captured_at").type.tz == "UTC"


def _first_frame(video: Path, target: Path) -> None:
    from cameras.images import encode_jpeg
    from cameras.sources import open_source

    target.parent.mkdir(parents=True)
    with open_source(str(video), 5) as source:
        target.write_bytes(encode_jpeg(next(iter(source)).image))
