"""Stand-ins at the real boundaries, where the real thing would take a fit that is not what is tested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

import fleet.scoring
from fleet.detector import Channel, Detector, Footage, MleDetector, Scores

__all__ = ["TwoBack"]


@dataclass(frozen=True, eq=False)
class TwoBack(Detector):
    """A detector of two channels, one of which looks two frames back; what it scores has no meaning."""

    method: ClassVar[str] = "two-back"
    context: ClassVar[int] = 2
    fps: ClassVar[float] = 2.0

    mle: MleDetector

    def score(self, footage: Footage) -> Scores:
        pcc = self.mle.pcc(footage.frames)
        moved = np.full(len(footage), np.nan)
        for place in np.flatnonzero(footage.place_in_clip() >= 2):
            difference = footage.frames[place].astype(float) - footage.frames[place - 2]
            moved[place] = np.abs(difference).mean() / (footage.times_s[place] - footage.times_s[place - 2])
        channels = {"looks": Channel(1 - pcc, 10 * (1 - pcc)), "motion": Channel(moved, moved / 10)}
        return Scores(np.nanmax([c.tail for c in channels.values()], axis=0), pcc, channels)

    def maps(self, footage: Footage) -> dict[str, np.ndarray]:
        last = footage.frames[-1].astype(np.float32) / 255
        return {"looks": last, "motion": np.abs(last - footage.frames[-3] / np.float32(255))}

    def state(self) -> Any:
        return self.mle.state()

    @classmethod
    def from_state(cls, tensors: Mapping[str, Any], meta: Mapping[str, Any]) -> TwoBack:
        return cls(MleDetector.from_state(tensors, meta))

    @classmethod
    def stands_for(cls, monkeypatch: pytest.MonkeyPatch) -> None:
        """Every detector that is loaded looks two frames back, whatever was trained."""
        real = fleet.scoring.load_detector
        monkeypatch.setattr(fleet.scoring, "load_detector", lambda store, version: cls(real(store, version)))
