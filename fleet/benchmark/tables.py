"""Records of a suite -> the tables that people read, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fleet.benchmark.alert_tables import alerts, false_events, quiet, rules
from fleet.benchmark.cells import Cell, Record
from fleet.benchmark.markdown import Table, distinct, in_order, mean, number, share, spread, title, where
from fleet.benchmark.methods import DEFAULT_DETECTOR, method
from fleet.benchmark.results import Row, channel_rows, curve_rows, look_rows, selection_rows, variant_rows

__all__ = ["tables_of"]

Records = Mapping[Cell, Record]

FIRST_REPORT_DRAW = 100


def tables_of(suite: str, records: Records) -> dict[str, Table]:
    """The suite's tables that have a row, by name."""
    made = {f"{suite}-{name}": make(records) for name, make in _TABLES.get(suite, {}).items()}
    return {name: table for name, table in made.items() if table.rows}


def _scores(records: Records) -> list[Row]:
    """The methods' own scores, without the channels behind them."""
    return where(channel_rows(records), channel="score")


def _auc(records: Records) -> Table:
    rows = _scores(records)
    scenes = distinct(rows, "scene")
    body = []
    for name in in_order(rows):
        of_method = where(rows, method=name)
        pixels = "/".join(sorted({f"{row['width']}x{row['height']}" for row in of_method}))
        values = [[row["auc"] for row in where(of_method, scene=scene)] for scene in scenes]
        body.append([title(name), pixels, *map(spread, values)])
    caption = "AUC over all frames of a camera, mean ± standard deviation over draws and seeds."
    return Table(caption + _failures(records), ["method", "pixels", *scenes], body)


def _regret(records: Records) -> Table:
    rows = _scores(records)
    body = []
    for scene in distinct(rows, "scene"):
        of_scene = where(rows, scene=scene)
        means = {name: mean(row["auc"] for row in where(of_scene, method=name)) for name in in_order(of_scene)}
        known = {name: value for name, value in means.items() if value is not None and not method(name).one_class}
        ours = known.pop(DEFAULT_DETECTOR, None)
        if ours is not None and known:
            best = max(known, key=lambda name: known[name])
            body.append([scene, share(ours), title(best), share(known[best]), f"{known[best] - ours:+.3f}"])
    columns = ["scene", "the default", "best other method", "its AUC", "regret"]
    caption = "The default detector beside the best other method of each scene that is told as little, mean AUC."
    return Table(caption, columns, body)


def _channels(records: Records) -> Table:
    rows = [row for row in where(channel_rows(records), method=DEFAULT_DETECTOR) if row["channel"]]
    scenes = distinct(rows, "scene")
    body = [
        [channel, *(spread(row["auc"] for row in where(rows, channel=channel, scene=scene)) for scene in scenes)]
        for channel in distinct(rows, "channel")
    ]
    caption = "AUC of each of the default detector's channels alone; `score` is what they come to."
    return Table(caption, ["channel", *scenes], body)


def _cost(records: Records) -> Table:
    rows = _scores(records)
    measures = ("fit_s", "frames_per_s", "state_mb", "peak_mb")
    body = [
        [title(name), *(number(row[measure] for row in where(rows, method=name)) for measure in measures)]
        for name in in_order(rows)
    ]
    columns = ["method", "seconds to fit", "frames/s, scoring", "stored MB", "peak MB meanwhile"]
    return Table("On one core, means over scenes. Every core of the machine worked.", columns, body)


def _paper_size(records: Records) -> Table:
    body = [
        [
            row["scene"],
            f"{row['frames']:,}",
            f"{row['width']}x{row['height']}",
            title(row["method"]),
            "its own" if row["epochs"] is None else str(row["epochs"]),
            share(row["auc"]),
            share(row["average_precision"]),
            number([row["fit_s"]]),
            {None: "-", True: "yes", False: "no"}[row["collapsed"]],
        ]
        for row in _scores(records)
    ]
    columns = ["scene", "frames", "pixels", "method", "epochs", "AUC", "AP", "seconds to fit", "collapsed"]
    caption = "Frames and values a frame as in the paper's Table 3, in grey; one draw, one seed."
    return Table(caption + _failures(records), columns, body)


def _fresh(make: Callable[[Records], Table]) -> Callable[[Records], Table]:
    return lambda records: make({cell: record for cell, record in records.items() if _is_fresh(cell)})


def _is_fresh(cell: Cell) -> bool:
    return cell.scene.draw >= FIRST_REPORT_DRAW


def _generalisation(records: Records) -> Table:
    halves = [
        _scores({cell: record for cell, record in records.items() if _is_fresh(cell) is fresh})
        for fresh in (False, True)
    ]
    body = []
    for name in in_order(halves[0]):
        of_method = [where(half, method=name) for half in halves]
        both = [scene for scene in distinct(of_method[0], "scene") if where(of_method[1], scene=scene)]
        for scene in both:
            values = [[row["auc"] for row in where(half, scene=scene)] for half in of_method]
            worst = (share(min(aucs)) for aucs in values)
            body.append([title(name), scene, *(f"{spread(aucs)} ({len(aucs)})" for aucs in values), *worst])
    columns = ["method", "scene", "worked on (draws)", "fresh (draws)", "worst worked on", "worst fresh"]
    caption = (
        "AUC, mean ± standard deviation over draws: those that settings were worked on (0 to 9), and those that were "
        "looked at once (from 100; the car park's footage under the patches is the same)."
    )
    return Table(caption, columns, body)


