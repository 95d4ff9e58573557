"""Scores and labels -> numbers. All frames of a camera are pooled: no score is scaled or smoothed by clip."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cameras.errors import UsageError
from fleet.detector.threshold import RULES, Calibration, Rule, make_rule
from fleet.evaluate import event_recall, false_events_per_day
from fleet.events import find_events

__all__ = ["alert_rows", "ranking", "runs"]


def ranking(labels: NDArray[np.bool_], score: NDArray[np.float64]) -> dict[str, float | None]:
    """Area under the ROC curve and average precision of scores (N,), NaN ones left out; None where labels are alike."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    known = np.isfinite(score)
    labels, score = labels[known], score[known]
    if not labels.any() or labels.all():
        return {"auc": None, "average_precision": None}
    return {
        "auc": float(roc_auc_score(labels, score)),
        "average_precision": float(average_precision_score(labels, score)),
    }


def alert_rows(calibration: Calibration, scored: Calibration, labels: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """What each threshold rule, fitted to the scores of `calibration`, makes of those of `scored`: a row a rule.

    Precision, recall and F1 count frames; events are what the default hysteresis makes of the flags. A rule that needs
    what a method has not (a PCC) has no row.
    """
    rows = []
    for name, rule in _rules().items():
        pcc = scored.pcc if rule.acts_on == "pcc" else None
        series = 1 - pcc if pcc is not None else scored.score
        try:
            flags = rule.fit(calibration).flags(series, scored.times_s, scored.clip)
        except UsageError:
            continue
        events = find_events(flags, scored.times_s, scored.clip)
        hits = float((flags & labels).sum())
        rows.append(
            {
                "rule": name,
                "flagged": float(flags.mean()),
                "false_flags": float(flags[~labels].mean()) if not labels.all() else None,
                "precision": hits / flags.sum() if flags.any() else None,
                "recall": hits / labels.sum() if labels.any() else None,
                "f1": 2 * hits / (flags.sum() + labels.sum()) if flags.any() or labels.any() else None,
                "events": len(events),
                "event_recall": event_recall(events, labels, scored.clip),
                "false_events_per_day": false_events_per_day(events, labels, scored.times_s, scored.clip),
            }
        )
    return rows


def _rules() -> dict[str, Rule]:
    """Every rule with its defaults, and the tail's with the drift of ten minutes taken off."""
    return {name: make_rule(name) for name in RULES} | {"tail, drift": make_rule("tail", drift_s=600.0)}


def runs(labels: NDArray[np.bool_]) -> list[list[int]]:
    """Start and end (exclusive) of each run of True: how records hold labels."""
    edges = np.flatnonzero(np.diff(np.r_[False, labels, False].astype(np.int8)))
    return edges.reshape(-1, 2).tolist()
