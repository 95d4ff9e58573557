from __future__ import annotations

import numpy as np
import pytest
import torch

from fleet.detector.config import light_config
from fleet.detector.fit import fit
from fleet.detector.light import LightAutoencoder, fit_light
from fleet.detector.mle import MleDetector
from fleet.detector.reference import median_frame
from fleet.detector.score import pcc

PICTURE = torch.rand(1, 20, 30, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def detector(scene: np.ndarray) -> MleDetector:
    return fit(scene, light_config(epochs=5, batch_size=16))


def test_the_light_of_a_frame_is_found():
    frames = torch.stack([0.5 * PICTURE + 0.2, 1.2 * PICTURE])
    gain, offset = fit_light(frames, PICTURE, torch.ones(20, 30))
    assert gain.flatten().tolist() == pytest.approx([0.5, 1.2], abs=2e-3)
    assert offset.flatten().tolist() == pytest.approx([0.2, 0], abs=2e-3)


def test_who_walks_in_does_not_change_the_light():
    frame = 0.8 * PICTURE[None]
    frame[..., :6, :10] = 1  # a tenth of the frame
    gain, offset = fit_light(frame, PICTURE, torch.ones(20, 30))
    assert (gain.item(), offset.item()) == pytest.approx((0.8, 0), abs=0.01)


def test_a_masked_pixel_has_no_say_in_the_light():
    valid = torch.ones(20, 30)
    valid[:12] = 0
    frame = torch.where(valid > 0, 0.8 * PICTURE, 1.0)[None]
    gain, offset = fit_light(frame, PICTURE * valid, valid)
    assert (gain.item(), offset.item()) == pytest.approx((0.8, 0), abs=2e-3)


def test_a_background_without_contrast_leaves_the_gain_alone():
    gain, offset = fit_light(torch.full((1, 1, 4, 4), 0.7), torch.full((1, 4, 4), 0.5), torch.ones(4, 4))
    assert (gain.item(), offset.item()) == pytest.approx((1, 0.2))


@pytest.mark.parametrize("size", [(16, 16), (17, 31), (64, 96), (121, 161), (16, 300)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_new_network_gives_the_background_in_the_frames_light(size: tuple[int, int], channels: int):
    network = LightAutoencoder(*size, channels, light_config())
    background = np.random.default_rng(0).random((*size, channels))
    network.standardise(background, 0.1, np.ones(size, np.bool_))
    frames = torch.stack([0.5 * network.background + 0.2, network.background])
    pictures, latents, _ = network(frames)
    assert torch.allclose(pictures, frames, atol=5e-3)
    assert latents.shape == (2, 4)


def test_the_weights_at_96_x_64_grey_take_less_than_110_kb():
    with torch.device("meta"):
        network = LightAutoencoder(64, 96, 1, light_config())
    assert sum(weight.numel() * 4 for weight in network.parameters()) < 110e3


def test_on_a_camera_that_stands_still_the_cap_is_0(detector):
    assert detector.config.cap == 0


def test_a_cap_of_0_switches_the_latent_off(detector):
    assert detector.collapsed


def test_a_collapsed_light_network_ranks_frames_as_the_median_frame_does(detector, scene):
    expected = pcc(scene, np.broadcast_to(median_frame(scene), scene.shape))
    assert detector.calibration == pytest.approx(expected, abs=5e-3)


def test_with_a_cap_above_0_the_latent_speaks(scene):
    assert not fit(scene, light_config(epochs=4, batch_size=16, lam=0.0, cap=3.0)).collapsed


def test_a_change_of_light_is_followed_and_no_event(detector, scene):
    darker = (0.7 * scene[:20] + 10).astype(np.uint8)
    errors = [np.abs(frames / 255 - detector.reconstruct(frames)).mean() for frames in (scene[:20], darker)]
    assert errors[1] < 1.1 * errors[0]


def test_a_light_detector_read_back_scores_exactly_alike(detector, scene):
    assert np.array_equal(MleDetector.from_state(*detector.state()).pcc(scene), detector.pcc(scene))


def test_the_frames_that_are_scored_together_do_not_matter(detector, scene):
    alone = np.concatenate([detector.pcc(frame[None]) for frame in scene[:20]])
    assert detector.pcc(scene)[:20] == pytest.approx(alone, abs=1e-6)


def test_masked_pixels_count_nowhere(scene):
    valid = np.ones(scene.shape[1:], np.bool_)
    valid[:9, 5:] = False
    other = scene[:48].copy()
    other[:, ~valid] = np.random.default_rng(1).integers(0, 256, (48, int((~valid).sum())))
    results = []
    for frames in (scene[:48], other):
        detector = fit(frames, light_config(epochs=2), valid)
        results.append((detector.threshold, detector.pcc(frames).tolist(), detector.error_map(frames).tolist()))
    assert results[0] == results[1]


def test_odd_sizes_and_colour_are_fitted():
    frames = np.random.default_rng(0).integers(0, 256, (20, 17, 43, 3), dtype=np.uint8)
    assert fit(frames, light_config(epochs=1)).error_map(frames).shape == (20, 17, 43)
