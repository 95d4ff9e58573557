"""Where frames come from. `open_source` looks at the source as it was registered and opens the right kind.

    rtsp:// rtsps:// rtmp:// srt:// …   stream.Stream: live video through PyAV
    http:// https://                    by content type: mjpeg.MjpegStream, snapshot.Snapshot, or a video
    a file                              video.VideoFile
    a folder                            tub.Tub where it holds a tub's records, else folder.ImageFolder

`${VAR}` references are filled in here, at the moment of opening; what messages show is the registered form, redacted.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from cameras.errors import SourceError
from cameras.secrets import expand, redact
from cameras.sources.failure import cannot_open
from cameras.sources.folder import ImageFolder
from cameras.sources.live import OPEN_TIMEOUT_S, READ_TIMEOUT_S, RECONNECTS, Broken
from cameras.sources.mjpeg import MJPEG, MjpegStream
from cameras.sources.snapshot import SNAPSHOT_KINDS, Snapshot
from cameras.sources.source import Source
from cameras.sources.stream import Stream
from cameras.sources.tub import Tub, is_tub
from cameras.sources.video import HTTP_OPTIONS, VideoFile
from cameras.sources.web import ContentType, WebAddress, last_modified

__all__ = ["OPEN_TIMEOUT_S", "READ_TIMEOUT_S", "RECONNECTS", "Probe", "Source", "open_source", "probe"]

_STREAMS = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "srt", "udp", "tcp", "rtp"})
_WEB = frozenset({"http", "https"})
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(/*)")


@dataclass(frozen=True, slots=True)
class Probe:
    """What a source turned out to be: its first frame's size, its own rate where it names one, and its kind."""

    width: int
    height: int
    fps: float | None
    live: bool
    kind: str


def open_source(
    source: str,
    fps: float,
    *,
    camera: str = "",
    reconnects: int = RECONNECTS,
    open_timeout_s: float = OPEN_TIMEOUT_S,
    read_timeout_s: float = READ_TIMEOUT_S,
) -> Source:
    """Open a source as it was registered, sampled at `fps` frames a second.

    Args:
        camera: the camera's id, for messages.
        reconnects: for live sources, tries in a row after a break before the iterator raises.
        open_timeout_s, read_timeout_s: for live sources.

    Raises:
        SourceError: a variable is not set, nothing is there, or what is there gives no frames.
    """
    timeouts = {"open_timeout_s": open_timeout_s, "read_timeout_s": read_timeout_s}
    try:
        address = expand(source)
    except SourceError as error:
        raise error.about(camera) from None
    scheme = _SCHEME.match(address)  # of what a reference holds, too: a whole address may be in ${CAM_URL}
    name = scheme[1].lower() if scheme else ""
    if scheme and (name in _STREAMS | _WEB or scheme[2].startswith("//")):
        if name not in _STREAMS | _WEB:
            known = "rtsp://, rtsps://, http://, https://, a video file or a folder"
            raise cannot_open(source, f"'{name}://' is not a kind of source", camera, f"give {known}")
        if not scheme[2].startswith("//"):
            raise cannot_open(source, "no such file or folder", camera, f"an address starts with {name}://")
        if name in _WEB:
            return _open_web(address, fps, source, camera, reconnects, timeouts)
        return Stream(address, fps, source=source, camera=camera, reconnects=reconnects, **timeouts)
    if not address.strip():  # or it would be the folder we are in
        raise SourceError("the source is empty", "give an address, a video file or a folder", camera)
    with contextlib.suppress(RuntimeError):  # the home folder of nobody: then it is a path like any other
        address = str(Path(address).expanduser())
    return _open_path(Path(address), fps, source, camera)


def probe(source: str, fps: float = 2.0, camera: str = "") -> Probe:
    """Open a source, read one frame, close it.

    Raises:
        SourceError: as `open_source`; a live source is not tried a second time.
    """
    with open_source(source, fps, camera=camera, reconnects=0) as opened:
        for frame in opened:
            height, width = frame.image.shape[:2]
            return Probe(width, height, opened.native_fps, opened.live, opened.kind)
    raise cannot_open(source, "it gives no frame", camera)


def _open_path(path: Path, fps: float, source: str, camera: str) -> Source:
    try:
        if path.is_dir():
            if is_tub(path):
                return Tub(path, source=source, camera=camera)
            return ImageFolder(path, fps, source=source, camera=camera)
        if path.is_file():
            return VideoFile.at(path, fps, source=source, camera=camera)
        missing = not path.exists()
    except (OSError, ValueError):  # no permission, a name too long, a zero byte
        raise cannot_open(source, "it cannot be read", camera, "check the path and its permissions") from None
    cause = "no such file or folder" if missing else "neither a file nor a folder"
    raise SourceError(f"{cause}: '{redact(source)}'", f"check the path with: ls {shlex.quote(redact(source))}", camera)


def _open_web(
    address: str, fps: float, source: str, camera: str, reconnects: int, timeouts: dict[str, float]
) -> Source:
    try:
        web = WebAddress(address, **timeouts)
        try:
            with web.get() as response:
                kind = ContentType.of(response).kind
                has_end = "content-length" in response.headers
                changed_at = last_modified(response)
                final = web.with_credentials(response.url)
        finally:
            web.close()
    except Broken as error:
        raise cannot_open(source, str(error), camera) from None
    if kind == MJPEG:
        return MjpegStream(address, fps, source=source, camera=camera, reconnects=reconnects, **timeouts)
    if kind in SNAPSHOT_KINDS:
        return Snapshot(address, fps, source=source, camera=camera, reconnects=reconnects, **timeouts)
    if kind.startswith("video/") and has_end:
        limits = (timeouts["open_timeout_s"], timeouts["read_timeout_s"])
        return VideoFile(
            final,
            fps,
            source=source,
            camera=camera,
            started_at=changed_at,
            timeout_s=limits,
            options=HTTP_OPTIONS,
        )
    if kind.startswith("video/"):
        return Stream(final, fps, source=source, camera=camera, reconnects=reconnects, **timeouts)
    raise cannot_open(
        source,
        f"it sends '{kind[:60] or 'no content type'}', neither video nor picture",
        camera,
        "give the address of the camera's MJPEG stream, its snapshot or its video",
    )
