"""The handicaps follow which way a channel strays, without a label, and the score takes what a frame has."""

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


def test_the_channel_that_strays_up_has_no_handicap(fusion):
    handicaps = fusion.handicaps
    assert handicaps["sees"] == 0
    assert min(handicaps["blind"], handicaps["day"], handicaps["inverted"]) > 3


def test_a_channel_that_leans_up_and_runs_against_the_others_is_called_inverted_and_has_little_to_say():
    often = np.arange(2_000) >= 1_400
    against = np.exp(2 * NOISE[2]) - 0.6 * often
    found = Fusion.of({"one": NOISE[0] + 2 * often, "two": NOISE[1] + 2 * often, "against": against})
    assert np.quantile(against, 0.99) - np.median(against) > np.median(against) - np.quantile(against, 0.01)
    assert found.verdicts()["against"].startswith("inverted")
    assert found.handicaps["against"] > 3


def test_where_no_channel_speaks_of_events_all_are_heard():
    """What runs against the others on footage without events may be the one that will see them."""
    against = {"one": NOISE[0], "two": NOISE[0] + 0.1 * NOISE[1], "against": -NOISE[0]}
    assert max(Fusion.of(against).handicaps.values()) < 0.5


def test_the_score_is_the_distance_of_the_channel_that_strays_furthest(fusion):
    usual = {name: np.array([np.median(value)]) for name, value in VALUES.items()}
    assert fusion.score(usual) == pytest.approx(0, abs=0.01)
    far = fusion.score(usual | {"sees": usual["sees"] + 2})
    assert fusion.score(usual | {"sees": usual["sees"] + 2, "day": usual["day"] + 0.1}) == far
    assert fusion.score(usual | {"sees": usual["sees"] + 2, "day": usual["day"] + 20}) > far + 5


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
    assert fusion.score(values) == fusion.score({k: v[-1:] for k, v in VALUES.items()})


def test_a_frame_without_any_channel_has_score_0(fusion):
    assert fusion.score({name: np.full(1, np.nan) for name in VALUES}).tolist() == [0]


def test_an_absurd_value_has_a_finite_score(fusion):
    assert np.isfinite(fusion.score({name: np.full(1, 1e9) for name in VALUES})).all()


def test_a_channel_without_values_has_no_say():
    assert list(Fusion.of({"a": NOISE[0], "b": np.full(2_000, np.nan)}).handicaps) == ["a"]
