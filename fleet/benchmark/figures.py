"""Records of a suite -> figures. Colours are those of Okabe and Ito, which colour-blind people tell apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from fleet.benchmark.cells import Cell, Record, series
from fleet.benchmark.markdown import distinct, in_order, mean, title, where
from fleet.benchmark.results import Row, channel_rows, curve_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_figures"]

Records = Mapping[Cell, Record]

NORMAL, ANOMALOUS = "#0072B2", "#D55E00"
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
MARKERS = "osD^vPX*"


def draw_figures(suite: str, records: Records, folder: Path) -> dict[str, tuple[Path, str]]:
    """Write the suite's figures that there is something for, as PNG: name -> its file and its caption."""
    drawn = {}
    for name, (draw, caption) in _FIGURES.get(suite, {}).items():
        figure = draw({cell: record for cell, record in records.items() if not record["error"]})
        if figure is not None:
            path = folder / f"benchmark-{suite}-{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path)
            drawn[f"{suite}-{name}"] = (path, caption)
    return drawn


def _panels(rows: int, columns: int, width: float = 3.6, height: float = 2.7) -> tuple[Figure, list[list[Axes]]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height * rows), layout="constrained", dpi=110)
    axes = figure.subplots(rows, columns, squeeze=False)
    for one in axes.flat:
        one.title.set_fontsize(10)
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes.tolist()


