"""Events: what is told of a span, worked out by hand."""

from __future__ import annotations

import math

import numpy as np

from fleet.detector.hysteresis import Hysteresis
from fleet.events import Event, find_events

FLAGS = np.array([0, 1, 0, 1, 0, 0, 0, 1, 1], bool)
TIMES = 10 + np.arange(9) / 2
CLIP = np.zeros(9, np.int64)
SCORES = np.array([9, 3, 9, 4, 9, 9, 9, 5, 6.0])


def test_an_event_has_its_times_its_flagged_frames_and_their_peak():
    found = find_events(FLAGS, TIMES, CLIP, SCORES, Hysteresis(2, 3, merge_s=0))
    assert found == [
        Event(first=1, last=3, start_s=10.5, raised_s=11.5, end_s=11.5, frames=2, peak=4.0),
        Event(first=7, last=8, start_s=13.5, raised_s=14.0, end_s=14.0, frames=2, peak=6.0),
    ]


def test_events_that_lie_close_are_one():
    (found,) = find_events(FLAGS, TIMES, CLIP, SCORES, Hysteresis(2, 3, merge_s=2))
    assert (found.first, found.last, found.raised_s, found.frames, found.peak) == (1, 8, 11.5, 4, 6.0)


def test_without_scores_there_is_no_peak():
    assert math.isnan(find_events(np.ones(8, bool), np.arange(8.0), np.zeros(8, np.int64))[0].peak)


def test_quiet_footage_has_none():
    assert find_events(np.zeros(9, bool), TIMES, CLIP, SCORES) == []
