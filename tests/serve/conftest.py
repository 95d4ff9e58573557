"""What the tests of serving share: one fleet that is served for the whole run, as a person would serve it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest

from cameras.images import decode_image, encode_jpeg
from fleet.registry import Registry, make_camera
from fleet.store import Store, open_store

SECRETS = {"FLEET_TEST_USER": "otto", "FLEET_TEST_PASS": "hunter2secret"}


@dataclass
class Serving:
    """A store that is served on this machine."""

    root: Path
    pictures: dict[str, Path]
    port: int
    environment: dict[str, str] = field(default_factory=dict)
    pid: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def store(self) -> Store:
        return open_store(self.root)

    def command(self, *arguments: object, timeout_s: float = 150) -> subprocess.CompletedProcess[str]:
        """A command line in a process of its own."""
        command = [sys.executable, "-m", "fleet.cli", *map(str, arguments), "--store", str(self.root), "--json"]
        environment = {**os.environ, **self.environment}
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, env=environment, check=False)

    def start(self) -> dict[str, Any]:
        ran = self.command("serve", "--detach", "--port", self.port)
        assert ran.returncode == 0, ran.stderr
        told: dict[str, Any] = json.loads(ran.stdout)
        self.pid = told["pid"]
        return told

    def processes(self) -> list[psutil.Process]:
        """What serving runs: the process that it belongs to, and all that Ray started."""
        process = psutil.Process(self.pid)
        return [process, *process.children(recursive=True)]

    def frames(self, camera: str) -> list[bytes]:
        """The camera's pictures, as a client would post them."""
        return [path.read_bytes() for path in sorted(self.pictures[camera].iterdir())]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture(scope="session")
def make_serving(trained_once: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Serving]:
    """A copy of the small fleet with a port of its own, not served yet."""

    def make() -> Serving:
        root = tmp_path_factory.mktemp("served") / "store"
        shutil.copytree(trained_once.root, root)
        registry = Registry(open_store(root))
        source = "rtsp://${FLEET_TEST_USER}:${FLEET_TEST_PASS}@127.0.0.1:9/stream?token=${FLEET_TEST_PASS}"
        registry.add(make_camera(id="yard", source=source))
        return Serving(root, dict(trained_once.pictures), free_port(), dict(SECRETS))

    return make


def add_with_evidence(store: Store, camera_id: str, source: Path, like: str) -> None:
    """A camera with a champion that looks back at earlier frames; what a version holds beside it is another's."""
    from fleet.detector import Footage
    from fleet.detector.config import light_config
    from fleet.detector.evidence import EvidenceConfig, fit_evidence
    from fleet.scoring import load_model, prepare
    from fleet.versions import write_version

    registry = Registry(store)
    registry.add(make_camera(id=camera_id, source=str(source)))
    other = load_model(store, like)
    images = [prepare(other, decode_image(path.read_bytes())) for path in sorted(source.iterdir())]
    footage = Footage.of(np.stack(images), other.version.preprocessing.fps)
    detector = fit_evidence(footage, EvidenceConfig(mle=replace(light_config(), epochs=2)))
    tensors, meta = detector.state()
    scores = detector.calibration.score
    update = {
        **{"camera": camera_id, "version": "looks-back", "detector": meta, "threshold": detector.threshold},
        **{"rule": "tail", "score_threshold": float(np.quantile(scores, 0.9)), "channels": detector.informative},
    }
    start = other.version.first_frame_at
    rows = [
        {
            "frame": at,
            "clip": "",
            "captured_at": start + timedelta(seconds=at / 2),
            "pcc": float(pcc),
            "score": float(score),
        }
        for at, (pcc, score) in enumerate(zip(detector.mle.calibration, scores, strict=True))
    ]
    write_version(store, other.version.model_copy(update=update), tensors, [{"a": 1}], rows)
    registry.promote(camera_id, "looks-back")


@pytest.fixture(scope="session")
def serving(make_serving: Callable[[], Serving]) -> Iterator[Serving]:
    """A served fleet: dock-1 and dock-2 with the paper's model, gate with one of channels, dock-3 and yard without."""
    made = make_serving()
    made.pictures["gate"] = made.pictures["dock-1"]
    add_with_evidence(made.store, "gate", made.pictures["gate"], like="dock-1")
    made.start()
    try:
        yield made
    finally:
        made.command("stop")


@pytest.fixture
def client(serving: Serving) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=serving.url, timeout=30, trust_env=False) as made:
        yield made


@pytest.fixture
def picture(serving: Serving) -> bytes:
    """One frame of dock-1, a PNG."""
    return serving.frames("dock-1")[7]


@pytest.fixture
def jpeg(picture: bytes) -> bytes:
    return encode_jpeg(decode_image(picture))
