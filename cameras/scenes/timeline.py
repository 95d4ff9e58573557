"""When things happen: anomalous spans that add up to a given share, and slow random curves over time."""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import numpy as np

from cameras.scenes.scene import Span

DAY_S = 86_400.0

Thing = TypeVar("Thing")


def place_events(
    rng: np.random.Generator, frames: int, ratio: float, most_events: int, shortest_frames: int = 25
) -> tuple[Span, ...]:
    """One to `most_events` disjoint spans that cover round(ratio * frames) frames exactly.

    Fewer events are placed when that is needed to give each `shortest_frames`; a recording too short for
    one such event gets a shorter one.
    """
    anomalous = round(ratio * frames)
    if anomalous == 0:
        return ()
    normal = frames - anomalous
    fitting = max(1, min(most_events, anomalous // shortest_frames, normal // shortest_frames))
    count = int(rng.integers(1, fitting + 1)) if fitting < 3 else int(rng.integers(2, fitting + 1))
    lengths = _split(rng, anomalous, count, least=min(shortest_frames, anomalous // count))
    gaps = _split(rng, normal, count + 1, least=min(shortest_frames // 2, normal // (count + 1)))
    spans, cursor = [], 0
    for gap, length in zip(gaps, lengths, strict=False):
        spans.append(Span(cursor + gap, cursor + gap + length))
        cursor += gap + length
    return tuple(spans)


def _split(rng: np.random.Generator, total: int, parts: int, least: int) -> list[int]:
    """`total` cut into `parts` random integers of at least `least` each."""
    spare = total - parts * least
    shares = rng.dirichlet(np.full(parts, 3.0))
    cuts = np.round(np.cumsum(shares) * spare).astype(int)
    return [int(least + size) for size in np.diff(cuts, prepend=0)]


class Drift:
    """A smooth random curve over time, mean 0 and standard deviation 1: a sum of slow sine waves.

    A function of time and not an array, so a day of footage costs no more to set up than a minute.
    """

    def __init__(self, rng: np.random.Generator, fastest_s: float, slowest_s: float, waves: int = 6) -> None:
        self.periods_s = np.geomspace(fastest_s, slowest_s, waves)
        self.phases = rng.uniform(0, 2 * np.pi, waves)
        weights = rng.uniform(0.5, 1.0, waves)
        self.weights = weights / np.sqrt(np.square(weights).sum() / 2)

    def __call__(self, time_s: float) -> float:
        return float(self.weights @ np.sin(2 * np.pi * time_s / self.periods_s + self.phases))


def ramp(frame: int, span: Span, rise_frames: float) -> float:
    """0 outside the span, 1 inside it, rising and falling over `rise_frames` at its ends."""
    edge = min(frame - span.start + 1, span.stop - frame)
    return float(np.clip(edge / max(rise_frames, 1.0), 0.0, 1.0))


def hour(time_s: float) -> float:
    """The hour of the day, 0 to 24, of a time in seconds since a midnight."""
    return time_s % DAY_S / 3600


def by_slots(make: Callable[[int], list[Thing]], slot_s: float, back: int = 1) -> Callable[[float], list[Thing]]:
    """What goes on at any time, asked in any order: the things of its slot and of the `back` slots before.

    `make(slot)` gives what begins within the slot, from a random stream of its own; nothing may last longer than
    `back` slots. So a part of a day is the same whether or not the rest of it is drawn.
    """
    kept = lru_cache(maxsize=4 * (back + 1))(make)

    def at(time_s: float) -> list[Thing]:
        slot = int(time_s // slot_s)
        return [thing for number in range(slot - back, slot + 1) for thing in kept(number)]

    return at


def events_by_clock(
    rng: Callable[[str], np.random.Generator], first: int, frames: int, fps: float, ratio: float, shortest_s: float
) -> tuple[Span, ...]:
    """Events of frames `first` to `first + frames` of an endless day, as spans that count from `first`.

    Time is cut into windows of at least ten minutes; in each, round(ratio * window) frames are anomalous, in one
    or two events of at least `shortest_s` seconds. An event that has begun before keeps its true, negative start.
    """
    if ratio == 0:
        return ()
    window = round(max(600.0, 1.5 * shortest_s / ratio) * fps)
    spans = []
    for number in range(first // window, (first + frames - 1) // window + 1):
        for event in place_events(rng(f"events {number}"), window, ratio, 2, max(1, round(shortest_s * fps))):
            start = number * window + event.start - first
            if start < frames and start + len(event) > 0:
                spans.append(Span(start, start + len(event)))
    return tuple(spans)
