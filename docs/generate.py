"""Writes docs/configuration.md from the fields themselves: python docs/generate.py. A test fails when it is stale."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from annotated_types import Ge, Gt, Le, Lt, MaxLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cameras.camera import AlertRule, Camera
from fleet.search_config import DetectorSettings, Point, Scheduler, SearchConfig, Space
from serve.app import ServeArgs

TARGET = Path(__file__).parent / "configuration.md"

SECTIONS: list[tuple[str, str, type[BaseModel], set[str]]] = [
    (
        "A camera",
        "Options of `fleet add-camera`, and entries of a file for `fleet add-cameras`.",
        Camera,
        {"mask_png", "registered_at", "generation"},
    ),
    (
        "`alert`",
        "From which score on a frame of a camera is anomalous: `--rule` and the options of `fleet add-camera` and "
        "`fleet edit-camera`. It acts at once; nothing is trained anew.",
        AlertRule,
        set(),
    ),
    (
        "A search file",
        "YAML, for `--search FILE.yaml` and a camera's `search`. What is left out has its default; "
        "`tune_configs/` holds the built-in ones to start from.",
        SearchConfig,
        {"name"},
    ),
    ("`space`", "The grid: each sigma with each lambda with each cap.", Space, set()),
    ("`incumbent`", "The point to beat.", Point, set()),
    ("`detector`", "What all points of a search share.", DetectorSettings, set()),
    ("`scheduler`", "How the points of one camera compete.", Scheduler, set()),
    ("The Serve application", "`args` of `serve.app:build` in a Serve YAML.", ServeArgs, set()),
]


def reference() -> str:
    """The whole page."""
    parts = ["# Configuration reference", "Generated from the code by `python docs/generate.py`; do not edit."]
    for title, introduction, model, hidden in SECTIONS:
        rows = ["| field | default | bounds | meaning |", "|---|---|---|---|"]
        for name, field in model.model_fields.items():
            if name not in hidden:
                shown = field.alias or name
                rows.append(f"| `{shown}` | {_default(field)} | {_bounds(field)} | {field.description} |")
        parts += [f"## {title}", introduction, "\n".join(rows)]
    return "\n\n".join(parts) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, BaseModel):
        return "see below"
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return f"`{value}`"
    return "none" if value in (None, (), {}) else f"`{json.dumps(value) if not isinstance(value, str) else value}`"


def _bounds(field: FieldInfo) -> str:
    signs = {Gt: ("gt", "above {}"), Ge: ("ge", "from {}"), Lt: ("lt", "below {}"), Le: ("le", "to {}")}
    found = []
    for rule in field.metadata:
        if type(rule) in signs:
            attribute, text = signs[type(rule)]
            found.append(text.format(f"{getattr(rule, attribute):,}"))
        elif isinstance(rule, MaxLen):
            found.append(f"at most {rule.max_length:,} long")
    return ", ".join(found)


if __name__ == "__main__":
    TARGET.write_text(reference())
