"""The rule in force: the camera's on the scores that the version kept, and its own where that cannot be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import numpy as np
import pytest

from cameras.camera import AlertRule, Camera
from fleet import layout
from fleet.alerting import calibration_of, fitted_rule, read_calibration, rule_table, threshold_in_force
from fleet.detector.threshold import RULES, Budget, Paper, Reference, Tail
from fleet.errors import NotFoundError, StoreError
from fleet.jobs import plan_job
from fleet.tables import table_to_bytes
from fleet.versions import ModelVersion

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def rows(**columns: Any) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    return [
        {
            "frame": place,
            "clip": "a" if place < 300 else "b",
            "captured_at": NOON + timedelta(seconds=place / 2),
            "pcc": float(pcc),
            "score": float(score),
            **columns,
        }
        for place, (pcc, score) in enumerate(zip(rng.normal(0.9, 0.01, 600), rng.normal(5, 1, 600), strict=True))
    ]


def camera(**alert: Any) -> Camera:
    return Camera(id="dock", source="x.mp4", alert=AlertRule(**alert))


def version(rule: str = "tail", kappa: float = 2.0) -> ModelVersion:
    """A manifest of which only what decides the rule matters."""
    return ModelVersion.model_construct(camera="dock", version="v1", rule=rule, kappa=kappa)


CALIBRATION = calibration_of(rows())


def test_a_camera_without_a_policy_follows_the_rule_that_the_version_came_with():
    assert threshold_in_force(camera(), version("tail"), CALIBRATION) == ("tail", Tail().threshold(CALIBRATION))
    assert threshold_in_force(camera(), version("paper"), CALIBRATION) == (
        "paper",
        Paper(kappa=2.0).threshold(CALIBRATION),
    )


@pytest.mark.parametrize(
    ("alert", "rule"),
    [
        ({"rule": "paper"}, Paper(kappa=2.0)),  # the version's kappa
        ({"rule": "paper", "kappa": 3}, Paper(kappa=3)),
        ({"rule": "tail", "p": 0.02, "per_day": 5}, Tail(p=0.02)),  # what another rule takes says nothing
        ({"p": 0.02}, Tail(p=0.02)),
        ({"rule": "reference", "quantile": 0.9, "reference_share": 0.5}, Reference(quantile=0.9, share=0.5)),
        (
            {"rule": "reference", "reference_to": NOON + timedelta(minutes=1)},
            Reference(to_s=NOON.timestamp() + 60),
        ),
        ({"rule": "budget", "per_day": 100, "drift_s": 60}, Budget(per_day=100, drift_s=60)),
    ],
)
def test_a_policy_changes_the_threshold_of_a_version_that_stays_as_it_is(alert, rule):
    found = fitted_rule(camera(**alert), version(), CALIBRATION)
    assert found.rule == rule
    assert found.level == rule.threshold(CALIBRATION)


def test_a_reference_window_that_the_footage_does_not_reach_leaves_the_versions_rule_in_force():
    later = camera(rule="reference", reference_from=NOON + timedelta(days=1))
    assert threshold_in_force(later, version(), CALIBRATION) == ("tail", Tail().threshold(CALIBRATION))
    reports = {report.rule: report for report in rule_table(later, version(), CALIBRATION)}
    assert reports["tail"].in_force
    assert not reports["reference"].in_force
    assert reports["reference"].threshold is None
    assert "no frame of the training footage" in reports["reference"].problem


def test_the_table_tells_what_each_rule_would_have_flagged():
    burst = rows()
    for row in burst[100:120]:
        row["score"] = 50.0
    known = calibration_of(burst)
    reports = rule_table(camera(rule="budget", per_day=1_000), version(), known)
    assert [report.rule for report in reports] == list(RULES)
    assert [report.rule for report in reports if report.in_force] == ["budget"]
    tail = next(report for report in reports if report.rule == "tail")
    assert tail.flagged == pytest.approx(20 / 600, abs=0.005)
    assert tail.events_per_day == pytest.approx(1 / known.days)
    assert tail.parameters == {"p": 0.001, "drift_s": 0.0}


def test_clips_of_the_table_are_kept_apart():
    assert np.unique(CALIBRATION.clip, return_counts=True)[1].tolist() == [300, 300]
    assert CALIBRATION.times_s[0] == NOON.timestamp()


def test_what_is_read_from_the_store_is_what_was_written(store):
    store.put(layout.model_key("dock", "v1", "calibration.parquet"), table_to_bytes(rows(tail_M=1.0)))
    found = read_calibration(store, version())
    for name in ("score", "pcc", "times_s", "clip"):
        assert np.array_equal(getattr(found, name), getattr(CALIBRATION, name)), name


def test_a_version_from_before_scores_were_kept_is_scored_by_its_pcc(folder_store):
    old = [{"frame": row["frame"], "captured_at": row["captured_at"], "pcc": row["pcc"]} for row in rows()]
    folder_store.put(layout.model_key("dock", "v1", "calibration.parquet"), table_to_bytes(old))
    found = read_calibration(folder_store, version())
    assert np.array_equal(found.score, 1 - CALIBRATION.pcc)
    assert not found.clip.any()


def test_a_calibration_that_is_missing_or_damaged_names_the_camera_or_the_key(folder_store):
    with pytest.raises(NotFoundError, match="camera 'dock': the calibration of version v1 is missing"):
        read_calibration(folder_store, version())
    folder_store.put(layout.model_key("dock", "v1", "calibration.parquet"), b"nothing")
    with pytest.raises(StoreError, match=r"calibration\.parquet is no Parquet file"):
        read_calibration(folder_store, version())


def test_a_policy_is_no_part_of_what_a_job_trains(folder_store):
    one, two = plan_job(folder_store, [camera()], "quick"), plan_job(folder_store, [camera(rule="budget")], "quick")
    assert one.plan == two.plan
    assert camera().preprocessing == camera(rule="budget").preprocessing


def test_a_camera_knows_the_rules_that_there_are_and_their_bounds():
    """Cameras are described below the detector, which is why both name them."""
    annotation = AlertRule.model_fields["rule"].annotation
    assert {name for part in get_args(annotation) for name in get_args(part)} == set(RULES)
    of_rules = {name: bounds for rule in RULES.values() for name, bounds in rule.bounds.items()}
    for field, parameter in (
        ("kappa", "kappa"),
        ("p", "p"),
        ("quantile", "quantile"),
        ("reference_share", "share"),
        ("per_day", "per_day"),
    ):
        lowest, highest = AlertRule.model_fields[field].metadata
        assert (lowest.ge, highest.le) == of_rules[parameter]
