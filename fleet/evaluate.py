"""Labels in, figures out. The only place where labels are read; nothing is chosen by them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleet.errors import UsageError
from fleet.events import Event, find_events
from fleet.scoring import Score

__all__ = [
    "Evaluation",
    "evaluate",
    "event_recall",
    "false_events",
    "false_events_per_day",
    "labelled_events",
    "labels_of",
    "read_labels",
]


@dataclass(frozen=True)
class Evaluation:
    """How scores agree with labels, over all frames pooled.

    Attributes:
        auc, auc_pcc: area under the ROC curve of the detector's score and of 1 - PCC; None where all labels are alike.
        precision, recall, f1: of `anomalous`, by the rule that is named.
        events, event_recall: how many labelled ones there are, and the share of them that a raised event meets; None
            where there are none.
        false_events, false_events_per_day: raised events that meet no labelled frame, and how many these are to a day
            of frames without a label; None where all are labelled.
    """

    camera: str
    frames: int
    anomalous: int
    auc: float | None
    auc_pcc: float | None
    average_precision: float | None
    precision: float
    recall: float
    f1: float
    events: int
    event_recall: float | None
    false_events: int
    false_events_per_day: float | None
    rule: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_labels(path: Path) -> np.ndarray:
    """Labels, one a source frame: a `.npy` of 0 and 1, or a CSV with a column `label`. bool (frames,).

    Raises:
        UsageError: neither, or other values than 0 and 1.
    """
    try:
        if path.suffix == ".npy":
            with open(path, "rb") as file:
                values = np.load(file, allow_pickle=False)
            if not isinstance(values, np.ndarray):
                raise ValueError("an archive of arrays")
        else:
            with open(path, newline="", encoding="utf-8-sig") as text:  # as Excel writes it, or plain
                values = np.array([float(row["label"]) for row in csv.DictReader(text)])
    except (OSError, ValueError, EOFError, csv.Error):
        raise UsageError(f"{path} holds no labels", "give a .npy of 0 and 1, or a CSV with a column 'label'") from None
    except (KeyError, TypeError):
        raise UsageError(f"{path} has no column 'label'", "name the column of 0 and 1 'label'") from None
    if values.ndim != 1 or not len(values) or not np.isin(values, (0, 1)).all():
        raise UsageError(f"{path} holds other values than 0 and 1 in one row", "1 marks an anomalous frame")
    return values.astype(bool)


def labels_of(indexes: Sequence[int], labels: np.ndarray) -> np.ndarray:
    """The label of each sampled frame, by its place in the source. bool (len(indexes),).

    Raises:
        UsageError: there are fewer labels than frames, or so many more that they belong to something else.
    """
    if not indexes:
        return np.zeros(0, bool)
    stride = max((after - before for before, after in pairwise(indexes)), default=1)
    if not indexes[-1] < len(labels) <= indexes[-1] + stride:
        raise UsageError(
            f"there are {len(labels)} labels for a source of about {indexes[-1] + 1} frames",
            "give a label for each frame of the source",
        )
    return np.asarray(labels[list(indexes)])


def labelled_events(labels: NDArray[np.bool_], clip: NDArray[np.int64]) -> list[tuple[int, int]]:
    """First and last place of each run of labelled frames; one that goes on in the next clip is another."""
    starts = labels & np.r_[True, ~labels[:-1] | (clip[1:] != clip[:-1])][: len(labels)]
    ends = labels & np.r_[~labels[1:] | (clip[1:] != clip[:-1]), True][: len(labels)]
    return list(zip(np.flatnonzero(starts).tolist(), np.flatnonzero(ends).tolist(), strict=True))


def event_recall(events: Sequence[Event], labels: NDArray[np.bool_], clip: NDArray[np.int64]) -> float | None:
    """The share of the labelled events that a raised event shares a frame with; None where there are none."""
    wanted = labelled_events(labels, clip)
    met = [any(event.first <= last and first <= event.last for event in events) for first, last in wanted]
    return float(np.mean(met)) if met else None


def false_events(events: Sequence[Event], labels: NDArray[np.bool_]) -> int:
    """How many events hold no labelled frame."""
    return sum(not labels[event.first : event.last + 1].any() for event in events)


def false_events_per_day(
    events: Sequence[Event], labels: NDArray[np.bool_], times_s: NDArray[np.float64], clip: NDArray[np.int64]
) -> float | None:
    """False events to a day of frames without a label; None where there is no such frame or no rate of frames."""
    gaps = np.diff(times_s)[clip[1:] == clip[:-1]]
    usual_s = float((~labels).sum() * np.median(gaps)) if len(gaps) else 0.0
    return false_events(events, labels) * 86_400 / usual_s if usual_s > 0 else None


def evaluate(
    camera: str, scores: Sequence[Score], labels: np.ndarray, clip: NDArray[np.int64] | None = None
) -> Evaluation:
    """Compare scores with the labels of the same frames.

    Args:
        labels: bool (len(scores),), as `labels_of` gives them.
        clip: int64 (len(scores),), as in `Footage`; where it is None, a time that does not rise begins another clip.
    """
    from sklearn.metrics import average_precision_score, precision_recall_fscore_support, roc_auc_score

    verdicts = [score.verdict for score in scores]
    score = np.array([verdict.evidence for verdict in verdicts])
    pcc = np.array([verdict.pcc for verdict in verdicts])
    flagged = np.array([verdict.anomalous for verdict in verdicts], bool)
    times_s = np.array([score.captured_at.timestamp() for score in scores], np.float64)
    if clip is None:
        clip = np.r_[0, np.cumsum(np.diff(times_s) <= 0)][: len(times_s)].astype(np.int64)
    raised = find_events(flagged, times_s, clip)
    both = labels.any() and not labels.all()
    precision, recall, f1, _ = precision_recall_fscore_support(labels, flagged, average="binary", zero_division=0.0)
    return Evaluation(
        camera=camera,
        frames=len(labels),
        anomalous=int(labels.sum()),
        auc=float(roc_auc_score(labels, score)) if both else None,
        auc_pcc=float(roc_auc_score(labels, 1 - pcc)) if both else None,
        average_precision=float(average_precision_score(labels, score)) if both else None,
        precision=float(precision),
        recall=float(recall),
        f1=float(f1),
        events=len(labelled_events(labels, clip)),
        event_recall=event_recall(raised, labels, clip),
        false_events=false_events(raised, labels),
        false_events_per_day=false_events_per_day(raised, labels, times_s, clip),
        rule=verdicts[-1].rule if verdicts else "paper",
    )
