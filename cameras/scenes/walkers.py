"""People on their way: a look, a route over the floor and a pace, at any time of a scene."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cameras.scenes.bodies import Pose
from cameras.scenes.people import Look, draw_person, draw_shadow
from cameras.scenes.room import View
from cameras.scenes.scene import Picture

Spot = tuple[float, float]
"""A place on the floor: (x, z) in metres."""


@dataclass(frozen=True)
class Stance:
    """A person at one moment; `heading` is the yaw in the room, 0 along z."""

    look: Look
    pose: Pose
    spot: Spot
    heading: float
    phase: float = 0.0
    lift_m: float = 0.0


@dataclass(frozen=True)
class Walker:
    """Somebody who sets out along `route` at `start_s` and is gone at its end."""

    look: Look
    route: tuple[Spot, ...]
    start_s: float
    pace_m_per_s: float
    pose: Pose = "walk"

    def lengths(self) -> np.ndarray:
        legs = np.diff(np.array(self.route), axis=0)
        return np.hypot(legs[:, 0], legs[:, 1])

    @property
    def end_s(self) -> float:
        return self.start_s + float(self.lengths().sum()) / self.pace_m_per_s

    def at(self, time_s: float) -> Stance | None:
        walked = (time_s - self.start_s) * self.pace_m_per_s
        if walked < 0:
            return None
        for (x0, z0), (x1, z1), length in zip(self.route, self.route[1:], self.lengths(), strict=False):
            if walked < length:
                share = walked / length
                spot = (x0 + share * (x1 - x0), z0 + share * (z1 - z0))
                cycle_m = self.look.stature_m * (1.5 if self.pose == "run" else 0.85)
                cycles = (time_s - self.start_s) * self.pace_m_per_s / cycle_m
                return Stance(self.look, self.pose, spot, float(np.arctan2(x1 - x0, z1 - z0)), cycles)
            walked -= length
        return None


def draw_crowd(
    picture: Picture,
    view: View,
    stances: Sequence[Stance],
    light: np.ndarray,
    depth_px: np.ndarray | None = None,
    reflection: float = 0.0,
    shadow: float = 0.45,
) -> int:
    """Draw people far to near and return how many stand in the picture.

    `light` (height, width) is the brightness at each pixel of the room, taken at a person's feet; `depth_px`
    is the room's depth, so that what stands nearer hides them.
    """
    if not stances:
        return 0
    feet = np.array([(who.spot[0], who.lift_m, who.spot[1]) for who in stances])
    tops = feet + [(0.0, who.look.stature_m, 0.0) for who in stances]
    (feet_px, depth), (tops_px, _) = view.project(feet), view.project(tops)
    offsets = feet - view.position
    bearings = np.arctan2(offsets[:, 0], offsets[:, 2])
    height, width = picture.shape[:2]
    shown = 0
    for index in np.argsort(-depth):
        if depth[index] < 0.6:
            continue
        who, (x, y) = stances[index], feet_px[index]
        tall = y - tops_px[index][1]
        if not (-tall < x < width + tall and tops_px[index][1] < height and y > 0):
            continue
        shown += 1
        # How far the camera looks down on this person, at the chest.
        drop = np.arctan2(-(offsets[index][1] + 0.9), np.hypot(offsets[index][0], offsets[index][2]))
        row, column = int(np.clip(y, 0, height - 1)), int(np.clip(x, 0, width - 1))
        if shadow:
            draw_shadow(picture, (x, y), 0.55 * tall, shadow)
        draw_person(
            picture,
            who.look,
            who.pose,
            who.phase,
            yaw=who.heading - bearings[index],
            tilt=max(0.0, float(drop)),
            foot_px=(x, y),
            height_px=tall / max(0.3, float(np.cos(drop))),
            light=float(light[row, column]),
            depth=float(depth[index]),
            scenery_px=depth_px,
            reflection=reflection,
        )
    return shown
