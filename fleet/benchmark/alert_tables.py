"""Tables of what threshold rules flag, and of the events that come of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fleet.benchmark.cells import Cell, Record, series
from fleet.benchmark.markdown import Table, distinct, in_order, mean, number, share, title, where
from fleet.benchmark.metrics import alert_rows
from fleet.benchmark.results import Row, channel_rows, rule_rows
from fleet.detector.threshold import Calibration

__all__ = ["alerts", "false_events", "quiet", "rules"]

Records = Mapping[Cell, Record]


def rules(records: Records) -> Table:
    """Average precision, and precision, recall and F1 of flagged frames by each rule."""
    rows, scores = rule_rows(records), where(channel_rows(records), channel="score")
    names = distinct(rows, "rule")
    body = [
        [
            title(method),
            share(mean(row["average_precision"] for row in where(scores, method=method))),
            *(_precision_recall_f1(where(rows, method=method, rule=rule)) for rule in names),
        ]
        for method in in_order(rows)
    ]
    caption = (
        "Average precision, and precision / recall / F1 of the frames that each rule flags; means over scenes, of "
        "precision over those where the rule flags anything."
    )
    return Table(caption, ["method", "AP", *names], body)


def false_events(records: Records) -> Table:
    """False events a day by each rule."""
    rows = rule_rows(records)
    names = distinct(rows, "rule")
    body = [
        [title(method), *(_events(where(rows, method=method, rule=rule)) for rule in names)]
        for method in in_order(rows)
    ]
    caption = "False events a day of recorded time, and in brackets the share of true events found; means over scenes."
    return Table(caption, ["method", *names], body)


def alerts(records: Records) -> Table:
    """Each rule at each share of anomalous frames."""
    rows = rule_rows(records)
    body = [
        [
            title(method),
            rule,
            f"{ratio:.0%}",
            _precision_recall_f1(cells),
            share(mean(row["flagged"] for row in cells)),
            _events(cells),
        ]
        for method in in_order(rows)
        for rule in distinct(rows, "rule")
        for ratio in sorted({row["ratio"] for row in rows})
        if (cells := where(rows, method=method, rule=rule, ratio=ratio))
    ]
    columns = ["method", "rule", "anomalous", "precision / recall / F1", "flagged", "false events a day (events found)"]
    caption = (
        "Each rule, fitted to the same unlabelled frames; means over scenes and draws, of precision over those where "
        "the rule flags anything."
    )
    return Table(caption, columns, body)


def quiet(records: Records) -> Table:
    """False events on days without an event, and what is found of events of the same scene."""
    body = []
    for method in in_order([{"method": cell.method} for cell in records]):
        known = {cell: record for cell, record in records.items() if cell.method == method and not record["error"]}
        day = _day(known)
        clean, eventful = (
            [row for row in rule_rows(known) if row["scene"] == scene] for scene in ("carpark-clean", "carpark-patches")
        )
        for rule in distinct([*day, *clean], "rule"):
            quiet_hours = [row for row in where(day, rule=rule) if row["hours"]]
            body.append(
                [
                    title(method),
                    rule,
                    ", ".join(f"{row['events']} in {row['hours']:.3g} h" for row in quiet_hours) or "-",
                    share(mean(row["flagged"] for row in quiet_hours)),
                    share(mean(row["event_recall"] for row in where(day, rule=rule) if not row["hours"])),
                    ", ".join(str(row["events"]) for row in where(clean, rule=rule)) or "-",
                    share(mean(row["event_recall"] for row in where(eventful, rule=rule))),
                ]
            )
    columns = [
        "method",
        "rule",
        "yard: false events",
        "frames flagged",
        "events found there",
        "car park: false events in 6 min",
        "patches found there",
    ]
    caption = (
        "The yard (generated: day and night, light drift, noise, rain, a swaying tree, autofocus) is learnt from 100 s "
        "in every 72 minutes of a day without an event, and scored on the next; the car park is PETS 2001, where "
        "clouds pass."
    )
    return Table(caption, columns, body)


def _day(records: Records) -> list[Row]:
    """The rules, fitted to the lesson's scores: over the next day as one, and over the footage with events."""
    taught = {cell: record for cell, record in records.items() if cell.train is not None}
    lessons = [record for cell, record in records.items() if any(cell.scene == other.train for other in taught)]
    if not (taught and lessons):
        return []
    calibration, _ = series(lessons[0])
    rows = []
    parts = [series(record) for cell, record in taught.items() if not cell.scene.ratio]
    if parts:
        hours = sum(len(labels) for _, labels in parts) / 3600 / taught[next(iter(taught))]["fps"]
        scored, labels = _joined([part for part, _ in parts]), np.concatenate([labels for _, labels in parts])
        rows += [row | {"hours": hours} for row in alert_rows(calibration, scored, labels)]
    for cell, record in taught.items():
        if cell.scene.ratio:
            rows += [row | {"hours": 0.0} for row in alert_rows(calibration, *series(record))]
    return rows


def _joined(parts: list[Calibration]) -> Calibration:
    """Parts of one day, one after the other, as one clip."""
    frame_s = parts[0].frame_s
    score = np.concatenate([part.score for part in parts])
    known = [part.pcc for part in parts if part.pcc is not None]
    pcc = np.concatenate(known) if len(known) == len(parts) else None
    return Calibration(score, pcc, np.arange(len(score), dtype=np.float64) * frame_s, np.zeros(len(score), np.int64))


def _precision_recall_f1(rows: list[Row]) -> str:
    return " / ".join(share(mean(row[measure] for row in rows)) for measure in ("precision", "recall", "f1"))


def _events(rows: list[Row]) -> str:
    per_day = number(row["false_events_per_day"] for row in rows)
    return f"{per_day} ({share(mean(row['event_recall'] for row in rows))})"
