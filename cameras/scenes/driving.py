"""A small car drives laps on a track in a hall; in an anomaly drops of water lie on its lens.

After the paper's Donkeycar. The view never stands still, so the difference between frames says nothing, and the
usual frame is only floor below and windows above. What gives drops away is that they stay where they are on the
picture, blurred and upside down, while everything else flows past.
"""

from collections.abc import Callable, Iterator

import cv2
import numpy as np

from cameras.scenes.hall import TALL_M, Hall, lay_out, paint_atlas
from cameras.scenes.scene import Labelled, Picture, Plan
from cameras.scenes.sensor import Sensor
from cameras.scenes.timeline import Drift
from cameras.scenes.water import drops_on_lens

EYE_M = 0.34
FAR_M = 2.2
"""Floor beyond this is taken from a coarser texture: a fine one shimmers there."""
BOUNCE_PX = 6
"""Rows rendered above and below the frame, for the camera's nodding."""
GLOSS = 0.4
"""How much a polished floor reflects where it is seen most flatly."""


def paint(plan: Plan) -> Iterator[Labelled]:
    """Frames of the drive; a frame is anomalous while there is water on the lens."""
    hall = lay_out(plan)
    look = _look_around(plan, hall)
    drive = _drive(plan, hall)
    sensor = Sensor(plan.rng("sensor"), plan.size_px, noise=2.2, corners=0.35)
    vignette = np.rint(255 * sensor.corners).astype(np.uint8)
    nod, shake_px = Drift(plan.rng("nod"), 0.4, 3.0), plan.size_px[1] / 150
    water = {event: drops_on_lens(plan, event) for event in plan.events}
    gain = 1.0
    last_yaw = None
    for frame in range(plan.frames):
        x, z, yaw = drive(frame / plan.fps)
        picture = look(x, z, yaw, int(np.clip(round(shake_px * nod(frame / plan.fps)), -BOUNCE_PX, BOUNCE_PX)))
        turned = 0.0 if last_yaw is None else (yaw - last_yaw + np.pi) % (2 * np.pi) - np.pi
        last_yaw = yaw
        # The shutter is open for a twentieth of the time between frames.
        smear = int(min(9, 0.05 * abs(turned) * plan.size_px[0])) | 1
        if smear > 1:
            picture = cv2.blur(picture, (smear, 1))
        # Automatic exposure follows the light a frame or two late.
        gain += 0.35 * (float(np.clip(112 / max(picture[::8, ::8].mean(), 1.0), 0.7, 1.5)) - gain)
        picture = cv2.multiply(cv2.convertScaleAbs(picture, alpha=gain), vignette, scale=1 / 255)
        event = plan.event_at(frame)
        if event is not None:
            picture = water[event](picture, frame)
        yield sensor.expose(picture), event is not None


def _drive(plan: Plan, hall: Hall) -> Callable[[float], tuple[float, float, float]]:
    """Position and yaw (0 along z) at a time: laps at a changing pace by a driver who does not hold the line."""
    rng = plan.rng("driver")
    pace, aside, glance = Drift(rng, 6, 40), Drift(rng, 3, 20), Drift(rng, 1.5, 12)
    steps = np.diff(np.vstack([hall.track, hall.track[:1]]), axis=0)
    length = np.hypot(*steps.T)
    along = np.concatenate([[0.0], np.cumsum(length)])
    closed = np.vstack([hall.track, hall.track[:1]])
    start, speed = float(rng.uniform(0, along[-1])), float(rng.uniform(0.65, 0.8))

    def at(time_s: float) -> tuple[float, float, float]:
        # The integral of a pace that drifts, near enough: forward always, faster and slower.
        way = start + speed * time_s + 0.5 * pace(time_s)
        spots = [
            np.array([np.interp((way + ahead) % along[-1], along, closed[:, i]) for i in (0, 1)]) for ahead in (0, 0.35)
        ]
        towards = spots[1] - spots[0]
        yaw = float(np.arctan2(towards[0], towards[1]))
        offset = 0.09 * aside(time_s)
        x, z = spots[0] + offset * np.array([np.cos(yaw), -np.sin(yaw)])
        return float(x), float(z), yaw + 0.07 * glance(time_s)

    return at


