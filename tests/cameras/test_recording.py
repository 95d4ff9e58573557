from __future__ import annotations

import io
import os
import re
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cameras import recording
from cameras.camera import Camera, Size
from cameras.errors import FleetError, SourceError, StoreError, UsageError
from cameras.frame import Frame
from cameras.images import decode_image, encode_jpeg
from cameras.preprocess import preprocess
from cameras.recording import Recorded, Row, encode_part, newest_parts, part_key, part_prefix, read_recording, record
from cameras.sources import Source

from .conftest import picture, write_pictures

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
JPEG = encode_jpeg(picture(5))


class Scripted(Source):
    """Frames from a list, then perhaps an error."""

    def __init__(self, frames: list[Frame], *, live: bool, error: BaseException | None = None) -> None:
        self.frames, self.live, self.error, self.closed = frames, live, error, False

    def __iter__(self) -> Iterator[Frame]:
        yield from self.frames
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self.closed = True


def camera_of(source: object, **fields: Any) -> Camera:
    return Camera(id="dock", source=str(source), **{"fps": 10, **fields})


def frames_at(*seconds: float, image: np.ndarray | None = None, start: datetime = NOON) -> list[Frame]:
    image = picture(1) if image is None else image
    return [Frame(image, start + timedelta(seconds=s), index) for index, s in enumerate(seconds)]


def recorded(camera: Camera, **limits: Any) -> tuple[Recorded, dict[str, bytes]]:
    parts: dict[str, bytes] = {}
    return record(camera, parts.__setitem__, **limits), parts


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Scripted]:
    """Puts a scripted source in the place of the camera's."""

    def put(frames: list[Frame], *, live: bool = False, error: BaseException | None = None) -> Scripted:
        source = Scripted(frames, live=live, error=error)
        monkeypatch.setattr(recording, "open_source", lambda *_args, **_options: source)
        return source

    return put


def rows(*seconds: float, **fields: Any) -> list[Row]:
    return [
        Row(**{"captured_at": NOON + timedelta(seconds=s), "frame": i, "clip": "", "width": 64, "height": 48,
               "jpeg": JPEG, **fields})
        for i, s in enumerate(seconds)
    ]  # fmt: skip


def test_a_video_there_and_back(make_video: Callable[..., Path]) -> None:
    camera = camera_of(make_video(frames=30, fps=10), size=Size(32, 24))
    summary, parts = recorded(camera)
    assert (summary.frames, summary.parts, summary.error) == (30, 1, None)
    assert summary.bytes == sum(map(len, parts.values()))
    back = read_recording(camera, parts.items())
    assert back.frames.shape == (30, 24, 32)
    assert back.frame_size == (64, 48)
    assert back.index.tolist() == list(range(30))
    assert back.captured_at[0] == np.datetime64("2023-11-14T22:13:20.25")
    assert (np.diff(back.captured_at) == np.timedelta64(100, "ms")).all()
    assert summary.first == datetime(2023, 11, 14, 22, 13, 20, 250_000, tzinfo=UTC)
    assert summary.last == summary.first + timedelta(seconds=2.9)
    expected = np.stack([preprocess(picture(number), camera) for number in range(30)])
    assert np.abs(back.frames.astype(int) - expected).mean() < 3


def test_a_folder_there_and_back_in_colour_with_its_clips(tmp_path: Path) -> None:
    write_pictures(tmp_path / "a", ["1.jpg", "2.jpg"])
    write_pictures(tmp_path / "b", ["1.jpg"])
    camera = camera_of(tmp_path, color=True, size=Size(32, 24))
    back = read_recording(camera, recorded(camera)[1].items())
    assert back.frames.shape == (3, 24, 32, 3)
    assert back.clip == ["a", "a", "b"]


def test_recording_a_file_twice_makes_the_same_objects(make_video: Callable[..., Path]) -> None:
    camera = camera_of(make_video())
    assert recorded(camera)[1] == recorded(camera)[1]


def test_the_key_says_whose_when_and_how_many() -> None:
    key = part_key(camera_of("rtsp://cam/s"), NOON + timedelta(microseconds=42), 7)
    assert re.fullmatch(r"recordings/camera=dock/date=2026-05-01/[0-9a-f]{8}0000-120000000042-7\.parquet", key)
    assert key.startswith(part_prefix("dock"))


def test_the_columns_are_what_other_tools_read() -> None:
    table = pq.read_table(io.BytesIO(encode_part(rows(0, 1))))
    assert table.schema.equals(recording.SCHEMA)
    assert table["captured_at"].to_pylist() == [NOON, NOON + timedelta(seconds=1)]


def test_a_recording_is_at_most_640_wide_and_remembers_the_size_it_had(play: Callable[..., Scripted]) -> None:
    play(frames_at(0, image=np.zeros((721, 1281, 3), np.uint8)))
    _, parts = recorded(camera_of("x"))
    row = pq.read_table(io.BytesIO(next(iter(parts.values())))).to_pylist()[0]
    assert (row["width"], row["height"]) == (1281, 721)
    assert decode_image(row["jpeg"]).shape == (360, 640, 3)


