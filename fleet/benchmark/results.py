"""Records -> flat rows, for Parquet and for the tables that are made of them."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from fleet.benchmark.cells import Cell, Record, series
from fleet.benchmark.methods import method
from fleet.benchmark.metrics import alert_rows
from fleet.detector.threshold import Calibration
from fleet.tables import table_to_bytes

__all__ = [
    "Row",
    "channel_rows",
    "curve_rows",
    "look_rows",
    "parquet_tables",
    "rule_rows",
    "selection_rows",
    "variant_rows",
]

Row = dict[str, Any]
Records = Mapping[Cell, Record]

_MEASURED = ("anomalous", "fit_s", "frames_per_s", "state_mb", "peak_mb", "collapsed")


def channel_rows(records: Records) -> list[Row]:
    """A row for each cell and channel (`score` is the method's own); one without a channel for a cell that failed."""
    rows = []
    for cell, record in _of(records, "score"):
        shared = _cell(cell) | {name: record.get(name) for name in _MEASURED} | {"error": record["error"]}
        nothing = [{"channel": None, "auc": None, "average_precision": None}]
        rows += [shared | channel for channel in record.get("channels", nothing)]
    return rows


def rule_rows(records: Records) -> list[Row]:
    """A row for each cell that learnt from its own scene and each threshold rule, fitted to what it learnt from."""
    rows = []
    for cell, record in _of(records, "score"):
        if record["error"] or cell.train is not None:
            continue
        scored, labels = series(record)
        taught = np.arange(len(labels)) < (cell.train_frames or len(labels))
        if method(cell.method).one_class:
            taught &= ~labels
        pcc = None if scored.pcc is None else scored.pcc[taught]
        calibration = Calibration(scored.score[taught], pcc, scored.times_s[taught], scored.clip[taught])
        shared = _cell(cell) | {"anomalous": record["anomalous"]}
        rows += [shared | rule for rule in alert_rows(calibration, scored, labels)]
    return rows


def curve_rows(records: Records) -> list[Row]:
    """A row for each sigma, lambda and epoch."""
    return [
        _cell(cell) | dict(zip(("sigma", "lam"), cell.point or (), strict=False)) | epoch
        for cell, record in _of(records, "curve")
        for epoch in record.get("curve", ())
    ]


def selection_rows(records: Records) -> list[Row]:
    """A row for each scene and rule of choosing."""
    return _study_rows(records, "selection")


def look_rows(records: Records) -> list[Row]:
    """A row for each scene and objective: what a first look at all points says."""
    return _study_rows(records, "looks")


def variant_rows(records: Records) -> list[Row]:
    """A row for each scene and variant of the paper's method."""
    return [_cell(cell) | record["variant"] for cell, record in _of(records, "variant") if not record["error"]]


def parquet_tables(records: Records) -> dict[str, bytes]:
    """Name -> the bytes of a Parquet file, of each table that has rows; `frames` holds each frame's score."""
    tables = {
        "results": channel_rows(records),
        "rules": rule_rows(records),
        "curves": curve_rows(records),
        "selection": selection_rows(records),
        "looks": look_rows(records),
        "variants": variant_rows(records),
    }
    packed = {name: table_to_bytes(rows) for name, rows in tables.items() if rows}
    if frames := _frame_table(records):
        packed["frames"] = frames
    return packed


def _study_rows(records: Records, part: str) -> list[Row]:
    return [
        _cell(cell) | row | {"scene": cell.scene.scene}
        for cell, record in _of(records, "selection")
        for row in record.get(part, ())
    ]


def _frame_table(records: Records) -> bytes | None:
    """The frames of all cells: its fingerprint, its place, score, PCC (NaN where the method has none) and label."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = []
    for cell, record in _of(records, "score"):
        if not record["error"]:
            known, labels = series(record)
            pcc = np.full(len(labels), np.nan) if known.pcc is None else known.pcc
            columns = {
                "cell": pa.array([cell.fingerprint] * len(labels)).dictionary_encode(),
                "frame": np.arange(len(labels), dtype=np.int32),
                "score": known.score.astype(np.float32),
                "pcc": pcc.astype(np.float32),
                "anomalous": labels,
            }
            parts.append(pa.table(columns))
    if not parts:
        return None
    out = io.BytesIO()
    pq.write_table(pa.concat_tables(parts, promote_options="default").unify_dictionaries(), out, compression="zstd")
    return out.getvalue()


def _of(records: Records, task: str) -> Iterable[tuple[Cell, Record]]:
    return [(cell, record) for cell, record in records.items() if cell.task == task]


def _cell(cell: Cell) -> Row:
    spec = cell.scene
    return {
        "cell": cell.fingerprint,
        "method": cell.method,
        "scene": spec.scene,
        "draw": spec.draw,
        "seed": cell.seed,
        "width": cell.size[0],
        "height": cell.size[1],
        "frames": spec.frames,
        "ratio": spec.ratio,
        "fps": spec.fps,
        "epochs": cell.epochs,
        "train_frames": cell.train_frames,
        "trained_elsewhere": cell.train is not None,
    }
