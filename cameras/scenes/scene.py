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
    """One rendering: `events` are the anomalous spans, in order and disjoint."""

    scene: str
    draw: int
    frames: int
    fps: float
    size_px: tuple[int, int]
    events: tuple[Span, ...]

    def rng(self, purpose: str) -> np.random.Generator:
        return np.random.default_rng([crc32(self.scene.encode()), self.draw, crc32(purpose.encode())])

    def event_at(self, frame: int) -> Span | None:
        return next((event for event in self.events if frame in event), None)


@dataclass(frozen=True)
class Scene:
    """A generated camera view. `size_px` is (width, height); `paint` yields the frames of a plan, lazily."""

    name: str
    description: str
    frames: int
    anomaly_ratio: float
    most_events: int
    paint: Callable[[Plan], Iterator[Labelled]]
    fps: float = 5.0
    size_px: tuple[int, int] = (320, 240)
