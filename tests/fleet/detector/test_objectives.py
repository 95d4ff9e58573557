"""Each objective rewards what its idea says, and none falls over where there is nothing to tell."""

from __future__ import annotations

import numpy as np
import pytest

from fleet.detector import Footage
from fleet.detector.objectives import OBJECTIVES, Fitted, objective, value
from fleet.detector.stats import EpochStats


def normal(mean: float, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 0.01, n)


def footage(n: int) -> Footage:
    frames = np.random.default_rng(1).integers(0, 255, (n, 16, 16), np.uint8)
    return Footage.of(frames, fps=5)


def epoch(number: int, pcc: np.ndarray, reconstruction: float = 0.5) -> EpochStats:
    return EpochStats(number, reconstruction, 0.1, 0.6, 1.0, 2.0, 0.3, 0.4, pcc)


def of(name: str, pcc: np.ndarray, *epochs: EpochStats) -> float:
    return value(name, Fitted(np.asarray(pcc, float), epochs), footage(len(pcc)))


def events(n: int, length: int, every: int, depth: float = 0.1) -> np.ndarray:
    """PCC of n frames of which `length` in each `every` are low."""
    return normal(0.95, n) - depth * (np.arange(n) % every < length)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_each_objective_says_its_idea(name: str):
    assert OBJECTIVES[name].idea
    assert OBJECTIVES[name].margin > 0


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize(
    "values",
    [[], [0.5], [0.5] * 100, [0.1, 0.9] * 50, [0.5] * 99 + [0.5 + 1e-15], [np.nan] * 20],
    ids=["none", "one", "constant", "two values", "next to constant", "nan"],
)
def test_an_objective_is_zero_where_there_is_too_little_to_tell(name: str, values: list[float]):
    pcc = np.array(values, float)
    fitted = Fitted(pcc, (epoch(1, pcc), epoch(2, pcc)))
    shown = footage(len(pcc)) if len(pcc) else footage(1)[:0]
    assert value(name, fitted, shown) == 0


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_says_the_same_of_the_same_and_without_a_curve(name: str):
    pcc = events(300, 10, 60)
    assert of(name, pcc) == of(name, pcc)


@pytest.mark.parametrize(
    ("name", "better", "worse"),
    [
        pytest.param("bic-gain", events(500, 20, 100), normal(0.95, 500), id="bic-gain"),
        pytest.param("autocorrelation", events(500, 80, 400), events(500, 1, 7), id="autocorrelation"),
        pytest.param("skewness", events(500, 2, 100), normal(0.95, 500), id="skewness"),
        pytest.param("tail-weight", events(500, 2, 50), normal(0.95, 500), id="tail-weight"),
        pytest.param("coherence", events(500, 25, 500), events(500, 1, 20), id="coherence"),
    ],
)
def test_an_objective_of_the_scores_rewards_its_idea(name: str, better: np.ndarray, worse: np.ndarray):
    assert of(name, better) > of(name, worse) + OBJECTIVES[name].margin


def test_the_bic_gain_does_not_depend_on_the_scale_of_pcc():
    pcc = events(500, 20, 100)
    assert of("bic-gain", pcc * 1e-4) == pytest.approx(of("bic-gain", pcc), rel=1e-4)


def test_clips_are_not_joined():
    """Clips of four seconds hold no two frames that are five seconds apart."""
    clips = Footage.of(footage(60).frames, 5, clip=np.arange(60) // 20)
    assert value("autocorrelation", Fitted(events(60, 30, 60)), clips) == 0


def test_the_autocorrelation_is_over_time_and_not_over_frames():
    pcc, shown = events(3000, 300, 1000), footage(3000)
    thinned = value("autocorrelation", Fitted(pcc[::5]), shown[::5])
    assert thinned == pytest.approx(value("autocorrelation", Fitted(pcc), shown), abs=0.05)


def test_stability_compares_with_half_as_many_epochs_ago():
    first, other = normal(0.9, 64, 1), normal(0.9, 64, 2)
    assert of("stability", first, epoch(1, first)) == 0, "one epoch cannot be compared"
    assert of("stability", first, epoch(1, other), epoch(2, first), epoch(3, first)) == pytest.approx(1)
    assert abs(of("stability", first, epoch(1, other), epoch(2, first))) < 0.5


def test_fidelity_rewards_the_smaller_error():
    pcc = normal(0.9, 64)
    assert of("fidelity", pcc, epoch(1, pcc, 0.9), epoch(2, pcc, 0.2)) > of("fidelity", pcc, epoch(1, pcc, 0.9))


def test_median_agreement_is_1_for_the_median_frames_own_pcc():
    from fleet.detector import median_pcc

    shown = footage(200)
    pcc = median_pcc(shown.frames)
    assert value("median-agreement", Fitted(pcc), shown) == pytest.approx(1)
    assert value("median-agreement", Fitted(-pcc), shown) == pytest.approx(-1)


def test_a_new_objective_is_a_decorated_function(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fleet.detector.objectives.OBJECTIVES", {})
    from fleet.detector import objectives

    @objective(margin=0.3)
    def lowest_pcc(fitted, footage):
        "The worst frame."
        return fitted.pcc.min()

    made = objectives.OBJECTIVES["lowest-pcc"]
    assert (made.idea, made.margin) == ("The worst frame.", 0.3)
    assert of("lowest-pcc", np.linspace(0.2, 0.9, 20)) == 0.2


def test_a_value_that_is_no_number_is_zero(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fleet.detector.objectives.OBJECTIVES", {})

    @objective(margin=0.3)
    def broken(fitted, footage):
        "NaN."
        return np.nan

    assert of("broken", normal(0.9, 20)) == 0
