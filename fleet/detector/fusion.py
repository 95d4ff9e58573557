"""`Fusion`: several channels -> one score, each channel by how much it has to say on this camera; nobody needs labels.

Events are rare and stand out, so a channel that sees them has values that stray further up from their median than
down: the ratio of both spreads is what the channel says for itself. What the channels have in common, each scaled by
its ratio, is their first principal component: a channel that runs against it sees the events inverted (on a camera that
rides along, drops on the lens change less than the street does; in a room that empties, nothing new stands about). The
score is the distance of the channel that is furthest from its usual, each handicapped by its ratio and its loading: one
channel that is sure is enough, and one that knows nothing must stray very far to be heard. Where no ratio speaks of
events, as on footage without any, what the channels have in common says nothing of them either, and all are heard.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleet.detector.stats import rank_correlation
from fleet.detector.tails import Tail

__all__ = ["Fusion"]

# Nats that are added to both spreads: a channel whose values keep within a factor of e of each other knows little,
# whichever way they lean. At .2 a camera's crowds, which lean up by a fifth of a nat, spoke louder than what ran
# through them; from .8 to 1.3 little changed (docs/method.md).
_SPREAD_NATS = 1.0

# How sharply the ratio decides; from 1.5 to 2.5 little changed.
_RATIO_POWER = 2

# Loadings are believed as far as the largest ratio is above 1, fully from here on. On a street without one drop of
# rain they would mute the channels that see the drops.
_CONVINCING_RATIO = 1.4

# What a loading counts at least: a channel that runs against all others is heard where it alone strays very far.
_LEAST_LOADING = 0.01

# Nats that a quiet channel strays for no reason at all: they are no distance.
_NOISE_NATS = 0.3

# Distance beyond which a score says nothing more.
_FURTHEST = 60.0

_BLIND_BELOW_NATS = 0.05
_INFORMATIVE_ABOVE = 1.1
_AGAINST = 0.05


@dataclass(frozen=True, eq=False)
class Fusion:
    """Medians, spreads and handicaps of the channels of one camera in one light.

    Attributes:
        tails: the distribution of each channel that has one, by name.
        loadings: of each, on what they have in common; the largest is 1.
    """

    tails: Mapping[str, Tail]
    loadings: Mapping[str, float]

    @classmethod
    def of(cls, values: Mapping[str, NDArray[np.float64]]) -> Fusion:
        """The fusion of the channels' values (N,) of the training frames; a channel without values has no say."""
        found = {name: Tail.of(channel) for name, channel in values.items()}
        tails = {name: tail for name, tail in found.items() if tail is not None}
        if not tails:
            return cls({}, {})
        known = np.all([np.isfinite(values[name]) for name in tails], axis=0)
        ranked = [values[name][known] for name in tails]
        correlations = np.array([[rank_correlation(one, other) for other in ranked] for one in ranked])
        scales = np.array([_ratio(tail) ** _RATIO_POWER for tail in tails.values()])
        common = np.linalg.eigh(scales[:, None] * correlations * scales)[1][:, -1]
        common *= np.sign(common.sum()) or 1.0
        common /= common.max()
        return cls(tails, dict(zip(tails, common.tolist(), strict=True)))

    @property
    def handicaps(self) -> dict[str, float]:
        """Of each channel: what is taken off its distance; 0 for the one that has most to say."""
        ratios = {name: _ratio(tail) for name, tail in self.tails.items()}
        belief = (max(ratios.values(), default=1.0) - 1) / (_CONVINCING_RATIO - 1)
        least = float(np.clip(1 - belief, _LEAST_LOADING, 1))
        say = {name: max(self.loadings[name], least) * ratio**_RATIO_POWER for name, ratio in ratios.items()}
        most = max(say.values(), default=1.0)
        return {name: float(np.log(most / own)) for name, own in say.items()}

    def score(self, values: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """The fused score (N,) of the channels that each frame has; 0 where it has none.

        Of the channel with most to say it is the distance above its median, in units of how far it strays down.
        """
        score = np.full(len(next(iter(values.values()))), -np.inf)
        for name, handicap in self.handicaps.items():
            tail = self.tails[name]
            median = tail.at(0.5)
            away = (values[name] - median) / (median - tail.at(0.05) + _NOISE_NATS)
            score = np.fmax(score, np.clip(away, -_FURTHEST, _FURTHEST) - handicap)  # a NaN has no say
        return np.where(np.isfinite(score), score, 0.0)

    def verdicts(self) -> dict[str, str]:
        """Of each channel: informative, neutral, inverted or blind on this camera, and its handicap."""
        return {name: f"{self._verdict(name)}, handicap {handicap:.1f}" for name, handicap in self.handicaps.items()}

    def _verdict(self, name: str) -> str:
        tail = self.tails[name]
        if tail.at(0.99) - tail.at(0.01) < _BLIND_BELOW_NATS:
            return "blind"
        ratio = _ratio(tail)
        if ratio < 1 / _INFORMATIVE_ABOVE or self.loadings[name] < -_AGAINST:
            return "inverted"
        return "informative" if ratio > _INFORMATIVE_ABOVE else "neutral"


def _ratio(tail: Tail) -> float:
    """How much further a channel strays up than down."""
    median = tail.at(0.5)
    up = np.sqrt((tail.at(0.99) - median) * (tail.at(0.95) - median))
    down = np.sqrt((median - tail.at(0.01)) * (median - tail.at(0.05)))
    return float((up + _SPREAD_NATS) / (down + _SPREAD_NATS))
