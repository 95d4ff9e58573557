"""Recordings: a camera's frames to and from Parquet, one file a part.

A part is built in memory and put whole, so that none is ever half there. A row is one frame: when it was captured, its
place in the source, its clip, the size it had, and a JPEG of it, masked and at most 640 pixels wide. Parts are split
at midnight UTC, at 2,000 frames and at 64 MB.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import stat
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cameras.camera import Camera, Preprocessing
from cameras.errors import FleetError, FrameError, SourceError, StoreError, UsageError
from cameras.frame import Frame
from cameras.images import decode_image, encode_jpeg
from cameras.preprocess import ASPECT_TOLERANCE, burn_masks, preprocess, valid_pixels
from cameras.secrets import expand
from cameras.sources import open_source

__all__ = [
    "SCHEMA",
    "Recorded",
    "RecordedFrames",
    "Row",
    "encode_part",
    "newest_parts",
    "part_key",
    "part_prefix",
    "read_recording",
    "record",
]

MAX_WIDTH = 640  # a model sees 96 by default and 1,920 at most; 640 keeps a picture for people at 30 KB
JPEG_QUALITY = 92  # block noise stays under a camera's own
PART_FRAMES = 2000
PART_BYTES = 64 * 1024 * 1024

SCHEMA = pa.schema(
    [
        pa.field("captured_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("frame", pa.int64(), nullable=False),
        pa.field("clip", pa.string(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("jpeg", pa.binary(), nullable=False),
    ]
)


_MASKS = b"fleet.masks"  # in a part's metadata: the masks that are burnt into its pictures


class Row(NamedTuple):
    """One frame of a recording; width and height are those of the source's frame, not of its JPEG."""

    captured_at: datetime
    frame: int
    clip: str
    width: int
    height: int
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class Recorded:
    """What `record` did. `error` is set when a live stream broke after some frames had come."""

    frames: int
    parts: int
    first: datetime | None
    last: datetime | None
    bytes: int
    error: SourceError | None = None


@dataclass(frozen=True, slots=True)
class RecordedFrames:
    """A recording as a model sees it, in order of time; N may be 0.

    Attributes:
        frames: uint8 (N, height, width), or (N, height, width, 3) in colour, preprocessed.
        captured_at: datetime64[us] (N,), UTC.
        index: int64 (N,), each frame's place in its source.
        clip: N names.
        valid: which pixels count, bool (height, width), or None for all: not those under the camera's masks, nor under
            those that any of the parts was recorded with.
        frame_size: width and height of the source's newest frame; (0, 0) without frames.
    """

    frames: np.ndarray
    captured_at: np.ndarray
    index: np.ndarray
    clip: list[str]
    valid: np.ndarray | None
    frame_size: tuple[int, int]


def record(
    camera: Camera,
    put: Callable[[str, bytes], None],
    *,
    frames: int | None = None,
    seconds: float | None = None,
    on_frame: Callable[[Frame], None] | None = None,
    stop: threading.Event | None = None,
) -> Recorded:
    """Record a camera's source, part by part.

    A file's recording has the same keys and bytes whenever it is made. Masks are burnt in before anything is stored.

    Args:
        put: stores one part under its key.
        frames: stop after that many.
        seconds: stop that long after the first frame, in the time of the frames.
        stop: ends the recording when it is set; what came until then is kept.
        on_frame: told each frame, as the source gave it, once it is recorded (for progress).

    Raises:
        UsageError: a live source without `frames` or `seconds`.
        SourceError: the source does not open, is damaged, or broke before it gave a frame.
    """
    with open_source(camera.source, camera.fps, camera=camera.id) as source:
        if source.live and frames is None and seconds is None:
            raise UsageError(
                "a live source has no end",
                f"say for how long to record: fleet record {camera.id} --for 10m",
                camera.id,
            )
        parts = _Parts(camera, put)
        error = None
        try:
            for frame in source:
                if seconds is not None and parts.first and (frame.captured_at - parts.first).total_seconds() >= seconds:
                    break
                parts.add(_row(frame, camera))
                if on_frame is not None:
                    on_frame(frame)
                if (frames is not None and parts.frames >= frames) or (stop is not None and stop.is_set()):
                    break
        except SourceError as broken:
            if not source.live or parts.frames == 0:
                raise
            error = broken
        except KeyboardInterrupt:
            parts.flush()  # what came until a person stopped it is theirs
            raise
        parts.flush()
    return Recorded(parts.frames, parts.count, parts.first, parts.last, parts.bytes, error)


