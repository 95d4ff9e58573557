"""Tail probabilities: right within what was seen, growing beyond it, and safe where there is nothing to compare."""

from __future__ import annotations

import numpy as np
import pytest

from fleet.detector.tails import Tail

VALUES = np.random.default_rng(0).normal(size=4_000)


def test_the_tail_of_a_seen_value_is_the_share_at_or_above_it():
    tail = Tail.of(VALUES).minus_log(np.quantile(VALUES, [0.1, 0.5, 0.9]))
    assert tail == pytest.approx(-np.log([0.9, 0.5, 0.1]), abs=0.02)


def test_beyond_the_98th_percentile_it_is_exponential_and_has_no_end():
    """A normal sample's maximum is no upper bound: twice as far out is twice as many nats further."""
    top = np.quantile(VALUES, 0.98)
    near, middle, far = Tail.of(VALUES).minus_log(np.array([top + 1, top + 2, top + 3]))
    assert near > -np.log(0.02)
    assert far - middle == pytest.approx(middle - near)


def test_a_heavier_value_never_has_a_lighter_tail():
    tails = Tail.of(VALUES).minus_log(np.linspace(-6, 6, 500))
    assert (np.diff(tails) >= 0).all()


def test_a_channel_that_never_changes_calls_its_value_common_and_a_larger_one_rare():
    usual, more = Tail.of(np.full(50, 3.0)).minus_log(np.array([3.0, 3.1]))
    assert usual == pytest.approx(0)
    assert more == pytest.approx(np.log(51))


def test_what_is_not_known_stays_unknown():
    assert np.isnan(Tail.of(VALUES).minus_log(np.array([np.nan]))).all()


def test_unknown_values_have_no_tail():
    assert Tail.of(np.full(9, np.nan)) is None
