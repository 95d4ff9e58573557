"""The weights follow which way a channel strays, without a label, and the score takes what a frame has."""

from __future__ import annotations

import numpy as np
import pytest

from fleet.detector.fusion import Fusion

RNG = np.random.default_rng(0)
EVENT = np.arange(2_000) >= 1_800
NOISE = RNG.normal(0, 0.3, (3, 2_000))
VALUES = {"sees": NOISE[0] + 2 * EVENT, "blind": np.zeros(2_000), "inverted": NOISE[1] - 2 * EVENT, "day": NOISE[2]}


@pytest.fixture(scope="module")
def fusion() -> Fusion:
    return Fusion.of(VALUES)


def test_the_channel_that_strays_up_has_nearly_all_the_say(fusion):
    assert fusion.weights["sees"] > 0.9
    assert sum(fusion.weights.values()) == pytest.approx(1)


def test_each_channel_is_called_what_it_is(fusion):
    assert {name: verdict.split(",")[0] for name, verdict in fusion.verdicts().items()} == {
        "sees": "informative",
        "blind": "blind",
        "inverted": "inverted",
        "day": "neutral",
    }


def test_the_score_ranks_events_first_although_a_channel_is_inverted(fusion):
    score = fusion.score(VALUES)
    assert np.quantile(score[EVENT], 0.05) > np.quantile(score[~EVENT], 0.95)


def test_a_frame_without_a_channel_is_scored_by_the_others(fusion):
    values = {name: value[-1:].copy() for name, value in VALUES.items()}
    values["day"][:] = np.nan
    assert fusion.score(values) == pytest.approx(fusion.score({k: v[-1:] for k, v in VALUES.items()}), abs=0.1)


def test_a_frame_without_any_channel_has_score_0(fusion):
    assert fusion.score({name: np.full(1, np.nan) for name in VALUES}).tolist() == [0]


def test_an_absurd_value_has_a_finite_score(fusion):
    assert np.isfinite(fusion.score({name: np.full(1, 1e9) for name in VALUES})).all()


def test_a_channel_without_values_has_no_say():
    assert list(Fusion.of({"a": NOISE[0], "b": np.full(2_000, np.nan)}).weights) == ["a"]
