from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch

from cameras.errors import FleetError, UsageError
from fleet.detector.config import MOVING_VIEW_CAP, DetectorConfig, PixelError, light_config
from fleet.detector.fit import Fitting, fit


def test_a_plain_autoencoder_follows_what_moves(fitted):
    assert fitted.curve[-1].response > 0.3


def test_a_plain_autoencoder_is_not_called_collapsed(fitted):
    assert not fitted.collapsed


@pytest.mark.parametrize("error_scale", ["variance", "none"])
def test_a_strong_entropy_term_is_called_collapsed(scene, quick, error_scale):
    assert fit(scene, replace(quick, lam=10.0, error_scale=error_scale)).collapsed


def test_a_collapsed_detector_has_the_loss_of_the_best_constant_picture(scene, quick):
    detector = fit(scene, replace(quick, lam=1.0, epochs=10))
    assert detector.curve[-1].reconstruction == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("error", get_args(PixelError))
def test_with_any_error_the_picture_that_a_fit_starts_from_has_a_loss_of_1(scene, error, reduction):
    config = light_config(epochs=1, error=error, error_reduction=reduction, learning_rate=1e-9)
    assert fit(scene, config).curve[-1].reconstruction == pytest.approx(1, abs=0.02)


def test_a_cap_on_a_view_that_moves_leaves_the_latent_its_nats(quick):
    frames = np.random.default_rng(0).integers(0, 256, (20, 16, 16), dtype=np.uint8)  # no frame is like another
    config = replace(quick, epochs=1, entropy_as="cap")
    assert Fitting(frames, config).config.cap == MOVING_VIEW_CAP


def test_a_fit_that_starts_from_another_point_has_its_weights(scene, quick, fitted):
    start = Fitting(scene, replace(quick, lam=0.5), start=fitted).detector()
    assert np.array_equal(start.calibration, fitted.calibration)


def test_a_fit_that_starts_from_weights_leaves_them_as_they_are(scene, quick, fitted):
    weights = fitted.model.state_dict()
    before = {name: weight.clone() for name, weight in weights.items()}
    Fitting(scene[:48], quick, start=weights).epoch()
    assert all(torch.equal(before[name], weight) for name, weight in weights.items())


def test_weights_of_another_network_are_no_start(scene, quick, fitted):
    with pytest.raises(UsageError, match="the fit to start from has another network"):
        Fitting(scene, replace(quick, latent=5), start=fitted)


def test_a_collapsed_detector_ranks_frames_as_the_mean_frame_does(scene, quick):
    assert fit(scene, replace(quick, lam=1.0, epochs=10)).curve[-1].mean_frame_correlation > 0.99


@pytest.mark.parametrize("error_scale", ["variance", "none"])
@pytest.mark.parametrize("kernel", ["norm", "elementwise"])
@pytest.mark.parametrize(("sigma", "lam"), [(0.01, 0.01), (0.01, 1.0), (1.0, 0.01), (1.0, 1.0)])
def test_nothing_becomes_nan_in_the_corners_of_the_papers_grid(scene, quick, error_scale, kernel, sigma, lam):
    config = replace(quick, sigma=sigma, lam=lam, error_scale=error_scale, kernel=kernel)
    fitting = Fitting(scene[:48], config)
    stats = [fitting.epoch() for _ in range(3)]
    assert np.isfinite([[s.total, s.entropy, s.latent_std, s.response, *s.pcc] for s in stats]).all()


