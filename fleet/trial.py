"""One point of one camera's search, as a Tune trial: an epoch a step, and a done-record at the end.

A point whose done-record is in the store replays it instead of training: a killed search takes up where it was.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from ray import tune

from fleet import layout
from fleet.detector import Footage
from fleet.errors import FleetError, StoreError
from fleet.point_fit import PointFit
from fleet.screening import thin
from fleet.search_config import Point, SearchConfig
from fleet.store import open_store

__all__ = ["FIT_VERSION", "JOB_PATIENCE_S", "CameraFrames", "PointTrial", "fingerprint", "point_of", "work_of"]

FIT_VERSION = 4  # raise it when the same frames and point would give another fit: old done-records are then not used
JOB_PATIENCE_S = 180.0  # an object store that restarts must not cost a night's work


@dataclass(frozen=True)
class CameraFrames:
    """One camera's preprocessed frames on the cluster.

    Attributes:
        frames: reference to uint8 (frames, height, width[, 3]) in Ray's object store, read there without a copy.
        valid: which pixels count, bool (height, width), or None for all.
        digest: of the frames and the preprocessing: changes when either does.
        times_s: float64 (frames,), seconds from any start, rising inside a clip; None for a frame a second.
        clip: int64 (frames,), frames of one clip stand together; None for a single clip.
        every: trials see one of so many frames, where that leaves enough (see `fleet.screening`).
    """

    camera: str
    frames: ray.ObjectRef
    valid: NDArray[np.bool_] | None
    digest: str
    times_s: NDArray[np.float64] | None = None
    clip: NDArray[np.int64] | None = None
    every: int = 1

    def footage(self) -> Footage:
        """The frames, fetched, with their times and clips."""
        frames = ray.get(self.frames)
        whole = Footage.of(frames, fps=1, clip=self.clip)
        if self.times_s is not None:
            whole = Footage(frames, self.times_s, whole.clip)
        return thin(whole, self.every)


def fingerprint(data: CameraFrames, search: SearchConfig, point: Point) -> str:
    """Names a trial: the camera, its frames and preprocessing, what is fitted, and the version of the fit's code."""
    settings = search.detector
    parts = [data.camera, data.digest, search.detector_config(point).to_dict(), settings.kind, settings.settled]
    text = json.dumps([*parts, search.objective, FIT_VERSION], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def work_of(camera: str, point: Point) -> dict[str, Any]:
    """What Tune hands to a trial: plain values, which `point_of` reads."""
    return {"camera": camera, "point": point.model_dump(by_alias=True)}


def point_of(work: dict[str, Any]) -> Point:
    """The point of a trial's work."""
    return Point.model_validate(work["point"])


class PointTrial(tune.Trainable):
    """One point of one camera, an epoch a step. An actor is used again for the next point (`reset_config`)."""

    def setup(self, config: dict[str, Any], shared: dict[str, Any]) -> None:
        import torch

        torch.set_num_threads(max(1, int(shared["config"].cpus_per_trial)))
        self._search: SearchConfig = shared["config"]
        self._cameras: dict[str, CameraFrames] = shared["cameras"]
        self._store = open_store(shared["store"], patience_s=JOB_PATIENCE_S)
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        work = new_config["work"]
        self._data = self._cameras[work["camera"]]
        point = point_of(work)
        self._config = self._search.detector_config(point)
        self._key = fingerprint(self._data, self._search, point)
        self._record: dict[str, Any] | None = None
        self._epoch = 0
        self._fitting: PointFit | None = None
        self._curve: list[dict[str, Any]] = []
        self._seconds = 0.0
        return True

    def step(self) -> dict[str, Any]:
        started = time.perf_counter()
        try:
            if self._epoch == 0:
                self._record = self._store.read(self._record_key("trial.json"))
            if self._record is not None:
                return self._replay(self._record)
            try:
                return self._train(started)
            except StoreError:
                raise
            except FleetError as error:  # bad frames or a fit that diverged: the same again next time, so remember it
                return self._finish(self._failed(error), {}, started)
        except StoreError as error:  # not the point's fault: no record, so that it is tried again by the next command
            return {"objective": -np.inf, "row": None, "record": self._failed(error), "store": True, "done": True}

    def _failed(self, error: FleetError) -> dict[str, Any]:
        return {"status": "failed", "error": str(error), "curve": self._curve, "objective": None, "seconds": 0.0}

    def _train(self, started: float) -> dict[str, Any]:
        import torch

        if self._fitting is None:
            device = "cuda" if torch.cuda.is_available() else "cpu"
            self._fitting = PointFit(
                self._data.footage(),
                self._search.detector.kind,
                self._config,
                [self._search.objective],
                self._data.valid,
                device=device,
                settled=self._search.detector.settled,
            )
        self._curve.append(self._fitting.epoch())
        self._epoch += 1
        if self._epoch < self._config.epochs and not self._fitting.settled:
            self._seconds += time.perf_counter() - started
            return {"objective": self._curve[-1]["objective"], "row": self._curve[-1]}
        outcome = self._fitting.outcome()
        tensors, meta = outcome.detector.state()
        value = outcome.objectives[self._search.objective]
        record = {"status": "done", "error": "", "curve": self._curve, "objective": value, "detector": meta}
        return self._finish(record, tensors, started)

    def _finish(self, record: dict[str, Any], tensors: dict[str, np.ndarray], started: float) -> dict[str, Any]:
        """Leave the done-record, weights first, and end the trial."""
        from safetensors.numpy import save

        record["seconds"] = self._seconds + time.perf_counter() - started
        record["camera"] = self._data.camera
        if tensors:
            self._store.put(self._record_key("model.safetensors"), save(tensors))
        self._store.put(self._record_key("trial.json"), json.dumps(record).encode())
        self._fitting = None
        value = record["objective"]
        return {
            "objective": -np.inf if value is None else value,
            "row": record["curve"][-1] if record["curve"] else None,
            "record": record,
            "done": True,
        }

    def _replay(self, record: dict[str, Any]) -> dict[str, Any]:
        """The epochs of an earlier run, so that the scheduler judges the other points by them as it did then."""
        curve = record["curve"]
        if self._search.scheduler.kind != "asha":  # no point is judged by another: the last one tells it all
            self._epoch = max(0, len(curve) - 1)
        row = curve[self._epoch] if self._epoch < len(curve) else None
        self._epoch += 1
        done = self._epoch >= len(curve)
        value = row["objective"] if row else -np.inf
        return {"objective": value, "row": row, "record": record, "reused": True, "done": done}

    def _record_key(self, name: str) -> str:
        return layout.trial_key(self._data.camera, self._key, name)
