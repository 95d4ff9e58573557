"""How well a frame is reconstructed: one number a frame (eq 2), and a map of where it is not."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fleet.detector.frames import chunks

__all__ = ["error_map", "pcc"]

# Pixels of the box that smooths error maps: sensor noise averages out, a person at 96 x 64 does not.
_BOX_PX = 5


def pcc(
    frames: NDArray[np.generic], reconstructions: NDArray[np.generic], valid: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Pearson correlation of each frame with its reconstruction over the pixels that count (eq 2).

    Args:
        frames, reconstructions: (N, H, W) or (N, H, W, C), any number type, any scale.
        valid: bool (H, W); None counts every pixel.

    Returns:
        float64 (N,) in -1..1. By definition 0 where the frame or the reconstruction is constant, or all is masked.
    """
    values = np.zeros(len(frames))
    for part in chunks(frames):
        x, y = _centred(frames[part], valid), _centred(reconstructions[part], valid)
        norms = np.sqrt(np.einsum("np,np->n", x, x)) * np.sqrt(np.einsum("np,np->n", y, y))
        np.divide(np.einsum("np,np->n", x, y), norms, out=values[part], where=norms > 0)
    return np.clip(values, -1, 1)


def error_map(
    frames: NDArray[np.uint8 | np.float32], reconstructions: NDArray[np.float32], valid: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """Where each frame is not as reconstructed: the absolute error, smoothed by a 5 x 5 box.

    Args:
        frames: (N, H, W) or (N, H, W, C), uint8, or floats in 0..1.
        reconstructions: the same shape, floats in 0..1.
        valid: bool (H, W); None counts every pixel.

    Returns:
        float32 (N, H, W) in units of the full range (0..1): mean over the channels, then over the pixels of the box
        that count; 0 where a pixel is masked.
    """
    counts = np.ones(frames.shape[1:3], np.float32) if valid is None else valid.astype(np.float32)
    near = np.maximum(_box_sum(counts), 1)  # pixels that count around each: borders and mask edges are no darker
    maps = np.zeros(frames.shape[:3], np.float32)
    full_range = np.float32(255 if frames.dtype == np.uint8 else 1)
    for part in chunks(frames):
        errors = np.abs(frames[part] / full_range - reconstructions[part])
        if errors.ndim == 4:
            errors = errors.mean(axis=-1)
        for index, error in enumerate(errors, start=part.start):
            maps[index] = _box_sum(np.where(counts, error, 0)) / near * counts
    return maps


def _centred(pictures: NDArray[np.generic], valid: NDArray[np.bool_] | None) -> NDArray[np.float64]:
    """float64 (N, P): the pixels that count, less their mean; exactly 0 for a constant picture."""
    if valid is not None and not valid.all():
        pictures = pictures[:, valid]
    flat = pictures.reshape(len(pictures), -1).astype(np.float64)
    if flat.shape[1] == 0:
        return flat
    flat -= flat[:, :1].copy()  # a correlation does not mind, and a constant leaves no rounding behind
    flat -= flat.mean(axis=1, keepdims=True)
    return flat


def _box_sum(picture: NDArray[np.floating]) -> NDArray[np.float32]:
    summed: NDArray[np.float32] = cv2.boxFilter(
        picture.astype(np.float32), -1, (_BOX_PX, _BOX_PX), normalize=False, borderType=cv2.BORDER_CONSTANT
    )
    return summed
