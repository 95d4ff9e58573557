"""What choosing a point without labels costs: every point of a search fitted to one scene, and every rule asked.

Regret is the area under the ROC curve that a rule loses to the best point of the search, which only labels can tell.
Beside the objectives stand what they must beat (the fixed default, a point drawn at random) and what needs no choice at
all: an ensemble of every trial, which adds up what each point's scores mean among its own. The labels enter nothing
but `auc` and `regret`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleet.detector import Footage
from fleet.detector.objectives import OBJECTIVES
from fleet.detector.select import choose
from fleet.point_fit import PointFit
from fleet.search_config import Point, SearchConfig

__all__ = ["SelectionRow", "study"]


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


def study(
    scene: str,
    footage: Footage,
    labels: NDArray[np.bool_],
    search: SearchConfig,
    valid: NDArray[np.bool_] | None = None,
    objectives: Sequence[str] | None = None,
    on_point: Callable[[Point], object] = lambda point: None,
) -> list[SelectionRow]:
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
    scores: list[NDArray[np.float64]] = []
    values: dict[str, list[float]] = {name: [] for name in names}
    for point in points:
        settings, config = search.detector, search.detector_config(point)
        fit = PointFit(footage, settings.kind, config, names, valid, settled=settings.settled)
        for _ in range(config.epochs):
            fit.epoch()
            if fit.settled:
                break
        outcome = fit.outcome()
        scores.append(outcome.scores.score)
        for name in names:
            values[name].append(outcome.objectives[name])
        on_point(point)

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
    return rows


def _auc(labels: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, score))


def _tail(score: NDArray[np.float64]) -> NDArray[np.float64]:
    """-log of the share of frames at or above each score: what a score means among its own, whatever its units."""
    at_or_above = len(score) - np.searchsorted(np.sort(score), score, side="left")
    tail: NDArray[np.float64] = -np.log(at_or_above / len(score))
    return tail
