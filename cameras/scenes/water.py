"""Drops of water on a lens: each shows the view blurred and upside down, stays, slides or dries up."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from cameras.scenes.scene import Picture, Plan, Span


@dataclass(frozen=True)
class Drop:
    """Place and size in picture heights; `ripple` makes it less round than a circle."""

    x: float
    y: float
    radius: float
    lands: float
    dries: float
    slides_from: float
    slide_per_s: float
    ripple: tuple[float, float, float]


def drops_on_lens(plan: Plan, event: Span) -> Callable[[Picture, int], Picture]:
    """Draws the drops of one event into a picture; each of its frames has some."""
    height = plan.size_px[1]
    drops = _fall(plan, event)

    def wet(picture: Picture, frame: int) -> Picture:
        blurred = cv2.GaussianBlur(picture, (0, 0), 0.011 * height)
        for drop in drops:
            if drop.lands <= frame < drop.dries:
                _draw(picture, blurred, drop, max(0.0, frame - drop.slides_from) / plan.fps)
        return picture

    return wet


def _fall(plan: Plan, event: Span) -> list[Drop]:
    """Some drops lie there at once, more land later; the last ones stay to the event's last frame."""
    rng = plan.rng(f"water {event.start}")
    aspect = plan.size_px[0] / plan.size_px[1]
    first, later = int(rng.integers(9, 16)), int(rng.integers(4, 12))
    drops = []
    for index in range(first + later):
        lands = event.start if index < first else event.start + float(rng.uniform(0, 0.7)) * len(event)
        dries = event.stop if index % 3 else event.start + float(rng.uniform(0.5, 1.0)) * len(event)
        slides = rng.random() < 0.3
        drops.append(
            Drop(
                x=float(rng.uniform(0.02, 0.98)) * aspect,
                y=float(rng.uniform(0.04, 0.96)),
                radius=float(np.clip(rng.lognormal(np.log(0.075), 0.45), 0.03, 0.17)),
                lands=lands,
                dries=max(dries, lands + 1),
                slides_from=lands + float(rng.uniform(0, 8)) * plan.fps if slides else np.inf,
                slide_per_s=float(rng.uniform(0.01, 0.08)),
                ripple=(
                    float(rng.uniform(0, 0.12)),
                    float(rng.uniform(0, 2 * np.pi)),
                    float(rng.uniform(0.9, 1.25)),
                ),
            )
        )
    return drops


def _draw(picture: Picture, blurred: Picture, drop: Drop, slid_s: float) -> None:
    """A thick lens: what is seen through it is the whole view, small and turned by half a circle."""
    height, width = picture.shape[:2]
    radius = drop.radius * height
    amount, angle, tall = drop.ripple
    tall += min(0.5, 0.2 * slid_s)
    cx, cy = drop.x * height, (drop.y + drop.slide_per_s * slid_s) * height
    x0, x1 = max(0, int(cx - 1.3 * radius)), min(width, int(cx + 1.3 * radius) + 2)
    y0, y1 = max(0, int(cy - 1.3 * tall * radius)), min(height, int(cy + 1.3 * tall * radius) + 2)
    if x0 >= x1 or y0 >= y1:
        return
    y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32)
    u, v = (x - cx) / radius, (y - cy) / (radius * tall)
    turn = np.arctan2(v, u)
    rim = np.sqrt(u * u + v * v) / (1 + amount * np.cos(2 * turn + angle) + 0.5 * amount * np.cos(3 * turn - angle))
    cover = np.clip((1 - rim) * radius / 2.2, 0, 1)
    strong = 0.35 + 0.15 * rim * rim
    map_x = (width * (0.5 - strong * u * 0.55) * 0.6 + 0.4 * (cx - u * radius)).astype(np.float32)
    map_y = (height * (0.5 - strong * v * 0.8) * 0.7 + 0.3 * (cy - v * radius)).astype(np.float32)
    seen = cv2.remap(blurred, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101).astype(np.float32)
    # Dark at the upper rim, bright at the lower one, and a glint: light from above goes through a drop.
    seen *= (1.04 - 0.5 * np.clip(rim, 0, 1) ** 6 + 0.16 * np.clip(v, -1, 1))[..., None]
    glint = np.exp(-(np.square(u + 0.32) + np.square(v + 0.38)) / 0.018)
    seen += 130 * glint[..., None]
    part = picture[y0:y1, x0:x1]
    alpha = 0.94 * cover[..., None]
    part[:] = np.clip(part * (1 - alpha) + seen * alpha, 0, 255)
