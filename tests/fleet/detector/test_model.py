from __future__ import annotations

import pytest
import torch

from fleet.detector.config import DetectorConfig
from fleet.detector.model import Autoencoder


@pytest.mark.parametrize("size", [(16, 16), (17, 31), (64, 96), (120, 161), (16, 300)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_of_any_size_comes_back_in_its_size(size: tuple[int, int], channels: int):
    frames = torch.rand(2, channels, *size)
    pictures, latents, _ = Autoencoder(*size, channels, DetectorConfig())(frames)
    assert (pictures.shape, latents.shape) == (frames.shape, (2, 32))


def test_the_bottleneck_of_a_large_picture_stays_small():
    with torch.device("meta"):
        model = Autoencoder(720, 1280, 3, DetectorConfig())
    assert max(model.grid[1:]) <= 16


def test_the_weights_at_96_x_64_grey_take_less_than_2_mb():
    with torch.device("meta"):
        model = Autoencoder(64, 96, 1, DetectorConfig())
    assert sum(weight.numel() * 4 for weight in model.state_dict().values()) < 2e6
