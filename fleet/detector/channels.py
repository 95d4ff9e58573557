"""What moves in a scene, and what stands in it that did not: pictures -> cells. A masked pixel counts nowhere.

Motion is per frame period of the rate that a model was fitted at: a frame that comes late counts for the time it took.
"""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fleet.detector.footage import Footage

__all__ = [
    "MEMORY_PICTURES",
    "Cells",
    "MotionField",
    "Pictures",
    "View",
    "causal_mean",
    "place_in_run",
    "worst",
]

Pictures = NDArray[np.float32]
Float = TypeVar("Float", bound=np.floating)

# Rows of the pictures that motion is measured on; a larger frame is reduced to about so many.
_WORKING_ROWS = 64

# A gap of more frame periods than this between two frames: they are no neighbours.
_LARGEST_GAP = 3.0

_MOTION_CELL_PX = 4
_SPEED_CELL_PX = 8

# Squared grey levels a pixel below which a cell has too little texture for a speed: Lucas-Kanade divides by it.
_TEXTURE = 4.0

# The view's memory: so many pictures of the past, and the share of them that a cell must be unlike to be new. At 10 %
# what stood somewhere for less than a tenth of the footage is new there; what is lit in two ways is not.
MEMORY_PICTURES = 64
_NEW_AGAINST = 0.1
_VIEW_CELL_PX = 4
_VIEW_STRIDE_PX = 3


class Cells:
    """Square cells that overlap by half and cover a picture; one counts where at least half of its pixels do.

    Args:
        valid: bool (H, W), the pixels that count.
        size_px: of a side.
    """

    def __init__(self, valid: NDArray[np.bool_], size_px: int) -> None:
        rows, columns = (_boxes(length, size_px) for length in valid.shape)
        covered = rows @ valid.astype(np.float32) @ columns.T
        self._counts = covered >= min(size_px**2 / 2, covered.max())
        self._rows, self._columns, self._covered = rows, columns.T.copy(), covered[self._counts]

    def mean(self, pictures: Pictures) -> Pictures:
        """Mean over each cell's pixels of pictures (N, H, W) that are 0 where masked: (N, cells that count)."""
        sums = self._rows @ (pictures @ self._columns)
        means: Pictures = sums[:, self._counts] / self._covered
        return means

    def spread(self, values: Pictures) -> Pictures:
        """The picture (H, W) whose pixels have the mean of the cells (cells,) that cover them; 0 where none does."""
        grid = np.zeros((2, *self._counts.shape), np.float32)
        grid[0, self._counts], grid[1, self._counts] = values, 1
        sums, counts = self._rows.T @ grid @ self._columns.T
        picture: Pictures = sums / np.maximum(counts, 1)
        return picture


