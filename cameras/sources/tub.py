"""Donkeycar tubs: what a small car's camera saw, with the times at which it did.

Three layouts are known, told apart by what lies in the folder:

    manifest.json, catalog_N.catalog, images/     version 2 (Donkeycar 4 and later); deleted records are left out
    record_N.json, beside their pictures          version 1
    records.csv, frames/<clip>/<file>             a table of clip, file and timestamp_ms, one row a frame
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from cameras.errors import SourceError
from cameras.frame import Frame
from cameras.secrets import redact
from cameras.sources.folder import PictureReader, natural_key, shown_path
from cameras.sources.source import Source

__all__ = ["Tub", "is_tub"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_IMAGE = "cam/image_array"
_END_MS = 4e12  # the year 2096: a time beyond it is damage, and none at all is better
_STEP_S = 1 / 20  # Donkeycar's own rate, for records without a time


class _Record(NamedTuple):
    file: Path
    time_ms: float | None
    clip: str


def is_tub(folder: Path) -> bool:
    """Whether a folder is laid out as one of the three."""
    return _layout(folder) is not None


class Tub(Source):
    """Every record of a tub, in order, at the time it was recorded.

    Raises:
        SourceError: a record that cannot be read, or none at all; on reading, a picture that is missing or damaged.
    """

    def __init__(self, path: Path, *, source: str, camera: str = "") -> None:
        self._read = PictureReader(path, source, camera)
        layout = _layout(path)
        readers = {"v2": _version_2, "v1": _version_1, "csv": _table}
        assert layout is not None, "is_tub() was not asked"
        self.kind = {"v2": "Donkeycar tub v2", "v1": "Donkeycar tub v1", "csv": "Donkeycar records.csv"}[layout]
        try:
            self._records = list(readers[layout](path))
        except _Unreadable as error:
            name = shown_path(error.file, path, source)
            raise SourceError(f"'{name}' {error.what}", "copy the tub again", camera) from None
        except OSError as error:
            raise SourceError(
                f"'{redact(source)}' cannot be read (error {error.errno})", "copy the tub again", camera
            ) from None
        if not self._records:
            raise SourceError(f"'{redact(source)}' holds no record", "record some driving first", camera)
        self.native_fps = _rate(self._records)

    def __iter__(self) -> Iterator[Frame]:
        time_ms = self._records[0].file.stat().st_mtime * 1000 if self._records[0].file.exists() else 0.0
        for index, record in enumerate(self._records):
            time_ms = record.time_ms if record.time_ms is not None else time_ms + _STEP_S * 1000
            yield Frame(self._read(record.file), _EPOCH + timedelta(milliseconds=time_ms), index, record.clip)


class _Unreadable(Exception):
    """A record that is none."""

    def __init__(self, file: Path, what: str) -> None:
        self.file, self.what = file, what
        super().__init__(what)


def _layout(folder: Path) -> str | None:
    if (folder / "records.csv").is_file():
        return "csv"
    if (folder / "manifest.json").is_file() and any(folder.glob("*.catalog")):
        return "v2"
    return "v1" if any(folder.glob("record_*.json")) else None


def _version_2(folder: Path) -> Iterator[_Record]:
    """A manifest is five lines of JSON: inputs, types, metadata, manifest metadata, catalogues and deletions."""
    manifest = folder / "manifest.json"
    lines = [line for line in manifest.read_text("utf-8", "replace").splitlines() if line.strip()]
    last = _parse(lines[-1] if lines else "", manifest, len(lines))
    deleted = set(last.get("deleted_indexes") or ())
    names = [str(name) for name in last.get("paths") or ()]
    for name in names:
        _check_inside(name, manifest, len(lines))
    catalogs = [folder / name for name in names]
    for catalog in catalogs or sorted(folder.glob("*.catalog"), key=natural_key):
        if not catalog.is_file():
            raise _Unreadable(catalog, "is missing")
        for number, line in enumerate(catalog.read_text("utf-8", "replace").splitlines(), 1):
            if not line.strip():
                continue
            record = _parse(line, catalog, number)
            if record.get("_index") in deleted:
                continue
            name = _picture_name(record, catalog, number)
            clip = str(record.get("_session_id") or "")
            yield _Record(folder / "images" / name, _number(record.get("_timestamp_ms")), clip)


def _version_1(folder: Path) -> Iterator[_Record]:
    """Its times count from the start of the session, which `meta.json` holds in seconds."""
    meta = folder / "meta.json"
    start = _number(_parse(meta.read_text("utf-8", "replace"), meta, 1).get("start")) if meta.is_file() else None
    for file in sorted(folder.glob("record_*.json"), key=natural_key):
        record = _parse(file.read_text("utf-8", "replace"), file, 1)
        time_ms = _number(record.get("milliseconds"))
        if time_ms is not None and start is not None:
            time_ms += start * 1000
        yield _Record(folder / _picture_name(record, file, 1), time_ms, "")


def _table(folder: Path) -> Iterator[_Record]:
    table = folder / "records.csv"
    frames = folder / "frames" if (folder / "frames").is_dir() else folder
    with table.open(encoding="utf-8", errors="replace", newline="") as lines:
        rows = csv.DictReader(lines)
        if not {"clip", "file"} <= set(rows.fieldnames or ()):
            raise _Unreadable(table, "has no columns 'clip' and 'file'")
        for row in rows:
            clip, name = row["clip"] or "", row["file"] or ""
            _check_inside(f"{clip}/{name}", table, rows.line_num)
            yield _Record(frames / clip / name, _number(row.get("timestamp_ms")), clip)


def _parse(text: str, file: Path, line: int) -> dict[str, Any]:
    try:
        record = json.loads(text)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise _Unreadable(file, f"line {line} is no JSON record")
    return record


def _picture_name(record: dict[str, Any], file: Path, line: int) -> str:
    name = record.get(_IMAGE)
    if not isinstance(name, str) or not name:
        raise _Unreadable(file, f"line {line} names no '{_IMAGE}'")
    _check_inside(name, file, line)
    return name


def _check_inside(name: str, file: Path, line: int) -> None:
    """A record may not make us read a file outside its tub."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise _Unreadable(file, f"line {line} names a picture outside the tub")


def _number(value: object) -> float | None:
    try:
        number = float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < _END_MS else None


def _rate(records: list[_Record]) -> float | None:
    times = [record.time_ms for record in records if record.time_ms is not None]
    steps = sorted(b - a for a, b in pairwise(times) if b > a)
    return round(1000 / steps[len(steps) // 2], 2) if steps else None
