"""RTSP, RTSPS and other live video through PyAV.

PyAV and not `cv2.VideoCapture`: OpenCV opens the streams of a process one at a time. TCP and not UDP: a lost packet
smears every frame up to the next keyframe, and a smear is an anomaly. A camera's TLS certificate is not checked, as
cameras sign their own; https:// is checked.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import av
import av.error
import av.logging
import numpy as np
from av.video.frame import VideoFrame

from cameras.sources.failure import why
from cameras.sources.live import OPEN_TIMEOUT_S, READ_TIMEOUT_S, RECONNECTS, Broken, LiveSource
from cameras.sources.video import HTTP_OPTIONS, to_rgb, video_stream

__all__ = ["Stream"]

_RTSP_OPTIONS = {
    "rtsp_transport": "tcp",
    "allowed_media_types": "video",  # sound would keep a stream alive whose picture has stopped
}
_OPTIONS = {
    "analyzeduration": "100000",  # microseconds: open in a tenth of a second, not in five
    "fpsprobesize": "0",
    "fflags": "nobuffer",
}


class Stream(LiveSource):
    """Live video; `address` is the expanded URL and is never shown, `source` is what was registered.

    Raises:
        SourceError: on construction when it does not open, on iteration when it broke for good.
    """

    def __init__(
        self,
        address: str,
        fps: float,
        *,
        source: str,
        camera: str = "",
        reconnects: int = RECONNECTS,
        open_timeout_s: float = OPEN_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        super().__init__(fps, source=source, camera=camera, reconnects=reconnects, read_timeout_s=read_timeout_s)
        self._address, self._open_timeout_s = address, open_timeout_s
        self.start()

    @contextmanager
    def connect(self) -> Iterator[Iterator[VideoFrame]]:
        rtsp, http = (self._address.lower().startswith(name) for name in ("rtsp", "http"))
        asked_at = time.monotonic()
        options = {**_OPTIONS, **(_RTSP_OPTIONS if rtsp else {}), **(HTTP_OPTIONS if http else {})}
        try:
            container = av.open(self._address, timeout=(self._open_timeout_s, self._read_timeout_s), options=options)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            if isinstance(error, av.error.InvalidDataError):
                # Also what FFmpeg says when it was interrupted between a request and its answer.
                late = time.monotonic() - asked_at > 0.95 * self._open_timeout_s
                late_words = f"timed out after {self._open_timeout_s:g} s"
                raise Broken(late_words if late else "what it answers is no video stream") from None
            raise Broken(why(error, self._address, self._open_timeout_s)) from None
        try:
            stream = video_stream(container)
            if stream is None:
                raise Broken("it holds no video stream")
            codec = stream.codec_context
            codec.thread_count = 1  # threads of frames would each hold one back, and there is a stream a camera
            scheme = self._address.partition(":")[0].upper()
            self.kind = f"{scheme} stream ({codec.name})"
            # fpsprobesize 0 leaves FFmpeg guessing the clock's rate; a rate above any camera's is such a guess.
            rate = float(stream.average_rate or stream.base_rate or 0)
            self.native_fps = rate if 0 < rate <= 240 else None
            yield self._frames(container.demux(stream))
        finally:
            container.close()

    def _frames(self, packets: Iterator[av.Packet]) -> Iterator[VideoFrame]:
        heard_at = time.monotonic()
        try:
            for packet in packets:
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError:  # until the first keyframe, and after a loss
                    frames = []
                for frame in frames:
                    heard_at = time.monotonic()
                    yield frame
                if time.monotonic() - heard_at > self._read_timeout_s:
                    raise Broken(f"no picture for {self._read_timeout_s:g} s")
        except av.error.ExitError:
            raise Broken(f"no picture for {self._read_timeout_s:g} s") from None
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise Broken(why(error, "", self._read_timeout_s)) from None

    def decode(self, raw: VideoFrame) -> np.ndarray:
        return to_rgb(raw)
