"""The search on a real Ray: points of one camera compete, what is done is not done again, failures are one line."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import ray
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from fleet.cluster import scratch_folder
from fleet.errors import StoreError
from fleet.halving import PerCameraHalving, scheduler_of
from fleet.search import TrialResult, _last_line, search
from fleet.search_config import Point, SearchConfig, parse_search
from fleet.store import Store, open_store
from fleet.trial import CameraFrames, fingerprint, work_of

STOP, CONTINUE = TrialScheduler.STOP, TrialScheduler.CONTINUE
INCUMBENT = Point(sigma=0.1, lam=1.0)


# -- halving, without Ray


class Recorder:
    """A scheduler that notes whom it sees and says one thing."""

    def __init__(self, says: str) -> None:
        self.says = says
        self.seen: list[str] = []

    def on_trial_add(self, controller: Any, trial: Any) -> None:
        self.seen.append(trial.trial_id)

    def on_trial_result(self, controller: Any, trial: Any, result: dict[str, Any]) -> str:
        self.seen.append(trial.trial_id)
        return self.says

    def on_trial_complete(self, controller: Any, trial: Any, result: dict[str, Any]) -> None:
        self.seen.append(trial.trial_id)


def trial(camera: str, sigma: float, lam: float = 1.0) -> Any:
    return SimpleNamespace(
        trial_id=f"{camera}-{sigma}-{lam}", config={"work": work_of(camera, Point(sigma=sigma, lam=lam))}
    )


def test_each_camera_has_a_scheduler_of_its_own():
    made: list[Recorder] = []

    def make() -> Any:
        made.append(Recorder(CONTINUE))
        return made[-1]

    halving = PerCameraHalving(make, INCUMBENT)
    trials = [trial(camera, sigma) for sigma in (0.5, 1.0) for camera in ("dock", "gate")]
    for each in trials:
        halving.on_trial_add(None, each)
    for each in trials:
        assert halving.on_trial_result(None, each, {}) == CONTINUE
        halving.on_trial_complete(None, each, {})
    assert len(made) == 2
    for scheduler, camera in zip(made, ("dock", "gate"), strict=True):
        assert set(scheduler.seen) == {f"{camera}-0.5-1.0", f"{camera}-1.0-1.0"}


def test_the_incumbent_is_never_stopped_and_others_are():
    halving = PerCameraHalving(lambda: Recorder(STOP), INCUMBENT)  # type: ignore[arg-type, return-value]
    assert halving.on_trial_result(None, trial("dock", 0.1, 1.0), {}) == CONTINUE
    assert halving.on_trial_result(None, trial("dock", 0.1, 0.5), {}) == STOP


def test_a_poor_camera_does_not_lose_its_points_to_a_good_one():
    """The real ASHA: every point of the poor camera is below every one of the good camera, and its best one goes on."""
    config = parse_search(
        "incumbent: {sigma: 0.1, lambda: 1}\nscheduler: {kind: asha, grace_epochs: 2, reduction_factor: 2}", "x"
    )
    halving = scheduler_of(config)
    sigmas = (0.01, 0.05, 0.5, 1.0)
    trials = [trial(camera, sigma) for sigma in sigmas for camera in ("good", "poor")]
    for each in trials:
        halving.on_trial_add(None, each)  # type: ignore[arg-type]
    stopped = set()
    for epoch in (1, 2):
        # The best one first: those after it are then compared with it.
        for place, sigma in enumerate(reversed(sigmas)):
            for camera, level in (("good", 100.0), ("poor", 0.0)):
                each = next(t for t in trials if t.trial_id == f"{camera}-{sigma}-1.0")
                result = {"objective": level - place, "training_iteration": epoch}
                if halving.on_trial_result(None, each, result) == STOP:  # type: ignore[arg-type]
                    stopped.add((camera, sigma))
    assert {sigma for camera, sigma in stopped if camera == "good"} == {
        sigma for camera, sigma in stopped if camera == "poor"
    }
    assert ("poor", 1.0) not in stopped
    assert ("poor", 0.01) in stopped


# -- names of trials


def test_a_fingerprint_changes_with_everything_that_changes_a_fit(monkeypatch):
    data, search, point = CameraFrames("dock", None, None, "d"), SearchConfig(), Point()

    def with_detector(**changes: Any) -> SearchConfig:
        return search.model_copy(update={"detector": search.detector.model_copy(update=changes)})

    base = fingerprint(data, search, point)
    others = [
        fingerprint(replace(data, camera="gate"), search, point),
        fingerprint(replace(data, digest="e"), search, point),
        fingerprint(data, search, Point(sigma=0.2)),
        fingerprint(data, search, Point(cap=1)),
        fingerprint(data, with_detector(seed=1), point),
        fingerprint(data, with_detector(kind="paper"), point),
        fingerprint(data, with_detector(settled="never"), point),
        fingerprint(data, search.model_copy(update={"objective": "other"}), point),
    ]
    assert fingerprint(replace(data, valid=None), SearchConfig(margin=1), Point()) == base
    monkeypatch.setattr("fleet.trial.FIT_VERSION", 10**6)
    others.append(fingerprint(data, search, point))
    assert len({base, *others}) == 10


@pytest.mark.parametrize(
    ("text", "told"), [("Traceback\n  File x\nValueError: no\n\n", "ValueError: no"), ("", "RuntimeError")]
)
def test_of_a_traceback_its_last_line_is_told(text, told):
    assert _last_line(RuntimeError(text)) == told


# -- on Ray

ASHA = """\
space: {sigma: [0.01, 0.1, 0.5, 1.0], lambda: [0.1, 1.0]}
detector: {kind: paper, epochs: 8, latent: 8}
scheduler: {kind: asha, grace_epochs: 1, reduction_factor: 2}
"""


def scene(seed: int, count: int = 40) -> np.ndarray:
    rng = np.random.default_rng(seed)
    frames = rng.integers(60, 160, (24, 32)) + rng.normal(0, 3, (count, 24, 32))
    for place in range(count):
        frames[place, 8:14, place % 26 : place % 26 + 6] = 230
    return frames.clip(0, 255).astype(np.uint8)


def on_cluster(camera: str, frames: np.ndarray) -> CameraFrames:
    return CameraFrames(camera, ray.put(frames), None, f"digest of {camera}")


class Told:
    """What a search tells while it runs."""

    def __init__(self) -> None:
        self.epochs: Counter[str] = Counter()
        self.trials: list[TrialResult] = []

    def on_epoch(self, camera: str, epochs: int) -> None:
        self.epochs[camera] += epochs

    def run(self, cameras: list[CameraFrames], config: SearchConfig, store: Store) -> dict[str, list[TrialResult]]:
        by_camera = {each.camera: each for each in cameras}
        return search(by_camera, config, store, self.on_epoch, self.trials.append)


@pytest.fixture(scope="module")
def halved(ray_here: None, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A search with halving over two cameras, and the same once more with all its records there."""
    store = open_store(tmp_path_factory.mktemp("search") / "store")
    config = parse_search(ASHA, "asha.yaml")
    cameras = [on_cluster("dock", scene(0)), on_cluster("gate", scene(1))]
    told, told_again = Told(), Told()
    scratch: list[Path] = []

    @contextlib.contextmanager
    def noted(name: str) -> Iterator[Path]:
        with scratch_folder(name) as folder:
            scratch.append(folder)
            yield folder

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fleet.search.scratch_folder", noted)
        results = told.run(cameras, config, store)
    records = store.list("trials/")
    started = time.monotonic()
    again = told_again.run(cameras, config, store)
    return SimpleNamespace(
        store=store,
        config=config,
        results=results,
        told=told,
        records=records,
        again=again,
        told_again=told_again,
        scratch=scratch,
        replay_s=time.monotonic() - started,
    )


