from __future__ import annotations

import numpy as np
import pytest

from cameras.errors import UsageError
from fleet.detector.reference import median_frame, median_pcc, moving_view
from fleet.detector.score import pcc


@pytest.mark.parametrize("shape", [(9, 20, 30), (8, 20, 30, 3)])
def test_the_median_frame_is_numpys(shape: tuple):
    frames = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(median_frame(frames), np.median(frames, axis=0))


def test_the_median_frame_is_the_same_in_bands(monkeypatch: pytest.MonkeyPatch):
    frames = np.random.default_rng(0).integers(0, 256, (9, 20, 30), dtype=np.uint8)
    monkeypatch.setattr("fleet.detector.reference._BAND_VALUES", 9 * 30 * 3)
    assert np.array_equal(median_frame(frames), np.median(frames, axis=0))


def test_the_median_frame_of_many_is_that_of_some_of_them():
    frames = np.arange(100, dtype=np.uint8)[:, None, None] * np.ones((1, 16, 16), np.uint8)
    assert np.array_equal(median_frame(frames, max_frames=3), np.full((16, 16), 50))


def test_what_passes_by_is_not_in_the_median_frame(make_scene):
    assert median_frame(make_scene()).max() < 190


def test_median_pcc_is_pcc_to_the_median_frame(scene):
    valid = np.ones((32, 32), np.bool_)
    valid[:5] = False
    expected = pcc(scene, np.stack([np.median(scene, axis=0)] * len(scene)), valid)
    assert np.array_equal(median_pcc(scene, valid), expected)


def test_no_frames_have_no_median():
    with pytest.raises(UsageError, match="no frame to take a median of"):
        median_frame(np.zeros((0, 20, 30), np.uint8))


def test_a_camera_that_stands_still_has_no_moving_view(scene):
    assert not moving_view(scene)


def test_a_view_that_drifts_moves(scene):
    assert moving_view(np.stack([np.roll(frame, 3 * i, axis=1) for i, frame in enumerate(scene[:40])]))
