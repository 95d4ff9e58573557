"""The yard: a day by the clock, whose parts are the whole, with a clean twin and four kinds of events."""

from pathlib import Path

import numpy as np
import pytest

from cameras.errors import UsageError
from cameras.scenes import SCENES, render, write_scene
from cameras.scenes.catalogue import plan_scene
from cameras.scenes.scene import Plan
from cameras.scenes.timeline import DAY_S, by_slots, events_by_clock
from cameras.scenes.weather import Sky
from cameras.scenes.yard import event_kinds
from cameras.scenes.yard_life import KINDS

SMALL = (96, 64)
HOUR_S = 3600.0
FPS = 2.0


def part(start_s: float, frames: int, ratio: float = 0.0, draw: int = 0) -> tuple[np.ndarray, list[bool]]:
    """Frames (n, 64, 96, 3) and labels of a part of a day at 2 frames a second."""
    shown = list(render("yard", draw, frames, SMALL, ratio, FPS, start_s))
    return np.stack([picture for picture, _ in shown]), [label for _, label in shown]


def day_plan(ratio: float, draw: int = 0) -> Plan:
    return plan_scene("yard", draw, round(DAY_S * FPS), SMALL, ratio, FPS, 0.0)


@pytest.mark.parametrize("start_s", [3 * HOUR_S, 12 * HOUR_S, DAY_S + 19 * HOUR_S])
def test_a_part_of_a_day_is_that_part_of_the_whole(start_s: float) -> None:
    whole, labels = part(start_s, 40, ratio=0.5)
    later, later_labels = part(start_s + 15, 10, ratio=0.5)
    np.testing.assert_array_equal(whole[30:], later)
    assert labels[30:] == later_labels


def test_the_labels_of_a_day_are_those_of_its_hours() -> None:
    day = day_plan(0.05)
    labels = [day.event_at(frame) is not None for frame in range(0, day.frames, 97)]
    hours = [plan_scene("yard", 0, 7200, SMALL, 0.05, FPS, number * HOUR_S) for number in range(24)]
    assert [hours[at // 7200].event_at(at % 7200) is not None for at in range(0, day.frames, 97)] == labels
    assert sum(hour.anomalous for hour in hours) == day.anomalous == round(0.05 * day.frames)


def test_the_clean_twin_is_the_same_outside_the_events_and_other_within() -> None:
    event = next(event for event in day_plan(0.2).events if event.start > 11 * HOUR_S * FPS)
    start_s = event.start / FPS - 5
    dirty, labels = part(start_s, 40, ratio=0.2)
    clean, none = part(start_s, 40)
    assert labels == [False] * 10 + [True] * 30
    assert not any(none)
    assert [(one != other).any() for one, other in zip(dirty, clean, strict=True)] == labels


@pytest.mark.slow
def test_each_kind_of_event_shows_by_day() -> None:
    """In the middle of its span, each kind changes some tenths of a percent of the picture, and not all of it."""
    day = day_plan(0.1)
    events = list(zip(event_kinds(day), day.events, strict=True))
    assert {kind for kind, _ in events} == set(KINDS)
    by_day = {kind: event for kind, event in events if 10 * HOUR_S < event.start / FPS < 16 * HOUR_S}
    for kind in KINDS:
        start_s = (by_day[kind].start + len(by_day[kind]) // 2) / FPS
        dirty, clean = part(start_s, 1, 0.1)[0][0], part(start_s, 1)[0][0]
        share = float((np.abs(dirty.astype(int) - clean).max(-1) > 12).mean())
        assert 0.001 < share < 0.3, kind


def test_day_is_in_colour_and_deep_night_is_infrared_and_noisier() -> None:
    def noise(frames: np.ndarray) -> float:
        return float(np.median(np.abs(np.diff(frames.astype(int), axis=0))))

    (day, _), (night, _) = part(12 * HOUR_S, 6), part(2 * HOUR_S, 6)
    assert (day[..., 0] != day[..., 2]).mean() > 0.5
    assert (night[..., 0] == night[..., 2]).all()
    assert noise(night) > noise(day)


def test_it_rains_for_hours_and_the_ground_dries_later() -> None:
    sky = Sky(day_plan(0.0))
    minutes = 60.0 * np.arange(2 * 1440)
    raining = np.array([sky.rain(at) > 0 for at in minutes])
    wet = np.array([sky.wet(at) > 0 for at in minutes])
    edges = np.flatnonzero(np.diff(np.r_[0, raining, 0]))
    assert (edges[1::2] - edges[::2]).max() >= 85
    assert wet.sum() > raining.sum() + 60
    assert not raining.all()


def test_light_comes_and_goes_with_the_sun() -> None:
    sky = Sky(day_plan(0.0))
    light = [sky.daylight(hour * HOUR_S) for hour in range(24)]
    assert light[0] == light[2] == light[23] == 0
    assert light[11] == light[13] == 1
    assert sky.sun_direction(12 * HOUR_S)[1] > 0.5 > 0 > sky.sun_direction(0.0)[1]
    assert np.linalg.norm(sky.sun_direction(9 * HOUR_S)) == pytest.approx(1)


@pytest.mark.parametrize("ratio", [0.01, 0.05, 0.5, 1.0])
def test_windows_hold_their_share_at_any_rate(ratio: float) -> None:
    for fps in (1.0, 2.0, 5.0):
        window = round(max(600.0, 1.5 * 15 / ratio) * fps)
        events = events_by_clock(day_plan(0).rng, 0, 3 * window, fps, ratio, 15.0)
        assert sum(len(event) for event in events) == 3 * round(ratio * window)
        assert min(len(event) for event in events) >= 15 * fps - 1


def test_things_by_slots_do_not_depend_on_what_was_asked_before() -> None:
    def at(time_s: float) -> list[tuple[int, int]]:
        return by_slots(lambda slot: [(slot, number) for number in range(slot % 3)], 60.0, back=2)(time_s)

    asked = by_slots(lambda slot: [(slot, number) for number in range(slot % 3)], 60.0, back=2)
    times = [3600.0, 59.0, 7.0, 90_000.0, 61.0]
    assert [asked(time_s) for time_s in times] == [at(time_s) for time_s in times]


def test_a_written_part_of_a_night_says_when_it_was(tmp_path: Path) -> None:
    files = write_scene("yard", tmp_path, 0, 20, SMALL, 1.0, fps=FPS, start_s=3 * HOUR_S)
    assert files.fps == FPS
    assert files.anomalous == 20 == np.load(files.labels).sum()
    written = files.video.stat().st_mtime_ns
    write_scene("yard", tmp_path, 0, 20, SMALL, 1.0, fps=FPS, start_s=4 * HOUR_S)
    assert files.video.stat().st_mtime_ns != written


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"name": "corridor", "start_s": 60.0}, "yard"),
        ({"name": "yard", "start_s": -1.0}, "leave it out"),
        ({"name": "yard", "fps": 0.0}, "above 0"),
    ],
)
def test_what_cannot_be_says_what_can(asked: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError) as raised:
        render(**asked)
    assert says in str(raised.value)


def test_a_default_recording_is_a_morning_with_events() -> None:
    plan = plan_scene("yard", 1)
    assert (plan.frames, plan.fps, plan.start_s) == (3000, 5.0, 36_000.0)
    assert plan.anomalous == round(SCENES["yard"].anomaly_ratio * 3000)
