"""When things happen: anomalous spans that add up to a given share, and slow random curves over time."""

import numpy as np

from cameras.scenes.scene import Span


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
