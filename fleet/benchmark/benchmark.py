"""A suite from its plan to its tables: what is done is read, the rest is measured, all of it is stored and shown."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from fleet import layout
from fleet.benchmark.cells import Cell, Record
from fleet.benchmark.figures import draw_figures
from fleet.benchmark.job import forget, read_records, run_cells
from fleet.benchmark.markdown import Table
from fleet.benchmark.methods import methods
from fleet.benchmark.report import write_blocks
from fleet.benchmark.results import channel_rows, parquet_tables
from fleet.benchmark.suites import SUITES, Options, plan
from fleet.benchmark.tables import tables_of
from fleet.cluster import connect
from fleet.errors import UsageError
from fleet.lease import held
from fleet.store import Store

__all__ = ["Outcome", "Told", "benchmark", "suites_of"]

IMAGES = "images"


@dataclass(frozen=True)
class Outcome:
    """What became of a suite.

    Attributes:
        measured, reused: cells that ran now, and those whose done-record was there.
        failed: cell -> why; the same command tries them again.
        left_out: scenes whose footage is not there.
        page: what was written; None without a folder to write to.
    """

    suite: str
    measured: int
    reused: int
    failed: dict[str, str]
    left_out: list[str]
    seconds: float
    tables: dict[str, Table]
    rows: list[dict[str, Any]]
    page: Path | None = None
    figures: list[Path] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "suite": self.suite,
            "measured": self.measured,
            "reused": self.reused,
            "failed": self.failed,
            "left_out": self.left_out,
            "seconds": round(self.seconds, 1),
            "page": None if self.page is None else str(self.page),
            "figures": [str(path) for path in self.figures],
            "results": self.rows,
        }


class Told:
    """What a benchmark tells while it runs; each method may be overridden, none must."""

    def suite(self, name: str, todo: int, reused: int, expected_s: float) -> None:
        """A suite begins: so many cells are to be measured, and about how long one processor takes for them."""

    def cell(self, cell: Cell, record: Record) -> None:
        """A cell is done."""


def suites_of(name: str) -> list[str]:
    """The suites that a name stands for.

    Raises:
        UsageError: there is no such suite.
    """
    if name == "all":
        return list(SUITES)
    if name not in SUITES:
        raise UsageError(f"there is no suite '{name}'", f"choose from: {', '.join(SUITES)}, all")
    return [name]


def benchmark(
    store: Store,
    suites: Sequence[str],
    options: Options,
    *,
    out: Path | None = None,
    command: str = "",
    fresh: bool = False,
    address: str | None = None,
    told: Told | None = None,
) -> list[Outcome]:
    """Run suites; the same call finishes what a killed one has begun.

    Args:
        out: the folder of the page and the figures; None writes nothing.
        command: what repeats it, for the page: '{suite}' in it is each suite's name.
        fresh: measure the chosen cells again.

    Raises:
        UsageError: the options ask for what cannot be.
        ConflictError: another process runs the same suite on this store.
        StoreError: the store is gone.
    """
    told = told or Told()
    plans = {suite: plan(suite, options) for suite in suites}  # a wrong name is told before an hour's work
    outcomes = []
    with _connected(store, address) as connected:
        for suite, planned in plans.items():
            started = time.perf_counter()
            with held(store, layout.benchmark_key(suite, "lease.json"), f"the suite {suite}"):
                if fresh:
                    forget(store, planned.cells)
                # The tables show all of the suite that is known, also where this call measures a part of it.
                whole = plan(suite, replace(options, methods=(), scenes=())).cells
                records = read_records(store, dict.fromkeys((*planned.cells, *whole)))
                todo = [cell for cell in planned.cells if cell not in records]
                told.suite(suite, len(todo), len(planned.cells) - len(todo), _expected_s(todo, records))
                if todo:
                    connected()
                    records |= run_cells(store, todo, options.footage, told.cell)
                for name, data in parquet_tables(records).items():
                    store.put(layout.benchmark_key(suite, f"{name}.parquet"), data)
            outcome = Outcome(
                suite=suite,
                measured=len(todo),
                reused=len(planned.cells) - len(todo),
                failed={str(cell): records[cell]["error"] for cell in todo if records[cell]["error"]},
                left_out=planned.left_out,
                seconds=time.perf_counter() - started,
                tables=tables_of(suite, records),
                rows=channel_rows(records),
            )
            outcomes.append(outcome if out is None else _write(outcome, records, out, command))
    return outcomes


class _connected:
    """A cluster that is connected to when it is first needed: with every cell done, tables take no Ray."""

    def __init__(self, store: Store, address: str | None) -> None:
        self._connection = connect(store, address)
        self._is_open = False

    def __enter__(self) -> Callable[[], None]:
        return self._open

    def _open(self) -> None:
        if not self._is_open:
            self._connection.__enter__()
            self._is_open = True

    def __exit__(self, *error: Any) -> None:
        if self._is_open:
            self._connection.__exit__(*error)


def _write(outcome: Outcome, records: Mapping[Cell, Record], out: Path, command: str) -> Outcome:
    """The suite's tables and figures into the page, each with the command that repeats it."""
    figures = draw_figures(outcome.suite, records, out / IMAGES)
    repeat = f"\n\n`{command.format(suite=outcome.suite)}`" if command else ""
    missing = f"\n\nLeft out, for want of their footage: {', '.join(outcome.left_out)}." if outcome.left_out else ""
    blocks = {name: table.markdown() + missing + repeat for name, table in outcome.tables.items()}
    for name, (path, caption) in figures.items():
        blocks[name] = f"![{caption}]({os.path.relpath(path, out)})\n\n{caption}.{repeat}"
    page = write_blocks(out, blocks)
    return replace(outcome, page=page, figures=[path for path, _ in figures.values()])


# Seconds of a processor that a cell takes where none like it was measured: on one core of 2023, 1,200 frames.
_GUESS_S = {"curve": 12.0, "latents": 30.0, "selection": 300.0, "variant": 12.0}
_GUESS_NETWORK_S, _GUESS_DEFAULT_S, _GUESS_SIMPLE_S = 15.0, 20.0, 2.0


def _expected_s(todo: Iterable[Cell], records: Mapping[Cell, Record]) -> float:
    """About how many seconds of a processor these cells take, going by those of the same method that are done."""
    done: dict[str, list[float]] = {}
    for cell, record in records.items():
        if record.get("fit_s") is not None:
            done.setdefault(cell.method, []).append(record["fit_s"] + record["frames"] / record["frames_per_s"])
    known = methods()

    def guess_s(cell: Cell) -> float:
        if cell.task != "score":
            return _GUESS_S[cell.task]
        if cell.method in done:
            return fmean(done[cell.method])
        ours = next(iter(known))
        return (
            _GUESS_NETWORK_S if known[cell.method].big else _GUESS_DEFAULT_S if cell.method == ours else _GUESS_SIMPLE_S
        )

    return sum(map(guess_s, todo))
