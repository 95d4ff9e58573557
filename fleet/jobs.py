"""Jobs: what a retraining was asked for, and how far it is. All of it stands in the store.

jobs/<job>/manifest.json            the plan, and whether it is finished
jobs/<job>/cameras/<camera>.json    planned with its recording parts, done or failed with its result
jobs/<job>/summary.parquet          a row a camera, at the end
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from cameras.camera import Camera
from fleet import layout
from fleet.errors import ConflictError, FleetError, UsageError
from fleet.search_config import SearchConfig, load_search
from fleet.store import Store

__all__ = ["CameraResult", "Job", "finish_job", "finished_cameras", "plan_job", "write_camera_state"]


PAPER_TWINS = {"default": "paper", "quick": "paper-quick"}
"""What `--detector paper` makes of the built-in searches."""


@dataclass(frozen=True)
class CameraResult:
    """What came of one camera. `lambda` is `lam` here; `to_dict` gives the public names."""

    camera: str
    version: str | None = None
    sigma: float | None = None
    lam: float | None = None
    objective: float | None = None
    threshold: float | None = None
    pcc_mean: float | None = None
    pcc_std: float | None = None
    collapsed: bool | None = None
    reason: str = ""
    frames: int = 0
    trials: int = 0
    trained: int = 0
    reused: int = 0
    seconds: float = 0.0
    promoted: bool = False
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {"lambda" if name == "lam" else name: value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> CameraResult:
        return cls(**{"lam" if name == "lambda" else name: value for name, value in row.items()})


@dataclass(frozen=True)
class Job:
    """A retraining: which cameras, each with which search.

    Attributes:
        plan: digest of what was asked for; the same command gives the same one.
        salt: part of the fingerprints of its points; a job that was asked to begin afresh has one of its own.
        resumed: it was begun by an earlier command.
    """

    name: str
    plan: str
    created_at: datetime
    searches: dict[str, SearchConfig]
    salt: str = ""
    resumed: bool = False
    generation: int = 0


def plan_job(
    store: Store,
    cameras: Sequence[Camera],
    search: str | None = None,
    name: str | None = None,
    *,
    detector: str | None = None,
    fresh: bool = False,
) -> Job:
    """The job of this plan that is unfinished, or a new one, recorded in the store.

    Args:
        search: for all cameras, instead of each camera's own.
        detector: evidence or paper, of the search that is asked for; None takes it as it is.
        name: for the job; without it the job is named after its time and plan.
        fresh: do not resume, and use no point that an earlier job has finished.

    Raises:
        UsageError: a search file is wrong, or the name is none or that of another plan.
        ConflictError: the job of this name is finished.
    """
    if name is not None and not layout.is_name(name):
        raise UsageError(f"{name[:80]!r} is no name of a job", "1 to 100 letters, digits, '.', '-', '_': --job nightly")
    loaded: dict[str, SearchConfig] = {}
    searches = {}
    for camera in cameras:
        wanted = search or camera.search
        if wanted not in loaded:
            try:
                loaded[wanted] = _search_of(wanted, detector)
            except FleetError as error:
                raise (error if search else error.about(camera.id)) from None
        searches[camera.id] = loaded[wanted]
    plan = _plan(cameras, searches)
    found = None if fresh else _unfinished(store, plan, name)
    if found is not None:
        created_at = datetime.fromisoformat(found["created_at"])
        salt = found.get("salt", "")
        return Job(found["job"], plan, created_at, searches, salt, resumed=True, generation=found["generation"])
    now = datetime.now(UTC)
    called = name or f"{now:%Y%m%dT%H%M%SZ}-{plan}"
    job = Job(called, plan, now, searches, salt=called if fresh else "")
    try:
        written = store.write(layout.job_key(job.name, "manifest.json"), _manifest(job, "running"), 0)
    except ConflictError:
        if name is None:  # the same command within a second: that job is running, or the next second names another
            time.sleep(1)
            return plan_job(store, cameras, search, detector=detector, fresh=fresh)
        raise ConflictError(f"there is a job '{job.name}' already", "give another --job NAME") from None
    return replace(job, generation=written["generation"])


def _search_of(name: str, detector: str | None) -> SearchConfig:
    """A search by name or file; with a detector the built-in search of that name for it."""
    if detector not in (None, "evidence", "paper"):
        raise UsageError(f"there is no detector '{str(detector)[:60]}'", "--detector evidence, or paper")
    config = load_search(PAPER_TWINS.get(name, name) if detector == "paper" else name)
    kind = config.detector.kind
    if detector not in (None, kind):
        raise UsageError(
            f"the search '{name[:120]}' fits the detector '{kind}'", f"--detector {kind}, or another --search"
        )
    return config


def _plan(cameras: Sequence[Camera], searches: dict[str, SearchConfig]) -> str:
    """Digest of what decides the outcome: a camera that was edited since makes it another plan."""
    asked = [
        (camera.id, camera.source, camera.preprocessing.model_dump_json(), searches[camera.id].digest())
        for camera in cameras
    ]
    return hashlib.sha256(json.dumps(sorted(asked)).encode()).hexdigest()[:8]


def finish_job(store: Store, job: Job) -> None:
    """Mark a job as finished: the same command then begins a new one."""
    store.write(layout.job_key(job.name, "manifest.json"), _manifest(job, "finished"), job.generation)


def _manifest(job: Job, status: str) -> dict[str, Any]:
    return {
        "job": job.name,
        "plan": job.plan,
        "status": status,
        "salt": job.salt,
        "created_at": job.created_at.isoformat(),
        "updated_at": datetime.now(UTC).isoformat(),
        "cameras": {camera: config.name for camera, config in job.searches.items()},
    }


def _unfinished(store: Store, plan: str, name: str | None) -> dict[str, Any] | None:
    if name is not None:
        found = store.read(layout.job_key(name, "manifest.json"))
        if found is None:
            return None
        if found.get("plan") != plan:
            raise UsageError(f"the job '{name}' is of other cameras or another search", "give another --job NAME")
        if found.get("status") == "finished":
            raise ConflictError(f"the job '{name}' is finished", "give another --job NAME")
        return found
    manifests = [store.read(key) for key in store.list(layout.JOBS) if key.endswith("/manifest.json")]
    alike = [found for found in manifests if found is not None and found.get("plan") == plan]
    # An older one that never finished was given up, by --fresh.
    newest = max(alike, key=lambda found: str(found["created_at"]), default=None)
    return newest if newest is not None and newest.get("status") == "running" else None


def finished_cameras(store: Store, job: Job) -> dict[str, CameraResult]:
    """Cameras of this job that are done; failed ones are tried again."""
    prefix = layout.job_key(job.name, "cameras/")
    found = {}
    for key in store.list(prefix) if job.resumed else ():
        record = store.read(key)
        if record is not None and record["state"] == "done":
            result = CameraResult.from_dict(record["result"])
            found[result.camera] = result
    return found


def write_camera_state(store: Store, job: Job, camera: str, **state: Any) -> None:
    key = layout.job_key(job.name, f"cameras/{camera}.json")
    store.put(key, json.dumps({"camera": camera, "generation": 1, **state}, indent=1, default=str).encode())
