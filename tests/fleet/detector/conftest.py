"""A small scene with one thing moving in it, and detectors fitted to it once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fleet.detector import DetectorConfig, MleDetector
from fleet.detector.fit import fit

# 160 frames in batches of 16: enough steps, at a rate above the paper's, for a network to respond within a second.
QUICK = DetectorConfig(epochs=6, batch_size=16, learning_rate=2e-3)


def moving_blob(n: int = 160, height: int = 32, width: int = 32, seed: int = 0) -> np.ndarray:
    """uint8 (n, height, width): a bright blob on its way over a patterned, noisy background."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    time = np.arange(n)[:, None, None]
    background = 80 + 60 * np.sin(x / 5) + 30 * np.cos(y / 7)
    across = x - width / 2 - width / 3 * np.sin(time * 0.21)
    down = y - height / 2 - height / 3 * np.cos(time * 0.13)
    blob = 110 * np.exp(-(across**2 + down**2) / 18)
    noise = rng.normal(0, 3, (n, height, width))
    return np.clip(background + blob + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="package", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def quick() -> DetectorConfig:
    return QUICK


@pytest.fixture(scope="session")
def scene() -> np.ndarray:
    frames = moving_blob()
    frames.flags.writeable = False  # as Ray's object store gives them
    return frames


@pytest.fixture(scope="session")
def fitted(scene: np.ndarray) -> MleDetector:
    """Fitted with a working latent."""
    return fit(scene, DetectorConfig(**QUICK.to_dict() | {"lam": 0.0}))


@pytest.fixture(scope="session")
def make_scene():
    return moving_blob
