"""The office without its people: desks, windows and doors, cast once under each of its lights.

The lights are apart because they change on their own: lamps, the sky, the sun at a few places of its path, and the
red beacon of the fire alarm.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from cameras.scenes.room import Block, Paint, Survey, Vec, View, corner_shade, lamp_light, shadow, survey
from cameras.scenes.scene import Plan
from cameras.scenes.texture import f32, joints, noise_tile, rgb, sample, within
from cameras.scenes.walkers import Spot

HALF_M, TALL_M, LONG_M = 4.2, 2.9, 9.2
DESK_M = (1.5, 0.74, 0.75)
WINDOWS_Z = ((1.6, 4.2), (4.8, 8.0))
WINDOW_Y = (0.95, 2.35)
ENTRANCE: Spot = (-HALF_M - 0.6, 2.9)
SUN_STEPS = 7
"""Places of the sun that are cast; those between are mixed."""


@dataclass(frozen=True)
class Desk:
    """`towards` is +1 when its worker faces away from the camera (the screen faces it), -1 the other way."""

    x: float
    z: float
    towards: int

    @property
    def seat(self) -> Spot:
        return self.x, self.z - 0.62 * self.towards

    def screen(self) -> np.ndarray:
        """Corners of the screen (4, 3): top left, top right, bottom right, bottom left as the camera sees them."""
        z = self.z + 0.12 * self.towards - 0.035  # just in front of the monitor's face
        return np.array([(self.x + dx, y, z) for dx, y in ((-0.29, 1.24), (0.29, 1.24), (0.29, 0.9), (-0.29, 0.9))])


@dataclass(frozen=True)
class Layout:
    view: View
    desks: tuple[Desk, ...]
    aisle_x: float
    exit_x: float
    beacon: Vec
    smoke: float

    @property
    def way_out(self) -> tuple[Spot, ...]:
        return (self.aisle_x, LONG_M - 1.0), (self.exit_x, LONG_M - 0.5), (self.exit_x, LONG_M - 0.05)


@dataclass(frozen=True)
class Lights:
    """Linear pictures of the room, (height, width, 3) float32, each under one light alone."""

    lamps: np.ndarray
    sky: np.ndarray
    suns: tuple[np.ndarray, ...]
    beacon: np.ndarray
    brightness: np.ndarray
    depth_px: np.ndarray

    def mix(self, lamps: float, sun: float, sun_place: float, beacon: float) -> np.ndarray:
        """The room's light now; `sun_place` runs from 0 to 1 along the sun's path."""
        place = float(np.clip(sun_place, 0, 1)) * (len(self.suns) - 1)
        step = min(int(place), len(self.suns) - 2)
        light = cv2.addWeighted(self.lamps, lamps, self.sky, 0.6 + 0.4 * sun, 0.0)
        for index, share in ((step, step + 1 - place), (step + 1, place - step)):
            if share * sun > 1e-3:
                light = cv2.scaleAdd(self.suns[index], share * sun, light)
        return cv2.scaleAdd(self.beacon, beacon, light) if beacon else light


def lay_out(plan: Plan) -> Layout:
    rng = plan.rng("layout")
    view = View(
        size_px=plan.size_px,
        position=(float(rng.uniform(-3.7, -3.2)), float(rng.uniform(2.45, 2.7)), 0.2),
        pitch=float(rng.uniform(0.3, 0.36)),
        yaw=float(rng.uniform(0.34, 0.46)),
        focal=float(rng.uniform(0.6, 0.68)),
    )
    columns = [float(x + rng.uniform(-0.1, 0.1)) for x in (-1.0, 1.0, 2.9)]
    desks = []
    for row_z in (3.3, 5.3, 7.2):
        towards = 1 if row_z < 4 or rng.random() < 0.6 else -1
        desks += [Desk(x, float(row_z + rng.uniform(-0.1, 0.1)), towards) for x in columns if rng.random() < 0.85]
    exit_x = float(rng.uniform(-3.2, -2.4))
    beacon = (exit_x + float(rng.uniform(0.9, 1.6)), float(rng.uniform(2.25, 2.5)), LONG_M - 0.08)
    smoke = float(rng.uniform(0.08, 0.16))
    return Layout(view, tuple(desks), float(rng.uniform(-2.7, -2.3)), exit_x, beacon, smoke)


def light_office(plan: Plan, layout: Layout) -> Lights:
    """The room of a layout under each of its lights."""
    seen = _build(plan, layout)
    rng = plan.rng("lamps")
    shade = corner_shade(seen)
    x, y, z = np.moveaxis(seen.points, -1, 0)
    total, panels = np.zeros(seen.depth.shape, np.float32), np.zeros(seen.depth.shape, np.float32)
    for lamp_x, lamp_z in ((-2.2, 3.4), (1.4, 3.4), (-2.2, 6.8), (1.4, 6.8)):
        power = float(rng.uniform(0.85, 1.1))
        total += power * lamp_light(seen, [(lamp_x, TALL_M - 0.04, lamp_z)], reach_m=2.4)
        panels += power * ((y > TALL_M - 0.01) & within(x, z, (lamp_x - 0.6, lamp_z - 0.3, lamp_x + 0.6, lamp_z + 0.3)))
    total *= 0.62 / np.percentile(total, 90)
    lamps = seen.albedo * (0.1 + total * shade)[..., None] * f32(1.0, 0.97, 0.92) + panels[..., None]

    window = lamp_light(seen, [(HALF_M - 0.1, 1.7, 2.9), (HALF_M - 0.1, 1.7, 6.4)], shadows=False, reach_m=1.6)
    panes = (seen.axis == 0) & (x > HALF_M - 0.01) & _in_windows(z, y)
    blinds = panes * np.where((y / 0.09) % 1.0 < 0.55, 0.9, 0.35)
    sky = (seen.albedo * (0.22 * window * shade)[..., None] + blinds[..., None]) * f32(0.9, 0.97, 1.06)

    far = (seen.axis == 2) & (z > LONG_M - 0.01)
    bx, by, bz = layout.beacon
    bulb = (far & within(x, y, (bx - 0.09, by - 0.07, bx + 0.09, by + 0.07)))[..., None]
    sign = (far & within(x, y, (layout.exit_x - 0.28, 2.32, layout.exit_x + 0.28, 2.52)))[..., None]
    red = lamp_light(seen, [(bx, by, bz - 0.25)], shadows=False, reach_m=1.8)
    beacon = (seen.albedo * red[..., None] + 1.2 * bulb) * f32(1.7, 0.2, 0.13)
    lamps = np.where(bulb, f32(0.3, 0.05, 0.04), np.where(sign, f32(0.05, 0.6, 0.25), lamps))
    brightness = np.clip(np.sqrt(seen.shrink(0.18 + total * shade) / 0.7), 0.35, 1.1)
    return Lights(
        lamps=seen.shrink(lamps),
        sky=seen.shrink(sky),
        suns=_suns(seen, lowest=float(rng.uniform(0.32, 0.45))),
        beacon=seen.shrink(beacon),
        brightness=brightness.astype(np.float32),
        depth_px=seen.depth_px(),
    )


def _suns(seen: Survey, lowest: float) -> tuple[np.ndarray, ...]:
    """The room under sunlight that came through the blinds, for places along the sun's path."""
    x, y, z = np.moveaxis(seen.points, -1, 0)
    suns = []
    for place in np.linspace(0, 1, SUN_STEPS):
        azimuth, height = 0.75 - 1.5 * place, lowest + 0.25 * place
        to_sun = f32(np.cos(height) * np.cos(azimuth), np.sin(height), np.cos(height) * np.sin(azimuth))
        reach = (HALF_M - x) / to_sun[0]
        hit_y, hit_z = y + reach * to_sun[1], z + reach * to_sun[2]
        beam = _in_windows(hit_z, hit_y) & ((hit_y / 0.18) % 1.0 < 0.6) & (reach > 0.02)
        cosine = np.clip(np.choose(seen.axis, list(to_sun)) * seen.facing, 0, 1)
        lit = beam * cosine * (1 - shadow(seen, reach[..., None] * to_sun, where=beam))
        suns.append(seen.shrink(seen.albedo * (1.6 * lit)[..., None] * f32(1.0, 0.9, 0.72)))
    return tuple(suns)


