"""`Scene`: what the frames of a scene have in common: their size, the pixels that count, their spread."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cameras.errors import UsageError
from fleet.detector.detector import State
from fleet.detector.frames import check_frames, check_mask, chunks

__all__ = ["Scene"]


@dataclass(frozen=True, eq=False)
class Scene:
    """Size, mask and first two moments of a scene's frames.

    Attributes:
        valid: bool (H, W), True where a pixel counts.
        mean: float32 (H, W, C), the temporal mean frame in 0..1; C is 1 for grey and 3 for colour.
        scale: the standard deviation over time about it in 0..1, root mean square over the pixels that count.
    """

    valid: NDArray[np.bool_]
    mean: NDArray[np.float32]
    scale: float

    @classmethod
    def of(cls, frames: NDArray[np.uint8], valid: NDArray[np.bool_] | None = None) -> Scene:
        """The scene of these frames.

        Raises:
            UsageError: frames or a mask that nothing can be learnt from.
        """
        height, width, channels = check_frames(frames)
        valid = check_mask(valid, height, width)
        if len(frames) < 2:
            raise UsageError(f"a fit takes 2 frames at least, not {len(frames)}", "record more of them")
        sums = np.zeros(frames.shape[1:], np.int64)
        squares = np.zeros_like(sums)
        for part in chunks(frames):  # sums of whole numbers: exact
            sums += frames[part].sum(axis=0, dtype=np.int64)
            squares += np.square(frames[part], dtype=np.uint16).sum(axis=0, dtype=np.int64)
        n = len(frames)
        variance = float(((n * squares - sums**2) / n**2)[valid].mean()) / 255**2
        if not variance > 0:
            raise UsageError(
                f"nothing moves: all {n} frames are the same where they are not masked",
                "check that the camera is not frozen, and what its mask covers",
            )
        mean = (sums / n / 255).astype(np.float32).reshape(height, width, channels)
        return cls(valid, mean * valid[..., None], math.sqrt(variance))

    @property
    def height(self) -> int:
        return int(self.mean.shape[0])

    @property
    def width(self) -> int:
        return int(self.mean.shape[1])

    @property
    def channels(self) -> int:
        return int(self.mean.shape[2])

    def check(self, frames: NDArray[np.uint8]) -> None:
        """
        Raises:
            UsageError: frames of another shape or type than the scene's.
        """
        if check_frames(frames) != self.mean.shape:
            raise UsageError(
                f"this detector takes frames of (height, width, channels) {self.mean.shape}, not {frames.shape}",
                "prepare them as those that it was fitted on, or fit anew",
            )

    def pixels(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The pixels that count, in 0..1: float32 (N, P), P of them times the channels."""
        return frames[:, self.valid].reshape(len(frames), -1) * np.float32(1 / 255)

    def grey(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 (N, H, W): the mean of the channels, and 0 where masked."""
        grey = frames if frames.ndim == 3 else frames.mean(axis=-1).astype(np.uint8)
        return grey * self.valid

    def standardised(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What a network sees: float32 (..., C, H, W), the difference from the mean frame over `scale`, 0 where masked.

        Args:
            frames: uint8 (..., H, W) grey or (..., H, W, 3) colour.
        """
        if self.channels == 1:
            frames = frames[..., None]
        seen = (frames * np.float32(1 / 255) - self.mean) * (self.valid[..., None] / np.float32(self.scale))
        return np.ascontiguousarray(np.moveaxis(seen, -1, -3), dtype=np.float32)

    def state(self) -> State:
        """Arrays and plain values that `from_state` makes the same scene of."""
        return {"scene.valid": self.valid, "scene.mean": self.mean}, {"scale": self.scale}

    @classmethod
    def from_state(cls, tensors: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> Scene:
        return cls(np.array(tensors["scene.valid"]), np.array(tensors["scene.mean"]), meta["scale"])
