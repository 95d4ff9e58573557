"""A loading yard: a building with a dock, a container, a fence, parking bays, a tree; and how light falls on it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from cameras.scenes.room import Block, Survey, View, corner_shade, lamp_light, shadow, survey
from cameras.scenes.scene import Plan
from cameras.scenes.texture import f32, joints, noise_tile, rgb, sample, within

PASS_Z = 11.5
"""The lane that vehicles pass along."""
GRASS_Z = 8.6
"""Nearer than this there is a path and grass: people may walk, nothing drives."""
HOUSE_Z = (14.5, 27.0)
DOCK_Z = 19.0
SUN_STEP_S = 900.0
"""The sun's shadows are cast for every quarter of an hour and blended in between."""


@dataclass(frozen=True)
class Layout:
    """One yard: the house's wall is at x = `wall_x`; `bays_x` are middles of parking bays before the fence."""

    view: View
    wall_x: float
    fence_z: float
    bays_x: tuple[float, ...]
    container_x: float
    mirrored: bool


def lay_out(plan: Plan) -> Layout:
    rng = plan.rng("layout")
    view = View(
        size_px=plan.size_px,
        position=(float(rng.uniform(-1.0, 1.0)), float(rng.uniform(7.5, 8.6)), 0.0),
        pitch=float(rng.uniform(0.48, 0.54)),
        yaw=float(rng.uniform(-0.08, 0.1)),
        focal=float(rng.uniform(0.7, 0.8)),
    )
    fence_z = float(rng.uniform(29.0, 32.0))
    first = float(rng.uniform(-2.5, -1.0))
    bays = tuple(first + 2.8 * number for number in range(int(rng.integers(2, 4))))
    return Layout(view, float(rng.uniform(-7.5, -6.0)), fence_z, bays, float(rng.uniform(7.0, 8.5)), rng.random() < 0.5)


@dataclass(frozen=True)
class Yard:
    """Pictures at the frame's size, float32, linear light.

    `albedo` and `infrared`, what the infrared lamp shows, are (height, width, 3). (height, width) are the light of
    that lamp, of the whole sky and of the yard's lamps, the `ground` that rain wets (0 to 1) and the depth in
    metres. `sun_px(direction)` is direct sunlight with its shadows, (height, width).
    """

    albedo: np.ndarray
    infrared: np.ndarray
    infrared_light: np.ndarray
    sky_px: np.ndarray
    lamp_px: np.ndarray
    ground: np.ndarray
    depth_px: np.ndarray
    sun_px: Callable[[tuple[float, float, float]], np.ndarray]


def build(plan: Plan, layout: Layout) -> Yard:
    rng = plan.rng("paint")
    # A fence is thin: small frames need more rays a pixel.
    fine = int(np.clip(round(480 / plan.size_px[0]), 2, 4))
    seen = survey(layout.view, *_blocks(rng, layout), supersample=fine)
    x, y, z = np.moveaxis(seen.points, -1, 0)
    outside = (np.abs(x) > 59) | (z > 89)
    lamps = [(layout.wall_x + 0.6, 5.2, DOCK_Z + side) for side in (-3.5, 3.5)]
    lamps.append((layout.container_x + 1, 6.0, 13.0))
    lamp = lamp_light(seen, lamps, reach_m=4.0) * ~outside
    lamp /= np.percentile(lamp, 92)
    distance = np.sqrt(np.square(seen.points - f32(*layout.view.position)).sum(-1))
    spot = _beam(plan, rng)
    plants = (z > layout.fence_z + 0.2) | ((y < 0.02) & (z < GRASS_Z - 1.6))
    grey = seen.albedo.mean(-1) ** 0.7 * np.where(plants, 1.7, 1.0) * np.where(outside, 0.02, 1.0)
    infrared_light = seen.shrink(1 / (1 + np.square(distance / 15.0))) * spot
    infrared = seen.shrink(grey) * infrared_light
    bright = 0.3 / np.percentile(infrared, 85)

    @lru_cache(maxsize=4)
    def sun_px(direction: tuple[float, float, float]) -> np.ndarray:
        way = f32(*direction)
        facing = np.maximum(0, way[seen.axis] * seen.facing) * ~outside
        dark = shadow(seen, np.broadcast_to(30 * way, seen.points.shape), facing > 0)
        return seen.shrink(facing * (1 - 0.95 * dark))

    return Yard(
        albedo=seen.shrink(seen.albedo),
        infrared=np.repeat(bright * infrared[..., None], 3, axis=2),
        infrared_light=bright * infrared_light,
        sky_px=seen.shrink(
            corner_shade(seen, depth_m=0.6, strength=0.25) * (0.7 + 0.3 * (seen.axis == 1)) * _open(seen)
        ),
        lamp_px=seen.shrink(lamp),
        ground=seen.shrink((y < 0.02) & (z < layout.fence_z)),
        depth_px=seen.depth_px(),
        sun_px=sun_px,
    )


