"""ONNX Runtime gives what torch gives, and cameras of one architecture share a graph."""

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


def test_two_cameras_of_one_architecture_share_a_session(colour_scene, monkeypatch):
    made = []
    monkeypatch.setattr(onnx, "_sessions", {})
    make = onnx._make_session
    monkeypatch.setattr(onnx, "_make_session", lambda graph: made.append(1) or make(graph))
    first, second = (fit(colour_scene, DetectorConfig(epochs=1, latent=4, seed=seed)).model for seed in (0, 1))
    apart = np.abs(Runner(first)(colour_scene[:1]) - Runner(second)(colour_scene[:1])).max()
    assert len(made) == 1
    assert apart > 1e-4  # each by its own weights
