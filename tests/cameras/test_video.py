from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from cameras.errors import SourceError
from cameras.frame import Frame
from cameras.sources import open_source

from .conftest import MTIME, number_of

START = datetime.fromtimestamp(MTIME, UTC)


def frames_of(path: Path, fps: float) -> list[Frame]:
    with open_source(str(path), fps, camera="dock") as source:
        assert not source.live
        return list(source)


def test_every_frame_once_at_the_rate_of_the_file(make_video: Callable[..., Path]) -> None:
    frames = frames_of(make_video(frames=30, fps=10), 10)
    assert [frame.index for frame in frames] == list(range(30))
    assert [number_of(frame.image) for frame in frames] == list(range(30))
    assert [frame.captured_at for frame in frames] == [START + timedelta(seconds=i / 10) for i in range(30)]
    assert frames[0].image.shape == (48, 64, 3)
    assert frames[0].image.dtype == np.uint8


@pytest.mark.parametrize("native", [Fraction(30000, 1001), 25, 15, Fraction(24000, 1001), 7.5])
@pytest.mark.parametrize("name", ["dock.mp4", "dock.mkv", "dock.avi", "dock.ts"])
def test_a_higher_rate_than_the_file_has_repeats_and_leaves_out_none(
    make_video: Callable[..., Path], native: float, name: str
) -> None:
    """Matroska rounds times to milliseconds: 33 ms are less than a thirtieth of a second."""
    path = make_video(name, frames=40, fps=native)
    for fps in (float(native), 60.0):
        assert [number_of(frame.image) for frame in frames_of(path, fps)] == list(range(40))


@pytest.mark.parametrize(("native", "fps"), [(30, 10), (25, 10), (30, 7), (10, 2), (12.5, 2), (10, 0.5), (10, 9.5)])
def test_a_lower_rate_takes_the_frames_nearest_to_its_beat(
    make_video: Callable[..., Path], native: float, fps: float
) -> None:
    frames = frames_of(make_video(frames=60, fps=native), fps)
    assert len(frames) in {math.floor(59.5 / native * fps), math.ceil(60 / native * fps)}
    for beat, frame in enumerate(frames):
        assert abs(frame.index / native - beat / fps) <= 0.61 / native
        assert number_of(frame.image) == frame.index


def test_uneven_times_are_sampled_by_time_and_not_by_count(make_video: Callable[..., Path]) -> None:
    """A recorder that stops while nothing moves: 20 frames in the first second, then 10 in twenty."""
    times = [i * 0.05 for i in range(20)] + [1.0 + i * 2 for i in range(10)]
    frames = frames_of(make_video("dock.mkv", frames=30, fps=20, times_s=times), 1)
    assert [frame.index for frame in frames] == [0, *range(20, 30)]
    assert frames[-1].captured_at - frames[0].captured_at == timedelta(seconds=19)


def test_a_reader_may_stop_early(make_video: Callable[..., Path]) -> None:
    with open_source(str(make_video()), 10) as source:
        next(iter(source))
    source.close()  # twice is fine


def test_an_mp4_cut_off_at_its_end_gives_what_is_there(make_video: Callable[..., Path]) -> None:
    path = make_video("dock.ts", frames=100)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    frames = frames_of(path, 10)
    assert 30 < len(frames) < 70
    assert [number_of(frame.image) for frame in frames[:-1]] == [frame.index for frame in frames[:-1]]


@pytest.mark.parametrize(
    ("name", "damaged", "keeps_places"),
    [("dock.mp4", 10, True), ("dock.mkv", 4, True), ("dock.ts", 10, False), ("dock.avi", 10, False)],
)
def test_frames_after_a_damaged_stretch_keep_their_places(
    make_video: Callable[..., Path],
    name: str,
    damaged: int,
    keeps_places: bool,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path = make_video(name, frames=100, fps=10)
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        spots = [packet.pos for packet in container.demux(video=0) if packet.pos is not None]
    low, high = spots[42], spots[42 + damaged]
    data[low + 8 : high] = np.random.default_rng(1).integers(0, 256, high - low - 8, np.uint8).tobytes()
    path.write_bytes(data)
    frames = frames_of(path, 10)
    assert len(frames) >= 80
    assert [frame.index for frame in frames] == sorted({frame.index for frame in frames})
    late = [frame for frame in frames if number_of(frame.image) >= 70]
    assert len(late) >= 25
    assert all(frame.index == number_of(frame.image) for frame in late) is keeps_places
    assert capfd.readouterr() == ("", "")  # FFmpeg has its own opinion, and it is kept quiet


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("empty.mp4", b"", "is empty (0 bytes)"),
        ("noise.mp4", np.random.default_rng(0).bytes(50_000), "unknown format or damaged"),
        ("notes.txt", b"a text, not a video\n" * 100, "unknown format or damaged"),
        ("list.ffconcat", b"ffconcat version 1.0\nfile /etc/hostname\n", "unknown format or damaged"),
        ("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:1/a.ts\n", "unknown format"),
    ],
)
def test_what_is_no_video(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(SourceError) as caught:
        frames_of(path, 2)
    message = str(caught.value)
    assert message.startswith("camera 'dock': ")
    assert str(path) in message
    assert words in message
    assert "\n" not in message
    assert "Errno" not in message


def test_a_file_of_sound_only(tmp_path: Path) -> None:
    path = tmp_path / "voice.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(SourceError, match="holds no video stream"):
        frames_of(path, 2)


def test_a_video_of_which_no_frame_decodes(make_video: Callable[..., Path]) -> None:
    path = make_video("dock.mkv", frames=30)
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.pos is not None]
    for place, size in places:
        data[place + 8 : place + size] = bytes(size - 8)
    path.write_bytes(data)
    with pytest.raises(SourceError, match="no frame of it can be decoded"):
        frames_of(path, 2)


def test_a_file_that_looks_like_a_protocol_is_a_file(
    make_video: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_video("concat:dock.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(frames_of(Path("concat:dock.mp4"), 10)) == 30


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg to turn a video with")
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_video_stands_upright(make_video: Callable[..., Path], tmp_path: Path, degrees: int) -> None:
    path, turned, straight = make_video(), tmp_path / "turned.mp4", tmp_path / "straight.mkv"
    quiet = ["ffmpeg", "-v", "error", "-y"]
    turn = [*quiet, "-i", str(path), "-c", "copy", "-metadata:s:v:0", f"rotate={degrees}", str(turned)]
    subprocess.run(turn, check=True, timeout=30)
    subprocess.run([*quiet, "-i", str(turned), "-c:v", "ffv1", str(straight)], check=True, timeout=30)
    ours, theirs = frames_of(turned, 10)[5].image, frames_of(straight, 10)[5].image
    assert ours.shape == theirs.shape
    assert np.abs(ours.astype(int) - theirs).mean() < 3
