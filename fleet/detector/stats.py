"""`EpochStats`: what an epoch came to, and whether the latent still says anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["COLLAPSED_BELOW", "EpochStats", "effective_rank", "rank_correlation"]

# Measured on Ped2, 96 x 64 and 48 x 32: latents that are switched off leave a response below 1e-7, working ones .03 to
# .16 after 5 epochs and .4 to .5 after 20. Below .03 PCC ranks the frames exactly as the mean frame does.
COLLAPSED_BELOW = 0.01


@dataclass(frozen=True, slots=True)
class EpochStats:
    """One epoch of a fit.

    The loss terms are means over the epoch's steps. The rest is measured after it, on the evaluation frames: evenly
    spaced, the same in each epoch, at most 512.

    Attributes:
        epoch: from 1.
        reconstruction: eq 3, by `error_scale` in units of what the background alone has (1 = a constant picture).
        entropy: eq 6, in nats.
        total: eq 7.
        latent_std: root mean square over the latent's dimensions of its standard deviation over the frames.
        effective_rank: how many dimensions the latent uses: exp of the entropy of its covariance's normalised
            eigenvalues, 1 to `latent`; 0 where it does not move at all.
        mean_frame_correlation: Spearman's, between PCC to the reconstruction and PCC to the network's background,
            the scene's mean frame (for the light network and robust errors its median frame).
            1: the detector ranks frames as that picture alone would. 0 where either is constant.
        response: how much of what moves the latent makes the reconstruction follow: the variance over time of what
            it adds to the background (in the frame's light), as a share of the frames' own.
        pcc: float64 (n,), the evaluation frames' PCC, in their order. For objectives; not part of `to_dict`.
    """

    epoch: int
    reconstruction: float
    entropy: float
    total: float
    latent_std: float
    effective_rank: float
    mean_frame_correlation: float
    response: float
    pcc: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)

    @property
    def collapsed(self) -> bool:
        """The reconstruction is one and the same picture, whatever is shown: `response` is below 1 %.

        Free of scale: neither the latent's units, nor the picture's size or contrast enter. It holds for a network
        that has not yet learnt to respond as well as for one whose latent the entropy term has switched off.
        """
        return self.response < COLLAPSED_BELOW

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, `collapsed` among them and `pcc` not."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "pcc"}
        return values | {"collapsed": self.collapsed}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EpochStats:
        """What `to_dict` gave; `pcc` is empty."""
        return cls(**{name: value for name, value in values.items() if name != "collapsed"})


def effective_rank(latents: NDArray[np.floating]) -> float:
    """Dimensions that latents (N, latent) use: exp of the entropy of the covariance's normalised eigenvalues."""
    centred = latents.astype(np.float64) - latents.mean(axis=0, dtype=np.float64)
    variances = np.linalg.svd(centred, compute_uv=False) ** 2
    if not variances.sum() > 0:
        return 0.0
    shares = variances / variances.sum()
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def rank_correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Spearman's correlation of two series (N,); 0 where one is constant."""
    x, y = _ranks(x), _ranks(y)
    x, y = x - x.mean(), y - y.mean()
    norm = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / norm) if norm > 0 else 0.0


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return ranks
