from __future__ import annotations

import numpy as np
import pytest

from cameras.errors import UsageError
from fleet.detector.frames import check_frames, check_mask, chunks, evenly_spaced


@pytest.mark.parametrize(("shape", "expected"), [((3, 20, 30), (20, 30, 1)), ((0, 16, 17, 3), (16, 17, 3))])
def test_the_size_of_grey_and_colour_frames(shape: tuple, expected: tuple):
    assert check_frames(np.zeros(shape, np.uint8)) == expected


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((4, 32, 32), np.float32), r"frames are uint8 \(0 to 255\), not float32"),
        (np.zeros((32, 32), np.uint8), r"not \(32, 32\) — a single frame is frames\[None\]"),
        (np.zeros((4, 32, 32, 4), np.uint8), r"not \(4, 32, 32, 4\)"),
        (np.zeros((4, 8, 32), np.uint8), "32 x 8 pixels are too small — each side takes 16"),
    ],
)
def test_what_is_no_stack_of_frames_is_refused_with_the_rule(frames: np.ndarray, message: str):
    with pytest.raises(UsageError, match=message):
        check_frames(frames)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((20, 30), np.uint8), r"the mask is bool .* not uint8"),
        (np.ones((30, 20), np.bool_), r"size \(20, 30\), not bool \(30, 20\)"),
        (np.zeros((20, 30), np.bool_), "leaves no pixel"),
    ],
)
def test_what_is_no_mask_is_refused_with_the_rule(mask: np.ndarray, message: str):
    with pytest.raises(UsageError, match=message):
        check_mask(mask, 20, 30)


def test_chunks_cover_every_frame_once():
    frames = np.broadcast_to(np.uint8(0), (700, 96, 64))
    covered = np.concatenate([np.arange(700)[part] for part in chunks(frames)])
    assert covered.tolist() == list(range(700))


def test_a_chunk_of_frames_of_any_size_is_small():
    frames = np.broadcast_to(np.uint8(0), (700, 96, 64))
    assert max(frames[part].size for part in chunks(frames)) <= 2**20


def test_evenly_spaced_frames_are_different_and_reach_both_ends():
    indices = evenly_spaced(1_000, 512)
    assert (len(np.unique(indices)), indices[0], indices[-1]) == (512, 0, 999)


def test_fewer_frames_than_asked_for_are_all_taken():
    assert evenly_spaced(5, 512).tolist() == [0, 1, 2, 3, 4]