class _Parts:
    """Gathers rows and puts a part whenever one is full."""

    def __init__(self, camera: Camera, put: Callable[[str, bytes], None]) -> None:
        self._camera, self._put = camera, put
        self._rows: list[Row] = []
        self._waiting_bytes = 0
        self.frames = self.count = self.bytes = 0
        self.first: datetime | None = None
        self.last: datetime | None = None

    def add(self, row: Row) -> None:
        rows = self._rows
        full = len(rows) >= PART_FRAMES or self._waiting_bytes + len(row.jpeg) > PART_BYTES
        if rows and (full or row.captured_at.date() != rows[0].captured_at.date()):
            self.flush()
        self._rows.append(row)
        self._waiting_bytes += len(row.jpeg)
        self.frames += 1
        self.first = self.first or row.captured_at
        self.last = row.captured_at

    def flush(self) -> None:
        if not self._rows:
            return
        data = encode_part(self._rows, self._camera)
        self._put(part_key(self._camera, self._rows[0].captured_at, len(self._rows)), data)
        self.count += 1
        self.bytes += len(data)
        self._rows, self._waiting_bytes = [], 0


def _row(frame: Frame, camera: Camera) -> Row:
    height, width = frame.image.shape[:2]
    image = burn_masks(frame.image, camera)
    if width > MAX_WIDTH:
        image = cv2.resize(image, (MAX_WIDTH, max(1, round(height * MAX_WIDTH / width))), interpolation=cv2.INTER_AREA)
    jpeg = encode_jpeg(image, JPEG_QUALITY)
    return Row(frame.captured_at.astimezone(UTC), frame.index, frame.clip, width, height, jpeg)


def encode_part(rows: Sequence[Row], prep: Preprocessing | None = None) -> bytes:
    """Rows -> one Parquet file. The same rows make the same bytes.

    Args:
        prep: whose masks are burnt into the rows' pictures. They stand in the file: what is black under them says
            nothing of the scene, also when the camera's masks are gone.
    """
    masks = prep.model_dump_json(include={"masks", "mask_png"}) if prep else "{}"
    schema = SCHEMA.with_metadata({_MASKS: masks})
    columns = [pa.array(column, type=field.type) for column, field in zip(zip(*rows, strict=True), SCHEMA, strict=True)]
    sink = io.BytesIO()
    pq.write_table(
        pa.Table.from_arrays(columns, schema=schema),
        sink,
        compression={field.name: "none" if field.name == "jpeg" else "zstd" for field in SCHEMA},
        use_dictionary=["clip"],
        write_statistics=["captured_at", "frame"],
        write_page_checksum=True,
    )
    return sink.getvalue()


def part_prefix(camera_id: str) -> str:
    """Where a camera's recordings lie."""
    return f"recordings/camera={camera_id}/"


def part_key(camera: Camera, first: datetime, rows: int) -> str:
    """`recordings/camera=<id>/date=YYYY-MM-DD/<source8>-<HHMMSSffffff>-<n>.parquet`

    source8 is a hash of the source as it was registered and of its frame rate; four digits of what stands at a local
    path follow, so that a file that was replaced is another source. When a camera gets another source or rate, the
    recordings of the old one are no longer read (they are of another view, or at another pace), and stay until
    retention takes them.

    Args:
        first: captured_at of the first row.
        rows: how many rows the part has.
    """
    first = first.astimezone(UTC)
    name = f"{_source8(camera)}{_edition(camera)}-{first:%H%M%S%f}-{rows}.parquet"
    return f"{part_prefix(camera.id)}date={first:%Y-%m-%d}/{name}"


def newest_parts(camera: Camera, keys: Iterable[str], max_frames: int | None = None) -> list[str]:
    """Of all keys under `part_prefix`, those of the camera's present source and rate, newest first.

    With `max_frames` only as many as hold that many frames: the rest need not be fetched. A part that was recorded
    again, longer, from the same moment is counted once.
    """
    edition = _edition(camera) or "[0-9a-f]{4}"  # a file that is gone leaves its recording
    pattern = re.compile(rf".*/date=([0-9-]+)/{_source8(camera)}{edition}-(\d{{12}})-(\d+)\.parquet")
    found = sorted(
        ((match[1], match[2], int(match[3]), key) for key in keys if (match := pattern.fullmatch(key))), reverse=True
    )
    chosen: list[str] = []
    counted = 0
    start = None
    for date, time_of_day, rows, key in found:
        if start != (date, time_of_day):
            if max_frames is not None and counted >= max_frames:
                break
            start = (date, time_of_day)
            counted += rows
        chosen.append(key)
    return chosen


