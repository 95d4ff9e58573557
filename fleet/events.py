"""Flags of frames -> events: what a person is told of. No files, no network, no clock of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleet.detector.hysteresis import Hysteresis

__all__ = ["Event", "find_events"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that lasted.

    Attributes:
        first, last: places of its first and last flagged frame.
        start_s, end_s: their times.
        raised_s: when it was known, a few frames after it began.
        frames: how many of its frames are flagged.
        peak: the highest score of these; NaN where no scores were given.
    """

    first: int
    last: int
    start_s: float
    raised_s: float
    end_s: float
    frames: int
    peak: float


def find_events(
    flags: NDArray[np.bool_],
    times_s: NDArray[np.float64],
    clip: NDArray[np.int64],
    scores: NDArray[np.float64] | None = None,
    hysteresis: Hysteresis | None = None,
) -> list[Event]:
    """Events in their order; none reaches over the end of a clip.

    Args:
        flags: bool (N,), as `Threshold.flags` gives them.
        times_s, clip: of the same frames, as in `Footage`.
        scores: float64 (N,), for the peaks.
        hysteresis: 4 of 8 frames where it is None.
    """
    found = []
    for first, known, last in (hysteresis or Hysteresis()).spans(flags, times_s, clip):
        inside = np.flatnonzero(flags[first : last + 1]) + first
        peak = float("nan") if scores is None else float(scores[inside].max())
        start_s, raised_s, end_s = (float(times_s[place]) for place in (first, known, last))
        found.append(Event(first, last, start_s, raised_s, end_s, len(inside), peak))
    return found