def test_the_same_seed_gives_the_same_detector(scene, quick):
    first, second = (fit(scene[:48], replace(quick, epochs=2)).state()[0] for _ in range(2))
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_another_seed_gives_another_detector(scene, quick):
    first, second = (fit(scene[:48], replace(quick, epochs=1, seed=seed)).calibration for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_a_fit_leaves_the_global_random_numbers_alone(scene, quick):
    torch.manual_seed(5)
    np.random.seed(5)
    expected = torch.rand(1).item(), np.random.random()
    torch.manual_seed(5)
    np.random.seed(5)
    fit(scene[:48], replace(quick, epochs=1))
    assert (torch.rand(1).item(), np.random.random()) == expected


def test_masked_pixels_count_nowhere(scene, quick):
    valid = np.ones(scene.shape[1:], np.bool_)
    valid[:9, 5:] = False
    other = scene.copy()
    other[:, ~valid] = np.random.default_rng(1).integers(0, 256, (len(scene), int((~valid).sum())))
    results = []
    for frames in (scene, other):
        detector = fit(frames, replace(quick, epochs=2, lam=0.1), valid)
        curve = [stats.to_dict() for stats in detector.curve]
        results.append((curve, detector.threshold, detector.map_scale, detector.pcc(frames).tolist()))
        results[-1] += (detector.error_map(frames).tolist(),)
    assert results[0] == results[1]


def test_each_epoch_is_told(scene, quick):
    told = []
    fit(scene[:48], replace(quick, epochs=3), on_epoch=told.append)
    assert [stats.epoch for stats in told] == [1, 2, 3]


def test_an_epochs_pcc_are_those_of_the_same_frames_each_time(scene, quick):
    fitting = Fitting(scene, quick)
    assert {len(fitting.epoch().pcc) for _ in range(2)} == {64}


def test_a_detector_does_not_change_with_later_epochs(scene, quick):
    fitting = Fitting(scene, replace(quick, lam=0.0))
    fitting.epoch()
    detector = fitting.detector()
    before = detector.pcc(scene)
    fitting.epoch()
    assert np.array_equal(detector.pcc(scene), before)


def test_two_frames_are_enough(quick):
    frames = np.random.default_rng(0).integers(0, 256, (2, 16, 16), dtype=np.uint8)
    assert len(fit(frames, replace(quick, epochs=1)).calibration) == 2


@pytest.mark.parametrize("shape", [(20, 17, 33), (20, 16, 40, 3)])
def test_odd_sizes_and_colour_are_fitted(quick, shape: tuple):
    frames = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    detector = fit(frames, replace(quick, epochs=1))
    assert detector.error_map(frames).shape == shape[:3]


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_frames_are_refused_with_their_number(n: int):
    with pytest.raises(UsageError, match=f"a fit takes 2 frames at least, not {n} — record more"):
        fit(np.zeros((n, 32, 32), np.uint8))


def test_a_scene_where_nothing_moves_is_refused():
    with pytest.raises(UsageError, match="nothing moves: all 5 frames are the same"):
        fit(np.full((5, 32, 32), 9, np.uint8))


def test_a_scene_where_only_masked_pixels_move_is_refused():
    frames = np.zeros((5, 32, 32), np.uint8)
    frames[:, 0, 0] = range(5)
    valid = np.ones((32, 32), np.bool_)
    valid[0, 0] = False
    with pytest.raises(UsageError, match="nothing moves"):
        fit(frames, valid=valid)


def test_frames_of_another_type_are_refused():
    with pytest.raises(UsageError, match="frames are uint8"):
        fit(np.zeros((5, 32, 32), np.float32))


def test_a_diverged_training_is_said_with_the_remedy(scene, quick):
    fitting = Fitting(scene, quick)
    fitting.model.to_latent.weight.data.fill_(float("nan"))
    with pytest.raises(FleetError, match=r"training diverged in epoch 1: .* — lower learning_rate \(it is 0.002\)"):
        fitting.epoch()


def test_the_scale_of_the_maps_is_their_999th_permille(scene, fitted):
    expected = np.quantile(fitted.error_map(scene), 0.999, method="inverted_cdf")
    assert fitted.map_scale == pytest.approx(expected, abs=2e-5)


def test_masked_pixels_do_not_darken_the_scale_of_the_maps(scene, quick):
    valid = np.zeros(scene.shape[1:], np.bool_)
    valid[:4] = True
    detector = fit(scene[:48], replace(quick, epochs=1), valid)
    expected = np.quantile(detector.error_map(scene[:48])[:, valid], 0.999, method="inverted_cdf")
    assert detector.map_scale == pytest.approx(expected, abs=2e-5)


def test_a_default_fit_takes_the_papers_batch_size(scene):
    assert Fitting(scene, DetectorConfig())._steps == 3  # 160 frames, 64 a batch