def test_masks_are_burnt_in_before_anything_is_stored(play: Callable[..., Scripted]) -> None:
    play(frames_at(0, image=np.full((480, 1280, 3), 255, np.uint8)))
    _, parts = recorded(camera_of("x", masks=("0,0 0.5,0 0.5,1 0,1",)))
    image = decode_image(pq.read_table(io.BytesIO(next(iter(parts.values())))).to_pylist()[0]["jpeg"])
    assert image[:, :300].max() < 16
    assert image[:, 340:].min() > 240


def test_a_mask_drawn_later_hides_what_was_recorded_before(play: Callable[..., Scripted]) -> None:
    play(frames_at(0, image=np.full((48, 64, 3), 255, np.uint8)))
    _, parts = recorded(camera_of("x", size=Size(64, 48)))
    later = camera_of("x", size=Size(64, 48), masks=("0,0 0.5,0 0.5,1 0,1",))
    assert not read_recording(later, parts.items()).frames[0, :, :32].any()


def test_parts_are_split_at_midnight(play: Callable[..., Scripted]) -> None:
    play(frames_at(0, 1, 2, start=datetime(2026, 5, 1, 23, 59, 59, tzinfo=UTC)))
    _, parts = recorded(camera_of("x"))
    assert [key.split("/")[2] for key in parts] == ["date=2026-05-01", "date=2026-05-02"]
    assert len(read_recording(camera_of("x"), parts.items()).frames) == 3


def test_parts_are_split_by_frames_and_by_bytes(play: Callable[..., Scripted], monkeypatch: pytest.MonkeyPatch) -> None:
    play(frames_at(*range(10)))
    monkeypatch.setattr(recording, "PART_FRAMES", 4)
    assert [int(key.rpartition("-")[2].split(".")[0]) for key in recorded(camera_of("x"))[1]] == [4, 4, 2]
    size = len(encode_jpeg(picture(1), recording.JPEG_QUALITY))
    monkeypatch.setattr(recording, "PART_BYTES", 3 * size)
    assert [int(key.rpartition("-")[2].split(".")[0]) for key in recorded(camera_of("x"))[1]] == [3, 3, 3, 1]


def test_limits_of_frames_and_seconds(play: Callable[..., Scripted]) -> None:
    source = play(frames_at(*range(10)), live=True)
    assert recorded(camera_of("x"), frames=4)[0].frames == 4
    assert recorded(camera_of("x"), seconds=3)[0].frames == 3
    assert recorded(camera_of("x"), seconds=100)[0].frames == 10
    assert source.closed


def test_a_live_source_needs_a_limit(play: Callable[..., Scripted]) -> None:
    source = play(frames_at(0), live=True)
    with pytest.raises(UsageError, match=r"camera 'dock': .* fleet record dock --for 10m"):
        recorded(camera_of("x"))
    assert source.closed


def test_a_live_stream_that_breaks_keeps_what_came(play: Callable[..., Scripted]) -> None:
    broken = SourceError("the stream ended", "", "dock")
    play(frames_at(0, 1), live=True, error=broken)
    summary, parts = recorded(camera_of("x"), frames=10)
    assert (summary.frames, summary.parts, summary.error) == (2, 1, broken)
    assert len(parts) == 1


def test_a_stream_that_gives_nothing_is_an_error(play: Callable[..., Scripted]) -> None:
    play([], live=True, error=SourceError("the stream ended", "", "dock"))
    with pytest.raises(SourceError, match="the stream ended"):
        recorded(camera_of("x"), frames=10)


def test_a_damaged_file_is_an_error(play: Callable[..., Scripted]) -> None:
    play(frames_at(0, 1), error=SourceError("damaged", "", "dock"))
    with pytest.raises(SourceError, match="damaged"):
        recorded(camera_of("x"))


def test_interrupting_keeps_what_came(play: Callable[..., Scripted]) -> None:
    play(frames_at(0, 1), live=True, error=KeyboardInterrupt())
    parts: dict[str, bytes] = {}
    with pytest.raises(KeyboardInterrupt):
        record(camera_of("x"), parts.__setitem__, frames=10)
    assert len(read_recording(camera_of("x"), parts.items()).frames) == 2


def test_progress_is_told_frame_by_frame(play: Callable[..., Scripted]) -> None:
    play(frames_at(0, 1, 2))
    told: list[int] = []
    record(camera_of("x"), lambda _key, _data: None, on_frame=lambda frame: told.append(frame.index))
    assert told == [0, 1, 2]


def test_reading_sorts_and_leaves_out_moments_seen_twice() -> None:
    parts = [("b", encode_part(rows(3, 4))), ("a", encode_part(rows(0, 1, 2, 3)))]
    back = read_recording(camera_of("x"), parts)
    seconds = (back.captured_at - np.datetime64("2026-05-01T12:00:00")) / np.timedelta64(1, "s")
    assert seconds.tolist() == [0, 1, 2, 3, 4]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=8), min_size=1, max_size=4), st.integers(1, 12))
