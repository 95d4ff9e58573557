"""Retraining on a real Ray: a champion for each camera that can have one, whatever dies on the way."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load

from cameras.camera import Camera
from cameras.preprocess import preprocess
from fleet import layout
from fleet.errors import FleetError
from fleet.jobs import CameraResult, Job, plan_job
from fleet.local_s3 import LocalS3
from fleet.recordings import part_keys, record_camera
from fleet.registry import Registry, make_camera
from fleet.retrain import Progress, _chunks, _ensure_recordings, retrain
from fleet.search_config import SearchConfig
from fleet.store import Store, open_store
from fleet.versions import load_detector, read_version, versions

TINY = """\
space: {sigma: [0.1, 0.5], lambda: [0.1, 1.0]}
incumbent: {sigma: 0.1, lambda: 1.0}
detector: {epochs: 3, latent: 8}
scheduler: {kind: fifo}
"""
POINTS = 4


def add(store: Store, camera_id: str, source: Path, **fields: Any) -> Camera:
    return Registry(store).add(make_camera(id=camera_id, source=str(source), size="32x24", **fields))


def check_every_object(store: Store) -> None:
    """Each object in the store is whole: it is parsed by what its name says."""
    for key in store.list(""):
        data = store.get(key) or b""
        if key.endswith(".json"):
            assert isinstance(json.loads(data), dict), key
        elif key.endswith(".parquet"):
            pq.read_table(io.BytesIO(data))
        elif key.endswith(".safetensors"):
            assert load(data), key
        else:
            raise AssertionError(f"{key} is none of JSON, Parquet and safetensors")


# -- before Ray


def test_a_live_camera_without_a_recording_is_told_to_record(folder_store, tiny_search):
    camera = Registry(folder_store).add(make_camera(id="dock", source="rtsp://127.0.0.1:1/x"))
    (result,) = retrain(folder_store, plan_job(folder_store, [camera], str(tiny_search)), [camera])
    assert result.error == "camera 'dock': has no recording to learn from — fleet record dock --for 10m"


def test_where_no_camera_can_be_trained_ray_is_not_started(folder_store, tiny_search, monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("Ray was started")

    monkeypatch.setattr("fleet.cluster.connect", refuse)
    camera = Registry(folder_store).add(make_camera(id="dock", source="nowhere.mp4"))
    job = plan_job(folder_store, [camera], str(tiny_search))
    (result,) = retrain(folder_store, job, [camera])
    assert (result.error or "").startswith("camera 'dock': ")
    assert folder_store.read(layout.job_key(job.name, "manifest.json"))["status"] == "finished"
    assert not plan_job(folder_store, [camera], str(tiny_search)).resumed


def test_what_a_killed_job_had_begun_to_record_is_recorded_again_whole(folder_store, tiny_search, image_folder):
    camera = add(folder_store, "dock", image_folder)
    job = plan_job(folder_store, [camera], str(tiny_search))
    folder_store.put(layout.job_key(job.name, "cameras/dock.json"), b'{"camera": "dock", "state": "recording"}')
    record_camera(folder_store, camera, frames=10)  # as far as it came
    again = plan_job(folder_store, [camera], str(tiny_search))
    assert again.resumed
    _ensure_recordings(folder_store, again, [camera], Progress())
    assert any(key.endswith("-48.parquet") for key in part_keys(folder_store, camera))


def test_what_is_recorded_while_a_job_is_unfinished_does_not_change_it(folder_store, tiny_search, image_folder):
    camera = add(folder_store, "dock", image_folder)
    ((_, pinned),), _ = _ensure_recordings(
        folder_store, plan_job(folder_store, [camera], str(tiny_search)), [camera], Progress()
    )
    folder_store.put(pinned[0].replace("-48.parquet", "-99.parquet"), folder_store.get(pinned[0]) or b"")
    assert len(part_keys(folder_store, camera)) == 2
    ((_, parts),), _ = _ensure_recordings(
        folder_store, plan_job(folder_store, [camera], str(tiny_search)), [camera], Progress()
    )
    assert parts == pinned


def test_cameras_with_the_same_search_share_a_tuner_up_to_its_chunk():
    small, other = SearchConfig(cameras_per_chunk=2), SearchConfig(margin=9, cameras_per_chunk=2)
    cameras = [make_camera(id=name, source="x.mp4") for name in "abcde"]
    searches = {camera.id: other if camera.id == "c" else small for camera in cameras}
    job = Job("job", "plan", cameras[0].registered_at, searches)
    chunks = _chunks(job, [(camera, []) for camera in cameras])
    assert [(config.margin, [camera.id for camera, _ in members]) for config, members in chunks] == [
        (0.2, ["a", "b"]),
        (0.2, ["d", "e"]),
        (9, ["c"]),
    ]


# -- six cameras, of which two are well


class Heard(Progress):
    """All that a retraining told."""

    def __init__(self) -> None:
        self.results: list[CameraResult] = []
        self.trials: list[str] = []
        self.ahead: dict[str, int] = {}

    def searching(self, cameras: Any, epochs: int) -> None:
        self.ahead |= dict.fromkeys(cameras, epochs)

    def epochs(self, camera: str, epochs: int) -> None:
        self.ahead[camera] -= epochs

    def trial(self, trial: Any) -> None:
        self.trials.append(trial.camera)

    def camera(self, result: CameraResult) -> None:
        self.results.append(result)


@pytest.fixture(scope="module")
def mixed(
    ray_here: None, tmp_path_factory: pytest.TempPathFactory, write_image_folder: Callable[..., Path]
) -> SimpleNamespace:
    """One retraining of two good cameras and four that are broken each in a way of its own."""
    folder = tmp_path_factory.mktemp("mixed")
    store = open_store(folder / "store")
    search = folder / "tiny.yaml"
    search.write_text(TINY)
    cameras = {
        name: add(store, name, write_image_folder(folder / name, frames=frames, seed=seed))
        for seed, (name, frames) in enumerate({"dock": 48, "gate": 40, "single": 1, "torn": 20, "blocked": 20}.items())
    }
    still = folder / "frozen"
    write_image_folder(still, frames=20)
    for picture in sorted(still.iterdir())[1:]:
        picture.write_bytes((still / "0000.png").read_bytes())
    cameras["frozen"] = add(store, "frozen", still)
    record_camera(store, cameras["torn"])
    (torn,) = part_keys(store, cameras["torn"])
    store.put(torn, b"")
    (folder / "store" / "trials").mkdir()
    (folder / "store" / "trials" / "blocked").write_text("a file where a folder should be")
    job = plan_job(store, list(cameras.values()), str(search))
    heard = Heard()
    results = retrain(store, job, list(cameras.values()), progress=heard)
    (folder / "store" / "trials" / "blocked").unlink()
    return SimpleNamespace(
        store=store,
        root=folder / "store",
        search=str(search),
        cameras=cameras,
        job=job,
        heard=heard,
        results={result.camera: result for result in results},
        order=[result.camera for result in results],
    )


@pytest.mark.slow
def test_good_cameras_get_versions_and_broken_ones_their_own_error(mixed):
    assert mixed.order == list(mixed.cameras)
    for name in ("dock", "gate"):
        result = mixed.results[name]
        assert result.error is None
        assert result.promoted
        assert (result.trials, result.trained, result.reused) == (POINTS, POINTS, 0)
        assert Registry(mixed.store).aliases(name).champion == result.version
    expected = {
        "single": "its recording has 1 frame, at least 16 are needed",
        "torn": "is empty (0 bytes)",
        "frozen": "nothing moves: all 20 frames are the same",
        "blocked": "cannot be used: not a directory",
    }
    for name, told in expected.items():
        error = mixed.results[name].error
        assert error.startswith(f"camera '{name}': ")
        assert told in error
        assert "\n" not in error
        assert mixed.results[name].version is None
        assert Registry(mixed.store).aliases(name).champion is None


@pytest.mark.slow
def test_the_store_is_laid_out_as_designed(mixed):
    keys = [key for key in mixed.store.list("") if not key.startswith("cameras/")]
    for name in ("dock", "gate"):
        version = mixed.results[name].version
        names = ("calibration.parquet", "manifest.json", "model.safetensors", "trials.parquet")
        assert [key for key in keys if key.startswith(f"models/{name}/")] == [
            f"models/{name}/{version}/{file}" for file in names
        ]
    assert [key for key in keys if key.startswith("aliases/")] == ["aliases/dock.json", "aliases/gate.json"]
    assert {f"jobs/{mixed.job.name}/manifest.json", f"jobs/{mixed.job.name}/summary.parquet"} <= set(keys)
    for name in mixed.cameras:
        (part,) = (key for key in keys if key.startswith(f"recordings/camera={name}/"))
        assert re.fullmatch(rf"recordings/camera={name}/date=\d{{4}}-\d\d-\d\d/[0-9a-f]+-\d+-\d+\.parquet", part)
    known = ("store.json", "aliases/", "jobs/", "models/", "recordings/", "trials/")
    assert [key for key in keys if not key.startswith(known)] == []


@pytest.mark.slow
def test_done_records_go_with_the_camera_that_is_done_and_stay_with_the_one_that_failed(mixed):
    """What was found out of a failed camera's points is not trained again by the next command."""
    left = mixed.store.list("trials/")
    assert {key.split("/")[1] for key in left} == {"frozen"}
    assert len(left) == POINTS


