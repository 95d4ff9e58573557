from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cameras.errors import FrameError
from cameras.images import MAX_PIXELS, decode_image, encode_jpeg, encode_png

NOISE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def test_png_keeps_every_pixel_and_the_order_of_colours() -> None:
    assert (decode_image(encode_png(NOISE)) == NOISE).all()
    assert decode_image(encode_png(NOISE)).flags.writeable


def test_jpeg_keeps_the_order_of_colours() -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 200
    again = decode_image(encode_jpeg(red))
    assert again[..., 0].mean() > 190
    assert again[..., 2].mean() < 10


def test_grey_becomes_three_equal_colours() -> None:
    image = decode_image(encode_png(NOISE[..., 0]))
    assert image.shape == (24, 32, 3)
    assert (image == NOISE[..., :1]).all()


def test_sixteen_bits_keep_their_upper_half() -> None:
    """A thermal camera's PNG: Pillow alone would clip everything above 255 to white."""
    deep = (np.arange(24 * 32).reshape(24, 32) * 80).astype(np.uint16)
    image = decode_image(saved(Image.fromarray(deep), "PNG"))
    assert (image[..., 0] == deep >> 8).all()


def test_a_palette_with_transparency_and_cmyk_are_pictures_too() -> None:
    picture = Image.fromarray(NOISE)
    assert decode_image(saved(picture.convert("P"), "PNG", transparency=b"\x00\x10")).shape == NOISE.shape
    assert decode_image(saved(picture.convert("CMYK"), "JPEG")).shape == NOISE.shape


def test_every_truncation_is_refused_by_name() -> None:
    whole = encode_jpeg(NOISE)
    for length in range(0, len(whole) - 2, 37):
        with pytest.raises(FrameError, match=r"^dock\.jpg is (empty|no JPEG|truncated)"):
            decode_image(whole[:length], "dock.jpg")


@settings(deadline=None)
@given(
    st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\x00"])
)
def test_rubbish_is_a_frame_error_and_nothing_else(rubbish: bytes, start: bytes) -> None:
    with pytest.raises(FrameError):
        decode_image(start + rubbish)


@pytest.mark.parametrize("side", [8_000, 10_000, 60_000])
def test_a_picture_that_claims_to_be_huge_is_refused_before_it_is_decoded(side: int) -> None:
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    with pytest.raises(FrameError, match="pixels"):
        decode_image(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 100) + b"IDAT")
    assert side * side > MAX_PIXELS


def test_other_formats_are_refused() -> None:
    with pytest.raises(FrameError, match="no JPEG or PNG"):
        decode_image(saved(Image.fromarray(NOISE), "BMP"))
