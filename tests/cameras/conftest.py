"""Pictures, videos and folders for the tests of cameras, made on the spot."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from cameras.images import encode_jpeg

MTIME = 1_700_000_000.25  # 2023-11-14 22:13:20.25 UTC


def picture(number: int, width: int = 64, height: int = 48) -> np.ndarray:
    """A picture that says which one it is: its number in eight bright or dark columns."""
    columns = np.array([200 if number >> bit & 1 else 40 for bit in range(8)], np.uint8)
    row = np.repeat(columns, width // 8)
    return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (height, width, 3)))


def number_of(image: np.ndarray) -> int:
    """The number that `picture` drew, after any compression."""
    width = image.shape[1] // 8
    middle = image[image.shape[0] // 2, width // 2 :: width, 1]
    return sum(1 << bit for bit, value in enumerate(middle[:8]) if value > 120)


@pytest.fixture
def make_video(tmp_path: Path) -> Callable[..., Path]:
    """Writes a video of numbered pictures; its modification time is `MTIME`."""

    def make(
        name: str = "dock.mp4", frames: int = 30, fps: Fraction | float = 10, *, times_s: list[float] | None = None,
        codec: str = "libx264", options: dict[str, str] | None = None,
    ) -> Path:  # fmt: skip
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            stream = container.add_stream(
                codec,
                rate=Fraction(fps).limit_denominator(1001),
                options={"g": "10", "preset": "ultrafast", **(options or {})},
            )
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            if times_s is not None:
                stream.codec_context.time_base = Fraction(1, 1000)
            for number in range(frames):
                frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
                if times_s is not None:
                    frame.pts, frame.time_base = round(times_s[number] * 1000), Fraction(1, 1000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        os.utime(path, (MTIME, MTIME))
        return path

    return make


def write_pictures(folder: Path, names: list[str], *, first: int = 0) -> None:
    """JPEGs of numbered pictures; the modification time of each is `MTIME`."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names, first):
        (folder / name).write_bytes(encode_jpeg(picture(number)))
        os.utime(folder / name, (MTIME, MTIME))
