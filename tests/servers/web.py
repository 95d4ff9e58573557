"""A web camera for tests, on the loopback: MJPEG, snapshots, a video, redirects, passwords, and misbehaviour."""

from __future__ import annotations

import base64
import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["WebCamera", "web_camera"]

Reply = Callable[[BaseHTTPRequestHandler], None]


class WebCamera(ThreadingHTTPServer):
    """Answers each path by its entry in `replies`; asks for `credentials` first where there are some."""

    daemon_threads = True
    # A thread that still sends an endless stream ends with its connection, not before the server does.
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replies: dict[str, Reply] = {}
        self.credentials: tuple[str, str] | None = None
        self.digest = False
        self.asked: list[tuple[str, str]] = []  # path and Authorization header of each request
        self.stopping = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def body(self, path: str, kind: str, data: bytes) -> None:
        """Answer a path with a whole body."""

        def reply(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.send_header("Content-Type", kind)
            handler.send_header("Content-Length", str(len(data)))
            handler.end_headers()
            handler.wfile.write(data)

        self.replies[path] = reply

    def mjpeg(
        self, path: str, pictures: list[bytes], *, fps: float, boundary: str = "frame", lengths: bool = True,
        loop: bool = True,
    ) -> None:  # fmt: skip
        """Answer a path with an endless multipart stream, or one that ends after the pictures."""

        def reply(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.send_header("Content-Type", f'multipart/x-mixed-replace; boundary="{boundary}"')
            handler.end_headers()
            started, count = time.monotonic(), 0
            while not self.stopping.is_set() and (loop or count < len(pictures)):
                picture = pictures[count % len(pictures)]
                length = f"Content-Length: {len(picture)}\r\n" if lengths else ""
                head = f"--{boundary.removeprefix('--')}\r\nContent-Type: image/jpeg\r\n{length}\r\n".encode()
                handler.wfile.write(head + picture + b"\r\n")
                count += 1
                self.stopping.wait(max(0.0, started + count / fps - time.monotonic()))

        self.replies[path] = reply

    def redirect(self, path: str, target: str) -> None:
        """Answer a path with a redirect."""

        def reply(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(302)
            handler.send_header("Location", target)
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        self.replies[path] = reply

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients hang up in the middle of a stream; that is what they are meant to do."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: WebCamera

    def do_GET(self) -> None:
        given = self.headers.get("Authorization", "")
        self.server.asked.append((self.path, given))
        reply = self.server.replies.get(self.path.partition("?")[0])
        if self.server.credentials and not self._is_right(given):
            challenge = 'Digest realm="camera", nonce="abc123", qop="auth"' if self.server.digest else 'Basic realm="c"'
            self._short(401, {"WWW-Authenticate": challenge})
        elif reply is None:
            self._short(404, {})
        else:
            reply(self)
            self.close_connection = True

    def _is_right(self, given: str) -> bool:
        user, password = self.server.credentials or ("", "")
        if not self.server.digest:
            return given == "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        said = dict(re.findall(r'(\w+)="?([^",]*)', given))

        def md5(text: str) -> str:
            return hashlib.md5(text.encode()).hexdigest()

        secret, request = md5(f"{user}:camera:{password}"), md5(f"GET:{said.get('uri')}")
        nonces = ":".join(said.get(name, "") for name in ("nonce", "nc", "cnonce", "qop"))
        return said.get("response") == md5(f"{secret}:{nonces}:{request}")

    def _short(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def web_camera() -> Iterator[WebCamera]:
    """A camera that answers, stopped on leaving."""
    camera = WebCamera()
    thread = threading.Thread(target=camera.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield camera
    finally:
        camera.stopping.set()
        camera.shutdown()
        camera.server_close()
        thread.join(5)
