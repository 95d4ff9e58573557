"""What a request to score carries: one picture as its body, or a form of ordered frames with their times."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import pairwise

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from fleet.errors import FrameError, UsageError

__all__ = ["MAX_BODY_BYTES", "MAX_FRAMES", "Posted", "read_posted"]

MAX_BODY_BYTES = 16 * 2**20
MAX_FRAMES = 64

_OTHER_FIELDS = 16  # that a form may hold beside its times
_FARTHEST_S = 10**11  # the year 5138: beyond it lie milliseconds that were taken for seconds
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SEND_FILES = f"send 1 to {MAX_FRAMES} files, oldest first: -F frame=@a.jpg -F frame=@b.jpg"
_SEND_TIMES = "send one a frame, oldest first, or none: -F time=2026-11-24T02:00:00.5Z, or seconds: -F time=0.5"


@dataclass(frozen=True, slots=True)
class Posted:
    """Encoded pictures, oldest first, and microseconds since any start that are theirs; None where none were sent."""

    frames: tuple[bytes, ...]
    times_us: tuple[int, ...] | None = None


class _TooLarge(FrameError):
    http_status = 413


async def read_posted(request: Request) -> Posted:
    """The frames of a request: its body, or the files of a form. Never reads more than the limit.

    Raises:
        FrameError: too large, malformed, no file or too many.
        UsageError: times that are none, are not as many as the frames, or do not rise.
    """
    received = bytearray()
    async for piece in request.stream():
        received += piece
        if len(received) > MAX_BODY_BYTES:
            raise _TooLarge(f"the body is over {MAX_BODY_BYTES // 2**20} MiB", "send smaller or fewer JPEGs")
    body = bytes(received)
    if not request.headers.get("content-type", "").lower().startswith("multipart/"):
        return Posted((body,))

    async def stream() -> AsyncIterator[bytes]:
        yield body

    try:
        form = await MultiPartParser(
            request.headers,
            stream(),  # type: ignore[arg-type]
            max_files=MAX_FRAMES,
            max_fields=MAX_FRAMES + _OTHER_FIELDS,
        ).parse()
    except (MultiPartException, KeyError, ValueError):
        raise FrameError(f"the form is malformed, or holds more than {MAX_FRAMES} files", _SEND_FILES) from None
    try:
        frames = await _frames(form)
        return Posted(frames, _times_us(form, len(frames)))
    finally:
        await form.close()


async def _frames(form: FormData) -> tuple[bytes, ...]:
    files = [(name, value) for name, value in form.multi_items() if isinstance(value, UploadFile)]
    if not files:
        raise FrameError("the form holds no file", _SEND_FILES)
    if len(files) > 1 and any(name != "frame" for name, _ in files):  # a single one is meant, whatever it is called
        raise FrameError("the form holds files that are not called 'frame'", _SEND_FILES)
    return tuple([await file.read() for _, file in files])


def _times_us(form: FormData, frames: int) -> tuple[int, ...] | None:
    texts = [value for value in form.getlist("time") if isinstance(value, str)]
    if not texts:
        return None
    if len(texts) != frames:
        raise UsageError(f"the form holds {frames} frames and {len(texts)} times", _SEND_TIMES)
    times = tuple(map(_parse_us, texts))
    for place, (before, after) in enumerate(pairwise(times), start=2):
        if after <= before:
            raise UsageError(f"time {place} is not after time {place - 1}", _SEND_TIMES)
    return times


def _parse_us(text: str) -> int:
    """`2026-11-24T02:00:00.5Z`, or seconds since any start -> microseconds.

    Raises:
        UsageError: neither, or a time without a zone.
    """
    try:
        seconds = Decimal(text)
    except InvalidOperation:
        return _iso_us(text)
    if not (seconds.is_finite() and abs(seconds) <= _FARTHEST_S):
        raise UsageError(f"the time {text[:40]!r} is no number of seconds", _SEND_TIMES)
    return round(seconds * 10**6)


def _iso_us(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"the time {text[:40]!r} is neither ISO 8601 nor seconds", _SEND_TIMES) from None
    if moment.tzinfo is None:
        raise UsageError(f"the time {text[:40]!r} has no zone", "end it with Z for UTC, or send seconds")
    return (moment - _EPOCH) // timedelta(microseconds=1)
