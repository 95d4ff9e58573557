"""`fleet retrain` on real Ray: what it prints, what it leaves, and that all other commands work on what it left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fleet.store import open_store

pytestmark = pytest.mark.slow

SEARCH = """\
space: {sigma: [0.1, 0.5], lambda: [1.0]}
incumbent: {sigma: 0.1, lambda: 1.0}
detector: {epochs: 2, latent: 8}
scheduler: {kind: fifo}
"""


@dataclass(frozen=True)
class Retrained:
    store: str
    job: dict[str, Any]
    err: str


@pytest.fixture(scope="module")
def retrained(trained_once: Any, tmp_path_factory: pytest.TempPathFactory) -> Retrained:
    """Two cameras, retrained together by one command in a process of its own; a third one that cannot be."""
    folder = tmp_path_factory.mktemp("retrained")
    (folder / "tiny.yaml").write_text(SEARCH)
    store = str(folder / "store")

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "fleet.cli", *map(str, arguments), "--store", store, "--json"]
        return subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=folder, env={**os.environ})

    for camera in ("dock-1", "dock-2"):
        assert run("add-camera", camera, trained_once.pictures[camera], "--search", "tiny.yaml").returncode == 0
    assert run("add-camera", "gone", "/nowhere/a.mp4", "--no-probe", "--search", "tiny.yaml").returncode == 0
    ran = run("retrain", "--all")
    assert ran.returncode == 1, ran.stderr
    return Retrained(store, json.loads(ran.stdout), ran.stderr)


def test_json_has_the_promised_shape(retrained: Retrained) -> None:
    assert {"job", "cameras"} <= set(retrained.job)
    for row in retrained.job["cameras"]:
        assert set(row) >= {
            *("camera", "version", "sigma", "lambda", "objective", "threshold", "pcc_mean", "pcc_std", "collapsed"),
            *("trials", "seconds", "promoted", "error"),
        }


def test_every_camera_got_its_champion_but_the_one_that_failed(retrained: Retrained, fleet: Any) -> None:
    rows = {row["camera"]: row for row in retrained.job["cameras"]}
    for camera in ("dock-1", "dock-2"):
        row = rows[camera]
        assert row["error"] is None
        assert row["promoted"] is True
        assert row["trials"] >= 2
        champion = fleet("show-camera", camera, "--store", retrained.store, "--json").json["aliases"]["champion"]
        assert champion == row["version"]
    assert "no such file or folder" in rows["gone"]["error"]
    assert rows["gone"]["version"] is None
    assert rows["gone"]["promoted"] is False


def test_what_failed_is_an_error_and_nothing_else_is(retrained: Retrained) -> None:
    errors = [line for line in retrained.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "camera 'gone'" in errors[0]
    assert "Traceback" not in retrained.err
    assert "Warning" not in retrained.err


def test_the_store_holds_versions_and_no_leftovers(retrained: Retrained) -> None:
    keys = open_store(retrained.store).list("")
    for row in retrained.job["cameras"]:
        if row["version"]:
            folder = f"models/{row['camera']}/{row['version']}/"
            names = {key.removeprefix(folder) for key in keys if key.startswith(folder)}
            assert names == {"manifest.json", "model.safetensors", "trials.parquet", "calibration.parquet"}
    assert not [key for key in keys if key.startswith("trials/")]
    assert f"jobs/{retrained.job['job']}/summary.parquet" in keys


def test_other_commands_work_on_it(retrained: Retrained, fleet: Any, trained_once: Any, tmp_path: Path) -> None:
    store = ["--store", retrained.store]
    (version,) = fleet("models", "dock-1", *store, "--json").json["versions"]
    assert (version["role"], version["search"]) == ("champion", "tiny")
    row = json.loads(fleet("score", "dock-1", trained_once.pictures["dock-1"], *store, "--json").out.splitlines()[0])
    assert row["model_version"] == version["version"]
    assert row["threshold"] == pytest.approx(version["threshold"])
    (tmp_path / "labels.csv").write_text("label\n" + "0\n1\n" * 24)
    assert fleet("evaluate", "dock-1", "--labels", tmp_path / "labels.csv", *store, "--json").json["frames"] == 48
    states = {line["camera"]: line for line in fleet("status", *store, "--json").json["cameras"]}
    assert states["dock-1"]["retrain_to_apply"] is False
    assert states["gone"]["model_version"] is None
