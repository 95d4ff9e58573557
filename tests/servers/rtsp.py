"""An RTSP server for tests: an H.264 file, looped for ever at real time, on the loopback.

Two halves in one file. Run as a script by the system's Python, which has GStreamer's bindings, it serves; imported by
tests, `rtsp_server` starts that script, waits until it answers, and stops it surely.

    /usr/bin/python3 tests/servers/rtsp.py PORT FILE.h264 FPS [USER PASSWORD]

`appsrc` pushes access units with times of its own that always rise, so that nothing is transcoded and the loop has no
seam: 40 cameras take 36 MB.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

__all__ = ["RtspServer", "free_port", "missing_packages", "rtsp_server"]

SYSTEM_PYTHON = "/usr/bin/python3"
_START_TIMEOUT_S = 15.0


@dataclass
class RtspServer:
    """A running server. `url` has no credentials in it."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/camera"

    def kill(self) -> None:
        """As a camera that loses its power."""
        self.process.kill()
        self.process.wait(10)

    def freeze(self) -> None:
        """As a camera whose firmware hangs: connections stay, nothing comes."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@lru_cache(maxsize=1)
def missing_packages() -> str:
    """Why no server can be started here, or nothing."""
    check = "import gi; gi.require_version('Gst', '1.0'); gi.require_version('GstRtspServer', '1.0')\n"
    check += "from gi.repository import Gst, GstRtspServer; Gst.init(None)\n"
    check += "assert all(Gst.ElementFactory.find(e) for e in ('appsrc', 'rtph264pay'))"
    try:
        done = subprocess.run([SYSTEM_PYTHON, "-c", check], capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return f"no {SYSTEM_PYTHON} to run GStreamer's RTSP server"
    if done.returncode == 0:
        return ""
    return "apt-get install gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-base gstreamer1.0-plugins-good"


def free_port() -> int:
    """A port of the loopback that nobody listens on just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def rtsp_server(
    h264: Path, fps: float, *, user: str = "", password: str = "", port: int | None = None
) -> Iterator[RtspServer]:
    """A server that answers, stopped on leaving whatever state it is in.

    Args:
        h264: a raw H.264 file (Annex B) without B-frames, one access unit a frame.
    """
    port = port or free_port()
    command = [SYSTEM_PYTHON, __file__, str(port), str(h264), str(fps), *([user, password] if user else [])]
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(command, stdout=messages, stderr=messages, start_new_session=True)
        try:
            deadline = time.monotonic() + _START_TIMEOUT_S
            while not _answers(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    messages.seek(0)
                    raise RuntimeError(f"the RTSP server did not start: {messages.read().decode()[-2000:]}")
                time.sleep(0.05)
            yield RtspServer(process, port)
        finally:
            if process.poll() is None:
                process.kill()  # SIGKILL ends a stopped process too
            process.wait(10)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def access_units(data: bytes) -> list[bytes]:
    """Annex B bytes -> access units: each ends with the picture's slice; parameter sets go with the next picture."""
    starts = []
    at = data.find(b"\x00\x00\x01")
    while at >= 0:
        starts.append(at - 1 if at and data[at - 1] == 0 else at)
        at = data.find(b"\x00\x00\x01", at + 3)
    units, waiting = [], b""
    for start, end in zip(starts, [*starts[1:], len(data)]):  # noqa: B905 - the system's Python may be old
        nal = data[start:end]
        payload = nal.lstrip(b"\x00")[1:]
        kind = payload[0] & 0x1F
        first_slice = kind in (1, 5) and payload[1] & 0x80
        if (first_slice and waiting and _has_slice(waiting)) or (kind in (6, 7, 8, 9) and _has_slice(waiting)):
            units.append(waiting)
            waiting = b""
        waiting += nal
    return [*units, waiting] if waiting else units


def _has_slice(unit: bytes) -> bool:
    at = unit.find(b"\x00\x00\x01")
    while at >= 0:
        if unit[at + 3] & 0x1F in (1, 5):
            return True
        at = unit.find(b"\x00\x00\x01", at + 3)
    return False


def serve(port: int, h264: Path, fps: float, user: str, password: str) -> None:
    """Serve until killed; also until the parent is gone, so that a killed test run leaves nothing behind."""
    import gi  # type: ignore[import-not-found,unused-ignore]

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer  # type: ignore[import-not-found,unused-ignore]

    Gst.init(None)
    units = access_units(h264.read_bytes())
    step_ns = int(1e9 / fps)

    class Looped(GstRtspServer.RTSPMediaFactory):  # type: ignore[misc,unused-ignore]
        def do_create_element(self, url: object) -> object:
            # `is-live do-timestamp=false`: the sink paces the buffers by the times that we give them.
            launch = (
                "( appsrc name=source is-live=true format=time block=true max-bytes=200000 "
                "caps=video/x-h264,stream-format=byte-stream,alignment=au "
                "! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96 )"
            )
            if Gst.ElementFactory.find("h264parse") is None:  # of the "bad" plugins; the payloader parses, too
                launch = launch.replace("! h264parse config-interval=-1 ", "").replace(
                    "pt=96", "pt=96 config-interval=-1"
                )
            return Gst.parse_launch(launch)

        def do_configure(self, media: object) -> None:
            source = media.get_element().get_child_by_name("source")  # type: ignore[attr-defined]
            state = {"count": 0}

            def push(element: object, _length: int) -> None:
                count = state["count"]
                buffer = Gst.Buffer.new_wrapped(units[count % len(units)])
                buffer.pts = buffer.dts = count * step_ns
                buffer.duration = step_ns
                state["count"] = count + 1
                element.emit("push-buffer", buffer)  # type: ignore[attr-defined]

            source.connect("need-data", push)

    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(port))
    factory = Looped()
    factory.set_shared(True)
    if user:
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        server.set_auth(auth)
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_permission_for_role("viewer", "media.factory.access", True)
        permissions.add_permission_for_role("viewer", "media.factory.construct", True)
        factory.set_permissions(permissions)
    server.get_mount_points().add_factory("/camera", factory)
    server.attach(None)
    parent = os.getppid()
    loop = GLib.MainLoop()

    def leave_with_parent() -> bool:
        if os.getppid() != parent:
            loop.quit()
        return True

    GLib.timeout_add(500, leave_with_parent)
    loop.run()


if __name__ == "__main__":
    arguments = [*sys.argv[1:], "", ""]
    serve(int(arguments[0]), Path(arguments[1]), float(arguments[2]), arguments[3], arguments[4])
