"""Choosing a point without labels: the incumbent, unless another one's objective is clearly better.

What an objective says is little to go by (`fleet.detector.objectives`): over ten scenes of the paper's search, always
taking lambda 1 and sigma 0.1 lost .049 of AUC to the best point of the grid, a random point .025, the objectives .009
to .049 (docs/method.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from cameras.errors import FleetError

__all__ = ["Choice", "choose"]

Point = TypeVar("Point")


@dataclass(frozen=True, slots=True)
class Choice(Generic[Point]):
    """The point to use, and a sentence of why."""

    point: Point
    reason: str


def choose(candidates: Iterable[tuple[Point, float | None]], incumbent: Point, margin: float) -> Choice[Point]:
    """The incumbent, unless another point's objective is above its own by more than `margin`.

    Args:
        candidates: points and their objectives; None or NaN where a point failed.
        incumbent: the point that is used without evidence to the contrary.
        margin: in the objective's units. Another seed alone moved the BIC gain of a point by .05 on Ped2.

    Raises:
        FleetError: every point failed.
    """
    values = {point: value for point, value in candidates if value is not None and math.isfinite(value)}
    if not values:
        raise FleetError("no point gave a usable detector", "look at the trials' errors")
    best = max(values, key=lambda point: values[point])  # of equals the first
    told = f"{values[best]:.3f} is the best objective of {len(values)}"
    if incumbent not in values:
        return Choice(best, f"{told}, and the incumbent failed")
    if best == incumbent:
        return Choice(incumbent, f"{told}, and the incumbent's own")
    told += f", the incumbent's is {values[incumbent]:.3f}"
    if values[best] - values[incumbent] > margin:
        return Choice(best, f"{told}: more than {margin:g} better")
    return Choice(incumbent, f"{told}: not more than {margin:g} better")
