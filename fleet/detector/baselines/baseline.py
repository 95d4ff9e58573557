"""`Baseline`: what all baselines share. One says what it learns and how it measures a frame; the rest is here."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from cameras.errors import UsageError
from fleet.detector.baselines.scene import Scene
from fleet.detector.detector import Detector, Scores, State
from fleet.detector.footage import Footage
from fleet.detector.frames import chunks, evenly_spaced

__all__ = ["Baseline", "chunks_of"]

# Frames that the typical score is the median of.
_TYPICAL_OF = 256


class Baseline(Detector):
    """A scene, and the arrays that were learnt of it.

    The first `context` frames of a clip, which have not enough before them, get the score of the first frame that
    has; those of a clip that is shorter the typical one.

    Attributes:
        scene: size, mask and mean of the frames.
        learnt: all that fitting found out, by name.
        typical: median score of the frames that it was fitted on.
    """

    reconstructs: ClassVar[bool] = False
    """Its score is 1 - PCC with a reconstruction (eq 2)."""

    def __init__(self, scene: Scene, learnt: Mapping[str, NDArray[Any]], typical: float = 0.0) -> None:
        self.scene = scene
        self.learnt = dict(learnt)
        self.typical = typical

    @classmethod
    def fit(
        cls,
        footage: Footage,
        *,
        valid: NDArray[np.bool_] | None = None,
        seed: int = 0,
        epochs: int | None = None,
        device: str = "cpu",
    ) -> Self:
        """Fit to the footage of one scene.

        Args:
            footage: what to learn from.
            valid: bool (H, W), True where a pixel counts; None counts all.
            seed: decides whatever is random.
            epochs: passes of a method that trains a network; None takes its own default.
            device: where a network trains; scoring is on the CPU.

        Raises:
            UsageError: frames or a mask that nothing can be learnt from, or no clip as long as the method looks.
            FleetError: the training diverged.
        """
        scene = Scene.of(footage.frames, valid)
        ends = np.flatnonzero(footage.place_in_clip() >= cls.context)
        if not len(ends):
            raise UsageError(
                f"{cls.method} looks at {cls.context + 1} frames in a row, and no clip has so many",
                "record longer clips, or take a method that looks at single frames",
            )
        fitted = cls(scene, cls.learn(footage, scene, ends, seed, epochs, device))
        some = ends[evenly_spaced(len(ends), _TYPICAL_OF)]
        fitted.typical = float(np.median(fitted.measure(footage.frames, some)))
        return fitted

    @classmethod
    @abstractmethod
    def learn(
        cls, footage: Footage, scene: Scene, ends: NDArray[np.intp], seed: int, epochs: int | None, device: str
    ) -> dict[str, NDArray[Any]]:
        """What scoring needs to know of this footage.

        Args:
            ends: the frames with `context` before them in their clip; the rest is `fit`'s.
        """

    @abstractmethod
    def measure(self, frames: NDArray[np.uint8], ends: NDArray[np.intp]) -> NDArray[np.float64]:
        """Scores, float64 (len(ends),), of the frames of these indices, each with `context` of its clip before it."""

    def score(self, footage: Footage) -> Scores:
        self.scene.check(footage.frames)
        place, index = footage.place_in_clip(), np.arange(len(footage))
        values = np.full(len(footage), np.nan)
        ends = np.flatnonzero(place >= self.context)
        if len(ends):
            values[ends] = self.measure(footage.frames, ends)
        first_with = index + np.maximum(self.context - place, 0)
        first_with_or_last = np.minimum(first_with, len(footage) - 1)
        there = (first_with < len(footage)) & (index - place == first_with_or_last - place[first_with_or_last])
        score = np.where(there, values[first_with_or_last], self.typical)
        return Scores(score, pcc=1 - score if self.reconstructs else None)

    def state(self) -> State:
        tensors, meta = self.scene.state()
        # safetensors writes the memory of an array as it lies.
        in_order = {name: np.asarray(array, order="C") for name, array in (tensors | self.learnt).items()}
        return in_order, meta | {"method": self.method, "typical": self.typical}

    @classmethod
    def from_state(cls, tensors: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> Self:
        learnt = {name: np.array(array) for name, array in tensors.items() if not name.startswith("scene.")}
        return cls(Scene.from_state(tensors, meta), learnt, meta["typical"])


def chunks_of(ends: NDArray[np.intp], frames: NDArray[np.uint8]) -> Iterator[slice]:
    """Slices of `ends`, so that the frames of each are few enough to convert to floats."""
    return chunks(np.broadcast_to(frames[:1], (len(ends), *frames.shape[1:])))
