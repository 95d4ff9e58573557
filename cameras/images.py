"""Pictures to and from bytes. RGB everywhere inside; OpenCV's BGR never leaves this file."""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from cameras.errors import FrameError

__all__ = ["MAX_PIXELS", "decode_image", "encode_jpeg", "encode_png"]

MAX_PIXELS = 50_000_000  # 8K is 33 million; the header is read before anything is decoded


def decode_image(data: bytes, name: str = "the picture") -> np.ndarray:
    """JPEG or PNG bytes -> RGB uint8 (height, width, 3).

    Pillow decodes, not OpenCV: it refuses a truncated file, where OpenCV returns a half-grey picture without a word.

    Raises:
        FrameError: empty, truncated, neither JPEG nor PNG, or of more than `MAX_PIXELS`; it starts with `name`.
    """
    if not data:
        raise FrameError(f"{name} is empty (0 bytes)", "send a JPEG or PNG")
    try:
        picture: Image.Image = Image.open(io.BytesIO(data), formats=["JPEG", "PNG"])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise FrameError(f"{name} has far too many pixels", f"send at most {MAX_PIXELS} pixels") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        raise FrameError(f"{name} is no JPEG or PNG ({len(data)} bytes)", "send a JPEG or PNG") from None
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise FrameError(f"{name} has {width}x{height} pixels", f"send at most {MAX_PIXELS} pixels")
    try:
        if picture.mode.startswith("I;16"):  # Pillow would clip 16 bits at 255: a thermal camera's would be all white
            return np.repeat((np.asarray(picture) >> 8).astype(np.uint8)[:, :, None], 3, axis=2)
        if "transparency" in picture.info:
            picture = picture.convert("RGBA")  # Pillow's own advice for palettes, by a warning
        return np.array(picture.convert("RGB"))  # a copy: what Pillow lends cannot be written to
    except (OSError, SyntaxError, ValueError, MemoryError):
        raise FrameError(f"{name} is truncated or damaged", "send or copy the whole file again") from None


def encode_jpeg(image: np.ndarray, quality: int = 90) -> bytes:
    """RGB (height, width, 3) or grey (height, width) uint8 -> JPEG bytes."""
    return _encode(image, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality])


def encode_png(image: np.ndarray) -> bytes:
    """RGB (height, width, 3) or grey (height, width) uint8 -> PNG bytes, lossless."""
    return _encode(image, ".png", [cv2.IMWRITE_PNG_COMPRESSION, 3])


def _encode(image: np.ndarray, extension: str, options: list[int]) -> bytes:
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    done, data = cv2.imencode(extension, bgr, options)
    if not done:
        raise FrameError(f"a picture of shape {image.shape} could not be written as {extension}")
    return data.tobytes()
