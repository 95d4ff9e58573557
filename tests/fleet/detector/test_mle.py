from __future__ import annotations

import json

import numpy as np
import pytest

from cameras.errors import UsageError
from fleet.detector.mle import MleDetector
from fleet.detector.threshold import paper_threshold


@pytest.fixture(scope="module")
def read_back(fitted: MleDetector) -> MleDetector:
    from safetensors.numpy import load, save

    tensors, meta = fitted.state()
    return MleDetector.from_state(load(save(tensors)), json.loads(json.dumps(meta)))


def test_a_detector_read_back_scores_exactly_alike(fitted, read_back, scene):
    assert np.array_equal(read_back.pcc(scene), fitted.pcc(scene))


def test_a_detector_read_back_has_the_same_numbers(fitted, read_back):
    names = ("config", "threshold", "pcc_mean", "pcc_std", "map_scale", "height", "width", "channels", "curve")
    assert [getattr(read_back, name) for name in names] == [getattr(fitted, name) for name in names]


def test_a_detector_read_back_has_the_same_calibration(fitted, read_back):
    assert np.array_equal(read_back.calibration, fitted.calibration)


def test_a_mask_is_read_back(scene, quick):
    from fleet.detector.fit import Fitting

    valid = np.ones((32, 32), np.bool_)
    valid[3:7] = False
    detector = Fitting(scene, quick, valid).detector()
    assert np.array_equal(MleDetector.from_state(*detector.state()).valid, valid)


def test_weights_of_another_network_are_refused(fitted):
    tensors, meta = fitted.state()
    with pytest.raises(RuntimeError, match="size mismatch"):
        MleDetector.from_state(tensors, {**meta, "height": 64})


def test_the_calibration_is_the_score_of_the_training_frames(fitted, scene):
    assert fitted.pcc(scene) == pytest.approx(fitted.calibration, abs=1e-6)


def test_the_threshold_is_the_papers(fitted):
    assert fitted.threshold == paper_threshold(fitted.calibration, fitted.config.kappa)[0]


def test_the_frames_that_are_scored_together_do_not_matter(fitted, scene):
    alone = np.concatenate([fitted.pcc(frame[None]) for frame in scene[:20]])
    assert fitted.pcc(scene)[:20] == pytest.approx(alone, abs=1e-6)


def test_no_frames_have_no_scores(fitted, scene):
    assert fitted.pcc(scene[:0]).shape == (0,)


def test_a_constant_frame_scores_0(fitted):
    assert fitted.pcc(np.full((1, 32, 32), 128, np.uint8)).tolist() == [0]


def test_something_new_scores_below_what_was_seen(fitted, scene):
    covered = scene[:10].copy()
    covered[:, 4:16, 4:16] = 255
    assert fitted.pcc(covered).max() < fitted.pcc(scene[:10]).min()


def test_the_error_map_is_largest_where_something_new_is(fitted, scene):
    covered = scene[:1].copy()
    covered[:, 20:28, 20:28] = 255 - covered[:, 20:28, 20:28]
    y, x = np.unravel_index(fitted.error_map(covered)[0].argmax(), (32, 32))
    assert 20 <= y < 28
    assert 20 <= x < 28


def test_frames_below_the_threshold_are_flagged(fitted):
    assert fitted.flag(np.array([-1.0, fitted.threshold, 1.0])).tolist() == [True, False, False]


def test_frames_of_another_size_are_refused_with_both_sizes(fitted):
    with pytest.raises(UsageError, match="takes 32 x 32 grey frames, not 48 x 32 colour ones"):
        fitted.pcc(np.zeros((1, 32, 48, 3), np.uint8))
