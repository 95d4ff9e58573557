"""A loading yard from above, outdoors and around the clock; in an anomaly something happens that never does.

For quiet tests, a day at a time. What is normal changes nearly everything: sun and its shadows, clouds, dusk, lamps
switched on and off, infrared by night, rain for hours, a tree in the wind, a lens that hunts for its focus, cars
that park for a day, vans and people. Anomalies are one of four kinds: somebody climbs the fence and runs, a vehicle
drives where none goes, an object is left, a crowd gathers.

Everything is a function of the clock: an hour of a day is the same, pixel by pixel, drawn alone or with the rest.
"""

from collections.abc import Callable, Iterator
from zlib import crc32

import cv2
import numpy as np

from cameras.scenes.scene import Labelled, Plan
from cameras.scenes.sensor import Sensor
from cameras.scenes.texture import f32
from cameras.scenes.timeline import DAY_S, by_slots
from cameras.scenes.vehicles import draw_vehicles
from cameras.scenes.walkers import draw_crowd
from cameras.scenes.weather import Rain, Sky
from cameras.scenes.yard_life import EventKind, kind_of, unusual, usual
from cameras.scenes.yard_place import SUN_STEP_S, Tree, Yard, build, lay_out

__all__ = ["event_kinds", "paint"]

SUN, SHADE, LAMPS = f32(1.5, 1.4, 1.24), f32(0.44, 0.48, 0.54), f32(0.24, 0.21, 0.15)
"""Light of the sun, of the whole sky and of the yard's lamps on the ground, linear."""
DUSK, DARK = 0.3, 0.12
"""Daylight below which the lamps are wanted, and below which a camera without them turns to infrared."""
SWITCH_S = 3.0
"""A camera takes this long to turn to infrared or back."""
LAG_S = (0.0, 0.8, 1.6, 2.4)
"""Automatic exposure follows the light of these times ago, on average."""


def event_kinds(plan: Plan) -> tuple[EventKind, ...]:
    """What happens in each of a plan's events, in their order."""
    return tuple(kind_of(plan, event) for event in plan.events)


def paint(plan: Plan) -> Iterator[Labelled]:
    """Frames of the yard; a frame is anomalous while one of the events goes on."""
    layout = lay_out(plan)
    yard, tree, sky = build(plan, layout), Tree(plan), Sky(plan)
    lamps = _lamps(plan, sky)
    sensors = [Sensor(plan.rng("sensor"), plan.size_px, noise=noise) for noise in (2.0, 3.2, 4.8)]
    rain, hunt = Rain(plan), _focus(plan)
    scenery_px = yard.depth_px.copy()
    scenery_px[tree.rows, tree.columns][tree.rgba[..., 3] > 0.5] = 3.0
    day = usual(plan, layout)
    lives = {event: unusual(plan, layout, event, scenery_px) for event in plan.events}
    first = round(plan.start_s * plan.fps)
    seed = [crc32(plan.scene.encode()), plan.draw, crc32(b"frame")]
    for frame in range(plan.frames):
        time_s = (first + frame) / plan.fps
        rng = np.random.default_rng([*seed, first + frame])
        dark = sky.daylight(time_s) < DUSK
        infrared = _infrared(sky, lamps, time_s - SWITCH_S)
        lit = _light(yard, sky, lamps, time_s)
        gain = 1.0 if infrared else _gain(sky, lamps, time_s)
        light = cv2.multiply(yard.albedo, lit, scale=gain)
        crown = (
            SHADE * (0.9 * sky.diffuse(time_s)) + SUN * (0.55 * sky.direct(time_s)) + LAMPS * (0.3 * lamps(time_s))
        ) * gain
        if infrared:
            light += yard.infrared
            crown = crown + 1.6
        if (wet := sky.wet(time_s)) > 0:
            light *= (1 - 0.4 * wet * yard.ground)[..., None]
        tree.shade(light, time_s, sky.wind(time_s), crown.astype(np.float32))
        picture = sensors[0].develop(light)

        event = plan.event_at(frame)
        people, vehicles = day.people(time_s), day.vehicles(time_s, dark)
        if event is not None:
            people, vehicles = people + lives[event].people(time_s), vehicles + lives[event].vehicles(time_s, dark)
        if people or vehicles:
            brightness = gain * lit[..., 1] + (yard.infrared_light if infrared else 0)
            depth_px, shine = scenery_px.copy(), np.clip(np.sqrt(brightness), 0.05, 1.25)
            draw_vehicles(picture, depth_px, layout.view, vehicles, shine)
            draw_crowd(picture, layout.view, people, shine, depth_px, shadow=0.3)

        if (falling := sky.rain(time_s)) > 0:
            picture = rain.fall(picture, falling, infrared, rng)
        if (blur_px := hunt(time_s)) > 0.3:
            picture = cv2.GaussianBlur(picture, (0, 0), blur_px)
        picture = sensors[2 if infrared or gain > 6 else 1 if gain > 2 else 0].expose(picture, rng)
        if infrared:
            picture = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        yield cv2.flip(picture, 1) if layout.mirrored else picture, event is not None


