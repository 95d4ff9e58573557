"""Cells small enough for every test: a generated scene of 60 frames at 32x32."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleet.benchmark.cells import Cell, Record, run
from fleet.benchmark.scenes import Labelled, SceneSpec, load

SIZE = (32, 32)
SPEC = SceneSpec("corridor", draw=1, frames=60, ratio=0.3, render_px=(64, 64))


@pytest.fixture(scope="session")
def corridor() -> Labelled:
    """60 frames, 18 of them anomalous."""
    return load(SPEC, (SIZE,))[SIZE]


@pytest.fixture(scope="session")
def cell() -> Cell:
    """The median frame on it: a result without a training."""
    return Cell("median-frame", SPEC, SIZE)


@pytest.fixture(scope="session")
def record(cell: Cell, corridor: Labelled) -> Record:
    return run(cell, corridor)


@pytest.fixture
def failing(cell: Cell) -> Cell:
    """A cell that cannot be: its footage is nowhere."""
    return replace(cell, scene=SceneSpec("ped2-20"))
