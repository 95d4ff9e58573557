"""`Pca`: the best linear autoencoder."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleet.detector.baselines.baseline import Baseline, chunks_of
from fleet.detector.baselines.scene import Scene
from fleet.detector.footage import Footage
from fleet.detector.frames import evenly_spaced
from fleet.detector.score import pcc

__all__ = ["Pca", "principal_components"]

# As many numbers a frame as the paper's latent holds.
_COMPONENTS = 32

# Frames that the components are computed from: N^2 products, and more change little.
_MOST_FRAMES = 1_000


class Pca(Baseline):
    """1 - PCC (eq 2) of each frame with its projection onto the first 32 principal components of the scene's pixels.

    The linear autoencoder of least squared error with the paper's latent size, in closed form: what a network of
    several minutes has to be better than.
    """

    method = "pca-32"
    reconstructs = True

    @classmethod
    def learn(
        cls, footage: Footage, scene: Scene, ends: NDArray[np.intp], seed: int, epochs: int | None, device: str
    ) -> dict[str, NDArray[Any]]:
        some = footage.frames[evenly_spaced(len(footage), _MOST_FRAMES)]
        mean, components = principal_components(scene.pixels(some), _COMPONENTS)
        return {"mean": mean, "components": components}

    def measure(self, frames: NDArray[np.uint8], ends: NDArray[np.intp]) -> NDArray[np.float64]:
        mean, components = self.learnt["mean"], self.learnt["components"]
        values = np.zeros(len(ends))
        for part in chunks_of(ends, frames):
            pixels = self.scene.pixels(frames[ends[part]])
            projections = (pixels - mean) @ components.T @ components + mean
            # Two rows of pixels, as pictures of one row.
            values[part] = 1 - pcc(pixels[:, None, :], projections[:, None, :])
        return values


def principal_components(samples: NDArray[np.float32], at_most: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean (D,) and orthonormal principal directions (K, D) of samples (N, D), K <= at_most, largest variance first.

    By the eigenvectors of the (N, N) products: a scene has more pixels than frames.
    """
    mean = samples.mean(axis=0, dtype=np.float64)
    centred = samples - mean
    variances, vectors = np.linalg.eigh(centred @ centred.T)
    kept = np.flatnonzero(variances > 1e-10 * max(variances[-1], 1e-300))[::-1][:at_most]
    components = (vectors[:, kept] / np.sqrt(variances[kept])).T @ centred
    # An eigenvector has no sign of its own: its largest value is made positive.
    components *= np.sign(components[np.arange(len(kept)), np.abs(components).argmax(axis=1)])[:, None]
    return mean.astype(np.float32), components.astype(np.float32)
