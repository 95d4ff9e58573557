from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import spearmanr

from fleet.detector.stats import COLLAPSED_BELOW, EpochStats, effective_rank, rank_correlation

STATS = EpochStats(
    epoch=3,
    reconstruction=0.5,
    entropy=-1.0,
    total=-0.5,
    latent_std=0.2,
    effective_rank=4.0,
    mean_frame_correlation=0.9,
    response=0.4,
    pcc=np.array([0.9, 0.8]),
)


def test_an_epoch_survives_json_without_its_pcc():
    assert EpochStats.from_dict(json.loads(json.dumps(STATS.to_dict()))) == STATS


def test_collapsed_is_written_with_the_epoch():
    assert STATS.to_dict()["collapsed"] is False


@pytest.mark.parametrize(("response", "collapsed"), [(0.0, True), (COLLAPSED_BELOW, False)])
def test_collapsed_means_that_the_reconstruction_does_not_respond(response: float, collapsed: bool):
    assert EpochStats.from_dict(STATS.to_dict() | {"response": response}).collapsed is collapsed


@pytest.mark.parametrize("used", [1, 4])
def test_the_effective_rank_counts_the_dimensions_that_are_used(used: int):
    latents = np.zeros((4_000, 8))
    latents[:, :used] = np.random.default_rng(0).normal(5, 2, (4_000, used))
    assert effective_rank(latents) == pytest.approx(used, rel=0.01)


def test_latents_that_do_not_move_use_no_dimension():
    assert effective_rank(np.ones((10, 8), np.float32)) == 0


def test_the_rank_correlation_is_scipys_spearmanr_with_ties():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 9, 50).astype(float), rng.normal(size=50)
    assert rank_correlation(x, y) == pytest.approx(spearmanr(x, y).statistic, abs=1e-12)


def test_the_rank_correlation_with_a_constant_is_0():
    assert rank_correlation(np.zeros(5), np.arange(5.0)) == 0
