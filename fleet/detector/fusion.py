"""`Fusion`: several channels -> one score, each channel by how much it has to say on this camera; nobody needs labels.

Events are rare and stand out, so a channel that sees them has values that stray further up from their median than
down: the ratio of both spreads, to a high power, is its weight. One that strays down sees the events inverted (on a
camera that rides along, drops on the lens move less than the street does), and so does one that runs against what
the other informative channels say together: that agreement, squared, is the weight's other factor. The score is the
logarithm of the weighted mean of e to the channels' distances from their medians: one channel that is sure is enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleet.detector.stats import rank_correlation
from fleet.detector.tails import Tail

__all__ = ["Fusion"]

# Nats that a channel strays for no reason at all. The score's is larger: a quiet channel's noise is no evidence.
_NOISE_NATS = 0.2
_SCORE_NOISE_NATS = 0.3

# How sharply the ratio of the spreads decides: this is nearly choosing, 1 is nearly the mean of all.
_RATIO_POWER = 10
_AGREEMENT_POWER = 2

# What an agreement counts at least: a channel that nothing agrees with is heard where it alone strays far.
_LEAST_AGREEMENT = 0.01

# Distance beyond which e is no number any more.
_FURTHEST = 60.0

_BLIND_BELOW_NATS = 0.05
_INFORMATIVE_ABOVE = 1.25


@dataclass(frozen=True, eq=False)
class Fusion:
    """Medians, spreads and weights of the channels of one camera in one light.

    Attributes:
        tails: the distribution of each channel that has one, by name.
        agreements: of each, the rank correlation with the other channels by their weights, -1..1.
    """

    tails: Mapping[str, Tail]
    agreements: Mapping[str, float]

    @classmethod
    def of(cls, values: Mapping[str, NDArray[np.float64]]) -> Fusion:
        """The fusion of the channels' values (N,) of the training frames; a channel without values has no say."""
        found = {name: Tail.of(channel) for name, channel in values.items()}
        tails = {name: tail for name, tail in found.items() if tail is not None}
        known = np.all([np.isfinite(values[name]) for name in tails], axis=0) if tails else np.zeros(0, np.bool_)
        ratios = {name: _ratio(tail) ** _RATIO_POWER for name, tail in tails.items()}
        agreements = {}
        for name in tails:
            others = {other: weight for other, weight in ratios.items() if other != name}
            agreed = sum(
                weight * rank_correlation(values[name][known], values[other][known]) for other, weight in others.items()
            )
            agreements[name] = agreed / sum(others.values()) if others else 1.0
        return cls(tails, agreements)

    @property
    def weights(self) -> dict[str, float]:
        """The channels' shares of the say; they sum to 1."""
        weights = {
            name: _ratio(tail) ** _RATIO_POWER * max(self.agreements[name], _LEAST_AGREEMENT) ** _AGREEMENT_POWER
            for name, tail in self.tails.items()
        }
        total = sum(weights.values())
        return {name: weight / total for name, weight in weights.items()}

    def score(self, values: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """The fused score (N,) of the channels that each frame has; 0 where it has none."""
        total, say = (np.zeros(len(next(iter(values.values())))) for _ in range(2))
        for name, weight in self.weights.items():
            tail, known = self.tails[name], np.isfinite(values[name])
            median = tail.at(0.5)
            away = (values[name] - median) / (median - tail.at(0.05) + _SCORE_NOISE_NATS)
            total += np.where(known, weight * np.exp(np.clip(away, -_FURTHEST, _FURTHEST)), 0)
            say += np.where(known, weight, 0)
        return np.log(np.divide(total, say, out=np.ones_like(total), where=say > 0))

    def verdicts(self) -> dict[str, str]:
        """Of each channel: informative, neutral, inverted or blind on this camera, and its weight."""
        return {name: f"{self._verdict(name)}, weight {weight:.2f}" for name, weight in self.weights.items()}

    def _verdict(self, name: str) -> str:
        tail = self.tails[name]
        if tail.at(0.99) - tail.at(0.01) < _BLIND_BELOW_NATS:
            return "blind"
        ratio = _ratio(tail)
        if ratio < 1 / _INFORMATIVE_ABOVE or self.agreements[name] < -0.1:
            return "inverted"
        return "informative" if ratio > _INFORMATIVE_ABOVE else "neutral"


def _ratio(tail: Tail) -> float:
    """How much further a channel strays up than down, beyond its noise."""
    median = tail.at(0.5)
    up = np.sqrt((tail.at(0.99) - median) * (tail.at(0.95) - median))
    down = np.sqrt((median - tail.at(0.01)) * (median - tail.at(0.05)))
    return float((up + _NOISE_NATS) / (down + _NOISE_NATS))
