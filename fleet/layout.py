"""Where things stand in a store: every key is made here.

store.json                                             schema version
cameras/<camera>.json                                  the record of a camera
aliases/<camera>.json                                  champion, challenger, previous
recordings/camera=<camera>/date=YYYY-MM-DD/*.parquet   masked frames (keys made by cameras.recording)
jobs/<job>/manifest.json, summary.parquet              what a retraining asked for, and what came of it
trials/<camera>/<fingerprint>/                         done-records, until the winner of the camera is stored
models/<camera>/<version>/                             model.safetensors, *.parquet, manifest.json
scores/date=YYYY-MM-DD/*.parquet                       scores of many cameras a file
benchmarks/cells/<fingerprint>.json                    done-records of `fleet benchmark`, shared by its suites
benchmarks/scenes/<fingerprint>.npz                    generated scenes, scaled, so that they are drawn once
benchmarks/<suite>/*.parquet                           a suite's results
"""

from __future__ import annotations

import re

__all__ = [
    "ALIASES",
    "BENCHMARK_CELLS",
    "CAMERAS",
    "JOBS",
    "STORE",
    "alias_key",
    "benchmark_key",
    "camera_key",
    "is_name",
    "job_key",
    "model_key",
    "models_prefix",
    "recordings_prefix",
    "trial_key",
    "trials_prefix",
]

STORE = "store.json"
CAMERAS = "cameras/"
ALIASES = "aliases/"
JOBS = "jobs/"
BENCHMARK_CELLS = "benchmarks/cells/"


def is_name(text: str) -> bool:
    """Whether a version or a job may be called so: one segment of a key, the same on a folder and on S3."""
    return bool(re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?", text))


def camera_key(camera: str) -> str:
    return f"{CAMERAS}{camera}.json"


def alias_key(camera: str) -> str:
    return f"{ALIASES}{camera}.json"


def recordings_prefix(camera: str) -> str:
    return f"recordings/camera={camera}/"


def models_prefix(camera: str) -> str:
    return f"models/{camera}/"


def model_key(camera: str, version: str, name: str) -> str:
    return f"{models_prefix(camera)}{version}/{name}"


def trials_prefix(camera: str) -> str:
    return f"trials/{camera}/"


def trial_key(camera: str, fingerprint: str, name: str) -> str:
    return f"{trials_prefix(camera)}{fingerprint}/{name}"


def job_key(job: str, name: str) -> str:
    return f"{JOBS}{job}/{name}"


def benchmark_key(folder: str, name: str) -> str:
    return f"benchmarks/{folder}/{name}"
