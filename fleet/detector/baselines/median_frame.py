"""`MedianFrame`: a still picture as the model. No network, no training."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleet.detector.baselines.baseline import Baseline, chunks_of
from fleet.detector.baselines.scene import Scene
from fleet.detector.footage import Footage
from fleet.detector.reference import median_frame
from fleet.detector.score import pcc

__all__ = ["MedianFrame"]


class MedianFrame(Baseline):
    """1 - PCC (eq 2) of each frame with the median of each pixel over time.

    What is there in fewer than half of the frames is not in the picture. A network that reconstructs one and the same
    picture comes to this (or to the mean frame), so whatever trains must beat it.
    """

    method = "median-frame"
    reconstructs = True

    @classmethod
    def learn(
        cls, footage: Footage, scene: Scene, ends: NDArray[np.intp], seed: int, epochs: int | None, device: str
    ) -> dict[str, NDArray[Any]]:
        return {"median": median_frame(footage.frames)}

    def measure(self, frames: NDArray[np.uint8], ends: NDArray[np.intp]) -> NDArray[np.float64]:
        values = np.zeros(len(ends))
        for part in chunks_of(ends, frames):
            some = frames[ends[part]]
            values[part] = 1 - pcc(some, np.broadcast_to(self.learnt["median"], some.shape), self.scene.valid)
        return values
