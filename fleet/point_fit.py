"""One point of a search under way: the detector of its kind, and its objective after each epoch. Knows no Ray."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fleet.detector import DetectorConfig, Footage
from fleet.detector.frames import evenly_spaced
from fleet.detector.objectives import Fitted, value

if TYPE_CHECKING:
    from fleet.detector.evidence import EvidenceDetector, EvidenceFitting
    from fleet.detector.fit import Fitting
    from fleet.detector.mle import MleDetector

__all__ = ["Kind", "PointFit"]

Kind = Literal["evidence", "paper"]


class PointFit:
    """A fit of one point, an epoch at a time.

    Args:
        footage: the frames of one camera, events and all.
        kind: 'paper' for the paper's detector alone, 'evidence' for ours around it.
        config: what the network is fitted with.
        objective: its name in `fleet.detector.objectives`.
        valid: bool (H, W), True where a pixel counts; None counts all.
        device: where to train.

    Raises:
        UsageError: frames or a mask that nothing can be learnt from.
        FleetError: in `epoch`, the training diverged.
        KeyError: there is no such objective.
    """

    def __init__(
        self,
        footage: Footage,
        kind: Kind,
        config: DetectorConfig,
        objective: str,
        valid: NDArray[np.bool_] | None = None,
        device: str = "cpu",
    ) -> None:
        self._footage = footage
        self._objective = objective
        self._evaluated: Footage | None = None
        self._fitting: Fitting | EvidenceFitting
        if kind == "paper":
            from fleet.detector.fit import Fitting

            self._fitting = Fitting(footage.frames, config, valid, device)
        else:
            from fleet.detector.evidence import EvidenceConfig, EvidenceFitting

            self._fitting = EvidenceFitting(footage, EvidenceConfig(mle=config), valid, device)

    def epoch(self) -> dict[str, Any]:
        """Train on every frame once: what `EpochStats.to_dict` gives, and the objective of the evaluation frames."""
        stats = self._fitting.epoch()
        if self._evaluated is None:
            places = evenly_spaced(len(self._footage), len(stats.pcc))
            whole = self._footage
            self._evaluated = Footage(whole.frames[places], whole.times_s[places], whole.clip[places])
        found = value(self._objective, Fitted(stats.pcc, self._fitting.curve), self._evaluated)
        return {**stats.to_dict(), "objective": found}

    def detector(self) -> tuple[EvidenceDetector | MleDetector, float]:
        """What is fitted now, and the objective of all frames."""
        from fleet.detector.mle import MleDetector

        detector = self._fitting.detector()
        pcc = detector.calibration if isinstance(detector, MleDetector) else detector.calibration.pcc
        return detector, value(self._objective, Fitted(pcc, self._fitting.curve), self._footage)