def _open(seen: Survey) -> np.ndarray:
    """How much of the sky a place sees: less next to walls, which the ray caster's blocks are."""
    x, y, z = np.moveaxis(seen.points, -1, 0)
    hidden = np.zeros(seen.depth.shape, np.float32)
    for block in seen.blocks:
        aside = np.maximum(0, np.maximum(block.low[0] - x, x - block.high[0]))
        deep = np.maximum(0, np.maximum(block.low[2] - z, z - block.high[2]))
        if block.high[1] - block.low[1] > 0.5 and block.casts_shadow:
            away = np.hypot(aside, deep) / (0.4 * block.high[1])
            hidden = np.maximum(hidden, 0.4 * np.exp(-away) * (y < block.high[1] - 0.05))
    return 1 - hidden


def _beam(plan: Plan, rng: np.random.Generator) -> np.ndarray:
    """The infrared lamp's cone: bright in the middle of the view, dark in its corners."""
    width, height = plan.size_px
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    off = np.square(x - rng.uniform(-0.15, 0.15)) + np.square(y - rng.uniform(-0.1, 0.2))
    return (0.12 + 0.88 * np.exp(-off / 0.75)).astype(np.float32)


def _blocks(rng: np.random.Generator, layout: Layout) -> tuple[Block, list[Block]]:
    speckle, stains = noise_tile(rng), noise_tile(rng, grain=10)
    asphalt = rgb(118, 116, 114) * float(rng.uniform(0.8, 1.2))
    wall = rgb(*[(176, 118, 92), (196, 186, 168), (150, 158, 164), (204, 196, 186)][rng.integers(4)])
    steel = rgb(*[(150, 70, 48), (54, 90, 128), (70, 110, 84), (168, 140, 60)][rng.integers(4)])
    doors = rgb(*[(190, 190, 186), (90, 110, 130), (120, 124, 120)][rng.integers(3)])
    patches = [(float(rng.uniform(-6, 9)), float(rng.uniform(9, 27)), *rng.uniform(0.6, 2.4, 2)) for _ in range(7)]
    fence_z, wall_x = layout.fence_z, layout.wall_x

    def rough(x: np.ndarray, z: np.ndarray, fine: float, coarse: float) -> np.ndarray:
        return 1 + fine * sample(speckle, x, z, 24) + coarse * sample(stains, x, z, 9)

    def paint_ground(points: np.ndarray, axis: np.ndarray) -> np.ndarray:
        x, y, z = points.T
        colour = asphalt * rough(x, z, 0.07, 0.09)[:, None]
        for at_x, at_z, wide, deep in patches:
            colour[within(x, z, (at_x, at_z, at_x + wide, at_z + deep))] *= 0.72
        for bay in (*layout.bays_x, layout.bays_x[-1] + 2.8):
            colour[within(x, z, (bay - 1.46, fence_z - 6.4, bay - 1.34, fence_z - 1.2))] = rgb(214, 212, 204)
        for side in (-2.2, 2.2):
            colour[(np.abs(z - PASS_Z - side) < 0.07) & ((x / 2.0) % 1 < 0.6)] = rgb(206, 196, 130)
        colour[within(x, z, (wall_x, DOCK_Z - 2.4, wall_x + 4.2, DOCK_Z + 2.4)) & ((x + z) % 1.2 < 0.3)] = rgb(
            200, 178, 70
        )
        drain = within(x, z, (1.2, 15.4, 2.2, 16.0)) & ((x * 8) % 1 < 0.6)
        colour[drain] = rgb(40, 40, 42)
        path = (z < GRASS_Z) & (z >= GRASS_Z - 1.6)
        slabs = rgb(172, 168, 160) * (rough(x, z, 0.05, 0.06) * (1 - 0.35 * joints(x, z, 0.8, 0.8, 0.05)))[:, None]
        colour[path] = slabs[path]
        colour[(z < GRASS_Z + 0.14) & (z >= GRASS_Z)] = rgb(190, 188, 182)
        grass = rgb(98, 120, 62) * rough(x, z, 0.22, 0.16)[:, None]
        green = (z < GRASS_Z - 1.6) | (z > fence_z)
        colour[green] = grass[green]
        trees = rgb(72, 92, 58) * rough(x, 3 * y, 0.25, 0.4)[:, None]
        far = axis != 1
        colour[far & (y < 5)] = trees[far & (y < 5)]
        colour[far & (y >= 5)] = rgb(236, 240, 246)
        return np.maximum(colour, 0.004)

    def paint_house(points: np.ndarray, axis: np.ndarray) -> np.ndarray:
        x, y, z = points.T
        along = np.where(axis == 0, z, x)
        bricks = 1 - 0.16 * joints(along, y, 0.5, 0.25, 0.05)
        colour = wall * (rough(along, y, 0.05, 0.06) * bricks)[:, None]
        colour[axis == 1] = (rgb(104, 102, 100) * rough(x, z, 0.06, 0.08)[:, None])[axis == 1]
        side = axis == 0
        shutter = side & within(z, y, (DOCK_Z - 1.9, 0.0, DOCK_Z + 1.9, 3.4))
        colour[shutter] = (doors * (1 - 0.3 * ((y * 4) % 1 < 0.25))[:, None])[shutter]
        colour[side & within(z, y, (24.2, 0, 25.2, 2.1))] = rgb(70, 76, 84)
        for at in (15.6, 22.4):
            colour[side & within(z, y, (at, 3.2, at + 1.2, 4.4))] = rgb(62, 74, 86)
        colour[y < 0.35] *= 0.7
        return np.maximum(colour, 0.004)

    def paint_steel(points: np.ndarray, axis: np.ndarray) -> np.ndarray:
        x, y, z = points.T
        ribs = 1 - 0.35 * ((np.where(axis == 0, z, x) * 3.2) % 1 < 0.4)
        return steel * (ribs * rough(x + z, y, 0.04, 0.08))[:, None]

    def paint_mesh(points: np.ndarray, axis: np.ndarray) -> np.ndarray:
        x, y = points[:, 0], points[:, 1]
        behind = rgb(86, 104, 66) * rough(x, y, 0.15, 0.2)[:, None]
        behind[(x % 2.5 < 0.14) | (y > 2.1)] = rgb(196, 198, 198)
        behind[((x + y) % 0.3 < 0.05) | ((x - y) % 0.3 < 0.05)] = rgb(150, 154, 152)
        return behind

    def paint_hedge(points: np.ndarray, axis: np.ndarray) -> np.ndarray:
        x, y, z = points.T
        return np.maximum(rgb(70, 96, 52) * rough(x + z, 2 * y, 0.3, 0.3)[:, None], 0.004)

    def paint_wood(points: np.ndarray, axis: np.ndarray) -> np.ndarray:
        x, y, z = points.T
        return rgb(164, 132, 92) * (1 - 0.5 * ((y * 7) % 1 < 0.3))[:, None] * rough(x + z, y, 0.08, 0.05)[:, None]

    yard = Block((-60, 0, -6), (60, 60, 90), paint_ground)
    box = layout.container_x
    blocks = [
        Block((-40, 0, HOUSE_Z[0]), (wall_x, 6.2, HOUSE_Z[1]), paint_house),
        Block((box, 0, 19.5), (box + 2.5, 2.6, 25.6), paint_steel),
        Block((-40, 0, fence_z), (40, 2.2, fence_z + 0.06), paint_mesh, casts_shadow=False),
        Block((-50, 0, fence_z + 9), (50, float(rng.uniform(2.5, 4)), fence_z + 12), paint_hedge),
    ]
    for number in range(int(rng.integers(2, 4))):
        at, tall = HOUSE_Z[0] + 0.2 + 1.35 * number, float(rng.uniform(0.3, 1.3))
        if at < DOCK_Z - 2.8:
            blocks.append(Block((wall_x + 0.15, 0, at), (wall_x + 1.3, tall, at + 1.1), paint_wood))
    return yard, blocks


