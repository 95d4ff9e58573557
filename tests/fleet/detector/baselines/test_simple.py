"""Each simple baseline finds what it is there to find, and its number is the formula's."""

from __future__ import annotations

import numpy as np
import pytest

from fleet.detector import Footage
from fleet.detector.baselines import clean_part, fit
from fleet.detector.baselines.frame_difference import cell_means, worst_mean
from fleet.detector.baselines.pca import principal_components

N, HEIGHT, WIDTH = 80, 32, 40
EVENT = slice(50, 54)


def scene(event: bool = True) -> np.ndarray:
    """A still pattern under a little noise; a bright square stands in it during the event."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    frames = 100 + 40 * np.sin(x / 4) + 30 * np.cos(y / 5) + rng.normal(0, 2, (N, HEIGHT, WIDTH))
    if event:
        frames[EVENT, 10:20, 12:22] += 90
    return np.clip(frames, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", ["median-frame", "mog2", "nearest-neighbours"])
def test_a_rare_thing_that_stands_still_scores_highest(name: str):
    footage = Footage.of(scene(), fps=1)
    score = fit(name, footage).score(footage).score
    assert score[EVENT].min() > np.delete(score, np.r_[EVENT]).max()


def test_an_isolation_forest_leans_to_what_is_rare():
    """It cuts dimensions at random, and all but one of the embedding's are noise here: a lean is all there is."""
    footage = Footage.of(scene(), fps=1)
    score = fit("isolation-forest", footage).score(footage).score
    others = np.delete(score, np.r_[EVENT])
    assert score[EVENT].mean() > others.mean() + others.std()


def test_pca_reconstructs_what_it_has_seen_and_not_what_is_new():
    clean, eventful = (Footage.of(scene(event), fps=5) for event in (False, True))
    score = fit("pca-32", clean).score(eventful).score
    assert score[EVENT].min() > np.delete(score, np.r_[EVENT]).max()


def test_principal_components_are_those_of_a_singular_value_decomposition():
    samples = np.random.default_rng(0).normal(size=(20, 50)).astype(np.float32)
    mean, components = principal_components(samples, 5)
    np.testing.assert_allclose(mean, samples.mean(axis=0), atol=1e-6)
    expected = np.linalg.svd(samples - samples.mean(axis=0))[2][:5]
    np.testing.assert_allclose(np.abs((components * expected).sum(axis=1)), 1, atol=1e-4)


def test_components_stop_where_nothing_varies():
    line = np.outer(np.arange(10), np.ones(6)).astype(np.float32)
    assert principal_components(line, 5)[1].shape == (1, 6)


def test_mog2_gives_the_share_of_the_pixels_that_count():
    footage = Footage.of(scene(), fps=5)
    valid = np.ones((HEIGHT, WIDTH), np.bool_)
    valid[:, 17:] = False
    score = fit("mog2", footage, valid=valid).score(footage).score
    assert score[EVENT] == pytest.approx(10 * 5 / valid.sum(), abs=0.01)


def test_frame_difference_is_the_mean_absolute_difference_from_the_frame_before():
    frames = np.random.default_rng(0).integers(0, 256, (5, 16, 20), np.uint8)
    footage = Footage.of(frames, fps=5)
    score = fit("frame-difference", footage).score(footage).score
    expected = np.abs(np.diff(frames.astype(float) / 255, axis=0)).mean(axis=(1, 2))
    np.testing.assert_allclose(score, np.r_[expected[0], expected], rtol=1e-5)


def test_worst_cells_see_something_small_that_moves_below_a_flicker_of_everything():
    """All of it one grey level brighter is more in sum than a square that comes; in the worst cells it is less."""
    frames = np.full((30, 48, 64), 100, np.uint8)
    frames[1::2] += 2  # flickers
    frames[20:, 10:14, 10:14] += 30
    footage = Footage.of(frames, fps=5)
    everywhere, worst = (fit(name, footage).score(footage).score for name in _DIFFERENCES)
    assert worst[20] > 5 * np.delete(worst, 20).max()
    assert everywhere[20] < 1.5 * np.delete(everywhere, 20).max()


_DIFFERENCES = ("frame-difference", "frame-difference-cells")


def test_cell_means_are_means_over_the_pixels_that_count():
    picture = np.random.default_rng(0).random((1, 16, 20))
    valid = np.ones((16, 20), np.bool_)
    valid[:, 12:] = False
    cells = cell_means(picture, valid)
    # Columns at 0, 4 and 8: the third has half of its pixels. The fourth, at 12, has none and is left out.
    expected = [picture[0, y : y + 8, x : min(x + 8, 12)].mean() for y in (0, 4, 8) for x in (0, 4, 8)]
    np.testing.assert_allclose(cells[0], expected)


def test_the_worst_share_is_one_value_at_least():
    assert worst_mean(np.array([[1.0, 5.0, 2.0]])).tolist() == [5.0]


def test_an_event_does_not_vouch_for_itself():
    """Eight like frames in a row are strange; eight like frames spread over the day are not."""
    in_a_row, spread = np.r_[50:58], np.r_[4:80:10]
    scores = []
    for when in (in_a_row, spread):
        frames = scene(event=False)
        frames[when, 10:20, 12:22] = 220
        footage = Footage.of(frames, fps=0.5)
        scores.append(fit("nearest-neighbours", footage).score(footage).score[when].mean())
    assert scores[0] > 5 * scores[1]


def test_the_clean_part_has_a_cut_where_something_is_left_out():
    footage = Footage.of(scene()[:8], fps=5, clip=np.array([0, 0, 0, 0, 0, 7, 7, 7]))
    clean = clean_part(footage, np.array([0, 0, 1, 1, 0, 0, 0, 1], np.bool_))
    assert clean.clip.tolist() == [0, 0, 1, 2, 2]
    np.testing.assert_array_equal(clean.frames, footage.frames[[0, 1, 4, 5, 6]])
