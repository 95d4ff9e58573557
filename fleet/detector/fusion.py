"""`Fusion`: several channels -> one score, each channel by how much it has to say on this camera; nobody needs labels.

Events are rare and stand out, so a channel that sees them has values that stray further up from their median than
down. One that strays as far both ways sees the ordinary day, and one that strays down sees the events inverted (on a
camera that rides along, drops on the lens move less than the street does). The ratio of both spreads, to a high power,
is the channel's weight; the score is the logarithm of the weighted mean of e to the channels' distances from their
medians, so that one channel that is sure is enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleet.detector.tails import Tail

__all__ = ["Fusion"]

# Nats: what a channel may stray for no reason at all. A channel that never changes by more is blind.
_NOISE_NATS = 0.1

# How sharply the ratio of the spreads decides; large is choosing the best channel, 0 is the mean of all.
_POWER = 6.0

# Exponent beyond which e is no number any more.
_LARGEST = 60.0

_BLIND_BELOW = 0.05
_INFORMATIVE_ABOVE = 1.25


@dataclass(frozen=True, eq=False)
class Fusion:
    """Medians, spreads and weights of the channels of one camera in one light.

    Attributes:
        tails: the distribution of each channel that has one, by name.
    """

    tails: Mapping[str, Tail]

    @classmethod
    def of(cls, values: Mapping[str, NDArray[np.float64]]) -> Fusion:
        """The fusion of the channels' values (N,) of the training frames; a channel without values has no say."""
        tails = {name: Tail.of(channel) for name, channel in values.items()}
        return cls({name: tail for name, tail in tails.items() if tail is not None})

    def ratio(self, name: str) -> float:
        """How much further a channel strays up than down: above 1 informative, below 1 inverted."""
        tail = self.tails[name]
        median = tail.at(0.5)
        up = np.sqrt((tail.at(0.99) - median) * (tail.at(0.95) - median))
        down = np.sqrt((median - tail.at(0.01)) * (median - tail.at(0.05)))
        return float((up + _NOISE_NATS) / (down + _NOISE_NATS))

    @property
    def weights(self) -> dict[str, float]:
        """The channels' shares of the say; they sum to 1."""
        weights = {name: self.ratio(name) ** _POWER for name in self.tails}
        total = sum(weights.values())
        return {name: weight / total for name, weight in weights.items()}

    def score(self, values: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """The fused score (N,) of the channels that each frame has; 0 where it has none."""
        terms, says = [], []
        for name, weight in self.weights.items():
            tail, known = self.tails[name], np.isfinite(values[name])
            median = tail.at(0.5)
            away = (values[name] - median) / (median - tail.at(0.05) + _NOISE_NATS)
            terms.append(np.where(known, weight * np.exp(np.clip(away, -_LARGEST, _LARGEST)), 0))
            says.append(np.where(known, weight, 0))
        total, say = np.sum(terms, axis=0), np.sum(says, axis=0)
        return np.log(np.divide(total, say, out=np.ones_like(total), where=say > 0))

    def verdicts(self) -> dict[str, str]:
        """Of each channel: informative, neutral, inverted or blind on this camera, and its weight."""
        return {name: f"{self._verdict(name)}, weight {weight:.2f}" for name, weight in self.weights.items()}

    def _verdict(self, name: str) -> str:
        tail = self.tails[name]
        if tail.at(0.99) - tail.at(0.01) < _BLIND_BELOW:
            return "blind"
        ratio = self.ratio(name)
        return (
            "informative" if ratio > _INFORMATIVE_ABOVE else "inverted" if ratio < 1 / _INFORMATIVE_ABOVE else "neutral"
        )