def test_the_newest_frames_are_kept(parts_s: list[list[int]], max_frames: int) -> None:
    parts = [(str(number), encode_part(rows(*seconds))) for number, seconds in enumerate(parts_s)]
    back = read_recording(camera_of("x"), iter(parts), max_frames=max_frames)
    seconds = ((back.captured_at - np.datetime64("2026-05-01T12:00:00")) / np.timedelta64(1, "s")).tolist()
    assert seconds == sorted({s for part in parts_s for s in part})[-max_frames:]


def test_nothing_recorded_is_no_frames() -> None:
    back = read_recording(camera_of("x"), [])
    assert back.frames.shape == (0, 64, 96)
    assert (back.frame_size, back.clip, len(back.captured_at)) == ((0, 0), [], 0)


def foreign() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"a": [1]}), file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", r"'k\.parquet' is empty \(0 bytes\) — delete it, or record again"),
        (b"PAR1 not really", r"'k\.parquet' is no Parquet file of a recording, or damaged"),
        (encode_part(rows(0, 1))[:-10], r"'k\.parquet' is no Parquet file of a recording, or damaged"),
        (foreign(), r"'k\.parquet' is no Parquet file of a recording, or damaged"),
        (encode_part(rows(0, jpeg=JPEG[:-30])), r"'k\.parquet' holds a damaged picture \(frame 0\)"),
    ],
)
def test_a_damaged_part_is_named(data: bytes, words: str) -> None:
    with pytest.raises(StoreError, match=f"camera 'dock': {words}"):
        read_recording(camera_of("x"), [("k.parquet", data)])


def test_every_flipped_byte_is_noticed_or_harmless() -> None:
    """A page checksum guards the pictures: no damaged one is learnt from in silence."""
    whole = encode_part(rows(0, 1, 2))
    right = read_recording(camera_of("x"), [("k", whole)])
    for place in range(4, len(whole), 61):
        data = bytearray(whole)
        data[place] ^= 0x10
        try:
            back = read_recording(camera_of("x"), [("k", bytes(data))])
        except StoreError:
            continue
        assert (back.frames == right.frames).all()


def test_views_of_two_shapes_are_refused() -> None:
    parts = [("a", encode_part(rows(0, 1))), ("b", encode_part(rows(2, width=1920, height=1080)))]
    with pytest.raises(FleetError, match="mixes frames of 64x48 and 1920x1080") as caught:
        read_recording(camera_of("x"), parts)
    assert "delete 'a'" in str(caught.value)


def test_a_substream_of_the_same_view_is_not() -> None:
    parts = [("a", encode_part(rows(0, width=704, height=576))), ("b", encode_part(rows(2, width=640, height=480)))]
    assert read_recording(camera_of("x"), parts).frame_size == (640, 480)


def test_only_parts_of_the_present_source_and_as_few_as_needed() -> None:
    camera = camera_of("rtsp://cam/s")
    keys = [part_key(camera, NOON + timedelta(hours=h), 100) for h in (0, 9, 20)]
    longer = part_key(camera, NOON + timedelta(hours=20), 150)
    old = part_key(camera_of("rtsp://cam/other"), NOON, 100)
    slower = part_key(camera.model_copy(update={"fps": camera.fps / 2}), NOON, 100)
    everything = [*keys, longer, old, slower, "recordings/camera=dock/notes.txt"]
    assert newest_parts(camera, everything) == [longer, keys[2], keys[1], keys[0]]
    assert newest_parts(camera, everything, 100) == [longer, keys[2]]
    assert newest_parts(camera, everything, 151) == [longer, keys[2], keys[1]]


def test_what_was_masked_when_it_was_recorded_never_counts(make_video: Callable[..., Path]) -> None:
    """Masks are burnt in: when they are taken away, their black must not be learnt as the scene."""
    video = make_video()
    masked = camera_of(video, masks=("0,0 0.5,0 0.5,1 0,1",))
    parts = recorded(masked)[1]
    bare = camera_of(video)
    read = read_recording(bare, list(parts.items()))
    assert read.valid is not None
    assert not read.valid[:, : read.valid.shape[1] // 2].any()
    assert read.valid[:, -5:].all()
    assert read_recording(bare, list(recorded(bare)[1].items())).valid is None


def test_a_file_that_was_replaced_is_another_source(make_video: Callable[..., Path]) -> None:
    video = make_video()
    camera = camera_of(video)
    keys = list(recorded(camera)[1])
    assert newest_parts(camera, keys) == keys
    os.utime(video, (1e9, 1e9))
    assert newest_parts(camera, keys) == []
    video.unlink()
    assert newest_parts(camera, keys) == keys, "a file that is gone leaves its recording"


def test_a_recording_can_be_told_to_end(make_video: Callable[..., Path]) -> None:
    stop = threading.Event()
    done = record(camera_of(make_video()), lambda key, data: None, on_frame=lambda _: stop.set(), stop=stop)
    assert done.frames == 1
