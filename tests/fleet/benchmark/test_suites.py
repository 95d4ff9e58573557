"""Each suite asks for the cells that its question needs, and says what it leaves out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from cameras.errors import UsageError
from fleet.benchmark.methods import methods
from fleet.benchmark.scenes import REAL
from fleet.benchmark.suites import FRESH_DRAWS, SUITES, Options, plan


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    """Looks as if all footage were there."""
    for scene in REAL.values():
        (tmp_path / scene.folder / "frames").mkdir(parents=True, exist_ok=True)
    return tmp_path


@pytest.mark.parametrize("suite", SUITES)
def test_every_suite_has_cells_and_none_twice(suite: str, footage: Path) -> None:
    cells = plan(suite, Options(footage=footage)).cells
    assert cells
    assert max(Counter(cell.fingerprint for cell in cells).values()) == 1


@pytest.mark.parametrize("suite", SUITES)
def test_quick_is_quick(suite: str, footage: Path) -> None:
    whole, quick = (plan(suite, Options(footage=footage, quick=quick)).cells for quick in (False, True))
    assert len(quick) <= len(whole)
    assert all((cell.epochs or 2) == 2 for cell in quick)


def test_table_1_has_every_method_on_every_scene_with_three_seeds_and_draws() -> None:
    cells = plan("paper", Options()).cells
    assert {cell.method for cell in cells} == set(methods())
    for scene in ("corridor", "office-alarm", "driving"):
        mine = [cell for cell in cells if cell.method == "mle" and cell.scene.scene == scene]
        assert {(cell.scene.draw, cell.seed) for cell in mine} == {(100, 0), (101, 1), (102, 2)}


def test_crossed_takes_every_seed_on_every_draw() -> None:
    cells = plan("paper", Options(methods=("mle",), crossed=True)).cells
    assert len(cells) == 3 * 3 * 3


def test_a_method_without_chance_is_measured_once() -> None:
    cells = plan("paper", Options(methods=("median-frame",), crossed=True)).cells
    assert {cell.seed for cell in cells} == {0}


def test_missing_footage_is_left_out_and_said() -> None:
    planned = plan("real", Options())
    assert planned.cells == []
    assert planned.left_out == ["ped2-20", "ped2-82", "donkeycar-drops", "carpark-patches"]


def test_fresh_looks_at_ten_draws_that_nobody_worked_on() -> None:
    cells = plan("fresh", Options(methods=("median-frame",))).cells
    draws = {cell.scene.draw for cell in cells if cell.scene.scene == "office-alarm"}
    assert draws >= set(FRESH_DRAWS)
    assert min(FRESH_DRAWS) == 100


def test_a_quiet_day_has_24_hours_and_is_not_the_day_learnt_from() -> None:
    cells = [cell for cell in plan("quiet", Options(methods=("median-frame",))).cells if cell.train is not None]
    hours = [cell for cell in cells if cell.scene.ratio == 0.0]
    assert sum(cell.scene.frames or 0 for cell in hours) / 2 / 3600 == 24
    learnt = cells[0].train
    assert learnt is not None
    assert max(learnt.starts_s) < min(start for cell in hours for start in cell.scene.starts_s)


def test_max_frames_never_makes_a_scene_longer() -> None:
    cells = plan("paper", Options(max_frames=1000)).cells
    assert {cell.scene.scene: cell.scene.frames for cell in cells} == {
        "corridor": 1000,
        "office-alarm": 902,
        "driving": 1000,
    }


@pytest.mark.parametrize(
    ("suite", "options", "told"),
    [
        ("moon", Options(), "no suite 'moon'"),
        ("paper", Options(methods=("moon",)), "no method 'moon'"),
        ("paper", Options(scenes=("moon",)), "no scene 'moon'"),
        ("selection", Options(methods=("moon",)), "no search 'moon'"),
    ],
)
def test_a_wrong_name_is_told(suite: str, options: Options, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        plan(suite, options)
