"""The cluster-wide job: cameras in, one champion each out. It can be killed at any moment and run again.

    plan -> record what has no recording -> for each chunk of cameras: load, search, store the winner, promote it

What is done stands in the store, in the order in which it is safe to find it: done-records of points, then a version
(weights, tables, manifest), then the alias, then the camera's line in the job. The same command finds the unfinished
job of the same plan and does the rest. One camera's failure is its own line and never another's loss.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cameras.camera import Camera
from fleet import layout, versions
from fleet.errors import ConflictError, FleetError, NotFoundError
from fleet.jobs import CameraResult, Job, finish_job, finished_cameras, write_camera_state
from fleet.lease import held
from fleet.recordings import is_live, part_keys, record_camera
from fleet.registry import Registry
from fleet.search_config import SearchConfig
from fleet.store import Store
from fleet.tables import table_to_bytes

if TYPE_CHECKING:
    from fleet.detector.evidence import EvidenceDetector
    from fleet.detector.mle import MleDetector
    from fleet.search import TrialResult
    from fleet.trial import CameraFrames

__all__ = ["MIN_FRAMES", "Progress", "retrain"]

MIN_FRAMES = 16  # fewer cannot tell what is normal


class Progress:
    """What a retraining tells while it runs; each method may be overridden, none must."""

    def stage(self, text: str) -> None:
        """A step of the job begins."""

    def recorded(self, camera: str, frames: int) -> None:
        """So many frames of a camera's source were recorded."""

    def searching(self, cameras: Sequence[str], epochs: int) -> None:
        """A chunk of cameras is searched; so many epochs are ahead for each."""

    def epochs(self, camera: str, epochs: int) -> None:
        """One of a camera's points has taken so many epochs."""

    def trial(self, trial: TrialResult) -> None:
        """A point of a camera has ended."""

    def camera(self, result: CameraResult) -> None:
        """A camera is finished."""


def retrain(
    store: Store, job: Job, cameras: Sequence[Camera], *, address: str | None = None, progress: Progress | None = None
) -> list[CameraResult]:
    """Do what is left of a job; a result for each camera, in the order given.

    Raises:
        ConflictError: another process is at it.
    """
    progress = progress or Progress()
    with held(store, layout.job_key(job.name, "lease.json"), f"the job {job.name}", progress.stage):
        return _retrain(store, job, cameras, address, progress)


def _retrain(
    store: Store, job: Job, cameras: Sequence[Camera], address: str | None, progress: Progress
) -> list[CameraResult]:
    from fleet.cluster import connect

    results = finished_cameras(store, job)
    for result in results.values():  # the command may have been killed between a camera's line and its last deletion
        _forget_points(store, result.camera, _points_of(store, result))
    todo = [camera for camera in cameras if camera.id not in results]
    if todo:
        progress.stage(f"recording what has no recording yet ({len(todo)} cameras)")
        ready, failed = _ensure_recordings(store, job, todo, progress)
        for result in failed:
            _conclude(store, job, result, results, progress)
        if ready:
            progress.stage("starting Ray")
            with connect(store, address):
                for chunk in _chunks(job, ready):
                    for result in _train_chunk(store, job, chunk, progress):
                        _conclude(store, job, result, results, progress)
    ordered = [results[camera.id] for camera in cameras]
    store.put(layout.job_key(job.name, "summary.parquet"), table_to_bytes([result.to_dict() for result in ordered]))
    finish_job(store, job)
    return ordered


def _conclude(
    store: Store, job: Job, result: CameraResult, results: dict[str, CameraResult], progress: Progress
) -> None:
    results[result.camera] = result
    write_camera_state(store, job, result.camera, state="failed" if result.error else "done", result=result.to_dict())
    progress.camera(result)


# -- recordings


