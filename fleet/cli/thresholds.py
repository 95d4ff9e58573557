"""Thresholds: what each rule would have made of the footage that a model learnt from."""

from __future__ import annotations

from typing import Annotated

import typer

from fleet.cli.app import CameraId, Json, StoreName, app, console, print_json, print_table, store_of
from fleet.errors import NotFoundError


@app.command(rich_help_panel="Models")
def thresholds(
    camera_id: CameraId,
    version: Annotated[
        str | None, typer.Option("--version", metavar="VERSION", help="Not the champion but this one.")
    ] = None,
    store: StoreName = None,
    as_json: Json = False,
) -> None:
    """Show each rule's threshold, and how often it would have been passed by the frames that the champion learnt from.

    Change the rule with fleet edit-camera ID --rule NAME; nothing is trained for it.
    """
    from fleet.alerting import read_calibration, rule_table
    from fleet.registry import Registry
    from fleet.versions import read_version

    opened = store_of(store)
    registry = Registry(opened)
    camera = registry.camera(camera_id)
    name = version or registry.aliases(camera_id).champion
    if name is None:
        raise NotFoundError("has no model yet", f"fleet retrain {camera_id}", camera_id)
    manifest = read_version(opened, camera_id, name)
    calibration = read_calibration(opened, manifest)
    reports = rule_table(camera, manifest, calibration)
    if as_json:
        print_json(
            {
                "camera": camera_id,
                "model_version": name,
                "frames": len(calibration.score),
                "days": calibration.days,
                "rules": [report.to_dict() for report in reports],
            }
        )
        return
    told = console()
    print_table(
        f"thresholds of '{camera_id}', version {name}: {len(calibration.score)} training frames, "
        f"{calibration.days * 24:.2g} hours",
        ("rule", "in force", "of", "threshold", "flagged %", "events a day", "parameters"),
        [
            (
                report.rule,
                report.in_force,
                "1 - PCC" if report.acts_on == "pcc" else "score",
                report.threshold,
                None if report.flagged is None else 100 * report.flagged,
                report.events_per_day,
                " ".join(f"{key}={value:g}" for key, value in report.parameters.items()),
            )
            for report in reports
        ],
    )
    for report in reports:
        if report.problem:
            told.print(f"{report.rule}: {report.problem}")
