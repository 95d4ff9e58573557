"""Footage: which frames are neighbours, and what is no footage."""

import numpy as np
import pytest

from cameras.errors import UsageError
from fleet.detector.footage import Footage


def test_places_count_from_the_start_of_each_clip():
    footage = Footage.of(np.zeros((5, 16, 16), np.uint8), fps=2, clip=np.array([4, 4, 4, 7, 7]))
    assert footage.place_in_clip().tolist() == [0, 1, 2, 0, 1]
    assert footage[1:4].place_in_clip().tolist() == [0, 1, 0]
    assert footage.times_s.tolist() == [0, 0.5, 1, 1.5, 2]


def test_a_clip_ends_where_its_name_changes_or_time_does_not_rise():
    frames = np.zeros((5, 16, 16), np.uint8)
    start = np.datetime64("2026-03-01T12:00:00", "us")
    captured_at = start + np.array([0, 500_000, 500_000, 1_000_000, 1_500_000]).astype("timedelta64[us]")
    footage = Footage.captured(frames, captured_at, ["a", "a", "a", "b", "b"])
    assert footage.clip.tolist() == [0, 0, 1, 2, 2]
    assert footage.times_s.tolist() == [0, 0.5, 0.5, 1, 1.5]
    assert len(Footage.captured(frames[:0], captured_at[:0], [])) == 0


def test_no_frames_are_footage_too():
    assert Footage.of(np.zeros((0, 16, 16), np.uint8), fps=2).place_in_clip().tolist() == []


def test_times_that_stand_still_inside_a_clip_are_refused():
    frames = np.zeros((2, 16, 16), np.uint8)
    with pytest.raises(UsageError, match="do not rise"):
        Footage(frames, np.zeros(2), np.zeros(2, np.int64))
    Footage(frames, np.zeros(2), np.arange(2))  # another clip may begin at the same time


def test_as_many_times_and_clips_as_frames():
    with pytest.raises(UsageError, match="one of each a frame"):
        Footage(np.zeros((2, 16, 16), np.uint8), np.arange(3.0), np.zeros(2, np.int64))