def _ensure_recordings(
    store: Store, job: Job, cameras: Sequence[Camera], progress: Progress
) -> tuple[list[tuple[Camera, list[str]]], list[CameraResult]]:
    """Each camera with the recording parts that this job learns from; those without frames as failures.

    The parts are pinned when the job first sees a camera: what is recorded while it runs must not change its trials.
    """

    def ensure(camera: Camera) -> tuple[Camera, list[str]] | CameraResult:
        try:
            key = layout.job_key(job.name, f"cameras/{camera.id}.json")
            pinned = (store.read(key) if job.resumed else None) or {}
            newest = job.searches[camera.id].max_frames
            # What a killed job had begun to record is a part of the source only: it is recorded again, over the same.
            cut_short = pinned.get("state") == "recording"
            parts = pinned.get("parts") or ([] if cut_short else part_keys(store, camera, newest))
            if not parts:
                if is_live(camera):
                    raise NotFoundError(
                        "has no recording to learn from", f"fleet record {camera.id} --for 10m", camera.id
                    )
                write_camera_state(store, job, camera.id, state="recording")
                record_camera(store, camera, on_frame=lambda _: progress.recorded(camera.id, 1))
                parts = part_keys(store, camera, newest)
            write_camera_state(store, job, camera.id, state="planned", parts=parts)
            return camera, parts
        except Exception as error:
            return CameraResult(camera.id, error=_one_line(error, camera.id))

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(ensure, cameras))
    ready = [outcome for outcome in outcomes if not isinstance(outcome, CameraResult)]
    return ready, [outcome for outcome in outcomes if isinstance(outcome, CameraResult)]


def _load(store_uri: str, camera: Camera, parts: Sequence[str], max_frames: int, salt: str) -> tuple[Any, Any]:
    """A Ray task: a camera's recording, decoded and preprocessed once, where the cluster has room.

    Returns:
        What is known of the frames, and the frames; or the error, and None.
    """
    import numpy as np

    from cameras.recording import read_recording
    from fleet.detector.footage import Footage
    from fleet.recordings import read_parts
    from fleet.store import open_store
    from fleet.trial import JOB_PATIENCE_S

    try:
        store = open_store(store_uri, patience_s=JOB_PATIENCE_S)
        recorded = read_recording(camera, read_parts(store, parts), max_frames=max_frames)
        count = len(recorded.frames)
        if count < MIN_FRAMES:
            raise FleetError(
                f"its recording has {count} frame{'s' * (count != 1)}, at least {MIN_FRAMES} are needed",
                f"fleet record {camera.id} --for 10m, or give it a longer video",
                camera.id,
            )
        digest = hashlib.sha256(np.ascontiguousarray(recorded.frames).data)
        valid = b"" if recorded.valid is None else recorded.valid.tobytes()
        footage = Footage.captured(recorded.frames, recorded.captured_at, recorded.clip)
        digest.update(footage.times_s.tobytes() + footage.clip.tobytes())
        digest.update(valid + (camera.preprocessing.model_dump_json() + salt).encode())
        known = {
            "digest": digest.hexdigest(),
            "times_s": footage.times_s,
            "clips": footage.clip,
            "valid": recorded.valid,
            "captured_at": recorded.captured_at,
            "index": recorded.index,
            "clip": recorded.clip,
            "frame_size": recorded.frame_size,
        }
        return known, recorded.frames
    except FleetError as error:
        return error.about(camera.id), None


# -- training


def _chunks(
    job: Job, ready: Iterable[tuple[Camera, list[str]]]
) -> list[tuple[SearchConfig, list[tuple[Camera, list[str]]]]]:
    """Cameras with the same search together, so many at a time as its file says."""
    groups: dict[str, list[tuple[Camera, list[str]]]] = {}
    for camera, parts in ready:
        groups.setdefault(job.searches[camera.id].digest(), []).append((camera, parts))
    chunks = []
    for group in groups.values():
        config = job.searches[group[0][0].id]
        size = config.cameras_per_chunk
        chunks += [(config, group[start : start + size]) for start in range(0, len(group), size)]
    return chunks


