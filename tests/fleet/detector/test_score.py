from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr

from fleet.detector.score import error_map, pcc


def pictures(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("shape", [(5, 20, 30), (5, 20, 30, 3)])
def test_pcc_is_scipys_pearsonr(shape: tuple):
    frames, reconstructions = pictures(*shape), pictures(*shape, seed=1).astype(np.float32) / 255
    expected = [
        pearsonr(x.ravel(), y.ravel().astype(float)).statistic for x, y in zip(frames, reconstructions, strict=True)
    ]
    assert pcc(frames, reconstructions) == pytest.approx(expected, abs=1e-12)


def test_masked_pcc_is_pearsonr_of_the_pixels_that_count():
    frames, reconstructions = pictures(3, 20, 30), pictures(3, 20, 30, seed=1)
    valid = np.random.default_rng(2).random((20, 30)) < 0.5
    expected = [pearsonr(x[valid], y[valid]).statistic for x, y in zip(frames, reconstructions, strict=True)]
    assert pcc(frames, reconstructions, valid) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("level", [0, 7, 0.1, 0.3])  # the mean of many 0.3 is not 0.3
def test_the_pcc_of_a_constant_frame_is_0(level: float):
    assert pcc(np.full((1, 17, 31), level), pictures(1, 17, 31)).tolist() == [0]


def test_the_pcc_of_a_constant_reconstruction_is_0():
    assert pcc(pictures(1, 20, 30), np.full((1, 20, 30), 0.1, np.float32)).tolist() == [0]


def test_the_pcc_of_a_fully_masked_frame_is_0():
    assert pcc(pictures(1, 20, 30), pictures(1, 20, 30), np.zeros((20, 30), np.bool_)).tolist() == [0]


def test_pcc_does_not_depend_on_brightness_and_contrast():
    frames = pictures(2, 20, 30)
    assert pcc(frames, frames * 0.01 + 5) == pytest.approx([1, 1])


def test_no_frames_have_no_pcc():
    assert pcc(pictures(0, 20, 30), pictures(0, 20, 30)).shape == (0,)


def test_the_error_of_one_pixel_is_spread_over_its_box():
    frames, reconstructions = np.zeros((1, 20, 30), np.uint8), np.zeros((1, 20, 30), np.float32)
    reconstructions[0, 10, 10] = 1
    expected = np.zeros((20, 30))
    expected[8:13, 8:13] = 1 / 25
    assert error_map(frames, reconstructions)[0] == pytest.approx(expected, abs=1e-7)


def test_an_even_error_is_even_at_the_borders_and_beside_a_mask():
    valid = np.ones((20, 30), np.bool_)
    valid[:, :4] = False
    errors = error_map(np.full((1, 20, 30), 51, np.uint8), np.zeros((1, 20, 30), np.float32), valid)
    assert errors[0][valid] == pytest.approx(0.2, abs=1e-6)


def test_the_error_map_is_0_where_masked():
    valid = np.ones((20, 30), np.bool_)
    valid[5:9, 5:9] = False
    errors = error_map(np.full((1, 20, 30), 255, np.uint8), np.zeros((1, 20, 30), np.float32), valid)
    assert not errors[0][~valid].any()


def test_a_masked_error_does_not_leak_into_its_neighbours():
    valid = np.ones((20, 30), np.bool_)
    valid[10, 10] = False
    reconstructions = np.zeros((1, 20, 30), np.float32)
    reconstructions[0, 10, 10] = 100
    assert not error_map(np.zeros((1, 20, 30), np.uint8), reconstructions, valid).any()


def test_the_error_map_of_colour_is_the_mean_over_its_channels():
    reconstructions = np.zeros((1, 20, 30, 3), np.float32)
    reconstructions[..., 0] = 0.3
    assert error_map(np.zeros((1, 20, 30, 3), np.uint8), reconstructions)[0] == pytest.approx(0.1, abs=1e-6)
