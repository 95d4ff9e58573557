"""An office at work; in an anomaly the fire alarm goes: a red beacon turns, people run out, thin smoke drifts in.

After UBnormal's fire alarm, half of the frames. Hard for a comparison with the usual frame, because normal time
changes more of the picture than the alarm does: sun through the blinds wanders over desks and floor behind passing
clouds, seats are taken and left for long, screens change. The alarm itself is local: a beacon, and somebody running.
"""

from collections.abc import Callable, Iterator
from typing import Literal

import cv2
import numpy as np

from cameras.scenes.office_room import ENTRANCE, LONG_M, Layout, lay_out, light_office
from cameras.scenes.people import random_look
from cameras.scenes.scene import Labelled, Picture, Plan, Span
from cameras.scenes.sensor import Sensor
from cameras.scenes.texture import f32, noise_tile
from cameras.scenes.timeline import Drift, ramp
from cameras.scenes.walkers import Spot, Stance, Walker, draw_crowd

RUN_PAUSE_S = 0.6
"""Between one person who runs through in an alarm and the next, on average."""

Mode = Literal["sits", "leaves", "away", "returns", "flees"]


def paint(plan: Plan) -> Iterator[Labelled]:
    """Frames of the office; a frame is anomalous while the alarm goes."""
    layout = lay_out(plan)
    lights = light_office(plan, layout)
    sensor = Sensor(plan.rng("sensor"), plan.size_px)
    clouds, path, mains = (
        Drift(plan.rng("clouds"), 20, 100),
        Drift(plan.rng("sun"), 80, 600),
        Drift(plan.rng("mains"), 20, 90),
    )
    screens = _screens(plan, layout, lights.depth_px)
    workers = [_worker(plan, layout, number) for number in range(len(layout.desks))]
    visitors = _visitors(plan, layout)
    runners = {event: _runners(plan, layout, event) for event in plan.events}
    haze = _haze(plan, lights.depth_px)
    for frame in range(plan.frames):
        time_s = frame / plan.fps
        event = plan.event_at(frame)
        beacon = 0.0 if event is None else _beacon(time_s)
        sun = float(np.clip(0.75 + 0.55 * clouds(time_s), 0.0, 1.6))
        light = lights.mix(1.0 + 0.015 * mains(time_s), sun, 0.5 + 0.2 * path(time_s), beacon)
        picture = sensor.develop(light)
        screens(picture, time_s)
        people = [who for worker in workers if (who := worker(time_s))]
        people += visitors(time_s, event is None)
        if event is not None:
            people += [who for runner in runners[event] if (who := runner.at(time_s))]
        draw_crowd(picture, layout.view, people, lights.brightness, lights.depth_px, shadow=0.35)
        if event is not None:
            haze(picture, time_s, layout.smoke * ramp(frame, event, 8 * plan.fps))
        yield sensor.expose(picture), event is not None


def _beacon(time_s: float) -> float:
    """A turning red light: it faces the camera for part of each 1.3 s."""
    return 0.08 + float(max(0.0, np.cos(2 * np.pi * time_s / 1.3))) ** 2


