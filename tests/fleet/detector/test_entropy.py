from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from fleet.detector.entropy import entropy_loss, least_entropy


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


def density(point: np.ndarray, latents: np.ndarray, sigma: float) -> float:
    """Eq 5: the mean of Gaussians of width sigma around the latents."""
    squared = [sum((p - q) ** 2 for p, q in zip(point, other, strict=True)) for other in latents]
    return sum(math.exp(-d / (2 * sigma**2)) / (math.sqrt(2 * math.pi) * sigma) for d in squared) / len(latents)


def resubstituted(latents: np.ndarray, sigma: float, alpha: float) -> float:
    """1 / (1 - alpha) log mean_i p(z_i)^(alpha - 1)."""
    mean = sum(density(z, latents, sigma) ** (alpha - 1) for z in latents) / len(latents)
    return math.log(mean) / (1 - alpha)


@pytest.mark.parametrize("alpha", [0.5, 1.5, 3.0])
def test_another_order_is_the_resubstitution_estimator_written_out(alpha: float):
    latents = np.random.default_rng(3).normal(0, 0.2, (12, 4))
    entropy = entropy_loss(torch.tensor(latents), 0.1, alpha=alpha)
    assert entropy.item() == pytest.approx(resubstituted(latents, 0.1, alpha), rel=1e-9)


def test_resubstitution_near_order_2_is_the_closed_form_of_a_narrower_kernel():
    latents = torch.tensor(np.random.default_rng(3).normal(0, 0.2, (12, 4)))
    closed = entropy_loss(latents, 0.1 / math.sqrt(2)).item()
    assert entropy_loss(latents, 0.1, alpha=2 + 1e-9).item() == pytest.approx(closed, rel=1e-6)


@pytest.mark.parametrize("alpha", [0.5, 2.0, 3.0])
def test_a_kernel_a_dimension_is_the_mean_of_the_dimensions_entropies(alpha: float):
    latents = np.random.default_rng(3).normal(0, 0.2, (12, 4))
    naive = (lambda one: eq_18(one, 0.1)) if alpha == 2 else (lambda one: resubstituted(one, 0.1, alpha))
    expected = np.mean([naive(latents[:, [d]]) for d in range(4)])
    assert entropy_loss(torch.tensor(latents), 0.1, "dimension", alpha).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("kernel", ["norm", "elementwise", "dimension"])
@pytest.mark.parametrize("alpha", [0.5, 2.0, 3.0])
def test_the_least_entropy_is_that_of_latents_in_one_point(kernel, alpha: float):
    entropy = entropy_loss(torch.ones(8, 32), 0.1, kernel, alpha)
    assert entropy.item() == pytest.approx(least_entropy(0.1, alpha), abs=1e-5)


@pytest.mark.parametrize("spread", [0.0, 0.01, 25.0])
@pytest.mark.parametrize("alpha", [0.5, 3.0])
def test_the_gradient_of_another_order_is_finite_however_far_the_latents_are(alpha: float, spread: float):
    latents = (spread * torch.randn(64, 32, generator=torch.Generator().manual_seed(0))).requires_grad_()
    entropy_loss(latents, 0.01, "dimension", alpha).backward()
    assert latents.grad is not None
    assert torch.isfinite(latents.grad).all()
