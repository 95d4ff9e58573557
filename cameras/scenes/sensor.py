"""What a cheap sensor and lens add to a picture: noise, darker corners, 8 bits."""

import cv2
import numpy as np

from cameras.scenes.scene import Picture

POOL_MARGIN_PX = 96
"""Noise is drawn once, larger than a frame, and cropped at random: fresh normals cost 5 ms a frame."""


class Sensor:
    """Finishes frames of one camera: `develop` takes linear light, `expose` adds noise to a drawn picture."""

    def __init__(self, rng: np.random.Generator, size_px: tuple[int, int], noise: float = 2.0, corners: float = 0.2):
        width, height = size_px
        self.rng = rng
        shape = (height + POOL_MARGIN_PX, width + POOL_MARGIN_PX, 3)
        grain = rng.normal(0.0, noise, shape).astype(np.float32)
        # Neighbouring colour values of a sensor with a Bayer filter share part of their noise.
        grain = 0.8 * grain + 0.6 * rng.normal(0.0, noise, (*shape[:2], 1)).astype(np.float32)
        grain = np.rint(grain)
        self.above = np.clip(grain, 0, 255).astype(np.uint8)
        self.below = np.clip(-grain, 0, 255).astype(np.uint8)
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        shade = 1.0 - corners * ((x * x + y * y) / 2) ** 1.5
        self.corners = np.repeat(shade[..., None], 3, axis=2).astype(np.float32)

    def develop(self, light: np.ndarray) -> Picture:
        """Linear light in 0..1, (height, width, 3) float32, to grey levels: gamma 2 and darker corners."""
        picture = cv2.sqrt(cv2.multiply(cv2.max(light, 0.0), self.corners))
        return cv2.convertScaleAbs(picture, alpha=255.0)

    def expose(self, picture: Picture, rng: np.random.Generator | None = None) -> Picture:
        """A new picture with sensor noise, of about 2 grey levels by default; `rng` is a frame's own stream."""
        height, width = picture.shape[:2]
        y, x = (rng or self.rng).integers(0, POOL_MARGIN_PX, 2)
        crop = (slice(y, y + height), slice(x, x + width))
        return cv2.subtract(cv2.add(picture, self.above[crop]), self.below[crop])