def _worker(plan: Plan, layout: Layout, number: int) -> Callable[[float], Stance | None]:
    """Where the worker of a desk is at any time, asked in order: at the desk, on the way, away, or running out."""
    rng = plan.rng(f"worker {number}")
    look = random_look(rng)
    desk = layout.desks[number]
    facing = 0.0 if desk.towards > 0 else np.pi
    # The desks next to the camera fill much of it: held for half of the time, they would outweigh any alarm.
    keen = float(rng.uniform(0.1, 0.55)) * (0.5 if desk.z < 4 else 1.0)
    alarms_s = [(event.start / plan.fps, event.stop / plan.fps) for event in plan.events]
    mode: Mode = "sits" if rng.random() < keen else "away"
    until_s = float(rng.exponential(70.0))
    walk: Walker | None = None
    # Some take it for a drill and stay: were all desks empty in each alarm, emptiness alone would tell it.
    reaction_s = float(rng.exponential(6.0)) if rng.random() > 0.3 else np.inf
    corner: Spot = (layout.aisle_x, desk.seat[1] - 0.5)

    def at(time_s: float) -> Stance | None:
        nonlocal mode, until_s, walk
        alarm = next((alarm for alarm in alarms_s if alarm[0] <= time_s < alarm[1]), None)
        if alarm and mode in ("sits", "leaves", "returns") and time_s >= alarm[0] + reaction_s:
            spot = _spot(walk, time_s, desk.seat)
            start = (spot, corner) if abs(spot[0] - layout.aisle_x) > 0.8 else (spot,)
            mode = "flees"
            walk = Walker(look, (*start, *layout.way_out), time_s, float(rng.uniform(2.2, 3.4)), "run")
        elif alarm and mode == "away" and until_s < alarm[1]:
            until_s = alarm[1] + float(rng.exponential(12.0))
        elif mode == "sits" and time_s >= until_s:
            mode = "leaves"
            walk = Walker(look, (desk.seat, corner, *layout.way_out), time_s, float(rng.uniform(0.9, 1.4)))
        elif mode == "away" and time_s >= until_s:
            mode = "returns"
            walk = Walker(look, (*layout.way_out[::-1], corner, desk.seat), time_s, float(rng.uniform(0.9, 1.4)))
        elif walk and time_s >= walk.end_s:
            mode = "sits" if mode == "returns" else "away"
            until_s = time_s + float(rng.exponential(120.0 * keen if mode == "sits" else 90.0 * (1 - keen) + 5.0))
            walk = None
        if mode == "sits":
            return Stance(look, "sit", desk.seat, facing)
        return walk.at(time_s) if walk else None

    return at


def _spot(walk: Walker | None, time_s: float, otherwise: Spot) -> Spot:
    who = walk.at(time_s) if walk else None
    return who.spot if who else otherwise


def _visitors(plan: Plan, layout: Layout) -> Callable[[float, bool], list[Stance]]:
    """People who cross the office between its two doors; none sets out during an alarm."""
    rng = plan.rng("visitors")
    here: list[Walker] = []
    next_s = float(rng.exponential(10.0))

    def people(time_s: float, welcome: bool) -> list[Stance]:
        nonlocal next_s
        if time_s >= next_s:
            next_s = time_s + float(rng.exponential(40.0))
            if welcome:
                route = (ENTRANCE, (layout.aisle_x, ENTRANCE[1]), *layout.way_out)
                pace = float(rng.uniform(0.9, 1.7))
                here.append(Walker(random_look(rng), route if rng.random() < 0.5 else route[::-1], time_s, pace))
        here[:] = [walker for walker in here if walker.end_s > time_s]
        return [who for walker in here if (who := walker.at(time_s))]

    return people


def _runners(plan: Plan, layout: Layout, event: Span) -> list[Walker]:
    """People from other rooms who run through to the exit, in bursts, for as long as the alarm goes."""
    rng = plan.rng(f"runners {event.start}")
    time_s, end_s = event.start / plan.fps, event.stop / plan.fps
    runners: list[Walker] = []
    while True:
        aisle = layout.aisle_x + float(rng.normal(0, 0.3))
        start: tuple[Spot, ...] = (ENTRANCE, (aisle, ENTRANCE[1] + float(rng.uniform(0, 0.6))))
        if rng.random() < 0.55:
            start = ((float(rng.uniform(-2.2, -0.6)), 0.6), (aisle, 3.5))
        runner = Walker(random_look(rng), (*start, *layout.way_out), time_s, float(rng.uniform(1.8, 3.0)), "run")
        if runner.end_s > end_s:
            return runners
        runners.append(runner)
        time_s += float(rng.exponential(RUN_PAUSE_S))


