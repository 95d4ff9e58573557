"""Video files, through PyAV, sampled by presentation time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import av
import av.error
import av.logging
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from cameras.errors import SourceError
from cameras.frame import Frame
from cameras.sources.failure import cannot_open, why
from cameras.sources.source import Source

__all__ = ["HTTP_OPTIONS", "VideoFile", "to_rgb", "video_stream"]

# FFmpeg writes addresses, with their passwords, and a line for every damaged macroblock to standard error.
av.logging.set_level(None)

# All but the demuxers that read other files or addresses than the one they were given, and the one that makes a video
# of any text. FFmpeg asks before it opens one: a playlist of addresses would keep it busy for minutes.
_REFUSED_FORMATS = frozenset({"tty", "concat", "hls", "dash", "imf", "sdp", "rtsp", "rtp", "webm_dash_manifest"})
_FORMATS = ",".join(sorted(av.formats_available - _REFUSED_FORMATS))

# For what is fetched over HTTP: no other protocol, nowhere else, and not through a proxy of the environment, which
# would be told the whole address, and does not reach a camera next door.
HTTP_OPTIONS = {
    "protocol_whitelist": "http,https,tcp,tls",
    "max_redirects": "0",
    "http_proxy": "",
    "format_whitelist": _FORMATS,
}

_DAMAGED_IN_A_ROW = 1000  # packets; a file is given up after that many that neither the demuxer nor the decoder takes


class VideoFile(Source):
    """A video that has an end: a file, or one that a web server sends with its length.

    At or above the file's own rate every frame is given once; below it, the one nearest to each 1/fps s.
    A damaged packet costs the frames in it. The frames after it keep their places where the container hands damaged
    packets on (MP4, Matroska); where it drops them without a word (MPEG-TS, AVI) they move up.

    Raises:
        SourceError: no such file, empty, unknown format, damaged from the start, or without a picture.
    """

    def __init__(
        self,
        address: str,
        fps: float,
        *,
        source: str,
        camera: str = "",
        started_at: datetime,
        timeout_s: tuple[float, float] | None = None,
        options: dict[str, str] | None = None,
    ) -> None:
        """Args: address: what FFmpeg opens; source: as registered, for messages; started_at: when pts 0 was."""
        self._fps, self._source, self._camera, self._started_at = fps, source, camera, started_at
        self._remedy = "copy the file again, or give another one" if address.startswith("file:") else ""
        try:
            self._container: InputContainer = av.open(
                address, timeout=timeout_s, options={"format_whitelist": _FORMATS, **(options or {})}
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise self._error(why(error, address, timeout_s[0] if timeout_s else 0)) from None
        try:
            self._stream = video_stream(self._container)
            if self._stream is None:
                raise self._error("it holds no video stream")
        except BaseException:
            self._container.close()
            raise
        # One thread: two are no faster (2,040 against 1,790 frames/s at 768x432), and other cameras need the rest.
        self._stream.codec_context.thread_count = 1
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.native_fps = float(rate) if rate else None
        self.kind = f"{self._stream.codec_context.name} video file"

    @classmethod
    def at(cls, path: Path, fps: float, *, source: str, camera: str = "") -> VideoFile:
        """The video file at a path; its modification time is taken for its first frame's."""
        status = path.stat()
        if status.st_size == 0:
            raise cannot_open(source, "the file is empty (0 bytes)", camera, "check the path, or copy the file again")
        return cls(
            f"file:{path}",  # or FFmpeg would take `a:b.mp4` for a protocol
            fps,
            source=source,
            camera=camera,
            started_at=datetime.fromtimestamp(status.st_mtime, UTC),
            options={"protocol_whitelist": "file"},
        )

    def __iter__(self) -> Iterator[Frame]:
        step_s = 1 / (self.native_fps or 25.0)
        take_all = self.native_fps is not None and self._fps >= self.native_fps * 0.999
        slot_taken = -1
        for frame, index, time_s in self._frames(step_s):
            # Not a whole half frame, which would be a tie; without it 33 ms would miss the slot of 1/30 s.
            slot = int((time_s + 0.4 * step_s) * self._fps)
            if take_all or slot > slot_taken:
                slot_taken = slot
                yield Frame(to_rgb(frame), self._started_at + timedelta(seconds=time_s), index)

    def _frames(self, step_s: float) -> Iterator[tuple[VideoFrame, int, float]]:
        """Every frame that decodes, with its place in the file and its time since the first frame.

        Times always grow: a missing one is filled in, and one that jumps back (files joined together) goes on from
        where the time was.
        """
        first_s: float | None = None
        time_s, index = -step_s, -1
        damaged = 0
        for frame in self._decode():
            if frame is None:
                damaged += 1
                continue
            raw_s = frame.time
            if first_s is None:
                first_s = raw_s
            if raw_s is None or first_s is None:
                time_s += step_s
            else:
                if raw_s - first_s <= time_s:
                    first_s = raw_s - time_s - step_s
                previous_s, time_s = time_s, raw_s - first_s
            index += 1
            if damaged and raw_s is not None and index > 0:
                # The gap in time tells how many frames were lost; a damaged packet need not be one of them.
                index += max(0, round((time_s - previous_s) / step_s) - 1)
            damaged = 0
            yield frame, index, time_s
        if index < 0:
            raise self._error("no frame of it can be decoded: damaged")

    def _decode(self) -> Iterator[VideoFrame | None]:
        """Decoded frames in presentation order; None for each packet that is damaged."""
        in_a_row = 0
        while in_a_row < _DAMAGED_IN_A_ROW:
            try:
                for packet in self._container.demux(self._stream):
                    try:
                        frames = packet.decode()
                    except (av.error.FFmpegError, ValueError):
                        in_a_row += 1
                        yield None
                        if in_a_row >= _DAMAGED_IN_A_ROW:
                            return
                        continue
                    for frame in frames:
                        in_a_row = 0
                        yield cast(VideoFrame, frame)
                return
            except av.error.EOFError:
                return
            except (av.error.FFmpegError, OSError):  # the demuxer stumbled: it goes on at its next packet
                in_a_row += 1
                yield None

    def _error(self, cause: str) -> SourceError:
        return cannot_open(self._source, cause, self._camera, self._remedy)

    def close(self) -> None:
        self._container.close()


def video_stream(container: InputContainer) -> VideoStream | None:
    """The first video stream that moves: the cover picture of a song is none."""
    for stream in container.streams.video:
        if "attached_pic" not in str(stream.disposition).lower():
            return stream
    return None


def to_rgb(frame: VideoFrame) -> np.ndarray:
    """A decoded frame -> RGB uint8 (height, width, 3), upright where the file says how it was held."""
    image = frame.to_ndarray(format="rgb24")
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image
