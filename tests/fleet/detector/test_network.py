from __future__ import annotations

import numpy as np
import pytest
import torch

from fleet.detector.network import to_frames, to_tensor


@pytest.mark.parametrize("shape", [(2, 20, 30), (2, 20, 30, 3)])
def test_frames_survive_the_way_to_a_tensor_and_back(shape: tuple):
    frames = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    there = to_tensor(frames, torch.device("cpu"))
    assert np.array_equal((to_frames(there) * 255).round().astype(np.uint8), frames)