class MotionField:
    """What moves, at the working size.

    Args:
        valid: bool (H, W), the pixels of the frames that count.
        fps: the frame rate whose period motion is measured by.
    """

    def __init__(self, valid: NDArray[np.bool_], fps: float) -> None:
        self.fps = fps
        self.working = _reduce(valid[None].astype(np.float32), _working_size(valid.shape))[0] >= 0.5
        self._weights = valid.astype(np.float32)
        self._near = np.maximum(_blurred(self.working[None].astype(np.float32)), 1e-6)
        inside = cv2.erode(self.working.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1) > 0
        self._inside = inside if inside.any() else self.working  # a gradient takes the pixels beside it
        self.change_cells = Cells(self.working, _MOTION_CELL_PX)
        self.speed_cells = Cells(self._inside, _SPEED_CELL_PX)

    def grey(self, frames: NDArray[np.uint8]) -> Pictures:
        """Frames as grey pictures (N, h, w) of the working size, 0..255, 0 where masked."""
        if frames.ndim == 4:
            frames = np.stack([cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY) for frame in frames])
        return self._at_working_size(frames)

    def squared_distance(self, frames: NDArray[np.uint8], reconstructions: Pictures) -> Pictures:
        """Squared grey levels (N, h, w) between frames and reconstructions (0..1), at the working size; 0 where masked.

        Squared before they are reduced: a small thing far off counts, whatever lies beside it.
        """
        squares = np.square(frames - 255 * reconstructions)
        if squares.ndim == 4:
            squares = squares.mean(axis=3)
        return self._at_working_size(squares)

    def _at_working_size(self, pictures: NDArray[np.uint8] | Pictures) -> Pictures:
        """Pictures (N, H, W) as (N, h, w): means over the pixels that count, 0 where masked."""
        masked = pictures * self._weights
        if masked.shape[1:] != self.working.shape:
            covered = _reduce(self._weights[None], self.working.shape)
            masked = _reduce(masked, self.working.shape) / np.maximum(covered, 1e-6)
        return masked * self.working

    def changes(self, grey: Pictures, footage: Footage) -> tuple[Pictures, Pictures]:
        """Smoothed pictures, and what changed in them since the frame before, a frame period; NaN where none is."""
        smooth = _blurred(grey) / self._near * self.working
        change = np.full_like(smooth, np.nan)
        follows = place_in_run(footage, self.fps) > 0
        periods = np.diff(footage.times_s, prepend=0)[follows] * self.fps
        change[follows] = (smooth[follows] - smooth[np.flatnonzero(follows) - 1]) / periods[:, None, None]
        return smooth, change.astype(np.float32)

    def energy(self, change: Pictures) -> Pictures:
        """Mean squared change of each small cell: (N, cells)."""
        return self.change_cells.mean(np.square(change))

    def speed(self, smooth: Pictures, change: Pictures) -> Pictures:
        """Speed of each cell in working pixels a frame period, by Lucas and Kanade's least squares: (N, cells)."""
        across, down = np.zeros_like(smooth), np.zeros_like(smooth)
        across[:, :, 1:-1] = (smooth[:, :, 2:] - smooth[:, :, :-2]) / 2
        down[:, 1:-1] = (smooth[:, 2:] - smooth[:, :-2]) / 2
        across *= self._inside
        down *= self._inside
        xx, xy, yy = (self.speed_cells.mean(p) for p in (across * across, across * down, down * down))
        xt, yt = self.speed_cells.mean(across * change), self.speed_cells.mean(down * change)
        xx += _TEXTURE
        yy += _TEXTURE
        determinant = xx * yy - xy * xy
        speeds: Pictures = np.hypot(yy * xt - xy * yt, xx * yt - xy * xt)
        speeds /= determinant
        return speeds


