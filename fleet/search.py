"""Ray Tune over (camera, sigma, lambda): many cameras in one Tuner, halving among the points of one camera only.

A finished point leaves a done-record in the store (its metrics and weights), so that a search that was killed takes up
where it was: points with a record replay it instead of training. Tune's own checkpoints are not used; its snapshots
lag behind what is done.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import ray
from ray import tune
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler

from fleet import layout
from fleet.cluster import scratch_folder
from fleet.detector import DetectorConfig
from fleet.errors import FleetError, StoreError
from fleet.search_config import Point, SearchConfig
from fleet.store import Store, open_store

__all__ = ["FIT_VERSION", "JOB_PATIENCE_S", "CameraFrames", "TrialResult", "detector_config", "fingerprint", "search"]

FIT_VERSION = 1  # raise it when the same frames and point would give another fit: old done-records are then not used
JOB_PATIENCE_S = 180.0  # an object store that restarts must not cost a night's work
NODE_LOSSES = 3  # how often one point may lose its node before it counts as failed


@dataclass(frozen=True)
class CameraFrames:
    """One camera's preprocessed frames on the cluster.

    Attributes:
        frames: reference to uint8 (frames, height, width[, 3]) in Ray's object store, read there without a copy.
        valid: which pixels count, bool (height, width), or None for all.
        digest: of the frames and the preprocessing: changes when either does.
    """

    camera: str
    frames: ray.ObjectRef
    valid: np.ndarray | None
    digest: str


@dataclass(frozen=True)
class TrialResult:
    """What became of one point of one camera.

    Attributes:
        status: done (trained to its end), stopped (halved away), failed.
        reused: it was not trained now, its done-record was there.
        objective: the label-free objective, higher is better; None where the point failed.
        curve: a row an epoch, as `EpochStats.to_dict` gives it.
        detector: settings and scales of the fitted detector; only of a done point.
    """

    camera: str
    point: Point
    fingerprint: str
    status: str
    reused: bool = False
    objective: float | None = None
    seconds: float = 0.0
    curve: list[dict[str, Any]] = field(default_factory=list)
    detector: dict[str, Any] | None = None
    error: str = ""


def detector_config(search: SearchConfig, point: Point) -> DetectorConfig:
    """A search file's settings and one of its points -> the detector's configuration."""
    settings = search.detector.model_dump()
    if settings["batch_size"] == "by-camera":
        settings["batch_size"] = None
    return DetectorConfig(sigma=point.sigma, lam=point.lam, **settings)


def fingerprint(camera: str, digest: str, config: DetectorConfig, objective: str) -> str:
    """Names a trial: the camera, its frames and preprocessing, the configuration, and the version of the fit's code."""
    text = json.dumps([camera, digest, config.to_dict(), objective, FIT_VERSION], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def search(
    cameras: Mapping[str, CameraFrames],
    config: SearchConfig,
    store: Store,
    on_epoch: Callable[[str, int], None] = lambda camera, epochs: None,
    on_trial: Callable[[TrialResult], None] = lambda trial: None,
) -> dict[str, list[TrialResult]]:
    """Try every point of a search for every camera, as one Tuner on the connected Ray cluster.

    Args:
        on_epoch: called with a camera and the epochs that one of its points has just taken.
        on_trial: called with each point that has ended.

    Returns:
        For each camera the results of all points, in the order of `config.points()`.

    Raises:
        StoreError: the store is gone for good.
        FleetError: the cluster is.
    """
    work = [
        {"camera": camera, "sigma": point.sigma, "lambda": point.lam} for camera in cameras for point in config.points()
    ]
    shared = {"store": store.uri, "config": config, "cameras": dict(cameras)}
    has_gpu = ray.cluster_resources().get("GPU", 0) > 0
    resources = {"cpu": config.cpus_per_trial, "gpu": config.gpus_per_trial if has_gpu else 0}
    collector = _Collector(store, config, cameras, on_epoch, on_trial)
    with scratch_folder("tune") as scratch, _quiet():
        tuner = tune.Tuner(
            tune.with_resources(tune.with_parameters(PointTrial, shared=shared), resources),
            param_space={"work": tune.grid_search(work)},
            tune_config=tune.TuneConfig(
                metric="objective",
                mode="max",
                scheduler=_scheduler(config),
                reuse_actors=True,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                name="search",
                storage_path=str(scratch),
                callbacks=[collector],
                stop=_StoreIsGone(collector),
                failure_config=tune.FailureConfig(max_failures=NODE_LOSSES),
                checkpoint_config=tune.CheckpointConfig(num_to_keep=1, checkpoint_frequency=0, checkpoint_at_end=False),
                verbose=0,
            ),
        )
        try:
            tuner.fit()
        except (tune.TuneError, ray.exceptions.RayError) as error:
            raise FleetError(f"the search broke off: {_last_line(error)}", "run the same command again") from None
    if collector.gone is not None:
        raise collector.gone
    return collector.by_camera()


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
        self._config = detector_config(self._search, Point(sigma=work["sigma"], lam=work["lambda"]))
        self._key = fingerprint(self._data.camera, self._data.digest, self._config, self._search.objective)
        self._record: dict[str, Any] | None = None
        self._epoch = 0
        self._fitting: Any = None
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

        from fleet.detector import Fitting
        from fleet.detector.select import OBJECTIVES

        if self._fitting is None:
            device = "cuda" if torch.cuda.is_available() else "cpu"
            frames = ray.get(self._data.frames)
            self._fitting = Fitting(frames, self._config, self._data.valid, device=device)
        stats = self._fitting.epoch()
        objective = OBJECTIVES[self._search.objective].score
        self._curve.append({**stats.to_dict(), "objective": objective(stats.pcc)})
        self._epoch += 1
        if self._epoch < self._config.epochs:
            self._seconds += time.perf_counter() - started
            return {"objective": self._curve[-1]["objective"], "row": self._curve[-1]}
        detector = self._fitting.detector()
        tensors, meta = detector.state()
        value = objective(detector.calibration)
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
        row = curve[self._epoch] if self._epoch < len(curve) else None
        self._epoch += 1
        done = self._epoch >= len(curve)
        value = row["objective"] if row else -np.inf
        return {"objective": value, "row": row, "record": record, "reused": True, "done": done}

    def _record_key(self, name: str) -> str:
        return layout.trial_key(self._data.camera, self._key, name)


class PerCameraHalving(FIFOScheduler):
    """ASHA with one state a camera: points of different cameras are never compared. The incumbent is never stopped."""

    def __init__(self, make: Callable[[], TrialScheduler], incumbent: Point) -> None:
        super().__init__()
        self._make = make
        self._incumbent = incumbent
        self._of_camera: dict[str, TrialScheduler] = {}

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        return True

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        self._scheduler(trial).on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        decision = self._scheduler(trial).on_trial_result(tune_controller, trial, result)
        work = trial.config["work"]
        if (work["sigma"], work["lambda"]) == (self._incumbent.sigma, self._incumbent.lam):
            return str(TrialScheduler.CONTINUE)
        return str(decision)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        self._scheduler(trial).on_trial_complete(tune_controller, trial, result)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        self._scheduler(trial).on_trial_remove(tune_controller, trial)

    def _scheduler(self, trial: Any) -> Any:
        camera = trial.config["work"]["camera"]
        if camera not in self._of_camera:
            self._of_camera[camera] = self._make()
        return self._of_camera[camera]


def _scheduler(config: SearchConfig) -> TrialScheduler:
    if config.scheduler.kind == "fifo":
        return FIFOScheduler()

    def make() -> TrialScheduler:
        return AsyncHyperBandScheduler(
            metric="objective",
            mode="max",
            # An epoch more than there are: a trial says itself when it is done, so that it leaves its record first.
            max_t=config.detector.epochs + 1,
            grace_period=min(config.scheduler.grace_epochs, config.detector.epochs),
            reduction_factor=config.scheduler.reduction_factor,
        )

    return PerCameraHalving(make, config.incumbent)


class _Collector(tune.Callback):
    """Turns Tune's callbacks, which run in this process, into results; remembers stopped points in the store."""

    def __init__(
        self,
        store: Store,
        config: SearchConfig,
        cameras: Mapping[str, CameraFrames],
        on_epoch: Callable[[str, int], None],
        on_trial: Callable[[TrialResult], None],
    ) -> None:
        self._store = store
        self._config = config
        self._cameras = cameras
        self._on_epoch = on_epoch
        self._on_trial = on_trial
        self.gone: StoreError | None = None
        self._curves: dict[str, list[dict[str, Any]]] = {}
        self._told: dict[str, int] = {}  # epochs of each trial that progress has heard of
        self._results: dict[tuple[str, Point], TrialResult] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks to restore them; ours are not restored, the store is

    def by_camera(self) -> dict[str, list[TrialResult]]:
        points = self._config.points()
        return {
            camera: [self._results[camera, point] for point in points if (camera, point) in self._results]
            for camera in self._cameras
        }

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any) -> None:
        if result.get("row"):
            rows = self._curves.setdefault(trial.trial_id, [])
            if result["training_iteration"] == 1:
                rows.clear()  # it lost its node and began again
            rows.append(result["row"])
        self._tell(trial, result["training_iteration"])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        last = trial.last_result
        camera, point, key = self._name(trial)
        self._tell(trial, self._config.detector.epochs)  # those that it was spared
        curve = self._curves.pop(trial.trial_id, [])
        record = last.get("record")
        if record is None:
            value = curve[-1]["objective"] if curve else None
            seconds = float(last.get("time_total_s", 0.0))
            record = {"status": "stopped", "error": "", "curve": curve, "objective": value, "seconds": seconds}
            data = json.dumps({**record, "camera": camera}).encode()
            self._unless_gone(lambda: self._store.put(layout.trial_key(camera, key, "trial.json"), data))
        if last.get("store"):  # is it this camera's place in the store only, or all of it?
            self._unless_gone(self._store.check_schema)
        self._keep(
            TrialResult(
                camera,
                point,
                key,
                status=record["status"],
                reused=bool(last.get("reused")),
                objective=record["objective"],
                seconds=record["seconds"],
                curve=record["curve"],
                detector=record.get("detector"),
                error=record["error"],
            )
        )

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        """A trial failed in a way that is not the fit's own; it leaves no record, so that it is tried again."""
        camera, point, key = self._name(trial)
        self._tell(trial, self._config.detector.epochs)
        self._keep(TrialResult(camera, point, key, status="failed", error=_reason(trial)))

    def _unless_gone(self, call: Callable[[], None]) -> None:
        """Callbacks cannot raise, Tune would call that the trial's failure: remember, and `search` raises it."""
        try:
            call()
        except StoreError as error:
            self.gone = error

    def _name(self, trial: Any) -> tuple[str, Point, str]:
        work = trial.config["work"]
        point = Point(sigma=work["sigma"], lam=work["lambda"])
        config = detector_config(self._config, point)
        data = self._cameras[work["camera"]]
        return data.camera, point, fingerprint(data.camera, data.digest, config, self._config.objective)

    def _tell(self, trial: Any, epochs: int) -> None:
        """Progress hears of each epoch once, also of those of a trial that lost its node and began again."""
        new = epochs - self._told.get(trial.trial_id, 0)
        if new > 0:
            self._told[trial.trial_id] = epochs
            self._on_epoch(trial.config["work"]["camera"], new)

    def _keep(self, result: TrialResult) -> None:
        self._results[result.camera, result.point] = result
        self._on_trial(result)


