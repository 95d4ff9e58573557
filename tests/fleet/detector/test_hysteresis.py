"""Flags become spans: so many of so many, never over a clip's end, and known without looking ahead."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.detector.hysteresis import Hysteresis, Span


def spans(flags: str, clips: str = "", frame_s: float = 1.0, **settings: float) -> list[Span]:
    """Spans of flags that are written as `..##.`, a character a frame."""
    clip = np.array([ord(c) for c in clips or "a" * len(flags)], np.int64)
    rule = Hysteresis(**({"needed": 2, "of": 3, "merge_s": 0} | settings))  # type: ignore[arg-type]
    return rule.spans(np.array([c == "#" for c in flags]), np.arange(len(flags)) * frame_s, clip)


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        ("", []),
        (".....", []),
        ("..#..#..", []),  # one of three, twice
        ("..##....", [(2, 3, 3)]),
        ("..#.#...", [(2, 4, 4)]),  # known at the second flag
        ("#####", [(0, 1, 4)]),
        ("##....##", [(0, 1, 1), (6, 7, 7)]),
    ],
)
def test_two_of_three(flags, found):
    assert spans(flags) == found


def test_by_default_four_of_eight_are_needed():
    assert Hysteresis().spans(np.arange(20) % 3 == 0, np.arange(20.0), np.zeros(20, np.int64)) == []
    assert Hysteresis().spans(np.arange(20) % 2 == 0, np.arange(20.0), np.zeros(20, np.int64)) == [(0, 6, 18)]


def test_flags_of_two_clips_are_not_added_up():
    assert spans("..##..", clips="aaabbb") == []
    assert spans(".####.", clips="aaabbb") == [(1, 2, 2), (3, 4, 4)]


def test_a_clip_shorter_than_the_window_may_hold_an_event():
    assert spans("##", clips="ab", needed=1) == [(0, 0, 0), (1, 1, 1)]


def test_spans_that_lie_close_are_one():
    assert spans("##...##", merge_s=3) == [(0, 1, 1), (5, 6, 6)]
    assert spans("##...##", merge_s=4) == [(0, 1, 6)]


def test_short_spans_are_dropped_after_merging():
    assert spans("##...###", min_s=2) == [(5, 6, 7)]
    assert spans("##...##.", min_s=5, merge_s=4) == [(0, 1, 6)]


def test_the_gap_is_in_seconds():
    assert len(spans("##...##", frame_s=0.5, merge_s=2)) == 1
    assert len(spans("##...##", frame_s=2, merge_s=4)) == 2


def test_the_sustained_level_is_the_one_that_enough_frames_reach():
    scores, clip = np.array([1.0, 5, 2, 4, 3]), np.array([0, 0, 0, 1, 1])
    assert Hysteresis(2, 3).sustained(scores, clip).tolist() == [-np.inf, 1, 2, -np.inf, 3]


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=60), st.integers(0, 9))
def test_a_level_is_exceeded_often_enough_exactly_below_the_sustained_one(frames, level):
    scores = np.array([score for score, _ in frames], np.float64)
    clip = np.cumsum([begins for _, begins in frames])
    rule = Hysteresis(2, 4, merge_s=0)
    found = rule.spans(scores > level, np.arange(len(scores)) * 1.0, clip)
    assert bool(found) == bool((rule.sustained(scores, clip) > level).any())


@given(st.text("#.", min_size=1, max_size=60), st.integers(1, 60))
def test_what_comes_later_does_not_change_when_a_span_is_known(flags, cut):
    known = [span[1] for span in spans(flags)]
    assert [span[1] for span in spans(flags[:cut])] == [at for at in known if at < cut]


@pytest.mark.parametrize(
    "settings", [{"needed": 0}, {"needed": 9, "of": 8}, {"of": 2_000}, {"min_s": -1}, {"merge_s": float("inf")}]
)
def test_what_cannot_be_is_refused(settings):
    with pytest.raises(ValueError, match=r"needed <= of|are seconds"):
        Hysteresis(**settings)
