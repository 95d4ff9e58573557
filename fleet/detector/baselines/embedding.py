"""`Embedding`: a few numbers a frame for methods that compare frames: down-scaled pixels, then principal components."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleet.detector.baselines.pca import principal_components
from fleet.detector.baselines.scene import Scene
from fleet.detector.frames import chunks, evenly_spaced

__all__ = ["Embedding"]

# Pixels a side of what the components are computed from: what is smaller than a block is not seen.
_BLOCKS = (12, 16)
_COMPONENTS = 16
_MOST_FRAMES = 1_000


@dataclass(frozen=True, eq=False)
class Embedding:
    """Frames as points: means of 12 x 16 blocks of the pixels that count, onto their first 16 principal components.

    No network: an encoder with weights from elsewhere would be a download, and one trained here the paper's own.

    Attributes:
        scene: the frames' size and mask.
        mean: float32 (D,), of the blocks.
        components: float32 (K, D), orthonormal.
    """

    scene: Scene
    mean: NDArray[np.float32]
    components: NDArray[np.float32]

    @classmethod
    def of(cls, scene: Scene, frames: NDArray[np.uint8]) -> Embedding:
        some = frames[evenly_spaced(len(frames), _MOST_FRAMES)]
        return cls(scene, *principal_components(_blocks(scene, some), _COMPONENTS))

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """float32 (N, K)."""
        points = np.zeros((len(frames), len(self.components)), np.float32)
        for part in chunks(frames):
            points[part] = (_blocks(self.scene, frames[part]) - self.mean) @ self.components.T
        return points

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"embedding.mean": self.mean, "embedding.components": self.components}

    @classmethod
    def from_arrays(cls, scene: Scene, arrays: Mapping[str, NDArray[Any]]) -> Embedding:
        return cls(scene, arrays["embedding.mean"], arrays["embedding.components"])


def _blocks(scene: Scene, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """float32 (N, D): the means of the blocks that have a pixel that counts, 0..1."""
    valid = np.broadcast_to(scene.valid[..., None], scene.mean.shape)
    counts = _block_sums(valid[None].astype(np.float32))[0]
    pixels = frames.reshape(len(frames), *scene.mean.shape) * (valid.astype(np.float32) / np.float32(255))
    sums = _block_sums(pixels)
    return sums[:, counts > 0] / counts[counts > 0]


def _block_sums(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums (N, 12, 16, C) over blocks of pictures (N, H, W, C) whose sides differ by a pixel at most."""
    for axis, blocks in zip((1, 2), _BLOCKS, strict=True):
        starts = np.arange(blocks) * pictures.shape[axis] // blocks
        pictures = np.add.reduceat(pictures, starts, axis=axis, dtype=np.float32)
    return pictures
