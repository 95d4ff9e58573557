"""One point of a search under way: the detector of its kind, and its objectives after each epoch. Knows no Ray."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fleet.detector import DetectorConfig, Footage
from fleet.detector.detector import Detector, Scores
from fleet.detector.frames import evenly_spaced
from fleet.detector.objectives import Fitted, value
from fleet.detector.stats import rank_correlation

if TYPE_CHECKING:
    from fleet.detector.evidence import EvidenceFitting
    from fleet.detector.fit import Fitting

__all__ = ["Kind", "Outcome", "PointFit"]

Kind = Literal["evidence", "paper"]

# Before so many epochs a ranking may only not have begun to change, and it is called settled after so many that agree.
_EARLIEST = 6
_AGREEING = 3


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a point's fit came to.

    Attributes:
        detector: what is fitted.
        scores: what it says of the frames that it was fitted on.
        objectives: name and value, of all these frames.
    """

    detector: Detector
    scores: Scores
    objectives: dict[str, float]


class PointFit:
    """A fit of one point, an epoch at a time.

    Args:
        footage: the frames of one camera, events and all.
        kind: 'paper' for the paper's detector alone, 'evidence' for ours around it.
        config: what the network is fitted with.
        objectives: their names in `fleet.detector.objectives`; a scheduler goes by the first.
        valid: bool (H, W), True where a pixel counts; None counts all.
        device: where to train.
        settled: the rank correlation that three epochs one after the other must have with those before them for the fit
            to count as settled; 'never' leaves it to the caller's number of epochs.

    Raises:
        UsageError: frames or a mask that nothing can be learnt from.
        FleetError: in `epoch`, the training diverged.
        KeyError: in `epoch`, there is no such objective.
    """

    def __init__(
        self,
        footage: Footage,
        kind: Kind,
        config: DetectorConfig,
        objectives: Sequence[str],
        valid: NDArray[np.bool_] | None = None,
        device: str = "cpu",
        settled: float | Literal["never"] = "never",
    ) -> None:
        self._agreement = settled
        self._footage = footage
        self._objectives = objectives
        self._evaluated: Footage | None = None
        self._fitting: Fitting | EvidenceFitting
        if kind == "paper":
            from fleet.detector.fit import Fitting

            self._fitting = Fitting(footage.frames, config, valid, device)
        else:
            from fleet.detector.evidence import EvidenceConfig, EvidenceFitting

            self._fitting = EvidenceFitting(footage, EvidenceConfig(mle=config), valid, device)

    def epoch(self) -> dict[str, Any]:
        """Train on every frame once: `EpochStats.to_dict`, and the first objective of the evaluation frames."""
        stats = self._fitting.epoch()
        if self._evaluated is None:
            places, whole = evenly_spaced(len(self._footage), len(stats.pcc)), self._footage
            self._evaluated = Footage(whole.frames[places], whole.times_s[places], whole.clip[places])
        found = value(self._objectives[0], Fitted(stats.pcc, self._fitting.curve), self._evaluated)
        return {**stats.to_dict(), "objective": found}

    @property
    def settled(self) -> bool:
        """More epochs would rank the frames as these do."""
        curve = self._fitting.curve
        if self._agreement == "never" or len(curve) < _EARLIEST:
            return False
        recent = [stats.pcc for stats in curve[-_AGREEING - 1 :]]
        return all(rank_correlation(before, after) >= self._agreement for before, after in pairwise(recent))

    def outcome(self) -> Outcome:
        """What is fitted now, and the objectives of all frames."""
        detector = self._fitting.detector()
        found = detector.calibration
        scores = found if isinstance(found, Scores) else Scores(1 - found, found)
        assert scores.pcc is not None  # both kinds have a network
        fitted = Fitted(scores.pcc, self._fitting.curve)
        return Outcome(detector, scores, {name: value(name, fitted, self._footage) for name in self._objectives})
