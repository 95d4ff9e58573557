"""Snapshots: a web address that answers with one picture, asked for it again and again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Event

import numpy as np

from cameras.errors import FrameError
from cameras.frame import Frame
from cameras.images import decode_image
from cameras.sources.failure import cannot_open
from cameras.sources.live import OPEN_TIMEOUT_S, READ_TIMEOUT_S, RECONNECTS, Broken, Pace, backoff_s
from cameras.sources.source import Source
from cameras.sources.web import ContentType, WebAddress

__all__ = ["MAX_BYTES", "SNAPSHOT_KINDS", "Snapshot"]

MAX_BYTES = 32 * 1024 * 1024  # an 8K JPEG has about 10 MB
SNAPSHOT_KINDS = frozenset({"image/jpeg", "image/jpg", "image/pjpeg", "image/png"})


class Snapshot(Source):
    """One picture every 1/fps s. A failed request is repeated after growing pauses, a bounded number of times in a row.

    Raises:
        SourceError: on iteration, when the server does not answer with a whole picture any more.
    """

    live = True

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
        self._fps, self._source, self._camera, self._reconnects = fps, source, camera, reconnects
        self._read_timeout_s = read_timeout_s
        self._stop = Event()
        self.kind = "HTTP snapshot"
        try:
            self._web = WebAddress(address, open_timeout_s, read_timeout_s)
        except Broken as error:
            raise cannot_open(source, str(error), camera) from None

    def __iter__(self) -> Iterator[Frame]:
        index, failures = 0, 0
        pace, pause_s = Pace(self._fps), 0.0
        try:
            while not self._stop.wait(pause_s):
                try:
                    image = self._fetch()
                except (Broken, FrameError) as error:
                    if failures >= self._reconnects:
                        cause = error.cause if isinstance(error, FrameError) else str(error)
                        raise cannot_open(self._source, cause, self._camera) from None
                    failures += 1
                    pause_s = backoff_s(failures)
                    continue
                failures = 0
                pace.step()
                yield Frame(image, datetime.now(UTC), index)
                index += 1
                pause_s = pace.wait_s()
        finally:
            self._web.close()  # here and not in `close`, which another thread may call during a request

    def _fetch(self) -> np.ndarray:
        deadline = time.monotonic() + self._read_timeout_s
        with self._web.get() as response:
            kind = ContentType.of(response).kind
            if kind not in SNAPSHOT_KINDS:
                raise Broken(f"it sends '{kind[:60]}', not a picture")
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise Broken(f"it sends a picture of more than {MAX_BYTES} bytes")
                if time.monotonic() > deadline:  # httpx's own time-out starts again with every byte
                    raise Broken(f"no whole picture within {self._read_timeout_s:g} s")
        return decode_image(bytes(body))

    def close(self) -> None:
        self._stop.set()
