"""MJPEG streams, snapshots and videos of a real HTTP server on the loopback."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameras.errors import SourceError
from cameras.images import encode_jpeg, encode_png
from cameras.sources import mjpeg, open_source, probe, snapshot
from cameras.sources.live import Broken
from cameras.sources.mjpeg import parts
from tests.servers.web import WebCamera, web_camera

from .conftest import number_of, picture

PICTURES = [encode_jpeg(picture(number)) for number in range(200)]
PASSWORD = "p@ss/w?rd#é"


@pytest.fixture
def camera() -> Iterator[WebCamera]:
    with web_camera() as server:
        yield server


def with_password(url: str, monkeypatch: pytest.MonkeyPatch, password: str = PASSWORD) -> str:
    monkeypatch.setenv("FLEET_TEST_PASS", password)
    return url.replace("http://", "http://admin:${FLEET_TEST_PASS}@")


@pytest.mark.parametrize(("boundary", "lengths"), [("frame", True), ("--frame", False), ("frame", False)])
def test_an_mjpeg_stream(camera: WebCamera, boundary: str, lengths: bool) -> None:
    camera.mjpeg("/live", PICTURES, fps=50, boundary=boundary, lengths=lengths)
    with open_source(camera.url + "/live", 20) as source:
        assert (source.live, source.kind) == (True, "MJPEG stream")
        started = time.monotonic()
        frames = [frame for frame, _ in zip(source, range(11), strict=False)]
    assert 0.4 < time.monotonic() - started < 1.2
    numbers = [number_of(frame.image) for frame in frames]
    assert numbers == [frame.index for frame in frames]
    assert 18 < numbers[-1] < 60
    assert all(abs(datetime.now(UTC) - frame.captured_at) < timedelta(seconds=5) for frame in frames)


def test_a_slow_reader_of_mjpeg_sees_the_present(camera: WebCamera) -> None:
    camera.mjpeg("/live", PICTURES, fps=50)
    with open_source(camera.url + "/live", 50) as source:
        frames = iter(source)
        next(frames)
        time.sleep(1)
        frame = next(frames)
    assert number_of(frame.image) > 35
    assert datetime.now(UTC) - frame.captured_at < timedelta(seconds=1)


def test_an_mjpeg_stream_that_ends_and_stays_away(camera: WebCamera, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cameras.sources.live._BACKOFF_S", 0.01)
    camera.mjpeg("/live", PICTURES[:3], fps=50, loop=False)
    with open_source(camera.url + "/live", 50, camera="dock", reconnects=2) as source:
        frames = iter(source)
        next(frames)
        camera.replies.clear()
        with pytest.raises(SourceError, match=r"camera 'dock': .*/live: not found \(404\)"):
            list(frames)


def test_an_mjpeg_stream_that_stalls(camera: WebCamera) -> None:
    camera.mjpeg("/live", PICTURES, fps=0.01)
    started = time.monotonic()
    with (
        open_source(camera.url + "/live", 50, reconnects=0, read_timeout_s=0.3) as source,
        pytest.raises(SourceError, match=r"timed out after 0\.3 s"),
    ):
        list(source)
    assert time.monotonic() - started < 3


def test_a_snapshot_is_polled_at_the_rate_asked_for(camera: WebCamera) -> None:
    camera.body("/snap.jpg", "image/jpeg", PICTURES[7])
    with open_source(camera.url + "/snap.jpg", 10) as source:
        assert (source.live, source.kind) == (True, "HTTP snapshot")
        started = time.monotonic()
        frames = [frame for frame, _ in zip(source, range(6), strict=False)]
    assert 0.45 < time.monotonic() - started < 1.2
    assert [frame.index for frame in frames] == list(range(6))
    assert {number_of(frame.image) for frame in frames} == {7}


def test_probing_tells_what_it_is(camera: WebCamera, make_video: Callable[..., Path]) -> None:
    camera.body("/snap", "image/png; charset=binary", encode_png(picture(1)))
    camera.mjpeg("/live", PICTURES, fps=50)
    camera.body("/dock.mp4", "video/mp4", make_video().read_bytes())
    assert probe(camera.url + "/snap").kind == "HTTP snapshot"
    assert probe(camera.url + "/live").kind == "MJPEG stream"
    found = probe(camera.url + "/dock.mp4")
    assert (found.kind, found.fps, found.live, found.width, found.height) == ("h264 video file", 10.0, False, 64, 48)


def test_a_video_with_a_length_is_read_whole(camera: WebCamera, make_video: Callable[..., Path]) -> None:
    camera.body("/dock.mp4", "video/mp4", make_video(options={"movflags": "faststart"}).read_bytes())
    camera.redirect("/moved", "/dock.mp4")
    with open_source(camera.url + "/moved", 10) as source:
        assert [number_of(frame.image) for frame in source] == list(range(30))


@pytest.mark.parametrize("digest", [False, True])
@pytest.mark.parametrize("path", ["/snap.jpg", "/live"])
def test_passwords_of_any_characters(
    camera: WebCamera, monkeypatch: pytest.MonkeyPatch, digest: bool, path: str
) -> None:
    camera.credentials, camera.digest = ("admin", PASSWORD), digest
    camera.body("/snap.jpg", "image/jpeg", PICTURES[7])
    camera.mjpeg("/live", PICTURES, fps=50)
    with open_source(with_password(camera.url + path, monkeypatch), 50) as source:
        assert [frame.image.shape for frame, _ in zip(source, range(3), strict=False)] == [(48, 64, 3)] * 3
    assert camera.asked[0] == (path, "")  # nothing is told before it is asked for


@pytest.mark.parametrize("digest", [False, True])
def test_a_wrong_password(camera: WebCamera, monkeypatch: pytest.MonkeyPatch, digest: bool) -> None:
    camera.credentials, camera.digest = ("admin", "right"), digest
    camera.body("/snap.jpg", "image/jpeg", PICTURES[7])
    with pytest.raises(SourceError, match=r"authentication failed \(401\) — check the user and password") as caught:
        open_source(with_password(camera.url + "/snap.jpg", monkeypatch, "Qzxjv"), 2)
    assert "Qzxjv" not in str(caught.value)
    assert len(camera.asked) == (3 if digest else 2)  # Digest takes its challenge from an answer of its own


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("text/html; charset=utf-8", "it sends 'text/html', neither video nor picture"),
        ("", "it sends 'no content type'"),
        ("multipart/x-mixed-replace", "names no boundary"),
    ],
)
def test_what_is_neither_video_nor_picture(camera: WebCamera, kind: str, words: str) -> None:
    camera.body("/page", kind, b"hello")
    with pytest.raises(SourceError, match=words), open_source(camera.url + "/page", 50, reconnects=0) as source:
        list(source)


@pytest.mark.parametrize(("path", "words"), [("/gone", r"not found \(404\)"), ("/dead", r"the server failed \(503\)")])
def test_other_answers(camera: WebCamera, path: str, words: str) -> None:
    camera.replies["/dead"] = lambda handler: handler.send_error(503)
    with pytest.raises(SourceError, match=words):
        open_source(camera.url + path, 2)


def test_redirects_within_the_host_are_followed_with_the_password(
    camera: WebCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera.credentials = ("admin", PASSWORD)
    camera.redirect("/old", "/new/snap.jpg")
    camera.body("/new/snap.jpg", "image/jpeg", PICTURES[7])
    with open_source(with_password(camera.url + "/old", monkeypatch), 50) as source:
        assert number_of(next(iter(source)).image) == 7


def test_redirects_to_another_host_are_refused(camera: WebCamera, monkeypatch: pytest.MonkeyPatch) -> None:
    with web_camera() as other:
        other.body("/snap.jpg", "image/jpeg", PICTURES[7])
        camera.redirect("/away", other.url.replace("127.0.0.1", "localhost") + "/snap.jpg")
        with pytest.raises(SourceError, match="it redirects to another host"):
            open_source(with_password(camera.url + "/away", monkeypatch), 2)
        assert other.asked == []


def test_redirects_in_a_circle(camera: WebCamera) -> None:
    camera.redirect("/round", "/round")
    with pytest.raises(SourceError, match="it redirects without an end"):
        open_source(camera.url + "/round", 2)


def test_a_snapshot_that_breaks_off_is_asked_for_again(camera: WebCamera, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cameras.sources.live._BACKOFF_S", 0.01)
    camera.body("/snap.jpg", "image/jpeg", PICTURES[7])
    with open_source(camera.url + "/snap.jpg", 50, reconnects=2) as source:
        frames = iter(source)
        next(frames)
        camera.body("/snap.jpg", "image/jpeg", PICTURES[7][:-20])
        asked = len(camera.asked)
        with pytest.raises(SourceError, match="the picture is truncated or damaged"):
            next(frames)
        assert len(camera.asked) - asked == 3


def test_a_picture_without_an_end_is_cut_off(camera: WebCamera, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "MAX_BYTES", 100)
    monkeypatch.setattr(mjpeg, "MAX_BYTES", 100)
    camera.body("/snap.jpg", "image/jpeg", PICTURES[7])
    camera.mjpeg("/live", PICTURES, fps=50)
    camera.mjpeg("/unknown", PICTURES, fps=50, lengths=False)
    for path in ("/snap.jpg", "/live", "/unknown"):
        with (
            open_source(camera.url + path, 50, reconnects=0) as source,
            pytest.raises(SourceError, match="a picture of more than 100 bytes"),
        ):
            list(source)


def test_a_picture_that_trickles_in_is_not_waited_for(camera: WebCamera) -> None:
    def trickle(handler: object) -> None:
        handler.send_response(200)  # type: ignore[attr-defined]
        handler.send_header("Content-Type", "image/jpeg")  # type: ignore[attr-defined]
        handler.end_headers()  # type: ignore[attr-defined]
        for byte in PICTURES[7]:
            handler.wfile.write(bytes([byte]))  # type: ignore[attr-defined]
            if camera.stopping.wait(0.02):
                return

    camera.replies["/snap.jpg"] = trickle
    with (
        open_source(camera.url + "/snap.jpg", 50, reconnects=0, read_timeout_s=0.3) as source,
        pytest.raises(SourceError, match=r"no whole picture within 0\.3 s"),
    ):
        list(source)


def test_no_log_holds_a_token(
    camera: WebCamera, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """httpx would log each address with its query."""
    monkeypatch.setenv("FLEET_TEST_TOKEN", "Qzxjv")
    camera.body("/snap.jpg", "image/jpeg", PICTURES[7])
    with caplog.at_level(logging.DEBUG), open_source(camera.url + "/snap.jpg?token=${FLEET_TEST_TOKEN}", 50) as source:
        next(iter(source))
    assert camera.asked[0][0] == "/snap.jpg?token=Qzxjv"
    assert "Qzxjv" not in caplog.text


def test_the_proxy_of_the_environment_is_left_alone(camera: WebCamera, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    camera.body("/snap.jpg", "image/jpeg", PICTURES[7])
    assert probe(camera.url + "/snap.jpg").kind == "HTTP snapshot"


@given(st.lists(st.binary(min_size=0, max_size=40), min_size=1, max_size=6), st.booleans(), st.integers(1, 50))
def test_parts_are_found_however_the_bytes_arrive(tails: list[bytes], lengths: bool, step: int) -> None:
    """A body with a length may even hold the boundary itself."""
    mark = b"--frame" if lengths else b""
    bodies = [b"\xff\xd8" + tail + mark for tail in tails]
    stream = b"preamble\r\n"
    for body in bodies:
        length = b"content-length: %d\r\n" % len(body) if lengths else b""
        stream += b"--frame\r\n" + length + b"\r\n" + body + b"\r\n"
    stream += b"--frame--\r\n"
    chunks = (stream[at : at + step] for at in range(0, len(stream), step))
    found = [part for part in parts(chunks, "frame") if part is not None]
    assert [part if lengths else part.rstrip(b"\r\n") for part in found] == [
        body if lengths else body.rstrip(b"\r\n") for body in bodies
    ]


def test_a_stream_that_never_names_a_part_is_given_up() -> None:
    with pytest.raises(Broken, match="damaged"):
        list(parts(iter([b"x" * 1000] * 100), "frame"))
