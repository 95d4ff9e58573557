"""Scoring without endpoints: `fleet score` and `fleet evaluate`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from itertools import accumulate, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cameras.secrets import check_no_secret
from fleet.cli.app import CameraId, Json, StoreName, app, console, print_json, print_table, store_of
from fleet.errors import FleetError, UsageError

if TYPE_CHECKING:
    from fleet.scoring import Score

Version = Annotated[str | None, typer.Option("--version", help="A version instead of the champion.")]


@app.command(rich_help_panel="Scoring")
def score(
    camera_id: CameraId,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A video, folder or stream.", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE.parquet", help="Write the scores there.")] = None,
    frames: Annotated[
        int | None, typer.Option("--frames", min=1, help="Stop after so many; streams have no end.")
    ] = None,
    version: Version = None,
    store: StoreName = None,
    as_json: Json = False,
) -> None:
    """Score every frame of a source with a camera's champion.

    With --json, a line a frame; --out writes a row a frame, with two columns a channel: value_NAME and tail_NAME.
    """
    if out is not None:
        _check_out(out)
    scores = []
    for row in islice(_scores(store, camera_id, source, version), frames):
        if as_json:
            print_json(_public(row))
        scores.append(row)
    if not scores:
        raise FleetError("the source gave no frame", f"fleet probe {camera_id}", camera_id)
    if out is not None:
        _write(scores, out)
    if not as_json:
        _print_summary(camera_id, scores, out)


@app.command(rich_help_panel="Scoring")
def evaluate(
    camera_id: CameraId,
    source: Annotated[
        str | None, typer.Argument(metavar="[SOURCE]", help="Default: the camera's own.", show_default=False)
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", metavar="FILE", help="A .npy of 0/1 or a CSV with a column 'label', a row a frame."),
    ] = None,
    version: Version = None,
    store: StoreName = None,
    as_json: Json = False,
) -> None:
    """Measure a camera's champion against labels: AUC, precision, recall, F1."""
    import numpy as np

    from fleet.evaluate import evaluate as measure
    from fleet.evaluate import labels_of, read_labels
    from fleet.recordings import is_live
    from fleet.registry import Registry

    if labels is None:
        raise UsageError("labels to measure against are missing", "--labels FILE: a .npy of 0/1, or a CSV")
    all_labels = read_labels(labels)
    camera = Registry(store_of(store)).camera(camera_id)
    if source is None and is_live(camera):
        raise UsageError("its own source is live", f"fleet evaluate {camera_id} VIDEO --labels FILE", camera_id)
    scores = list(_scores(store, camera_id, source or camera.source, version))
    clip = np.array([0, *accumulate(after.clip != before.clip for before, after in pairwise(scores))])[: len(scores)]
    found = measure(camera_id, scores, labels_of([row.index for row in scores], all_labels), clip)
    if as_json:
        print_json(found.to_dict())
    else:
        print_table(f"'{camera_id}' against {labels.name}", ("measure", "value"), list(found.to_dict().items())[1:])


def _scores(store: str | None, camera_id: str, source: str, version: str | None) -> Iterable[Score]:
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    from fleet.registry import Registry
    from fleet.scoring import load_model, score_source

    check_no_secret(source)  # shells keep a history
    opened = store_of(store)
    camera = Registry(opened).camera(camera_id)
    model = load_model(opened, camera_id, version)
    columns = (SpinnerColumn(), TextColumn("scoring"), MofNCompleteColumn(), TextColumn("frames"))
    told = console(as_json=True)  # standard output is for the scores
    with Progress(*columns, console=told, transient=True, disable=not told.is_terminal) as progress:
        bar = progress.add_task(camera_id, total=None)
        yield from score_source(model, camera, source, on_frame=lambda count: progress.advance(bar, count))


def _check_out(out: Path) -> None:
    """Before the work, not after it."""
    if out.is_dir():
        raise UsageError(f"{out} is a folder", "name a file in it: --out FILE.parquet")
    if not out.parent.is_dir():
        raise UsageError(f"the folder {out.parent} does not exist", "make it, or write elsewhere")
    if not os.access(out.parent, os.W_OK):
        raise FleetError(f"the folder {out.parent} may not be written to", "change its rights, or write elsewhere")


