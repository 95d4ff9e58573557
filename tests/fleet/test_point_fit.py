"""A point's fit is that of its kind, and its objectives are of the frames that they say."""

from __future__ import annotations

import numpy as np
import pytest

from fleet.detector import DetectorConfig, Footage
from fleet.detector.config import light_config
from fleet.detector.evidence import EvidenceDetector
from fleet.detector.mle import MleDetector
from fleet.detector.objectives import OBJECTIVES, Fitted, Objective, value
from fleet.detector.stats import EpochStats
from fleet.point_fit import PointFit

PAPER = DetectorConfig(epochs=2, latent=4, batch_size=32)


@pytest.fixture(scope="module")
def footage() -> Footage:
    rng = np.random.default_rng(0)
    frames = rng.integers(60, 160, (32, 48)) + rng.normal(0, 3, (300, 32, 48))
    for place in range(300):
        frames[place, 8:14, place % 42 : place % 42 + 6] = 230
    return Footage.of(frames.clip(0, 255).astype(np.uint8), fps=5, clip=np.arange(300) // 150)


@pytest.fixture
def seen(monkeypatch) -> list[tuple[int, Footage]]:
    """What the objective `noted` is asked about."""
    asked: list[tuple[int, Footage]] = []

    def noted(fitted, shown):
        asked.append((len(fitted.curve), shown))
        return float(len(fitted.pcc))

    monkeypatch.setitem(OBJECTIVES, "noted", Objective("noted", "", 1.0, noted))
    return asked


def test_after_an_epoch_the_evaluation_frames_are_judged_and_at_the_end_all(footage, seen):
    fit = PointFit(footage, "paper", PAPER, ["noted"])
    assert [fit.epoch()["objective"] for _ in range(2)] == [100, 100]
    assert fit.outcome().objectives == {"noted": 300}
    assert [epochs for epochs, _ in seen] == [1, 2, 2]
    shown = seen[0][1]
    assert shown.times_s[[0, -1]].tolist() == footage.times_s[[0, -1]].tolist()
    places = np.searchsorted(footage.times_s, shown.times_s)
    assert (shown.frames == footage.frames[places]).all()
    assert (shown.clip == footage.clip[places]).all()


def test_the_papers_kind_scores_by_the_correlation(footage):
    fit = PointFit(footage, "paper", PAPER, ["skewness"])
    row = fit.epoch()
    outcome = fit.outcome()
    assert isinstance(outcome.detector, MleDetector)
    assert outcome.scores.score.tolist() == (1 - outcome.detector.calibration).tolist()
    assert row["epoch"] == 1
    assert "pcc" not in row


def test_the_evidences_kind_scores_by_its_fusion_and_is_judged_by_its_network(footage):
    config = light_config(epochs=1, cap=1.0)
    fit = PointFit(footage, "evidence", config, ["skewness", "fidelity"])
    fit.epoch()
    outcome = fit.outcome()
    assert isinstance(outcome.detector, EvidenceDetector)
    assert outcome.scores is outcome.detector.calibration
    assert list(outcome.objectives) == ["skewness", "fidelity"]
    network = Fitted(outcome.detector.mle.calibration)  # of the same fit: another one may differ in its last digits
    assert outcome.objectives["skewness"] == pytest.approx(value("skewness", network, footage), rel=1e-3)


def test_an_objective_that_is_not_there_is_a_key_error(footage):
    fit = PointFit(footage, "paper", PAPER, ["no-such-objective"])
    with pytest.raises(KeyError, match="no-such-objective"):
        fit.epoch()


def test_a_fit_has_settled_when_three_epochs_in_turn_rank_as_the_one_before(footage, monkeypatch):
    fit = PointFit(footage, "paper", PAPER, ["skewness"], settled=0.99)
    never = PointFit(footage, "paper", PAPER, ["skewness"])
    order, other = np.arange(20.0), np.arange(20.0)[::-1]
    rankings = [order] * 5 + [other] + [order] * 4
    curve = [EpochStats(epoch, 0.5, 0, 0.5, 1, 1, 0, 0, pcc) for epoch, pcc in enumerate(rankings, start=1)]
    settled = []
    for epochs in range(1, len(curve) + 1):
        for each in (fit, never):
            monkeypatch.setattr(each._fitting, "curve", curve[:epochs])
        settled.append(fit.settled)
        assert not never.settled
    assert settled == [False] * 9 + [True], "not within the first epochs, nor right after a change"