def _train_chunk(
    store: Store, job: Job, chunk: tuple[SearchConfig, list[tuple[Camera, list[str]]]], progress: Progress
) -> Iterable[CameraResult]:
    import ray

    from fleet.search import search
    from fleet.trial import CameraFrames

    config, members = chunk
    progress.stage(f"reading the frames of {len(members)} cameras")
    task = ray.remote(num_cpus=1, num_returns=2)(_load)
    loading = {
        camera.id: task.remote(store.uri, camera, parts, config.max_frames, job.salt) for camera, parts in members
    }  # all at once: Ray queues what the cluster has no room for
    loaded: dict[str, CameraFrames] = {}
    knowledge: dict[str, dict[str, Any]] = {}
    for camera_id, (known_ref, frames_ref) in loading.items():
        try:
            known = ray.get(known_ref)
        except ray.exceptions.RayError as error:
            known = FleetError(f"its frames could not be read: {type(error).__name__}", "run it again", camera_id)
        if isinstance(known, FleetError):
            yield CameraResult(camera_id, error=str(known))
            continue
        knowledge[camera_id] = known
        loaded[camera_id] = CameraFrames(
            camera_id, frames_ref, known["valid"], known["digest"], times_s=known["times_s"], clip=known["clips"]
        )
    if not loaded:
        return
    progress.searching(list(loaded), len(config.points()) * config.detector.epochs)
    trials = search(loaded, config, store, progress.epochs, progress.trial)
    cameras = {camera.id: camera for camera, _ in members}
    for camera_id in loaded:
        try:
            result = _store_winner(store, job, cameras[camera_id], config, trials[camera_id], knowledge[camera_id])
        except Exception as error:  # one camera's failure, of whatever kind, is never another's loss
            result = CameraResult(camera_id, trials=len(trials[camera_id]), error=_one_line(error, camera_id))
        yield result
        if result.error is None:  # its line in the job says so by now: nobody will ask for these points again
            _forget_points(store, camera_id, [trial.fingerprint for trial in trials[camera_id]])


def _forget_points(store: Store, camera: str, fingerprints: Iterable[str]) -> None:
    """Delete done-records of these points, and of no others: another job may be at work on the same camera."""
    with contextlib.suppress(FleetError):  # what is left is found and used by the same points, or pruned
        for name in fingerprints:
            store.delete_all(layout.trial_key(camera, name, ""))


def _points_of(store: Store, result: CameraResult) -> list[str]:
    """Fingerprints of the points that a finished camera's version came from, where any may be left."""
    if result.version is None or not store.list(layout.trials_prefix(result.camera)):
        return []
    return [row["fingerprint"] for row in versions.trials(store, result.camera, result.version)]


def _one_line(error: Exception, camera: str) -> str:
    """An error as people read it; one that is not ours has its kind before its words."""
    if isinstance(error, FleetError):
        return str(error.about(camera))
    return str(FleetError(f"{type(error).__name__}: {str(error)[:300]}", "run it again", camera))


def _store_winner(
    store: Store,
    job: Job,
    camera: Camera,
    config: SearchConfig,
    trials: Sequence[TrialResult],
    known: dict[str, Any],
) -> CameraResult:
    """The point that won becomes a version, and the version the champion."""
    from safetensors.numpy import load

    from fleet.alerting import calibration_of
    from fleet.detector import MleDetector
    from fleet.detector.select import choose
    from fleet.detector.threshold import DEFAULT_RULE, make_rule
    from fleet.versions import ModelVersion, detector_of, write_version

    done = [trial for trial in trials if trial.status == "done" and trial.objective is not None]
    if not done:
        reasons = [trial.error for trial in trials if trial.error]
        raise FleetError(reasons[0] if reasons else "no point of the search finished", "", camera.id)
    choice = choose([(trial.point, trial.objective) for trial in done], config.incumbent, config.margin)
    point = choice.point
    winner = next(trial for trial in done if trial.point == point)
    weights = store.get(layout.trial_key(camera.id, winner.fingerprint, "model.safetensors"))
    if weights is None or winner.detector is None:
        raise FleetError("the weights of its best point are gone", f"fleet retrain {camera.id} --fresh", camera.id)
    tensors = load(weights)
    name = hashlib.sha256(f"{job.name} {camera.id}".encode()).hexdigest()[:6]
    detector = detector_of(tensors, winner.detector)
    times = known["captured_at"]
    calibration = _calibration_rows(detector, known)
    # The paper's own where it is the paper's detector. What a camera's alert policy says goes before it, later.
    rule = make_rule("paper", kappa=config.detector.kappa) if detector.method == "mle" else make_rule(DEFAULT_RULE)
    version = ModelVersion.model_validate(
        {
            "camera": camera.id,
            # The same job writes the same name, so that a killed one that runs again leaves one version, not two.
            "version": f"{job.created_at:%Y%m%dT%H%M%SZ}-{name}",
            "created_at": job.created_at,
            "job": job.name,
            "search": config.name,
            "preprocessing": camera.preprocessing.model_dump(),
            "frame_width": known["frame_size"][0],
            "frame_height": known["frame_size"][1],
            "frames": len(times),
            "first_frame_at": _utc(times[0]),
            "last_frame_at": _utc(times[-1]),
            "sigma": point.sigma,
            "lambda": point.lam,
            "cap": point.cap,
            "objective_name": config.objective,
            "objective": winner.objective,
            "reason": choice.reason,
            "channels": {} if isinstance(detector, MleDetector) else detector.informative,
            "rule": rule.name,
            "kappa": config.detector.kappa,
            "threshold": detector.threshold,
            "score_threshold": rule.threshold(calibration_of(calibration)),
            "pcc_mean": detector.pcc_mean,
            "pcc_std": detector.pcc_std,
            "collapsed": detector.collapsed,
            "trials": len(trials),
            "fingerprint": winner.fingerprint,
            "detector": winner.detector,
        }
    )
    write_version(store, version, tensors, [_trial_row(trial) for trial in trials], calibration)
    _make_champion(store, camera.id, version.version, job.name)
    return CameraResult(
        camera.id,
        version=version.version,
        sigma=point.sigma,
        lam=point.lam,
        objective=winner.objective,
        threshold=version.threshold,
        pcc_mean=version.pcc_mean,
        pcc_std=version.pcc_std,
        collapsed=version.collapsed,
        reason=choice.reason,
        frames=version.frames,
        trials=len(trials),
        trained=sum(not trial.reused for trial in trials),
        reused=sum(trial.reused for trial in trials),
        seconds=sum(trial.seconds for trial in trials),
        promoted=True,
    )


