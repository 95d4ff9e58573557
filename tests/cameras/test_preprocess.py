from __future__ import annotations

import base64

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cameras.camera import Polygon, Preprocessing, Size
from cameras.errors import FrameError
from cameras.images import encode_png
from cameras.preprocess import burn_masks, check_aspect, preprocess, valid_pixels

SHARES = st.floats(0, 1).map(lambda share: round(share, 3))
POLYGONS = st.lists(st.tuples(SHARES, SHARES), min_size=3, max_size=6).map(tuple)
CROPS = st.none() | st.tuples(SHARES, SHARES, SHARES, SHARES).filter(
    lambda crop: crop[2] - crop[0] > 0.3 and crop[3] - crop[1] > 0.3
)


def noise(width: int, height: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_the_working_size_and_colour() -> None:
    image = noise(320, 240)
    assert preprocess(image, Preprocessing(size=Size(96, 64))).shape == (64, 96)
    assert preprocess(image, Preprocessing(size=Size(96, 64), color=True)).shape == (64, 96, 3)
    assert preprocess(image, Preprocessing(size=Size(96, 64))).dtype == np.uint8


def test_a_frame_of_the_working_size_is_only_greyed() -> None:
    image = noise(96, 64)
    assert (preprocess(image, Preprocessing()) == cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)).all()
    assert (preprocess(image, Preprocessing(color=True)) == image).all()


def test_a_crop_is_cut_before_the_resize() -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    image[50:, 100:] = 255
    assert (preprocess(image, Preprocessing(crop=(0.5, 0.5, 1, 1))) == 255).all()
    assert (preprocess(image, Preprocessing(crop=(0, 0, 0.5, 0.5))) == 0).all()


def test_without_a_mask_nothing_is_copied_and_everything_counts() -> None:
    image = noise(64, 48)
    assert burn_masks(image, Preprocessing()) is image
    assert valid_pixels(Preprocessing()) is None


def test_burning_leaves_the_source_frame_alone() -> None:
    image = noise(64, 48)
    before = image.copy()
    burnt = burn_masks(image, Preprocessing(masks=(((0, 0), (1, 0), (1, 0.5), (0, 0.5)),)))
    assert (image == before).all()
    assert not burnt[:23].any()
    assert (burnt[26:] == image[26:]).all()


def test_a_mask_picture_hides_what_is_not_black_in_it() -> None:
    picture = np.zeros((10, 10), np.uint8)
    picture[:, 5:] = 1
    prep = Preprocessing(mask_png=base64.b64encode(encode_png(picture)).decode())
    burnt = burn_masks(noise(100, 50), prep)
    assert not burnt[:, 50:].any()
    assert burnt[:, :50].any(axis=2).mean() > 0.99
    valid = valid_pixels(prep)
    assert valid is not None
    assert valid[:, :46].all()
    assert not valid[:, 47:].any()


@settings(deadline=None, max_examples=60)
@given(st.lists(POLYGONS, min_size=1, max_size=3).map(tuple), CROPS, st.booleans(), st.integers(0, 1000))
def test_nothing_under_a_mask_can_change_what_a_model_sees(
    masks: tuple[Polygon, ...], crop: tuple[float, float, float, float] | None, color: bool, seed: int
) -> None:
    prep = Preprocessing(masks=masks, crop=crop, color=color, size=Size(48, 32))
    image = noise(200, 150, seed)
    hidden = (burn_masks(np.full_like(image, 255), prep) == 0).all(axis=2)
    assume(hidden.any())
    other = image.copy()
    other[hidden] = noise(200, 150, seed + 1)[hidden]
    assert (preprocess(image, prep) == preprocess(other, prep)).all()


@settings(deadline=None, max_examples=60)
@given(POLYGONS, CROPS, st.sampled_from([(24, 16), (97, 61), (200, 150), (640, 360)]))
def test_a_valid_pixel_holds_nothing_of_a_masked_one(
    mask: Polygon, crop: tuple[float, float, float, float] | None, source: tuple[int, int]
) -> None:
    """Burn a mask into a white frame: whatever is not white any more must not be valid.

    Only a crop that leaves fewer pixels than the working size has may be off at a mask's edge.
    """
    assume(crop is None or source[0] >= 200)
    prep = Preprocessing(masks=(mask,), crop=crop, size=Size(24, 16))
    seen = preprocess(np.full((source[1], source[0], 3), 255, np.uint8), prep)
    valid = valid_pixels(prep)
    assert valid is not None
    assert valid.shape == seen.shape
    assert (seen[valid] == 255).all()


def test_a_mask_that_hides_all_leaves_nothing_valid() -> None:
    prep = Preprocessing(masks=(((0, 0), (1, 0), (1, 1), (0, 1)),))
    assert not preprocess(noise(200, 150), prep).any()
    assert not valid_pixels(prep).any()  # type: ignore[union-attr]


def test_a_picture_of_another_camera_is_refused() -> None:
    check_aspect(1280, 720, (640, 360))
    check_aspect(704, 576, (640, 480))  # a substream: 8 % off
    with pytest.raises(FrameError, match="1280x720, the model was trained on 640x480"):
        check_aspect(1280, 720, (640, 480))
    with pytest.raises(FrameError, match="only 8x8"):
        check_aspect(8, 8, (640, 640))