def _write(scores: list[Score], out: Path) -> None:
    """Whole or not at all."""
    from fleet.tables import table_to_bytes

    beside = out.with_name(f".{out.name}.part")
    try:
        beside.write_bytes(table_to_bytes([_stored(row) for row in scores], _schema(scores)))
        beside.replace(out)
    except OSError as error:
        beside.unlink(missing_ok=True)
        reason = os.strerror(error.errno or 0).lower()
        raise FleetError(f"{out} cannot be written: {reason}", "free some space, or write elsewhere") from None


def _public(row: Score) -> dict[str, Any]:
    verdict = row.verdict
    return {
        "camera": row.camera,
        "frame": row.index,
        "captured_at": row.captured_at.isoformat(),
        "pcc": verdict.pcc,
        "threshold": verdict.threshold,
        "score": verdict.score,
        "score_threshold": verdict.score_threshold,
        "anomalous": verdict.anomalous,
        "rule": verdict.rule,
        "channels": {name: asdict(channel) for name, channel in verdict.channels.items()},
        "missing_channels": list(verdict.missing),
        "model_version": row.model_version,
    }


def _stored(row: Score) -> dict[str, Any]:
    """The same as one level of columns; those of a missing channel are null."""
    shown = {**_public(row), "captured_at": row.captured_at}
    channels = {name: shown["channels"].get(name, {}) for name in _channel_names(row)}
    flat = {f"{kind}_{name}": channels[name].get(kind) for name in channels for kind in ("value", "tail")}
    return {name: value for name, value in shown.items() if name not in ("channels", "missing_channels")} | flat


def _channel_names(row: Score) -> list[str]:
    """In one order, whichever of them a frame lacks."""
    return sorted([*row.verdict.channels, *row.verdict.missing])


def _schema(scores: list[Score]) -> Any:
    """Of the columns that are always there pyarrow finds the types; a channel may be missing in every frame."""
    import pyarrow as pa

    found = pa.Table.from_pylist([_stored(scores[0])]).schema
    fields = [field.with_type(pa.float64()) if pa.types.is_null(field.type) else field for field in found]
    return pa.schema(fields)


def _told(rule: str, level: float) -> str:
    return f"'{rule}' " + (f"(PCC below {1 - level:.4f})" if rule == "paper" else f"(score above {level:.4g})")


def _print_summary(camera_id: str, scores: list[Score], out: Path | None) -> None:
    flagged = sum(row.verdict.anomalous for row in scores)
    # Of most frames; those that lack a channel may have been judged by the paper's instead.
    (rule, *others) = dict(Counter((row.verdict.rule, row.verdict.score_threshold) for row in scores).most_common())
    console().print(
        f"camera '{camera_id}', version {scores[0].model_version}: {flagged} of {len(scores)} frames "
        f"({flagged / len(scores):.1%}) are anomalous by the rule {_told(*rule)}"
    )
    if short := [row for row in scores if row.verdict.missing]:
        missing = ", ".join(dict.fromkeys(name for row in short for name in row.verdict.missing))
        instead = "".join(f", judged by the rule {_told(*other)}" for other in others)
        console().print(f"of these {len(short)} without {missing}, for want of earlier frames{instead}")
    strangest = sorted(scores, key=lambda row: row.verdict.evidence, reverse=True)[:5]
    columns = ("frame", "captured at (UTC)", "PCC", "score", "rule", "anomalous")
    rows = [
        (
            row.index,
            f"{row.captured_at:%Y-%m-%d %H:%M:%S.%f}"[:-4],
            row.verdict.pcc,
            row.verdict.score,
            row.verdict.rule,
            row.verdict.anomalous,
        )
        for row in strangest
    ]
    print_table("the strangest frames", columns, rows)
    if out is not None:
        console().print(f"scores written to {out}")
