"""Rules that decide from which score on a frame is flagged, all fitted to training footage without a label.

    threshold = Tail(p=0.001).fit(calibration)            # the training frames' scores
    flagged = threshold.flags(scores, times_s, clip)      # bool (N,), what comes later changes nothing

A rule is its parameters; `fit` makes a number of it. Whoever keeps the training scores can change the rule without
fitting the detector again.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from cameras.errors import UsageError
from fleet.detector.hysteresis import Hysteresis

__all__ = [
    "DEFAULT_RULE",
    "RULES",
    "Budget",
    "Calibration",
    "Paper",
    "Reference",
    "Rule",
    "Tail",
    "Threshold",
    "make_rule",
    "paper_threshold",
    "running_median",
]

# The body of the sustained scores that a budget is extrapolated from: below it lies noise of its own kind.
_BODY = np.linspace(0.5, 0.9, 41)

# The stretches of footage whose highest scores the tail is fitted to: of so many seconds, shorter where the footage has
# fewer than so many of them. Their body is low, so that half of them may hold an event.
_STRETCH_S = 20.0
_STRETCHES = 12
_QUIET = np.linspace(0.05, 0.4, 36)

# A running median is taken anew so many times in its window: it is slow by nature, and a sort a frame is not needed.
_MEDIANS_A_WINDOW = 16


def paper_threshold(pcc: NDArray[np.float64], kappa: float) -> tuple[float, float, float]:
    """Threshold `mean - kappa * std` of PCC values (N,), with that mean and (population) standard deviation.

    A frame is flagged when its PCC lies below (eqs 8, 9).
    """
    mean, std = float(np.mean(pcc)), float(np.std(pcc))
    return mean - kappa * std, mean, std


@dataclass(frozen=True, eq=False)
class Calibration:
    """What the frames that a detector was fitted to came to.

    Attributes:
        score: float64 (N,), higher is stranger.
        pcc: float64 (N,); None for a method that has none.
        times_s: float64 (N,), seconds since 1970, rising inside a clip.
        clip: int64 (N,), frames of one clip stand together.

    Raises:
        UsageError: no frame, or arrays of different lengths.
    """

    score: NDArray[np.float64]
    pcc: NDArray[np.float64] | None
    times_s: NDArray[np.float64]
    clip: NDArray[np.int64]

    def __post_init__(self) -> None:
        lengths = {len(self.score), len(self.times_s), len(self.clip)} | (
            set() if self.pcc is None else {len(self.pcc)}
        )
        if lengths != {len(self.score)} or not len(self.score):
            raise UsageError(f"a calibration of {sorted(lengths)} values", "give one of each a frame, and a frame")

    @property
    def frame_s(self) -> float:
        """Seconds from a frame to the next: the median inside the clips; 1 where no clip has two frames."""
        gaps = np.diff(self.times_s)[self.clip[1:] == self.clip[:-1]]
        return float(np.median(gaps)) if len(gaps) else 1.0

    @property
    def days(self) -> float:
        """How long the frames are, gaps between them left out."""
        return len(self.score) * self.frame_s / 86_400


@dataclass(frozen=True, eq=False)
class Threshold:
    """A rule, fitted.

    Attributes:
        level: a frame is flagged above it.
        baseline: median of the training frames' series: what drift correction holds the running median to.
    """

    rule: Rule
    level: float
    baseline: float

    def flags(
        self, series: NDArray[np.float64], times_s: NDArray[np.float64], clip: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Which frames are above the level: bool (N,). A frame's flag depends on no later frame.

        Args:
            series: float64 (N,), 1 - PCC where the rule acts on 'pcc', else the score.
            times_s, clip: of the same frames; they matter only with drift correction.
        """
        return _steady(series, times_s, clip, self.rule.drift_s, self.baseline) > self.level


@dataclass(frozen=True)
class Rule(ABC):
    """Parameters of a rule; each has a default, and `bounds` says from where to where it goes."""

    name: ClassVar[str]
    acts_on: ClassVar[Literal["pcc", "score"]] = "score"
    bounds: ClassVar[dict[str, tuple[float, float]]] = {}

    drift_s: float = 0.0
    """Window of the running median that is subtracted, in seconds; 0 subtracts nothing."""

    def __post_init__(self) -> None:
        for name, (lowest, highest) in ({"drift_s": (0.0, 604_800.0)} | self.bounds).items():
            value = getattr(self, name)
            if not (isinstance(value, int | float) and not isinstance(value, bool) and lowest <= value <= highest):
                raise ValueError(f"{name} of the rule '{self.name}' is {lowest:g} to {highest:g}, not {value!r}")

    def series(self, calibration: Calibration) -> NDArray[np.float64]:
        """What the rule acts on: float64 (N,), higher is stranger.

        Raises:
            UsageError: it acts on PCC, and the method has none.
        """
        if self.acts_on == "score":
            return calibration.score
        if calibration.pcc is None:
            raise UsageError(f"the rule '{self.name}' acts on PCC, which this detector has not", "choose another rule")
        return 1 - calibration.pcc

    def fit(self, calibration: Calibration) -> Threshold:
        """The threshold that the training frames give.

        Raises:
            UsageError: they do not hold what the rule needs.
        """
        series = self.series(calibration)
        baseline = float(np.median(series))
        steady = _steady(series, calibration.times_s, calibration.clip, self.drift_s, baseline)
        return Threshold(self, self._level(steady, calibration), baseline)

    def threshold(self, calibration: Calibration) -> float:
        """`fit`'s level."""
        return self.fit(calibration).level

    @abstractmethod
    def _level(self, series: NDArray[np.float64], calibration: Calibration) -> float: ...