class _StoreIsGone(tune.Stopper):
    """Ends a search whose store does not answer any more: each further point would wait for it again."""

    def __init__(self, collector: _Collector) -> None:
        self._collector = collector

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._collector.gone is not None


def _reason(trial: Any) -> str:
    """One line of why a trial failed, never a traceback."""
    error = trial.get_pickled_error()
    if isinstance(error, ray.exceptions.RayTaskError):
        return f"a point failed: {_last_line(error)}"
    return "the process that trained it was lost"


def _last_line(error: BaseException) -> str:
    """The end of a traceback in an exception's text: what Ray and Tune make of an error has it all."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__


class _quiet:
    """Tune's tables, loggers and warnings are for people who wrote a Tune script; ours have a progress bar."""

    SETTINGS: ClassVar = {
        "RAY_AIR_NEW_OUTPUT": "0",
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_WARN_THRESHOLD_S": "60",
        "TUNE_DISABLE_SIGINT_HANDLER": "1",  # with its own, Ctrl-C ends a search early as if it were finished
    }

    def __enter__(self) -> None:
        self._before = {name: os.environ.get(name) for name in self.SETTINGS}
        os.environ.update(self.SETTINGS)
        self._level = logging.getLogger("ray.tune").level
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)

    def __exit__(self, *_: object) -> None:
        logging.getLogger("ray.tune").setLevel(self._level)
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
