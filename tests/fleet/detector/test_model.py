from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from fleet.detector.config import DetectorConfig
from fleet.detector.entropy import entropy_loss
from fleet.detector.losses import reconstruction_loss
from fleet.detector.model import Autoencoder
from fleet.detector.network import to_frames, to_tensor


def eq_18(latents: np.ndarray, sigma: float) -> float:
    """The paper's equation, a pair at a time."""
    n = len(latents)
    total = 0.0
    for a in latents:
        for b in latents:
            distance = sum((p - q) ** 2 for p, q in zip(a, b, strict=True))
            total += math.exp(-distance / (4 * sigma**2)) / (math.sqrt(4 * math.pi) * sigma)
    return -math.log(total / n**2)


def eq_18_of_each_dimension(latents: np.ndarray, sigma: float) -> float:
    """The same with (e_i - e_j)^2 taken a dimension at a time, averaged inside the logarithm."""
    kernels = [math.exp(-eq_18(latents[:, [d]], sigma)) for d in range(latents.shape[1])]
    return -math.log(sum(kernels) / len(kernels))


@pytest.mark.parametrize("sigma", [0.05, 0.1, 1.0])
@pytest.mark.parametrize(("kernel", "naive"), [("norm", eq_18), ("elementwise", eq_18_of_each_dimension)])
def test_the_entropy_is_eq_18_written_out(kernel, naive, sigma: float):
    latents = np.random.default_rng(3).normal(0, 0.2, (12, 4))
    assert entropy_loss(torch.tensor(latents), sigma, kernel).item() == pytest.approx(naive(latents, sigma), rel=1e-9)


@pytest.mark.parametrize("kernel", ["norm", "elementwise"])
def test_latents_in_one_point_have_the_least_entropy(kernel):
    least = math.log(math.sqrt(4 * math.pi) * 0.1)
    assert entropy_loss(torch.ones(8, 32), 0.1, kernel).item() == pytest.approx(least, abs=1e-6)


def test_far_latents_have_log_n_more_because_the_diagonal_stays():
    far = 25 * torch.eye(16, 32)
    least = math.log(math.sqrt(4 * math.pi) * 0.01)
    assert entropy_loss(far, 0.01).item() == pytest.approx(least + math.log(16), abs=1e-5)


@pytest.mark.parametrize("kernel", ["norm", "elementwise"])
@pytest.mark.parametrize("sigma", [0.01, 1.0])
@pytest.mark.parametrize("spread", [0.0, 1e-6, 0.01, 25.0, 1e4])
def test_the_entropys_gradient_is_finite_however_far_the_latents_are(kernel, sigma: float, spread: float):
    latents = (spread * torch.randn(64, 32, generator=torch.Generator().manual_seed(0))).requires_grad_()
    entropy_loss(latents, sigma, kernel).backward()
    assert latents.grad is not None
    assert torch.isfinite(latents.grad).all()


def test_close_latents_far_from_the_origin_lose_no_digits():
    near = 0.01 * torch.randn(16, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    away = (near + 100).float()
    assert entropy_loss(away, 0.1).item() == pytest.approx(entropy_loss(near, 0.1).item(), abs=1e-4)


def test_the_reconstruction_loss_is_the_mean_over_frames_of_the_summed_squares():
    loss = reconstruction_loss(torch.zeros(5, 3, 4, 6), torch.full((5, 3, 4, 6), 0.5), torch.ones(4, 6))
    assert loss.item() == pytest.approx(3 * 4 * 6 * 0.25)


def test_a_masked_pixel_is_not_in_the_reconstruction_loss():
    valid = torch.ones(4, 6)
    valid[0, 0] = 0
    wrong_there = torch.zeros(2, 1, 4, 6)
    wrong_there[..., 0, 0] = 9
    assert reconstruction_loss(torch.zeros(2, 1, 4, 6), wrong_there, valid).item() == 0


@pytest.mark.parametrize("size", [(16, 16), (17, 31), (64, 96), (120, 161), (16, 300)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_of_any_size_comes_back_in_its_size(size: tuple[int, int], channels: int):
    frames = torch.rand(2, channels, *size)
    pictures, latents = Autoencoder(*size, channels, DetectorConfig())(frames)
    assert (pictures.shape, latents.shape) == (frames.shape, (2, 32))


def test_the_bottleneck_of_a_large_picture_stays_small():
    with torch.device("meta"):
        model = Autoencoder(720, 1280, 3, DetectorConfig())
    assert max(model.grid[1:]) <= 16


def test_the_weights_at_96_x_64_grey_take_less_than_2_mb():
    with torch.device("meta"):
        model = Autoencoder(64, 96, 1, DetectorConfig())
    assert sum(weight.numel() * 4 for weight in model.state_dict().values()) < 2e6


@pytest.mark.parametrize("shape", [(2, 20, 30), (2, 20, 30, 3)])
def test_frames_survive_the_way_to_a_tensor_and_back(shape: tuple):
    frames = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    there = to_tensor(frames, torch.device("cpu"))
    assert np.array_equal((to_frames(there) * 255).round().astype(np.uint8), frames)
