from __future__ import annotations

import pytest

from cameras.errors import FleetError
from fleet.detector.select import choose


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
