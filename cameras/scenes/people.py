"""People: what they wear, and drawing them into a picture.

A person in one step of a walk, seen from one side, is a sprite: a `Form` in that person's colours. It is scaled
and blended into frames, which is far cheaper than drawing limbs in each frame and gives soft edges for free.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from cameras.scenes.bodies import BODIES, FULL, PHASES, TILTS, TURNS, Body, Pose, form
from cameras.scenes.scene import Picture

Colour = tuple[int, int, int]

SKIN: tuple[Colour, ...] = ((238, 198, 168), (222, 172, 136), (190, 138, 104), (146, 98, 70), (98, 66, 50))
HAIR: tuple[Colour, ...] = (
    (42, 32, 28),
    (78, 54, 36),
    (150, 110, 64),
    (28, 26, 28),
    (164, 160, 158),
    (120, 62, 36),
)
TOPS: tuple[Colour, ...] = (
    (178, 54, 52), (46, 78, 130), (220, 218, 210), (60, 62, 66), (72, 116, 84), (206, 164, 70),
    (126, 150, 176), (112, 74, 104), (150, 142, 128), (34, 36, 44), (196, 118, 84), (90, 128, 140),
)  # fmt: skip
TROUSERS: tuple[Colour, ...] = (
    (44, 50, 72),
    (38, 38, 42),
    (96, 92, 84),
    (70, 84, 112),
    (124, 108, 84),
    (58, 46, 42),
)
PLACARDS: tuple[Colour, ...] = ((236, 232, 220), (230, 206, 92), (208, 72, 60))
SHOES: tuple[Colour, ...] = ((36, 32, 30), (200, 198, 194), (84, 58, 42))

SPRITE_SIZES = (0.12, 0.22, 0.4, 0.7)
"""Heights of a person for which sprites are drawn, in picture heights."""

HIDES_M = 0.12
"""Scenery must be nearer than a person by this much to hide it: people are flat, chairs are not."""


@dataclass(frozen=True)
class Look:
    """`colours` are those of the MATERIALS, in their order."""

    body: Body
    colours: tuple[Colour, ...]
    stature_m: float


def random_look(rng: np.random.Generator, placard_share: float = 0.0) -> Look:
    def pick(colours: Sequence[Colour]) -> Colour:
        red, green, blue = np.clip(
            np.array(colours[int(rng.integers(len(colours)))]) + rng.integers(-10, 11, 3), 5, 250
        )
        return int(red), int(green), int(blue)

    body = replace(BODIES[rng.integers(len(BODIES))], placard=bool(rng.random() < placard_share))
    colours = tuple(pick(choice) for choice in (SKIN, HAIR, TOPS, TROUSERS, SHOES, TOPS, PLACARDS))
    return Look(body, colours, stature_m=float(rng.normal(1.72, 0.08)))


@dataclass(frozen=True)
class Sprite:
    """A premultiplied RGBA picture; the feet stand at `anchor` (pixels)."""

    rgba: np.ndarray
    height_px: int
    anchor: tuple[float, float]


@lru_cache(maxsize=400)
def sprite(look: Look, pose: Pose, phase: int, turn: int, tilt: int, height_px: int) -> Sprite:
    """A `Form` in the colours of a look."""
    drawn = form(look.body, pose, phase, turn, tilt, height_px)
    colour = drawn.light.astype(np.float32) @ (np.array(look.colours, np.float32) / FULL)
    rgba = np.dstack([np.minimum(colour, 255).astype(np.uint8), drawn.cover])
    return Sprite(rgba, height_px, drawn.anchor)


def draw_person(
    picture: Picture,
    look: Look,
    pose: Pose,
    phase: float,
    yaw: float,
    tilt: float,
    foot_px: tuple[float, float],
    height_px: float,
    light: float = 1.0,
    depth: float = 0.0,
    scenery_px: np.ndarray | None = None,
    reflection: float = 0.0,
) -> None:
    """Blend a person into `picture`.

    `phase` counts steps of two (1 is a full cycle), `yaw` is the body's turn from the view's direction and `tilt`
    how far the view looks down on it (radians); `height_px` is the height of an upright person there, `light`
    scales the colours, `scenery_px` (height, width) is the depth of the room, which hides a person at a greater
    `depth`, and `reflection` is what a polished floor gives back.
    """
    # Drawn at the next of a few sizes, so that scaling down never skips pixels.
    sizes = [round(share * picture.shape[0]) for share in SPRITE_SIZES]
    drawn = sprite(
        look,
        pose,
        round(phase * PHASES) % PHASES if pose in ("walk", "run") else 0,
        round(yaw / (2 * np.pi) * TURNS) % TURNS,
        int(np.clip(round(tilt / (np.pi / 2) * TILTS), 0, TILTS)),
        next((size for size in sizes if size >= height_px), sizes[-1]),
    )
    if reflection > 0:
        _blend(picture, drawn, foot_px, height_px, light, depth, scenery_px, reflection, flipped=True)
    _blend(picture, drawn, foot_px, height_px, light, depth, scenery_px)


def _blend(
    picture: Picture,
    drawn: Sprite,
    foot_px: tuple[float, float],
    height_px: float,
    light: float,
    depth: float,
    scenery_px: np.ndarray | None,
    opacity: float = 1.0,
    flipped: bool = False,
) -> None:
    scale = height_px / drawn.height_px
    source, step = drawn.rgba, scale
    left, top = foot_px[0] - scale * drawn.anchor[0], foot_px[1] - scale * drawn.anchor[1]
    width, height = scale * source.shape[1], scale * source.shape[0]
    if flipped:
        top, step = foot_px[1] + scale * drawn.anchor[1], -scale
    low = min(top, top + step * source.shape[0])
    x0, x1 = max(0, int(np.floor(left))), min(picture.shape[1], int(np.ceil(left + width)))
    y0, y1 = max(0, int(np.floor(low))), min(picture.shape[0], int(np.ceil(low + height)))
    if x0 >= x1 or y0 >= y1:
        return
    # Pixel centres: i + 0.5 of the source lands on left + (i + 0.5) * scale.
    warp = np.array([[scale, 0, left - x0 + 0.5 * scale - 0.5], [0, step, top - y0 + 0.5 * step - 0.5]])
    patch = cv2.warpAffine(source, warp, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
    if scenery_px is not None:
        patch[scenery_px[y0:y1, x0:x1] < depth - HIDES_M] = 0
    through = cv2.convertScaleAbs(patch[..., 3], alpha=-opacity, beta=255)
    part = picture[y0:y1, x0:x1]
    behind = cv2.multiply(part, cv2.cvtColor(through, cv2.COLOR_GRAY2RGB), scale=1 / 255)
    part[:] = cv2.add(behind, cv2.convertScaleAbs(patch[..., :3], alpha=light * opacity))


def draw_shadow(picture: Picture, foot_px: tuple[float, float], width_px: float, strength: float) -> None:
    """A soft dark pool on the floor under a person."""
    width, height = max(3, int(width_px)), max(2, int(0.36 * width_px))
    x, y = round(foot_px[0] - width / 2), round(foot_px[1] - height / 2)
    x0, x1, y0, y1 = max(0, x), min(picture.shape[1], x + width), max(0, y), min(picture.shape[0], y + height)
    if x0 >= x1 or y0 >= y1:
        return
    pool = cv2.resize(_pool(), (width, height), interpolation=cv2.INTER_AREA)[y0 - y : y1 - y, x0 - x : x1 - x]
    part = picture[y0:y1, x0:x1]
    part[:] = cv2.multiply(part, cv2.convertScaleAbs(pool, alpha=-strength, beta=255), scale=1 / 255)


@lru_cache(maxsize=1)
def _pool() -> np.ndarray:
    y, x = np.mgrid[-1:1:32j, -1:1:64j]
    pool = 255 * np.clip(1 - (x * x + y * y), 0, 1) ** 1.2
    return cv2.cvtColor(np.rint(pool).astype(np.uint8), cv2.COLOR_GRAY2RGB)