@pytest.mark.slow
def test_every_point_of_every_camera_has_a_result_in_order(halved):
    assert list(halved.results) == ["dock", "gate"]
    for camera, results in halved.results.items():
        assert [result.point for result in results] == halved.config.points()
        assert {result.camera for result in results} == {camera}
        assert not any(result.reused for result in results)


@pytest.mark.slow
def test_halving_leaves_stopped_points_and_a_finished_incumbent(halved):
    for results in halved.results.values():
        by_status = {status: [r for r in results if r.status == status] for status in ("done", "stopped", "failed")}
        assert by_status["stopped"], "nothing was stopped"
        assert not by_status["failed"]
        assert results[0].status == "done"
        assert results[0].point == halved.config.incumbent
        assert all(len(result.curve) == 8 and result.detector for result in by_status["done"])
        assert all(len(result.curve) < 8 and result.detector is None for result in by_status["stopped"])
        assert all([row["epoch"] for row in r.curve] == list(range(1, len(r.curve) + 1)) for r in results)


@pytest.mark.slow
def test_every_finished_point_leaves_a_record_and_only_done_ones_their_weights(halved):
    from safetensors.numpy import load

    for camera, results in halved.results.items():
        for result in results:
            record = json.loads(halved.store.get(f"trials/{camera}/{result.fingerprint}/trial.json"))
            weights = halved.store.get(f"trials/{camera}/{result.fingerprint}/model.safetensors")
            assert record["status"] == result.status
            assert (weights is not None) == (result.status == "done")
            if weights is not None:
                assert load(weights)


@pytest.mark.slow
def test_progress_adds_up_to_all_epochs_also_where_points_were_stopped(halved):
    for told in (halved.told, halved.told_again):
        assert told.epochs == {"dock": 64, "gate": 64}
        assert len(told.trials) == 16


