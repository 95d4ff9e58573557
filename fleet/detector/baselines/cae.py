"""`VanillaCae` and `Mle`: the paper's autoencoder without and with its entropy term, as methods among the others."""

from __future__ import annotations

from dataclasses import fields
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fleet.detector.config import DetectorConfig
from fleet.detector.fit import fit
from fleet.detector.footage import Footage
from fleet.detector.mle import MleDetector

__all__ = ["Mle", "VanillaCae"]


class Mle(MleDetector):
    """The paper's own method at the setting of its Table 1: sigma .1, lambda 1. 1 - PCC is the score.

    "Fully Unsupervised Video Anomaly Detection with Minimal Latent Entropy"; see `fleet.detector.model` for what is
    ours. Epochs are `DetectorConfig`'s where none are given, not the paper's 70.
    """

    lam: ClassVar[float] = 1.0

    @classmethod
    def fit(
        cls,
        footage: Footage,
        *,
        valid: NDArray[np.bool_] | None = None,
        seed: int = 0,
        epochs: int | None = None,
        device: str = "cpu",
    ) -> Self:
        """Fit to the footage of one scene; arguments and errors as `fleet.detector.fit.fit` has them."""
        config = DetectorConfig(sigma=0.1, lam=cls.lam, seed=seed, epochs=epochs or DetectorConfig().epochs)
        fitted = fit(footage.frames, config, valid, device=device)
        return cls(**{field.name: getattr(fitted, field.name) for field in fields(fitted)})


class VanillaCae(Mle):
    """The same network and training with lambda 0: squared error alone (appendix C)."""

    method = "vanilla-cae"
    lam = 0.0
