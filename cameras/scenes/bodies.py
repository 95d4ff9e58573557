"""Bodies: a small three-dimensional skeleton, drawn as shaded capsules.

What is drawn is a `Form`: not colours but how much light each material (skin, hair, cloth) sends to each pixel.
So a form is drawn once for all people of one build and coloured for each of them, which costs a tenth of it.
A skeleton is 1 tall: x to its right, y up, z the way it faces; a scene gives it metres.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np

Pose = Literal["walk", "run", "stand", "sit"]
Material = Literal["skin", "hair", "top", "legs", "shoes", "pack", "placard"]
MATERIALS: tuple[Material, ...] = ("skin", "hair", "top", "legs", "shoes", "pack", "placard")

PHASES = 8
TURNS = 16
TILTS = 8
"""Forms are kept for this many steps of a gait, turns of the body and tilts (0 to 90 degrees) of the view."""

LIGHT = np.array([-0.35, 0.75, 0.56], np.float32)
"""Where light comes from in the picture: the left, above, behind the camera."""
FULL = 200
"""The level of a pixel that is all one material in full light; highlights go up to 255."""


@dataclass(frozen=True)
class Body:
    build: float
    long_hair: bool = False
    coat: bool = False
    pack: bool = False
    placard: bool = False


BODIES = (
    Body(0.92, long_hair=True),
    Body(1.0, pack=True),
    Body(1.06),
    Body(1.08, coat=True),
    Body(0.96, long_hair=True, coat=True),
)
"""Few builds, so that forms are shared."""


@dataclass(frozen=True)
class Form:
    """Light by material (height, width, materials) and cover (height, width), uint8; feet at `anchor` (pixels)."""

    light: np.ndarray
    cover: np.ndarray
    anchor: tuple[float, float]


@lru_cache(maxsize=1500)
def form(body: Body, pose: Pose, phase: int, turn: int, tilt: int, height_px: int) -> Form:
    """A body of `height_px`: `turn` is its yaw from the view's (0 shows the back), in TURNS."""
    yaw, pitch = 2 * np.pi * turn / TURNS, np.pi / 2 * tilt / TILTS
    limbs = _skeleton(body, pose, 2 * np.pi * phase / PHASES)
    spin = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    tip = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    turned = tip @ spin
    head_room = 1.55 if body.placard else 1.12
    width, height = int(height_px), int((head_room + 0.14) * height_px)
    anchor = (width / 2, head_room * height_px)
    canvas = np.zeros((len(MATERIALS) + 1, height, width), np.float32)
    _draw_limbs(canvas, limbs, turned, anchor, height_px)
    if body.placard and pose != "sit":
        _draw_placard(canvas, turned, anchor, height_px)
    x0, y0, wide, tall = cv2.boundingRect((canvas[-1] > 0).astype(np.uint8))
    canvas = canvas[:, y0 : y0 + tall, x0 : x0 + wide]
    light = np.rint(np.minimum(FULL * canvas[:-1], 255)).astype(np.uint8)
    cover = np.rint(255 * canvas[-1]).astype(np.uint8)
    return Form(np.ascontiguousarray(light.transpose(1, 2, 0)), cover, (anchor[0] - x0, anchor[1] - y0))


@dataclass(frozen=True)
class Limb:
    """A capsule from `a` to `b` that tapers from radius `ra` to `rb`."""

    a: np.ndarray
    b: np.ndarray
    ra: float
    rb: float
    material: Material


