"""What goes on in the yard: people and vehicles as on any day, and the events that do not belong."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from cameras.scenes.people import random_look
from cameras.scenes.scene import Plan, Span
from cameras.scenes.timeline import DAY_S, by_slots, hour
from cameras.scenes.trips import Leg, Trip
from cameras.scenes.vehicles import PAINTS, Placed, car, stack, van
from cameras.scenes.walkers import Spot, Stance, Walker
from cameras.scenes.yard_place import DOCK_Z, GRASS_Z, PASS_Z, Layout

EventKind = Literal["climber", "vehicle", "object", "crowd"]
"""Somebody climbs the fence and runs; a car on path and grass; boxes left in the open; a crowd."""
KINDS: tuple[EventKind, ...] = get_args(EventKind)

PEOPLE_PER_MINUTE = (0.9, 0.3, 0.04)
VEHICLES_PER_HALF_HOUR = (2.2, 0.8, 0.12)
"""At work, in the evening, at night."""


@dataclass(frozen=True)
class Life:
    """People and vehicles of a moment, each a function of seconds since the first midnight."""

    people: Callable[[float], list[Stance]]
    vehicles: Callable[[float, bool], list[Placed]]


def rate(time_s: float, rates: tuple[float, float, float]) -> float:
    """The rate of the hour: at work from 7 to 18, in the evening until 22, at night."""
    now = hour(time_s)
    return rates[0] if 7 <= now < 18 else rates[1] if 6 <= now < 22 else rates[2]


def usual(plan: Plan, layout: Layout) -> Life:
    """Traffic of any day: it depends on the hour, and not on whether there are events."""
    passers = by_slots(lambda slot: _passers(plan, layout, slot), 60.0)
    trips = by_slots(lambda slot: _visits(plan, layout, slot), 1800.0)
    parked = by_slots(lambda day: _parked(plan, layout, day), DAY_S, back=0)

    def people(time_s: float) -> list[Stance]:
        return [who for walker in passers(time_s) if (who := walker.at(time_s))]

    def vehicles(time_s: float, lit: bool) -> list[Placed]:
        return [one for trip in trips(time_s) + parked(time_s) if (one := trip.at(time_s, lit))]

    return Life(people, vehicles)


def _passers(plan: Plan, layout: Layout, slot: int) -> list[Walker]:
    """Those who set out within one minute: along the path, or between the gate, the doors and the bays."""
    rng = plan.rng(f"people {slot}")
    walkers = []
    for _ in range(int(rng.poisson(rate(60.0 * slot, PEOPLE_PER_MINUTE)))):
        aside = float(rng.uniform(0.3, 1.3))
        if rng.random() < 0.45:
            route: tuple[Spot, ...] = ((-16.0, GRASS_Z - aside), (16.0, GRASS_Z - aside))
        else:
            places = [(22.0, PASS_Z + 3), (layout.wall_x + 0.4, 24.7), (layout.wall_x + 0.5, DOCK_Z + 2.7)]
            places += [(bay + 1.4, layout.fence_z - 4.0) for bay in layout.bays_x]
            start, stop = rng.permutation(len(places))[:2].tolist()
            middle = (float(rng.uniform(-2, 4)), float(rng.uniform(13.5, 17)))
            route = (places[start], middle, places[stop])
        route = route if rng.random() < 0.5 else route[::-1]
        begin_s, pace = 60.0 * slot + float(rng.uniform(0, 60)), float(rng.uniform(1.05, 1.6))
        for number in range(int(rng.choice([1, 2], p=[0.8, 0.2]))):
            beside = tuple((x + 0.5 * number, z + 0.3 * number) for x, z in route)
            walkers.append(Walker(random_look(rng), beside, begin_s + 0.4 * number, pace))
    return walkers


def _visits(plan: Plan, layout: Layout, slot: int) -> list[Trip]:
    """Vans and cars of one half hour: most pass along the lane, at most one stops at the dock for some minutes."""
    rng = plan.rng(f"vehicles {slot}")
    begin_s = 1800.0 * slot
    share = rate(begin_s, VEHICLES_PER_HALF_HOUR)
    trips = []
    for _ in range(int(rng.poisson(share))):
        paint = PAINTS[rng.integers(len(PAINTS))]
        lane, way = PASS_Z + 1.1, ((34.0, 0.0), (-34.0, 0.0))
        if rng.random() < 0.5:
            lane, way = PASS_Z - 1.1, way[::-1]
        route = tuple((x, lane) for x, _ in way)
        vehicle = van(paint) if rng.random() < 0.6 else car(paint)
        trips.append(Trip(vehicle, [Leg(route, begin_s + float(rng.uniform(0, 1780)), float(rng.uniform(3.5, 6.5)))]))
    if rng.random() < 0.3 * share:
        start_s, stay_s = begin_s + float(rng.uniform(0, 900)), float(rng.uniform(90, 780))
        dock, off = (layout.wall_x + 3.3, DOCK_Z), (layout.wall_x + 8.0, DOCK_Z - 0.6)
        come = Leg(((34.0, PASS_Z + 1.1), (6.0, PASS_Z + 1.6), (layout.wall_x + 9, DOCK_Z - 0.5), dock), start_s, 4.0)
        back = Leg((dock, off), come.end_s + stay_s, 1.3, backwards=True)
        leave = Leg((off, (layout.wall_x + 3.5, PASS_Z + 2), (-34.0, PASS_Z + 1.1)), back.end_s, 3.5)
        trips.append(Trip(van(PAINTS[rng.integers(3)]), [come, back, leave]))
    return trips


def _parked(plan: Plan, layout: Layout, day: int) -> list[Trip]:
    """Cars of those who work here: they come in the morning, stand in their bays and leave in the evening."""
    trips = []
    for number, bay in enumerate(layout.bays_x):
        rng = plan.rng(f"bay {number} of day {day}")
        if rng.random() < 0.15:
            continue
        come_s = day * DAY_S + 3600 * float(rng.normal(7.8, 0.6))
        leave_s = day * DAY_S + 3600 * float(rng.normal(16.8, 0.9))
        home, off = (bay, layout.fence_z - 3.5), (bay + 0.6, layout.fence_z - 9.0)
        come = Leg(((34.0, PASS_Z + 1.1), (5.0, PASS_Z + 1.8), (bay, layout.fence_z - 12), home), come_s, 4.0)
        back = Leg((home, off), leave_s, 1.5, backwards=True)
        leave = Leg((off, (bay - 0.5, PASS_Z + 5), (1.0, PASS_Z + 1), (-34.0, PASS_Z + 1.1)), back.end_s, 4.0)
        # A car is a person's own: the same one each day.
        paint = PAINTS[plan.rng(f"bay {number}").integers(len(PAINTS))]
        trips.append(Trip(car(paint), [come, back, leave]))
    return trips


def kind_of(plan: Plan, event: Span) -> EventKind:
    """What happens in an event of a plan."""
    return KINDS[_event_rng(plan, event, "kind").integers(len(KINDS))]


def unusual(plan: Plan, layout: Layout, event: Span, depth_px: np.ndarray) -> Life:
    """The people and vehicles of one event, from its first frame to its last."""
    rng = _event_rng(plan, event, "life")
    begin_s = (round(plan.start_s * plan.fps) + event.start) / plan.fps
    length_s = len(event) / plan.fps
    kind = kind_of(plan, event)
    if kind == "climber":
        return _climb(rng, layout, begin_s, length_s)
    if kind == "vehicle":
        return _stray(rng, begin_s, length_s)
    if kind == "object":
        placed = Placed(stack(rng), _open_spot(rng, layout, depth_px), float(rng.uniform(0, np.pi)))
        return Life(lambda time_s: [], lambda time_s, lit: [placed])
    return _gather(rng, layout, begin_s, length_s)


def _event_rng(plan: Plan, event: Span, purpose: str) -> np.random.Generator:
    return plan.rng(f"{purpose} of event {round(plan.start_s * plan.fps) + event.start}")


def _wander(rng: np.random.Generator, start: Spot, low: Spot, high: Spot, reach_m: float) -> tuple[Spot, ...]:
    """Random spots of an area, one after the other, at least `reach_m` metres of way."""
    spots, walked = [start], 0.0
    while walked < reach_m or len(spots) < 3:
        spot = (float(rng.uniform(low[0], high[0])), float(rng.uniform(low[1], high[1])))
        step = float(np.hypot(spot[0] - spots[-1][0], spot[1] - spots[-1][1]))
        if step > 2.0:
            walked += step
            spots.append(spot)
    return tuple(spots)


def _climb(rng: np.random.Generator, layout: Layout, begin_s: float, length_s: float) -> Life:
    """One or two come over the fence and run about the yard."""
    runners = []
    for number in range(int(rng.integers(1, 3))):
        over_x, pace = float(rng.uniform(-3.5, 5.5)) + 1.2 * number, float(rng.uniform(2.6, 3.8))
        down_s = begin_s + min(3.5 + number, 0.3 * length_s)
        foot = (over_x, layout.fence_z - 0.4)
        reach = pace * (begin_s + length_s - down_s) + 1
        route = _wander(rng, foot, (layout.wall_x + 1.5, 9.0), (layout.container_x - 1, layout.fence_z - 8), reach)
        runners.append((Walker(random_look(rng), route, down_s, pace, "run"), foot))

    def people(time_s: float) -> list[Stance]:
        shown = []
        for runner, foot in runners:
            who = runner.at(time_s)
            if time_s < runner.start_s:
                # Up on the far side, over the top and down on this one.
                way = float(np.clip((time_s - begin_s) / (runner.start_s - begin_s), 0, 1))
                spot = (foot[0], foot[1] + (1.0 if way < 0.4 else 0.2))
                lift = 2.1 * min((0.3 + way) / 0.7, 1.0, (1 - way) / 0.45)
                who = Stance(runner.look, "run", spot, np.pi, 2.5 * way, lift)
            if who:
                shown.append(who)
        return shown

    return Life(people, lambda time_s, lit: [])


def _stray(rng: np.random.Generator, begin_s: float, length_s: float) -> Life:
    """A car or van leaves the lane for the path and the grass, and back, and again."""
    pace, side = float(rng.uniform(2.0, 4.0)), float(rng.choice([-1, 1]))
    spots: list[Spot] = [(side * 5.5, 7.6)]
    while len(spots) * 5.0 < pace * length_s + 12:
        side = -side
        spots += [(side * float(rng.uniform(1.0, 4.0)), float(rng.uniform(6.8, 8.2))),
                  (side * float(rng.uniform(3.5, 5.5)), float(rng.uniform(7.5, 10.0)))]  # fmt: skip
    paint = PAINTS[rng.integers(len(PAINTS))]
    way = Leg(tuple(spots), begin_s, pace)
    # As fast as it takes to be there until the event's last frame.
    way = replace(way, pace_m_per_s=float(way.along[-1]) / (length_s + 0.1))
    trip = Trip(car(paint) if rng.random() < 0.6 else van(paint), [way])
    return Life(lambda time_s: [], lambda time_s, lit: [one] if (one := trip.at(time_s, lit)) else [])


def _open_spot(rng: np.random.Generator, layout: Layout, depth_px: np.ndarray) -> Spot:
    """Somewhere in the open where nothing stands on other days and the camera can see it."""
    height, width = depth_px.shape
    spot = (0.0, 15.0)
    for _ in range(100):
        spot = (float(rng.uniform(-6, 6)), float(rng.uniform(7.0, 22.0)))
        ((x, y),), (depth,) = layout.view.project([(spot[0], 0.3, spot[1])])
        inside = 0.05 * width < x < 0.95 * width and 0.1 * height < y < 0.92 * height
        at_dock = spot[0] < layout.wall_x + 6.5 and abs(spot[1] - DOCK_Z) < 3
        if inside and not at_dock and depth_px[int(y), int(x)] > depth - 0.5:
            return spot
    return spot


def _gather(rng: np.random.Generator, layout: Layout, begin_s: float, length_s: float) -> Life:
    """Seven to fourteen people who mill about one place."""
    x, z = float(rng.uniform(-2, 3.5)), float(rng.uniform(11, 18))
    crowd = []
    for _ in range(int(rng.integers(7, 15))):
        pace = float(rng.uniform(0.3, 0.9))
        start = (x + float(rng.normal(0, 1.2)), z + float(rng.normal(0, 1.2)))
        low, high = (max(x - 3.5, layout.wall_x + 0.8), z - 2.5), (x + 3.5, z + 2.5)
        route = _wander(rng, start, low, high, pace * length_s + 1)
        crowd.append(Walker(random_look(rng, placard_share=0.2), route, begin_s, pace))
    return Life(lambda time_s: [who for one in crowd if (who := one.at(time_s))], lambda time_s, lit: [])
