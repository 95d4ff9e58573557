"""`Source`: what every kind of source is to its reader."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from cameras.frame import Frame

__all__ = ["Source"]


class Source(ABC):
    """Frames of one camera, in the order they were captured. Use it in a `with`, iterate it once.

    Attributes:
        live: the frames come at the world's pace and without an end; a file's come as fast as they are read.
        kind: what it turned out to be, for people: `h264 video file`, `RTSP stream (h264)`, `image folder`.
        native_fps: how many frames a second it holds before sampling, where it says so.
    """

    live: bool = False
    kind: str = ""
    native_fps: float | None = None

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """The frames, sampled at the rate that was asked for.

        Raises:
            SourceError: a file is damaged, or a stream broke and did not come back.
        """

    def close(self) -> None:  # noqa: B027 - most sources hold nothing open
        """Let go of files, connections and threads. May be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