def _against(axis: str, caption: str, text: Callable[[Any], str]) -> Callable[[Records], Table]:
    """Methods and scenes down, the values of an axis across."""

    def make(records: Records) -> Table:
        rows = _scores(records)
        values = sorted({row[axis] for row in rows})
        body = []
        for name in in_order(rows):
            for scene in distinct(where(rows, method=name), "scene"):
                line = [where(rows, method=name, scene=scene, **{axis: value}) for value in values]
                body.append([title(name), scene, *(spread(row["auc"] for row in cells) for cells in line)])
        return Table(caption + _failures(records), ["method", "scene", *map(text, values)], body)

    return make


def _heat(records: Records) -> Table:
    """The last epoch of each point, over the scenes."""
    rows = curve_rows(records)
    last = [row for row in rows if row["epoch"] == max(other["epoch"] for other in where(rows, cell=row["cell"]))]
    lams = sorted({row["lam"] for row in last})
    body = [
        [
            f"{sigma:g}",
            *(
                f"{share(mean(row['auc'] for row in where(last, sigma=sigma, lam=lam)))} "
                f"({sum(row['collapsed'] for row in where(last, sigma=sigma, lam=lam))})"
                for lam in lams
            ),
        ]
        for sigma in sorted({row["sigma"] for row in last})
    ]
    caption = (
        "AUC after the last epoch, mean over the scenes; in brackets on how many of them the latent was switched off."
    )
    return Table(caption, ["sigma \\ lambda", *(f"{lam:g}" for lam in lams)], body)


def _variants(records: Records) -> Table:
    rows = variant_rows(records)
    scenes = distinct(rows, "scene")
    body = []
    for name in distinct(rows, "method"):
        of_variant = where(rows, method=name)
        body.append(
            [
                name,
                *(share(mean(row["auc"] for row in where(of_variant, scene=scene))) for scene in scenes),
                number(row["response"] for row in of_variant),
                number(row["effective_rank"] for row in of_variant),
                share(mean(row["mean_frame_correlation"] for row in of_variant)),
                f"{sum(row['collapsed'] for row in of_variant)} of {len(of_variant)}",
            ]
        )
    columns = ["variant", *scenes, "response", "effective rank", "rank correlation with a still picture", "collapsed"]
    caption = (
        "One choice of the method at a time, AUC of 1 - PCC. Response: the share of the scene's variance that the "
        "reconstruction follows; collapsed: below 1 %; the still picture is the scene's mean, under a robust error and "
        "for the light network its median."
    )
    return Table(caption + _failures(records), columns, body)


def _selection(records: Records) -> Table:
    rows = selection_rows(records)
    body = []
    for search in distinct(rows, "method"):
        of_search = where(rows, method=search)
        for rule in distinct(of_search, "rule"):
            of_rule = where(of_search, rule=rule)
            regrets = [row["regret"] for row in of_rule]
            left = [row["left_default"] for row in of_rule if row["left_default"] is not None]
            often = f"{sum(left)} of {len(left)}" if left else "-"
            body.append(
                [search, rule, spread(row["auc"] for row in of_rule), spread(regrets), share(max(regrets)), often]
            )
    columns = ["search", "chosen by", "AUC", "regret", "worst regret", "left the default"]
    return Table(
        "Regret: AUC lost to the best point of the search, which only labels know." + _failures(records), columns, body
    )


def _looks(records: Records) -> Table:
    rows = look_rows(records)
    body = []
    for search in distinct(rows, "method"):
        of_search = where(rows, method=search)
        for objective in distinct(of_search, "objective"):
            of_rule = where(of_search, objective=objective)
            agreements = [row["rank_correlation"] for row in of_rule]
            body.append(
                [
                    search,
                    objective,
                    str(max(row["points"] for row in of_rule)),
                    spread(agreements),
                    share(min(agreements)),
                    f"{sum(row['same_choice'] for row in of_rule)} of {len(of_rule)}",
                    number(row["cost_fits"] for row in of_rule),
                ]
            )
    columns = [
        "search",
        "objective",
        "points",
        "Spearman",
        "worst",
        "same choice as the full grid",
        "cost in full fits",
    ]
    caption = (
        "A first look at all points and full fits of its best one and the incumbent, beside full fits of all: how the "
        "two rank the points by the same objective."
    )
    return Table(caption, columns, body)


def _failures(records: Records) -> str:
    """What is missing from a table is said under it."""
    errors = [f"{cell}: {record['error']}" for cell, record in records.items() if record["error"]]
    return f" Failed: {'; '.join(errors)}." if errors else ""


_Make = Callable[[Records], Table]
_TABLE_1: dict[str, _Make] = {
    "auc": _auc,
    "rules": rules,
    "false-events": false_events,
    "cost": _cost,
    "regret": _regret,
    "channels": _channels,
}
_TABLES: dict[str, dict[str, _Make]] = {
    "paper": _TABLE_1,
    "real": _TABLE_1,
    "paper-size": {"auc": _paper_size},
    "fresh": {
        "auc": _fresh(_auc),
        "regret": _fresh(_regret),
        "channels": _fresh(_channels),
        "generalisation": _generalisation,
    },
    "selection": {"regret": _selection, "looks": _looks},
    "alerts": {"rules": alerts},
    "quiet": {"rules": quiet},
    "ratio": {"auc": _against("ratio", "AUC by the share of anomalous frames.", lambda ratio: f"{ratio:.0%}")},
    "frames": {"auc": _against("train_frames", "AUC over all frames by the number of frames learnt from.", str)},
    "rate": {"auc": _against("fps", "AUC by frames a second.", lambda fps: f"{fps:g}/s")},
    "variants": {"auc": _variants},
    "heatmap": {"auc": _heat},
}
