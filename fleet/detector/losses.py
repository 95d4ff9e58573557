"""What a reconstruction's error costs: a pixel's loss, a frame's, and the two terms together (eqs 3, 7)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fleet.detector.config import DetectorConfig, PixelError, Reduction
from fleet.detector.entropy import entropy_loss, least_entropy
from fleet.detector.network import Network

__all__ = ["KNEE", "TRIMMED", "frame_losses", "loss_terms", "reconstruction_loss"]

# Where Huber's and Charbonnier's losses turn from square to straight: 5 of 255 grey levels, a camera's noise at night.
KNEE = 0.02

# Share of a frame's pixels, those with the largest errors, that the trimmed loss leaves out.
TRIMMED = 0.3


def frame_losses(
    frames: Tensor,
    reconstructions: Tensor,
    valid: Tensor,
    error: PixelError = "squared",
    reduction: Reduction = "sum",
) -> Tensor:
    """Loss of each frame: (N,).

    Args:
        frames, reconstructions: (N, C, H, W) in 0..1.
        valid: (H, W), 1 where a pixel counts.
        error: of the difference d of a pixel: 'squared' d^2 (eq 3); 'l1' |d|; 'huber' d^2 / 2 up to k = 0.02 and
            k |d| - k^2 / 2 beyond; 'charbonnier' sqrt(d^2 + k^2) - k; 'trimmed' d^2, and the 30 % of a frame's values
            with the largest left out.
        reduction: 'sum' over the values that count, or their 'mean'.
    """
    errors = (frames - reconstructions) * valid
    if error == "l1":
        losses = errors.abs()
    elif error == "huber":
        losses = torch.nn.functional.huber_loss(errors, torch.zeros_like(errors), reduction="none", delta=KNEE)
    elif error == "charbonnier":
        losses = (errors.square() + KNEE**2).sqrt() - KNEE
    else:
        losses = errors.square()
    counted = int(valid.sum()) * frames.shape[1]
    losses = losses.flatten(1)
    if error == "trimmed":
        # Masked values are 0, the smallest there are: those kept are they and the smallest of the rest.
        left_out = math.floor(TRIMMED * counted)
        counted -= left_out
        losses = losses.topk(losses.shape[1] - left_out, dim=1, largest=False, sorted=False).values
    total = losses.sum(dim=1)
    return total if reduction == "sum" else total / counted


def reconstruction_loss(
    frames: Tensor,
    reconstructions: Tensor,
    valid: Tensor,
    scale: float = 1.0,
    error: PixelError = "squared",
    reduction: Reduction = "sum",
) -> Tensor:
    """Mean over the frames of their losses (eq 3 with its defaults), as a multiple of `scale`.

    The loss of the best constant picture as `scale` makes that picture's loss 1; 1 leaves the paper's sum.
    """
    return frame_losses(frames, reconstructions, valid, error, reduction).mean() / scale


def loss_terms(
    network: Network, frames: Tensor, config: DetectorConfig, scale: float, noise: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Total (eq 7), reconstruction term and entropy term of a batch of frames (N, C, H, W) in 0..1.

    As a cap, the entropy term costs nothing while its excess over that of latents in one point is at most `cap`.
    """
    seen, made, valid = network.compared(frames, noise)
    reconstruction = reconstruction_loss(seen, made.pictures, valid, scale, config.error, config.error_reduction)
    entropy = entropy_loss(made.z, config.sigma, config.kernel, config.alpha)
    cost = entropy
    if config.entropy_as == "cap":
        cost = (entropy - least_entropy(config.sigma, config.alpha) - (config.cap or 0.0)).relu()
    return reconstruction + config.lam * cost, reconstruction, entropy
