"""What tools read: with --json, standard output is JSON alone, of a shape that is promised."""

from __future__ import annotations

import json
import math
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from fleet.cli.app import parse_duration_s, parse_tags, print_json
from fleet.errors import UsageError
from fleet.registry import Registry
from fleet.store import open_store
from tests.doubles import TwoBack


@pytest.fixture(autouse=True)
def fleet_of_three(small_fleet: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("FLEET_STORE", str(small_fleet.root))
    return small_fleet


class TestPrinting:
    def test_what_is_no_number_is_null(self, capsys: Any) -> None:
        """JSON knows no NaN; many readers refuse a document that holds one."""
        print_json({"a": math.nan, "b": [math.inf, -math.inf, 1.5], "c": (True, None)})
        assert capsys.readouterr().out == '{"a": null, "b": [null, null, 1.5], "c": [true, null]}\n'

    def test_times_are_iso_8601(self, capsys: Any) -> None:
        print_json({"at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)})
        assert json.loads(capsys.readouterr().out)["at"] == "2026-01-02T03:04:05+00:00"

    @pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("1.5m", 90), ("2h", 7200), ("1d", 86_400)])
    def test_durations(self, text: str, seconds: float) -> None:
        assert parse_duration_s(text) == seconds

    @pytest.mark.parametrize("text", ["", "10", "m", "-5m", "0s", "1w", "nan s", "1e9s", "5 m"])
    def test_no_durations(self, text: str) -> None:
        with pytest.raises(UsageError, match="write 90s"):
            parse_duration_s(text)

    def test_a_tag_may_hold_an_equals_sign(self) -> None:
        assert parse_tags(["a=b=c", "d="]) == {"a": "b=c", "d": ""}


class TestRecord:
    def test_a_row_a_camera(self, fleet: Any) -> None:
        ran = fleet("record", "dock-1", "dock-2", "dock-1", "--frames", 10, "--json")
        assert (ran.code, ran.err) == (0, "")
        rows = ran.json["cameras"]
        assert [row["camera"] for row in rows] == ["dock-1", "dock-2"], "a camera that is named twice is recorded once"
        for row in rows:
            assert set(row) == {"camera", "frames", "parts", "first", "last", "bytes", "error"}
            assert (row["frames"], row["parts"], row["error"]) == (10, 1, None)
            span = datetime.fromisoformat(row["last"]) - datetime.fromisoformat(row["first"])
            assert span == timedelta(seconds=4.5), "ten frames at two a second"

    def test_for_a_time(self, fleet: Any) -> None:
        """The time of the frames, not of the wall."""
        assert fleet("record", "dock-1", "--for", "5s", "--json").json["cameras"][0]["frames"] == 10

    def test_for_people(self, fleet: Any) -> None:
        ran = fleet("record", "dock-1")
        assert (ran.code, ran.err) == (0, "")
        assert "48" in ran.out


class TestModels:
    """Of dock-2, which has two versions: the champion and the one before it."""

    @pytest.fixture
    def versions(self, fleet: Any) -> tuple[str, str]:
        """The previous champion and the champion."""
        aliases = fleet("show-camera", "dock-2", "--json").json["aliases"]
        return aliases["previous"], aliases["champion"]

    def test_versions_with_their_roles(self, fleet: Any, versions: tuple[str, str]) -> None:
        shown = fleet("models", "dock-2", "--json").json
        assert shown["camera"] == "dock-2"
        old, new = shown["versions"]
        assert [(row["version"], row["role"]) for row in (old, new)] == [
            (versions[0], "previous"),
            (versions[1], "champion"),
        ]
        assert {"sigma", "lambda", "threshold", "pcc_mean", "pcc_std", "collapsed", "frames", "job", "search"} <= set(
            new
        )
        assert versions[1] in fleet("models", "dock-2").out

    def test_none_yet(self, fleet: Any) -> None:
        assert fleet("models", "dock-3", "--json").json == {"camera": "dock-3", "versions": []}
        assert "fleet retrain dock-3" in fleet("models", "dock-3").out

    def test_promote_and_rollback(self, fleet: Any, versions: tuple[str, str]) -> None:
        first, second = versions
        back = fleet("rollback", "dock-2", "--json").json
        assert (back["champion"], back["previous"], back["why"]) == (first, second, "rollback")
        again = fleet("promote", "dock-2", second, "--why", "it was right", "--json").json
        assert set(again) == {
            *("camera", "champion", "challenger", "previous", "changed_at", "changed_by", "why", "generation"),
        }
        assert (again["champion"], again["previous"], again["why"]) == (second, first, "it was right")

    def test_for_people(self, fleet: Any, versions: tuple[str, str]) -> None:
        first, second = versions
        assert fleet("rollback", "dock-2").out == f"camera 'dock-2': back to {first}\n"
        assert fleet("promote", "dock-2", second).out == f"camera 'dock-2': {second} is the champion\n"


SCORE_KEYS = {
    *("camera", "frame", "captured_at", "pcc", "threshold", "score", "score_threshold", "anomalous", "rule"),
    *("channels", "missing_channels", "model_version"),
}


class TestScore:
    def test_a_line_a_frame(self, fleet: Any, fleet_of_three: Any) -> None:
        ran = fleet("score", "dock-1", fleet_of_three.pictures["dock-1"], "--json")
        assert (ran.code, ran.err) == (0, "")
        rows = [json.loads(line) for line in ran.out.splitlines()]
        assert [row["frame"] for row in rows] == list(range(48))
        for row in rows:
            assert set(row) == SCORE_KEYS
            assert datetime.fromisoformat(row["captured_at"]).utcoffset() == timedelta(0)
            assert row["anomalous"] == (row["pcc"] < row["threshold"])
            assert row["score"] == pytest.approx(1 - row["pcc"])
            assert (row["channels"], row["missing_channels"]) == ({}, [])

    def test_so_many_frames_and_no_more(self, fleet: Any, fleet_of_three: Any) -> None:
        ran = fleet("score", "dock-1", fleet_of_three.pictures["dock-1"], "--frames", 5, "--json")
        assert [json.loads(line)["frame"] for line in ran.out.splitlines()] == [0, 1, 2, 3, 4]

    def test_scores_of_the_training_frames_are_the_calibration(self, fleet: Any, fleet_of_three: Any) -> None:
        """Training and scoring prepare frames by the same code."""
        from fleet.versions import calibration

        ran = fleet("score", "dock-1", fleet_of_three.pictures["dock-1"], "--json")
        rows = [json.loads(line) for line in ran.out.splitlines()]
        expected = calibration(open_store(fleet_of_three.root), "dock-1", rows[0]["model_version"])
        assert [row["pcc"] for row in rows] == pytest.approx([row["pcc"] for row in expected], abs=1e-6)

    def test_out_is_the_same_in_parquet(self, fleet: Any, fleet_of_three: Any, tmp_path: Path) -> None:
        out = tmp_path / "scores.parquet"
        ran = fleet("score", "dock-1", fleet_of_three.pictures["dock-1"], "--out", out, "--json")
        rows = pq.read_table(out).to_pylist()
        none = {"channels": {}, "missing_channels": []}
        assert [{**row, "captured_at": row["captured_at"].isoformat(), **none} for row in rows] == [
            json.loads(line) for line in ran.out.splitlines()
        ]
        assert sorted(path.name for path in tmp_path.glob("*scores*")) == ["scores.parquet"]

    def test_channels_are_nested_in_json_and_columns_in_parquet(
        self, fleet: Any, fleet_of_three: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And the same numbers; what a frame lacks is named in one and null in the other."""
        TwoBack.stands_for(monkeypatch)
        out = tmp_path / "scores.parquet"
        ran = fleet("score", "dock-1", fleet_of_three.pictures["dock-1"], "--frames", 5, "--out", out, "--json")
        rows = [json.loads(line) for line in ran.out.splitlines()]
        assert [row["missing_channels"] for row in rows] == [["motion"]] * 2 + [[]] * 3
        table = pq.read_table(out).to_pylist()
        assert {"channels", "missing_channels"} & set(table[0]) == set()
        for row, stored in zip(rows, table, strict=True):
            for name in ("looks", "motion"):
                expected = row["channels"].get(name, {"value": None, "tail": None})
                assert {kind: stored[f"{kind}_{name}"] for kind in ("value", "tail")} == expected

    def test_a_channel_that_every_frame_lacks_is_a_column_of_nulls(
        self, fleet: Any, fleet_of_three: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        TwoBack.stands_for(monkeypatch)
        out = tmp_path / "scores.parquet"
        fleet("score", "dock-1", fleet_of_three.pictures["dock-1"], "--frames", 1, "--out", out)
        table = pq.read_table(out)
        assert str(table.schema.field("tail_motion").type) == "double"
        assert table["tail_motion"].to_pylist() == [None]

    def test_for_people_the_summary_names_the_rules_that_judged(
        self, fleet: Any, fleet_of_three: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        TwoBack.stands_for(monkeypatch)
        fleet("edit-camera", "dock-1", "--rule", "tail")
        ran = fleet("score", "dock-1", fleet_of_three.pictures["dock-1"])
        told = " ".join(ran.out.split())
        assert "by the rule 'tail' (score above " in told
        assert "of these 2 without motion, for want of earlier frames, judged by the rule 'paper' (PCC below " in told

    def test_a_version_by_name(self, fleet: Any, fleet_of_three: Any) -> None:
        first = fleet("show-camera", "dock-2", "--json").json["aliases"]["previous"]
        ran = fleet("score", "dock-2", fleet_of_three.pictures["dock-2"], "--version", first, "--json")
        assert json.loads(ran.out.splitlines()[0])["model_version"] == first

    def test_for_people(self, fleet: Any, fleet_of_three: Any) -> None:
        ran = fleet("score", "dock-1", fleet_of_three.pictures["dock-1"])
        assert (ran.code, ran.err) == (0, "")
        assert "of 48 frames" in ran.out
        assert "the strangest frames" in ran.out

    def test_a_reader_that_goes_away_is_no_error(self, fleet_of_three: Any) -> None:
        """`fleet score … | head -1`"""
        import os
        import subprocess
        import sys

        command = f"{sys.executable} -m fleet.cli score dock-1 {fleet_of_three.pictures['dock-1']} --json | head -1"
        environment = {**os.environ, "FLEET_STORE": str(fleet_of_three.root)}
        ran = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=60, env=environment
        )
        assert ran.stderr == ""
        assert json.loads(ran.stdout)["frame"] == 0


class TestEvaluate:
    KEYS = (
        *("camera", "frames", "anomalous", "auc", "auc_pcc", "average_precision", "precision", "recall", "f1"),
        *("events", "event_recall", "false_events", "false_events_per_day", "rule"),
    )

    @pytest.fixture
    def labels(self, tmp_path: Path) -> Path:
        np.save(tmp_path / "labels.npy", (np.arange(48) % 4 == 0).astype(np.uint8))
        return tmp_path / "labels.npy"

    def test_exactly_these_figures(self, fleet: Any, labels: Path) -> None:
        ran = fleet("evaluate", "dock-1", "--labels", labels, "--json")
        assert (ran.code, ran.err) == (0, "")
        assert tuple(ran.json) == self.KEYS
        assert (ran.json["camera"], ran.json["frames"], ran.json["anomalous"]) == ("dock-1", 48, 12)
        assert ran.json["rule"] == "paper"
        for name in ("auc", "auc_pcc", "average_precision", "precision", "recall", "f1"):
            assert 0 <= ran.json[name] <= 1

    def test_an_event_that_goes_on_in_the_next_clip_is_another(
        self, fleet: Any, fleet_of_three: Any, tmp_path: Path
    ) -> None:
        """Subfolders are clips."""
        for name in ("a", "b"):
            shutil.copytree(fleet_of_three.pictures["dock-1"], tmp_path / "clips" / name)
        np.save(tmp_path / "labels.npy", np.isin(np.arange(96), range(40, 56)))
        shown = fleet("evaluate", "dock-1", tmp_path / "clips", "--labels", tmp_path / "labels.npy", "--json").json
        assert (shown["frames"], shown["anomalous"], shown["events"]) == (96, 16, 2)

    def test_csv_labels_and_a_source(self, fleet: Any, fleet_of_three: Any, tmp_path: Path) -> None:
        (tmp_path / "labels.csv").write_text("frame,label\n" + "".join(f"{at},{at % 2}\n" for at in range(48)))
        ran = fleet(
            "evaluate", "dock-1", fleet_of_three.pictures["dock-2"], "--labels", tmp_path / "labels.csv", "--json"
        )
        assert ran.json["anomalous"] == 24

    def test_labels_all_alike_have_no_curve(self, fleet: Any, tmp_path: Path) -> None:
        np.save(tmp_path / "none.npy", np.zeros(48, bool))
        shown = fleet("evaluate", "dock-1", "--labels", tmp_path / "none.npy", "--json").json
        assert shown["auc"] is shown["auc_pcc"] is shown["average_precision"] is None

    def test_a_sampled_frame_takes_its_own_label(self, fleet: Any, fleet_of_three: Any, make_video: Any, tmp_path: Path,
                                                 fit_version: Any) -> None:  # fmt: skip
        """40 frames at 10 a second, sampled at 2: each fifth, and the label file has all 40."""
        video = make_video(tmp_path / "v.mp4", 40)
        fleet("add-camera", "clip", video)
        fit_version(open_store(fleet_of_three.root), "clip")
        np.save(tmp_path / "labels.npy", np.arange(40) % 10 == 0)
        shown = fleet("evaluate", "clip", "--labels", tmp_path / "labels.npy", "--json").json
        assert (shown["frames"], shown["anomalous"]) == (8, 4)

    def test_for_people(self, fleet: Any, labels: Path) -> None:
        assert "f1" in fleet("evaluate", "dock-1", "--labels", labels).out


class TestStatus:
    def test_what_scores_each_camera(self, fleet: Any, fleet_of_three: Any) -> None:
        shown = fleet("status", "--json").json
        assert set(shown) == {"store", "serving", "cameras"}
        assert shown["serving"] is None
        champion = Registry(open_store(fleet_of_three.root)).aliases("dock-1").champion
        rows = {row["camera"]: row for row in shown["cameras"]}
        assert set(rows["dock-1"]) == {
            *("camera", "model_version", "trained_at", "threshold", "collapsed", "retrain_to_apply"),
        }
        assert rows["dock-1"]["model_version"] == champion
        assert rows["dock-3"]["model_version"] is None

    def test_for_people(self, fleet: Any) -> None:
        ran = fleet("status")
        assert "not served on this machine (fleet serve)" in ran.out
        assert "no model yet: fleet retrain dock-3" in ran.out


class TestDoctor:
    WHAT = ("python", "packages", "memory", "shared memory", "video decoder", "GPU", "store", "cameras")

    def test_all_is_well(self, fleet: Any) -> None:
        ran = fleet("doctor", "--json")
        assert ran.code == 0
        findings = ran.json["findings"]
        assert tuple(finding["what"] for finding in findings) == self.WHAT
        assert all(set(finding) == {"what", "state", "told"} for finding in findings)
        assert "failed" not in {finding["state"] for finding in findings}

    def test_leaves_the_store_as_it_was(self, fleet: Any, fleet_of_three: Any, contents: Any) -> None:
        before = contents(fleet_of_three.root)
        fleet("doctor")
        assert contents(fleet_of_three.root) == before

    def test_names_secrets_that_are_not_set(self, fleet: Any) -> None:
        fleet("add-camera", "yard", "rtsp://${FLEET_TEST_USER}:${FLEET_TEST_PASS}@10.0.0.8/s", "--no-probe")
        finding = fleet("doctor", "--json").json["findings"][-1]
        assert finding["state"] == "warning"
        assert "FLEET_TEST_PASS, FLEET_TEST_USER" in finding["told"]

    def test_a_store_that_fails_is_exit_1(self, fleet: Any, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        ran = fleet("doctor", "--store", tmp_path / "file", "--json")
        assert ran.code == 1
        assert ran.json["findings"][-1]["state"] == "failed"
        assert "is a file" in ran.json["findings"][-1]["told"]

    def test_a_damaged_record_is_exit_1(self, fleet: Any, fleet_of_three: Any) -> None:
        open_store(fleet_of_three.root).put("cameras/dock-2.json", b'{"id": "dock-2"}')
        ran = fleet("doctor", "--json")
        assert ran.code == 1
        assert "camera 'dock-2': its record is damaged" in ran.json["findings"][-1]["told"]

    def test_a_package_that_does_not_load_is_a_finding(self, fleet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        import sys

        monkeypatch.setitem(sys.modules, "av", None)
        ran = fleet("doctor", "--json")
        assert ran.code == 1
        (failed,) = (finding for finding in ran.json["findings"] if finding["state"] == "failed")
        assert failed["what"] == "video decoder"
        assert "pip install" in failed["told"]
