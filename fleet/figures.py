"""Figures: what people would rather look at than read. Each function writes one PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

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
) -> None:
    """PCC over time with the threshold and the true events, and the frame that fits worst.

    Args:
        pcc: (frames,), with `seconds`, the time of each since the first.
        events: bool (frames,), the ground truth to shade; None where there is none.
        frame, reconstruction: what the model saw at `worst` and what it made of it, uint8.
        error_map: uint8 on the version's fixed scale.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5.6), layout="constrained", dpi=110)
    grid = figure.add_gridspec(2, 3, height_ratios=(1.25, 1))
    line = figure.add_subplot(grid[0, :])
    for count, (start, end) in enumerate(_runs(events) if events is not None else ()):
        edge = seconds[min(end, len(seconds) - 1)]
        label = "_" if count else "true event"  # one entry in the legend
        line.axvspan(seconds[start], edge, color=ANOMALOUS, alpha=0.15, linewidth=0, label=label)
    line.plot(seconds, pcc, color=NORMAL, linewidth=0.9, label="PCC of frame and reconstruction")
    below = pcc < threshold
    line.plot(seconds[below], pcc[below], ".", color=ANOMALOUS, markersize=3, label="flagged")
    line.axhline(threshold, color=THRESHOLD, linestyle="--", linewidth=1, label=f"threshold {threshold:.4f}")
    line.plot(seconds[worst], pcc[worst], "v", color="black", markersize=6, label="worst frame")
    line.set(title=title, xlabel="seconds", ylabel="PCC", xlim=(seconds[0], seconds[-1]))
    line.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), fontsize=8, ncols=5, frameon=False)
    line.spines[["top", "right"]].set_visible(False)
    pictures = ((frame, "worst frame"), (reconstruction, "its reconstruction"), (error_map, "its error map"))
    for place, (picture, name) in enumerate(pictures):
        axes = figure.add_subplot(grid[1, place])
        color = "inferno" if picture is error_map else "gray"
        axes.imshow(picture, cmap=color, vmin=0, vmax=255, interpolation="nearest")
        axes.set_title(name, fontsize=10)
        axes.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _runs(flags: np.ndarray) -> Sequence[tuple[int, int]]:
    """Start and end (exclusive) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