def _calibration_rows(detector: EvidenceDetector | MleDetector, known: dict[str, Any]) -> list[dict[str, Any]]:
    """What the detector says of each frame that it was trained on."""
    from fleet.detector import Scores

    calibration = detector.calibration
    scores = calibration if isinstance(calibration, Scores) else Scores(1 - calibration, calibration)
    assert scores.pcc is not None  # both detectors that make versions reconstruct
    columns = {"pcc": scores.pcc, "score": scores.score}
    columns |= {f"tail_{name}": channel.tail for name, channel in scores.channels.items()}
    told = zip(*(values.tolist() for values in columns.values()), strict=True)
    frames = zip(known["index"].tolist(), known["clip"], known["captured_at"], told, strict=True)
    return [
        {"frame": index, "clip": clip, "captured_at": _utc(at), **dict(zip(columns, values, strict=True))}
        for index, clip, at, values in frames
    ]


def _make_champion(store: Store, camera: str, version: str, job: str) -> None:
    registry = Registry(store)
    for attempt in range(5):
        try:
            registry.promote(camera, version, why=f"retrained by {job}")
            return
        except ConflictError:  # somebody promoted or rolled back at this moment: theirs stands as `previous`
            time.sleep(0.1 * 2**attempt)
    raise ConflictError("its champion keeps being changed", f"fleet promote {camera} {version}", camera)


def _trial_row(trial: TrialResult) -> dict[str, Any]:
    detector = trial.detector or {}
    network = detector.get("mle", detector)  # the evidence's own, or the paper's detector, which is one
    last = trial.curve[-1] if trial.curve else {}
    return {
        "sigma": trial.point.sigma,
        "lambda": trial.point.lam,
        "cap": trial.point.cap,
        "status": trial.status,
        "objective": trial.objective,
        "threshold": network.get("threshold"),
        "pcc_mean": network.get("pcc_mean"),
        "pcc_std": network.get("pcc_std"),
        "collapsed": last.get("collapsed"),
        "epochs": len(trial.curve),
        "seconds": trial.seconds,
        "error": trial.error,
        "fingerprint": trial.fingerprint,
        "curve": json.dumps(trial.curve),
    }


def _utc(time_: Any) -> datetime:
    """numpy datetime64[us], which is UTC without saying so -> an aware datetime."""
    moment: datetime = time_.astype("datetime64[us]").item()
    return moment.replace(tzinfo=UTC)
