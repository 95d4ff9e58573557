"""What every baseline keeps to, whatever its method, on a bright square that walks over a noisy pattern."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from cameras.errors import UsageError
from fleet.detector import Footage
from fleet.detector.baselines import METHODS, fit, load

HEIGHT, WIDTH, N = 24, 32, 36

# Two clips, the second shorter than any window: its frames have no context at all.
CLIP = np.r_[np.zeros(N - 2, np.int64), np.ones(2, np.int64)]

# Right and bottom of the scene; a multiple of nothing, so that cells are cut.
VALID = np.zeros((HEIGHT, WIDTH), np.bool_)
VALID[:21, :27] = True

each_method = pytest.mark.parametrize("name", METHODS)

# For tests that fit anew: a network takes its time.
each_method_anew = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if method.learned else []) for name, method in METHODS.items()]
)


def walking_square() -> np.ndarray:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    frames = np.broadcast_to(90 + 40 * np.sin(x / 3) + 20 * np.cos(y / 4), (N, HEIGHT, WIDTH)).copy()
    for t in range(N):
        left, top = (2 * t) % (WIDTH - 8), 4 + t % 9
        frames[t, top : top + 6, left : left + 6] += 80
    return np.clip(frames + rng.normal(0, 3, frames.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def footage() -> Footage:
    frames = walking_square()
    frames.flags.writeable = False  # as Ray's object store gives them
    return Footage.of(frames, fps=5, clip=CLIP)


@pytest.fixture(scope="module")
def fitted(footage: Footage):
    """Each method fitted once, with a mask."""
    kept = {}

    def of(name: str):
        if name not in kept:
            kept[name] = fit(name, footage, valid=VALID, seed=3, epochs=2)
        return kept[name]

    return of


@each_method
def test_each_frame_gets_a_finite_score_of_its_own(name: str, fitted, footage: Footage):
    score = fitted(name).score(footage).score
    assert score.shape == (N,)
    assert score.dtype == np.float64
    assert np.isfinite(score).all()
    assert score.std() > 0


@each_method_anew
def test_the_same_seed_gives_the_same_scores(name: str, fitted, footage: Footage):
    again = fit(name, footage, valid=VALID, seed=3, epochs=2)
    np.testing.assert_array_equal(again.score(footage).score, fitted(name).score(footage).score)


@each_method
def test_a_stored_detector_scores_the_same(name: str, fitted, footage: Footage):
    tensors, meta = fitted(name).state()
    stored = load_tensors(save_tensors(tensors))
    read = load(stored, json.loads(json.dumps(meta)))
    assert read.method == name == meta["method"]
    np.testing.assert_array_equal(read.score(footage).score, fitted(name).score(footage).score)


@each_method_anew
def test_what_is_masked_does_not_matter(name: str, fitted, footage: Footage):
    noise = np.random.default_rng(1).integers(0, 256, footage.frames.shape, np.uint8)
    other = Footage(np.where(VALID, footage.frames, noise), footage.times_s, footage.clip)
    refitted = fit(name, other, valid=VALID, seed=3, epochs=2)
    expected = fitted(name).score(footage).score
    np.testing.assert_allclose(refitted.score(other).score, expected, rtol=1e-5, atol=1e-7)


@each_method
def test_a_frame_is_scored_by_its_context_and_no_other_clip(name: str, fitted, footage: Footage):
    """The frames of one clip score the same whether or not another clip comes before them."""
    detector = fitted(name)
    one = footage[10:18]
    two = Footage(
        np.concatenate([footage.frames[20:24], one.frames]), np.arange(12.0), np.r_[np.full(4, 5), np.full(8, 6)]
    )
    alone = Footage(one.frames, np.arange(8.0), np.zeros(8, np.int64))
    np.testing.assert_allclose(detector.score(two).score[4:], detector.score(alone).score, rtol=1e-4, atol=1e-6)
    whole = detector.score(footage).score[10:18]
    later = slice(detector.context, None)
    np.testing.assert_allclose(detector.score(alone).score[later], whole[later], rtol=1e-4, atol=1e-6)


@each_method
def test_frames_of_another_size_are_refused(name: str, fitted):
    with pytest.raises(UsageError):
        fitted(name).score(Footage.of(np.zeros((3, HEIGHT, WIDTH + 2), np.uint8), fps=5))


@each_method_anew
def test_colour_is_taken(name: str):
    grey = walking_square()
    colour = Footage.of(np.stack([grey, grey[:, ::-1], 255 - grey], axis=-1), fps=5)
    assert np.isfinite(fit(name, colour, epochs=1).score(colour).score).all()


@each_method
def test_each_is_documented_and_named_as_it_is_stored(name: str, fitted):
    method = METHODS[name]
    assert method.name == name == fitted(name).method
    assert all([method.title, method.idea, method.source, type(fitted(name)).__doc__])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gcl", "tmae", "roadmap", "gan", "dast"])
def test_training_lowers_the_loss(name: str, footage: Footage):
    losses = fit(name, footage, epochs=8).losses
    assert losses[-2:].mean() < losses[:2].mean()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.learned])
def test_a_fit_leaves_the_global_random_numbers_alone(name: str, footage: Footage):
    before = torch.random.get_rng_state()
    fit(name, footage, epochs=1)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_windows_longer_than_any_clip_are_an_error_that_says_so(footage: Footage):
    in_pairs = Footage(footage.frames, footage.times_s, np.arange(N) // 2)
    with pytest.raises(UsageError, match="no clip has so many"):
        fit("roadmap", in_pairs)


def test_an_unknown_baseline_names_those_there_are(footage: Footage):
    with pytest.raises(UsageError, match="median-frame"):
        fit("nonsense", footage)


def test_importing_the_package_loads_no_torch():
    code = "import sys, fleet.detector.baselines; print(sorted({'torch', 'sklearn', 'ray'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
