"""The entropy of the latents: Renyi's, from kernels, of any order (eqs 4-6, 18)."""

from __future__ import annotations

import math

from torch import Tensor

from fleet.detector.config import Kernel

__all__ = ["entropy_loss", "least_entropy"]


def entropy_loss(z: Tensor, sigma: float, kernel: Kernel = "norm", alpha: float = 2.0) -> Tensor:
    """Renyi's entropy of the latents by kernel density, in nats.

    At alpha 2 it is the closed form of eqs 6 and 18, the pairwise mean of Gaussians of width sqrt(2) sigma. At any
    other order it is the resubstitution estimator, 1 / (1 - alpha) log mean_i p(z_i)^(alpha - 1), where p is eq 5's
    density, of Gaussians of width sigma. (At order 2 that one would be the closed form at sigma / sqrt(2).)

    Args:
        z: (N, latent).
        sigma: the kernel size.
        kernel: what the difference of two latents is, see `DetectorConfig`.
        alpha: the order, above 0 and not 1.

    The kernels are summed as logarithms: at sigma 0.01 and latents 25 apart each of them is 0 in any float. The
    pairs of a latent with itself stay in: they bound the loss by log(N) above its least value, so that the gradient of
    far latents fades instead of exploding. Differences are taken before squaring, because ||a||^2 + ||b||^2 - 2ab
    loses all digits of latents that lie close together and far from the origin.
    """
    squared = (z[:, None] - z[None, :]).square()  # (N, N, latent)
    if kernel == "norm":
        squared = squared.sum(dim=-1, keepdim=True)  # (N, N, 1)
    # Of the three axes: kernels are averaged over the second to densities, entropies over the first, and the third is
    # the first's equal (element-wise, where nothing is left of it) or has an entropy each (dimension).
    log_kernels = -squared / (_spread(alpha) * sigma**2)
    if kernel == "elementwise":
        log_densities = log_kernels.flatten(1).logsumexp(dim=1, keepdim=True) - math.log(log_kernels[0].numel())
    else:
        log_densities = log_kernels.logsumexp(dim=1) - math.log(len(z))  # (N, 1 or latent)
    order = alpha - 1
    excess = -((order * log_densities).logsumexp(dim=0) - math.log(len(z))) / order
    return excess.mean() + least_entropy(sigma, alpha)


def least_entropy(sigma: float, alpha: float = 2.0) -> float:
    """The entropy of latents in one point, in nats: that of the kernel as the paper has it, in one dimension."""
    return math.log(math.sqrt(math.pi * _spread(alpha)) * sigma)


def _spread(alpha: float) -> float:
    """What the squared difference is divided by in the kernel's exponent, in units of sigma^2."""
    return 4.0 if alpha == 2 else 2.0
