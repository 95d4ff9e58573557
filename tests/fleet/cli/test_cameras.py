"""Cameras on the command line: added one by one and by file, shown, changed, probed, taken away."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cameras.images import encode_png
from fleet.registry import Registry
from fleet.store import open_store


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with a store of its own, so that commands need no --store."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def on_small_fleet(small_fleet: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("FLEET_STORE", str(small_fleet.root))
    return small_fleet


class TestAddCamera:
    def test_is_registered_with_what_was_seen(self, fleet: Any, here: Path, image_folder: Path) -> None:
        ran = fleet("add-camera", "dock-1", image_folder, "--json")
        assert ran.code == 0
        assert ran.err == ""
        assert ran.json["id"] == "dock-1"
        assert ran.json["source"] == str(image_folder)
        assert ran.json["probe"] == {"width": 64, "height": 48, "fps": None, "live": False, "kind": "image folder"}

    def test_takes_every_option(self, fleet: Any, here: Path, image_folder: Path) -> None:
        options = "--fps 5 --size 128x72 --color --crop 0,0.2,1,1 --tag site=berlin --tag floor=2 --search quick"
        mask = ["--mask", "0,0 0.5,0 0.5,0.4"]
        ran = fleet("add-camera", "dock-1", image_folder, *options.split(), *mask, "--json")
        assert ran.code == 0, ran.err
        shown = ran.json
        assert (shown["fps"], shown["size"], shown["color"]) == (5.0, "128x72", True)
        assert shown["crop"] == [0.0, 0.2, 1.0, 1.0]
        assert shown["tags"] == {"site": "berlin", "floor": "2"}
        assert shown["search"] == "quick"
        assert shown["masks"] == [[[0.0, 0.0], [0.5, 0.0], [0.5, 0.4]]]

    def test_says_so_to_people(self, fleet: Any, here: Path, image_folder: Path) -> None:
        assert fleet("add-camera", "dock-1", image_folder).out == "added camera 'dock-1' (64x48, image folder)\n"

    def test_paths_are_kept_whole(self, fleet: Any, here: Path, image_folder: Path, tiny_search: Path) -> None:
        """The store may be used from another folder."""
        (here / "pictures").symlink_to(image_folder)
        (here / "mine.yaml").write_bytes(tiny_search.read_bytes())
        shown = fleet("add-camera", "dock-1", "pictures", "--search", "mine.yaml", "--json").json
        assert shown["source"] == str(here / "pictures")
        assert shown["search"] == str(here / "mine.yaml")

    def test_replace_keeps_the_id_and_grows_the_generation(self, fleet: Any, here: Path, image_folder: Path) -> None:
        fleet("add-camera", "dock-1", image_folder)
        ran = fleet("add-camera", "dock-1", image_folder, "--fps", 7, "--replace", "--json")
        assert (ran.json["fps"], ran.json["generation"]) == (7.0, 2)

    def test_no_probe_registers_what_is_not_there(self, fleet: Any, here: Path) -> None:
        ran = fleet("add-camera", "dock-1", "rtsp://10.255.255.1/s", "--no-probe", "--json")
        assert ran.code == 0
        assert ran.json["probe"] is None

    def test_a_mask_picture_travels_with_the_camera(self, fleet: Any, here: Path, image_folder: Path) -> None:
        """A cluster does not see this machine's files."""
        picture = encode_png(np.zeros((4, 4, 3), np.uint8))
        (here / "m.png").write_bytes(picture)
        ran = fleet("add-camera", "dock-1", image_folder, "--mask", "m.png", "--json")
        assert ran.json["mask_png"].endswith(" characters"), "shown by its length only"
        stored = Registry(open_store(here / ".fleet")).camera("dock-1")
        assert base64.b64decode(stored.mask_png or "") == picture

    def test_works_on_every_kind_of_store(self, fleet: Any, store: Any, image_folder: Path) -> None:
        assert fleet("add-camera", "dock-1", image_folder, "--store", store.uri).code == 0
        assert [row["id"] for row in fleet("cameras", "--store", store.uri, "--json").json["cameras"]] == ["dock-1"]


