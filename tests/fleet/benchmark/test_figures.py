"""Figures are drawn of whatever records there are, and not of none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleet.benchmark.cells import Cell, Record
from fleet.benchmark.figures import draw_figures

EPOCH = {"epoch": 1, "auc": 0.7, "response": 0.1, "collapsed": False}
CURVE = {"error": "", "curve": [EPOCH, EPOCH | {"epoch": 2, "collapsed": True}]}
PLANE = {"error": "", "plane": [[0.0, 1.0], [1.0, 0.0]], "events": [[1, 2]], "latent_std": 0.1}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suite", "names"),
    [
        ("ratio", ["ratio-curve"]),
        ("frames", ["frames-curve"]),
        ("rate", ["rate-curve"]),
        ("heatmap", ["heatmap-grid", "heatmap-epochs"]),
        ("figures", ["figures-latents", "figures-time"]),
    ],
)
def test_each_is_a_png(suite: str, names: list[str], cell: Cell, record: Record, tmp_path: Path) -> None:
    of_scene: dict[str, Any] = {"ratio": 0.3, "fps": 5.0}
    scored = replace(cell, scene=replace(cell.scene, **of_scene), train_frames=30)
    points = {
        replace(cell, method="mle", task="curve", point=(sigma, lam)): CURVE
        for sigma in (0.1, 1.0)
        for lam in (0.1, 1.0)
    }
    latents = {replace(cell, method="gcl", task="latents"): PLANE}
    records = points if suite == "heatmap" else {scored: record} | (latents if suite == "figures" else {})
    drawn = draw_figures(suite, records, tmp_path)
    assert list(drawn) == names
    assert all(path.read_bytes().startswith(b"\x89PNG") for path, _ in drawn.values())


def test_nothing_is_drawn_of_nothing(tmp_path: Path) -> None:
    assert draw_figures("ratio", {}, tmp_path) == {}
    assert draw_figures("paper", {}, tmp_path) == {}
