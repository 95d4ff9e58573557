"""Overlays on real footage: labelled, repeatable, and nothing else of the footage is touched."""

import itertools
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest

from cameras.errors import UsageError
from cameras.scenes.overlay import paste_patches, wet_lens

HEIGHT, WIDTH, FPS = 72, 96, 2.0
OVERLAYS = pytest.mark.parametrize("overlay", [paste_patches, wet_lens])


def footage(count: int, seed: int = 0) -> np.ndarray:
    """A textured place under camera noise: RGB (count, 72, 96, 3)."""
    rng = np.random.default_rng(seed)
    place = cv2.resize(rng.integers(0, 256, (9, 12, 3)).astype(np.uint8), (WIDTH, HEIGHT))
    noise = rng.integers(-3, 4, (count, HEIGHT, WIDTH, 1))
    return np.clip(place.astype(int) + noise, 0, 255).astype(np.uint8)


def spans(labels: list[bool]) -> list[range]:
    """The runs of anomalous frames."""
    edges = np.flatnonzero(np.diff([False, *labels, False]))
    return [range(start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True)]


@OVERLAYS
def test_a_draw_repeats_and_another_differs(overlay: Callable[..., Iterator[tuple[np.ndarray, bool]]]) -> None:
    frames = footage(240)
    one, again, other = (list(overlay(frames, draw, FPS)) for draw in (3, 3, 4))
    assert all(a == b and (p == q).all() for (p, a), (q, b) in zip(one, again, strict=True))
    assert [label for _, label in one] != [label for _, label in other]


@OVERLAYS
def test_frames_without_an_event_are_those_given_and_none_is_written_to(
    overlay: Callable[..., Iterator[tuple[np.ndarray, bool]]],
) -> None:
    frames, kept = footage(240), footage(240)
    shown = list(overlay(frames, 0, FPS))
    assert len(shown) == 240
    assert any(label for _, label in shown)
    np.testing.assert_array_equal(frames, kept)
    assert all((picture != frame).any() == label for frame, (picture, label) in zip(kept, shown, strict=True))


@OVERLAYS
def test_a_stream_is_drawn_over_as_it_comes(overlay: Callable[..., Iterator[tuple[np.ndarray, bool]]]) -> None:
    """An iterator with its count gives what the array gives, and is not read ahead by more than a frame."""
    frames = footage(150)
    taken = itertools.count()
    stream = (frame for frame in frames if next(taken) >= 0)
    shown = overlay(stream, 1, FPS, count=150)
    for picture, label in itertools.islice(overlay(frames, 1, FPS), 100):
        streamed, marked = next(shown)
        assert marked == label
        np.testing.assert_array_equal(streamed, picture)
    assert next(taken) == 100


def test_a_patch_is_two_percent_of_the_picture_still_and_5_to_20_seconds_long() -> None:
    frames = footage(800)
    shown = list(paste_patches(frames, 2, FPS))
    patches = spans([label for _, label in shown])
    assert len(patches) > 3
    for span in patches:
        assert 5 * FPS - 1 <= len(span) <= 20 * FPS + 1
        changed = np.any([(shown[at][0] != frames[at]).any(-1) for at in span], axis=0)
        x, y, wide, tall = cv2.boundingRect(changed.astype(np.uint8))
        assert wide * tall == pytest.approx(0.02 * HEIGHT * WIDTH, rel=0.1)
        pieces = [shown[at][0][y : y + tall, x : x + wide] for at in span]
        assert all((piece == pieces[0]).all() for piece in pieces)
    pauses = [later.start - earlier.stop for earlier, later in itertools.pairwise(patches)]
    assert min(pauses) >= 15 * FPS - 1


def test_a_patch_is_a_textured_piece_of_its_frame_and_unlike_what_it_covers() -> None:
    frames = footage(240)
    shown = list(paste_patches(frames, 0, FPS))
    start = spans([label for _, label in shown])[0].start
    picture, frame = shown[start][0], frames[start]
    x, y, wide, tall = cv2.boundingRect((picture != frame).any(-1).astype(np.uint8))
    patch, covered = picture[y : y + tall, x : x + wide], frame[y : y + tall, x : x + wide]
    assert cv2.matchTemplate(frame, patch, cv2.TM_SQDIFF).min() < 1
    grey, grey_covered = (cv2.cvtColor(part, cv2.COLOR_RGB2GRAY).astype(float) for part in (patch, covered))
    assert grey.std() > 20
    assert np.abs(grey - grey_covered).mean() > 20


@pytest.mark.parametrize("ratio", [0.0, 0.125, 0.5])
def test_drops_lie_on_the_share_of_frames_that_was_asked_for(ratio: float) -> None:
    labels = [label for _, label in wet_lens(footage(200), 5, FPS, anomaly_ratio=ratio)]
    assert sum(labels) == round(ratio * 200)


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda: paste_patches([], 0, FPS), "no frames"),
        (lambda: paste_patches(iter(footage(2)), 0, FPS), "count"),
        (lambda: paste_patches(footage(2), -1, FPS), "from 0"),
        (lambda: paste_patches(footage(2), 0, 0.0), "positive"),
        (lambda: wet_lens(footage(2)[:, :40], 0, FPS), "at least 80x60"),
        (lambda: wet_lens(footage(2)[..., 0], 0, FPS), "RGB"),
        (lambda: wet_lens(footage(2), 0, FPS, anomaly_ratio=2.0), "0 (clean) to 1"),
    ],
)
def test_what_cannot_be_says_what_can(ask: Callable[[], object], says: str) -> None:
    with pytest.raises(UsageError) as raised:
        ask()
    assert says in str(raised.value)
