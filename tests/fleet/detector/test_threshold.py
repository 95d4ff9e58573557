"""Rules for a threshold: each worked out by hand, none looks ahead, and a budget holds on its own footage."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cameras.errors import UsageError
from fleet.detector.hysteresis import Hysteresis
from fleet.detector.threshold import (
    DEFAULT_RULE,
    RULES,
    Budget,
    Calibration,
    Paper,
    Reference,
    Tail,
    exponential_tail,
    gumbel_tail,
    make_rule,
    paper_threshold,
    running_median,
    stretch_maxima,
)


def calibration(score, pcc=None, frame_s=1.0, clip=None) -> Calibration:
    score = np.asarray(score, np.float64)
    clips = np.zeros(len(score), np.int64) if clip is None else np.asarray(clip, np.int64)
    return Calibration(score, None if pcc is None else np.asarray(pcc), np.arange(len(score)) * frame_s, clips)


def exponential(n: int, scale: float = 2.0, start: float = 1.0) -> np.ndarray:
    """n values whose tail is exactly exponential, in an order that says nothing."""
    values = start - scale * np.log(1 - (np.arange(n) + 0.5) / n)
    return np.random.default_rng(0).permutation(values)


# -- the paper's


def test_the_threshold_is_eqs_8_and_9():
    threshold, mean, std = paper_threshold(np.array([0.9, 0.8, 0.7, 0.6]), kappa=0.5)
    assert (mean, std, threshold) == pytest.approx((0.75, 0.05**0.5 / 2, 0.75 - 0.5 * 0.05**0.5 / 2))


def test_frames_that_are_all_alike_are_not_flagged():
    values = np.full(10, 0.9)
    assert not (values < paper_threshold(values, kappa=0.5)[0]).any()


def test_the_papers_rule_acts_on_pcc_and_not_on_the_score():
    pcc = np.array([0.9, 0.8, 0.7, 0.6])
    found = Paper(kappa=0.5).fit(calibration([9, 9, 9, 9], pcc))
    assert found.level == pytest.approx(1 - paper_threshold(pcc, 0.5)[0])
    assert found.flags(1 - pcc, np.arange(4.0), np.zeros(4, np.int64)).tolist() == [False, False, False, True]


def test_the_papers_rule_has_nothing_to_act_on_without_pcc():
    with pytest.raises(UsageError, match="acts on PCC"):
        Paper().fit(calibration([1, 2, 3]))


# -- tail


def test_the_tail_of_exponential_scores_is_found():
    assert exponential_tail(exponential(10_000)) == pytest.approx((1, 2), rel=1e-3)


def test_gumbels_law_is_found():
    shares = (np.arange(2_000) + 0.5) / 2_000
    assert gumbel_tail(3 - 2 * np.log(-np.log(shares))) == pytest.approx((3, 2), rel=1e-3)


def test_a_stretch_is_known_by_the_highest_score_that_it_sustains():
    scores = np.zeros(240)
    scores[30:34] = [5, 6, 7, 8]  # 4 of 8 frames
    scores[100:103] = 50
    maxima, length_s = stretch_maxima(scores, calibration(scores, frame_s=0.5), Hysteresis())
    assert maxima.tolist() == [0, 5, *[0] * 10]
    assert length_s == 10  # shorter than 20 s, so that there are twelve


def test_stretches_end_with_their_clips_and_where_none_is_long_enough_each_score_counts():
    scores = np.arange(40.0)
    known = calibration(scores, clip=np.arange(40) // 20)
    assert stretch_maxima(scores, known, Hysteresis())[0].tolist() == [4, 12, 16, 24, 32, 36]
    alone = calibration(scores, clip=np.arange(40))
    assert stretch_maxima(scores, alone, Hysteresis()) == (scores, 1.0)


def test_usual_footage_passes_the_level_no_more_often_than_p_says():
    """Of scores of a second's memory, as those of channels are."""
    rng = np.random.default_rng(0)
    remembered, fresh = (np.convolve(rng.normal(0, 1, 400_000), np.ones(5) / 5, "same") for _ in range(2))
    known = calibration(remembered, frame_s=0.2)
    often, seldom = (
        (stretch_maxima(fresh, calibration(fresh, frame_s=0.2), Hysteresis())[0] > Tail(p=p).threshold(known)).mean()
        for p in (0.1, 0.01)
    )
    assert 0.02 < often < 0.12
    assert seldom < 0.012


