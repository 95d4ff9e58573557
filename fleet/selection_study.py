"""What choosing a point without labels costs: every point of a search fitted to one scene, and every rule asked.

Regret is the area under the ROC curve that a rule loses to the best point of the search, which only labels can tell.
Beside the objectives stand what they must beat (the fixed default, a point drawn at random) and what needs no choice at
all: an ensemble of every trial, which adds up what each point's scores mean among its own. The labels enter nothing
but `auc` and `regret`.

The first look (`fleet.screening`) is measured on the same fits: whether it ranks the points as the full grid does, and
at what share of the grid's cost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleet.detector import Footage
from fleet.detector.objectives import OBJECTIVES
from fleet.detector.select import choose
from fleet.detector.stats import rank_correlation
from fleet.point_fit import Outcome, PointFit
from fleet.screening import screening, thin
from fleet.search_config import Point, Scheduler, SearchConfig

__all__ = ["LookRow", "SelectionRow", "Study", "study"]


@dataclass(frozen=True, slots=True)
class SelectionRow:
    """What one rule of choosing came to on one scene.

    Attributes:
        rule: an objective's name for its best point, with ", incumbent kept" for the choice that a search makes with
            the objective's margin; 'fixed default', 'random point', 'ensemble of all', 'best point'.
        sigma, lam, cap: the point; None where there is not one. A cap of None is the detector's own choice too.
        auc: area under the ROC curve of the score; of a random point the mean over the points.
        regret: what it lacks to the best point's.
        left_default: another point than the incumbent was taken; None where no one point is.
    """

    scene: str
    rule: str
    sigma: float | None
    lam: float | None
    cap: float | None
    auc: float
    regret: float
    left_default: bool | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for tables."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class LookRow:
    """How a first look at all points ranks them by one objective, beside full fits of all of them.

    Attributes:
        points: how many there are.
        rank_correlation: Spearman's, of the objective in the look and after full fits.
        same_choice: full fits of the look's best point and of the incumbent alone choose what the full grid chooses.
        cost_fits: seconds of the look and of these full fits, in those of the incumbent's full fit.
    """

    scene: str
    objective: str
    points: int
    rank_correlation: float
    same_choice: bool
    cost_fits: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for tables."""
        return asdict(self)


@dataclass(frozen=True)
class Study:
    """What choosing costs on one scene, and what a first look says of the choice."""

    selection: list[SelectionRow]
    looks: list[LookRow]


def study(
    scene: str,
    footage: Footage,
    labels: NDArray[np.bool_],
    search: SearchConfig,
    valid: NDArray[np.bool_] | None = None,
    objectives: Sequence[str] | None = None,
    on_point: Callable[[Point], object] = lambda point: None,
) -> Study:
    """Fit every point of a search to its end, without halving, and ask every rule for its choice.

    Args:
        scene: its name in the rows.
        footage: what is learnt from and scored, events and all.
        labels: bool (N,), True where a frame shows an event; of both kinds at least one.
        search: its points, detector, incumbent; its own objective and scheduler do not matter.
        valid: bool (H, W), True where a pixel counts; None counts all.
        objectives: names; None asks all there are.
        on_point: called with each point that is fitted.

    Raises:
        UsageError: frames that nothing can be learnt from.
        FleetError: the training of a point diverged.
    """
    names = list(OBJECTIVES if objectives is None else objectives)
    points = search.points()
    fits = [_Fit.of(footage, search, point, names, valid, on_point) for point in points]
    values = {name: [fit.outcome.objectives[name] for fit in fits] for name in names}
    scores = [fit.outcome.scores.score for fit in fits]

    aucs = [_auc(labels, score) for score in scores]
    best = max(aucs)

    def row(rule: str, auc: float, point: Point | None = None) -> SelectionRow:
        sigma, lam, cap = (point.sigma, point.lam, point.cap) if point else (None, None, None)
        left = None if point is None else point != search.incumbent
        return SelectionRow(scene, rule, sigma, lam, cap, auc, best - auc, left)

    def at(rule: str, point: Point) -> SelectionRow:
        return row(rule, aucs[points.index(point)], point)

    rows = [at("best point", points[int(np.argmax(aucs))]), at("fixed default", search.incumbent)]
    rows.append(row("random point", float(np.mean(aucs))))
    rows.append(row("ensemble of all", _auc(labels, np.mean([_tail(score) for score in scores], axis=0))))
    for name in names:
        rows.append(at(name, points[int(np.argmax(values[name]))]))
        candidates = zip(points, values[name], strict=True)
        kept = choose(candidates, search.incumbent, OBJECTIVES[name].margin).point
        rows.append(at(f"{name}, incumbent kept", kept))
    return Study(rows, _looks(scene, footage, search, names, fits, valid))


@dataclass(frozen=True, eq=False)
class _Fit:
    """One point fitted to its end."""

    outcome: Outcome
    seconds: float

    @classmethod
    def of(
        cls,
        footage: Footage,
        search: SearchConfig,
        point: Point,
        objectives: Sequence[str],
        valid: NDArray[np.bool_] | None,
        on_point: Callable[[Point], object] = lambda point: None,
    ) -> _Fit:
        started = time.perf_counter()
        settings, config = search.detector, search.detector_config(point)
        fit = PointFit(footage, settings.kind, config, objectives, valid, settled=settings.settled)
        for _ in range(config.epochs):
            fit.epoch()
            if fit.settled:
                break
        found = cls(fit.outcome(), time.perf_counter() - started)
        on_point(point)
        return found


def _looks(
    scene: str,
    footage: Footage,
    search: SearchConfig,
    names: Sequence[str],
    fits: Sequence[_Fit],
    valid: NDArray[np.bool_] | None,
) -> list[LookRow]:
    """The first look at the same points; a search without one of its own is looked at as the default search is."""
    own = search if search.scheduler.kind == "screen" else search.model_copy(update={"scheduler": Scheduler()})
    look, points = screening(own), search.points()
    few = thin(footage, own.scheduler.every)
    seen = [_Fit.of(few, look, point, names, valid) for point in points]
    rows = []
    for name in names:
        full = np.array([fit.outcome.objectives[name] for fit in fits])
        first = np.array([fit.outcome.objectives[name] for fit in seen])
        finals = sorted({0, int(np.argmax(first))})  # the incumbent is the first of the points
        margin = OBJECTIVES[name].margin
        of_finals, of_all = (
            choose(((points[place], full[place]) for place in places), search.incumbent, margin).point
            for places in (finals, range(len(points)))
        )
        spent = sum(fit.seconds for fit in seen) + sum(fits[place].seconds for place in finals)
        agreement = rank_correlation(first, full)
        rows.append(LookRow(scene, name, len(points), agreement, of_finals == of_all, spent / fits[0].seconds))
    return rows


def _auc(labels: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, score))


def _tail(score: NDArray[np.float64]) -> NDArray[np.float64]:
    """-log of the share of frames at or above each score: what a score means among its own, whatever its units."""
    at_or_above = len(score) - np.searchsorted(np.sort(score), score, side="left")
    tail: NDArray[np.float64] = -np.log(at_or_above / len(score))
    return tail
