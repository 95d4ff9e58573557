"""`fleet doctor`: what works here, what does not, and what to do about it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cameras.secrets import references
from fleet.errors import ConflictError, FleetError
from fleet.registry import Registry
from fleet.store import Store, open_store

__all__ = ["Finding", "examine"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `state` is ok, warning or failed."""

    what: str
    state: str
    told: str


def examine(store_name: str | None) -> list[Finding]:
    """Look at everything that Fleet needs; never raises."""
    machine = {
        "python": _python,
        "packages": _packages,
        "memory": _memory,
        "shared memory": _shared_memory,
        "video decoder": _decoder,
        "GPU": _accelerator,
    }
    findings = [_look(what, check) for what, check in machine.items()]
    try:
        store = open_store(store_name)
    except FleetError as error:
        return [*findings, Finding("store", "failed", str(error))]
    fleet = {"store": partial(_store, store), "cameras": partial(_cameras, store)}
    return findings + [_look(what, check) for what, check in fleet.items()]


def _look(what: str, check: Callable[[], Finding]) -> Finding:
    """One check; a package that does not load is what a doctor is called for."""
    try:
        return check()
    except FleetError as error:
        return Finding(what, "failed", str(error))
    except (ImportError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        return Finding(what, "failed", f"{type(error).__name__}: {reason}: pip install --force-reinstall fleet-cameras")


def _python() -> Finding:
    version = platform.python_version()
    return Finding("python", "ok" if sys.version_info >= (3, 11) else "failed", version)


def _packages() -> Finding:
    names = ("fleet-cameras", "ray", "torch", "pyarrow", "av", "opencv-python-headless")
    missing = []
    found = []
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return Finding("packages", "failed", f"not installed: {', '.join(missing)}: pip install {' '.join(missing)}")
    return Finding("packages", "ok", ", ".join(found))


def _memory() -> Finding:
    import psutil

    free_gb = psutil.virtual_memory().available / 1e9
    told = f"{free_gb:.1f} GB free, {os.cpu_count()} processors"
    return Finding("memory", "ok" if free_gb > 2 else "warning", told + ("" if free_gb > 2 else ": Ray wants 2 GB"))


def _shared_memory() -> Finding:
    shm = Path("/dev/shm")
    if not shm.is_dir():
        return Finding("shared memory", "warning", "no /dev/shm: Ray keeps frames in files, which is slower")
    free_gb = shutil.disk_usage(shm).free / 1e9
    if free_gb < 0.5:
        return Finding("shared memory", "warning", f"{free_gb:.2f} GB in /dev/shm: docker run --shm-size=2g")
    return Finding("shared memory", "ok", f"{free_gb:.1f} GB in /dev/shm")


def _decoder() -> Finding:
    import av

    decodes = "h264" in av.codecs_available and "hevc" in av.codecs_available
    told = f"PyAV {av.__version__} with H.264 and H.265"
    return Finding(
        "video decoder", "ok" if decodes else "failed", told if decodes else "pip install --force-reinstall av"
    )


def _accelerator() -> Finding:
    import torch

    if torch.cuda.is_available():
        return Finding("GPU", "ok", f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}")
    return Finding("GPU", "ok", "none: trains and scores on the processors")


def _store(store: Store) -> Finding:
    """Write, read, write conditionally, refuse a second conditional write, delete."""
    key = f".doctor/{uuid.uuid4().hex}.json"
    try:
        store.write(key, {"by": "fleet doctor"}, 0)
        try:
            store.write(key, {"by": "fleet doctor"}, 0)
        except ConflictError:
            return Finding("store", "ok", f"{store.uri}: reads, writes, and refuses the second of two writers")
        return Finding(
            "store", "failed", f"{store.uri} ignores conditions on writes: use a store that honours If-Match"
        )
    finally:
        store.delete(key)


def _cameras(store: Store) -> Finding:
    cameras = Registry(store).cameras()
    unset = sorted({name for camera in cameras for name in references(camera.source) if name not in os.environ})
    if unset:
        return Finding("cameras", "warning", f"{len(cameras)} cameras; not set in this environment: {', '.join(unset)}")
    return Finding("cameras", "ok", f"{len(cameras)} cameras")
