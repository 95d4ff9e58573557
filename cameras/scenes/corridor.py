"""A corridor indoors: one to three people pass now and then; in an anomaly a crowd fills it.

After the Corridor data set's protest. The easy scene: a crowd covers much of the view, so whatever compares a
frame with the usual one finds it. What is normal still moves: people near the camera are tall, the daylight at the
far end drifts and a lamp or two is weak.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from cameras.scenes.people import random_look
from cameras.scenes.room import Block, Survey, View, corner_shade, lamp_light, survey
from cameras.scenes.scene import Labelled, Plan, Span
from cameras.scenes.sensor import Sensor
from cameras.scenes.texture import f32, joints, noise_tile, rgb, sample, within
from cameras.scenes.timeline import Drift
from cameras.scenes.walkers import Spot, Stance, Walker, draw_crowd

TALL_M = 2.8
MEAN_PAUSE_S = 11.0
"""Between one group of passers-by and the next."""


@dataclass(frozen=True)
class Layout:
    """One corridor: `doors` are (side, z) with side -1 left and 1 right."""

    half_m: float
    long_m: float
    doors: tuple[tuple[int, float], ...]
    view: View


def paint(plan: Plan) -> Iterator[Labelled]:
    """Frames of the corridor; a frame is anomalous while the crowd is there."""
    layout = _lay_out(plan)
    seen = _build(plan, layout)
    lamps, daylight = _light(plan, layout, seen)
    sensor = Sensor(plan.rng("sensor"), plan.size_px)
    sun, mains = Drift(plan.rng("sun"), 60, 900), Drift(plan.rng("mains"), 25, 200)
    brightness = cv2.sqrt(seen.shrink(lamps.mean(-1) / np.maximum(seen.albedo.mean(-1), 0.02)))
    brightness = np.clip(brightness / np.percentile(brightness, 80), 0.35, 1.15)
    lamps_px, daylight_px = seen.shrink(lamps), seen.shrink(daylight)
    traffic = _traffic(plan, layout)
    crowds = {event: _crowd(plan, layout, event) for event in plan.events}
    for frame in range(plan.frames):
        time_s = frame / plan.fps
        day = np.clip(1.0 + 0.25 * sun(time_s), 0.3, 1.7)
        picture = sensor.develop(cv2.addWeighted(lamps_px, 1.0 + 0.02 * mains(time_s), daylight_px, day, 0.0))
        event = plan.event_at(frame)
        people = traffic(time_s)
        if event is not None:
            people = people + [who for walker in crowds[event] if (who := walker.at(time_s))]
        draw_crowd(picture, layout.view, people, brightness, reflection=0.14)
        yield sensor.expose(picture), event is not None


def _lay_out(plan: Plan) -> Layout:
    rng = plan.rng("layout")
    half, long = rng.uniform(1.35, 1.7), rng.uniform(20, 28)
    doors = tuple((side, float(z)) for side in (-1, 1) for z in np.arange(rng.uniform(4.0, 6.0), long - 3, 4.2))
    view = View(
        size_px=plan.size_px,
        position=(float(rng.uniform(-0.6, 0.6) * half), float(rng.uniform(2.3, 2.55)), 0.15),
        pitch=float(rng.uniform(0.2, 0.26)),
        yaw=float(rng.uniform(-0.05, 0.05)),
        focal=float(rng.uniform(0.68, 0.78)),
    )
    return Layout(half, long, doors, view)


def _build(plan: Plan, layout: Layout) -> Survey:
    rng = plan.rng("paint")
    speckle, stains = noise_tile(rng), noise_tile(rng, grain=12)
    wall = rgb(*[(226, 222, 210), (212, 220, 222), (228, 214, 190), (206, 216, 200)][rng.integers(4)])
    dado = rgb(*[(120, 146, 164), (150, 120, 96), (110, 140, 122), (150, 150, 156)][rng.integers(4)])
    door = rgb(*[(150, 104, 68), (96, 110, 126), (178, 146, 104), (124, 74, 58)][rng.integers(4)])
    floor = rgb(*[(176, 172, 164), (150, 158, 166), (188, 170, 146)][rng.integers(3)])
    end_window = (-0.6, 0.9, 0.6, 2.3)
    posters = [(int(rng.choice([-1, 1])), float(z), rng.uniform(0.15, 0.8, 3)) for z in rng.uniform(3, 16, 6)]

    def paint_room(points: np.ndarray, axis: np.ndarray) -> np.ndarray:
        x, y, z = points.T
        colour = np.broadcast_to(wall, points.shape).copy()
        ground, ceiling = (axis == 1) & (y < 1), (axis == 1) & (y > 1)
        side, far = axis == 0, (axis == 2) & (z > 1)
        tile = 0.6
        shade = 1 + 0.05 * sample(speckle, x, z, 40) + 0.05 * sample(speckle, x, z, 1 / tile)
        grout = joints(x, z, tile, tile, 0.018)
        band = np.abs(np.abs(x) - (layout.half_m - 0.25)) < 0.06
        ground_colour = floor * (shade * (1 - 0.35 * grout) * (1 - 0.45 * band))[:, None]
        colour[ground] = ground_colour[ground]
        panels = 1 - 0.22 * joints(x, z, 0.6, 0.6, 0.03)
        colour[ceiling] = (rgb(232, 232, 228) * panels[:, None])[ceiling]
        colour[side & (y < 1.0)] = dado
        colour[side & (np.abs(y - 1.02) < 0.04)] = 0.55 * dado
        colour[(axis != 1) & (y < 0.1)] = rgb(70, 66, 64)
        for hand, at_z in layout.doors:
            here = side & (np.sign(x) == hand)
            colour[here & within(z, y, (at_z - 0.58, 0, at_z + 0.58, 2.18))] = 0.6 * door
            colour[here & within(z, y, (at_z - 0.48, 0, at_z + 0.48, 2.08))] = door
            colour[here & within(z, y, (at_z - 0.2, 1.3, at_z + 0.2, 1.85))] = rgb(150, 172, 184)
            colour[here & within(z, y, (at_z + 0.34, 0.98, at_z + 0.44, 1.06))] = rgb(210, 210, 205)
        for hand, at_z, ink in posters:
            if all(hand != other or abs(at_z - z_door) > 1.0 for other, z_door in layout.doors):
                here = side & (np.sign(x) == hand)
                colour[here & within(z, y, (at_z - 0.3, 1.2, at_z + 0.3, 2.0))] = rgb(238, 236, 228)
                colour[here & within(z, y, (at_z - 0.25, 1.45, at_z + 0.25, 1.95))] = ink
        colour[far & within(x, y, end_window)] = rgb(252, 253, 255)
        bars = (np.abs(x) < 0.03) | (np.abs(y - 1.6) < 0.03)
        colour[far & within(x, y, end_window) & bars] = rgb(120, 122, 126)
        return colour * (1 + 0.035 * sample(stains, x + z, y + z, 18))[:, None]

    room = Block((-layout.half_m, 0, -1.0), (layout.half_m, TALL_M, layout.long_m), paint_room)
    return survey(layout.view, room, ())


def _light(plan: Plan, layout: Layout, seen: Survey) -> tuple[np.ndarray, np.ndarray]:
    """Linear pictures of the room under its lamps and under the window at its end, at the survey's size."""
    rng = plan.rng("lamps")
    total = np.zeros(seen.depth.shape, np.float32)
    glow = np.zeros(seen.depth.shape, np.float32)
    x, y, z = np.moveaxis(seen.points, -1, 0)
    for lamp_z in np.arange(2.0, layout.long_m, 3.2):
        power = rng.uniform(0.85, 1.1) if rng.random() > 0.2 else rng.uniform(0.3, 0.6)
        total += power * lamp_light(seen, [(0.0, TALL_M - 0.03, float(lamp_z))], shadows=False, reach_m=1.6)
        glow += power * ((y > TALL_M - 0.01) & within(x, z, (-0.28, lamp_z - 0.6, 0.28, lamp_z + 0.6)))
    total *= 0.95 / np.percentile(total, 90)
    shade = corner_shade(seen)
    lamps = seen.albedo * (0.14 + total * shade)[..., None] * f32(1.0, 0.98, 0.93) + glow[..., None]
    far = lamp_light(seen, [(0.0, 1.6, layout.long_m - 0.2)], shadows=False, reach_m=3.0)
    # Daylight runs along a polished floor towards the camera.
    gloss = (seen.axis == 1) * (y < 1) * np.exp(-np.square(x / 0.55)) * np.exp((z - layout.long_m) / 9.0)
    pane = (seen.axis == 2) * within(x, y, (-0.6, 0.9, 0.6, 2.3))
    daylight = seen.albedo * (0.5 * far * shade)[..., None] + (0.35 * gloss + 0.75 * pane)[..., None]
    return lamps, (daylight * f32(0.92, 0.98, 1.05)).astype(np.float32)


