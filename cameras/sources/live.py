"""Live sources: one thread reads all the time, the reader of frames gets the newest one that is due.

A slow reader of a stream sees the past, further back with every frame: the server's packets wait in line. So a thread
of ours reads and decodes everything and keeps only the latest picture. When the connection breaks it comes back, a
bounded number of times, with growing pauses; only then does the reader hear of it.
"""

from __future__ import annotations

import random
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np

from cameras.errors import FrameError, SourceError
from cameras.frame import Frame
from cameras.sources.failure import cannot_open
from cameras.sources.source import Source

__all__ = ["OPEN_TIMEOUT_S", "READ_TIMEOUT_S", "RECONNECTS", "Broken", "LiveSource", "Pace", "backoff_s"]

OPEN_TIMEOUT_S = 5.0  # to connect and to learn what is sent; a camera on the same network answers in a tenth of it
READ_TIMEOUT_S = (
    10.0  # without a picture, after which a stream counts as broken: longer than any sane keyframe interval
)
RECONNECTS = 3  # tries in a row, 0.5 to 4 s apart, before the reader is told: a camera's reboot is for the caller
_BACKOFF_S = 0.5
_BACKOFF_LIMIT_S = 30.0
_CLOSE_WAIT_S = 1.0  # for the thread; a server that froze holds it until its read times out, and it ends by itself


class Broken(Exception):
    """A connection that gave out. Its one argument is the cause, in our own words."""


class _Picture(NamedTuple):
    raw: Any  # what `connect` gave; `decode` makes an image of it
    captured_at: datetime
    place: int  # `index` is a method of tuples


class LiveSource(Source):
    """A stream that is read all the time. A kind of stream is two methods: `connect` and `decode`.

    Args:
        reconnects: tries in a row after a break before the iterator raises; a picture resets the count.
    """

    live = True

    def __init__(
        self, fps: float, *, source: str, camera: str, reconnects: int, read_timeout_s: float = READ_TIMEOUT_S
    ) -> None:
        self._fps, self._source, self._camera, self._reconnects = fps, source, camera, reconnects
        self._read_timeout_s = read_timeout_s
        self._latest: _Picture | None = None
        self._opened = False
        self._ended: str | None = None
        self._changed = threading.Condition()
        self._stop = threading.Event()
        # A daemon: a server that froze must not keep the process from ending.
        self._thread = threading.Thread(target=self._read, name=f"source-{camera or 'unnamed'}", daemon=True)

    @abstractmethod
    def connect(self) -> AbstractContextManager[Iterator[Any]]:
        """Connect; inside, pictures as they come.

        Raises:
            Broken: on entering or while reading. An iterator that ends counts as broken, too.
        """

    @abstractmethod
    def decode(self, raw: Any) -> np.ndarray:
        """A picture that `connect` gave -> RGB uint8 (height, width, 3). FrameError leaves it out."""

    def start(self) -> None:
        """Begin to read; returns when the first connection is made.

        Raises:
            SourceError: no connection, or nothing that is a video. The first connection is not tried again.
        """
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._opened or self._ended is not None)
        if not self._opened:
            raise self._error(self._ended or "")

    def __iter__(self) -> Iterator[Frame]:
        given = -1
        pace = Pace(self._fps)
        decoded_at = time.monotonic()
        while True:
            self._stop.wait(pace.wait_s())
            with self._changed:
                while not self._stop.is_set() and not self._newer_than(given) and self._ended is None:
                    self._changed.wait()
                picture = self._latest
                if self._stop.is_set():
                    return
                if picture is None or picture.place <= given:
                    raise self._error(self._ended or "")
            given = picture.place
            try:
                image = self.decode(picture.raw)
            except FrameError:  # a damaged picture is left out: the next one comes soon
                if time.monotonic() - decoded_at > self._read_timeout_s:
                    raise self._error(f"only damaged pictures for {self._read_timeout_s:g} s") from None
                continue
            pace.step()
            decoded_at = time.monotonic()
            yield Frame(image, picture.captured_at, picture.place)

    def _newer_than(self, given: int) -> bool:
        return self._latest is not None and self._latest.place > given

    def _error(self, cause: str) -> SourceError:
        return cannot_open(self._source, cause, self._camera)

    def close(self) -> None:
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_WAIT_S)

    def _read(self) -> None:
        """The thread: reads, reconnects, and at last leaves the cause in `_ended`."""
        failures, index = 0, 0
        cause = "the stream ended"
        while not self._stop.is_set():
            try:
                with self.connect() as pictures:
                    self._tell(opened=True)
                    for raw in pictures:
                        failures = 0
                        self._tell(_Picture(raw, datetime.now(UTC), index))
                        index += 1
                        if self._stop.is_set():
                            return
                cause = "the stream ended"
            except Broken as error:
                cause = str(error)
            except Exception as error:  # a thread that dies silently would leave its reader waiting for ever
                cause = f"it cannot be read ({type(error).__name__})"
            if failures >= self._reconnects or not self._opened:
                break
            failures += 1
            self._stop.wait(backoff_s(failures))
        self._tell(ended=cause)

    def _tell(self, picture: _Picture | None = None, *, opened: bool = False, ended: str | None = None) -> None:
        with self._changed:
            self._latest = picture or self._latest
            self._opened = opened or self._opened
            self._ended = ended
            self._changed.notify_all()


class Pace:
    """When the next frame is due: on a grid, so that the rate is right on average.

    A frame later than a whole step, as the first one is, starts the grid anew: what was missed is not made up for.
    """

    def __init__(self, fps: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._step_s, self._clock = 1 / fps, clock
        self._due: float | None = None

    def wait_s(self) -> float:
        """How long until the next frame is due."""
        return 0.0 if self._due is None else max(0.0, self._due - self._clock())

    def step(self) -> None:
        """A frame is given now."""
        now = self._clock()
        if self._due is None or now - self._due > self._step_s:
            self._due = now
        self._due += self._step_s


def backoff_s(failures: int, random_share: Callable[[], float] = random.random) -> float:
    """How long to wait after that many failures in a row: it doubles, up to a limit.

    Between half and all of it at random, or the cameras behind one switch would all come back in the same moment.
    """
    return min(_BACKOFF_LIMIT_S, _BACKOFF_S * 2 ** min(failures, 16)) * (0.5 + 0.5 * random_share())
