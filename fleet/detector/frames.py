"""What a stack of frames is: uint8, (N, H, W) grey or (N, H, W, 3) colour, and a mask of pixels that count."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cameras.errors import UsageError

__all__ = ["check_frames", "check_mask", "chunks", "evenly_spaced"]

# The smallest side that three strided convolutions leave something of.
_SMALLEST_SIDE_PX = 16

# Values of one chunk: about 170 grey frames of 96 x 64, one of 1280 x 720. Bounds the memory, keeps the caches warm.
_CHUNK_VALUES = 2**20


def check_frames(frames: NDArray[np.uint8]) -> tuple[int, int, int]:
    """Height, width and channels (1 or 3) of a stack of frames, which may be a read-only view and may be empty.

    Raises:
        UsageError: another type or shape than uint8 (N, H, W) or (N, H, W, 3), or a side below 16 pixels.
    """
    frames = np.asarray(frames)
    if frames.dtype != np.uint8:
        raise UsageError(f"frames are uint8 (0 to 255), not {frames.dtype}", "convert them, do not rescale them")
    if frames.ndim not in (3, 4) or (frames.ndim == 4 and frames.shape[3] != 3):
        raise UsageError(
            f"frames are (N, H, W) grey or (N, H, W, 3) colour, not {frames.shape}",
            "a single frame is frames[None]",
        )
    height, width = frames.shape[1:3]
    if min(height, width) < _SMALLEST_SIDE_PX:
        raise UsageError(
            f"frames of {width} x {height} pixels are too small", f"each side takes {_SMALLEST_SIDE_PX} at least"
        )
    return height, width, 1 if frames.ndim == 3 else 3


def check_mask(valid: NDArray[np.bool_] | None, height: int, width: int) -> NDArray[np.bool_]:
    """The pixels that count, bool (H, W), True where the camera may look; None counts them all.

    Raises:
        UsageError: another type or shape, or no pixel left.
    """
    if valid is None:
        return np.ones((height, width), dtype=np.bool_)
    valid = np.asarray(valid)
    if valid.dtype != np.bool_ or valid.shape != (height, width):
        raise UsageError(
            f"the mask is bool of the frames' size ({height}, {width}), not {valid.dtype} {valid.shape}",
            "True marks pixels that count",
        )
    if not valid.any():
        raise UsageError("the mask leaves no pixel to look at", "make it smaller")
    return valid


def chunks(frames: NDArray[np.generic]) -> Iterator[slice]:
    """Slices over the first axis, each small enough to convert to floats."""
    step = max(1, _CHUNK_VALUES // max(1, frames[:1].size))
    return (slice(start, start + step) for start in range(0, len(frames), step))


def evenly_spaced(n_frames: int, at_most: int) -> NDArray[np.intp]:
    """Indices of at most so many frames, spread over all of them, first and last included."""
    return np.linspace(0, n_frames - 1, min(n_frames, at_most)).round().astype(np.intp)
