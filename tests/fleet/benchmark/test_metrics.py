"""Numbers that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from fleet.benchmark.metrics import alert_rows, ranking, runs
from fleet.detector.threshold import Calibration


def test_a_perfect_ranking() -> None:
    labels = np.array([False, False, True, True])
    assert ranking(labels, np.array([0.1, 0.2, 0.3, 0.4])) == {"auc": 1.0, "average_precision": 1.0}


def test_frames_without_a_value_are_left_out() -> None:
    labels = np.array([True, False, True])
    assert ranking(labels, np.array([np.nan, 0.2, 0.3]))["auc"] == 1.0


def test_nothing_to_rank_is_none() -> None:
    assert ranking(np.zeros(3, bool), np.arange(3.0)) == {"auc": None, "average_precision": None}


def test_runs_are_starts_and_ends() -> None:
    assert runs(np.array([True, False, True, True])) == [[0, 1], [2, 4]]
    assert runs(np.zeros(3, bool)) == []


def _scored(scores: np.ndarray, pcc: np.ndarray | None) -> Calibration:
    return Calibration(scores, pcc, np.arange(len(scores)) / 5, np.zeros(len(scores), np.int64))


@pytest.fixture
def scored() -> tuple[Calibration, np.ndarray]:
    """400 quiet frames, 40 that stand out at the end."""
    labels = np.arange(440) >= 400
    scores = np.random.default_rng(0).normal(0.1, 0.01, 440) + labels * 0.5
    return _scored(scores, 1 - scores), labels


def test_a_row_a_rule(scored: tuple[Calibration, np.ndarray]) -> None:
    known, labels = scored
    rows = {row["rule"]: row for row in alert_rows(known, known, labels)}
    tail = rows["tail"]
    assert tail["recall"] == 1.0
    assert tail["precision"] == pytest.approx(40 / (40 + tail["false_flags"] * 400))
    assert tail["event_recall"] == 1.0
    assert tail["false_events_per_day"] == 0.0


def test_a_rule_of_pcc_is_left_out_where_there_is_none(scored: tuple[Calibration, np.ndarray]) -> None:
    known, labels = scored
    without = _scored(known.score, None)
    assert "paper" not in {row["rule"] for row in alert_rows(without, without, labels)}


def test_a_clean_camera_has_no_recall(scored: tuple[Calibration, np.ndarray]) -> None:
    known, labels = scored
    rows = alert_rows(known, known, np.zeros_like(labels))
    assert {row["recall"] for row in rows} == {None}
    assert {row["event_recall"] for row in rows} == {None}
