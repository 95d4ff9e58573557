"""Rooms made of boxes: a pinhole view, a small ray caster and lamps that throw shadows.

A fixed camera sees the same room in each frame, so the room is cast once, with care, and a frame is a mix
of a few lit pictures of it. The depth map that comes with it lets desks hide the people behind them.
World: metres, x right, y up, z away from the camera's wall.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from cameras.scenes.texture import f32

Paint = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(points (n, 3), axis of the surface normal (n,)) -> albedo (n, 3), linear, 0..1."""

Vec = tuple[float, float, float]


@dataclass(frozen=True)
class Block:
    """A box with its sides along the axes."""

    low: Vec
    high: Vec
    paint: Paint
    casts_shadow: bool = True


@dataclass(frozen=True)
class View:
    """A pinhole camera: `pitch` looks down, `yaw` looks right (radians), `focal` in picture widths."""

    size_px: tuple[int, int]
    position: Vec
    pitch: float
    yaw: float
    focal: float

    def axes(self) -> np.ndarray:
        """Rows: right, up, forward."""
        sp, cp, sy, cy = np.sin(self.pitch), np.cos(self.pitch), np.sin(self.yaw), np.cos(self.yaw)
        return np.array([[cy, 0, -sy], [sy * sp, cp, cy * sp], [sy * cp, -sp, cy * cp]])

    def project(self, points: Sequence[Vec] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """World points (n, 3) -> pixels (n, 2) and depth along the optical axis (n,)."""
        right, up, depth = self.axes() @ (np.asarray(points, float) - self.position).T
        depth = np.maximum(depth, 1e-3)
        width, height = self.size_px
        f = self.focal * width
        return np.stack([width / 2 + f * right / depth, height / 2 - f * up / depth], 1), depth

    def rays(self, supersample: int) -> np.ndarray:
        """A direction a pixel, of depth 1 along the optical axis: (height * s, width * s, 3)."""
        width, height = self.size_px
        y, x = np.mgrid[0 : height * supersample, 0 : width * supersample].astype(np.float32)
        f = self.focal * width
        flat = np.stack(
            [
                ((x + 0.5) / supersample - width / 2) / f,
                (height / 2 - (y + 0.5) / supersample) / f,
                np.ones_like(x),
            ],
            -1,
        )
        return (flat @ self.axes()).astype(np.float32)


@dataclass(frozen=True)
class Survey:
    """What each ray met: (h, w, ...) arrays at `supersample` times the frame's size."""

    view: View
    supersample: int
    points: np.ndarray
    axis: np.ndarray
    facing: np.ndarray
    depth: np.ndarray
    albedo: np.ndarray
    room: Block
    blocks: tuple[Block, ...]

    def shrink(self, field: np.ndarray) -> np.ndarray:
        """A field of the survey, averaged down to the frame's size."""
        return cv2.resize(field.astype(np.float32), self.view.size_px, interpolation=cv2.INTER_AREA)

    def depth_px(self) -> np.ndarray:
        """Depth (height, width) at the frame's size, metres along the optical axis."""
        return cv2.resize(self.depth, self.view.size_px, interpolation=cv2.INTER_NEAREST)


def survey(view: View, room: Block, blocks: Sequence[Block], supersample: int = 2) -> Survey:
    """Cast the room (seen from inside) and the blocks in it."""
    rays = view.rays(supersample)
    origin = np.asarray(view.position, np.float32)
    safe = np.where(np.abs(rays) < 1e-6, 1e-6, rays)
    exits = (np.where(safe > 0, f32(*room.high), f32(*room.low)) - origin) / safe
    axis = exits.argmin(-1).astype(np.int8)
    depth = exits.min(-1)
    owner = np.zeros(depth.shape, np.int16)
    for number, block in enumerate(blocks, 1):
        part = _shown_in(view, block, supersample)
        near, far, near_axis = _slabs(origin, safe[part], block)
        nearer = (near < far) & (near > 0.05) & (near < depth[part])
        depth[part][nearer], axis[part][nearer], owner[part][nearer] = near[nearer], near_axis[nearer], number
    points = origin + rays * depth[..., None]
    facing = -np.sign(np.take_along_axis(rays, axis[..., None].astype(np.int64), -1)[..., 0])
    albedo = np.zeros(points.shape, np.float32)
    for number, block in enumerate([room, *blocks]):
        mine = owner == number
        if mine.any():
            albedo[mine] = block.paint(points[mine], axis[mine])
    return Survey(view, supersample, points, axis, facing, depth, albedo, room, tuple(blocks))


def _shown_in(view: View, block: Block, supersample: int) -> tuple[slice, slice]:
    """Rows and columns of the survey that can show a block."""
    corners = [(x, y, z) for x, y, z in itertools.product(*zip(block.low, block.high, strict=True))]
    spots, depth = view.project(corners)
    if depth.min() < 0.1:
        return slice(None), slice(None)
    low = np.maximum(np.floor(spots.min(0) * supersample).astype(int) - 1, 0)
    high = np.maximum(np.ceil(spots.max(0) * supersample).astype(int) + 2, 0)
    return slice(low[1], high[1]), slice(low[0], high[0])


def _slabs(origin: np.ndarray, rays: np.ndarray, block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    first = (f32(*block.low) - origin) / rays
    second = (f32(*block.high) - origin) / rays
    entries = np.minimum(first, second)
    return entries.max(-1), np.maximum(first, second).min(-1), entries.argmax(-1).astype(np.int8)


def lamp_light(seen: Survey, lamps: Sequence[Vec], shadows: bool = True, reach_m: float = 2.0) -> np.ndarray:
    """Light (h, w) at the survey's size from small lamps: Lambert's cosine, falloff, shadows of the blocks."""
    light = np.zeros(seen.depth.shape, np.float32)
    for lamp in lamps:
        offset = f32(*lamp) - seen.points
        distance = np.sqrt(np.square(offset).sum(-1)) + 1e-3
        along = np.take_along_axis(offset, seen.axis[..., None].astype(np.int64), -1)[..., 0] * seen.facing
        # Wrapped cosine: panels are wide, and light comes back from the walls.
        part = np.clip((along / distance + 0.35) / 1.35, 0, 1) / (1 + np.square(distance / reach_m))
        light += part * (1 - 0.75 * shadow(seen, offset)) if shadows else part
    return light


def shadow(seen: Survey, towards: np.ndarray, where: np.ndarray | None = None) -> np.ndarray:
    """Where a block stands between a point and `towards` (an offset from it): (h, w), 0..1, softened.

    Cast at half the survey's size, and only `where` that matters: a shadow's edge is soft anyway.
    """
    start, way = seen.points[::2, ::2], towards[::2, ::2].astype(np.float32)
    way = np.where(np.abs(way) < 1e-6, np.float32(1e-6), way)
    dark = np.zeros(start.shape[:2], bool)
    asked = np.ones_like(dark) if where is None else where[::2, ::2]
    start, way = start[asked] + 0.01 * way[asked], way[asked]
    hidden = np.zeros(len(start), bool)
    for block in seen.blocks:
        if block.casts_shadow:
            near, far, _ = _slabs(start, way, block)
            hidden |= (np.maximum(near, 0) < np.minimum(far, 1)) & (far > 0.005)
    dark[asked] = hidden
    soft = cv2.GaussianBlur(dark.astype(np.float32), (0, 0), 0.6 * seen.supersample)
    return cv2.resize(soft, seen.depth.shape[::-1], interpolation=cv2.INTER_LINEAR)


def corner_shade(seen: Survey, depth_m: float = 0.3, strength: float = 0.4) -> np.ndarray:
    """Darkening (h, w) where walls, floor and ceiling meet."""
    shade = np.ones(seen.depth.shape, np.float32)
    for axis in range(3):
        for wall in (seen.room.low[axis], seen.room.high[axis]):
            near = np.exp(-np.abs(seen.points[..., axis] - wall) / depth_m) * (seen.axis != axis)
            shade *= 1 - strength * near
    return shade
