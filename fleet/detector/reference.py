"""What needs no training: how well each frame correlates with the scene's median frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cameras.errors import UsageError
from fleet.detector.frames import check_frames, evenly_spaced
from fleet.detector.score import pcc

__all__ = ["median_frame", "median_pcc", "moving_view"]

# Frames that a median is taken over: what shows in fewer than half of these is gone, and more change little.
_MEDIAN_FRAMES = 501

# Below this median PCC to the median frame the whole view changes.
_MOVING_BELOW = 0.85

# Values of one band of rows: a median copies what it sorts.
_BAND_VALUES = 2**25


def median_frame(frames: NDArray[np.uint8], max_frames: int = _MEDIAN_FRAMES) -> NDArray[np.float32]:
    """The median of each pixel over at most `max_frames` evenly spaced frames: (H, W) or (H, W, 3), 0..255.

    Raises:
        UsageError: no frame, or not frames at all (see `check_frames`).
    """
    height, _, _ = check_frames(frames)
    if not len(frames):
        raise UsageError("no frame to take a median of", "record some first")
    chosen = evenly_spaced(len(frames), max_frames)
    rows = max(1, _BAND_VALUES // (len(chosen) * frames[0, 0].size))
    bands = [np.median(frames[chosen, top : top + rows], axis=0) for top in range(0, height, rows)]
    return np.concatenate(bands).astype(np.float32)


def median_pcc(frames: NDArray[np.uint8], valid: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
    """PCC (eq 2) of each frame with the scene's median frame: float64 (N,)."""
    return pcc(frames, np.broadcast_to(median_frame(frames), frames.shape), valid)


def moving_view(frames: NDArray[np.uint8], valid: NDArray[np.bool_] | None = None) -> bool:
    """Whether the camera itself moves: half of the frames correlate below .85 with the scene's median frame."""
    seen = frames[evenly_spaced(len(frames), _MEDIAN_FRAMES)]
    return float(np.median(median_pcc(seen, valid))) < _MOVING_BELOW