@dataclass(frozen=True)
class Paper(Rule):
    """The paper's (eqs 8, 9): PCC below mean - kappa std. For triage of footage that holds events.

    It flags a share of any footage: 28 % of a quiet camera's frames at kappa .5, .6 % at 3.
    """

    name: ClassVar[str] = "paper"
    acts_on: ClassVar[Literal["pcc", "score"]] = "pcc"
    bounds: ClassVar[dict[str, tuple[float, float]]] = {"kappa": (-100.0, 100.0)}

    kappa: float = 0.5

    def _level(self, series: NDArray[np.float64], calibration: Calibration) -> float:
        return 1 - paper_threshold(1 - series, self.kappa)[0]


@dataclass(frozen=True)
class Tail(Rule):
    """A level that usual footage sustains in a stretch of 20 seconds with probability p: 4,320 p times a day.

    Each stretch's highest sustained score follows Gumbel's law of maxima, fitted to the quieter stretches: those that
    hold an event, up to half of them, do not move it. Scores whose noise falls off faster pass the level less often
    than p says.
    """

    name: ClassVar[str] = "tail"
    bounds: ClassVar[dict[str, tuple[float, float]]] = {"p": (1e-9, 0.5)}

    p: float = 0.001
    hysteresis: Hysteresis = field(default_factory=Hysteresis)

    def _level(self, series: NDArray[np.float64], calibration: Calibration) -> float:
        maxima, length_s = stretch_maxima(series, calibration, self.hysteresis)
        location, scale = gumbel_tail(maxima)
        return location - scale * math.log(-math.log1p(-self.p) * length_s / _STRETCH_S)


@dataclass(frozen=True)
class Reference(Rule):
    """A quantile of the scores in a window that a person knows to be free of events.

    Attributes:
        share: the first so many of the training frames are the window, where no times are given.
        from_s, to_s: the window in seconds since 1970; either may be left out.
    """

    name: ClassVar[str] = "reference"
    bounds: ClassVar[dict[str, tuple[float, float]]] = {"quantile": (0.5, 1.0), "share": (0.001, 1.0)}

    quantile: float = 0.99
    share: float = 0.2
    from_s: float | None = None
    to_s: float | None = None

    def _level(self, series: NDArray[np.float64], calibration: Calibration) -> float:
        times = calibration.times_s
        if self.from_s is None and self.to_s is None:
            window = series[np.argsort(times, kind="stable")[: math.ceil(self.share * len(series))]]
        else:
            after = times >= (-math.inf if self.from_s is None else self.from_s)
            window = series[after & (times <= (math.inf if self.to_s is None else self.to_s))]
        if not len(window):
            raise UsageError("no frame of the training footage lies in the reference window", "give other times")
        return float(np.quantile(window, self.quantile))


@dataclass(frozen=True)
class Budget(Rule):
    """At most so many events a day, false and true: a score that the training footage sustains no more often.

    Where the footage is too short to hold one event of the budget, the exponential tail of the sustained score says
    how often a higher one would be reached: footage of an hour that shows n events has told of 24 n a day. So on
    footage full of events it stays silent about all but the strangest, which is what a budget asks for.
    """

    name: ClassVar[str] = "budget"
    bounds: ClassVar[dict[str, tuple[float, float]]] = {"per_day": (0.001, 100_000.0)}

    per_day: float = 2.0
    hysteresis: Hysteresis = field(default_factory=Hysteresis)

    def _level(self, series: NDArray[np.float64], calibration: Calibration) -> float:
        sustained = self.hysteresis.sustained(series, calibration.clip)

        def events(level: float) -> int:
            return len(self.hysteresis.spans(series > level, calibration.times_s, calibration.clip))

        allowed = self.per_day * calibration.days
        level = _lowest_level(np.sort(sustained[np.isfinite(sustained)]), lambda at: events(at) <= allowed)
        if allowed >= 1:
            return level
        start, scale = exponential_tail(sustained[np.isfinite(sustained)])
        # Frames above a level come in runs; how many at once is measured where the tail begins.
        above = sustained > start - scale * math.log(0.1)
        runs = (above & ~np.r_[False, above[:-1]]).sum()
        clustered = above.sum() / runs if runs else 1.0
        frames_per_day = 86_400 / calibration.frame_s
        return max(level, start + scale * math.log(max(1.0, frames_per_day / clustered / self.per_day)))


