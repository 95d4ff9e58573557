from __future__ import annotations

import math
from typing import get_args

import pytest
import torch

from fleet.detector.config import DetectorConfig, PixelError
from fleet.detector.entropy import least_entropy
from fleet.detector.losses import KNEE, frame_losses, loss_terms, reconstruction_loss
from fleet.detector.model import Autoencoder


def test_the_reconstruction_loss_is_the_mean_over_frames_of_the_summed_squares():
    loss = reconstruction_loss(torch.zeros(5, 3, 4, 6), torch.full((5, 3, 4, 6), 0.5), torch.ones(4, 6))
    assert loss.item() == pytest.approx(3 * 4 * 6 * 0.25)


def test_a_masked_pixel_is_not_in_the_reconstruction_loss():
    valid = torch.ones(4, 6)
    valid[0, 0] = 0
    wrong_there = torch.zeros(2, 1, 4, 6)
    wrong_there[..., 0, 0] = 9
    assert reconstruction_loss(torch.zeros(2, 1, 4, 6), wrong_there, valid).item() == 0


ERRORS = (0.0, -0.01, 0.5)


@pytest.mark.parametrize(
    ("error", "formula"),
    [
        ("squared", lambda d: d**2),
        ("l1", abs),
        ("huber", lambda d: d**2 / 2 if abs(d) <= KNEE else KNEE * abs(d) - KNEE**2 / 2),
        ("charbonnier", lambda d: math.sqrt(d**2 + KNEE**2) - KNEE),
    ],
)
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_a_frames_loss_is_its_formula_over_its_pixels(error, formula, reduction):
    pictures = torch.tensor([ERRORS])[:, None, None]  # (1, 1, 1, 3)
    expected = sum(map(formula, ERRORS)) / (3 if reduction == "mean" else 1)
    loss = frame_losses(torch.zeros_like(pictures), pictures, torch.ones(1, 3), error, reduction)
    assert loss.tolist() == pytest.approx([expected])


def test_the_trimmed_loss_leaves_out_the_largest_3_of_10_errors_of_each_frame():
    errors = torch.arange(10.0).reshape(1, 1, 2, 5)
    pictures = torch.cat([errors, 2 * errors])
    loss = frame_losses(torch.zeros_like(pictures), pictures, torch.ones(2, 5), "trimmed", "mean")
    assert loss.tolist() == pytest.approx([13, 52])  # the mean of 0, 1, 4, 9, 16, 25, 36; and four times that


@pytest.mark.parametrize("error", get_args(PixelError))
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_a_masked_pixel_is_in_no_loss(error, reduction):
    generator = torch.Generator().manual_seed(0)
    frames, pictures = torch.rand(2, 3, 2, 4, 5, generator=generator)
    valid = torch.ones(4, 5)
    valid[:2] = 0
    whole = frame_losses(frames, pictures, valid, error, reduction)
    cut = frame_losses(frames[..., 2:, :], pictures[..., 2:, :], torch.ones(2, 5), error, reduction)
    assert whole.tolist() == pytest.approx(cut.tolist())


@pytest.mark.parametrize(("cap", "charged"), [(0.0, True), (50.0, False)])
def test_a_cap_charges_lambda_for_each_nat_above_it(cap: float, charged: bool):
    config = DetectorConfig(entropy_as="cap", cap=cap, lam=7.0, sigma=0.01)
    network = Autoencoder(16, 16, 1, config)
    frames = torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    total, reconstruction, entropy = loss_terms(network, frames, config, 1.0)
    excess = entropy.item() - least_entropy(0.01)
    assert (total - reconstruction).item() == pytest.approx(7 * (excess - cap) if charged else 0, abs=1e-4)
