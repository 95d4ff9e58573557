"""The hall that the car drives in: its shape and its painted floor, walls and ceiling.

All three lie in one picture, the atlas, so that a view of the hall is a single look-up a pixel.
"""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from cameras.scenes.scene import Picture, Plan
from cameras.scenes.texture import f32, joints, noise_tile, sample, within

FLOOR_PX_PER_M = 0.8
WALL_PX_PER_M = 0.27
"""Texture resolution for each row of the frame: a floor is seen from nearer than a wall."""
TALL_M = 3.0
ROAD_M = 0.72


@dataclass(frozen=True)
class Hall:
    """The hall is 2 * `half_x` by 2 * `half_z` metres; `track` (n, 2) is the middle of the road, closed."""

    half_x: float
    half_z: float
    track: np.ndarray

    @property
    def wall_m(self) -> float:
        return 4 * (self.half_x + self.half_z)


def lay_out(plan: Plan) -> Hall:
    rng = plan.rng("layout")
    half_x, half_z = float(rng.uniform(4.4, 5.2)), float(rng.uniform(3.6, 4.2))
    angle = np.linspace(0, 2 * np.pi, 2400, endpoint=False)
    bend = np.ones_like(angle)
    for wave, most in ((2, 0.1), (3, 0.16), (4, 0.07), (5, 0.05)):
        bend += rng.uniform(0.3, 1.0) * most * np.cos(wave * angle + rng.uniform(0, 2 * np.pi))
    bend /= bend.max()
    track = np.stack([(half_x - 1.0) * bend * np.cos(angle), (half_z - 0.9) * bend * np.sin(angle)], 1)
    return Hall(half_x, half_z, track if rng.random() < 0.5 else track[::-1])


@dataclass(frozen=True)
class Atlas:
    """One picture of floor (from row 0), walls (unrolled) and ceiling, and where and how large each is in it."""

    picture: Picture
    wall_row: int
    ceiling_row: int
    floor_px_per_m: float
    wall_px_per_m: float


def paint_atlas(rng: np.random.Generator, hall: Hall, frame_height_px: int) -> Atlas:
    """Paint the hall, as finely as a frame of that height can show."""
    fine, rough = (max(24.0, share * frame_height_px) for share in (FLOOR_PX_PER_M, WALL_PX_PER_M))
    parts = _floor(rng, hall, fine), _walls(rng, hall, rough), _ceiling(rng, hall, rough)
    width = max(part.shape[1] for part in parts)
    # Two more rows under each part: a look-up at its edge must not reach into the next.
    padded = [cv2.copyMakeBorder(part, 0, 2, 0, width - part.shape[1], cv2.BORDER_REPLICATE) for part in parts]
    walls, ceiling = np.cumsum([len(part) for part in padded])[:2]
    return Atlas(np.vstack(padded), int(walls), int(ceiling), fine, rough)


