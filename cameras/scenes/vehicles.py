"""Vehicles and boxes on the ground: shaded cuboids in perspective, which hide and are hidden by what is nearer."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from cameras.scenes.people import Colour, draw_shadow
from cameras.scenes.room import View
from cameras.scenes.scene import Picture

GLASS: Colour = (42, 50, 58)
RUBBER: Colour = (26, 26, 28)
PAINTS: tuple[Colour, ...] = (
    (226, 228, 228), (40, 42, 48), (150, 154, 158), (146, 34, 34), (38, 62, 116), (92, 104, 84), (196, 170, 60),
)  # fmt: skip
CARDBOARD: tuple[Colour, ...] = ((168, 128, 84), (120, 92, 62), (60, 96, 120), (150, 60, 50))


FACES = (((1, 3, 7, 5), 0.72), ((0, 4, 6, 2), 0.62), ((4, 5, 7, 6), 0.8), ((0, 2, 3, 1), 0.55), ((2, 6, 7, 3), 1.0))
"""Corners around each side but the bottom, and how much light it gets."""


@dataclass(frozen=True)
class Cuboid:
    """Sides in metres about a vehicle's middle: (right, up, ahead) from `low` to `high`."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    colour: Colour


@dataclass(frozen=True)
class Vehicle:
    """Cuboids, drawn in this order; `front_m` is how far ahead of the middle the lamps are."""

    parts: tuple[Cuboid, ...]
    front_m: float = 0.0


@dataclass(frozen=True)
class Placed:
    """A vehicle at one moment: a spot on the ground and the yaw it faces, 0 along z."""

    vehicle: Vehicle
    spot: tuple[float, float]
    heading: float
    lit: bool = False


def van(colour: Colour) -> Vehicle:
    dark = (GLASS[0] + 8, GLASS[1] + 8, GLASS[2] + 8)
    return Vehicle(
        (
            Cuboid((-0.9, 0.0, -2.3), (0.9, 0.45, 2.4), RUBBER),
            Cuboid((-1.0, 0.45, -2.6), (1.0, 2.35, 1.3), colour),
            Cuboid((-0.98, 0.45, 1.3), (0.98, 1.25, 2.6), colour),
            Cuboid((-0.92, 1.25, 1.3), (0.92, 1.95, 2.1), dark),
        ),
        2.6,
    )


def car(colour: Colour) -> Vehicle:
    return Vehicle(
        (
            Cuboid((-0.8, 0.0, -1.9), (0.8, 0.35, 1.9), RUBBER),
            Cuboid((-0.88, 0.35, -2.1), (0.88, 0.85, 2.1), colour),
            Cuboid((-0.76, 0.85, -1.7), (0.76, 1.3, 0.9), GLASS),
            Cuboid((-0.72, 1.3, -1.4), (0.72, 1.42, 0.5), colour),
        ),
        2.1,
    )


def stack(rng: np.random.Generator) -> Vehicle:
    """Boxes on a pallet, or bags: what somebody left."""
    wide, long = rng.uniform(0.45, 0.75, 2).tolist()
    parts = [Cuboid((-wide, 0.0, -long), (wide, 0.14, long), (120, 96, 66))]
    top = 0.14
    for _ in range(int(rng.integers(1, 4))):
        tall, inset = float(rng.uniform(0.35, 0.7)), float(rng.uniform(0.0, 0.15))
        colour = CARDBOARD[rng.integers(len(CARDBOARD))]
        parts.append(Cuboid((inset - wide, top, inset - long), (wide - inset, top + tall, long - inset), colour))
        top += tall
    return Vehicle(tuple(parts))


def draw_vehicles(
    picture: Picture, depth_px: np.ndarray, view: View, placed: Sequence[Placed], light: np.ndarray
) -> None:
    """Draw far to near; `light` (height, width) is the brightness of the ground; `depth_px` learns what was drawn."""
    for one in sorted(placed, key=lambda one: -_project(view, one).depth):
        _draw(picture, depth_px, view, one, light)


@dataclass(frozen=True)
class _Drawing:
    """A placed vehicle in pixels: the sides that show, in drawing order, with the light each gets."""

    foot: tuple[float, float]
    depth: float
    box: tuple[int, int, int, int]
    wide_px: float
    sides: tuple[tuple[np.ndarray, Colour, float], ...]


