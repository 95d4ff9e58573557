"""Which threshold holds for a camera: its policy, applied to the scores that a model version kept of its training.

A version keeps the score of each frame that it learnt from, so a policy that changes holds at once, for every version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from fleet import layout
from fleet.errors import NotFoundError, UsageError
from fleet.tables import table_from_bytes

if TYPE_CHECKING:
    from cameras.camera import AlertRule, Camera
    from fleet.detector.threshold import Calibration, Rule, Threshold
    from fleet.store import Store
    from fleet.versions import ModelVersion

__all__ = ["RuleReport", "calibration_of", "fitted_rule", "read_calibration", "rule_table", "threshold_in_force"]


@dataclass(frozen=True, slots=True)
class RuleReport:
    """What a rule would have made of the footage that a version was trained on.

    Attributes:
        acts_on: 'pcc' (1 - PCC is compared with the threshold) or 'score'.
        parameters: the camera's where it has some, else the rule's own.
        threshold, flagged, events_per_day: the level, the share of the training frames above it, and the events a day
            that they come to; None where the rule cannot be followed.
        problem: why it cannot.
    """

    rule: str
    in_force: bool
    acts_on: str
    parameters: dict[str, Any]
    threshold: float | None = None
    flagged: float | None = None
    events_per_day: float | None = None
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_calibration(store: Store, version: ModelVersion) -> Calibration:
    """What the training frames of a version came to.

    Raises:
        NotFoundError, StoreError: its table is missing or damaged.
    """
    key = layout.model_key(version.camera, version.version, "calibration.parquet")
    data = store.get(key)
    if data is None:
        raise NotFoundError(
            f"the calibration of version {version.version} is missing",
            f"fleet rollback {version.camera}, or fleet retrain {version.camera}",
            version.camera,
        )
    table = table_from_bytes(data, key)
    return _calibration({name: table[name].to_numpy() for name in table.column_names})


def calibration_of(rows: Sequence[Mapping[str, Any]]) -> Calibration:
    """The same of rows: captured_at, pcc, and where they are known score and clip."""
    import numpy as np

    return _calibration({name: np.array([row[name] for row in rows]) for name in rows[0]})


def fitted_rule(camera: Camera, version: ModelVersion, calibration: Calibration) -> Threshold:
    """The rule in force: the camera's, or the one that the version came with.

    The version's own is used, too, where the camera's cannot be followed: a reference window that the training footage
    does not reach must not silence a camera. The threshold's rule says which it is.
    """
    try:
        return _asked(camera, version).fit(calibration)
    except UsageError:
        return _as_calibrated(version).fit(calibration)


def threshold_in_force(camera: Camera, version: ModelVersion, calibration: Calibration) -> tuple[str, float]:
    """Name and level of the rule in force (see `fitted_rule`), without its drift correction.

    A verdict on one frame knows no running median to subtract, and a level that was fitted to a corrected series would
    be one of something else. The level is one of what the rule acts on: of 1 - PCC for 'paper', of the score for all
    others.
    """
    steady = camera.model_copy(update={"alert": camera.alert.model_copy(update={"drift_s": None})})
    threshold = fitted_rule(steady, version, calibration)
    return threshold.rule.name, threshold.level


def rule_table(camera: Camera, version: ModelVersion, calibration: Calibration) -> list[RuleReport]:
    """Every rule with the camera's parameters, on the footage that the version was trained on."""
    from fleet.detector.threshold import RULES

    in_force = fitted_rule(camera, version, calibration).rule.name
    return [_report(_rule(name, camera.alert, version), calibration, name == in_force) for name in RULES]


def _report(rule: Rule, calibration: Calibration, in_force: bool) -> RuleReport:
    from fleet.events import find_events

    shown = {name: value for name, value in asdict(rule).items() if value is not None and name != "hysteresis"}
    try:
        threshold = rule.fit(calibration)
    except UsageError as error:
        return RuleReport(rule.name, in_force, rule.acts_on, shown, problem=str(error))
    flags = threshold.flags(rule.series(calibration), calibration.times_s, calibration.clip)
    events = find_events(flags, calibration.times_s, calibration.clip)
    per_day = len(events) / calibration.days
    return RuleReport(rule.name, in_force, rule.acts_on, shown, threshold.level, float(flags.mean()), per_day)


def _asked(camera: Camera, version: ModelVersion) -> Rule:
    return _rule(camera.alert.rule or version.rule, camera.alert, version)


def _as_calibrated(version: ModelVersion) -> Rule:
    from cameras.camera import AlertRule

    return _rule(version.rule, AlertRule(), version)


def _rule(name: str, alert: AlertRule, version: ModelVersion) -> Rule:
    """A rule with what the policy says of it; a policy keeps parameters of other rules, which say nothing here."""
    from fleet.detector.threshold import RULES, make_rule

    given = {
        "kappa": version.kappa if alert.kappa is None else alert.kappa,
        "p": alert.p,
        "quantile": alert.quantile,
        "share": alert.reference_share,
        "from_s": alert.reference_from and alert.reference_from.timestamp(),
        "to_s": alert.reference_to and alert.reference_to.timestamp(),
        "per_day": alert.per_day,
        "drift_s": alert.drift_s,
    }
    takes = {field.name for field in fields(RULES[name])}
    return make_rule(name, **{key: value for key, value in given.items() if key in takes and value is not None})


def _calibration(columns: Mapping[str, Any]) -> Calibration:
    import numpy as np

    from fleet.detector.threshold import Calibration

    pcc = columns["pcc"].astype(np.float64)  # null, and so NaN, for a method that reconstructs nothing
    score = columns["score"].astype(np.float64) if "score" in columns else 1 - pcc
    moments = columns["captured_at"]
    if moments.dtype == object:  # rows hold aware datetimes
        times_s = np.array([moment.timestamp() for moment in moments])
    else:
        times_s = moments.astype("datetime64[us]").astype(np.int64) / 1e6
    _, clip = np.unique(columns.get("clip", np.zeros(len(score))).astype(str), return_inverse=True)
    return Calibration(score, None if np.isnan(pcc).any() else pcc, times_s, clip.astype(np.int64))
