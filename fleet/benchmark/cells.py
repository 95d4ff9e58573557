"""A cell: one method on one scene with one seed. `run` fits, scores and measures it; what comes back is plain JSON.

In the paper's setting a method is fitted to the frames that it then scores, events and all. A cell may also learn from
the scene's first frames only (`train_frames`), or from other footage of the camera (`train`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cameras.errors import UsageError
from fleet.benchmark.methods import fit_method, latents_of, method
from fleet.benchmark.metrics import ranking, runs
from fleet.benchmark.scenes import Labelled, PixelSize, SceneSpec
from fleet.detector.baselines import clean_part
from fleet.detector.detector import Detector
from fleet.detector.footage import Footage
from fleet.detector.threshold import Calibration

__all__ = ["CELL_VERSION", "Cell", "Record", "failed", "fit_cell", "run", "series"]

CELL_VERSION = 1  # raise it when the same cell would give other numbers: old done-records are then not used

Record = dict[str, Any]
"""A cell (`cell`, its fields) and its `error`, or what was measured; see `run`."""

Task = Literal["score", "curve", "latents", "selection", "variant"]


@dataclass(frozen=True)
class Cell:
    """What is measured.

    Attributes:
        size: width and height of the frames that the method sees.
        epochs: of a method that trains a network; None takes its own default.
        train: the footage it learns from; None: the scene itself.
        train_frames: it learns from the scene's first so many frames; None: from all.
        point: sigma and lambda, for the task `curve`.
        task: `score` measures a fitted method, `curve` AUC after each epoch of the paper's, `latents` maps the latents
            to a plane (t-SNE), `selection` what each label-free objective would have chosen, `variant` what a choice of
            the paper's method does to the latent; `method` names a search or a variant there.
    """

    method: str
    scene: SceneSpec
    size: PixelSize
    seed: int = 0
    epochs: int | None = None
    train: SceneSpec | None = None
    train_frames: int | None = None
    point: tuple[float, float] | None = None
    task: Task = "score"

    @property
    def fingerprint(self) -> str:
        """Names its done-record."""
        text = json.dumps([asdict(self), CELL_VERSION], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    def __str__(self) -> str:
        draw = "" if self.scene.is_real and not self.scene.draw else f" {self.scene.draw}"
        what = "" if self.task == "score" else f" ({self.task})"
        return f"{self.method} on {self.scene.scene}{draw}, seed {self.seed}{what}"


def failed(cell: Cell, error: object) -> Record:
    """The record of a cell that came to nothing."""
    return {"cell": asdict(cell), "error": " ".join(str(error).split())[:300] or type(error).__name__}


def run(cell: Cell, labelled: Labelled, fitted: Detector | None = None) -> Record:
    """Measure a cell.

    Args:
        labelled: its scene at its size.
        fitted: what learnt from `cell.train`; None where the cell learns from its own scene.

    Returns:
        Of the task `score`: `channels` (AUC and average precision of the score and of each channel), `fit_s`,
        `frames_per_s` of scoring on this core, `state_mb`, `peak_mb`, `collapsed`, and the frames' own `score`, `pcc`,
        `fps`, `clips` (frames of each) and `events` (start and end of each run of anomalous frames).

    Raises:
        FleetError: the method cannot learn from these frames.
    """
    known = {"cell": asdict(cell), "error": "", "frames": len(labelled.labels)}
    if cell.task == "curve":
        return known | _curve(cell, labelled)
    if cell.task == "latents":
        return known | _latents(cell, labelled)
    if cell.task == "selection":
        return known | _selection(cell, labelled)
    if cell.task == "variant":
        return known | _variant(cell, labelled)
    footage, labels = labelled.footage, labelled.labels
    with _memory() as peak_mb:
        started = time.perf_counter()
        learnt = fitted or fit_cell(cell, labelled)
        fitted_at = time.perf_counter()
        scores = learnt.score(footage)
        scored_at = time.perf_counter()
    tensors, _ = learnt.state()
    channels = {"score": scores.score} | {name: channel.value for name, channel in scores.channels.items()}
    if scores.pcc is not None:
        channels["1 - PCC"] = 1 - scores.pcc
    return known | {
        "anomalous": float(labels.mean()),
        "fit_s": None if fitted else fitted_at - started,
        "frames_per_s": len(footage) / (scored_at - fitted_at),
        "state_mb": sum(array.nbytes for array in tensors.values()) / 1e6,
        "peak_mb": peak_mb(),
        "collapsed": getattr(learnt, "collapsed", None),
        "channels": [{"channel": name, **ranking(labels, value)} for name, value in channels.items()],
        "score": _short(scores.score),
        "pcc": None if scores.pcc is None else _short(scores.pcc),
        "fps": _fps(footage),
        "clips": [len(part) for part in np.split(footage.clip, np.flatnonzero(np.diff(footage.clip)) + 1)],
        "events": runs(labels),
    }


def fit_cell(cell: Cell, labelled: Labelled) -> Detector:
    """The cell's method, fitted to the footage that it learns from; a one-class one to its clean frames."""
    part, labels = labelled.footage, labelled.labels
    if cell.train_frames is not None:
        part, labels = part[: cell.train_frames], labels[: cell.train_frames]
    if method(cell.method).one_class:
        part = clean_part(part, labels)
    return fit_method(cell.method, part, cell.seed, cell.epochs)


