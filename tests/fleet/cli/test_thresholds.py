"""The alert rule on the command line: shown for a champion, changed without retraining."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cameras.camera import AlertRule
from fleet import layout
from fleet.registry import Registry
from fleet.store import open_store
from fleet.tables import table_to_bytes
from fleet.versions import ModelVersion

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def dock(fleet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A camera with a champion that has no weights: thresholds need none."""
    monkeypatch.chdir(tmp_path)
    assert fleet("add-camera", "dock", "no-such.mp4", "--no-probe").code == 0
    store = open_store(None)
    registry = Registry(store)
    version = ModelVersion.model_validate(
        {
            "camera": "dock",
            "version": "v1",
            "created_at": NOON,
            "job": "j",
            "search": "quick",
            "preprocessing": {},
            "frame_width": 64,
            "frame_height": 48,
            "frames": 600,
            "first_frame_at": NOON,
            "last_frame_at": NOON,
            "sigma": 0.1,
            "lambda": 1.0,
            "objective_name": "bic-gain",
            "objective": 0.1,
            "reason": "r",
            "kappa": 0.5,
            "threshold": 0.9,
            "score_threshold": 0.1,
            "pcc_mean": 0.95,
            "pcc_std": 0.1,
            "collapsed": False,
            "trials": 1,
            "fingerprint": "f",
            "detector": {},
        }
    )
    scores = np.random.default_rng(0).normal(5, 1, 600)
    rows = [
        {"frame": at, "clip": "a", "captured_at": NOON + timedelta(seconds=at), "pcc": 1 - each / 100, "score": each}
        for at, each in enumerate(scores.tolist())
    ]
    store.put(layout.model_key("dock", "v1", "calibration.parquet"), table_to_bytes(rows))
    store.put(layout.model_key("dock", "v1", "manifest.json"), version.model_dump_json(by_alias=True).encode())
    registry.promote("dock", "v1")
    return registry


def in_force(shown: dict[str, Any]) -> list[str]:
    return [rule["rule"] for rule in shown["rules"] if rule["in_force"]]


def test_each_rule_is_shown_with_what_it_would_have_done(fleet: Any, dock: Registry) -> None:
    shown = fleet("thresholds", "dock", "--json").json
    assert (shown["camera"], shown["model_version"], shown["frames"]) == ("dock", "v1", 600)
    assert [rule["rule"] for rule in shown["rules"]] == ["paper", "tail", "reference", "budget"]
    assert in_force(shown) == ["paper"]
    reference = shown["rules"][2]
    assert 0 < reference["flagged"] < 0.1
    assert reference["parameters"] == {"drift_s": 0.0, "quantile": 0.99, "share": 0.2}


def test_a_rule_that_is_changed_holds_at_once(fleet: Any, dock: Registry) -> None:
    changed = fleet("edit-camera", "dock", *["--rule", "budget", "--alerts-per-day", "2", "--drift", "10m"])
    assert changed.code == 0, changed.err
    assert "holds at once" in changed.out
    assert "retrain to apply" not in changed.out
    shown = fleet("thresholds", "dock", "--json").json
    assert in_force(shown) == ["budget"]
    assert shown["rules"][3]["parameters"] == {"drift_s": 600.0, "per_day": 2.0}
    assert shown["rules"][3]["events_per_day"] <= 2


def test_options_are_kept_until_the_policy_is_given_up(fleet: Any, dock: Registry) -> None:
    fleet("edit-camera", "dock", *["--rule", "tail", "--tail-p", "0.01"])
    fleet("edit-camera", "dock", *["--kappa", "3", "--quantile", "0.95"])
    assert dock.camera("dock").alert == AlertRule(rule="tail", p=0.01, kappa=3, quantile=0.95)
    fleet("edit-camera", "dock", "--rule", "as-calibrated")
    assert dock.camera("dock").alert == AlertRule()


def test_a_reference_window_is_given_by_its_times_or_as_a_share(fleet: Any, dock: Registry) -> None:
    times = "2026-03-01T12:00Z/2026-03-01T13:00+01:00"
    ran = fleet("edit-camera", "dock", "--rule", "reference", "--reference", times)
    assert ran.code == 2  # they are the same moment
    assert "ends before it begins" in ran.err
    fleet("edit-camera", "dock", "--rule", "reference", "--reference", times.replace("13:00", "13:05"))
    alert = dock.camera("dock").alert
    assert (alert.reference_from, alert.reference_to) == (NOON, NOON + timedelta(minutes=5))
    fleet("edit-camera", "dock", "--reference", "0.5")
    alert = dock.camera("dock").alert
    assert (alert.reference_share, alert.reference_from, alert.reference_to) == (0.5, None, None)


def test_a_rule_that_cannot_be_followed_says_why(fleet: Any, dock: Registry) -> None:
    window = "2027-01-01T00:00Z/2027-01-02T00:00Z"
    fleet("edit-camera", "dock", "--rule", "reference", "--reference", window)
    ran = fleet("thresholds", "dock")
    assert ran.code == 0
    assert "reference: no frame of the training footage lies in the reference window" in ran.out
    assert in_force(fleet("thresholds", "dock", "--json").json) == ["paper"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--rule otsu", "'paper', 'tail', 'reference' or 'budget'"),
        ("--tail-p 2", "less than or equal to 0.5"),
        ("--alerts-per-day 0", "greater than or equal to 0.001"),
        ("--drift soon", "no duration"),
        ("--reference never", "no reference window"),
        ("--reference 2026-03-01T12:00/2026-03-01T13:00", "timezone"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(options: str, told: str, fleet: Any, dock: Registry) -> None:
    before = dock.camera("dock")
    ran = fleet("edit-camera", "dock", *options.split())
    assert ran.code == 2
    assert told in ran.err
    assert dock.camera("dock") == before


def test_a_camera_may_be_registered_with_its_rule(fleet: Any, dock: Registry, tmp_path: Path) -> None:
    fleet("add-camera", "gate", "x.mp4", "--no-probe", "--rule", "tail", "--tail-p", "0.0001")
    (tmp_path / "more.yaml").write_text("- {id: yard, source: y.mp4, alert: {rule: budget, per_day: 3}}\n")
    assert fleet("add-cameras", tmp_path / "more.yaml", "--no-probe").code == 0
    assert dock.camera("gate").alert == AlertRule(rule="tail", p=1e-4)
    assert dock.camera("yard").alert == AlertRule(rule="budget", per_day=3)


def test_without_a_model_there_is_no_threshold(fleet: Any, dock: Registry) -> None:
    fleet("add-camera", "gate", "x.mp4", "--no-probe")
    ran = fleet("thresholds", "gate")
    assert ran.code == 1
    assert "fleet retrain gate" in ran.err
