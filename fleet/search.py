"""Ray Tune over (camera, point): many cameras in one Tuner, halving among the points of one camera only.

A finished point leaves a done-record in the store (its metrics and weights), so that a search that was killed takes up
where it was: points with a record replay it instead of training. Tune's own checkpoints are not used; its snapshots
lag behind what is done.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import ray
from ray import tune

from fleet import layout
from fleet.cluster import scratch_folder
from fleet.errors import FleetError, StoreError
from fleet.halving import scheduler_of
from fleet.screening import finalists, screening, screens, spared, spared_epochs, thinned
from fleet.search_config import Point, SearchConfig
from fleet.store import Store
from fleet.trial import CameraFrames, PointTrial, fingerprint, point_of, work_of

__all__ = ["TrialResult", "search"]

NODE_LOSSES = 3  # how often one point may lose its node before it counts as failed


@dataclass(frozen=True)
class TrialResult:
    """What became of one point of one camera.

    Attributes:
        status: done (trained to its end, or until it had settled), stopped (halved away, or only screened), failed.
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


def search(
    cameras: Mapping[str, CameraFrames],
    config: SearchConfig,
    store: Store,
    on_epoch: Callable[[str, int], None] = lambda camera, epochs: None,
    on_trial: Callable[[TrialResult], None] = lambda trial: None,
) -> dict[str, list[TrialResult]]:
    """Try every point of a search for every camera on the connected Ray cluster.

    One Tuner runs them; with screening two: a first look at all points, then fits of the finalists (see
    `fleet.screening`).

    Args:
        on_epoch: called with a camera and the epochs that one of its points has just taken.
        on_trial: called with each point that has ended.

    Returns:
        For each camera the results of all points, in the order of `config.points()`.

    Raises:
        StoreError: the store is gone for good.
        FleetError: the cluster is.
    """
    points = dict.fromkeys(cameras, config.points())
    if not screens(config):
        return _tune(cameras, points, config, store, on_epoch, on_trial)
    screened = _tune(thinned(cameras, config), points, screening(config), store, on_epoch, lambda trial: None)
    finals = {camera: finalists(config, results) for camera, results in screened.items()}
    for camera, results in screened.items():
        on_epoch(camera, spared_epochs(config, len(finals[camera])))
        for result in spared(results, finals[camera]):
            on_trial(result)
    finished = _tune(cameras, finals, config, store, on_epoch, on_trial)
    order = config.points()
    for camera, results in screened.items():
        for result in results:  # the look at a finalist has had its day
            if result.point in finals[camera]:
                store.delete_all(layout.trial_key(camera, result.fingerprint, ""))
        finished[camera] += spared(results, finals[camera])
        finished[camera].sort(key=lambda result: order.index(result.point))
    return finished


def _tune(
    cameras: Mapping[str, CameraFrames],
    points: Mapping[str, Sequence[Point]],
    config: SearchConfig,
    store: Store,
    on_epoch: Callable[[str, int], None],
    on_trial: Callable[[TrialResult], None],
) -> dict[str, list[TrialResult]]:
    """One Tuner over these points of these cameras; a result for each, in their order."""
    work = [work_of(camera, point) for camera in cameras for point in points[camera]]
    shared = {"store": store.uri, "config": config, "cameras": dict(cameras)}
    has_gpu = ray.cluster_resources().get("GPU", 0) > 0
    resources = {"cpu": config.cpus_per_trial, "gpu": config.gpus_per_trial if has_gpu else 0}
    collector = _Collector(store, config, cameras, points, on_epoch, on_trial)
    with scratch_folder("tune") as scratch, _quiet():
        tuner = tune.Tuner(
            tune.with_resources(tune.with_parameters(PointTrial, shared=shared), resources),
            param_space={"work": tune.grid_search(work)},
            tune_config=tune.TuneConfig(
                metric="objective",
                mode="max",
                scheduler=scheduler_of(config),
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


class _Collector(tune.Callback):
    """Turns Tune's callbacks, which run in this process, into results; remembers stopped points in the store."""

    def __init__(
        self,
        store: Store,
        config: SearchConfig,
        cameras: Mapping[str, CameraFrames],
        points: Mapping[str, Sequence[Point]],
        on_epoch: Callable[[str, int], None],
        on_trial: Callable[[TrialResult], None],
    ) -> None:
        self._store = store
        self._points = points
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
        return {
            camera: [self._results[camera, point] for point in points if (camera, point) in self._results]
            for camera, points in self._points.items()
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
        point = point_of(work)
        data = self._cameras[work["camera"]]
        return data.camera, point, fingerprint(data, self._config, point)

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