@lru_cache(maxsize=64)
def _project(view: View, one: Placed) -> _Drawing:
    """Kept for what stands: most vehicles do, for hours."""
    points = np.concatenate([_corners(part, one) for part in one.vehicle.parts])
    pixels, _ = view.project(points)
    (foot,), (depth,) = view.project([(one.spot[0], 0.0, one.spot[1])])
    width, height = view.size_px
    x0, y0 = np.maximum(np.floor(pixels.min(0)).astype(int) - 1, 0).tolist()
    x1, y1 = np.minimum(np.ceil(pixels.max(0)).astype(int) + 2, (width, height)).tolist()
    sides = []
    for number, part in enumerate(one.vehicle.parts):
        own = slice(8 * number, 8 * number + 8)
        middle = points[own].mean(0)
        for indices, shade in FACES:
            face = points[own][list(indices)].mean(0)
            if (face - middle) @ (np.array(view.position) - face) > 0:
                outline = np.rint(16 * (pixels[own][list(indices)] - (x0, y0))).astype(np.int32)
                sides.append((outline, part.colour, shade))
    return _Drawing(tuple(foot.tolist()), float(depth), (x0, y0, x1, y1), float(np.ptp(pixels[:8, 0])), tuple(sides))


def _draw(picture: Picture, depth_px: np.ndarray, view: View, one: Placed, light: np.ndarray) -> None:
    height, width = picture.shape[:2]
    drawing = _project(view, one)
    x0, y0, x1, y1 = drawing.box
    if drawing.depth < 1.0 or x0 >= x1 or y0 >= y1:
        return
    x, y = drawing.foot
    level = float(light[int(np.clip(y, 0, height - 1)), int(np.clip(x, 0, width - 1))])
    if one.lit:
        _beam(picture, view, one)
    draw_shadow(picture, drawing.foot, 1.15 * drawing.wide_px, 0.55)
    part = picture[y0:y1, x0:x1]
    drawn, cover = part.copy(), np.zeros(part.shape[:2], np.uint8)
    for outline, colour, shade in drawing.sides:
        painted = tuple(min(255.0, value * shade * level) for value in colour)
        cv2.fillConvexPoly(drawn, outline, painted, cv2.LINE_AA, 4)
        cv2.fillConvexPoly(cover, outline, 255, cv2.LINE_8, 4)
    if one.lit:
        lamps = [(side * 0.65, 0.65, one.vehicle.front_m) for side in (-1, 1)]
        for lamp_x, lamp_y in view.project(_turn(np.array(lamps), one))[0] - (x0, y0):
            cv2.circle(drawn, (round(lamp_x), round(lamp_y)), max(1, width // 110), (250, 248, 235), -1, cv2.LINE_AA)
    clear = (cover > 0) & (depth_px[y0:y1, x0:x1] > drawing.depth - 0.4)
    part[clear] = drawn[clear]
    depth_px[y0:y1, x0:x1][clear] = drawing.depth


def _turn(points: np.ndarray, one: Placed) -> np.ndarray:
    sin, cos = np.sin(one.heading), np.cos(one.heading)
    x, y, z = points.T
    return np.stack([one.spot[0] + x * cos + z * sin, y, one.spot[1] - x * sin + z * cos], 1)


def _corners(part: Cuboid, one: Placed) -> np.ndarray:
    """The 8 corners in the world, (8, 3): bit 1 of the index is right, bit 2 up, bit 4 ahead."""
    bits = np.array([[index & 1, index >> 1 & 1, index >> 2 & 1] for index in range(8)])
    return _turn(np.where(bits, part.high, part.low).astype(float), one)


def _beam(picture: Picture, view: View, one: Placed) -> None:
    """Light of the headlamps on the ground ahead."""
    front = one.vehicle.front_m
    outline = _turn(
        np.array([(-0.6, 0.0, front), (0.6, 0.0, front), (2.6, 0.0, front + 9), (-2.6, 0.0, front + 9)]), one
    )
    pixels, depth = view.project(outline)
    if depth.min() < 1.0:
        return
    height, width = picture.shape[:2]
    glow = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(glow, np.rint(16 * pixels).astype(np.int32), 60, cv2.LINE_AA, 4)
    glow = cv2.blur(glow, (width // 24 | 1, height // 20 | 1))
    cv2.add(picture, cv2.cvtColor(glow, cv2.COLOR_GRAY2RGB), dst=picture)
