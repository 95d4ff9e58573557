"""The paper's threshold (eqs 8-9). It flags 28 % of the frames of a clean camera: for triage, not for alerts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["paper_threshold"]


def paper_threshold(pcc: NDArray[np.float64], kappa: float) -> tuple[float, float, float]:
    """Threshold `mean - kappa * std` of PCC values (N,), with that mean and (population) standard deviation.

    A frame is flagged when its PCC lies below.
    """
    mean, std = float(np.mean(pcc)), float(np.std(pcc))
    return mean - kappa * std, mean, std
