"""Options of a camera's alert policy, which `add-camera` and `edit-camera` share."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from fleet.cli.app import parse_duration_s
from fleet.errors import UsageError

__all__ = ["AlertsPerDay", "Drift", "Kappa", "Quantile", "ReferenceWindow", "Rule", "TailP", "alert_changes"]

_PANEL = "Alerts"

Rule = Annotated[
    str | None,
    typer.Option(
        "--rule",
        metavar="NAME",
        help="From which score on a frame is anomalous: paper, tail, reference, budget, or as-calibrated, which "
        "forgets all other options of this panel. Default: as-calibrated",
        rich_help_panel=_PANEL,
    ),
]
Kappa = Annotated[
    float | None,
    typer.Option("--kappa", help="paper: PCC so many deviations below its mean.", rich_help_panel=_PANEL),
]
TailP = Annotated[
    float | None,
    typer.Option("--tail-p", help="tail: probability of usual 20 seconds above the threshold.", rich_help_panel=_PANEL),
]
Quantile = Annotated[
    float | None, typer.Option("--quantile", help="reference: of the scores in the window.", rich_help_panel=_PANEL)
]
ReferenceWindow = Annotated[
    str | None,
    typer.Option(
        "--reference",
        metavar="FROM/TO|SHARE",
        help="reference: the event-free window as two times with UTC offset, or as a share of the first training "
        "frames: 2026-11-01T08:00Z/2026-11-01T12:00Z, 0.2",
        rich_help_panel=_PANEL,
    ),
]
AlertsPerDay = Annotated[
    float | None,
    typer.Option("--alerts-per-day", help="budget: at most so many events a day.", rich_help_panel=_PANEL),
]
Drift = Annotated[
    str | None,
    typer.Option(
        "--drift",
        metavar="DURATION",
        help="Any rule: subtract the running median of so long, 10m or 1h; 0 for none.",
        rich_help_panel=_PANEL,
    ),
]


def alert_changes(
    rule: str | None,
    kappa: float | None,
    tail_p: float | None,
    quantile: float | None,
    reference: str | None,
    per_day: float | None,
    drift: str | None,
) -> dict[str, Any]:
    """The fields of `AlertRule` that these options change.

    Raises:
        UsageError: a window or a duration that is none.
    """
    changes: dict[str, Any] = {}
    if rule == "as-calibrated":
        changes = dict.fromkeys(("kappa", "p", "quantile", "per_day", "drift_s", *_REFERENCE)) | {"rule": None}
    elif rule is not None:
        changes["rule"] = rule
    if reference is not None:
        changes |= dict.fromkeys(_REFERENCE) | _window(reference)
    if drift is not None:
        changes["drift_s"] = 0.0 if drift == "0" else parse_duration_s(drift)
    given = {"kappa": kappa, "p": tail_p, "quantile": quantile, "per_day": per_day}
    return changes | {name: value for name, value in given.items() if value is not None}


_REFERENCE = ("reference_share", "reference_from", "reference_to")


def _window(text: str) -> dict[str, Any]:
    begins, slash, ends = text.partition("/")
    try:
        if not slash:
            return {"reference_share": float(text)}
        return {"reference_from": datetime.fromisoformat(begins), "reference_to": datetime.fromisoformat(ends)}
    except ValueError:
        raise UsageError(
            f"'{text[:80]}' is no reference window", "write 2026-11-01T08:00Z/2026-11-01T12:00Z, or a share: 0.2"
        ) from None