def series(record: Record) -> tuple[Calibration, NDArray[np.bool_]]:
    """The frames of a record of the task `score`: their scores with times and clips, and their labels."""
    score = np.array(record["score"])
    footage_clip = np.repeat(np.arange(len(record["clips"])), record["clips"])
    labels = np.zeros(len(score), bool)
    for start, end in record["events"]:
        labels[start:end] = True
    pcc = None if record["pcc"] is None else np.array(record["pcc"])
    return Calibration(score, pcc, np.arange(len(score)) / record["fps"], footage_clip), labels


def _curve(cell: Cell, labelled: Labelled) -> Record:
    """AUC and response after each epoch of the paper's method, on those frames that a fit measures itself on: a third.

    Labels are read for the figure; nothing goes by them.
    """
    from fleet.detector.config import DetectorConfig
    from fleet.detector.fit import Fitting
    from fleet.detector.frames import evenly_spaced

    assert cell.point is not None
    sigma, lam = cell.point
    config = DetectorConfig(sigma=sigma, lam=lam, seed=cell.seed, epochs=cell.epochs or DetectorConfig().epochs)
    fitting = Fitting(labelled.footage.frames, config)
    curve = []
    for _ in range(config.epochs):
        stats = fitting.epoch()
        labels = labelled.labels[evenly_spaced(len(labelled.labels), len(stats.pcc))]
        auc = ranking(labels, -stats.pcc)["auc"]
        curve.append({"epoch": stats.epoch, "auc": auc, "response": stats.response, "collapsed": stats.collapsed})
    return {"curve": curve}


def _latents(cell: Cell, labelled: Labelled) -> Record:
    from sklearn.manifold import TSNE

    latents = latents_of(fit_cell(cell, labelled), labelled.footage.frames)
    perplexity = min(30.0, (len(latents) - 1) / 3)
    plane = TSNE(perplexity=perplexity, init="pca", random_state=cell.seed).fit_transform(latents)
    return {
        "plane": [_short(point) for point in plane],
        "events": runs(labelled.labels),
        "latent_std": float(np.sqrt(latents.var(axis=0).mean())),
    }


def _selection(cell: Cell, labelled: Labelled) -> Record:
    from fleet.search_config import load_search
    from fleet.selection_study import study

    search = load_search(cell.method)
    if cell.epochs is not None:
        search = search.model_copy(update={"detector": search.detector.model_copy(update={"epochs": cell.epochs})})
    found = study(f"{cell.scene.scene}-{cell.scene.draw}", labelled.footage, labelled.labels, search)
    return {"selection": [row.to_dict() for row in found.selection], "looks": [row.to_dict() for row in found.looks]}


def _variant(cell: Cell, labelled: Labelled) -> Record:
    """AUC of 1 - PCC, and what the last epoch says of the latent."""
    from fleet.benchmark.variants import variant_config
    from fleet.detector.fit import fit

    fitted = fit(labelled.footage.frames, variant_config(cell.method, cell.seed, cell.epochs))
    auc = ranking(labelled.labels, 1 - fitted.calibration)["auc"]
    return {"variant": {"auc": auc, **fitted.curve[-1].to_dict()}}


def _fps(footage: Footage) -> float:
    if len(footage) < 2:
        raise UsageError("a scene of one frame has no rate", "give more frames: --max-frames 200")
    return float(1 / np.median(np.diff(footage.times_s)))


def _short(values: NDArray[np.floating]) -> list[float]:
    return [float(f"{value:.6g}") for value in values]


@contextlib.contextmanager
def _memory() -> Iterator[Any]:
    """Yields a function that says by how many MB this process has grown at most since; None where Linux does not."""
    status = Path("/proc/self/status")

    def read_mb(field: str) -> float | None:
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int(status.read_text().split(f"{field}:")[1].split()[0]) / 1000
        return None

    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = read_mb("VmRSS")

    def grown_mb() -> float | None:
        peak = read_mb("VmHWM")
        return None if peak is None or before is None else max(0.0, peak - before)

    yield grown_mb
