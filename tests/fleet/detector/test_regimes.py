"""Two lights are two regimes where they are far apart and last; a flash, a drift or a crowd is none."""

from __future__ import annotations

import numpy as np
import pytest

from fleet.detector.footage import Footage
from fleet.detector.regimes import Regimes, light_of

RNG = np.random.default_rng(0)


def footage(brightness: np.ndarray, fps: float = 2.0) -> Footage:
    """Frames of a patterned scene, 16 x 16, in a light of so many grey levels each."""
    scene = RNG.uniform(0.6, 1.4, (16, 16))
    return Footage.of((brightness[:, None, None] * scene).clip(0, 255).astype(np.uint8), fps)


def regimes_of(footage: Footage) -> tuple[Regimes, np.ndarray]:
    light = light_of(footage.frames, np.ones((16, 16), np.bool_))
    regimes = Regimes.of(light, footage)
    return regimes, regimes.which(light)


def test_day_and_night_are_two_regimes_and_each_frame_is_in_its_own():
    night = np.arange(1_200) % 800 >= 400
    regimes, which = regimes_of(footage(np.where(night, 25, 150) + RNG.normal(0, 3, 1_200)))
    assert len(regimes) == 2
    assert np.array_equal(which == 0, night)


@pytest.mark.parametrize(
    "brightness",
    [np.full(1_200, 150.0), np.linspace(30, 160, 1_200), np.where(np.arange(1_200) % 4 < 2, 40.0, 150.0)],
    ids=["still", "drifting", "flashing"],
)
def test_one_light_a_drift_and_a_lamp_that_flashes_are_one_regime(brightness):
    assert len(regimes_of(footage(brightness + RNG.normal(0, 2, 1_200)))[0]) == 1


def test_a_light_that_too_few_frames_show_is_none_of_its_own():
    assert len(regimes_of(footage(np.where(np.arange(1_200) < 150, 25.0, 150.0)))[0]) == 1


def test_colour_that_goes_at_night_is_a_regime_of_its_own():
    grey = RNG.integers(90, 110, (1_000, 16, 16, 1), dtype=np.uint8)
    frames = np.repeat(grey, 3, axis=3)
    frames[:500, ..., 0] //= 3
    regimes, which = regimes_of(Footage.of(frames, 2.0))
    assert len(regimes) == 2
    assert len(set(which[:500])) == 1


def test_masked_pixels_are_no_light():
    frames = RNG.integers(0, 255, (3, 16, 16), dtype=np.uint8)
    valid = np.ones((16, 16), np.bool_)
    valid[:5] = False
    other = frames.copy()
    other[:, :5] = 255
    assert np.array_equal(light_of(frames, valid), light_of(other, valid))