def _skeleton(body: Body, pose: Pose, phase: float) -> list[Limb]:
    """Limbs of a body whose lowest foot stands at y = 0."""
    stride, bend, rest, lean, elbow = {
        "walk": (0.42, 0.85, 0.08, 0.03, 0.35),
        "run": (0.75, 1.5, 0.25, 0.16, 1.6),
        "stand": (0.03, 0.03, 0.03, 0.0, 0.15),
        "sit": (0.0, 0.0, 0.0, 0.04, 1.0),
    }[pose]
    sitting = pose == "sit"
    wide = body.build
    hip = np.array([0.0, 0.52, 0.0])
    chest = hip + [0.0, 0.27, 0.27 * lean]
    neck = hip + [0.0, 0.33, 0.33 * lean]
    head = neck + [0.0, 0.09, 0.03 + 0.03 * lean]
    limbs: list[Limb] = []
    feet = []
    for side in (-1, 1):
        step = phase + (np.pi if side > 0 else 0.0)
        thigh = 1.45 if sitting else stride * np.sin(step) + 0.5 * rest
        knee_bend = 1.45 if sitting else rest + bend * max(0.0, np.cos(step))
        top = hip + [side * 0.05 * wide, 0.0, 0.0]
        knee = top + 0.245 * np.array([side * 0.04, -np.cos(thigh), np.sin(thigh)])
        shin = thigh - knee_bend
        ankle = knee + 0.235 * np.array([0.0, -np.cos(shin), np.sin(shin)])
        toe = ankle + 0.085 * np.array([0.0, -0.25 + 0.6 * np.sin(shin), 1.0])
        feet.append(ankle[1])
        limbs += [
            Limb(top, knee, 0.062 * wide, 0.043, "legs"),
            Limb(knee, ankle, 0.043, 0.03, "legs"),
            Limb(ankle + [0, -0.01, 0.0], toe, 0.028, 0.022, "shoes"),
        ]
        swing = -0.8 * stride * np.sin(step) + (0.75 if sitting else 0.0)
        shoulder = chest + [side * 0.105 * wide, 0.03, 0.0]
        joint = shoulder + 0.17 * np.array([side * 0.14, -np.cos(swing), np.sin(swing)])
        fore = swing + elbow
        if body.placard and side > 0 and not sitting:
            joint = shoulder + [0.05, -0.1, 0.1]
            fore = 2.6 + 0.15 * np.sin(phase)
        hand = joint + 0.15 * np.array([-side * 0.05, -np.cos(fore), np.sin(fore)])
        limbs += [
            Limb(shoulder, joint, 0.037 * wide, 0.03, "top"),
            Limb(joint, hand, 0.029, 0.022, "top"),
            Limb(hand, hand + 0.035 * (hand - joint) / 0.15, 0.024, 0.02, "skin"),
        ]
        limbs.append(Limb(hip + [side * 0.035 * wide, 0.02, 0], chest + [side * 0.05 * wide, 0, 0], 0.07 * wide,
                          0.078 * wide, "top"))  # fmt: skip
        if body.coat and not sitting:
            limbs.append(Limb(hip + [side * 0.04, 0, 0], 0.4 * hip + 0.6 * knee, 0.074 * wide, 0.072 * wide, "top"))
    limbs.append(Limb(neck, head, 0.03, 0.03, "skin"))
    limbs.append(Limb(head, head + [0, 0.035, 0.0], 0.05, 0.056, "skin"))
    limbs.append(Limb(head + [0, 0.045, -0.014], head + [0, 0.05, -0.02], 0.058, 0.058, "hair"))
    if body.long_hair:
        limbs.append(Limb(head + [0, 0.03, -0.03], head + [0, -0.07, -0.045], 0.052, 0.04, "hair"))
    if body.pack:
        limbs.append(Limb(chest + [0, 0.0, -0.1], hip + [0, 0.1, -0.1], 0.07, 0.08, "pack"))
    ground = np.array([0.0, min(feet) - 0.035, 0.0])
    return [Limb(limb.a - ground, limb.b - ground, limb.ra, limb.rb, limb.material) for limb in limbs]