class Tree:
    """A tree at the edge of the view, in front of everything: its crown sways, the more the higher."""

    def __init__(self, plan: Plan) -> None:
        rng = plan.rng("tree")
        width, height = plan.size_px
        self.rows, self.columns = slice(0, round(0.62 * height)), slice(round(0.7 * width), width)
        tall, wide = self.rows.stop, width - self.columns.start
        fine = 3
        canvas = np.zeros((tall * fine, wide * fine, 4), np.float32)
        middle = np.array([rng.uniform(0.55, 0.9) * wide, 0.3 * tall]) * fine
        reach = np.array([0.42 * wide, 0.36 * tall]) * fine
        trunk = [(int(middle[0]), int(middle[1])), (int(middle[0] + rng.uniform(-4, 4)), tall * fine)]
        cv2.line(canvas, trunk[0], trunk[1], (0.11, 0.085, 0.06, 1.0), max(2, round(0.05 * wide * fine)))
        green = rgb(*[(88, 116, 56), (76, 104, 66), (120, 116, 54)][rng.integers(3)])
        for _ in range(260):
            off = rng.normal(0, 0.5, 2)
            if off @ off > 1:
                continue
            shade = float(np.clip(0.95 - 0.5 * off[1] - 0.25 * off[0] + rng.normal(0, 0.22), 0.3, 1.7))
            spot = (middle + off * reach).astype(int).tolist()
            size = max(1, round(float(rng.uniform(0.035, 0.09)) * wide * fine))
            cv2.ellipse(canvas, spot, (size, max(1, size * 2 // 3)), float(rng.uniform(0, 180)), 0, 360,
                        (*(green * shade).tolist(), 1.0), -1)  # fmt: skip
        canvas[..., :3] *= canvas[..., 3:]
        self.rgba = cv2.resize(canvas, (wide, tall), interpolation=cv2.INTER_AREA)
        self.y, self.x = (part.astype(np.float32) for part in np.mgrid[0:tall, 0:wide])
        self.give_px = 0.018 * width * (1 - self.y / tall).astype(np.float32) ** 1.3
        leaves = noise_tile(rng, size=max(tall, wide), grain=max(2.0, 0.12 * wide))[:tall, :wide]
        self.leaves = (1.6 * leaves).astype(np.float32)
        self.beats_hz = rng.uniform((0.22, 0.5), (0.35, 0.9))

    def shade(self, light: np.ndarray, time_s: float, wind: float, brightness: np.ndarray) -> None:
        """Draw the tree into linear `light` (height, width, 3), lit by `brightness` (3,)."""
        slow, fast = (2 * np.pi * time_s * self.beats_hz).tolist()
        swing = wind * (np.float32(0.6 + 0.7 * np.sin(slow)) + 0.55 * np.sin(np.float32(fast) + self.leaves))
        dx = self.give_px * swing.astype(np.float32)
        moved = cv2.remap(self.rgba, self.x + dx, self.y + np.float32(0.3) * dx, cv2.INTER_LINEAR)
        part = light[self.rows, self.columns]
        part *= 1 - moved[..., 3:]
        part += moved[..., :3] * brightness