@pytest.mark.slow
def test_nothing_in_the_store_is_a_pickle(mixed):
    files = [path for path in mixed.root.rglob("*") if path.is_file()]
    assert files
    for path in files:
        start = path.read_bytes()[:2]
        assert path.suffix not in (".pkl", ".pickle", ".pt", ".pth")
        assert not (start[:1] == b"\x80" and start[1:] in (b"\x02", b"\x03", b"\x04", b"\x05")), path
        assert start != b"PK", path  # torch.save


@pytest.mark.slow
def test_a_version_scores_the_frames_it_learnt_as_it_says(mixed):
    import numpy as np

    from cameras.images import decode_image
    from fleet.detector import Footage

    for name in ("dock", "gate"):
        version = read_version(mixed.store, name, mixed.results[name].version)
        detector = load_detector(mixed.store, version)
        rows = pq.read_table(
            io.BytesIO(mixed.store.get(layout.model_key(name, version.version, "calibration.parquet")))
        ).to_pylist()
        assert len(rows) == version.frames == len(list(Path(mixed.cameras[name].source).iterdir()))
        assert version.preprocessing == mixed.cameras[name].preprocessing
        (part,) = part_keys(mixed.store, mixed.cameras[name])
        jpegs = pq.read_table(io.BytesIO(mixed.store.get(part)))["jpeg"].to_pylist()
        frames = np.stack([preprocess(decode_image(jpeg), version.preprocessing) for jpeg in jpegs])
        assert version.channels == detector.informative
        times_s = np.array([row["captured_at"].timestamp() for row in rows])
        _, clip = np.unique([row["clip"] for row in rows], return_inverse=True)
        scores = detector.score(Footage(frames, times_s, clip))
        for column, values in (("pcc", scores.pcc), ("score", scores.score)):
            np.testing.assert_allclose(values, [row[column] for row in rows], atol=1e-4)
        assert version.threshold == pytest.approx(version.pcc_mean - version.kappa * version.pcc_std)


