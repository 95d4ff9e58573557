"""ONNX Runtime gives what torch gives, and cameras of one architecture share a graph."""

import pickle

import numpy as np
import pytest

from fleet.detector import onnx
from fleet.detector.config import DetectorConfig, light_config
from fleet.detector.fit import fit
from fleet.detector.model import reconstruct
from fleet.detector.onnx import Runner


@pytest.fixture
def colour_scene() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (40, 24, 34, 3), np.uint8)  # an odd grid: 34 is no multiple of 4


@pytest.mark.parametrize("config", [DetectorConfig(epochs=1, latent=4), light_config(epochs=1)], ids=["plain", "light"])
def test_torch_and_onnx_runtime_agree(colour_scene, config):
    model = fit(colour_scene, config).model
    for count in (1, 7):  # the graph is made with two frames and takes any number
        given = Runner(model)(colour_scene[:count])
        assert given.dtype == np.float32
        np.testing.assert_allclose(given, reconstruct(model, colour_scene[:count]), atol=1e-6)


def test_a_detector_that_has_scored_may_be_sent_to_another_process(colour_scene):
    detector = fit(colour_scene, light_config(epochs=1))
    scored = detector.pcc(colour_scene)
    sent = pickle.loads(pickle.dumps(detector))  # noqa: S301  # as Ray does between its own processes
    np.testing.assert_allclose(sent.pcc(colour_scene), scored, atol=1e-9)


@pytest.mark.parametrize("config", [DetectorConfig(epochs=1, latent=4), light_config(epochs=1)], ids=["plain", "light"])
def test_cameras_of_one_architecture_share_a_session_and_nothing_else(colour_scene, monkeypatch, config):
    made = []
    monkeypatch.setattr(onnx, "_sessions", {})
    make = onnx._make_session
    monkeypatch.setattr(onnx, "_make_session", lambda graph: made.append(1) or make(graph))
    masked = np.ones(colour_scene.shape[1:3], bool)
    masked[:8] = False
    for scene, valid in ((colour_scene, None), (colour_scene[::-1] // 2, None), (255 - colour_scene, masked)):
        model = fit(scene, config, valid).model
        np.testing.assert_allclose(Runner(model)(scene), reconstruct(model, scene), atol=1e-6)
    assert len(made) == 1
