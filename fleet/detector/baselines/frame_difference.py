"""`FrameDifference` and `FrameDifferenceCells`: how much changed since the frame before, everywhere or at worst."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fleet.detector.baselines.baseline import Baseline, chunks_of
from fleet.detector.baselines.scene import Scene
from fleet.detector.footage import Footage

__all__ = ["FrameDifference", "FrameDifferenceCells", "cell_means"]

_BLUR_PX = 5
_CELL_PX = 8
_STRIDE_PX = 4
_WORST_SHARE = 0.05


class FrameDifference(Baseline):
    """Mean absolute difference from the frame before, over the pixels that count, in 0..1. Nothing is learnt.

    It measures motion a frame, not a second: a detector fitted at one frame rate is no use at another.
    """

    method = "frame-difference"
    context = 1

    @classmethod
    def learn(
        cls, footage: Footage, scene: Scene, ends: NDArray[np.intp], seed: int, epochs: int | None, device: str
    ) -> dict[str, NDArray[Any]]:
        return {}

    def measure(self, frames: NDArray[np.uint8], ends: NDArray[np.intp]) -> NDArray[np.float64]:
        values = np.zeros(len(ends))
        for part in chunks_of(ends, frames):
            now, before = self.scene.pixels(frames[ends[part]]), self.scene.pixels(frames[ends[part] - 1])
            values[part] = np.abs(now - before).mean(axis=1, dtype=np.float64)
        return values


class FrameDifferenceCells(FrameDifference):
    """Mean squared difference from the frame before over the worst 5 % of the scene's cells, in 0..1 squared.

    The difference is blurred by a 5 x 5 box, which takes off sensor noise, squared, and averaged over cells of 8 px at
    a stride of 4: something small that moves counts as much as something large that trembles.
    """

    method = "frame-difference-cells"

    def measure(self, frames: NDArray[np.uint8], ends: NDArray[np.intp]) -> NDArray[np.float64]:
        values = np.zeros(len(ends))
        valid = self.scene.valid.astype(np.float32)
        near = np.maximum(_box(valid), 1 / _BLUR_PX**2)
        for part in chunks_of(ends, frames):
            difference = self.scene.grey(frames[ends[part]]) - self.scene.grey(frames[ends[part] - 1]).astype(
                np.float32
            )
            blurred = np.stack([_box(picture) for picture in difference]) / (255 * near)
            values[part] = worst_mean(cell_means(np.square(blurred), self.scene.valid))
        return values


def cell_means(pictures: NDArray[np.floating[Any]], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Means of cells of 8 px at a stride of 4 over the pixels that count: float64 (N, cells) of pictures (N, H, W).

    Cells of which less than half counts are left out, unless that leaves none.
    """
    counts = _cell_sums(valid[None].astype(np.float64))[0]
    kept = counts >= min(_CELL_PX**2 / 2, counts.max())
    return _cell_sums(pictures * valid)[:, kept] / counts[kept]


def worst_mean(cells: NDArray[np.float64], share: float = _WORST_SHARE) -> NDArray[np.float64]:
    """Mean of the largest share of each row, one value at least: (N, cells) -> (N,)."""
    worst = math.ceil(share * cells.shape[1])
    means: NDArray[np.float64] = np.partition(cells, -worst, axis=1)[:, -worst:].mean(axis=1)
    return means


def _cell_sums(pictures: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Sums over the cells, (N, rows, columns), as differences of running sums."""
    sums = np.pad(pictures.astype(np.float64), ((0, 0), (1, 0), (1, 0))).cumsum(axis=1).cumsum(axis=2)
    rows = sums[:, _CELL_PX::_STRIDE_PX] - sums[:, :-_CELL_PX:_STRIDE_PX]
    cells: NDArray[np.float64] = rows[:, :, _CELL_PX::_STRIDE_PX] - rows[:, :, :-_CELL_PX:_STRIDE_PX]
    return np.maximum(cells, 0)


def _box(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    mean: NDArray[np.float32] = cv2.boxFilter(picture, -1, (_BLUR_PX, _BLUR_PX), borderType=cv2.BORDER_CONSTANT)
    return mean