@pytest.mark.slow
def test_the_trials_table_has_a_row_a_point_and_the_winner_among_them(mixed):
    for name in ("dock", "gate"):
        result = mixed.results[name]
        table = mixed.store.get(layout.model_key(name, result.version, "trials.parquet"))
        rows = pq.read_table(io.BytesIO(table)).to_pylist()
        assert len(rows) == POINTS
        assert len({(row["sigma"], row["lambda"]) for row in rows}) == POINTS
        assert {row["status"] for row in rows} == {"done"}
        assert all(len(json.loads(row["curve"])) == row["epochs"] == 3 for row in rows)
        (winner,) = (row for row in rows if (row["sigma"], row["lambda"]) == (result.sigma, result.lam))
        assert winner["fingerprint"] == read_version(mixed.store, name, result.version).fingerprint
        assert winner["threshold"] == result.threshold


@pytest.mark.slow
def test_the_job_remembers_a_line_a_camera(mixed):
    summary = mixed.store.get(layout.job_key(mixed.job.name, "summary.parquet"))
    rows = pq.read_table(io.BytesIO(summary)).to_pylist()
    assert {row["camera"]: (row["version"], row["error"]) for row in rows} == {
        name: (result.version, result.error) for name, result in mixed.results.items()
    }
    assert mixed.store.read(layout.job_key(mixed.job.name, "manifest.json"))["status"] == "finished"
    check_every_object_but_the_torn_one(mixed)


def check_every_object_but_the_torn_one(mixed: SimpleNamespace) -> None:
    (torn,) = part_keys(mixed.store, mixed.cameras["torn"])
    mixed.store.delete(torn)
    check_every_object(mixed.store)
    mixed.store.put(torn, b"")