def test_events_in_a_third_of_the_stretches_move_the_level_little():
    rng = np.random.default_rng(0)
    usual = rng.normal(0, 1, 6_000)
    with_events = usual + 30 * (np.arange(6_000) % 60 // 10 == 0)
    level, moved = (Tail().threshold(calibration(scores)) for scores in (usual, with_events))
    assert level - 0.5 < moved < level + 3
    assert np.quantile(with_events, 0.9) > 25


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=200), st.floats(1e-9, 0.5), st.floats(1e-9, 0.5))
def test_a_rarer_tail_lies_no_lower(scores, p, q):
    rare, frequent = (Tail(p=each).threshold(calibration(scores)) for each in sorted((p, q)))
    assert rare >= frequent


def test_scores_that_are_all_alike_are_not_flagged_by_any_rule():
    known = calibration(np.full(100, 0.25), np.full(100, 0.75))
    for rule in RULES.values():
        fitted = rule().fit(known)
        assert not fitted.flags(rule().series(known), known.times_s, known.clip).any(), rule


# -- reference


def test_the_reference_is_a_quantile_of_the_first_frames():
    assert Reference(quantile=0.5, share=0.5).threshold(calibration([1, 2, 3, 50, 60, 70])) == 2


def test_the_first_frames_are_the_earliest_wherever_they_stand():
    known = calibration([9, 9, 1, 1], clip=[0, 0, 1, 1])
    known = replace(known, times_s=np.array([100.0, 101, 0, 1]))
    assert Reference(quantile=1, share=0.5).threshold(known) == 1


@pytest.mark.parametrize(
    ("window", "level"), [({"from_s": 3.0}, 6), ({"to_s": 1.0}, 2), ({"from_s": 1.0, "to_s": 2.0}, 3)]
)
def test_the_reference_window_may_be_given_by_its_times(window, level):
    assert Reference(quantile=1, **window).threshold(calibration([1, 2, 3, 4, 5, 6])) == level


def test_a_reference_window_without_frames_is_an_error():
    with pytest.raises(UsageError, match="no frame of the training footage"):
        Reference(from_s=1e9).fit(calibration([1, 2, 3]))


# -- budget


def test_a_day_of_footage_is_its_own_measure():
    """Five events of rising height on one day: a budget of two leaves the two highest."""
    scores = np.zeros(1_440)
    for height in range(1, 6):
        scores[height * 200 : height * 200 + 10] = height
    level = Budget(per_day=2).threshold(calibration(scores, frame_s=60))
    assert level == 3


def test_short_footage_is_extrapolated_beyond_its_highest_score():
    known = calibration(exponential(3_600))
    assert known.days == pytest.approx(1 / 24)
    levels = [Budget(per_day=per_day, hysteresis=Hysteresis(1, 1)).threshold(known) for per_day in (0.1, 1, 5)]
    # Single frames of a known tail: how often each level is passed in a day is known, too.
    passed = [86_400 * math.exp(-(level - 1) / 2) for level in levels]
    assert passed == pytest.approx([0.1, 1, 5], rel=0.2)


@settings(max_examples=60)
@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=80),
    st.floats(0.01, 1_000),
    st.sampled_from([1.0, 60.0, 3_600.0]),
    st.integers(0, 30),
)
def test_a_budget_is_not_exceeded_on_its_own_footage(scores, per_day, frame_s, second_clip):
    known = calibration(scores, frame_s=frame_s, clip=np.arange(len(scores)) >= second_clip)
    rule = Budget(per_day=per_day, hysteresis=Hysteresis(2, 3))
    flags = rule.fit(known).flags(known.score, known.times_s, known.clip)
    events = rule.hysteresis.spans(flags, known.times_s, known.clip)
    assert len(events) <= per_day * known.days


# -- drift


def test_a_running_median_looks_back_a_window_and_not_at_the_frame_itself():
    series = np.arange(64.0)
    medians = running_median(series, series, np.zeros(64, np.int64), window_s=16)
    assert np.isnan(medians[:16]).all()
    assert medians[16:].tolist() == (series[16:] - 8.5).tolist()


