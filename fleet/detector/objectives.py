"""Label-free objectives as plug-ins: what might tell a good fit from a bad one without a single label.

None of them has earned trust: docs/method.md has what each of them loses to the best point on scenes that it was not
chosen on. So an objective is a function that can be replaced, and comes with the margin by which it must speak against
the incumbent (`fleet.detector.select.choose`).

    @objective(margin=0.1)
    def my_objective(fitted, footage):
        "One sentence of why a higher value should mean a better detector."
        return ...

A search calls it after each epoch with the evaluation frames, and at the end with all frames: it is to be quick.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleet.detector.footage import Footage
from fleet.detector.frames import evenly_spaced
from fleet.detector.reference import median_pcc
from fleet.detector.stats import EpochStats, rank_correlation

__all__ = ["OBJECTIVES", "Fitted", "Objective", "bic_gain", "objective", "value"]

# Fewer frames, or fewer different values, tell nothing of a distribution.
_FEWEST = 8

_TOP = 0.05  # the share of frames that is looked at as if it were the events
_LAG_S = 5.0


@dataclass(frozen=True, eq=False)
class Fitted:
    """What an objective sees of a fit.

    Attributes:
        pcc: float64 (N,), PCC of each frame of the footage with its reconstruction (eq 2).
        curve: a record an epoch, the newest last; each has the PCC of its evaluation frames.
    """

    pcc: NDArray[np.float64]
    curve: Sequence[EpochStats] = ()


Score = Callable[[Fitted, Footage], float]


@dataclass(frozen=True, slots=True)
class Objective:
    """A label-free measure of a fit.

    Attributes:
        name: as search files write it: 'bic-gain' of `bic_gain`.
        idea: why a higher value should mean a better detector.
        margin: by how much a point must beat the incumbent's value to replace it, in its own units: a judgement.
            Another seed alone moved the BIC gain of a point by .05 on Ped2.
        score: the fit and the N frames that its `pcc` are of -> the value, higher is better. It never raises.
    """

    name: str
    idea: str
    margin: float
    score: Score


OBJECTIVES: dict[str, Objective] = {}


def objective(margin: float) -> Callable[[Score], Score]:
    """Register a function as an objective; its name and docstring become the objective's."""

    def register(score: Score) -> Score:
        name = score.__name__.replace("_", "-")
        OBJECTIVES[name] = Objective(name, inspect.getdoc(score) or "", margin, score)
        return score

    return register


def value(name: str, fitted: Fitted, footage: Footage) -> float:
    """An objective's value: 0 where the PCC are too few, all the same or no numbers, so that there is nothing to tell.

    Raises:
        KeyError: there is no such objective.
    """
    score = OBJECTIVES[name].score
    pcc = np.asarray(fitted.pcc, dtype=np.float64)
    # Values next to constant are one value and rounding: ranks and moments would be of the rounding.
    if not (np.isfinite(pcc).all() and len(np.unique(pcc)) >= _FEWEST and pcc.std() > 1e-12):
        return 0.0
    found = float(score(fitted, footage))
    return found if math.isfinite(found) else 0.0


@objective(margin=0.2)
def bic_gain(fitted: Fitted, footage: Footage) -> float:
    """Two kinds of frames: how much better two Gaussians describe the PCC values than one does.

    The difference of their Bayesian information criteria over the number of frames; about 0 for one kind, about 1
    for two that lie well apart.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    values = _standardised(fitted.pcc)[:, None]  # so that sklearn's floor under variances is relative
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        one, two = (GaussianMixture(n, random_state=0, n_init=2).fit(values).bic(values) for n in (1, 2))
    return float(one - two) / len(values)


@objective(margin=0.1)
def autocorrelation(fitted: Fitted, footage: Footage) -> float:
    """Events last and noise does not: correlation of the PCC with that of five seconds earlier in the clip."""
    clips = np.cumsum(np.r_[False, footage.clip[1:] != footage.clip[:-1]])
    since = footage.times_s - footage.times_s.min()
    ordered = clips * (since.max() + 2 * _LAG_S) + since  # rises, and no lag leads into the next clip
    later = np.searchsorted(ordered, ordered + _LAG_S * (1 - 1e-6))
    pairs = np.flatnonzero(later < np.searchsorted(clips, clips, side="right"))
    values = _standardised(fitted.pcc)
    return float((values[pairs] * values[later[pairs]]).mean()) if len(pairs) else 0.0


@objective(margin=0.5)
def skewness(fitted: Fitted, footage: Footage) -> float:
    """Events are rare and far out: the third standardised moment of 1 - PCC."""
    return float((_standardised(-fitted.pcc) ** 3).mean())


@objective(margin=0.5)
def tail_weight(fitted: Fitted, footage: Footage) -> float:
    """Events stand out from the bulk: how far the strangest lie beyond the median, in units of the bulk's width.

    By quantiles, so that a single broken frame says nothing: (q99 - q50) / (q75 - q25) of 1 - PCC.
    """
    low, middle, high, far = np.quantile(-fitted.pcc, (0.25, 0.5, 0.75, 0.99))
    return float((far - middle) / (high - low)) if high > low else 0.0


@objective(margin=0.1)
def coherence(fitted: Fitted, footage: Footage) -> float:
    """Events last: of the frames among the strangest 5 %, the share whose next frame is among them too."""
    top = fitted.pcc <= np.quantile(fitted.pcc, _TOP)
    neighbours = footage.clip[1:] == footage.clip[:-1]
    return float((top[1:] & top[:-1] & neighbours).sum() / max(1, (top[:-1] & neighbours).sum()))


@objective(margin=0.05)
def stability(fitted: Fitted, footage: Footage) -> float:
    """What is learnt stays: rank correlation of the evaluation frames' PCC with those half as many epochs ago."""
    known = [stats.pcc for stats in fitted.curve if len(stats.pcc)]
    return rank_correlation(known[-1], known[(len(known) - 1) // 2]) if len(known) > 1 else 0.0


@objective(margin=0.1)
def fidelity(fitted: Fitted, footage: Footage) -> float:
    """It knows the scene: less the reconstruction error (eq 3). Rewards a network that copies the events too."""
    return -fitted.curve[-1].reconstruction if fitted.curve else 0.0


@objective(margin=0.1)
def median_agreement(fitted: Fitted, footage: Footage) -> float:
    """A median frame is hard to beat: rank correlation of the PCC with the PCC to the footage's median frame."""
    few = evenly_spaced(len(footage), 256)
    return rank_correlation(fitted.pcc[few], median_pcc(footage.frames[few]))


def _standardised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    spread: NDArray[np.float64] = (values - values.mean()) / values.std()
    return spread