class TestAddCameras:
    def write(self, here: Path, text: str) -> Path:
        file = here / "config" / "cameras.yaml"
        file.parent.mkdir()
        file.write_text(text)
        return file

    def test_reads_paths_beside_the_file(self, fleet: Any, here: Path, image_folder: Path) -> None:
        file = self.write(
            here,
            """
cameras:
  - id: dock-1
    source: pictures
    fps: 5
    size: 128x72
    color: true
    crop: [0, 0.2, 1, 1]
    masks: ['0,0 0.5,0 0.5,0.4', street.png]
    tags: {site: berlin}
    search: quick
  - {id: dock-2, source: pictures}
""",
        )
        (file.parent / "pictures").symlink_to(image_folder)
        (file.parent / "street.png").write_bytes(encode_png(np.zeros((4, 4, 3), np.uint8)))
        ran = fleet("add-cameras", file, "--json")
        assert ran.code == 0, ran.err
        first, second = ran.json["cameras"]
        assert first["source"] == second["source"] == str(file.parent / "pictures")
        assert first["masks"] == [[[0.0, 0.0], [0.5, 0.0], [0.5, 0.4]]]
        assert first["mask_png"].endswith(" characters")
        assert (first["size"], first["color"], first["tags"], first["search"]) == (
            "128x72", True, {"site": "berlin"}, "quick",
        )  # fmt: skip
        assert (second["size"], second["color"], second["search"]) == ("96x64", False, "default")

    @pytest.mark.parametrize(
        "second",
        [
            "{id: Dock 2, source: pictures}",
            "{id: dock-2, source: nowhere.mp4}",
            "{id: dock-2, source: pictures, fps: -1}",
        ],
        ids=["wrong id", "source does not open", "wrong field"],
    )
    def test_one_wrong_means_none(self, second: str, fleet: Any, here: Path, image_folder: Path) -> None:
        file = self.write(here, f"- {{id: dock-1, source: pictures}}\n- {second}\n")
        (file.parent / "pictures").symlink_to(image_folder)
        ran = fleet("add-cameras", file)
        assert ran.code != 0
        assert fleet("cameras", "--json").json == {"cameras": []}

    def test_references_to_secrets_are_kept(self, fleet: Any, here: Path) -> None:
        file = self.write(here, "- {id: dock-1, source: 'rtsp://${CAM_USER}:${CAM_PASS}@10.0.0.8/s'}")
        ran = fleet("add-cameras", file, "--no-probe", "--json")
        assert ran.json["cameras"][0]["source"] == "rtsp://${CAM_USER}:${CAM_PASS}@10.0.0.8/s"

    def test_replace(self, fleet: Any, here: Path, image_folder: Path) -> None:
        fleet("add-camera", "dock-1", image_folder)
        file = self.write(here, f"- {{id: dock-1, source: {image_folder}, fps: 9}}")
        assert fleet("add-cameras", file, "--replace", "--json").json["cameras"][0]["fps"] == 9


class TestList:
    def test_by_id_in_order(self, fleet: Any, on_small_fleet: Any) -> None:
        assert [row["id"] for row in fleet("cameras", "--json").json["cameras"]] == ["dock-1", "dock-2", "dock-3"]

    @pytest.mark.parametrize(
        ("tags", "ids"),
        [
            (["site=ulm"], ["dock-2", "dock-3"]),
            (["site=berlin"], ["dock-1"]),
            (["site=rome"], []),
            (["site=ulm", "floor=1"], []),
        ],
    )
    def test_by_tag(self, tags: list[str], ids: list[str], fleet: Any, on_small_fleet: Any) -> None:
        options = [part for tag in tags for part in ("--tag", tag)]
        assert [row["id"] for row in fleet("cameras", *options, "--json").json["cameras"]] == ids

    def test_for_people(self, fleet: Any, on_small_fleet: Any) -> None:
        ran = fleet("cameras")
        assert ran.code == 0
        for word in ("dock-1", "dock-2", "dock-3", "96x64 grey", "site=ulm"):
            assert word in ran.out

    def test_an_empty_fleet_says_how_to_begin(self, fleet: Any, here: Path) -> None:
        assert "fleet add-camera ID SOURCE" in fleet("cameras").out
        assert fleet("cameras", "--json").json == {"cameras": []}
        assert not list(here.iterdir()), "looking makes no store"


class TestShow:
    def test_has_the_record_and_the_aliases(self, fleet: Any, on_small_fleet: Any) -> None:
        shown = fleet("show-camera", "dock-1", "--json").json
        assert (shown["id"], shown["tags"]) == ("dock-1", {"site": "berlin"})
        assert set(shown["aliases"]) == {"champion", "challenger", "previous"}
        assert shown["aliases"]["champion"]

    def test_for_people(self, fleet: Any, on_small_fleet: Any) -> None:
        assert "site=berlin" in fleet("show-camera", "dock-1").out


