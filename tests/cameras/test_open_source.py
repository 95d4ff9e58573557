from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cameras.errors import SourceError
from cameras.sources import Probe, open_source, probe

from .conftest import write_pictures


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            "/no/such/dock.mp4",
            "no such file or folder: '/no/such/dock.mp4' — check the path with: ls /no/such/dock.mp4",
        ),
        ("/no/such dir", "check the path with: ls '/no/such dir'"),
        ("", "the source is empty"),
        ("/dev/null", "neither a file nor a folder"),
        ("/tmp/" + "x" * 5000, "it cannot be read"),
        ("/tmp/a\0b", "no such file or folder"),
        ("rtsp:/10.0.0.9/s", "an address starts with rtsp://"),
        ("http:10.0.0.9/s", "an address starts with http://"),
        ("ftp://10.0.0.9/s", "'ftp://' is not a kind of source — give rtsp://"),
        ("file:///tmp/x.mp4", "'file://' is not a kind of source"),
        ("rtsp://127.0.0.1:1/s", "rtsp://127.0.0.1:1/s: connection refused — check it with: fleet probe dock"),
        ("rtsps://127.0.0.1:1/s", "connection refused"),
        ("http://127.0.0.1:1/s", "connection refused"),
        ("rtsp://nosuchhost.invalid/s", "host not found"),
        ("http://nosuchhost.invalid/s", "host not found"),
        ("http://[::1/s", "this is no web address"),
    ],
)
def test_what_does_not_open_says_why_and_what_next(source: str, words: str) -> None:
    with pytest.raises(SourceError) as caught:
        open_source(source, 2, camera="dock")
    message = str(caught.value)
    assert message.startswith("camera 'dock': ")
    assert words in message
    assert "\n" not in message


SECRET = "Qzx@jv/77"


@pytest.mark.parametrize(
    "source",
    [
        "rtsp://admin:${FLEET_TEST_SECRET}@127.0.0.1:1/s",
        "rtsp://${FLEET_TEST_SECRET}@nosuchhost.invalid/s",
        "rtsps://admin:${FLEET_TEST_SECRET}@127.0.0.1:1/s",
        "http://admin:${FLEET_TEST_SECRET}@127.0.0.1:1/snap.jpg",
        "https://127.0.0.1:1/snap.jpg?token=${FLEET_TEST_SECRET}",
        "http://nosuchhost.invalid/${FLEET_TEST_SECRET}",
        "/footage/${FLEET_TEST_SECRET}",
        "rtsp://admin:Qzx@jv/77@127.0.0.1:1/s",
        "http://admin:Qzx@jv/77@127.0.0.1:1/s",
        "srt://127.0.0.1:99999/?passphrase=${FLEET_TEST_SECRET}",
        "${FLEET_TEST_SECRET}",
    ],
)
def test_no_message_holds_what_a_reference_stands_for(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEET_TEST_SECRET", SECRET)
    with pytest.raises(SourceError) as caught:
        open_source(source, 2, camera="dock", open_timeout_s=1)
    said = str(caught.value) + repr(caught.value)
    for part in ("Qzx", "jv/77", "jv%2F77"):
        assert part not in said
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_a_missing_variable_is_named_with_the_camera() -> None:
    with pytest.raises(SourceError, match=r"^camera 'dock': the source refers to FLEET_TEST_UNSET, which is not set"):
        open_source("rtsp://${FLEET_TEST_UNSET}@h/s", 2, camera="dock")


def test_a_whole_address_may_be_a_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEET_TEST_URL", "rtsp://admin:Qzx@127.0.0.1:1/s")
    with pytest.raises(SourceError, match=r"\$\{FLEET_TEST_URL\}: connection refused") as caught:
        open_source("${FLEET_TEST_URL}", 2)
    assert "Qzx" not in str(caught.value)


def test_probing_a_file_and_a_folder(make_video: Callable[..., Path], tmp_path: Path) -> None:
    assert probe(str(make_video())) == Probe(64, 48, 10.0, False, "h264 video file")
    write_pictures(tmp_path / "pictures", ["1.jpg"])
    assert probe(str(tmp_path / "pictures"), 4) == Probe(64, 48, None, False, "image folder")


def test_a_path_may_start_at_home(make_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(make_video().parent))
    assert probe("~/dock.mp4").kind == "h264 video file"
