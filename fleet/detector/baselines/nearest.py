"""`NearestNeighbours`: how far a frame is from the frames most like it at other times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleet.detector.baselines.baseline import Baseline
from fleet.detector.baselines.embedding import Embedding
from fleet.detector.baselines.scene import Scene
from fleet.detector.footage import Footage
from fleet.detector.frames import evenly_spaced

__all__ = ["NearestNeighbours"]

_NEIGHBOURS = 5

# An event's own frames are each other's neighbours; those within so many seconds of a frame do not vote, or within a
# quarter of all there is where that is less.
_APART_S = 20.0

_MOST_POINTS = 20_000
_ROWS = 256

# Points closer than this share of the spread are one and the same frame.
_SAME = 1e-4


class NearestNeighbours(Baseline):
    """Mean Euclidean distance to the 5 nearest frames of other times, on an `Embedding` of 16 dimensions.

    A frame that it was fitted on is recognised by its embedding, and the frames of its clip within 20 s of it are left
    out, so that an event does not vouch for itself. Of more than 20,000 frames an evenly spaced 20,000 are kept; the
    others are then measured as new frames are, with their neighbours in time.
    """

    method = "nearest-neighbours"

    def __init__(self, scene: Scene, learnt: Mapping[str, NDArray[Any]], typical: float = 0.0) -> None:
        super().__init__(scene, learnt, typical)
        self._embedding = Embedding.from_arrays(scene, learnt)

    @classmethod
    def learn(
        cls, footage: Footage, scene: Scene, ends: NDArray[np.intp], seed: int, epochs: int | None, device: str
    ) -> dict[str, NDArray[Any]]:
        embedding = Embedding.of(scene, footage.frames)
        kept = evenly_spaced(len(footage), _MOST_POINTS)
        ends_s = np.flatnonzero(np.r_[footage.clip[1:] != footage.clip[:-1], True])
        starts_s = np.r_[0, ends_s[:-1] + 1]
        total_s = float((footage.times_s[ends_s] - footage.times_s[starts_s]).sum())
        return embedding.arrays() | {
            "points": embedding(footage.frames)[kept],
            "times_s": footage.times_s[kept],
            "clip": footage.clip[kept],
            "apart_s": np.array(min(_APART_S, total_s / 4)),
        }

    def measure(self, frames: NDArray[np.uint8], ends: NDArray[np.intp]) -> NDArray[np.float64]:
        queries = self._embedding(frames[ends]).astype(np.float64)
        points, times_s, clip = self.learnt["points"].astype(np.float64), self.learnt["times_s"], self.learnt["clip"]
        k = min(_NEIGHBOURS, max(1, len(points) // 4))
        same = (_SAME**2) * points.var(axis=0).sum()
        squares = np.square(points).sum(axis=1)
        values = np.zeros(len(queries))
        for start in range(0, len(queries), _ROWS):
            some = queries[start : start + _ROWS]
            squared = np.square(some).sum(axis=1)[:, None] + squares - 2 * some @ points.T
            nearest = squared.argmin(axis=1)
            known = squared[np.arange(len(some)), nearest] <= same
            own = np.abs(times_s - times_s[nearest, None]) <= self.learnt["apart_s"]
            own &= clip == clip[nearest, None]
            squared[own & known[:, None]] = np.inf
            voting = np.partition(squared, k - 1, axis=1)[:, :k]
            values[start : start + _ROWS] = np.sqrt(np.maximum(voting, 0)).mean(axis=1)
        return values