def _traffic(plan: Plan, layout: Layout) -> Callable[[float], list[Stance]]:
    """Passers-by of any time; times must be asked in order, people who are gone are forgotten."""
    rng = plan.rng("traffic")
    here: list[Walker] = []
    next_s = float(rng.uniform(0, MEAN_PAUSE_S))

    def people(time_s: float) -> list[Stance]:
        nonlocal next_s
        while next_s <= time_s:
            group = _group(rng, layout, next_s)
            here.extend(group)
            next_s = max(walker.end_s for walker in group) - 6.0 + float(rng.exponential(MEAN_PAUSE_S))
        here[:] = [walker for walker in here if walker.end_s > time_s]
        return [who for walker in here if (who := walker.at(time_s))]

    return people


def _group(rng: np.random.Generator, layout: Layout, start_s: float) -> list[Walker]:
    """One to three people who walk together, through the corridor or to or from a door."""
    size = int(rng.choice([1, 2, 3], p=[0.6, 0.28, 0.12]))
    lane, pace = rng.uniform(-0.55, 0.55) * layout.half_m, float(rng.uniform(1.0, 1.6))
    entry: Spot = (lane, 0.0)
    leave: Spot = (rng.uniform(-0.5, 0.5) * layout.half_m, layout.long_m - 0.6)
    if rng.random() < 0.35:
        side, door_z = layout.doors[rng.integers(len(layout.doors))]
        leave = (side * (layout.half_m + 0.5), door_z)
    route: tuple[Spot, ...] = (entry, (lane, leave[1]), leave)
    if rng.random() < 0.5:
        route = route[::-1]
    people = []
    for index in range(size):
        aside, behind = 0.55 * (index - (size - 1) / 2), float(rng.uniform(0, 0.5)) * index
        moved = tuple((float(np.clip(x + aside, *_walls(layout, x))), z) for x, z in route)
        people.append(Walker(random_look(rng), moved, start_s + behind, pace))
    return people


