"""What a request to score carries: frames in their order, times that are theirs, and what is wrong with either."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from fleet.errors import FrameError, UsageError
from serve.posted import Posted, read_posted


def read(**made: Any) -> Posted:
    """What is read of a request as a client would make it, in pieces of a kilobyte."""
    request = httpx.Request("POST", "http://test/", **made)
    body = request.read()
    pieces = [body[start : start + 1024] for start in range(0, len(body), 1024)]
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Any:
        return messages.pop(0)

    headers = [(name.lower(), value) for name, value in request.headers.raw]
    return asyncio.run(read_posted(Request({"type": "http", "method": "POST", "headers": headers}, receive)))


def form(count: int, times: Sequence[str] = (), name: str = "frame") -> dict[str, Any]:
    """A form of so many files, each with its place as its content."""
    return {
        "files": [(name, (f"{place}.jpg", f"{place}".encode())) for place in range(count)],
        "data": {"time": list(times)},
    }


def test_a_body_is_one_frame_whatever_its_type_is_said_to_be() -> None:
    for kind in ("image/jpeg", "application/x-www-form-urlencoded", ""):
        assert read(content=b"picture", headers={"content-type": kind}) == Posted((b"picture",))
    assert read(content=b"") == Posted((b"",))


@pytest.mark.parametrize("count", [1, 2, 63, 64])
def test_the_files_of_a_form_are_frames_in_their_order(count: int) -> None:
    assert read(**form(count)) == Posted(tuple(f"{place}".encode() for place in range(count)))


def test_a_single_file_is_meant_whatever_it_is_called() -> None:
    assert read(**form(1, name="upload")).frames == (b"0",)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (["0", "0.5", "1"], (0, 500_000, 1_000_000)),
        (["-1.5", "0", "1e3"], (-1_500_000, 0, 1_000_000_000)),
        (["1795485600.100001", "1795485600.100002", "1795485600.2"],
         (1_795_485_600_100_001, 1_795_485_600_100_002, 1_795_485_600_200_000)),
        (["2026-11-24T02:00:00Z", "2026-11-24T02:00:00.5+00:00", "2026-11-24T03:00:01+01:00"],
         (1_795_485_600_000_000, 1_795_485_600_500_000, 1_795_485_601_000_000)),
    ],
    ids=["seconds", "negative and large", "epoch to the microsecond", "ISO 8601"],
)  # fmt: skip
def test_times_are_microseconds(times: list[str], expected: tuple[int, ...]) -> None:
    assert read(**form(3, times)).times_us == expected


def test_fields_of_other_names_say_nothing() -> None:
    made = form(2)
    made["data"] |= {"note": "x", "times": "1"}
    assert read(**made) == Posted((b"0", b"1"))


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (form(65), "more than 64 files — send 1 to 64 files, oldest first"),
        (form(1000), "more than 64 files"),
        (form(0, ["1"]) | {"files": [("frame", (None, b"text"))]}, "holds no file"),
        (form(2, name="image"), "files that are not called 'frame' — send 1 to 64 files"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, "malformed"),
        ({"content": b"--a", "headers": {"content-type": "multipart/form-data; boundary=cut"}}, "malformed"),
        (form(1) | {"data": {"note": ["x"] * 200}}, "malformed"),
        (form(3, ["1", "2"]), "3 frames and 2 times — send one a frame, oldest first, or none"),
        (form(1, ["1", "2"]), "1 frames and 2 times"),
        (form(3, ["2", "1", "3"]), "time 2 is not after time 1"),
        (form(3, ["1", "2", "2"]), "time 3 is not after time 2"),
        (form(2, ["1", "1.0000001"]), "time 2 is not after time 1"),  # the same microsecond
        (form(2, ["2026-11-24T03:00:00+01:00", "2026-11-24T02:00:00Z"]), "time 2 is not after time 1"),
        (form(1, [""]), "'' is neither ISO 8601 nor seconds"),
        (form(1, ["noon"]), "'noon' is neither ISO 8601 nor seconds"),
        (form(1, ["2026-11-24T02:00:00"]), "has no zone — end it with Z"),
        (form(1, ["2026-13-24T02:00:00Z"]), "neither"),
        (form(1, ["nan"]), "'nan' is no number of seconds"),
        (form(1, ["sNaN"]), "no number"),
        (form(1, ["-inf"]), "no number"),
        (form(1, ["1e999999"]), "no number"),
        (form(1, ["1795485600000"]), "no number"),  # milliseconds
        (form(1, ["x" * 100_000]), "neither"),
        (form(1, ["0001-01-01T00:00:00+14:00", "1"]), "1 frames and 2 times"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value[:40],
)
def test_what_is_wrong_is_told_with_its_rule_and_remedy(made: dict[str, Any], says: str) -> None:
    with pytest.raises((FrameError, UsageError)) as caught:
        read(**made)
    assert says in str(caught.value)
    assert caught.value.http_status == 422
    assert caught.value.remedy
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("time", ["1e-999999", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1_000"])
def test_times_at_the_edge_are_taken(time: str) -> None:
    assert read(**form(1, [time])).times_us is not None


@pytest.mark.parametrize("made", [{"content": bytes(17 * 2**20)}, {"files": [("frame", bytes(2**20))] * 17}])
def test_a_body_over_the_limit_is_not_read_to_its_end(made: dict[str, Any]) -> None:
    with pytest.raises(FrameError, match="over 16 MiB — send smaller or fewer JPEGs") as caught:
        read(**made)
    assert caught.value.http_status == 413
