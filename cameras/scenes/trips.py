"""Vehicles on their way: legs along a smoothed route, with a stand in between, at any time that is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cameras.scenes.vehicles import Placed, Vehicle
from cameras.scenes.walkers import Spot


@dataclass(frozen=True)
class Leg:
    """Along `route` from `start_s` at a constant pace, forwards or in reverse."""

    route: tuple[Spot, ...]
    start_s: float
    pace_m_per_s: float
    backwards: bool = False

    @cached_property
    def line(self) -> np.ndarray:
        """The route with its corners cut twice (Chaikin), as wheels would: (n, 2)."""
        points = np.array(self.route, float)
        for _ in range(2):
            ahead = np.stack([0.75 * points[:-1] + 0.25 * points[1:], 0.25 * points[:-1] + 0.75 * points[1:]], 1)
            points = np.concatenate([points[:1], ahead.reshape(-1, 2)[1:-1], points[-1:]])
        return points

    @cached_property
    def along(self) -> np.ndarray:
        """Metres from the start to each point of the line."""
        return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(self.line, axis=0).T))])

    @property
    def end_s(self) -> float:
        return self.start_s + float(self.along[-1]) / self.pace_m_per_s

    def at(self, time_s: float) -> tuple[Spot, float]:
        """The spot and the heading; before the leg those of its start, after it those of its end."""
        way = float(np.clip((time_s - self.start_s) * self.pace_m_per_s, 0, self.along[-1]))
        x, z = (float(np.interp(way, self.along, self.line[:, axis])) for axis in (0, 1))
        # Where the vehicle's ends are, a metre before and behind, gives its heading: corners are turned smoothly.
        ends = [
            np.array([np.interp(way + step, self.along, self.line[:, axis]) for axis in (0, 1)]) for step in (-1.0, 1.0)
        ]
        dx, dz = ends[1] - ends[0]
        return (x, z), float(np.arctan2(dx, dz)) + (np.pi if self.backwards else 0.0)


@dataclass(frozen=True)
class Trip:
    """A vehicle that appears with its first leg and is gone after its last; between two legs it stands."""

    vehicle: Vehicle
    legs: Sequence[Leg]

    def at(self, time_s: float, lit: bool = False) -> Placed | None:
        """Where it is; a vehicle that stands has its lamps off."""
        if not self.legs[0].start_s <= time_s < self.legs[-1].end_s:
            return None
        leg = [leg for leg in self.legs if leg.start_s <= time_s][-1]
        spot, heading = leg.at(time_s)
        return Placed(self.vehicle, spot, heading, lit and time_s < leg.end_s)
