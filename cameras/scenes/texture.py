"""Surface patterns as functions of position, for whatever is painted on walls, floors and mats."""

from collections.abc import Sequence

import cv2
import numpy as np


def f32(*values: float | Sequence[float]) -> np.ndarray:
    """Numbers, or rows of them, as a float32 array."""
    return np.array(values, np.float32)


def rgb(red: int, green: int, blue: int) -> np.ndarray:
    """A colour as seen on a screen (0..255) as linear light: the inverse of the sensor's gamma of 2."""
    return np.square(np.array([red, green, blue], np.float32) / 255)


def noise_tile(rng: np.random.Generator, size: int = 256, grain: float = 1.0) -> np.ndarray:
    """Seamless noise (size, size), mean 0, standard deviation 1, with blobs of about `grain` texels."""
    tile = rng.normal(size=(size, size)).astype(np.float32)
    if grain > 1:
        pad = int(4 * grain)
        wrapped = np.pad(tile, pad, mode="wrap")
        tile = cv2.GaussianBlur(wrapped, (0, 0), grain)[pad:-pad, pad:-pad]
    return (tile - tile.mean()) / tile.std()


def sample(tile: np.ndarray, u: np.ndarray, v: np.ndarray, texels_per_m: float) -> np.ndarray:
    """A seamless tile at positions in metres."""
    rows = np.floor(v * texels_per_m).astype(np.int64) % tile.shape[0]
    columns = np.floor(u * texels_per_m).astype(np.int64) % tile.shape[1]
    return tile[rows, columns]


def joints(u: np.ndarray, v: np.ndarray, size_u: float, size_v: float, width: float) -> np.ndarray:
    """1 on the joints between tiles, 0 on the tiles."""
    return (((u / size_u) % 1.0 < width / size_u) | ((v / size_v) % 1.0 < width / size_v)).astype(np.float32)


def within(u: np.ndarray, v: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """Where (u, v) lies in (u0, v0, u1, v1)."""
    return (u >= box[0]) & (v >= box[1]) & (u < box[2]) & (v < box[3])
