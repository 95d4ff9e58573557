"""Tables of records made by hand: what each number comes from can be read here."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pyarrow.parquet as pq
import pytest

from fleet.benchmark.cells import Cell, Record, failed
from fleet.benchmark.markdown import Table, number, share, spread
from fleet.benchmark.results import parquet_tables
from fleet.benchmark.scenes import SceneSpec
from fleet.benchmark.tables import tables_of


def made(cell: Cell, auc: float, **more: Any) -> Record:
    """A record with this AUC."""
    record = {
        "cell": {},
        "error": "",
        "frames": 4,
        "anomalous": 0.5,
        "fit_s": 2.0,
        "frames_per_s": 1000.0,
        "state_mb": 0.5,
        "peak_mb": None,
        "collapsed": None,
        "channels": [{"channel": "score", "auc": auc, "average_precision": 0.5}],
        "score": [0.1, 0.2, 0.3, 0.4],
        "pcc": None,
        "fps": 5.0,
        "clips": [4],
        "events": [[2, 4]],
    }
    return record | more


@pytest.fixture
def records(cell: Cell) -> dict[Cell, Record]:
    """The default and the median frame on two draws of one scene."""
    aucs = {("evidence", 100): 0.90, ("evidence", 101): 0.92, ("median-frame", 100): 0.94, ("median-frame", 101): 0.96}
    cells = {(name, draw): Cell(name, SceneSpec("corridor", draw), (96, 64)) for name, draw in aucs}
    return {cells[key]: made(cells[key], auc) for key, auc in aucs.items()}


def test_numbers_are_written_as_papers_write_them() -> None:
    assert [share(value) for value in (0.912, 1.0, 0.9996, -0.05, None)] == [".912", "1.000", "1.000", "-.050", "-"]
    assert spread([0.9, None, 0.92]) == ".910 ± .010"
    assert spread([]) == "-"
    assert [number([value]) for value in (1234.5, 0.01234)] == ["1,234", "0.0123"]


def test_markdown_is_a_table_under_its_caption() -> None:
    assert Table("What.", ["a", "b"], [["1", "2"]]).markdown() == "What.\n\n| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_auc_is_mean_and_spread_over_draws(records: dict[Cell, Record]) -> None:
    table = tables_of("paper", records)["paper-auc"]
    assert table.rows[0][2] == ".910 ± .010"
    assert table.columns[2:] == ["corridor"]


def test_regret_is_to_the_best_other_method(records: dict[Cell, Record]) -> None:
    row = tables_of("paper", records)["paper-regret"].rows[0]
    assert row[3:] == [".950", "+0.040"]


def test_a_failed_cell_is_a_row_and_a_line_of_the_caption(records: dict[Cell, Record], failing: Cell) -> None:
    records[failing] = failed(failing, "no footage")
    assert "median-frame on ped2-20, seed 0: no footage" in tables_of("paper", records)["paper-auc"].caption
    rows = pq.read_table(io.BytesIO(parquet_tables(records)["results"])).to_pylist()
    assert [row["error"] for row in rows].count("no footage") == 1


def test_parquet_holds_every_frame_and_rule(records: dict[Cell, Record]) -> None:
    tables = {name: pq.read_table(io.BytesIO(data)) for name, data in parquet_tables(records).items()}
    assert set(tables) == {"results", "rules", "frames"}
    assert tables["frames"].num_rows == 16
    assert set(tables["rules"].column("rule").to_pylist()) == {"tail", "tail, drift", "reference", "budget"}


def test_generalisation_tells_worked_on_from_fresh(records: dict[Cell, Record], cell: Cell) -> None:
    old = replace(next(iter(records)), scene=SceneSpec("corridor", 3))
    records[old] = made(old, 0.99)
    alone = replace(old, scene=SceneSpec("yard", 3))
    records[alone] = made(alone, 0.5)
    (row,) = tables_of("fresh", records)["fresh-generalisation"].rows
    assert row[1:] == ["corridor", ".990 (1)", ".910 ± .010 (2)", ".990", ".900"]


def test_quiet_hours_are_one_day(cell: Cell) -> None:
    lesson = SceneSpec("yard", 100, 100, 0.0, 2.0, (0.0,))
    taught = Cell("median-frame", lesson, (96, 64))
    quiet = {"score": [0.1] * 99 + [0.2], "fps": 2.0, "clips": [100], "events": []}
    hours = [replace(taught, scene=replace(lesson, starts_s=(start,)), train=lesson) for start in (1e5, 2e5)]
    records = {one: made(one, 0.5, **quiet) for one in (taught, *hours)}
    rows = tables_of("quiet", records)["quiet-rules"].rows
    assert rows[0][2].endswith("in 0.0278 h")


def test_a_suite_of_nothing_has_no_table() -> None:
    assert tables_of("paper", {}) == {}
