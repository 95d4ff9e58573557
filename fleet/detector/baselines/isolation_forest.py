"""`IsolationForest`: how few random cuts set a frame apart."""

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

__all__ = ["IsolationForest"]

_MOST_POINTS = 5_000


class IsolationForest(Baseline):
    """Anomaly score of an isolation forest, 0..1, on an `Embedding` of 16 dimensions.

    F. T. Liu, K. M. Ting, Z.-H. Zhou, "Isolation forest", ICDM 2008; scikit-learn's, with its defaults (100 trees of
    256 samples).

    Ours: the trees are not stored. At most 5,000 embedded frames and the seed are, and the forest is grown again from
    them, which gives the same trees with the same version of scikit-learn, and takes .2 s.
    """

    method = "isolation-forest"

    def __init__(self, scene: Scene, learnt: Mapping[str, NDArray[Any]], typical: float = 0.0) -> None:
        from sklearn.ensemble import IsolationForest as Forest

        super().__init__(scene, learnt, typical)
        self._embedding = Embedding.from_arrays(scene, learnt)
        self._forest = Forest(random_state=int(learnt["seed"])).fit(learnt["points"])

    @classmethod
    def learn(
        cls, footage: Footage, scene: Scene, ends: NDArray[np.intp], seed: int, epochs: int | None, device: str
    ) -> dict[str, NDArray[Any]]:
        embedding = Embedding.of(scene, footage.frames)
        kept = footage.frames[evenly_spaced(len(footage), _MOST_POINTS)]
        return embedding.arrays() | {"points": embedding(kept), "seed": np.array(seed)}

    def measure(self, frames: NDArray[np.uint8], ends: NDArray[np.intp]) -> NDArray[np.float64]:
        scores: NDArray[np.float64] = -self._forest.score_samples(self._embedding(frames[ends]))
        return scores
