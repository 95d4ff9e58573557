"""`fleet benchmark` from the command line: it goes on where it was killed, and writes its page."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleet.store import open_store

QUICK = ("benchmark", "--suite", "paper", "--quick", "--scenes", "corridor", "--size", "32x32", "--max-frames", "60")


@pytest.fixture
def where(tmp_path: Path) -> tuple[str, ...]:
    return ("--store", str(tmp_path / "store"), "--out", str(tmp_path / "docs"))


@pytest.mark.slow
def test_what_is_done_is_not_measured_again(fleet: Callable[..., Any], where: tuple[str, ...], tmp_path: Path) -> None:
    first = fleet(*QUICK, "--methods", "median-frame", *where, "--json")
    assert first.code == 0
    suite = first.json["suites"][0]
    assert (suite["measured"], suite["reused"], suite["failed"]) == (1, 0, {})
    both = fleet(*QUICK, "--methods", "median-frame,pca-32", *where, "--json").json["suites"][0]
    assert (both["measured"], both["reused"]) == (1, 1)

    page = tmp_path / "docs/method.md"
    written = page.read_text()
    assert "| Median frame | 32x32 |" in written
    assert "`fleet benchmark --suite paper --size 32x32 --max-frames 60 --quick`" in written
    assert str(tmp_path) not in written
    again = fleet(*QUICK, "--methods", "median-frame,pca-32", *where)
    assert again.code == 0
    assert "0 cells measured, 2 were done" in again.out
    assert page.read_text() == written


@pytest.mark.slow
def test_a_killed_one_goes_on_where_it_was(
    fleet: Callable[..., Any], fleet_process: Callable[..., Any], where: tuple[str, ...], tmp_path: Path
) -> None:
    methods = ("--methods", "median-frame,pca-32,frame-difference,mog2")
    running = fleet_process(*QUICK, *methods, *where)
    store = open_store(tmp_path / "store")
    deadline = time.monotonic() + 120
    while not store.list("benchmarks/cells/"):
        assert running.poll() is None, running.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    running.kill()
    running.wait()
    suite = fleet(*QUICK, *methods, *where, "--json").json["suites"][0]
    assert suite["reused"] >= 1
    assert suite["measured"] + suite["reused"] == 4
    assert suite["failed"] == {}


def test_missing_footage_is_said(fleet: Callable[..., Any], where: tuple[str, ...], monkeypatch: Any) -> None:
    monkeypatch.delenv("FLEET_FOOTAGE", raising=False)
    ran = fleet("benchmark", "--suite", "real", *where)
    assert ran.code == 0
    assert "left out, for want of their footage (--footage): ped2-20, ped2-82" in ran.out


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--suite", "moon", "no suite 'moon'"),
        ("--methods", "moon", "no method 'moon'"),
        ("--scenes", "moon", "no scene 'moon'"),
        ("--seeds", "a", "--seeds 'a' holds no whole numbers"),
        ("--draws", "1-x", "--draws '1-x' holds no whole numbers"),
        ("--size", "64", "--size '64' is no size"),
        ("--footage", "nowhere", "there is no folder nowhere"),
    ],
)
def test_what_cannot_be_is_told_at_once(
    option: str, value: str, told: str, fleet: Callable[..., Any], where: tuple[str, ...]
) -> None:
    ran = fleet("benchmark", option, value, *where)
    assert ran.code == 2
    assert told in ran.err