def _look_around(plan: Plan, hall: Hall) -> Callable[[float, float, float, int], Picture]:
    """The view from a place in the hall: one ray a pixel to floor, ceiling or wall, looked up in one atlas."""
    rng = plan.rng("paint")
    atlas = paint_atlas(rng, hall, plan.size_px[1])
    coarse = cv2.resize(atlas.picture, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    width, height = plan.size_px
    rows = height + 2 * BOUNCE_PX
    lens = float(rng.uniform(0.44, 0.5)) * width
    horizon = BOUNCE_PX + height * float(rng.uniform(0.36, 0.42))
    y, x = np.mgrid[0:rows, 0:width].astype(np.float32)
    right, up = (x + 0.5 - width / 2) / lens, (horizon - y - 0.5) / lens
    # A wide lens: straight lines bow outwards a little.
    bow = 1 + 0.16 * (right * right + up * up)
    right, up = right * bow, up * bow
    up = np.where(np.abs(up) < 1e-4, np.float32(1e-4), up)
    to_level = np.where(up < 0, EYE_M / -up, (TALL_M - EYE_M) / up).astype(np.float32)
    floor_rows = up < 0
    far_floor = (floor_rows & (to_level > FAR_M))[..., None]
    band = slice(int(horizon) - 2, int(np.argmax((to_level < FAR_M)[int(horizon) + 1 :].all(1)) + horizon + 3))
    gloss = _gloss(width, rows, int(horizon))
    hx, hz = np.float32(hall.half_x), np.float32(hall.half_z)

    def look(at_x: float, at_z: float, yaw: float, nod_px: int) -> Picture:
        sin, cos = np.float32(np.sin(yaw)), np.float32(np.cos(yaw))
        dx, dz = right * cos + sin, cos - right * sin
        with np.errstate(divide="ignore"):
            to_x = (np.copysign(hx, dx) - np.float32(at_x)) / dx
            to_z = (np.copysign(hz, dz) - np.float32(at_z)) / dz
        side = to_x < to_z
        to_wall = np.where(side, to_x, to_z)
        wall = to_wall < to_level
        reach = np.minimum(to_wall, to_level)
        px, pz = np.float32(at_x) + reach * dx, np.float32(at_z) + reach * dz
        level = np.where(floor_rows, np.float32(0), np.float32(atlas.ceiling_row))
        scale = np.where(floor_rows, np.float32(atlas.floor_px_per_m), np.float32(atlas.wall_px_per_m))
        u, v = (px + hx) * scale, (pz + hz) * scale + level
        # Walls lie side by side in the atlas: right, left, far, near.
        base = np.where(dx > 0, pz + hz, pz + 3 * hz)
        ahead = np.where(dz > 0, px + hx + 4 * hz, px + 3 * hx + 4 * hz)
        wall_u = np.where(side, base, ahead) * np.float32(atlas.wall_px_per_m)
        wall_v = (np.float32(TALL_M - EYE_M) - reach * up) * np.float32(atlas.wall_px_per_m) + np.float32(
            atlas.wall_row
        )
        u, v = np.where(wall, wall_u, u), np.where(wall, wall_v, v)
        picture = cv2.remap(atlas.picture, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        soft = cv2.remap(coarse, u[band] / 4 - 0.375, v[band] / 4 - 0.375, cv2.INTER_LINEAR)
        np.copyto(picture[band], soft, where=far_floor[band] & ~wall[band][..., None])
        _reflect(picture, int(horizon), gloss, ~wall)
        return picture[BOUNCE_PX + nod_px : BOUNCE_PX + nod_px + height]

    return look


def _gloss(width: int, height: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights of 255 for the floor and for its reflection, which fades towards the wheels (Fresnel)."""
    rows = min(horizon, height - horizon)
    fade = GLOSS * (1 - np.arange(rows, dtype=np.float32) / rows) ** 1.5
    fade = np.broadcast_to(fade[:, None, None], (rows, width, 3))
    return np.rint(255 * (1 - 0.6 * fade)).astype(np.uint8), np.rint(255 * fade).astype(np.uint8)


def _reflect(picture: Picture, horizon: int, gloss: tuple[np.ndarray, np.ndarray], floor_px: np.ndarray) -> None:
    """A polished floor: from this low, its mirror image is the upper half upside down."""
    keep, add = gloss
    mirrored = cv2.blur(cv2.flip(picture[horizon - len(add) : horizon], 0), (3, 7))
    floor = picture[horizon : horizon + len(keep)]
    shining = cv2.add(cv2.multiply(floor, keep, scale=1 / 255), cv2.multiply(mirrored, add, scale=1 / 255))
    cv2.copyTo(shining, floor_px[horizon : horizon + len(keep)].astype(np.uint8), floor)
