"""Frames into an H.264 file, as a camera's recorder would write them."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2

from cameras.scenes.scene import Picture

CRF = 20
GOP_S = 2.0
PRESET = "ultrafast"
"""Sensor noise does not compress: veryfast takes two to five times as long for two thirds of the bytes."""


def write_h264(path: Path, frames: Iterable[Picture], fps: float, size_px: tuple[int, int]) -> int:
    """Encode RGB frames to an MP4 of H.264 yuv420p and return how many there were.

    One encoder thread: the same frames give the same bytes, and two scenes can be written side by side.
    """
    rate = Fraction(fps).limit_denominator(1001)
    gop = max(1, round(GOP_S * fps))
    count = 0
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height = size_px
        stream.pix_fmt = "yuv420p"
        stream.time_base = 1 / rate
        stream.codec_context.thread_count = 1
        stream.options = {"crf": str(CRF), "preset": PRESET, "x264-params": "deblock=1:subme=1", "g": str(gop)}
        for picture in frames:
            # OpenCV converts in a third of the time of swscale, to the same BT.601 limited range.
            frame = av.VideoFrame.from_ndarray(cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420), format="yuv420p")
            frame.pts = count
            frame.time_base = 1 / rate
            container.mux(stream.encode(frame))
            count += 1
        container.mux(stream.encode())
    return count
