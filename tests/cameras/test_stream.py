"""RTSP against a real server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import pytest

from cameras.camera import Camera
from cameras.errors import SourceError
from cameras.recording import record
from cameras.sources import open_source, probe
from tests.servers.rtsp import RtspServer, missing_packages, rtsp_server

from .conftest import number_of, picture

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing_packages()), reason=f"no RTSP server here: {missing_packages()}"),
]

FPS = 20
PASSWORD = "p@ss/w?rd#1"


@pytest.fixture(scope="module")
def h264(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds of numbered pictures, a keyframe every half second, no B-frames."""
    path = tmp_path_factory.mktemp("rtsp") / "numbers.h264"
    options = {"bf": "0", "g": "10", "preset": "ultrafast", "tune": "zerolatency", "x264-params": "sliced-threads=0"}
    with av.open(str(path), "w", format="h264") as container:
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(10 * FPS):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number, 320, 240), format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture
def server(h264: Path) -> Iterator[RtspServer]:
    with rtsp_server(h264, FPS) as running:
        yield running


def test_frames_come_in_real_time_and_at_the_rate_asked_for(server: RtspServer) -> None:
    with open_source(server.url, 5, camera="dock") as source:
        assert source.live
        assert source.kind == "RTSP stream (h264)"
        frames = iter(source)
        first = next(frames)
        started = time.monotonic()
        seen = [first, *(frame for frame, _ in zip(frames, range(10), strict=False))]
        took_s = time.monotonic() - started
    assert 1.8 < took_s < 2.6
    assert seen[0].image.shape == (240, 320, 3)
    read = seen[-1].index - seen[0].index
    assert abs(read - took_s * FPS) < 6
    # What the pictures themselves say: nothing was left out between source and us, and nothing came late.
    assert (number_of(seen[-1].image) - number_of(seen[0].image)) % 200 == read
    assert datetime.now(UTC) - seen[-1].captured_at < timedelta(seconds=1)


def test_a_slow_reader_sees_the_present(server: RtspServer) -> None:
    with open_source(server.url, 10) as source:
        frames = iter(source)
        first = next(frames)
        time.sleep(3)
        late = next(frames)
    assert datetime.now(UTC) - late.captured_at < timedelta(seconds=0.5)
    assert abs((number_of(late.image) - number_of(first.image)) % 200 - 3 * FPS) < 8


def test_a_server_that_is_killed_is_reported_within_bounded_time(server: RtspServer) -> None:
    with open_source(server.url, 10, camera="dock", reconnects=1) as source:
        frames = iter(source)
        next(frames)
        server.kill()
        started = time.monotonic()
        with pytest.raises(SourceError, match=r"camera 'dock': .*connection refused — .* fleet probe dock"):
            list(frames)
    assert time.monotonic() - started < 4


def test_a_server_that_freezes_is_reported_after_the_read_timeout(server: RtspServer) -> None:
    with open_source(server.url, 10, reconnects=0, read_timeout_s=1.5) as source:
        frames = iter(source)
        next(frames)
        server.freeze()
        started = time.monotonic()
        with pytest.raises(SourceError, match=r"no picture for 1\.5 s"):
            list(frames)
        assert 1 < time.monotonic() - started < 4
        with pytest.raises(SourceError, match="timed out after 1 s"):
            open_source(server.url, 10, open_timeout_s=1)


def test_a_server_that_comes_back_is_found_again(h264: Path) -> None:
    with rtsp_server(h264, FPS) as first:
        source = open_source(first.url, 10, reconnects=5)
        frames = iter(source)
        before = next(frames)
        first.kill()
        with rtsp_server(h264, FPS, port=first.port):
            after = next(frame for frame in frames if frame.captured_at > before.captured_at + timedelta(seconds=1))
            assert after.index > before.index
            source.close()


def test_passwords(h264: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEET_TEST_PASS", PASSWORD)
    monkeypatch.setenv("FLEET_TEST_WRONG", "Qzxjv@/")
    with rtsp_server(h264, FPS, user="admin", password=PASSWORD) as server:
        found = probe(server.url.replace("rtsp://", "rtsp://admin:${FLEET_TEST_PASS}@"))
        assert (found.width, found.height, found.live, found.kind) == (320, 240, True, "RTSP stream (h264)")
        for credentials in ("", "admin:${FLEET_TEST_WRONG}@"):
            with pytest.raises(SourceError, match=r"authentication failed \(401\) — check the user") as caught:
                open_source(server.url.replace("rtsp://", "rtsp://" + credentials), 2)
            assert "Qzx" not in str(caught.value)
        with pytest.raises(SourceError, match=r"not found \(404\)"):
            open_source(server.url.replace("rtsp://", "rtsp://admin:${FLEET_TEST_PASS}@") + "/other", 2)


def test_recording_a_stream(server: RtspServer) -> None:
    parts: dict[str, bytes] = {}
    summary = record(Camera(id="dock", source=server.url, fps=10), parts.__setitem__, seconds=1)
    assert 8 <= summary.frames <= 11
    assert summary.error is None