def _in_windows(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    inside = np.zeros(z.shape, bool)
    for low, high in WINDOWS_Z:
        inside |= within(z, y, (low, WINDOW_Y[0], high, WINDOW_Y[1]))
    return inside


def _build(plan: Plan, layout: Layout) -> Survey:
    rng = plan.rng("paint")
    speckle, stains = noise_tile(rng), noise_tile(rng, grain=10)
    wall = rgb(*[(222, 220, 212), (206, 214, 220), (224, 212, 194)][rng.integers(3)])
    accent = rgb(*[(92, 128, 146), (166, 112, 88), (112, 138, 104), (128, 112, 146)][rng.integers(4)])
    carpet = rgb(*[(112, 116, 124), (128, 114, 104), (98, 112, 118), (120, 122, 112)][rng.integers(4)])
    wood = rgb(*[(206, 172, 128), (224, 220, 212), (172, 130, 92), (190, 182, 170)][rng.integers(4)])
    chair = rgb(*[(58, 60, 68), (52, 82, 112), (120, 56, 52)][rng.integers(3)])
    board_x = float(rng.uniform(0.8, 1.6))

    def paint_room(points: np.ndarray, axis: np.ndarray) -> np.ndarray:
        x, y, z = points.T
        colour = np.broadcast_to(wall, points.shape).copy()
        ground, ceiling = (axis == 1) & (y < 1), (axis == 1) & (y > 1)
        left, right, far = (axis == 0) & (x < 0), (axis == 0) & (x > 0), (axis == 2) & (z > 1)
        weave = 1 + 0.12 * sample(speckle, x, z, 60) + 0.06 * sample(speckle, x, z, 2.0)
        colour[ground] = (carpet * weave[:, None])[ground]
        colour[ceiling] = (rgb(230, 230, 226) * (1 - 0.2 * joints(x, z, 0.6, 0.6, 0.03))[:, None])[ceiling]
        colour[far & (x > 0.2)] = accent
        colour[(axis != 1) & (y < 0.1)] = rgb(88, 84, 80)
        for low, high in WINDOWS_Z:
            colour[right & within(z, y, (low - 0.07, WINDOW_Y[0] - 0.07, high + 0.07, WINDOW_Y[1] + 0.07))] = rgb(
                236, 236, 234
            )
        door_x = layout.exit_x
        colour[far & within(x, y, (door_x - 0.62, 0, door_x + 0.62, 2.2))] = rgb(84, 92, 98)
        colour[far & within(x, y, (door_x - 0.54, 0, door_x + 0.54, 2.12))] = rgb(168, 184, 182)
        colour[far & within(x, y, (door_x - 0.44, 0.95, door_x + 0.44, 1.06))] = rgb(214, 214, 208)
        colour[left & within(z, y, (ENTRANCE[1] - 0.6, 0, ENTRANCE[1] + 0.6, 2.15))] = rgb(96, 92, 88)
        colour[far & within(x, y, (board_x, 1.0, board_x + 1.9, 2.1))] = rgb(140, 142, 146)
        board = far & within(x, y, (board_x + 0.05, 1.05, board_x + 1.85, 2.05))
        scrawl = (np.sin(9 * x + 2 * np.sin(23 * x)) * 0.02 + 0.12 * np.round(y / 0.12) - y) ** 2 < 1.2e-4
        colour[board] = rgb(244, 245, 246)
        colour[board & scrawl & (sample(stains, x, y, 20) > 0)] = rgb(60, 84, 150)
        return colour * (1 + 0.03 * sample(stains, x + z, y + z, 20))[:, None]

    def paint_top(points: np.ndarray, axis: np.ndarray) -> np.ndarray:
        x, _, z = points.T
        grain = 1 + 0.06 * sample(stains, x * 0.4, z * 4.0, 24)
        papers = (sample(stains, np.floor(x * 4) / 4, np.floor(z * 3.3) / 3.3, 37.0) > 1.1) & (axis == 1)
        return np.where(papers[:, None], rgb(240, 240, 236), wood * grain[:, None])

    blocks = [
        Block((HALF_M - 0.62, 0, LONG_M - 1.2), (HALF_M, 1.35, LONG_M), _plain(rgb(150, 156, 160))),
        Block((HALF_M - 0.5, 0, 0.9), (HALF_M, 0.8, 1.5), _plain(wood)),
    ]
    for desk in layout.desks:
        blocks += _furnish(desk, paint_top, wood, chair)
    room = Block((-HALF_M, 0, -1.0), (HALF_M, TALL_M, LONG_M), paint_room)
    return survey(layout.view, room, blocks)


def _furnish(desk: Desk, paint_top: Paint, wood: np.ndarray, chair: np.ndarray) -> list[Block]:
    """A desk with drawers, a monitor and a keyboard, and its chair."""
    x, z, t = desk.x, desk.z, desk.towards
    half, tall, deep = DESK_M[0] / 2, DESK_M[1], DESK_M[2] / 2
    screen_z, drawer_x, keys_x, keys_z = z + 0.12 * t, x + 0.48 * t, x - 0.02, z - 0.26 * t
    seat_x, seat_z = desk.seat
    back_z = seat_z - 0.26 * t
    blocks = [Block((x - half, tall - 0.04, z - deep), (x + half, tall, z + deep), paint_top)]

    def put(middle: Vec, size: Vec, colour: np.ndarray) -> None:
        low, high = ((middle[0] + s * size[0], middle[1] + s * size[1], middle[2] + s * size[2]) for s in (-0.5, 0.5))
        blocks.append(Block(low, high, _plain(colour), casts_shadow=False))

    for side in (-1, 1):
        put((x + side * (half - 0.04), 0.35, z), (0.05, 0.7, 2 * deep - 0.08), rgb(90, 92, 96))
    put((drawer_x, 0.37, z), (0.4, 0.64, 0.6), 0.85 * wood)
    put((x, 1.07, screen_z), (0.62, 0.38, 0.05), rgb(44, 46, 50))
    put((x, 0.82, screen_z), (0.08, 0.16, 0.04), rgb(60, 62, 66))
    put((keys_x, tall + 0.01, keys_z), (0.44, 0.02, 0.14), rgb(52, 54, 58))
    put((seat_x, 0.45, seat_z), (0.44, 0.06, 0.44), chair)
    put((seat_x, 0.765, back_z), (0.42, 0.43, 0.06), 1.15 * chair)
    put((seat_x, 0.23, seat_z), (0.06, 0.37, 0.06), rgb(70, 70, 74))
    return blocks


def _plain(colour: np.ndarray) -> Paint:
    return lambda points, axis: np.broadcast_to(colour, points.shape)