def _lines(axis: str, label: str, scale: str = "linear") -> Callable[[Records], Figure | None]:
    """AUC against an axis: a panel a scene, a line a method, bars of one standard deviation over draws."""

    def draw(records: Records) -> Figure | None:
        rows = [row for row in where(channel_rows(records), channel="score") if row["auc"] is not None]
        scenes = distinct(rows, "scene")
        if not scenes:
            return None
        figure, axes = _panels(1, len(scenes))
        for place, scene in enumerate(scenes):
            panel = axes[0][place]
            for number, method in enumerate(in_order(rows)):
                of_method = where(rows, scene=scene, method=method)
                values = sorted({row[axis] for row in of_method})
                aucs = [[row["auc"] for row in where(of_method, **{axis: value})] for value in values]
                panel.errorbar(
                    values,
                    [fmean(of_value) for of_value in aucs],
                    [float(np.std(of_value)) for of_value in aucs],
                    color=COLORS[number % len(COLORS)],
                    marker=MARKERS[number % len(MARKERS)],
                    markersize=4,
                    linewidth=1.3,
                    capsize=2,
                    label=title(method),
                )
            panel.set(title=scene, xlabel=label, xscale=scale)
            panel.axhline(0.5, color="#bbbbbb", linewidth=0.8, linestyle=":")
        axes[0][0].set_ylabel("AUC")
        handles = axes[0][0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
        return figure

    return draw


def _heat_grid(records: Records) -> Figure | None:
    """AUC after the last epoch over sigma and lambda: a panel a scene."""
    rows = curve_rows(records)
    scenes = distinct(rows, "scene")
    if not scenes:
        return None
    figure, axes = _panels(1, len(scenes), 3.4, 3.0)
    for place, scene in enumerate(scenes):
        of_scene = where(rows, scene=scene)
        last = where(of_scene, epoch=max(row["epoch"] for row in of_scene))
        _heat(figure, axes[0][place], last, "sigma", "lam", scene)
    return figure


def _heat_epochs(records: Records) -> Figure | None:
    """AUC over the epochs, sigma above (at lambda 1) and lambda below (at sigma .1): figures 5, 6, 9, 10."""
    rows = curve_rows(records)
    scenes = distinct(rows, "scene")
    if not scenes:
        return None
    figure, axes = _panels(2, len(scenes), 3.8, 2.6)
    for place, scene in enumerate(scenes):
        of_scene = where(rows, scene=scene)
        _heat(figure, axes[0][place], where(of_scene, lam=1.0), "sigma", "epoch", f"{scene}, lambda 1")
        _heat(figure, axes[1][place], where(of_scene, sigma=0.1), "lam", "epoch", f"{scene}, sigma .1")
    return figure


def _heat(figure: Figure, panel: Axes, rows: list[Row], down: str, across: str, name: str) -> None:
    """One heat map of AUC, 0.5 to 1, the value in each field where there is room; a dot where the latent is off."""
    ys, xs = (sorted({row[axis] for row in rows}) for axis in (down, across))
    values = np.full((len(ys), len(xs)), np.nan)
    for row in rows:
        y, x = ys.index(row[down]), xs.index(row[across])
        values[y, x] = np.nan if row["auc"] is None else row["auc"]
        if row["collapsed"]:
            panel.plot(x, y + 0.3, "o", color="black", markeredgecolor="white", markersize=4)
        if len(xs) <= 6:
            color = "white" if values[y, x] < 0.8 else "black"
            panel.text(x, y, f"{values[y, x]:.2f}".lstrip("0"), ha="center", va="center", fontsize=8, color=color)
    picture = panel.imshow(values, vmin=0.5, vmax=1.0, cmap="viridis", aspect="auto", origin="lower")
    marks = range(len(xs)) if len(xs) <= 6 else range(len(xs) - 1, -1, -max(1, len(xs) // 5))
    panel.set_xticks(list(marks), [f"{xs[mark]:g}" for mark in marks])
    panel.set_yticks(range(len(ys)), [f"{value:g}" for value in ys])
    names = {"lam": "lambda"}
    panel.set(title=name, xlabel=names.get(across, across), ylabel=names.get(down, down))
    figure.colorbar(picture, ax=panel, shrink=0.85, label="AUC")


def _latents(records: Records) -> Figure | None:
    """Latents on a plane (t-SNE): a row a method, a column a scene."""
    maps = {cell: record for cell, record in records.items() if cell.task == "latents"}
    if not maps:
        return None
    methods = in_order([{"method": cell.method} for cell in maps])
    scenes = list(dict.fromkeys(cell.scene.scene for cell in maps))
    figure, axes = _panels(len(methods), len(scenes), 2.9, 2.7)
    for cell, record in maps.items():
        panel = axes[methods.index(cell.method)][scenes.index(cell.scene.scene)]
        plane, marks = np.array(record["plane"]), np.zeros(len(record["plane"]), bool)
        for start, end in record["events"]:
            marks[start:end] = True
        for chosen, color, name in ((~marks, NORMAL, "normal"), (marks, ANOMALOUS, "anomalous")):
            panel.scatter(plane[chosen, 0], plane[chosen, 1], s=3, color=color, alpha=0.6, linewidths=0, label=name)
        panel.set(xticks=[], yticks=[])
        panel.set_title(f"{title(cell.method)}, {cell.scene.scene}", fontsize=8)
        panel.set_xlabel(f"latent standard deviation {record['latent_std']:.2g}", fontsize=8)
    handles, names = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, fontsize=8, markerscale=3, frameon=False)
    return figure


def _over_time(records: Records) -> Figure | None:
    """PCC of each frame, the score where a method has none; what is anomalous is shaded."""
    lines = {cell: record for cell, record in records.items() if cell.task == "score"}
    if not lines:
        return None
    methods = in_order([{"method": cell.method} for cell in lines])
    scenes = list(dict.fromkeys(cell.scene.scene for cell in lines))
    figure, axes = _panels(len(methods), len(scenes), 4.0, 1.8)
    for cell, record in lines.items():
        panel = axes[methods.index(cell.method)][scenes.index(cell.scene.scene)]
        known, _ = series(record)
        for start, end in record["events"]:
            panel.axvspan(start, end, color=ANOMALOUS, alpha=0.18, linewidth=0)
        panel.plot(-known.score if known.pcc is None else known.pcc, color=NORMAL, linewidth=0.7)
        auc = mean(row["auc"] for row in record["channels"] if row["channel"] == "score")
        what = "-score" if known.pcc is None else "PCC"
        panel.set_title(
            f"{title(cell.method)}, {cell.scene.scene}, AUC {auc if auc is None else f'{auc:.3f}'}", fontsize=9
        )
        panel.set_ylabel(what, fontsize=8)
        panel.tick_params(labelsize=7)
    for panel in axes[-1]:
        panel.set_xlabel("frame", fontsize=8)
    return figure


_FIGURES: dict[str, dict[str, tuple[Callable[[Records], Any], str]]] = {
    "ratio": {"curve": (_lines("ratio", "share of anomalous frames"), "AUC against the share of anomalous frames")},
    "frames": {"curve": (_lines("train_frames", "frames learnt from"), "AUC against the number of training frames")},
    "rate": {"curve": (_lines("fps", "frames a second", "log"), "AUC against the frame rate")},
    "heatmap": {
        "grid": (_heat_grid, "AUC after the last epoch over sigma and lambda; a dot: the latent is switched off"),
        "epochs": (_heat_epochs, "AUC over the epochs (figures 5, 6, 9, 10 of the paper); a dot: the latent is off"),
    },
    "figures": {
        "latents": (_latents, "Latents on a plane by t-SNE (figure 3 of the paper)"),
        "time": (_over_time, "PCC of each frame over time, anomalous frames shaded (figure 4 of the paper)"),
    },
}