def _screens(plan: Plan, layout: Layout, depth_px: np.ndarray) -> Callable[[Picture, float], None]:
    """Draws what the monitors that face the camera show: work that changes now and then, or a film."""
    rng = plan.rng("screens")
    desks = [desk for desk in layout.desks if desk.towards > 0]
    width, height = plan.size_px
    shape_px = (48, 30)
    places = []
    for desk in desks:
        corners, depth = layout.view.project(desk.screen())
        x0, y0 = np.maximum(np.floor(corners.min(0)).astype(int), 0)
        x1, y1 = np.minimum(np.ceil(corners.max(0)).astype(int) + 1, (width, height))
        if x0 >= x1 or y0 >= y1:
            continue
        source = f32((0, 0), (shape_px[0], 0), shape_px, (0, shape_px[1]))
        warp = cv2.getPerspectiveTransform(source, (corners - (x0, y0)).astype(np.float32))
        cover = cv2.warpPerspective(np.full(shape_px[::-1], 255, np.uint8), warp, (x1 - x0, y1 - y0))
        clear = depth_px[y0:y1, x0:x1] > depth.mean() - 0.1
        places.append((slice(y0, y1), slice(x0, x1), warp, (cover / 255 * clear)[..., None].astype(np.float32)))
    kinds = rng.choice(3, len(places), p=[0.45, 0.35, 0.2])
    due_s = [0.0] * len(places)
    shown = [np.zeros((shape_px[1], shape_px[0], 3), np.uint8)] * len(places)

    def draw(picture: Picture, time_s: float) -> None:
        for index, (rows, columns, warp, cover) in enumerate(places):
            if time_s >= due_s[index]:
                shown[index] = _screen_content(rng, int(kinds[index]), shape_px)
                film = kinds[index] == 2
                due_s[index] = time_s + (float(rng.uniform(0.2, 2.0)) if film else float(rng.exponential(9.0)))
                if rng.random() < 0.06:
                    kinds[index] = int(rng.integers(3))
            part = picture[rows, columns]
            content = cv2.warpPerspective(shown[index], warp, (part.shape[1], part.shape[0]), flags=cv2.INTER_AREA)
            flicker = 0.9 + 0.05 * np.sin(40 * time_s + index)
            part[:] = part * (1 - cover) + content * (flicker * cover)

    return draw


def _screen_content(rng: np.random.Generator, kind: int, shape_px: tuple[int, int]) -> Picture:
    """A dark editor, a bright page or a film, as a small picture."""
    width, height = shape_px
    if kind == 2:
        rough = rng.integers(20, 235, (4, 6, 3)).astype(np.uint8)
        return cv2.resize(rough, shape_px, interpolation=cv2.INTER_CUBIC)
    content = np.full((height, width, 3), (34, 40, 50) if kind == 0 else (232, 236, 240), np.uint8)
    for y in range(3, height - 2, 3):
        left = int(rng.integers(2, 10))
        ink = rng.integers(110, 230, 3) if kind == 0 else rng.integers(60, 150, 3)
        cv2.line(content, (left, y), (left + int(rng.integers(4, width - 12)), y), ink.tolist(), 1)
    if kind == 1:
        cv2.rectangle(content, (0, 0), (width, 3), rng.integers(60, 190, 3).tolist(), -1)
    return content


def _haze(plan: Plan, depth_px: np.ndarray) -> Callable[[Picture, float, float], None]:
    """Blends drifting grey smoke, thicker with distance and height, into a picture."""
    cloud = noise_tile(plan.rng("smoke"), size=512, grain=24)
    height, width = depth_px.shape
    high = np.linspace(1.4, 0.6, height, dtype=np.float32)[:, None]
    veil = np.clip(depth_px / LONG_M, 0, 1) * high

    def blend(picture: Picture, time_s: float, strength: float) -> None:
        x, y = int(9 * time_s) % (512 - 64), int(3 * time_s) % (512 - 64)
        drift = cv2.resize(np.roll(cloud, (-y, -x), (0, 1))[:240, :320], (width, height))
        alpha = np.clip(strength * veil * (1 + 0.8 * drift), 0, 0.8)[..., None]
        picture[:] = picture * (1 - alpha) + 168 * alpha

    return blend
