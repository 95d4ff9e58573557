"""Anomalies laid over real footage, where they are known: a piece that does not belong, drops on the lens.

for picture, anomalous in paste_patches(frames, draw=3, fps=5.0): ...

`frames` are RGB pictures (height, width, 3) uint8 of one size, 80x60 or larger, in order, of one camera; what
comes back is one picture a frame with its label, lazily. A frame without an anomaly is handed on untouched, and
those given are never written to. The same frames, draw and rate give the same pictures; another draw gives other
places and times.
"""

import itertools
from collections.abc import Iterable, Iterator, Sized
from dataclasses import replace

import cv2
import numpy as np

from cameras.errors import UsageError
from cameras.scenes.scene import Labelled, Picture, Plan, Span
from cameras.scenes.timeline import place_events
from cameras.scenes.water import drops_on_lens

PATCH_SHARE = 0.02
"""Of the picture's area."""
PATCH_S = (5.0, 20.0)
"""How long a patch stays."""
PAUSE_S = (15.0, 50.0)
"""Between two patches, and before the first."""
TEXTURE = 25.0
"""Least standard deviation of a patch in grey levels: a plain one would not be seen."""
CONTRAST = 40.0
"""Least mean difference, in grey levels, between a patch and what it covers."""
TRIES = 200
"""Places looked at for one that has both; a dull picture gets the best of them."""
MOST_WETTINGS = 6
"""Events of drops in one recording, at most, and how long each lasts at least, as in the driving scene."""
SHORTEST_WETTING_S = 5.0


def paste_patches(
    frames: Iterable[Picture], draw: int = 0, fps: float = 5.0, count: int | None = None
) -> Iterator[Labelled]:
    """A textured piece of another place in the same picture lies still for 5 to 20 s, then a pause, and again.

    A patch is a square of 2 % of the area, cut out of the frame at which it appears. `count` is how many frames
    there are, for an iterable that has no len(). Raises UsageError for frames, a draw or a rate that cannot be.
    """
    pictures, plan = _plan("patches", frames, draw, fps, count)
    return _patched(pictures, replace(plan, events=_patch_times(plan)))


def wet_lens(
    frames: Iterable[Picture], draw: int = 0, fps: float = 20.0, anomaly_ratio: float = 0.125, count: int | None = None
) -> Iterator[Labelled]:
    """Drops of water lie on the lens for `anomaly_ratio` of the frames: the driving scene's drops on a real view.

    `count` is how many frames there are, for an iterable that has no len(). Raises UsageError for frames, a draw,
    a rate or a ratio that cannot be.
    """
    if not 0 <= anomaly_ratio <= 1:
        raise UsageError(f"anomaly ratio {anomaly_ratio} is not a share", "give a number from 0 (clean) to 1")
    pictures, plan = _plan("wet lens", frames, draw, fps, count)
    shortest = max(1, round(SHORTEST_WETTING_S * fps))
    events = place_events(plan.rng("events"), plan.frames, anomaly_ratio, MOST_WETTINGS, shortest)
    return _wet(pictures, replace(plan, events=events))


def _plan(
    overlay: str, frames: Iterable[Picture], draw: int, fps: float, count: int | None
) -> tuple[Iterator[Picture], Plan]:
    """The frames, none of them consumed, and a plan of their size without events yet."""
    if count is None and not isinstance(frames, Sized):
        raise UsageError("how many frames there are is not known", "give 'count', or a list or array of frames")
    total = len(frames) if count is None and isinstance(frames, Sized) else int(count or 0)
    if draw < 0:
        raise UsageError(f"draw {draw} is negative", "number draws from 0")
    if not fps > 0:
        raise UsageError(f"{fps} frames a second is not a rate", "give a positive number")
    pictures = iter(frames)
    first = next(pictures, None)
    if first is None or total < 1:
        raise UsageError("there are no frames to draw over", "give at least one")
    if first.dtype != np.uint8 or first.ndim != 3 or first.shape[2] != 3 or first.shape[0] < 60 or first.shape[1] < 80:
        raise UsageError(
            f"frames of shape {first.shape} {first.dtype} cannot be drawn over",
            "give RGB frames (height, width, 3) uint8 of at least 80x60 pixels",
        )
    size_px = (first.shape[1], first.shape[0])
    return itertools.chain([first], pictures), Plan(overlay, draw, total, fps, size_px, ())


def _patch_times(plan: Plan) -> tuple[Span, ...]:
    """Pauses and patches in turn; the last one ends before the recording does."""
    rng = plan.rng("times")
    spans: list[Span] = []
    time_s = 0.0
    while True:
        time_s += float(rng.uniform(*PAUSE_S))
        start, stays = round(time_s * plan.fps), float(rng.uniform(*PATCH_S))
        span = Span(start, start + round(stays * plan.fps))
        if span.stop > plan.frames:
            return tuple(spans)
        spans.append(span)
        time_s += stays


def _patched(frames: Iterator[Picture], plan: Plan) -> Iterator[Labelled]:
    for number, picture in enumerate(frames):
        event = plan.event_at(number)
        if event is None:
            yield picture, False
            continue
        if number == event.start:
            (row, column), patch = _cut(plan.rng(f"patch {number}"), picture)
        picture = picture.copy()
        picture[row : row + len(patch), column : column + len(patch)] = patch
        yield picture, True


def _cut(rng: np.random.Generator, picture: Picture) -> tuple[tuple[int, int], Picture]:
    """Where (row, column) a patch goes, and the patch: textured, from elsewhere, unlike what it covers."""
    height, width = picture.shape[:2]
    side = round((PATCH_SHARE * height * width) ** 0.5)
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    best, chosen = -1.0, (0, 0, 0, 0)
    for _ in range(TRIES):
        (y, v), (x, u) = rng.integers(0, height - side, 2).tolist(), rng.integers(0, width - side, 2).tolist()
        if max(abs(y - v), abs(x - u)) < side:
            continue
        piece, covered = grey[v : v + side, u : u + side], grey[y : y + side, x : x + side]
        # 1 where both asks are met; the lesser of the two counts.
        plain = min(piece.std() / TEXTURE, np.abs(piece - covered).mean() / CONTRAST, 1.0)
        if plain > best:
            best, chosen = float(plain), (y, x, v, u)
        if best >= 1:
            break
    y, x, v, u = chosen
    return (y, x), picture[v : v + side, u : u + side].copy()


def _wet(frames: Iterator[Picture], plan: Plan) -> Iterator[Labelled]:
    drops = {event: drops_on_lens(plan, event) for event in plan.events}
    for number, picture in enumerate(frames):
        event = plan.event_at(number)
        yield (picture, False) if event is None else (drops[event](picture.copy(), number), True)
