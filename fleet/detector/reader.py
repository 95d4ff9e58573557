"""`Reader`: frames -> the values of the evidence channels and where they come from, before any calibration.

| channel | value, a logarithm: a difference is a factor, in nats |
|---|---|
| residual | of the worst 2 % of small cells of the squared distance to the reconstruction, mean over the last second |
| motion | of what changed in the worst 2 % of small cells, times the Lucas-Kanade speed of the worst 5 %, likewise |
| change | of each pixel's change, mean over the pixels and the last second: a crowd, a light that flashes |
| object | of the worst 5 % of the still cells' distance to what stood there before: a thing that stays |
| view | of all cells' such distance: the whole view is another |
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fleet.detector.channels import MEMORY_PICTURES, MotionField, Pictures, View, causal_mean, place_in_run, worst
from fleet.detector.footage import Footage
from fleet.detector.frames import evenly_spaced
from fleet.detector.mle import MleDetector
from fleet.detector.score import pcc

__all__ = ["CHANNELS", "Reader", "Values", "frame_rate"]

CHANNELS = ("residual", "motion", "change", "object", "view")

Values = dict[str, NDArray[np.float64]]

# What noise alone comes to: below it a logarithm says nothing. Grey levels 0..255, squared for the residual.
_RESIDUAL_NOISE = 1.0
_CHANGE_NOISE = 0.5
_MOTION_NOISE = 0.01

# Shares of the cells that are looked at: a bag, a thing on a bicycle, one that runs, one that was put down.
_RESIDUAL_SHARE = 0.02
_MOTION_SHARE = 0.02
_SPEED_SHARE = 0.05
_OBJECT_SHARE = 0.05

# Variance over the window, in the view's units, at which a cell counts a third of a still one for an object.
_UNREST = 100.0

# Frames that are scored at a time: their pictures stay in the caches.
_CHUNK = 128

# No channel averages over more frames than this, at any frame rate: a caller sends them all, and the one before.
_LARGEST_WINDOW = 15

# Frames that the evidence maps' scales are taken over.
_MAP_FRAMES = 24


class Reader:
    """All of an evidence detector that does not depend on its calibration.

    Args:
        mle: the fitted autoencoder.
        fps: the rate that the windows are measured by.
        window_s: see `EvidenceConfig`.
    """

    def __init__(self, mle: MleDetector, fps: float, window_s: float) -> None:
        self.mle, self.fps, self.valid = mle, fps, mle.valid
        self.motion = MotionField(self.valid, fps)
        self._window = _window(window_s, fps)
        self.context = self._window  # the first of the window's changes is one from the frame before it

    def scores(self, footage: Footage, view: View) -> tuple[NDArray[np.float64], Values]:
        """PCC (N,) and the channels' values, each (N,)."""
        correlation = np.zeros(len(footage))
        values = {name: np.full(len(footage), np.nan) for name in CHANNELS}
        for part, new in self._parts(len(footage)):
            seen = self._read(footage[part], view)
            correlation[part.start + new : part.stop] = seen.pcc[new:]
            for name, value in self._values(seen).items():
                values[name][part.start + new : part.stop] = value[new:]
        return correlation, values

    def memory(self, footage: Footage) -> NDArray[np.float16]:
        """The averaged pictures of the footage that a view remembers."""
        pictures = []
        for index in evenly_spaced(len(footage), MEMORY_PICTURES):
            part = footage[max(0, index - self._window + 1) : index + 1]
            grey = View.pictures(self.motion.grey(part.frames), self.motion.working)
            pictures.append(causal_mean(grey, self._window, place_in_run(part, self.fps))[-1])
        return np.stack(pictures).astype(np.float16)

    def maps(self, footage: Footage, view: View) -> dict[str, Pictures]:
        """Where each channel has its evidence in the last frame: float32 (H, W), no logarithms."""
        seen = self._read(footage, view)
        last = slice(-min(self._window, int(seen.place[-1]) + 1), None)
        energy = self.motion.change_cells.spread(_mean_known(np.sqrt(seen.energy[last])))
        speed = self.motion.speed_cells.spread(_mean_known(seen.speed[last]))
        fields_ = {
            "residual": self.motion.change_cells.spread(np.sqrt(seen.residual[last]).mean(axis=0)),
            "motion": np.sqrt(energy * speed),
            "change": np.nan_to_num(np.abs(seen.change[last])).mean(axis=0),
            "object": view.spread(np.sqrt(seen.still[-1])),
            "view": view.spread(np.log1p(seen.distances[-1])),
        }
        height, width = self.valid.shape
        return {
            name: cv2.resize(cv2.blur(picture, (3, 3)), (width, height)).astype(np.float32) * self.valid
            for name, picture in fields_.items()
        }

    def map_scales(self, footage: Footage, view: View) -> dict[str, float]:
        """The 99.9th percentile of each channel's maps over the footage."""
        ends = evenly_spaced(len(footage), _MAP_FRAMES)
        maps = [self.maps(footage[max(0, end - self.context) : end + 1], view) for end in ends]
        scales = {name: float(np.quantile([each[name][self.valid] for each in maps], 0.999)) for name in CHANNELS}
        return {name: max(scale, 1e-6) for name, scale in scales.items()}  # never 0: maps are divided by it

    def _parts(self, n: int) -> Iterator[tuple[slice, int]]:
        """Slices of n frames to read, and how many of each are there only as context."""
        for start in range(0, n, _CHUNK):
            first = max(0, start - self.context)
            yield slice(first, min(start + _CHUNK, n)), start - first

    def _read(self, footage: Footage, view: View) -> _Seen:
        reconstructions = self.mle.reconstruct(footage.frames)
        grey = self.motion.grey(footage.frames)
        smooth, change = self.motion.changes(grey, footage)
        place = place_in_run(footage, self.fps)
        pictures = View.pictures(grey, self.motion.working)
        averaged = causal_mean(pictures, self._window, place)
        unrest = causal_mean(np.square(pictures), self._window, place) - np.square(averaged)
        return _Seen(
            place=place,
            pcc=pcc(footage.frames, reconstructions, self.valid),
            residual=self.motion.change_cells.mean(self.motion.squared_distance(footage.frames, reconstructions)),
            change=change,
            energy=self.motion.energy(change),
            speed=self.motion.speed(smooth, change),
            distances=view.distances(averaged),
            unrest=view.mean(unrest),
        )

    def _values(self, seen: _Seen) -> Values:
        change = np.log(np.abs(seen.change[:, self.motion.working]) + _CHANGE_NOISE).mean(axis=1, dtype=np.float64)
        energy = 0.5 * np.log(worst(seen.energy, _MOTION_SHARE) + _MOTION_NOISE)  # half: it is squared
        raw = {
            "residual": 0.5 * np.log(worst(seen.residual, _RESIDUAL_SHARE) + _RESIDUAL_NOISE),
            "motion": energy + np.log(worst(seen.speed, _SPEED_SHARE) + _MOTION_NOISE),
            "change": change,
        }
        values = {name: causal_mean(value, self._window, seen.place) for name, value in raw.items()}
        values["object"] = 0.5 * np.log(worst(seen.still, _OBJECT_SHARE) + 1)
        values["view"] = 0.5 * np.log1p(seen.distances).mean(axis=1, dtype=np.float64)
        return values