def _floor(rng: np.random.Generator, hall: Hall, scale: float) -> Picture:
    """Terrazzo with a mat on it: grass green or teal, a dark road with white edges and yellow dashes."""
    width, height = int(2 * hall.half_x * scale), int(2 * hall.half_z * scale)
    stone = np.array([(150, 138, 128), (134, 138, 142), (164, 148, 122)][rng.integers(3)], np.float32)
    grain, blobs = noise_tile(rng, 512, 1.6), noise_tile(rng, 512, 40)
    tiled = np.tile(grain, (height // 512 + 1, width // 512 + 1))[:height, :width]
    slow = np.tile(blobs, (height // 512 + 1, width // 512 + 1))[:height, :width]
    z, x = np.mgrid[0:height, 0:width].astype(np.float32) / np.float32(scale)
    tiles = (1 + 0.17 * tiled + 0.05 * slow) * (1 - 0.25 * joints(x, z, 0.9, 0.9, 0.012))
    floor = stone * tiles[..., None].astype(np.float32)

    mat_colour = np.array([(24, 128, 112), (58, 120, 56), (36, 98, 128), (110, 116, 60)][rng.integers(4)], np.float32)
    road_colour = np.array([(52, 52, 56), (70, 66, 64), (44, 50, 60)][rng.integers(3)], np.float32)
    points = np.rint((hall.track + (hall.half_x, hall.half_z)) * scale).astype(np.int32)

    def band(width_m: float) -> np.ndarray:
        mask = np.zeros((height, width), np.uint8)
        cv2.polylines(mask, [points], True, 255, max(1, round(width_m * scale)), cv2.LINE_AA)
        return mask[..., None] / np.float32(255)

    def lay(colour: np.ndarray, mask: np.ndarray) -> None:
        floor[:] = floor * (1 - mask) + colour * mask

    folds = cv2.resize(noise_tile(rng, 256, 4), (width, height), interpolation=cv2.INTER_LINEAR)
    wrinkle = (1 + 0.07 * folds + 0.1 * tiled)[..., None].astype(np.float32)
    white = np.array((232, 232, 226), np.float32)
    lay(mat_colour * wrinkle, band(float(rng.uniform(1.3, 1.7))))
    lay(white, band(ROAD_M + 0.12))
    lay(road_colour * wrinkle, band(ROAD_M))
    dashes = np.zeros((height, width), np.uint8)
    step = 40
    for begin in range(0, len(points), 2 * step):
        cv2.polylines(dashes, [points[begin : begin + step]], False, 255, max(1, round(0.055 * scale)), cv2.LINE_AA)
    lay(np.array((236, 196, 48), np.float32), dashes[..., None] / np.float32(255))
    line = points[rng.integers(len(points))]
    cv2.circle(floor, (int(line[0]), int(line[1])), int(0.12 * scale), (200, 60, 48), -1, cv2.LINE_AA)
    edge = np.minimum(np.minimum(x, 2 * hall.half_x - x), np.minimum(z, 2 * hall.half_z - z))
    floor *= (1 - 0.45 * np.exp(-edge / 0.35))[..., None].astype(np.float32)
    return np.clip(floor, 0, 255).astype(np.uint8)


def _walls(rng: np.random.Generator, hall: Hall, scale: float) -> Picture:
    """The four walls unrolled: windows with radiators, doors, boards, posters, stacks of chairs, pillars."""
    width, height = int(hall.wall_m * scale), int(TALL_M * scale)
    y, u = np.mgrid[0:height, 0:width].astype(np.float32) / np.float32(scale)
    y = TALL_M - y
    paint_ = np.array([(206, 202, 192), (196, 206, 208), (214, 200, 178)][rng.integers(3)], np.float32)
    wood = np.array([(134, 90, 56), (110, 112, 116), (96, 116, 104)][rng.integers(3)], np.float32)
    walls = np.broadcast_to(paint_, (height, width, 3)) * (1 + 0.03 * sample(noise_tile(rng), u, y, 30))[..., None]
    walls[y < 0.9] = wood
    walls[np.abs(y - 0.9) < 0.03] = 0.6 * wood

    def fill(box: tuple[float, float, float, float], colour: np.ndarray | tuple[float, ...]) -> None:
        walls[within(u, y, box)] = colour

    bounds = np.cumsum([0, 2 * hall.half_z, 2 * hall.half_z, 2 * hall.half_x, 2 * hall.half_x])
    bright_wall = int(rng.integers(4))
    for wall, (low, high) in enumerate(pairwise(bounds)):
        at = low + float(rng.uniform(0.3, 0.6))
        while at < high - 1.9:
            kind = (
                "window"
                if wall == bright_wall
                else str(rng.choice(["window", "door", "board", "chairs", "poster", "gap"]))
            )
            wide = float(rng.uniform(1.1, 1.9))
            if kind == "window":
                fill((at - 0.06, 0.98, at + wide + 0.06, 2.56), (110, 104, 96))
                sky = float(rng.uniform(0.85, 1.0)) * np.array((244, 248, 255)) * (1.0 if wall == bright_wall else 0.86)
                fill((at, 1.04, at + wide, 2.5), sky)
                fill((at, 1.04, at + wide, 1.25), 0.6 * sky * f32(0.75, 0.95, 0.8))
                fill((at + wide / 2 - 0.025, 1.04, at + wide / 2 + 0.025, 2.5), (120, 114, 106))
                fill((at + 0.1, 0.15, at + wide - 0.1, 0.75), (226, 226, 220))
                ribs = within(u, y, (at + 0.1, 0.15, at + wide - 0.1, 0.75)) & ((u / 0.1) % 1 < 0.35)
                walls[ribs] = (160, 160, 156)
            elif kind == "door":
                fill((at, 0, at + 1.0, 2.15), 0.5 * wood)
                fill((at + 0.07, 0, at + 0.93, 2.08), 0.85 * wood)
                fill((at + 0.3, 1.3, at + 0.7, 1.85), (150, 176, 186))
            elif kind == "board":
                fill((at, 1.05, at + wide, 2.1), (118, 112, 104))
                fill(
                    (at + 0.05, 1.1, at + wide - 0.05, 2.05),
                    (54, 84, 70) if rng.random() < 0.5 else (240, 242, 244),
                )
            elif kind == "poster":
                fill((at, 1.2, at + 0.7, 2.15), rng.uniform(60, 230, 3))
                fill((at + 0.08, 1.5, at + 0.62, 2.05), rng.uniform(60, 230, 3))
            elif kind == "chairs":
                seat = rng.choice([(168, 34, 44), (36, 72, 140), (214, 130, 40)])
                for number in range(3):
                    left = at + 0.55 * number
                    fill((left + 0.02, 0, left + 0.05, 0.8), (62, 62, 66))
                    fill((left + 0.41, 0, left + 0.44, 0.8), (62, 62, 66))
                    fill((left, 0.42, left + 0.46, 0.52), 0.8 * seat)
                    fill((left + 0.02, 0.62, left + 0.44, 0.98), seat)
            at += wide + float(rng.uniform(0.25, 1.0))
    for at in np.arange(1.0, bounds[-1], 4.4) + float(rng.uniform(0, 2)):
        across = (u - at) / 0.22
        pillar = np.abs(across) < 1
        walls[pillar] = (np.array((214, 208, 196)) * (1 - 0.35 * across**2 - 0.15 * across)[..., None])[pillar]
    walls *= (0.84 + 0.2 * np.clip(y / TALL_M, 0, 1) - 0.25 * np.exp(-y / 0.12))[..., None]
    corner = np.min([np.abs(u - bound) for bound in bounds], axis=0)
    walls *= (1 - 0.3 * np.exp(-corner / 0.4))[..., None]
    return np.clip(walls, 0, 255).astype(np.uint8)


def _ceiling(rng: np.random.Generator, hall: Hall, scale: float) -> Picture:
    width, height = int(2 * hall.half_x * scale), int(2 * hall.half_z * scale)
    z, x = np.mgrid[0:height, 0:width].astype(np.float32) / np.float32(scale)
    ceiling = (
        np.broadcast_to(f32(186, 184, 178), (height, width, 3)) * (1 - 0.2 * joints(x, z, 0.6, 0.6, 0.04))[..., None]
    )
    for lamp_x in np.arange(1.2, 2 * hall.half_x, 2.4):
        for lamp_z in np.arange(1.2, 2 * hall.half_z, 1.8):
            if rng.random() < 0.85:
                ceiling[within(x, z, (lamp_x - 0.3, lamp_z - 0.3, lamp_x + 0.3, lamp_z + 0.3))] = (
                    254,
                    252,
                    246,
                )
    return np.clip(ceiling, 0, 255).astype(np.uint8)
