"""`Regimes`: day, infrared night, lights off: told apart by the picture, not by the clock, each calibrated by itself.

What is measured of a frame is its brightness, contrast and colourfulness. Two regimes are there where the frames fall
into two heaps that hardly any frame lies between, where each heap is a good part of the footage, and where the
light stays what it is for a while: an alarm lamp that flashes, or a sun behind a cloud, is no regime.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fleet.detector.footage import Footage

__all__ = ["Regimes", "light_of"]

# Frames and share of the footage that a regime has at least: tails of fewer say nothing.
_SMALLEST_FRAMES = 200
_SMALLEST_SHARE = 0.05

# How far apart two heaps lie at least, in nats of brightness or contrast (half the light) or colourfulness.
_GAP = 0.5
# Share of the frames that may lie in between: dusk.
_BETWEEN_SHARE = 0.01

# Seconds that a regime lasts on average at least.
_DWELL_S = 60.0
_MOST = 4


@dataclass(frozen=True, eq=False)
class Regimes:
    """The lights that a camera sees its scene in.

    Attributes:
        centres: float64 (R, 3), the median `light_of` of each regime; darkest first.
    """

    centres: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.centres)

    @classmethod
    def of(cls, light: NDArray[np.float64], footage: Footage) -> Regimes:
        """The regimes of footage of this `light_of` (N, 3); most cameras have one."""
        parts = [np.arange(len(light))]
        settled: list[NDArray[np.intp]] = []
        while parts:
            part = parts.pop()
            halves = _split(light, part, footage) if len(parts) + len(settled) + 1 < _MOST else None
            if halves is None:
                settled.append(part)
            else:
                parts += halves
        centres = np.array([np.median(light[part], axis=0) for part in settled])
        return cls(centres[np.argsort(centres[:, 0])])

    def which(self, light: NDArray[np.float64]) -> NDArray[np.int64]:
        """The regime whose light is nearest to each frame's (N, 3): int64 (N,)."""
        distances = np.square(light[:, None] - self.centres).sum(axis=2)
        return distances.argmin(axis=1)


def light_of(frames: NDArray[np.uint8], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Log brightness, log contrast and colourfulness of frames over the pixels that count: float64 (N, 3).

    Brightness is the mean grey level, contrast its standard deviation over the picture, colourfulness how far the
    colours of a pixel lie apart, as a share of the brightness; 0 for grey, and for a camera in infrared.
    """
    mask = valid.astype(np.uint8)
    light = np.zeros((len(frames), 3))
    for index, frame in enumerate(frames):
        means, deviations = (moment[:, 0] for moment in cv2.meanStdDev(np.ascontiguousarray(frame), mask=mask))
        colour = 0.0 if frame.ndim == 2 else np.ptp(means) / (means.mean() + 8)
        light[index] = np.log(means.mean() + 8), np.log(deviations.mean() + 8), colour
    return light


def _split(
    light: NDArray[np.float64], part: NDArray[np.intp], footage: Footage
) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
    """Two regimes where these frames are two: cut in the widest gap of one of the three measures."""
    least = max(_SMALLEST_FRAMES, round(_SMALLEST_SHARE * len(light)))
    if len(part) < 2 * least:
        return None
    for measure in light[part].T:
        ordered = np.sort(measure)
        between = max(1, round(_BETWEEN_SHARE * len(part)))
        inner = ordered[least - between : len(ordered) - least + between]
        gaps = inner[between:] - inner[:-between]
        widest = int(gaps.argmax())
        if gaps[widest] < _GAP:
            continue
        bright = measure > inner[widest] + gaps[widest] / 2
        changes = np.count_nonzero(bright[1:] != bright[:-1])
        seconds = len(part) * float(np.median(np.diff(footage.times_s[part])))
        if seconds / (changes + 1) >= _DWELL_S:
            return part[~bright], part[bright]
    return None
