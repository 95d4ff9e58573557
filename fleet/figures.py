"""Figures: what people would rather look at than read. Each function writes one PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_scored_camera"]

NORMAL, ANOMALOUS, THRESHOLD = "#1f6f8b", "#d1495b", "#444444"


def draw_scored_camera(
    path: Path,
    *,
    title: str,
    pcc: np.ndarray,
    threshold: float,
    seconds: np.ndarray,
    events: np.ndarray | None,
    frame: np.ndarray,
    reconstruction: np.ndarray,
    error_map: np.ndarray,
    worst: int,
    score: np.ndarray | None = None,
    score_threshold: float = np.nan,
) -> None:
    """PCC over time with the threshold and the true events, and the frame that stands out most.

    Args:
        pcc: (frames,), with `seconds`, the time of each since the first.
        events: bool (frames,), the ground truth to shade; None where there is none.
        frame, reconstruction: what the model saw at `worst` and what it made of it, uint8.
        error_map: uint8 on the version's fixed scale.
        score: (frames,), drawn above PCC with its threshold; None where the model has nothing but PCC.
    """
    from matplotlib.figure import Figure

    panels = 1 if score is None else 2
    figure = Figure(figsize=(10, 3.4 + 2.2 * panels), layout="constrained", dpi=110)
    grid = figure.add_gridspec(panels + 1, 3, height_ratios=[1.25] * panels + [1.15])
    lines = [figure.add_subplot(grid[panel, :]) for panel in range(panels)]
    if score is not None:
        _draw_line(lines[0], seconds, score, "score", score > score_threshold, score_threshold, worst)
        lines[0].tick_params(labelbottom=False)
    _draw_line(lines[-1], seconds, pcc, "PCC", pcc < threshold, threshold, worst)
    for line in lines:
        for start, end in _runs(events) if events is not None else ():
            edge = seconds[min(end, len(seconds) - 1)]
            line.axvspan(seconds[start], edge, color=ANOMALOUS, alpha=0.15, linewidth=0, label="true event")
        line.set_xlim(seconds[0], seconds[-1])
        line.spines[["top", "right"]].set_visible(False)
    figure.align_ylabels(lines)
    lines[0].set_title(title)
    lines[-1].set_xlabel("seconds")
    named = dict(zip(*reversed(lines[-1].get_legend_handles_labels()), strict=True))  # one entry a label
    lines[-1].legend(
        named.values(), named, loc="upper center", bbox_to_anchor=(0.5, -0.18), fontsize=8, ncols=5, frameon=False
    )
    pictures = ((frame, "strangest frame"), (reconstruction, "its reconstruction"), (error_map, "its error map"))
    for place, (picture, name) in enumerate(pictures):
        axes = figure.add_subplot(grid[-1, place])
        color = "inferno" if picture is error_map else "gray"
        axes.imshow(picture, cmap=color, vmin=0, vmax=255, interpolation="nearest")
        axes.set_title(name, fontsize=10)
        axes.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _draw_line(
    axes: Axes, seconds: np.ndarray, values: np.ndarray, name: str, flagged: np.ndarray, threshold: float, worst: int
) -> None:
    axes.plot(seconds, values, color=NORMAL, linewidth=0.9, label="each frame")
    axes.plot(seconds[flagged], values[flagged], ".", color=ANOMALOUS, markersize=3, label="flagged")
    axes.axhline(threshold, color=THRESHOLD, linestyle="--", linewidth=1, label="threshold")
    axes.plot(seconds[worst], values[worst], "v", color="black", markersize=6, label="strangest frame")
    axes.annotate(
        f"{threshold:.4g}", (1, threshold), xycoords=("axes fraction", "data"), xytext=(3, 0),
        textcoords="offset points", va="center", fontsize=8, color=THRESHOLD,
    )  # fmt: skip
    axes.set_ylabel(name)


def _runs(flags: np.ndarray) -> Sequence[tuple[int, int]]:
    """Start and end (exclusive) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