@pytest.mark.slow
def test_progress_was_told_to_its_end(mixed):
    assert mixed.heard.ahead == dict.fromkeys(("dock", "gate", "frozen", "blocked"), 0)
    assert len(mixed.heard.trials) == 4 * POINTS
    assert {result.camera for result in mixed.heard.results} == set(mixed.cameras)


@pytest.fixture(scope="module")
def once_more(mixed: SimpleNamespace) -> SimpleNamespace:
    """The good cameras retrained by the same command, when what is written of one of them does not fit any more."""
    from fleet.versions import write_version

    def write(store: Store, version: Any, *rest: Any) -> None:
        if version.camera == "gate":
            raise FleetError("the bucket is full", "empty it")
        write_version(store, version, *rest)

    cameras = [mixed.cameras["dock"], mixed.cameras["gate"]]
    plan_job(mixed.store, cameras, mixed.search, "given-up")
    job = plan_job(mixed.store, cameras, mixed.search, fresh=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fleet.versions.write_version", write)
        dock, gate = retrain(mixed.store, job, cameras)
    return SimpleNamespace(job=job, cameras=cameras, dock=dock, gate=gate)


@pytest.mark.slow
def test_the_next_command_is_a_new_job_and_a_new_version(mixed, once_more):
    """The champion before becomes `previous`; the same frames give the same model."""
    first, second = mixed.results["dock"], once_more.dock
    assert not once_more.job.resumed
    assert (second.trained, second.reused) == (POINTS, 0)
    assert [version.version for version in versions(mixed.store, "dock")] == [first.version, second.version]
    aliases = Registry(mixed.store).aliases("dock")
    assert (aliases.champion, aliases.previous) == (second.version, first.version)
    assert second.threshold == first.threshold
    assert not plan_job(mixed.store, once_more.cameras, mixed.search).resumed, "a finished job was resumed"


@pytest.mark.slow
def test_what_fails_after_the_search_fails_that_camera_alone(mixed, once_more):
    assert once_more.dock.error is None
    assert once_more.gate.error == "camera 'gate': the bucket is full — empty it"
    assert Registry(mixed.store).aliases("gate").champion == mixed.results["gate"].version


# -- what dies on the way


@pytest.fixture
def three_cameras(tmp_path: Path, write_image_folder: Callable[..., Path]) -> Callable[[Store], Path]:
    """Three cameras of 48 pictures in a store, and a search of six points; the search's file."""

    def make(store: Store) -> Path:
        for seed in range(3):
            add(store, f"cam-{seed}", write_image_folder(tmp_path / f"pictures-{seed}", seed=seed))
        search = tmp_path / "six.yaml"
        search.write_text(TINY.replace("[0.1, 1.0]", "[0.1, 0.5, 1.0]").replace("epochs: 3", "epochs: 20"))
        return search

    return make


ALL_POINTS = 18  # six of each of three cameras


def done_records(store: Store) -> set[str]:
    return {key for key in store.list("trials/") if key.endswith("/trial.json")}


def wait_for(what: Callable[[], bool], timeout_s: float, process: Any = None) -> None:
    deadline = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < deadline, "it did not come so far in time"
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.02)


def answer_of(process: Any, timeout_s: float = 180) -> dict[str, Any]:
    """The JSON document of a command that ended well and said nothing that only Ray's authors read."""
    out, err = process.communicate(timeout=timeout_s)
    assert process.returncode == 0, err
    for noise in ("Traceback", "WARNING", "(raylet", "(pid=", "ray.init", "Tune"):
        assert noise not in err
    answer: dict[str, Any] = json.loads(out)
    assert out.count("\n") == 1
    return answer


def scratch_of(pid: int) -> list[Path]:
    """The scratch folders that a process holds the lock of."""
    held = []
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            held.append(handle.readlink())
    return [path for path in held if path.name.startswith("fleet-") and path.is_dir()]


@pytest.fixture
def rays_of_this_test() -> Iterator[Callable[[], list[psutil.Process]]]:
    """Which of the processes in its `seen` are still alive; none is when the test ends."""
    seen: list[psutil.Process] = []

    def alive() -> list[psutil.Process]:
        found = []
        for process in seen:
            with contextlib.suppress(psutil.NoSuchProcess):
                # Ray's agents look for the dead head for another minute; they train nothing and hold nothing.
                if process.status() != psutil.STATUS_ZOMBIE and not process.name().endswith("Agent"):
                    found.append(process)
        return found

    alive.seen = seen  # type: ignore[attr-defined]
    yield alive
    for process in seen:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


