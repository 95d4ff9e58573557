from __future__ import annotations

import numpy as np
import pytest

from fleet.detector.threshold import paper_threshold


def test_the_threshold_is_eqs_8_and_9():
    threshold, mean, std = paper_threshold(np.array([0.9, 0.8, 0.7, 0.6]), kappa=0.5)
    assert (mean, std, threshold) == pytest.approx((0.75, 0.05**0.5 / 2, 0.75 - 0.5 * 0.05**0.5 / 2))


def test_frames_that_are_all_alike_are_not_flagged():
    values = np.full(10, 0.9)
    assert not (values < paper_threshold(values, kappa=0.5)[0]).any()
