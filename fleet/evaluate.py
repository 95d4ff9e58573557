"""Labels in, figures out. The only place where labels are read; nothing is chosen by them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from fleet.errors import UsageError
from fleet.scoring import Score

__all__ = ["Evaluation", "evaluate", "labels_of", "read_labels"]


@dataclass(frozen=True)
class Evaluation:
    """How scores agree with labels, over all frames pooled.

    Attributes:
        auc, auc_pcc: area under the ROC curve of `score` and of 1 - PCC; None where all labels are alike.
        precision, recall, f1: of `anomalous`, by the rule that is named.
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


def evaluate(camera: str, scores: Sequence[Score], labels: np.ndarray) -> Evaluation:
    """Compare scores with the labels of the same frames.

    Args:
        labels: bool (len(scores),), as `labels_of` gives them.
    """
    from sklearn.metrics import average_precision_score, precision_recall_fscore_support, roc_auc_score

    verdicts = [score.verdict for score in scores]
    score = np.array([verdict.score for verdict in verdicts])
    pcc = np.array([verdict.pcc for verdict in verdicts])
    flagged = np.array([verdict.anomalous for verdict in verdicts], bool)
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
        rule=verdicts[0].rule if verdicts else "paper",
    )
