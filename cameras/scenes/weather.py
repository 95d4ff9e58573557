"""The sky over an outdoor camera at any time: sun, clouds, rain for hours, wet ground, wind.

Everything is a function of seconds since the first midnight, so that an hour of a day is the same whether or not
the hours before it were drawn.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from cameras.scenes.scene import Picture, Plan
from cameras.scenes.timeline import DAY_S, Drift

STREAK_MARGIN_PX = 64
"""Rain is drawn once, larger than a frame, and cropped at random."""


@dataclass(frozen=True)
class Spell:
    """A spell of rain, in seconds since the first midnight."""

    start_s: float
    stop_s: float


class Sky:
    """Light and weather of one draw. Times are seconds since the first midnight."""

    def __init__(self, plan: Plan) -> None:
        rng = plan.rng("sky")
        self.plan = plan
        self.sunrise_s = 3600 * float(rng.uniform(5.2, 7.0))
        self.sunset_s = 3600 * float(rng.uniform(17.5, 20.0))
        self.highest = float(rng.uniform(0.7, 1.0))
        self.first_bearing = float(rng.uniform(0, 2 * np.pi))
        self.passing, self.lasting = Drift(rng, 45, 900), Drift(rng, 2 * 3600, 12 * 3600)
        self.gusts, self.breeze = Drift(rng, 8, 90), Drift(rng, 1800, 6 * 3600)
        self.showers = Drift(rng, 60, 1200)
        self.spells = lru_cache(maxsize=8)(self._spells)

    def daylight(self, time_s: float) -> float:
        """Light of the sky without clouds: 0 at night, 1 by day, with an hour and a half of dusk."""
        clock_s = time_s % DAY_S
        up = min(clock_s - self.sunrise_s, self.sunset_s - clock_s)
        share = float(np.clip((up + 2400) / 5400, 0, 1))
        return share * share * (3 - 2 * share)

    def sun_direction(self, time_s: float) -> tuple[float, float, float]:
        """Where the sun stands: a unit vector (x, y, z), y up; below the horizon y is negative."""
        way = (time_s % DAY_S - self.sunrise_s) / (self.sunset_s - self.sunrise_s)
        height = self.highest * np.sin(np.pi * np.clip(way, -0.3, 1.3))
        bearing = self.first_bearing + np.pi * way
        return (
            float(np.cos(height) * np.cos(bearing)),
            float(np.sin(height)),
            float(np.cos(height) * np.sin(bearing)),
        )

    def direct(self, time_s: float) -> float:
        """Sunlight that reaches the ground, 0 to 1: clouds pass within minutes, overcast hours take it all."""
        height = self.sun_direction(time_s)[1]
        clear = 1 / (1 + np.exp(-2.5 * (0.7 + 0.9 * self.passing(time_s) + 1.0 * self.lasting(time_s))))
        return float(np.clip(height / 0.3, 0, 1) * clear * (1 - min(1.0, 2 * self.rain(time_s))))

    def diffuse(self, time_s: float) -> float:
        """Light from the whole sky, 0 to about 1."""
        veil = 1 + 0.12 * self.passing(time_s + 40) + 0.08 * self.lasting(time_s)
        return self.daylight(time_s) * float(np.clip(veil, 0.5, 1.4)) * (1 - 0.35 * self.rain(time_s))

    def rain(self, time_s: float) -> float:
        """0 when dry, up to 1 in the heaviest rain; a spell lasts for hours and is not even."""
        most = 0.0
        for spell in self._near(time_s):
            edge = min(time_s - spell.start_s, spell.stop_s - time_s)
            most = max(most, float(np.clip(edge / 600, 0, 1)))
        return most * float(np.clip(0.6 + 0.2 * self.showers(time_s), 0.15, 1)) if most > 0 else 0.0

    def wet(self, time_s: float) -> float:
        """How wet the ground is, 0 to 1: wet in a quarter of an hour, dry again an hour and a half after."""
        most = 0.0
        for spell in self._near(time_s):
            rising, falling = (time_s - spell.start_s) / 900, 1 - (time_s - spell.stop_s) / 5400
            most = max(most, float(np.clip(min(rising, falling), 0, 1)))
        return most

    def wind(self, time_s: float) -> float:
        """About 1 in a fair breeze; gusts come and go."""
        breeze = np.clip(0.8 + 0.5 * self.breeze(time_s), 0.15, 2.0)
        return float(breeze * np.clip(1 + 0.5 * self.gusts(time_s), 0.2, 2.2))

    def _near(self, time_s: float) -> list[Spell]:
        day = int(time_s // DAY_S)
        return [spell for number in (day - 1, day) for spell in self.spells(number)]

    def _spells(self, day: int) -> tuple[Spell, ...]:
        rng = self.plan.rng(f"rain of day {day}")
        starts = 3600 * rng.uniform(0, 23, int(rng.integers(1, 3)))
        return tuple(
            Spell(day * DAY_S + float(start), day * DAY_S + float(start) + 3600 * float(rng.uniform(1.5, 4)))
            for start in starts
        )


class Rain:
    """Streaks over a picture: thin by day, bright where an infrared lamp lights the drops next to the lens."""

    def __init__(self, plan: Plan) -> None:
        rng = plan.rng("rain streaks")
        width, height = plan.size_px
        shape = (height + STREAK_MARGIN_PX, width + STREAK_MARGIN_PX)
        self.layer = np.zeros(shape, np.uint8)
        slant = float(rng.uniform(-0.25, 0.25))
        for _ in range(int(0.006 * shape[0] * shape[1])):
            x, y = float(rng.uniform(0, shape[1])), float(rng.uniform(0, shape[0]))
            long = float(rng.uniform(0.02, 0.1)) * height
            ends = np.rint(16 * np.array([(x, y), (x + slant * long, y + long)])).astype(int)
            cv2.line(self.layer, ends[0].tolist(), ends[1].tolist(), int(rng.integers(40, 160)), 1, cv2.LINE_AA, 4)
        self.layer = cv2.GaussianBlur(self.layer, (0, 0), 0.5)

    def fall(self, picture: Picture, amount: float, night: bool, rng: np.random.Generator) -> Picture:
        """Rain of `amount` 0 to 1: streaks, and a veil that takes some of the contrast."""
        height, width = picture.shape[:2]
        y, x = rng.integers(0, STREAK_MARGIN_PX, 2)
        streaks = cv2.cvtColor(self.layer[y : y + height, x : x + width], cv2.COLOR_GRAY2RGB)
        hazy = cv2.convertScaleAbs(picture, alpha=1 - 0.12 * amount, beta=14 * amount)
        return cv2.addWeighted(hazy, 1.0, streaks, amount * (0.55 if night else 0.2), 0)
