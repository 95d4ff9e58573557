"""The study asks every rule once, and its labels reach nothing but the figures."""

from __future__ import annotations

import numpy as np
import pytest

from fleet.detector import Footage
from fleet.detector.objectives import OBJECTIVES
from fleet.search_config import SearchConfig, parse_search
from fleet.selection_study import SelectionRow, Study, _tail, study

SEARCH = """\
space: {sigma: [0.1, 1.0], lambda: [0.0, 1.0]}
incumbent: {sigma: 0.1, lambda: 1.0}
detector: {kind: paper, epochs: 1, latent: 4}
"""
POINTS = 4


@pytest.fixture(scope="module")
def search() -> SearchConfig:
    return parse_search(SEARCH, "x.yaml")


@pytest.fixture(scope="module")
def scene() -> tuple[Footage, np.ndarray]:
    rng = np.random.default_rng(0)
    frames = rng.integers(60, 160, (24, 32)) + rng.normal(0, 3, (48, 24, 32))
    labels = np.arange(48) % 12 >= 9
    frames[labels, 8:14, 10:16] = 230
    return Footage.of(frames.clip(0, 255).astype(np.uint8), fps=5), labels


@pytest.fixture(scope="module")
def found(search, scene) -> Study:
    return study("dock", *scene, search)


@pytest.fixture(scope="module")
def rows(found) -> list[SelectionRow]:
    return found.selection


def test_every_rule_answers_once(rows):
    rules = {"best point", "fixed default", "random point", "ensemble of all"}
    rules |= set(OBJECTIVES) | {f"{name}, incumbent kept" for name in OBJECTIVES}
    assert sorted(row.rule for row in rows) == sorted(rules)
    assert {row.scene for row in rows} == {"dock"}


def test_regret_is_what_is_lost_to_the_best_point(rows):
    by_rule = {row.rule: row for row in rows}
    best = by_rule["best point"]
    assert best.regret == 0
    for row in rows:
        assert row.regret == pytest.approx(best.auc - row.auc)
        if row.rule != "ensemble of all":
            assert row.regret >= 0


def test_rules_without_a_point_of_their_own_say_so(rows):
    by_rule = {row.rule: row for row in rows}
    for rule in ("random point", "ensemble of all"):
        assert (by_rule[rule].sigma, by_rule[rule].left_default) == (None, None)
    default = by_rule["fixed default"]
    assert (default.sigma, default.lam, default.left_default) == (0.1, 1.0, False)


def test_labels_change_the_figures_and_no_choice(rows, search, scene):
    footage, labels = scene
    told = []
    others = study("dock", footage, ~labels, search, objectives=["skewness"], on_point=told.append).selection
    assert told == search.points()
    assert len(told) == POINTS
    chosen = {row.rule: (row.sigma, row.lam, row.left_default) for row in rows}
    for row in others:
        if row.rule != "best point":
            assert (row.sigma, row.lam, row.left_default) == chosen[row.rule]


def test_a_first_look_is_compared_with_full_fits_by_every_objective(found):
    assert [look.objective for look in found.looks] == list(OBJECTIVES)
    for look in found.looks:
        assert look.points == POINTS
        assert -1 <= look.rank_correlation <= 1
        assert look.cost_fits > 1  # a look, and at least the incumbent's own fit


def test_a_tail_is_minus_the_logarithm_of_the_share_at_or_above():
    assert np.exp(-_tail(np.array([3.0, 1.0, 2.0, 2.0]))) == pytest.approx([0.25, 1, 0.75, 0.75])
