"""A cell is measured, and its record is plain JSON from which the frames' scores come back."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from cameras.errors import UsageError
from fleet.benchmark.cells import Cell, Record, failed, fit_cell, run, series
from fleet.benchmark.scenes import Labelled
from fleet.benchmark.variants import VARIANTS, variant_config


def test_a_record_is_json_without_nan(record: Record) -> None:
    assert json.loads(json.dumps(record, allow_nan=False)).keys() == record.keys()


def test_a_record_holds_what_was_measured(record: Record) -> None:
    assert record["error"] == ""
    assert record["anomalous"] == pytest.approx(0.3)
    own = record["channels"][0]
    assert own["channel"] == "score"
    assert 0.5 < own["auc"] <= 1
    assert record["state_mb"] > 0
    assert record["frames_per_s"] > 0


def test_the_scores_of_a_record_come_back(record: Record, cell: Cell, corridor: Labelled) -> None:
    scored = fit_cell(cell, corridor).score(corridor.footage)
    known, labels = series(record)
    np.testing.assert_allclose(known.score, scored.score, rtol=1e-5)
    np.testing.assert_array_equal(labels, corridor.labels)
    np.testing.assert_allclose(known.times_s, corridor.footage.times_s)
    np.testing.assert_array_equal(known.clip, corridor.footage.clip)


def test_a_fingerprint_names_one_cell(cell: Cell) -> None:
    assert cell.fingerprint == replace(cell).fingerprint
    others = [
        replace(cell, seed=1),
        replace(cell, method="pca-32"),
        replace(cell, scene=replace(cell.scene, draw=2)),
        replace(cell, train=cell.scene),
    ]
    assert len({cell.fingerprint, *(other.fingerprint for other in others)}) == 5


def test_a_failure_is_one_line_with_its_cell(cell: Cell) -> None:
    record = failed(cell, ValueError("two\nlines"))
    assert record["error"] == "two lines"
    assert record["cell"]["method"] == "median-frame"


def test_only_the_first_frames_are_learnt_from(cell: Cell, corridor: Labelled) -> None:
    part = fit_cell(replace(cell, train_frames=20), corridor).state()[0]
    whole = fit_cell(cell, corridor).state()[0]
    assert not np.array_equal(part["median"], whole["median"])


def test_what_learnt_elsewhere_is_not_fitted_again(cell: Cell, corridor: Labelled) -> None:
    record = run(replace(cell, train=cell.scene), corridor, fit_cell(cell, corridor))
    assert record["fit_s"] is None


@pytest.mark.slow
def test_one_class_methods_see_clean_frames_only(cell: Cell, corridor: Labelled) -> None:
    """Fitted to footage whose anomalous frames are replaced by noise, it is the same."""
    noisy = corridor.footage.frames.copy()
    noisy[corridor.labels] = np.random.default_rng(0).integers(0, 255, noisy[corridor.labels].shape)
    spoilt = Labelled(replace(corridor.footage, frames=noisy), corridor.labels)
    one_class = replace(cell, method="dast", epochs=1)
    first, second = (fit_cell(one_class, scene).state()[0] for scene in (corridor, spoilt))
    assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.slow
def test_a_curve_has_an_epoch_a_row(cell: Cell, corridor: Labelled) -> None:
    curve = run(replace(cell, method="mle", task="curve", point=(0.5, 0.1), epochs=2), corridor)["curve"]
    assert [row["epoch"] for row in curve] == [1, 2]
    assert all(0 <= row["auc"] <= 1 for row in curve)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["vanilla-cae", "gcl"])
def test_latents_lie_on_a_plane(method: str, cell: Cell, corridor: Labelled) -> None:
    record = run(replace(cell, method=method, task="latents", epochs=1), corridor)
    assert np.array(record["plane"]).shape == (60, 2)
    assert record["latent_std"] > 0


@pytest.mark.parametrize("name", ["no entropy term", "light network, cap 3"])
def test_a_variant_says_what_became_of_the_latent(name: str, cell: Cell, corridor: Labelled) -> None:
    found = run(replace(cell, method=name, task="variant", epochs=1), corridor)["variant"]
    assert 0 <= found["auc"] <= 1
    assert found["epoch"] == 1
    assert {"response", "collapsed", "effective_rank", "mean_frame_correlation"} <= found.keys()


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_a_configuration(name: str) -> None:
    assert variant_config(name, seed=3, epochs=7).seed == 3


def test_an_unknown_variant_is_told_what_there_is() -> None:
    with pytest.raises(UsageError, match="kernel: elementwise"):
        variant_config("kernel: round", 0, None)
