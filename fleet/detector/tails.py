"""`Tail`: how a value compares with those of the training frames: tail probability, and which way they stray."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Tail"]

# Points of the stored distribution; the tail beyond the last of the empirical ones is exponential.
_POINTS = 257
_EMPIRICAL_TO = 0.98
_SLOPE_FROM = 0.90


@dataclass(frozen=True, eq=False)
class Tail:
    """The distribution of a channel's values over the training frames.

    Attributes:
        quantiles: float64 (257,), evenly spaced from the least to the largest value.
        n: how many values they were taken of.
    """

    quantiles: NDArray[np.float64]
    n: int

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Tail | None:
        """The tail of values (N,), NaN left out; None where fewer than two are left."""
        known = values[np.isfinite(values)]
        if len(known) < 2:
            return None
        return cls(np.quantile(known, np.linspace(0, 1, _POINTS)), len(known))

    def at(self, share: float) -> float:
        """The value that a share of the training frames lie below."""
        return float(np.interp(share, np.linspace(0, 1, _POINTS), self.quantiles))

    def minus_log(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """-log of the share of the training frames at or above each value (N,); NaN stays.

        Empirical up to the 98th percentile, half a frame short of 0. Beyond it exponential, with the slope from
        the 90th to the 98th percentile: what is far above everything seen is rarer than 1 in n, and how much rarer
        only a model can say. Where these two are the same value, anything above it is 1 in n + 1.
        """
        at, begin = self.at(_EMPIRICAL_TO), self.at(_SLOPE_FROM)
        # At or above, not above: the first of equal quantiles is what np.interp must find.
        points, first = np.unique(self.quantiles, return_index=True)
        above = 1 - np.interp(values, points, first / (_POINTS - 1))
        empirical = -np.log(np.clip(above, 0.5 / self.n, 1))
        corner = -np.log(1 - _EMPIRICAL_TO)
        if at > begin:
            slope = np.log((1 - _SLOPE_FROM) / (1 - _EMPIRICAL_TO)) / (at - begin)
            beyond = corner + slope * (values - at)
        else:
            beyond = np.full(len(values), np.log(self.n + 1))
        tail: NDArray[np.float64] = np.where(values > at, beyond, np.minimum(empirical, corner))
        return np.where(np.isfinite(values), tail, np.nan)