RULES: dict[str, type[Rule]] = {rule.name: rule for rule in (Paper, Tail, Reference, Budget)}
DEFAULT_RULE = Tail.name


def make_rule(name: str, **parameters: Any) -> Rule:
    """A rule by its name; what is left out keeps its default.

    Raises:
        ValueError: there is no such rule or parameter, or a value is out of its bounds.
    """
    if name not in RULES:
        raise ValueError(f"there is no rule {name!r}: {', '.join(RULES)}")
    known = [parameter.name for parameter in fields(RULES[name])]
    if unknown := sorted(set(parameters) - set(known)):
        raise ValueError(f"the rule '{name}' has no {unknown[0]}: it knows {', '.join(known)}")
    return RULES[name](**parameters)


def exponential_tail(series: NDArray[np.float64]) -> tuple[float, float]:
    """Start a and scale b >= 0 of P(series > t) = exp(-(t - a) / b), by least squares on the quantiles of the body."""
    if not len(series):
        return math.inf, 0.0
    quantiles = np.quantile(series, _BODY)
    x = -np.log1p(-_BODY)
    scale = max(0.0, float(np.cov(x, quantiles)[0, 1] / np.var(x, ddof=1)))
    return float(quantiles.mean() - scale * x.mean()), scale


def stretch_maxima(
    series: NDArray[np.float64], calibration: Calibration, hysteresis: Hysteresis
) -> tuple[NDArray[np.float64], float]:
    """The highest level that each stretch of the footage sustains, and how many seconds a stretch has.

    Where no clip is long enough to sustain anything: the series itself.
    """
    sustained = hysteresis.sustained(series, calibration.clip)
    frame_s = calibration.frame_s or 1.0  # times may all be the same
    length = max(hysteresis.of, round(min(_STRETCH_S / frame_s, len(series) / _STRETCHES)))
    found = []
    for clip in np.split(sustained, np.flatnonzero(np.diff(calibration.clip)) + 1):
        for start in range(0, len(clip), length):
            known = clip[start : start + length]
            known = known[np.isfinite(known)]
            if len(known) >= length / 2:
                found.append(known.max())
    return (np.array(found), length * frame_s) if found else (series, frame_s)


def gumbel_tail(maxima: NDArray[np.float64]) -> tuple[float, float]:
    """Location a and scale b >= 0 of P(maximum > t) = 1 - exp(-exp(-(t - a) / b)), by least squares on quantiles."""
    quantiles = np.quantile(maxima, _QUIET)
    x = -np.log(-np.log(_QUIET))
    scale = max(0.0, float(np.cov(x, quantiles)[0, 1] / np.var(x, ddof=1)))
    return float(quantiles.mean() - scale * x.mean()), scale


def running_median(
    series: NDArray[np.float64], times_s: NDArray[np.float64], clip: NDArray[np.int64], window_s: float
) -> NDArray[np.float64]:
    """Median of the frames of a clip in the window before each: float64 (N,), NaN until a clip is a window long.

    Taken anew every sixteenth of the window, over what lay before that moment: a frame is never in its own median.
    """
    medians = np.full(len(series), np.nan)
    for part in np.split(np.arange(len(series)), np.flatnonzero(np.diff(clip)) + 1) if len(series) else ():
        times = times_s[part] - times_s[part[0]]
        step = np.floor(times / (window_s / _MEDIANS_A_WINDOW)).astype(np.int64)
        for first in np.flatnonzero(np.diff(step, prepend=-1)):
            moment = step[first] * (window_s / _MEDIANS_A_WINDOW)
            if moment < window_s:
                continue
            recent = slice(*np.searchsorted(times, (moment - window_s, moment)))
            if recent.stop > recent.start:
                medians[part[step == step[first]]] = np.median(series[part[recent]])
    return medians


def _steady(
    series: NDArray[np.float64], times_s: NDArray[np.float64], clip: NDArray[np.int64], drift_s: float, baseline: float
) -> NDArray[np.float64]:
    """The series, its running median moved to the baseline where there is one."""
    if not drift_s:
        return series
    medians = running_median(series, times_s, clip, drift_s)
    return series - np.where(np.isnan(medians), 0.0, medians - baseline)


def _lowest_level(levels: NDArray[np.float64], fits: Callable[[float], bool]) -> float:
    """A level that fits, near the lowest of which all higher ones fit, too. The highest of the sorted levels does."""
    if not len(levels):
        return math.inf
    places = np.unique(
        np.r_[
            np.linspace(0, len(levels) - 1, 65).astype(int),
            len(levels) - 1 - 2 ** np.arange(int(math.log2(len(levels))) + 1),
        ]
    )
    high = len(levels) - 1
    low = -1
    for place in places[::-1]:
        if not fits(levels[place]):
            low = int(place)
            break
        high = int(place)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(levels[middle]) else (middle, high)
    return float(levels[high])
