"""The Typer application and what its commands share: options, output, durations."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fleet.errors import FleetError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from fleet.store import Store

__all__ = [
    "CameraId",
    "CameraIds",
    "Json",
    "StoreName",
    "Tags",
    "app",
    "console",
    "parse_duration_s",
    "parse_tags",
    "print_error",
    "print_json",
    "print_table",
    "store_of",
]

app = typer.Typer(
    name="fleet",
    help="Learns what is normal for each of many fixed cameras, without a label, and tells people when it is not.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _complete_camera(context: typer.Context, incomplete: str) -> list[str]:
    """Ids of registered cameras, for the shell's completion."""
    from fleet import layout
    from fleet.store import open_store

    try:
        keys = open_store(context.params.get("store"), patience_s=0.0).list(layout.CAMERAS)
    except FleetError:
        return []
    ids = [key.removeprefix(layout.CAMERAS).removesuffix(".json") for key in keys]
    return [camera for camera in ids if camera.startswith(incomplete)]


StoreName = Annotated[
    str | None,
    typer.Option(
        "--store",
        envvar="FLEET_STORE",
        metavar="DIR|s3://…",
        help="A folder, or s3://bucket/prefix[?endpoint_override=host:port&scheme=http]. Default: .fleet",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else there.")]
CameraId = Annotated[
    str, typer.Argument(metavar="ID", help="The camera's id.", autocompletion=_complete_camera, show_default=False)
]
CameraIds = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ID]...", help="Cameras by id.", autocompletion=_complete_camera, show_default=False),
]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="Cameras that carry this tag.")]


def store_of(name: str | None, *, patience_s: float | None = None) -> Store:
    """The store that a command was given."""
    from fleet.store import PATIENCE_S, open_store

    return open_store(name, patience_s=PATIENCE_S if patience_s is None else patience_s)


def console(as_json: bool = False) -> Console:
    """Where people read; with --json everything for people goes to standard error."""
    from rich.console import Console

    made = Console(stderr=as_json, highlight=False)
    # Into a file or a pipe, where nobody's window is too narrow, tables need not fold.
    return made if made.is_terminal else Console(stderr=as_json, highlight=False, width=160)


def print_json(value: Any) -> None:
    """One JSON document on standard output; NaN, which JSON does not know, becomes null."""
    sys.stdout.write(json.dumps(_plain(value), default=str) + "\n")
    sys.stdout.flush()


def print_error(error: object) -> None:
    """One line on standard error, for people and for what watches a nightly job."""
    sys.stderr.write(f"error: {error}\n")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table for people; a column that holds numbers is set to the right."""
    from rich.table import Table

    rows = [list(row) for row in rows]
    table = Table(title=title, title_justify="left", header_style="bold")
    for place, column in enumerate(columns):
        numbers = all(isinstance(row[place], int | float) or row[place] is None for row in rows)
        table.add_column(column, justify="right" if numbers and rows else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console().print(table)


def parse_tags(tags: Iterable[str] | None) -> dict[str, str]:
    """`KEY=VALUE`… -> a dictionary.

    Raises:
        UsageError: one is not of that form.
    """
    parsed = {}
    for tag in tags or ():
        key, equals, value = tag.partition("=")
        if not equals or not key:
            raise UsageError(f"'{tag[:60]}' is no tag", "write KEY=VALUE: --tag site=berlin")
        parsed[key] = value
    return parsed


def parse_duration_s(text: str) -> float:
    """`90s`, `10m`, `2h`, `1d` -> seconds.

    Raises:
        UsageError: it is none of these, or not above zero.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h|d)", text.strip())
    seconds = float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[match[2]] if match else 0.0
    if seconds <= 0:
        raise UsageError(f"'{text[:40]}' is no duration", "write 90s, 10m, 2h or 1d")
    return seconds


def _cell(value: Any) -> str:
    from rich.markup import escape

    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return escape(str(value))


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not (-float("inf") < value < float("inf")):
        return None
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
