"""`Mog2`: background subtraction by a mixture of Gaussians a pixel."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fleet.detector.baselines.baseline import Baseline
from fleet.detector.baselines.scene import Scene
from fleet.detector.footage import Footage
from fleet.detector.frames import evenly_spaced

__all__ = ["Mog2"]

# OpenCV's own default history: the mixture forgets what is further back.
_HISTORY = 500


class Mog2(Baseline):
    """Share of the pixels that count which OpenCV's MOG2 calls foreground.

    Z. Zivkovic, "Improved adaptive Gaussian mixture model for background subtraction", ICPR 2004; Zivkovic and
    van der Heijden, Pattern Recognition Letters 2006. OpenCV's defaults, without its detection of shadows.

    Ours: OpenCV does not save the mixture. So at most 500 evenly spaced frames are kept and shown to it again, in a
    random order and each with the same weight, so that the mixture is the whole footage's: not its last minutes' and
    not the first frames', which OpenCV's own rate prefers. It does not adapt while scoring: a score depends
    on no frame before.
    """

    method = "mog2"

    @classmethod
    def learn(
        cls, footage: Footage, scene: Scene, ends: NDArray[np.intp], seed: int, epochs: int | None, device: str
    ) -> dict[str, NDArray[Any]]:
        shown = np.random.default_rng(seed).permutation(evenly_spaced(len(footage), _HISTORY))
        return {"shown": footage.frames[shown] * _like(scene.valid, footage.frames)}

    def measure(self, frames: NDArray[np.uint8], ends: NDArray[np.intp]) -> NDArray[np.float64]:
        mixture = cv2.createBackgroundSubtractorMOG2(history=_HISTORY, detectShadows=False)
        for before, frame in enumerate(self.learnt["shown"]):
            mixture.apply(frame, learningRate=1 / (before + 1))
        valid = _like(self.scene.valid, frames)
        foreground = (mixture.apply(frames[end] * valid, learningRate=0) for end in ends)
        return np.array([np.count_nonzero(pixels[self.scene.valid]) for pixels in foreground]) / self.scene.valid.sum()


def _like(valid: NDArray[np.bool_], frames: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return valid if frames.ndim == 3 else valid[..., None]
