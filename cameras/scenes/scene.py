"""What a scene is, and what one rendering of it is asked for.

A `Scene` is a row of the catalogue: its name, its defaults and the generator that draws it.
A `Plan` is one rendering with every default filled in. Everything random in a scene comes from
`Plan.rng(purpose)`, a stream of its own for each purpose, so that the same draw has the same room and
the same people whether or not it holds anomalies: the clean twin of a camera is `anomaly_ratio=0`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
"""RGB, (height, width, 3), uint8."""

Labelled = tuple[Picture, bool]
"""A frame and whether it is anomalous."""


@dataclass(frozen=True)
class Span:
    """Frames `start` up to, not including, `stop`."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def __contains__(self, frame: object) -> bool:
        return isinstance(frame, int) and self.start <= frame < self.stop


@dataclass(frozen=True)
class Plan:
    """One rendering: `events` are the anomalous spans, in order and disjoint.

    `start_s` is when it begins, in seconds since a midnight; of a scene by the clock, an event that has begun
    before keeps its negative start, and one that goes on after keeps its stop.
    """

    scene: str
    draw: int
    frames: int
    fps: float
    size_px: tuple[int, int]
    events: tuple[Span, ...]
    start_s: float = 0.0

    @property
    def anomalous(self) -> int:
        """How many of the frames are."""
        return sum(min(event.stop, self.frames) - max(event.start, 0) for event in self.events)

    def rng(self, purpose: str) -> np.random.Generator:
        return np.random.default_rng([crc32(self.scene.encode()), self.draw, crc32(purpose.encode())])

    def event_at(self, frame: int) -> Span | None:
        return next((event for event in self.events if frame in event), None)


@dataclass(frozen=True)
class Scene:
    """A generated camera view. `size_px` is (width, height); `paint` yields the frames of a plan, lazily.

    A scene `by_clock` is a function of the time of day: its default recording begins at `start_s`, a part of
    a day is the same as that part of the whole, and its events last `shortest_event_s` at least.
    """

    name: str
    description: str
    frames: int
    anomaly_ratio: float
    most_events: int
    paint: Callable[[Plan], Iterator[Labelled]]
    fps: float = 5.0
    size_px: tuple[int, int] = (320, 240)
    by_clock: bool = False
    start_s: float = 0.0
    shortest_event_s: float = 15.0
