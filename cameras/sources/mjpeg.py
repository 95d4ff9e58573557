"""MJPEG over HTTP: an endless multipart answer, a JPEG a part.

Parsed here and not by FFmpeg, so that redirects, passwords, certificates and sizes follow the rules of `web`, and so
that only the pictures that are due are decoded: a JPEG needs none of those before it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from cameras.images import decode_image
from cameras.sources.live import OPEN_TIMEOUT_S, READ_TIMEOUT_S, RECONNECTS, Broken, LiveSource
from cameras.sources.snapshot import MAX_BYTES
from cameras.sources.web import ContentType, WebAddress

__all__ = ["MJPEG", "MjpegStream", "parts"]

MJPEG = "multipart/x-mixed-replace"
_MAX_HEADER_BYTES = 64 * 1024


class MjpegStream(LiveSource):
    """Pictures of a multipart answer; `address` is the expanded URL and is never shown.

    Raises:
        SourceError: on construction when it does not open, on iteration when it broke for good.
    """

    def __init__(
        self,
        address: str,
        fps: float,
        *,
        source: str,
        camera: str = "",
        reconnects: int = RECONNECTS,
        open_timeout_s: float = OPEN_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        super().__init__(fps, source=source, camera=camera, reconnects=reconnects, read_timeout_s=read_timeout_s)
        self._address, self._open_timeout_s = address, open_timeout_s
        self.kind = "MJPEG stream"
        self.start()

    @contextmanager
    def connect(self) -> Iterator[Iterator[bytes]]:
        web = WebAddress(self._address, self._open_timeout_s, self._read_timeout_s)
        try:
            with web.get() as response:
                kind, boundary = ContentType.of(response)
                if kind != MJPEG:
                    raise Broken(f"it no longer sends {MJPEG}")
                yield self._pictures(parts(response.iter_raw(), boundary))
        finally:
            web.close()

    def _pictures(self, found: Iterator[bytes | None]) -> Iterator[bytes]:
        heard_at = time.monotonic()
        for part in found:
            if part:
                heard_at = time.monotonic()
                yield part
            elif time.monotonic() - heard_at > self._read_timeout_s:
                raise Broken(f"no picture for {self._read_timeout_s:g} s")

    def decode(self, raw: bytes) -> np.ndarray:
        return decode_image(raw)


def parts(chunks: Iterator[bytes], boundary: str) -> Iterator[bytes | None]:
    """The bodies of a multipart answer, as they are complete; None for a chunk that completed none.

    A body ends after its Content-Length where the part gives one, else at the next boundary. Cameras disagree whether
    the header's boundary includes the two dashes in front of it, so they are taken off.

    Raises:
        Broken: no boundary, or a part larger than `MAX_BYTES`.
    """
    mark = b"--" + boundary.removeprefix("--").encode("latin-1", "replace")
    if mark == b"--":
        raise Broken("its multipart answer names no boundary")
    waiting = bytearray()
    length: int | None = None  # of the body that `waiting` starts with; -1 unknown; None while before a body
    searched = 0
    for chunk in chunks:
        waiting += chunk
        complete = False
        while True:
            if length is None:
                start = waiting.find(mark)
                end = waiting.find(b"\r\n\r\n", start) if start >= 0 else -1
                skip = 4
                if end < 0 and start >= 0:
                    end, skip = waiting.find(b"\n\n", start), 2
                if end < 0:
                    if len(waiting) > _MAX_HEADER_BYTES:
                        raise Broken("its multipart answer is damaged")
                    break
                length = _content_length(bytes(waiting[start:end]))
                del waiting[: end + skip]
                searched = 0
            if max(length, len(waiting) if length < 0 else 0) > MAX_BYTES:
                raise Broken(f"it sends a picture of more than {MAX_BYTES} bytes")
            end = length if length >= 0 else waiting.find(mark, max(0, searched - len(mark)))
            if end < 0 or end > len(waiting):
                searched = len(waiting)
                break
            body = bytes(waiting[:end])
            del waiting[:end]
            length = None
            complete = True
            yield body if body.startswith(b"\xff\xd8") else body.strip(b"\r\n")
        if not complete:
            yield None


def _content_length(header: bytes) -> int:
    for line in header.splitlines():
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            return int(value)
    return -1
