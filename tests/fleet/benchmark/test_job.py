"""The job on a real Ray: what is done is done, what fails is a record, what is killed goes on where it was."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleet import layout
from fleet.benchmark.cells import Cell, Record
from fleet.benchmark.job import forget, read_records, run_cells
from fleet.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_here")]


def test_a_cell_leaves_a_record_that_is_read_again(folder_store: Store, cell: Cell) -> None:
    told: list[Cell] = []
    records = run_cells(folder_store, [cell], on_record=lambda one, _: told.append(one))
    assert told == [cell]
    assert read_records(folder_store, [cell]) == records
    assert records[cell]["channels"][0]["auc"] > 0.5


def test_one_failure_is_a_record_and_ends_nothing(folder_store: Store, cell: Cell, failing: Cell) -> None:
    unfit = replace(cell, method="mle", size=(16, 16), train_frames=1)
    records = run_cells(folder_store, [failing, unfit, cell])
    assert "footage of 'ped2-20' is missing" in records[failing]["error"]
    assert "a fit takes 2 frames" in records[unfit]["error"]
    assert records[cell]["error"] == ""
    assert set(read_records(folder_store, [failing, unfit, cell])) == {cell}


def test_a_generated_scene_is_kept_at_each_size(folder_store: Store, cell: Cell) -> None:
    run_cells(folder_store, [cell, replace(cell, size=(48, 48))])
    assert len(folder_store.list("benchmarks/scenes/")) == 2


def test_what_learnt_elsewhere_scores_here(folder_store: Store, cell: Cell) -> None:
    taught = replace(cell, scene=replace(cell.scene, draw=2), train=cell.scene)
    record = run_cells(folder_store, [taught])[taught]
    assert record["error"] == ""
    assert record["fit_s"] is None


def test_forgotten_cells_are_measured_again(folder_store: Store, cell: Cell) -> None:
    key = layout.benchmark_key("cells", f"{cell.fingerprint}.json")
    folder_store.put(key, b'{"error": ""}')
    assert read_records(folder_store, [cell]) == {cell: {"error": ""}}
    forget(folder_store, [cell])
    assert read_records(folder_store, [cell]) == {}


def test_a_record_of_a_failure_names_its_cell(folder_store: Store, failing: Cell) -> None:
    record: Record = run_cells(folder_store, [failing])[failing]
    assert record["cell"]["scene"]["scene"] == "ped2-20"
