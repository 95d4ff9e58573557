"""What the tests of the command line share: footage that is wrong in every way, and ports that nobody listens on."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from fleet.store import open_store


@pytest.fixture(scope="session")
def make_video() -> Callable[..., Path]:
    """Writes a small MP4 of so many frames at 10 frames a second."""

    def make(path: Path, frames: int = 40) -> Path:
        rng = np.random.default_rng(0)
        wall = rng.integers(60, 160, (6, 8, 1)).repeat(8, 0).repeat(8, 1).repeat(3, 2).astype(np.uint8)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=10)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for place in range(frames):
                image = wall.copy()
                image[20:30, place % 54 : place % 54 + 10] = 230
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode())
        return path

    return make


@pytest.fixture
def dead_port() -> int:
    """A port of loopback that refuses connections."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture
def contents() -> Callable[[Path], dict[str, bytes]]:
    """All that a folder store holds: its keys and their bytes."""

    def read(root: Path) -> dict[str, bytes]:
        if not root.is_dir():
            return {}
        store = open_store(root)
        return {key: store.get(key) or b"" for key in store.list("")}

    return read
