"""From a source's frame to what a model sees: one function, used before training and before scoring.

mask -> crop -> resize -> grey. Masks come first, so that not even a resized pixel mixes with what they hide.
"""

from __future__ import annotations

import base64
from functools import lru_cache

import cv2
import numpy as np

from cameras.camera import Polygon, Preprocessing
from cameras.errors import FrameError
from cameras.images import decode_image

__all__ = ["burn_masks", "check_aspect", "preprocess", "valid_pixels"]

ASPECT_TOLERANCE = 0.1  # substreams of a camera differ from its main stream by less; other cameras by more


def preprocess(image: np.ndarray, prep: Preprocessing) -> np.ndarray:
    """RGB uint8 (height, width, 3) -> uint8 (size.height, size.width), or (…, 3) in colour."""
    image = burn_masks(image, prep)
    if prep.crop is not None:
        left, top, right, bottom = _crop_px(prep, image.shape[1], image.shape[0])
        image = image[top:bottom, left:right]
    if not prep.color:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if (image.shape[1], image.shape[0]) != tuple(prep.size):
        # INTER_AREA averages what it shrinks and so keeps noise and aliasing out of the model.
        image = cv2.resize(image, tuple(prep.size), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(image)


def burn_masks(image: np.ndarray, prep: Preprocessing) -> np.ndarray:
    """The image with every masked pixel black; the same array where there is no mask."""
    if not prep.masks and not prep.mask_png:
        return image
    height, width = image.shape[:2]
    image = image.copy()
    for polygon in prep.masks:
        cv2.fillPoly(image, [_corners(polygon, width, height)], (0, 0, 0))
    if prep.mask_png:
        image[_picture(prep.mask_png, width, height)] = 0
    return image


def valid_pixels(prep: Preprocessing) -> np.ndarray | None:
    """Which pixels of a preprocessed frame count: bool (size.height, size.width), or None for all of them.

    A pixel that any masked pixel of the source went into counts no more than the masked ones: the edge is left out.
    """
    scale = 4
    width, height = prep.size.width * scale, prep.size.height * scale
    if prep.crop is not None:  # rasterise so finely that the cropped part has `scale` pixels a working pixel
        left, top, right, bottom = prep.crop
        width, height = round(width / (right - left)), round(height / (bottom - top))
    if not prep.masks and not prep.mask_png:
        return None
    hidden = burn_masks(np.ones((height, width), np.uint8), prep) == 0
    if prep.crop is not None:
        x0, y0, x1, y1 = _crop_px(prep, width, height)
        hidden = hidden[y0:y1, x0:x1]
    share = cv2.resize(hidden.astype(np.float32), tuple(prep.size), interpolation=cv2.INTER_AREA)
    return ~cv2.dilate((share > 0).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)


def check_aspect(width: int, height: int, trained: tuple[int, int]) -> None:
    """Refuse a picture that cannot be of the camera that a model was trained on.

    Args:
        trained: width and height of the frames that the model was trained on.

    Raises:
        FrameError: its sides are in another proportion, or it is smaller than 16 pixels.
    """
    if min(width, height) < 16:
        raise FrameError(f"the picture is only {width}x{height}", "send a frame of at least 16x16")
    ratio = (width / height) / (trained[0] / trained[1])
    if not 1 - ASPECT_TOLERANCE <= ratio <= 1 + ASPECT_TOLERANCE:
        raise FrameError(
            f"the picture is {width}x{height}, the model was trained on {trained[0]}x{trained[1]}",
            "send a frame of this camera, or retrain if the camera was changed",
        )


def _crop_px(prep: Preprocessing, width: int, height: int) -> tuple[int, int, int, int]:
    assert prep.crop is not None
    left, top, right, bottom = prep.crop
    x0, y0 = int(left * width), int(top * height)
    return x0, y0, max(x0 + 1, round(right * width)), max(y0 + 1, round(bottom * height))


def _corners(polygon: Polygon, width: int, height: int) -> np.ndarray:
    return np.rint([(x * (width - 1), y * (height - 1)) for x, y in polygon]).astype(np.int32)


def _picture(mask_png: str, width: int, height: int) -> np.ndarray:
    """What a mask's picture hides in a frame of this size: bool (height, width)."""
    return cv2.resize(_decoded(mask_png), (width, height), interpolation=cv2.INTER_NEAREST).astype(bool)


@lru_cache(maxsize=64)
def _decoded(mask_png: str) -> np.ndarray:
    """A mask's picture at its own size: uint8 (height, width), 1 where it hides."""
    picture: np.ndarray = decode_image(base64.b64decode(mask_png), "the mask").max(axis=2) > 0
    return picture.astype(np.uint8)
