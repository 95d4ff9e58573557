"""`Hysteresis`: flags of single frames -> spans of time in which something is the matter. One flag alone is noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

__all__ = ["Hysteresis", "Span"]

Span = tuple[int, int, int]
"""Places of the first flagged frame, of the frame at which the span is known, and of the last flagged frame."""


@dataclass(frozen=True, slots=True)
class Hysteresis:
    """When flags are an event.

    Attributes:
        needed, of: an event has so many flagged ones among so many frames in a row of one clip.
        min_s: from the first to the last flag; what is shorter is dropped.
        merge_s: spans of one clip that lie at most so far apart are one.

    Raises:
        ValueError: a value out of its bounds.
    """

    needed: int = 4
    of: int = 8
    min_s: float = 0.0
    merge_s: float = 5.0

    def __post_init__(self) -> None:
        if not 1 <= self.needed <= self.of <= 1_000:
            raise ValueError(f"{self.needed} of {self.of} frames cannot be: 1 <= needed <= of <= 1000, try 4 of 8")
        if not (0 <= self.min_s < float("inf") and 0 <= self.merge_s < float("inf")):
            raise ValueError("min_s and merge_s are seconds, at least 0")

    def sustained(self, scores: NDArray[np.float64], clip: NDArray[np.int64]) -> NDArray[np.float64]:
        """The highest level that `needed` of the last `of` frames reach: float64 (N,), -inf where a clip has too few.

        A level is exceeded by enough frames exactly where it is below this.
        """
        values = sliding_window_view(np.r_[np.full(self.of - 1, -np.inf), scores], self.of)  # (N, of), itself last
        clips = sliding_window_view(np.r_[np.zeros(self.of - 1, np.int64), clip], self.of)
        own = np.where(clips == clip[:, None], values, -np.inf)
        level: NDArray[np.float64] = np.partition(own, self.of - self.needed, axis=1)[:, self.of - self.needed]
        return level

    def spans(self, flags: NDArray[np.bool_], times_s: NDArray[np.float64], clip: NDArray[np.int64]) -> list[Span]:
        """Spans in their order.

        Args:
            flags, times_s, clip: (N,) each; times in seconds, rising inside a clip.
        """
        if not flags.any():
            return []
        known = np.flatnonzero(self.sustained(flags.astype(np.float64), clip) > 0.5)
        if not len(known):
            return []
        flagged = np.flatnonzero(flags)
        starts = np.flatnonzero(np.r_[True, clip[1:] != clip[:-1]])
        clip_start = starts[np.searchsorted(starts, known, side="right") - 1]
        # What the window of each such frame holds: its first flag and its last one.
        first = flagged[np.searchsorted(flagged, np.maximum(known - self.of + 1, clip_start))]
        last = flagged[np.searchsorted(flagged, known, side="right") - 1]
        apart = (clip[known[1:]] != clip[known[:-1]]) | (times_s[first[1:]] - times_s[last[:-1]] > self.merge_s)
        begins = np.flatnonzero(np.r_[True, apart])
        ends = np.r_[begins[1:], len(known)] - 1
        found = zip(first[begins].tolist(), known[begins].tolist(), last[ends].tolist(), strict=True)
        return [span for span in found if times_s[span[2]] - times_s[span[0]] >= self.min_s]
