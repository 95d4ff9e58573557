from __future__ import annotations

import numpy as np
import pytest

from cameras.errors import FleetError
from fleet.detector.select import OBJECTIVES, bic_gain, choose, objective


def normal(mean: float, n: int) -> np.ndarray:
    return np.random.default_rng(n).normal(mean, 0.01, n)


def test_frames_of_two_kinds_gain():
    assert bic_gain(np.concatenate([normal(0.95, 400), normal(0.8, 100)])) > 0.5


def test_frames_of_one_kind_do_not():
    assert bic_gain(normal(0.95, 500)) < 0.05


def test_the_gain_does_not_depend_on_the_scale_of_pcc():
    values = np.concatenate([normal(0.95, 400), normal(0.8, 100)])
    assert bic_gain(values * 1e-4) == pytest.approx(bic_gain(values), rel=1e-4)


def test_the_gain_is_the_same_each_time():
    values = normal(0.9, 300)
    assert bic_gain(values) == bic_gain(values)


@pytest.mark.parametrize(
    "values",
    [[], [0.5], [0.5] * 100, [0.1, 0.9] * 50, [0.5] * 99 + [0.5 + 1e-15], [np.nan] * 20],
    ids=["none", "one", "constant", "two values", "next to constant", "nan"],
)
def test_there_is_no_gain_where_there_is_too_little_to_tell(values: list[float]):
    assert bic_gain(np.array(values)) == 0


def test_objectives_are_found_by_the_name_that_search_files_write():
    assert OBJECTIVES["bic-gain"].score is bic_gain


@pytest.mark.parametrize("name", OBJECTIVES)
def test_each_objective_says_its_idea(name: str):
    assert OBJECTIVES[name].idea


def test_a_new_objective_is_a_decorated_function(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fleet.detector.select.OBJECTIVES", {})
    from fleet.detector import select

    @objective
    def lowest_pcc(pcc):
        "The worst frame."
        return float(pcc.min())

    assert select.OBJECTIVES["lowest-pcc"].idea == "The worst frame."


def test_the_incumbent_stays_when_another_point_is_little_better():
    choice = choose([("default", 0.5), ("other", 0.6)], "default", margin=0.2)
    assert choice.point == "default"
    assert choice.reason == "0.600 is the best objective of 2, the incumbent's is 0.500: not more than 0.2 better"


def test_another_point_wins_when_it_is_clearly_better():
    choice = choose([("default", 0.5), ("other", 0.9)], "default", margin=0.2)
    assert choice.point == "other"
    assert choice.reason == "0.900 is the best objective of 2, the incumbent's is 0.500: more than 0.2 better"


def test_the_incumbent_stays_when_it_is_the_best():
    choice = choose([("other", 0.4), ("default", 0.5)], "default", margin=0)
    assert choice.reason == "0.500 is the best objective of 2, and the incumbent's own"


@pytest.mark.parametrize("value", [None, float("nan"), float("-inf")])
def test_the_best_is_taken_when_the_incumbent_failed(value: float | None):
    choice = choose([("default", value), ("a", 0.1), ("b", 0.2)], "default", margin=5)
    assert choice.point == "b"
    assert choice.reason == "0.200 is the best objective of 2, and the incumbent failed"


def test_the_best_is_taken_when_the_incumbent_was_not_tried():
    assert choose([("a", 0.1), ("b", 0.2)], "default", margin=5).point == "b"


def test_no_point_at_all_is_an_error():
    with pytest.raises(FleetError, match="no point gave a usable detector"):
        choose([("default", None)], "default", margin=0.2)