def _walls(layout: Layout, x: float) -> tuple[float, float]:
    """How far to the sides somebody at x may step aside: not through a wall, but through a door."""
    reach = max(layout.half_m - 0.3, abs(x))
    return -reach, reach


def _crowd(plan: Plan, layout: Layout, event: Span) -> list[Walker]:
    """8 to 20 people who march up and down and are in the picture from the event's first frames to its last."""
    rng = plan.rng(f"crowd {event.start}")
    begin_s, length_s = event.start / plan.fps, len(event) / plan.fps
    rush_s = min(2.5, 0.1 * length_s)
    people = []
    for index in range(int(rng.integers(8, 21))):
        pace = float(rng.uniform(0.5, 1.1))
        start_s = begin_s + (0.0 if index < 4 else float(rng.uniform(0, rush_s)))
        end_s = begin_s + length_s - (0.0 if index < 4 else float(rng.uniform(0, rush_s)))
        # Three lanes in depth, so that a crowd is near and far at once.
        home_z = float(rng.uniform(2.6, 5.0) if index % 3 == 0 else rng.uniform(4.0, 11.0))
        side, door_z = min(layout.doors, key=lambda door: abs(door[1] - home_z) + float(rng.uniform(0, 4)))
        spots: list[Spot] = [(0.2 * float(rng.normal()), 1.5) if home_z < 4.5 else (side * layout.half_m, door_z)]
        reach, walked = length_s * pace + 4.0, 0.0
        while walked < reach:
            x = float(rng.uniform(-0.85, 0.85) * (layout.half_m - 0.25))
            z = float(np.clip(home_z + rng.normal(0, 1.6), 2.3, layout.long_m - 1))
            walked += float(np.hypot(x - spots[-1][0], z - spots[-1][1]))
            spots.append((x, z))
        people.append((Walker(random_look(rng, placard_share=0.3), tuple(spots), start_s, pace), end_s))
    return [_cut_short(walker, end_s) for walker, end_s in people]


def _cut_short(walker: Walker, end_s: float) -> Walker:
    """The same walk, ending where the walker is at `end_s`."""
    left = max(0.0, (end_s - walker.start_s) * walker.pace_m_per_s)
    route = [walker.route[0]]
    for spot, length in zip(walker.route[1:], walker.lengths(), strict=True):
        share = min(1.0, left / max(float(length), 1e-6))
        x, z = route[-1]
        route.append((x + share * (spot[0] - x), z + share * (spot[1] - z)))
        left -= float(length)
        if left <= 0:
            break
    return replace(walker, route=tuple(route))