@pytest.mark.slow
def test_the_same_command_finishes_what_a_killed_one_began(
    folder_store, three_cameras, fleet_process, rays_of_this_test
):
    """Killed half-way; Ray dies with it; no point that was finished is trained again; nothing is torn."""
    search = three_cameras(folder_store)
    command = ("retrain", "--all", "--search", search, "--store", folder_store.uri, "--json")
    first = fleet_process(*command)
    wait_for(lambda: len(done_records(folder_store)) >= 4, 120, first)
    rays_of_this_test.seen += psutil.Process(first.pid).children(recursive=True)
    scratch = scratch_of(first.pid)
    assert len(scratch) == 2, "one of Ray's and one of Tune's"
    first.kill()
    assert first.communicate(timeout=60)[0] == ""
    wait_for(lambda: not rays_of_this_test(), 30)
    for folder in scratch:  # a later command would sweep them
        shutil.rmtree(folder)
    finished = done_records(folder_store)
    assert 4 <= len(finished) < ALL_POINTS, "the command was not killed half-way: this proved nothing"
    check_every_object(folder_store)
    assert list(folder_store.list("aliases/")) == []

    answer = answer_of(fleet_process(*command))
    assert answer["resumed"]
    rows = {row["camera"]: row for row in answer["cameras"]}
    assert [rows[name]["error"] for name in sorted(rows)] == [None] * 3
    for name, row in rows.items():
        assert row["reused"] == sum(key.startswith(f"trials/{name}/") for key in finished)
        assert row["trained"] + row["reused"] == row["trials"] == 6
        assert [version.version for version in versions(folder_store, name)] == [row["version"]]
        assert Registry(folder_store).aliases(name).champion == row["version"]
    check_every_object(folder_store)
    assert list(folder_store.list("trials/")) == []
    assert len([key for key in folder_store.list("jobs/") if key.endswith("/manifest.json")]) == 1


@pytest.mark.slow
def test_ctrl_c_is_one_line_and_leaves_the_job_to_the_same_command(
    folder_store, three_cameras, fleet_process, rays_of_this_test
):
    """A search that was cut short must not be taken for a complete one: nobody is promoted."""
    search = three_cameras(folder_store)
    first = fleet_process("retrain", "--all", "--search", search, "--store", folder_store.uri, "--json")
    wait_for(lambda: len(done_records(folder_store)) >= 2, 120, first)
    rays_of_this_test.seen += psutil.Process(first.pid).children(recursive=True)
    first.send_signal(signal.SIGINT)
    out, err = first.communicate(timeout=60)
    assert first.returncode == 130
    assert out == ""
    assert err.strip().splitlines()[-1] == "interrupted: run the same command again to go on"
    assert "Traceback" not in err
    wait_for(lambda: not rays_of_this_test(), 30)
    assert list(folder_store.list("aliases/")) == []
    assert 2 <= len(done_records(folder_store)) < ALL_POINTS
    assert plan_job(folder_store, Registry(folder_store).cameras(), str(search)).resumed


@pytest.mark.slow
def test_a_retraining_outlives_the_death_of_its_s3_server(tmp_path, monkeypatch, three_cameras, fleet_process):
    """SIGKILL to the server in the middle of the search, and back after four seconds: nobody notices."""
    server = LocalS3(tmp_path / "s3")
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    server.start()
    try:
        store = open_store(server.uri("night"), patience_s=60)
        search = three_cameras(store)
        process = fleet_process(
            "retrain", "--all", "--search", search, "--store", store.uri, "--json", env={**os.environ}
        )
        wait_for(lambda: len(done_records(store)) >= 4, 120, process)
        before = len(done_records(store))
        server.kill()
        assert before < ALL_POINTS, "the server was not killed half-way: this proved nothing"
        time.sleep(4)
        assert process.poll() is None
        server.start()
        answer = answer_of(process)
        for row in answer["cameras"]:
            assert row["error"] is None
            assert (row["trained"], row["reused"]) == (6, 0)
            assert Registry(store).aliases(row["camera"]).champion == row["version"]
        check_every_object(store)
        assert list(store.list("trials/")) == []
    finally:
        server.kill()