@pytest.mark.slow
def test_a_search_whose_records_are_there_trains_nothing(halved):
    for camera, results in halved.again.items():
        assert all(result.reused for result in results)
        for before, after in zip(halved.results[camera], results, strict=True):
            assert (before.point, before.status, before.curve) == (after.point, after.status, after.curve)
            assert before.objective == after.objective
            assert before.detector == after.detector
    assert halved.store.list("trials/") == halved.records, "no record was written again"
    assert halved.replay_s < 60, "16 points that train nothing"


@pytest.mark.slow
def test_a_camera_where_nothing_moves_fails_in_words_and_its_neighbour_does_not(ray_here, tmp_path, tiny_search):
    store = open_store(tmp_path / "store")
    config = parse_search(tiny_search.read_text(), "tiny.yaml")
    frozen = np.full((20, 24, 32), 90, np.uint8)
    (tmp_path / "store" / "trials").mkdir(parents=True)
    (tmp_path / "store" / "trials" / "blocked").write_text("a file where a folder should be")
    cameras = [on_cluster("frozen", frozen), on_cluster("blocked", scene(2)), on_cluster("dock", scene(0))]
    results = Told().run(cameras, config, store)
    assert {result.status for result in results["dock"]} == {"done"}
    assert {result.status for result in results["frozen"]} == {"failed"}
    assert {result.status for result in results["blocked"]} == {"failed"}
    for result in results["frozen"] + results["blocked"]:
        assert "\n" not in result.error
        assert "Traceback" not in result.error
    assert "nothing moves: all 20 frames are the same" in results["frozen"][0].error
    assert "cannot be used: not a directory" in results["blocked"][0].error
    # A bad camera is bad again tomorrow; a store is not.
    assert len(store.list("trials/frozen/")) == 4


@pytest.mark.slow
def test_a_point_that_breaks_in_an_unforeseen_way_is_one_line_and_not_remembered(ray_here, tmp_path):
    store = open_store(tmp_path / "store")
    text = (
        "space: {sigma: [0.1], lambda: [1.0]}\ndetector: {kind: paper, epochs: 2, latent: 8}\nscheduler: {kind: fifo}"
    )
    config = parse_search(text, "one.yaml").model_copy(update={"objective": "no-such-objective"})
    results = Told().run([on_cluster("dock", scene(0))], config, store)
    for result in results["dock"]:
        assert result.status == "failed"
        assert "KeyError" in result.error
        assert "no-such-objective" in result.error
        assert "\n" not in result.error
    assert list(store.list("trials/")) == []


SCREEN = """\
space: {lambda: [0.1, 1.0], cap: [auto, 1, 3]}
incumbent: {lambda: 1.0, cap: auto}
detector: {epochs: 4}
scheduler: {kind: screen, grace_epochs: 1}
"""


@pytest.mark.slow
def test_a_first_look_leaves_the_incumbent_and_one_other_to_be_fitted(ray_here, tmp_path):
    """Of the default's kind, so that a search of it is run once."""
    store = open_store(tmp_path / "store")
    config = parse_search(SCREEN, "screen.yaml")
    told = Told()
    (results,) = told.run([on_cluster("dock", scene(0))], config, store).values()
    assert [result.point for result in results] == config.points()
    done = [result for result in results if result.status == "done"]
    assert done[0].point == config.incumbent
    assert len(done) <= 2
    assert isinstance(scheduler_of(config), FIFOScheduler), (
        "a finalist runs to its end, whatever the other one comes to"
    )
    assert all(len(result.curve) == 4 and result.detector["method"] == "evidence" for result in done)
    assert all(len(result.curve) == 1 and result.status == "stopped" for result in results if result not in done)
    assert told.epochs == {"dock": 6 * 4}
    assert len(told.trials) == 6
    kept = {key.split("/")[2] for key in store.list("trials/")}
    assert kept == {result.fingerprint for result in results}, "the look at a finalist is not kept beside its fit"


@pytest.mark.slow
def test_a_store_that_goes_for_good_ends_the_search_with_one_line(ray_here, tmp_path):
    store = open_store(tmp_path / "store")
    config = parse_search(ASHA.replace("epochs: 8", "epochs: 60").replace("asha", "fifo"), "x.yaml")
    root = Path(store.uri)
    told = Told()

    def take_away(camera: str, epochs: int) -> None:
        told.on_epoch(camera, epochs)
        if sum(told.epochs.values()) == 5:
            shutil.rmtree(root, ignore_errors=True)
            root.write_text("no folder any more")

    cameras = {"dock": on_cluster("dock", scene(0)), "gate": on_cluster("gate", scene(1))}
    with pytest.raises(StoreError, match="cannot be used") as error:
        search(cameras, config, store, take_away)
    assert "\n" not in str(error.value)
    assert told.epochs.total() < 16 * 60 / 2, "the other points were still tried"


@pytest.mark.slow
def test_nothing_of_tunes_stays_in_the_home_folder_or_in_tmp(halved):
    assert not (Path.home() / "ray_results").exists()
    assert len(halved.scratch) == 1
    assert not halved.scratch[0].exists()
