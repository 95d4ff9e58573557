"""Halving among the points of one camera only, inside a Tuner that searches many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler

from fleet.search_config import Point, SearchConfig
from fleet.trial import point_of

__all__ = ["PerCameraHalving", "scheduler_of"]


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
        if point_of(trial.config["work"]) == self._incumbent:
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


def scheduler_of(config: SearchConfig) -> TrialScheduler:
    if config.scheduler.kind != "asha":  # the finalists of a first look run to their end
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