@dataclass(frozen=True, eq=False)
class _Seen:
    """What was measured of N frames; NaN where a frame has no neighbour before it."""

    place: NDArray[np.int64]  # (N,), in the run
    pcc: NDArray[np.float64]  # (N,)
    residual: Pictures  # (N, cells), squared grey levels
    change: Pictures  # (N, h, w), grey levels a frame period
    energy: Pictures  # (N, cells)
    speed: Pictures  # (N, cells)
    distances: Pictures  # (N, cells of the view), of the averaged pictures
    unrest: Pictures  # (N, cells of the view), variance of the pictures over the window

    @property
    def still(self) -> Pictures:
        """Distances of the cells in which nothing moves (N, cells)."""
        still: Pictures = self.distances * np.exp(-self.unrest / _UNREST)
        return still


def frame_rate(footage: Footage) -> float:
    """Frames a second, by the median time between neighbours; 1 where no frame has one."""
    between = np.diff(footage.times_s)[footage.clip[1:] == footage.clip[:-1]]
    return float(1 / np.median(between)) if len(between) else 1.0


def _window(seconds: float, fps: float) -> int:
    return int(np.clip(seconds * fps + 0.501, 1, _LARGEST_WINDOW))  # halves go up, whatever the rate's last digit


def _mean_known(cells: Pictures) -> Pictures:
    """Mean over the frames (N, cells), NaN left out; 0 where there is none."""
    known = cells[np.isfinite(cells).all(axis=1)]
    return known.mean(axis=0) if len(known) else np.zeros(cells.shape[1], np.float32)
