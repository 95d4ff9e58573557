"""What all tests share: real stores (a folder, and a bucket on a real S3 server), the command line, small footage.

Everything lives in temporary folders, listens on loopback only, and is stopped by what started it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fleet.local_s3 import LocalS3, local_s3
from fleet.store import Store, open_store

ROOT = Path(__file__).parent.parent
FOOTAGE = ROOT.parent / "shared" / "data"


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the machine's fleet, nor leaves anything in the home folder."""
    monkeypatch.delenv("FLEET_STORE", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalS3]:
    """A real S3 server for the whole run; tests take a prefix each."""
    with local_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3_keys(s3_server: LocalS3, monkeypatch: pytest.MonkeyPatch) -> LocalS3:
    """The server, with its keys in the environment."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    return s3_server


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store of each kind."""
    if request.param == "folder":
        return open_store(tmp_path / "store")
    server: LocalS3 = request.getfixturevalue("s3_keys")
    return open_store(server.uri(f"test-{os.getpid()}-{tmp_path.name}"))


@pytest.fixture
def folder_store(tmp_path: Path) -> Store:
    """An empty store in a folder, for tests to which the kind makes no difference."""
    return open_store(tmp_path / "store")


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def fleet(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs a command line in this process, as the console script does: `fleet("cameras", "--json")`."""
    from fleet.cli import main

    def run(*arguments: object) -> Ran:
        capfd.readouterr()
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = capfd.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


def fleet_process(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    """A command line in a process of its own, for tests that kill it or look at it from outside."""
    command = [sys.executable, "-m", "fleet.cli", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


@pytest.fixture(name="fleet_process")
def _fleet_process() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`fleet_process("retrain", "--all")`: what is still running when the test ends is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
        started.append(fleet_process(*arguments, **options))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def moving_scene(frames: int = 48, height: int = 48, width: int = 64, seed: int = 0) -> np.ndarray:
    """RGB frames (frames, height, width, 3): a textured wall, a light that drifts, a bright box that passes by."""
    rng = np.random.default_rng(seed)
    wall = rng.integers(60, 160, (height // 8, width // 8)).repeat(8, 0).repeat(8, 1)
    made = np.empty((frames, height, width, 3), np.uint8)
    for place in range(frames):
        frame = wall + 10 * np.sin(place / 9) + rng.normal(0, 2, (height, width))
        left = (place * 3) % (width - 12)
        frame[height // 2 : height // 2 + 10, left : left + 10] = 230
        made[place] = np.clip(frame, 0, 255).astype(np.uint8)[:, :, None]
    return made


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """48 PNG pictures of a small scene, a source that every test can afford."""
    return write_image_folder(tmp_path / "pictures")


def write_image_folder(folder: Path, **scene: int) -> Path:
    from cameras.images import encode_png

    folder.mkdir(parents=True, exist_ok=True)
    for place, frame in enumerate(moving_scene(**scene)):
        (folder / f"{place:04d}.png").write_bytes(encode_png(frame))
    return folder


@pytest.fixture(name="write_image_folder", scope="session")
def _write_image_folder() -> Callable[..., Path]:
    """`write_image_folder(folder, frames=20, seed=1)`: pictures of a small scene."""
    return write_image_folder


TINY_SEARCH = """\
space: {sigma: [0.1, 0.5], lambda: [0.1, 1.0]}
incumbent: {sigma: 0.1, lambda: 1.0}
detector: {epochs: 3, latent: 8}
scheduler: {kind: fifo}
"""


@pytest.fixture
def tiny_search(tmp_path: Path) -> Path:
    """Four points of three epochs: seconds on one core."""
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY_SEARCH)
    return path


def fit_version(store: Store, camera_id: str, *, seed: int = 0, frames: int | None = None) -> str:
    """A small model of a camera, fitted here without a search, stored and promoted; its version's name."""
    from cameras.preprocess import preprocess, valid_pixels
    from cameras.sources import open_source
    from fleet.detector import DetectorConfig
    from fleet.detector.fit import fit
    from fleet.registry import Registry
    from fleet.versions import ModelVersion, write_version

    registry = Registry(store)
    camera = registry.camera(camera_id)
    with open_source(camera.source, camera.fps, camera=camera_id) as source:
        taken = list(islice(source, frames))
    prepared = np.stack([preprocess(frame.image, camera.preprocessing) for frame in taken])
    config = DetectorConfig(epochs=2, latent=8, seed=seed)
    detector = fit(prepared, config, valid_pixels(camera.preprocessing))
    tensors, meta = detector.state()
    now = datetime.now(UTC)
    version = ModelVersion.model_validate(
        {
            "camera": camera_id,
            "version": f"{now:%Y%m%dT%H%M%S%fZ}-{seed:06x}",
            "created_at": now,
            "job": "by-hand",
            "search": "none",
            "preprocessing": camera.preprocessing.model_dump(),
            "frame_width": taken[0].image.shape[1],
            "frame_height": taken[0].image.shape[0],
            "frames": len(taken),
            "first_frame_at": taken[0].captured_at,
            "last_frame_at": taken[-1].captured_at,
            "sigma": config.sigma,
            "lambda": config.lam,
            "objective_name": "none",
            "objective": None,
            "reason": "fitted by a test",
            "kappa": config.kappa,
            "threshold": detector.threshold,
            "pcc_mean": detector.pcc_mean,
            "pcc_std": detector.pcc_std,
            "collapsed": detector.collapsed,
            "trials": 1,
            "fingerprint": "0" * 20,
            "detector": meta,
        }
    )
    pcc = [
        {"frame": frame.index, "clip": frame.clip, "captured_at": frame.captured_at, "pcc": float(value)}
        for frame, value in zip(taken, detector.calibration, strict=True)
    ]
    write_version(store, version, tensors, [{"sigma": config.sigma, "lambda": config.lam}], pcc)
    registry.promote(camera_id, version.version, why="fitted by a test")
    return version.version


@pytest.fixture(name="fit_version", scope="session")
def _fit_version() -> Callable[..., str]:
    """`fit_version(store, camera_id)`: a model in a second, where the search is not what is tested."""
    return fit_version


@dataclass(frozen=True)
class SmallFleet:
    """A folder store with three cameras of image folders: dock-1 with a model, dock-2 with two, dock-3 with none."""

    root: Path
    pictures: dict[str, Path]


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> SmallFleet:
    """Made once a run; tests work on copies (`small_fleet`)."""
    from fleet.registry import Registry, make_camera

    folder = tmp_path_factory.mktemp("small-fleet")
    pictures = {f"dock-{place}": write_image_folder(folder / f"pictures-{place}", seed=place) for place in (1, 2, 3)}
    store = open_store(folder / "store")
    for camera_id, source in pictures.items():
        tags = {"site": "berlin" if camera_id == "dock-1" else "ulm"}
        Registry(store).add(make_camera(id=camera_id, source=str(source), tags=tags))
    fit_version(store, "dock-1")
    for seed in (0, 1):
        fit_version(store, "dock-2", seed=seed)
    return SmallFleet(folder / "store", pictures)


@pytest.fixture
def small_fleet(trained_once: SmallFleet, tmp_path: Path) -> SmallFleet:
    """A copy of the small fleet that a test may change."""
    shutil.copytree(trained_once.root, tmp_path / "fleet-store")
    return SmallFleet(tmp_path / "fleet-store", trained_once.pictures)


def footage(name: str) -> Path:
    """A folder of the real footage, or the test is skipped and says so."""
    path = FOOTAGE / name
    if not path.exists():
        pytest.skip(f"the real footage {name} is not beside this checkout (../shared/data)")
    return path
