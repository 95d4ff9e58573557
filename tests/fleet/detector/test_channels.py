"""Motion is measured where it is and in its own units; the view knows what stayed; masked pixels count nowhere."""

from __future__ import annotations

import numpy as np
import pytest

from fleet.detector.channels import Cells, MotionField, View, causal_mean, place_in_run, worst
from fleet.detector.footage import Footage

ALL = np.ones((64, 96), np.bool_)


def sliding(pixels_a_frame: float, n: int = 4, fps: float = 5.0) -> Footage:
    """A smooth texture that moves to the right."""
    y, x = np.mgrid[:64, :96]
    moved = x - pixels_a_frame * np.arange(n)[:, None, None]
    return Footage.of((128 + 80 * np.sin(moved / 4) + 40 * np.sin(y / 4)).astype(np.uint8), fps)


def speed_of(footage: Footage, fps: float = 5.0) -> np.ndarray:
    field = MotionField(ALL, fps)
    return field.speed(*field.changes(field.grey(footage.frames), footage))


@pytest.mark.parametrize("pixels", [0.5, 1.0])
def test_speed_is_in_pixels_a_frame_period(pixels):
    assert np.median(speed_of(sliding(pixels))[1:]) == pytest.approx(pixels, rel=0.15)


def test_a_frame_that_comes_late_counts_for_the_time_it_took():
    footage = sliding(0.5)
    late = Footage(footage.frames, footage.times_s * 2, footage.clip)
    assert np.median(speed_of(late)[1:]) == pytest.approx(0.25, rel=0.15)


def test_the_first_frame_of_a_clip_and_one_after_a_gap_have_no_motion():
    frames = sliding(1.0, 6).frames
    footage = Footage(frames, np.array([0, 0.2, 0.4, 5, 5.2, 5.4]), np.array([0, 0, 0, 0, 0, 1]))
    assert np.isnan(speed_of(footage)).all(axis=1).tolist() == [True, False, False, True, False, True]


def test_frames_in_a_row_are_counted_until_a_gap_or_the_end_of_the_clip():
    footage = Footage(sliding(1.0, 6).frames, np.array([0, 0.2, 0.4, 5, 5.2, 5.4]), np.array([0, 0, 0, 0, 0, 1]))
    assert place_in_run(footage, 5.0).tolist() == [0, 1, 2, 0, 1, 0]


def test_a_causal_mean_takes_what_is_known_of_its_own_run():
    values = np.array([np.nan, 2, 4, np.nan, 6])
    assert causal_mean(values, 2, np.array([0, 1, 2, 0, 1])) == pytest.approx([np.nan, 2, 3, np.nan, 6], nan_ok=True)


def test_the_worst_cells_are_a_share_of_them_and_one_at_least():
    cells = np.arange(10, dtype=np.float32)[None]
    assert [worst(cells, share)[0] for share in (0.2, 0.001)] == [8.5, 9]


@pytest.mark.parametrize("shape", [(16, 16), (17, 45), (64, 96)])
def test_a_cell_holds_the_mean_of_its_pixels_at_any_size(shape):
    cells = Cells(np.ones(shape, np.bool_), 8)
    assert cells.mean(np.full((1, *shape), 3, np.float32)) == pytest.approx(3)
    assert cells.spread(cells.mean(np.full((1, *shape), 3, np.float32))[0]) == pytest.approx(np.full(shape, 3))


def test_masked_pixels_move_nothing():
    valid = ALL.copy()
    valid[20:40, 30:60] = False
    footage = sliding(1.0)
    other = footage.frames.copy()
    other[:, ~valid] = np.random.default_rng(0).integers(0, 255, (4, int((~valid).sum())))
    field = MotionField(valid, 5.0)
    seen = [field.changes(field.grey(frames), footage) for frames in (footage.frames, other)]
    assert np.array_equal(field.energy(seen[0][1]), field.energy(seen[1][1]), equal_nan=True)
    assert np.array_equal(field.speed(*seen[0]), field.speed(*seen[1]), equal_nan=True)


def test_colour_moves_as_its_grey_does():
    footage = sliding(1.0)
    colour = Footage.of(np.repeat(footage.frames[..., None], 3, axis=3), 5.0)
    assert speed_of(colour) == pytest.approx(speed_of(footage), nan_ok=True)


def test_a_large_frame_is_measured_at_the_working_size():
    assert MotionField(np.ones((720, 1280), np.bool_), 5.0).working.shape == (65, 116)


def view_of(frames: np.ndarray) -> tuple[View, np.ndarray]:
    field = MotionField(ALL, 5.0)
    pictures = View.pictures(field.grey(frames), field.working)
    return View(field.working, pictures.astype(np.float16)), pictures


def test_the_view_is_far_only_where_a_thing_was_put_down():
    """It stood there in 2 of 64 frames: too few for the view to have got used to it."""
    frames = np.repeat(sliding(0, 1).frames, 64, axis=0)
    frames[-2:, 16:32, 32:48] = np.random.default_rng(0).integers(0, 255, (16, 16))
    view, pictures = view_of(frames)
    picture = view.spread(view.distances(pictures)[-1])
    assert picture[8:16, 16:24].min() > 100 * picture[20:].max()


def test_the_view_of_another_light_is_near():
    frames = np.repeat(sliding(0, 1).frames, 64, axis=0)
    view, _ = view_of(frames)
    darker, moved = (frames[:1] * 0.8).astype(np.uint8), np.roll(frames[:1], 8, axis=2)
    light, shift = (view.distances(view_of(each)[1]).mean() for each in (darker, moved))
    assert light < shift / 20
