"""The default detector: scores are local in time, masks hold, what is saved comes back, events stand out."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from cameras.errors import UsageError
from fleet.detector.channels import place_in_run
from fleet.detector.config import light_config
from fleet.detector.evidence import EvidenceConfig, EvidenceDetector, EvidenceFitting, fit_evidence
from fleet.detector.footage import Footage
from fleet.detector.reader import CHANNELS, frame_rate

CONFIG = EvidenceConfig(mle=light_config(epochs=1, batch_size=64))
N = 300
EVENT = np.arange(N) >= 270


def walkers_and_a_runner(height: int = 32, width: int = 48) -> Footage:
    """Two clips at 5 frames/s: slow small blobs all the time, one large fast one in the last 30 frames."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    time = np.arange(N)[:, None, None]
    frames = 90 + 50 * np.sin(x / 3) + 30 * np.cos(y / 4) + rng.normal(0, 2, (N, height, width))
    for blob in range(3):
        frames += 70 * np.exp(-((x - (5 + 14 * blob + 0.3 * time) % width) ** 2 + (y - 8 * blob - 6) ** 2) / 6)
    frames -= 120 * EVENT[:, None, None] * np.exp(-((x - (3.5 * time) % width) ** 2 + (y - height / 2) ** 2) / 20)
    return Footage.of(frames.clip(0, 255).astype(np.uint8), 5.0, np.arange(N) // 150)


@pytest.fixture(scope="module")
def footage() -> Footage:
    return walkers_and_a_runner()


@pytest.fixture(scope="module")
def detector(footage: Footage) -> EvidenceDetector:
    return fit_evidence(footage, CONFIG)


def same(one: np.ndarray, other: np.ndarray, atol: float = 1e-6) -> bool:
    return np.allclose(one, other, rtol=0, atol=atol, equal_nan=True)


@pytest.mark.parametrize("index", [0, 3, 100, 152, 299])
def test_a_frame_with_its_context_scores_as_in_the_whole_clip(detector, footage, index):
    whole = detector.score(footage)
    place = int(place_in_run(footage, detector.fps)[index])
    alone = detector.score(footage[index - min(place, detector.context) : index + 1])
    assert alone.score[-1] == pytest.approx(whole.score[index], rel=1e-6, abs=1e-6)
    assert abs(alone.pcc[-1] - whole.pcc[index]) < 1e-6
    for name in CHANNELS:
        assert same(alone.channels[name].value[-1], whole.channels[name].value[index])


def test_the_context_is_a_second_of_the_rate_it_was_fitted_at(detector):
    assert detector.fps == pytest.approx(5)
    assert detector.context == 5


def test_events_score_above_the_rest(detector, footage):
    score = detector.score(footage).score
    assert np.median(score[EVENT]) > np.quantile(score[~EVENT], 0.99)


def test_the_first_frame_of_a_clip_has_no_motion_and_a_score(detector, footage):
    scores = detector.score(footage)
    unknown = {name for name in CHANNELS if np.isnan(scores.channels[name].value[150])}
    assert unknown == {"motion", "change"}
    assert np.isfinite(scores.score).all()


def test_the_calibration_is_the_score_of_the_training_footage(detector, footage):
    scores = detector.score(footage)
    assert same(scores.score, detector.calibration.score)
    assert same(scores.pcc, detector.calibration.pcc)


def test_the_papers_numbers_pass_through(detector, footage):
    assert np.array_equal(detector.score(footage).pcc < detector.threshold, detector.mle.flag(detector.calibration.pcc))
    assert (detector.pcc_mean, detector.pcc_std) == (detector.mle.pcc_mean, detector.mle.pcc_std)
    assert (detector.map_scale, detector.collapsed) == (detector.mle.map_scale, detector.mle.collapsed)


def test_each_channel_says_what_it_is_worth_here(detector):
    assert list(detector.informative) == list(CHANNELS)
    assert any(verdict.startswith("informative") for verdict in detector.informative.values())


def test_a_detector_read_back_is_the_same(detector, footage):
    from safetensors.numpy import load, save

    tensors, meta = detector.state()
    read_back = EvidenceDetector.from_state(load(save(tensors)), json.loads(json.dumps(meta)))
    one, other = detector.score(footage), read_back.score(footage)
    assert np.array_equal(one.score, other.score)
    assert np.array_equal(detector.calibration.score, read_back.calibration.score)
    assert read_back.informative == detector.informative
    maps, read_maps = detector.maps(footage), read_back.maps(footage)
    assert all(np.array_equal(maps[name], read_maps[name]) for name in CHANNELS)


def test_masked_pixels_count_nowhere(footage):
    valid = np.ones((32, 48), np.bool_)
    valid[10:22, 5:30] = False
    other = footage.frames.copy()
    other[:, ~valid] = np.random.default_rng(1).integers(0, 255, (N, int((~valid).sum())))
    one, two = (fit_evidence(replace(footage, frames=f), CONFIG, valid) for f in (footage.frames, other))
    assert same(one.calibration.score, two.calibration.score)
    assert all((picture[~valid] == 0).all() for picture in one.maps(footage).values())


def test_the_maps_show_where_on_a_scale_of_0_to_1(detector, footage):
    maps = detector.maps(footage)
    assert list(maps) == list(CHANNELS)
    assert all(m.shape == (32, 48) and m.dtype == np.float32 and m.min() >= 0 and m.max() <= 1 for m in maps.values())
    row = np.unravel_index(maps["motion"].argmax(), (32, 48))[0]
    assert abs(row - 16) <= 6


def test_no_frame_has_no_map(detector, footage):
    with pytest.raises(UsageError, match="no frame"):
        detector.maps(footage[:0])


@pytest.mark.parametrize("shape", [(16, 16, 3), (45, 31)])
def test_colour_and_odd_sizes_are_scored(shape):
    frames = np.random.default_rng(0).integers(0, 255, (24, *shape), dtype=np.uint8)
    detector = fit_evidence(Footage.of(frames, 5.0), CONFIG)
    assert np.isfinite(detector.calibration.score).all()
    assert detector.maps(Footage.of(frames, 5.0))["view"].shape == shape[:2]


def test_single_frames_without_neighbours_are_fitted_and_scored(footage):
    """As of a camera that sends one picture now and then: no motion, which the channels say."""
    alone = replace(footage, clip=np.arange(N))
    detector = fit_evidence(alone, CONFIG)
    assert detector.informative["motion"] == "blind, without values"
    assert np.isfinite(detector.score(alone).score).all()


def test_a_fit_goes_by_epochs(footage):
    fitting = EvidenceFitting(footage, CONFIG)
    assert fitting.epoch().epoch == 1
    assert len(fitting.curve) == fitting.config.epochs == 1


def test_the_frame_rate_is_that_of_most_neighbours():
    footage = Footage(np.zeros((4, 16, 16), np.uint8), np.array([0, 0.5, 1, 9]), np.array([0, 0, 0, 1]))
    assert frame_rate(footage) == 2


def test_the_configuration_survives_json_and_refuses_what_it_does_not_know():
    config = EvidenceConfig(mle=light_config(epochs=3), window_s=2)
    assert EvidenceConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with pytest.raises(ValueError, match="no setting 'windows'"):
        EvidenceConfig.from_dict({"windows": 1})
    with pytest.raises(ValueError, match="window_s"):
        EvidenceConfig(window_s=-1)
