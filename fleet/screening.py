"""A first look at all points that costs little: few epochs on a part of the frames. Only the finalists are fitted.

The finalists are the incumbent and the point that the look ranks first: the choice between these two is made by full
fits, on all frames. docs/method.md has what the look costs, and how well it ranks as the full grid does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fleet.search_config import Point, Scheduler, SearchConfig

if TYPE_CHECKING:
    from fleet.detector import Footage
    from fleet.search import TrialResult
    from fleet.trial import CameraFrames

__all__ = ["finalists", "screening", "screens", "spared", "spared_epochs", "thin", "thinned"]

# So few frames are not thinned out: a fit takes a few batches at least.
_ENOUGH_FRAMES = 256

# Two full fits at the end: of fewer points than these a first look spares nothing.
_FEWEST_POINTS = 5


def screens(config: SearchConfig) -> bool:
    """Whether a search begins with a first look."""
    enough = len(config.points()) >= _FEWEST_POINTS and config.detector.epochs > 1
    return config.scheduler.kind == "screen" and enough


def screening(config: SearchConfig) -> SearchConfig:
    """The search that is the first look: every point's network alone, to the end of a few epochs.

    What else the evidence has is the same for every point, and objectives do not look at it.
    """
    detector = config.detector.model_copy(update={"kind": "paper", "epochs": _epochs(config)})
    return config.model_copy(update={"detector": detector, "scheduler": Scheduler(kind="fifo")})


def thinned(cameras: Mapping[str, CameraFrames], config: SearchConfig) -> dict[str, CameraFrames]:
    """The cameras with the part of their frames that the first look sees."""
    every = config.scheduler.every
    return {name: replace(data, every=every, digest=f"{data.digest}, one of {every}") for name, data in cameras.items()}


def thin(footage: Footage, every: int) -> Footage:
    """One of so many frames of the footage, where that leaves enough."""
    return footage[:: max(1, min(every, len(footage) // _ENOUGH_FRAMES))]


def finalists(config: SearchConfig, screened: Sequence[TrialResult]) -> list[Point]:
    """The incumbent, and the point with the best objective if that is another."""
    ranked = [result for result in screened if result.objective is not None]
    best = max(ranked, key=lambda result: result.objective or 0.0).point if ranked else config.incumbent
    return [config.incumbent] if best == config.incumbent else [config.incumbent, best]


def spared(screened: Sequence[TrialResult], finals: Sequence[Point]) -> list[TrialResult]:
    """What became of the other points: they were stopped, unless they failed already."""
    others = [result for result in screened if result.point not in finals]
    return [replace(result, status="stopped") if result.status == "done" else result for result in others]


def spared_epochs(config: SearchConfig, n_finalists: int) -> int:
    """Epochs of a camera that a full grid would have taken, and that neither look nor finalists take."""
    n_points = len(config.points())
    return (n_points - n_finalists) * config.detector.epochs - n_points * _epochs(config)


def _epochs(config: SearchConfig) -> int:
    """At most half of a full fit's, so that what is spared is never below zero."""
    return max(1, min(config.scheduler.grace_epochs, config.detector.epochs // 2))