class View:
    """What stood in each place of the scene, and how unlike it is what stands there now, whoever walks by.

    Pictures are the logarithm of the grey ones at half the working size, averaged over the last second: people
    who walk fade out, what stays does not, and twice the light is a constant, which a cell's mean takes away.

    Args:
        valid: bool (h, w), the pixels of the working size that count.
        memory: float16 (M, h / 2, w / 2), `pictures` of the past.
    """

    def __init__(self, valid: NDArray[np.bool_], memory: NDArray[np.float16]) -> None:
        self.memory = memory
        self._half = (_half(valid[None].astype(np.float32))[0] >= 0.5).astype(np.float32)
        weights = _windows(self._half[None])[:, 0]
        share = weights.mean(axis=1)
        self._cells = np.flatnonzero(share >= min(0.5, share.max()))
        self._weights = weights[self._cells, None]  # (cells, 1, pixels)
        self._pixels = self._weights.sum(axis=2, keepdims=True)
        self._known = self._centred(memory.astype(np.float32))  # (cells, M, pixels)
        self._known_squares = np.square(self._known).sum(axis=2)[:, None]
        self._rank = max(1, round(_NEW_AGAINST * len(memory))) - 1

    @staticmethod
    def pictures(grey: Pictures, valid: NDArray[np.bool_]) -> Pictures:
        """Logarithms (N, h / 2, w / 2) of grey pictures (N, h, w), in units of which 60 are a factor of e."""
        covered = np.maximum(_half(valid[None].astype(np.float32)), 1e-6)
        pictures: Pictures = 60 * np.log(_half(grey) / covered + 20)
        return pictures

    def distances(self, averaged: Pictures) -> Pictures:
        """Mean squared distance of each cell to the k-th nearest of the memory, k a tenth of it: (N, cells)."""
        seen = self._centred(averaged)
        squares = np.square(seen).sum(axis=2)[:, :, None] + self._known_squares
        squares -= 2 * seen @ self._known.transpose(0, 2, 1)
        nearest = np.partition(squares, self._rank, axis=2)[:, :, self._rank].T
        distances: Pictures = np.maximum(nearest, 0) / self._pixels[:, 0].T
        return distances

    def mean(self, pictures: Pictures) -> Pictures:
        """Mean over each cell's pixels of pictures (N, h / 2, w / 2): (N, cells)."""
        windows = _windows(pictures * self._half)[self._cells]
        means: Pictures = windows.sum(axis=2).T / self._pixels[:, 0].T
        return means

    def spread(self, values: Pictures) -> Pictures:
        """The picture (h / 2, w / 2) whose pixels have the largest of the values of the cells that cover them."""
        picture = np.zeros_like(self._half)
        rows, columns = (_starts(length, _VIEW_CELL_PX, _VIEW_STRIDE_PX) for length in picture.shape)
        for cell, value in zip(self._cells, values, strict=True):
            top, left = rows[cell // len(columns)], columns[cell % len(columns)]
            under = picture[top : top + _VIEW_CELL_PX, left : left + _VIEW_CELL_PX]
            np.maximum(under, value, out=under)
        return picture

    def _centred(self, pictures: Pictures) -> Pictures:
        """(cells that count, N, pixels), each cell less its mean; 0 where masked."""
        windows = _windows(pictures * self._half)[self._cells]
        centred: Pictures = (windows - windows.sum(axis=2, keepdims=True) / self._pixels) * self._weights
        return centred


def worst(cells: Pictures, share: float) -> NDArray[np.float64]:
    """Mean of the share of the cells (N, cells) that have the largest values, one of them at least: (N,)."""
    count = max(1, round(share * cells.shape[1]))
    top = np.partition(cells, cells.shape[1] - count, axis=1)[:, -count:]
    return top.mean(axis=1, dtype=np.float64)


def place_in_run(footage: Footage, fps: float) -> NDArray[np.int64]:
    """How many frames come before each without a gap: int64 (N,). A run ends with its clip, or where frames lack."""
    starts = np.r_[True, (footage.clip[1:] != footage.clip[:-1]) | (np.diff(footage.times_s) * fps > _LARGEST_GAP)]
    index = np.arange(len(footage))
    return index - np.maximum.accumulate(np.where(starts[: len(index)], index, 0))


def causal_mean(values: NDArray[Float], length: int, place: NDArray[np.int64]) -> NDArray[Float]:
    """Mean of each value and those of at most `length - 1` frames before it in its run: the shape of `values`.

    Args:
        values: (N, ...); those that are NaN do not count, and where all are the mean is NaN.
        place: see `place_in_run`.
    """
    known = np.isfinite(values)
    filled = np.where(known, values, 0)
    sums, counts = filled.copy(), known.astype(values.dtype)
    for back in range(1, length):
        there = np.flatnonzero(place >= back)
        sums[there] += filled[there - back]
        counts[there] += known[there - back]
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def _starts(length: int, size: int, stride: int) -> list[int]:
    """Where cells of `size` start along a side: `stride` apart, and the last one ends at the border."""
    return sorted({*range(0, length - size + 1, stride), length - size})


def _boxes(length: int, size: int) -> Pictures:
    """(cells, length): 1 where a cell of `size` lies, half of it apart from the next."""
    size = min(size, length)
    at = np.arange(length)
    return np.array([(at >= s) & (at < s + size) for s in _starts(length, size, max(1, size // 2))], np.float32)


def _working_size(shape: tuple[int, ...]) -> tuple[int, int]:
    by = max(1, round(min(shape[:2]) / _WORKING_ROWS))
    return shape[0] // by, shape[1] // by


def _reduce(pictures: Pictures, size: tuple[int, int]) -> Pictures:
    """Pictures (N, H, W) brought to (N, *size), each pixel the mean of those it covers."""
    if pictures.shape[1:] == size:
        return pictures
    return np.stack([cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA) for picture in pictures])


def _half(pictures: Pictures) -> Pictures:
    """(N, h, w) -> (N, h / 2, w / 2), means of 2 x 2 pixels."""
    rows, columns = pictures.shape[1] // 2 * 2, pictures.shape[2] // 2 * 2
    quarter = pictures[:, :rows:2, :columns:2] + pictures[:, 1:rows:2, :columns:2]
    quarter += pictures[:, :rows:2, 1:columns:2] + pictures[:, 1:rows:2, 1:columns:2]
    quarter *= 0.25
    return quarter


def _windows(pictures: Pictures) -> Pictures:
    """(N, h, w) -> (cells, N, pixels), contiguous."""
    rows, columns = (_starts(length, _VIEW_CELL_PX, _VIEW_STRIDE_PX) for length in pictures.shape[1:])
    windows = sliding_window_view(pictures, (_VIEW_CELL_PX, _VIEW_CELL_PX), axis=(1, 2))[:, rows][:, :, columns]
    cells = np.moveaxis(windows, 0, 2).reshape(len(rows) * len(columns), len(pictures), -1)
    return np.ascontiguousarray(cells)


def _blurred(pictures: Pictures) -> Pictures:
    return np.stack([cv2.GaussianBlur(picture, (5, 5), 0) for picture in pictures])