class TestEdit:
    def test_changes_what_was_named_and_nothing_else(self, fleet: Any, on_small_fleet: Any) -> None:
        before = fleet("show-camera", "dock-1", "--json").json
        after = fleet("edit-camera", "dock-1", "--fps", 4, "--json").json
        changed = {name for name in after if after[name] != before[name]}
        assert changed == {"fps", "generation"}

    def test_tags_are_added_and_removed(self, fleet: Any, on_small_fleet: Any) -> None:
        fleet("edit-camera", "dock-1", "--tag", "floor=2", "--tag", "site=bonn")
        assert fleet("show-camera", "dock-1", "--json").json["tags"] == {"site": "bonn", "floor": "2"}
        fleet("edit-camera", "dock-1", "--untag", "site", "--untag", "unknown")
        assert fleet("show-camera", "dock-1", "--json").json["tags"] == {"floor": "2"}

    def test_a_mask_is_added_to_those_there_are(self, fleet: Any, on_small_fleet: Any, here: Path) -> None:
        """Nothing that was hidden is uncovered but by --no-masks."""
        (here / "m.png").write_bytes(encode_png(np.zeros((4, 4, 3), np.uint8)))
        fleet("edit-camera", "dock-1", "--mask", "0,0 1,0 1,0.1")
        fleet("edit-camera", "dock-1", "--mask", "m.png")
        after = fleet("edit-camera", "dock-1", "--mask", "0,1 1,1 1,0.9", "--json").json
        assert len(after["masks"]) == 2
        assert after["mask_png"]
        after = fleet("edit-camera", "dock-1", "--no-masks", "--mask", "0,0 1,0 1,0.5", "--json").json
        assert after["masks"] == [[[0.0, 0.0], [1.0, 0.0], [1.0, 0.5]]]
        assert after["mask_png"] is None

    @pytest.mark.parametrize(
        "change", ["--fps 4", "--size 64x64", "--color", "--crop 0,0,1,0.5", "--mask '0,0 1,0 1,1'"]
    )
    def test_says_retrain_to_apply(self, change: str, fleet: Any, on_small_fleet: Any) -> None:
        import shlex

        assert "retrain to apply: fleet retrain dock-1" in fleet("edit-camera", "dock-1", *shlex.split(change)).out
        rows = {row["camera"]: row["retrain_to_apply"] for row in fleet("status", "--json").json["cameras"]}
        assert rows == {"dock-1": True, "dock-2": False, "dock-3": False}

    def test_tags_need_no_retraining(self, fleet: Any, on_small_fleet: Any) -> None:
        assert fleet("edit-camera", "dock-1", "--tag", "floor=2").out == "changed camera 'dock-1'\n"

    def test_a_new_source_says_that_old_recordings_are_of_another_view(self, fleet: Any, on_small_fleet: Any) -> None:
        assert (
            "fleet record dock-1" in fleet("edit-camera", "dock-1", "--source", on_small_fleet.pictures["dock-2"]).out
        )


class TestRemove:
    def test_models_and_recordings_stay(self, fleet: Any, on_small_fleet: Any) -> None:
        champion = fleet("show-camera", "dock-1", "--json").json["aliases"]["champion"]
        ran = fleet("remove-camera", "dock-1", "--json")
        assert ran.json == {"camera": "dock-1", "removed": True, "objects_deleted": 0}
        assert fleet("show-camera", "dock-1").code == 1
        fleet("add-camera", "dock-1", on_small_fleet.pictures["dock-1"])
        assert fleet("show-camera", "dock-1", "--json").json["aliases"]["champion"] is None
        assert fleet("rollback", "dock-1", "--json").json["champion"] == champion

    def test_purge_leaves_nothing_of_it(self, fleet: Any, on_small_fleet: Any) -> None:
        fleet("record", "dock-1", "--frames", 3)
        ran = fleet("remove-camera", "dock-1", "--purge", "--json")
        assert ran.json["objects_deleted"] >= 6
        assert not [key for key in open_store(on_small_fleet.root).list("") if "dock-1" in key]

    def test_for_people(self, fleet: Any, on_small_fleet: Any) -> None:
        assert "--purge deletes them" in fleet("remove-camera", "dock-1").out


class TestProbe:
    def test_a_folder(self, fleet: Any, on_small_fleet: Any) -> None:
        assert fleet("probe", "dock-1", "--json").json == {
            "camera": "dock-1", "width": 64, "height": 48, "fps": None, "live": False, "kind": "image folder",
        }  # fmt: skip

    def test_a_video(self, fleet: Any, here: Path, make_video: Any) -> None:
        fleet("add-camera", "dock-1", make_video(here / "v.mp4"))
        shown = fleet("probe", "dock-1", "--json").json
        assert (shown["width"], shown["height"], shown["fps"], shown["live"]) == (64, 48, 10.0, False)
        assert "64x48, 10 frames/s, h264 video file, recorded" in fleet("probe", "dock-1").out