def test_a_running_median_begins_anew_with_a_clip():
    medians = running_median(np.ones(40), np.arange(40.0), np.arange(40) // 20, window_s=16)
    assert np.flatnonzero(~np.isnan(medians)).tolist() == [16, 17, 18, 19, 36, 37, 38, 39]


def test_light_that_drifts_is_no_event_with_drift_correction():
    rng = np.random.default_rng(0)
    trained = calibration(rng.normal(0, 1, 2_000))
    drifting = rng.normal(0, 1, 4_000) + np.arange(4_000) * 4e-3  # sixteen deviations in the end
    times, clip = np.arange(4_000.0), np.zeros(4_000, np.int64)
    plain, corrected = (
        Hysteresis().spans(Tail(p=1e-4, drift_s=window).fit(trained).flags(drifting, times, clip), times, clip)
        for window in (0, 200)
    )
    assert plain[-1][2] - plain[-1][0] > 1_000
    assert not corrected


def test_a_sudden_event_survives_drift_correction():
    rng = np.random.default_rng(0)
    series = rng.normal(0, 1, 2_000)
    fitted = Tail(drift_s=200).fit(calibration(series))
    series[1_500:1_550] += 20
    assert fitted.flags(series, np.arange(2_000.0), np.zeros(2_000, np.int64))[1_500:1_550].all()


@settings(max_examples=50)
@given(
    st.lists(st.floats(-10, 10), min_size=2, max_size=80),
    st.data(),
    st.sampled_from([Tail(), Tail(drift_s=8), Budget(drift_s=8), Reference(drift_s=8)]),
)
def test_the_future_changes_no_flag(series, data, rule):
    cut = data.draw(st.integers(1, len(series) - 1))
    other = data.draw(st.lists(st.floats(-10, 10), min_size=len(series) - cut, max_size=len(series) - cut))
    fitted = rule.fit(calibration(np.linspace(-5, 5, 50)))
    times, clip = np.arange(len(series)) * 1.0, np.zeros(len(series), np.int64)
    one, two = (fitted.flags(np.array(values), times, clip) for values in (series, series[:cut] + other))
    assert one[:cut].tolist() == two[:cut].tolist()


# -- rules by name


def test_each_rule_says_its_idea_and_has_defaults():
    assert DEFAULT_RULE in RULES
    for name, rule in RULES.items():
        assert make_rule(name).name == name
        assert rule.__doc__
        assert "Rule(" not in rule.__doc__


@pytest.mark.parametrize(
    ("name", "parameters", "told"),
    [
        ("otsu", {}, "no rule 'otsu': paper, tail, reference, budget"),
        ("tail", {"kappa": 1}, "has no kappa: it knows drift_s, p, hysteresis"),
        ("tail", {"p": 0}, "p of the rule 'tail' is 1e-09 to 0.5, not 0"),
        ("tail", {"p": math.nan}, "p of the rule 'tail'"),
        ("budget", {"per_day": -1}, "per_day of the rule 'budget'"),
        ("reference", {"quantile": 2}, "quantile of the rule 'reference'"),
        ("paper", {"kappa": True}, "kappa of the rule 'paper'"),
        ("tail", {"drift_s": -1}, "drift_s of the rule 'tail'"),
    ],
)
def test_what_cannot_be_is_refused_with_its_rule(name, parameters, told):
    with pytest.raises(ValueError, match=told):
        make_rule(name, **parameters)


# -- calibrations


def test_gaps_between_clips_are_not_recorded_time():
    known = Calibration(np.zeros(4), None, np.array([0.0, 2, 1e6, 1e6 + 2]), np.array([0, 0, 1, 1]))
    assert known.frame_s == 2
    assert known.days == 8 / 86_400


@pytest.mark.parametrize(("scores", "times"), [(0, 0), (2, 3)])
def test_a_calibration_has_one_of_each_a_frame_and_a_frame(scores, times):
    with pytest.raises(UsageError, match="one of each a frame"):
        Calibration(np.zeros(scores), None, np.arange(times) * 1.0, np.zeros(times, np.int64))