def read_recording(
    camera: Camera, parts: Iterable[tuple[str, bytes]], *, max_frames: int | None = None, threads: int | None = None
) -> RecordedFrames:
    """A camera's recording as its model sees it: preprocessed, sorted by time, no moment twice.

    Masks are applied again: one that was drawn after the recording hides what is under it there, too.

    Args:
        parts: keys and contents, in any order; fetched one by one if it is a generator.
        max_frames: keep the newest that many.

    Raises:
        StoreError: a part is no Parquet file of ours, or a picture in it is damaged; it names the key.
        FleetError: frames whose sides are in different proportions.
    """
    rows = _newest_rows(camera, parts, max_frames)
    size = camera.size
    frames = np.empty((len(rows), size.height, size.width, *((3,) if camera.color else ())), np.uint8)
    if rows:
        _check_sizes(camera, rows)
        _decode_into(frames, rows, camera, threads or os.cpu_count() or 1)
    newest = rows[-1] if rows else None
    return RecordedFrames(
        frames=frames,
        captured_at=np.array([row.time_us for row in rows], "datetime64[us]"),
        index=np.array([row.frame for row in rows], np.int64),
        clip=[row.clip for row in rows],
        valid=_valid(camera, {row.masks for row in rows}),
        frame_size=(newest.width, newest.height) if newest else (0, 0),
    )


class _Stored(NamedTuple):
    """A row as it is read: its JPEG is a view into its part, copied by nobody."""

    time_us: int
    frame: int
    clip: str
    width: int
    height: int
    jpeg: pa.BinaryScalar
    key: str
    masks: bytes


def _newest_rows(camera: Camera, parts: Iterable[tuple[str, bytes]], max_frames: int | None) -> list[_Stored]:
    by_time: dict[int, _Stored] = {}
    for key, data in parts:
        for row in _rows_of(camera, key, data):
            by_time.setdefault(row.time_us, row)
        if max_frames is not None and len(by_time) > max_frames:
            by_time = {time_us: by_time[time_us] for time_us in sorted(by_time)[-max_frames:]}
    return [by_time[time_us] for time_us in sorted(by_time)]


def _rows_of(camera: Camera, key: str, data: bytes) -> Iterator[_Stored]:
    try:
        if not data:
            raise pa.ArrowInvalid("empty")
        found = pq.read_table(pa.BufferReader(data), page_checksum_verification=True)
        masks = (found.schema.metadata or {}).get(_MASKS, b"{}")
        table = found.select(SCHEMA.names).replace_schema_metadata(None).cast(SCHEMA)
    except (pa.ArrowException, KeyError, ValueError, OSError):
        what = "is empty (0 bytes)" if not data else "is no Parquet file of a recording, or damaged"
        raise StoreError(f"'{key}' {what}", "delete it, or record again", camera.id) from None
    times = table["captured_at"].cast(pa.int64()).to_pylist()
    numbers = [table[name].to_pylist() for name in ("frame", "clip", "width", "height")]
    for time_us, frame, clip, width, height, jpeg in zip(times, *numbers, table["jpeg"], strict=True):
        yield _Stored(time_us, frame, clip, width, height, jpeg, key, masks)


def _valid(camera: Camera, recorded_masks: Iterable[bytes]) -> np.ndarray | None:
    """What no mask hides, neither one of the camera nor one that is burnt into its recording."""
    valid = valid_pixels(camera.preprocessing)
    for masks in recorded_masks:
        seen = valid_pixels(Preprocessing(**{**camera.preprocessing.model_dump(), **json.loads(masks)}))
        if seen is not None:
            valid = seen if valid is None else valid & seen
    return valid


def _check_sizes(camera: Camera, rows: list[_Stored]) -> None:
    newest = rows[-1]
    for row in rows:
        ratio = (row.width / row.height) / (newest.width / newest.height)
        if not 1 - ASPECT_TOLERANCE <= ratio <= 1 + ASPECT_TOLERANCE:
            raise FleetError(
                f"its recording mixes frames of {row.width}x{row.height} and {newest.width}x{newest.height}",
                f"delete '{row.key}' or give the other view a camera of its own",
                camera.id,
            )


def _decode_into(frames: np.ndarray, rows: list[_Stored], camera: Camera, threads: int) -> None:
    """Decode and preprocess each row into its place; a full-size picture lives only as long as its thread needs it."""
    prep = camera.preprocessing

    def decode(place: int) -> None:
        row = rows[place]
        try:
            frames[place] = preprocess(decode_image(row.jpeg.as_py()), prep)
        except FrameError:
            raise StoreError(
                f"'{row.key}' holds a damaged picture (frame {row.frame})", "delete it, or record again", camera.id
            ) from None

    # Both decoders let go of the interpreter's lock.
    with ThreadPoolExecutor(threads) as pool:
        deque(pool.map(decode, range(len(rows))), maxlen=0)


def _source8(camera: Camera) -> str:
    return hashlib.sha256(f"{camera.source} {camera.fps:g}".encode()).hexdigest()[:8]


def _edition(camera: Camera) -> str:
    """Four digits of which file or folder stands at a camera's path, by time and size; none when nothing does.

    A stream is the same whenever it is asked.
    """
    if "://" in camera.source:
        return "0000"
    try:
        status = os.stat(os.path.expanduser(expand(camera.source)))
    except (OSError, SourceError, ValueError):
        return ""
    size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size  # a folder's says nothing
    return hashlib.sha256(f"{status.st_mtime_ns} {size}".encode()).hexdigest()[:4]