def _draw_limbs(
    canvas: np.ndarray, limbs: Sequence[Limb], turned: np.ndarray, anchor: tuple[float, float], height_px: int
) -> None:
    """Lay shaded capsules over the canvas, far to near, their edges softened by their own distance function.

    All are shaded at once, each in a window of one size: a loop would spend its time calling numpy.
    """
    ends = np.array([(limb.a, limb.b) for limb in limbs]) @ turned.T * height_px
    order = np.argsort(-ends[..., 2].sum(1))
    ends = ends[order] * (1, -1, 1)
    radii = np.array([(limb.ra, limb.rb) for limb in limbs], np.float32)[order] * height_px
    spots = (ends[..., :2] + anchor).astype(np.float32)
    reach = radii.max(1, keepdims=True) + 1
    corners = np.floor(spots.min(1) - reach).astype(int)
    corners = np.clip(corners, 0, np.array(canvas.shape[:0:-1]) - 1)
    wide, tall = np.ceil((spots.max(1) + reach - corners).max(0)).astype(int)
    a, d = spots[:, 0] - corners, spots[:, 1] - spots[:, 0]
    # (limbs, 1, wide) and (limbs, tall, 1), from the capsule's first end.
    x = (np.arange(wide, dtype=np.float32) + 0.5 - a[:, :1])[:, None, :]
    y = (np.arange(tall, dtype=np.float32) + 0.5 - a[:, 1:])[:, :, None]
    dx, dy = d[:, 0, None, None], d[:, 1, None, None]
    square = np.maximum(dx * dx + dy * dy, np.float32(1e-6))
    along = np.minimum(np.maximum(x * (dx / square) + y * (dy / square), 0), 1)
    radius = radii[:, 0, None, None] + (radii[:, 1] - radii[:, 0])[:, None, None] * along
    nx, ny = (x - along * dx) / radius, (along * dy - y) / radius
    out = nx * nx + ny * ny
    cover = np.minimum(np.maximum(radius * (1 - np.sqrt(out)) + np.float32(0.5), 0), 1)
    slope = LIGHT[0] * nx + LIGHT[1] * ny + LIGHT[2] * np.sqrt(np.maximum(1 - out, 0))
    shade = (np.float32(0.52) + np.float32(0.56) * np.maximum(slope, np.float32(-0.3))) * cover
    for number, (left, top) in enumerate(corners):
        part = canvas[:, top : top + tall, left : left + wide]
        rows, columns = part.shape[1:]
        part *= 1 - cover[number, :rows, :columns]
        part[MATERIALS.index(limbs[order[number]].material)] += shade[number, :rows, :columns]
        part[-1] += cover[number, :rows, :columns]


def _draw_placard(canvas: np.ndarray, turned: np.ndarray, anchor: tuple[float, float], height_px: int) -> None:
    def put(points: Sequence[tuple[float, float, float]]) -> np.ndarray:
        flat = (turned @ np.array(points).T * height_px).T
        return np.rint((np.array(anchor) + flat[:, :2] * [1, -1]) * 16).astype(np.int32)

    pole, board, ink = (np.zeros(canvas.shape[1:], np.uint8) for _ in range(3))
    ends = put([(0.17, 0.8, 0.14), (0.17, 1.2, 0.16)])
    cv2.line(pole, ends[0], ends[1], 255, max(1, height_px // 60), cv2.LINE_AA, 4)
    corners = put([(-0.03, 1.14, 0.16), (0.37, 1.14, 0.16), (0.37, 1.44, 0.17), (-0.03, 1.44, 0.17)])
    cv2.fillConvexPoly(board, corners, 255, cv2.LINE_AA, 4)
    for row, (left, right) in enumerate(((0.03, 0.3), (0.03, 0.22), (0.03, 0.27))):
        y = 1.37 - 0.08 * row
        ends = put([(left, y, 0.17), (right, y, 0.17)])
        cv2.line(ink, ends[0], ends[1], 255, max(1, height_px // 36), cv2.LINE_AA, 4)
    for mask, level in ((pole, 0.4), (board, 1.0), (ink, 0.2)):
        cover = mask / np.float32(255)
        canvas *= 1 - cover
        canvas[MATERIALS.index("placard")] += level * cover
        canvas[-1] += cover