def _light(yard: Yard, sky: Sky, lamps: Callable[[float], bool], time_s: float) -> np.ndarray:
    """Light on each place (height, width, 3), linear: of the sky, of the sun with its shadows, of the lamps."""
    direct, diffuse, switched = sky.direct(time_s), sky.diffuse(time_s), lamps(time_s)
    sun = np.zeros_like(yard.sky_px)
    if direct > 0:
        clock_s = time_s % DAY_S
        before_s = clock_s // SUN_STEP_S * SUN_STEP_S
        share = (clock_s - before_s) / SUN_STEP_S
        shades = [yard.sun_px(sky.sun_direction(at_s)) for at_s in (before_s, before_s + SUN_STEP_S)]
        sun = cv2.addWeighted(shades[0], 1 - share, shades[1], share, 0)
    colours = zip(SHADE.tolist(), SUN.tolist(), LAMPS.tolist(), strict=True)
    channels = []
    for from_sky, from_sun, from_lamps in colours:
        channel = cv2.addWeighted(yard.sky_px, from_sky * diffuse, sun, from_sun * direct, 0)
        channels.append(cv2.addWeighted(channel, 1, yard.lamp_px, from_lamps, 0) if switched else channel)
    return cv2.merge(channels)


def _gain(sky: Sky, lamps: Callable[[float], bool], time_s: float) -> float:
    """Automatic exposure: it evens out most of the light, a second or two late, and no more than it can."""
    levels = [
        0.45 * sky.diffuse(at_s) + 0.5 * sky.direct(at_s) + 0.12 * lamps(at_s) + 0.003
        for at_s in (time_s - lag_s for lag_s in LAG_S)
    ]
    return float(np.clip((0.95 / np.exp(np.mean(np.log(levels)))) ** 0.75, 0.85, 14.0))


def _lamps(plan: Plan, sky: Sky) -> Callable[[float], bool]:
    """Whether the yard's lamps are on: from dusk until late and from early until dawn, and when someone is there."""
    rng = plan.rng("lamps")
    off_s, on_s = 3600 * float(rng.uniform(21, 23.5)), 3600 * float(rng.uniform(4.3, 5.8))

    def blinks(slot: int) -> list[tuple[float, float]]:
        rng = plan.rng(f"lamps {slot}")
        if rng.random() > 0.3:
            return []
        start_s = 3600.0 * slot + float(rng.uniform(0, 3000))
        return [(start_s, start_s + float(rng.choice([rng.uniform(20, 90), rng.uniform(180, 600)])))]

    switched = by_slots(blinks, 3600.0)

    def on(time_s: float) -> bool:
        if sky.daylight(time_s) >= DUSK:
            return False
        wanted = not off_s <= time_s % DAY_S and not time_s % DAY_S < on_s
        # Someone switches them on for a while at night, or off by mistake in the evening.
        return wanted != any(start_s <= time_s < stop_s for start_s, stop_s in switched(time_s))

    return on


def _infrared(sky: Sky, lamps: Callable[[float], bool], time_s: float) -> bool:
    return sky.daylight(time_s) < DARK and not lamps(time_s)


def _focus(plan: Plan) -> Callable[[float], float]:
    """Blur in pixels: now and then the lens hunts for its focus for two to five seconds, to and fro."""

    def hunts(slot: int) -> list[tuple[float, float, float]]:
        rng = plan.rng(f"focus {slot}")
        count = int(rng.poisson(0.6))
        return [
            (900.0 * slot + float(rng.uniform(0, 895)), *rng.uniform((2, 0.4), (5, 1)).tolist()) for _ in range(count)
        ]

    hunting = by_slots(hunts, 900.0)

    def blur_px(time_s: float) -> float:
        most = 0.0
        for start_s, length_s, strength in hunting(time_s):
            way = (time_s - start_s) / length_s
            if 0 <= way < 1:
                most = max(most, strength * abs(np.sin(2 * np.pi * way)) * (1 - 0.5 * way))
        return 0.016 * plan.size_px[0] * most

    return blur_px
