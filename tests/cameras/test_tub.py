from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cameras.errors import SourceError
from cameras.frame import Frame
from cameras.sources import open_source

from .conftest import number_of, write_pictures

START_MS = 1_713_851_631_781
START = datetime.fromtimestamp(START_MS // 1000, UTC) + timedelta(milliseconds=START_MS % 1000)


def frames_of(tub: Path) -> list[Frame]:
    with open_source(str(tub), 2, camera="car") as source:
        assert source.kind.startswith("Donkeycar")
        return list(source)


def version_2(tub: Path, records: int, deleted: list[int]) -> None:
    """As Donkeycar 4 writes it: five lines of manifest, catalogues of JSON lines, pictures in a folder of their own."""
    write_pictures(tub / "images", [f"{i}_cam_image_array_.jpg" for i in range(records)])
    lines = [
        json.dumps(
            {
                "_index": i,
                "_session_id": "24-04-23_0",
                "_timestamp_ms": START_MS + 50 * i,
                "cam/image_array": f"{i}_cam_image_array_.jpg",
                "user/angle": 0.0,
            }
        )
        for i in range(records)
    ]
    (tub / "catalog_0.catalog").write_text("\n".join(lines[:2]) + "\n")
    (tub / "catalog_1.catalog").write_text("\n".join(lines[2:]) + "\n")
    (tub / "catalog_0.catalog_manifest").write_text("{}")
    last = {"paths": ["catalog_0.catalog", "catalog_1.catalog"], "current_index": records, "deleted_indexes": deleted}
    (tub / "manifest.json").write_text("\n".join(["[]", "[]", "{}", "{}", json.dumps(last)]))


def test_version_2(tmp_path: Path) -> None:
    version_2(tmp_path, 5, deleted=[1, 3])
    frames = frames_of(tmp_path)
    assert [number_of(frame.image) for frame in frames] == [0, 2, 4]
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert [frame.captured_at for frame in frames] == [START + timedelta(milliseconds=50 * i) for i in (0, 2, 4)]
    assert {frame.clip for frame in frames} == {"24-04-23_0"}


def test_version_1(tmp_path: Path) -> None:
    """The times of version 1 count from the start that `meta.json` gives."""
    write_pictures(tmp_path, [f"{i}_cam-image_array_.jpg" for i in range(11)])
    (tmp_path / "meta.json").write_text(json.dumps({"inputs": ["cam/image_array"], "start": START_MS / 1000}))
    for i in range(11):
        record = {"cam/image_array": f"{i}_cam-image_array_.jpg", "milliseconds": 50 * i}
        (tmp_path / f"record_{i}.json").write_text(json.dumps(record))
    frames = frames_of(tmp_path)
    assert [number_of(frame.image) for frame in frames] == list(range(11))
    assert abs(frames[10].captured_at - START - timedelta(seconds=0.5)) < timedelta(milliseconds=1)


@pytest.mark.parametrize("inside", ["frames/", ""])
def test_a_table_of_records(tmp_path: Path, inside: str) -> None:
    write_pictures(tmp_path / f"{inside}tub_5", ["0.jpg", "1.jpg"])
    write_pictures(tmp_path / f"{inside}tub_10", ["0.jpg"], first=2)
    rows = [f"tub_5,0.jpg,0,{START_MS}", f"tub_5,1.jpg,1,{START_MS + 50}", f"tub_10,0.jpg,0,{START_MS + 9000}"]
    (tmp_path / "records.csv").write_text("\n".join(["clip,file,index,timestamp_ms", *rows]))
    frames = frames_of(tmp_path)
    assert [(number_of(frame.image), frame.clip, frame.index) for frame in frames] == [
        (0, "tub_5", 0), (1, "tub_5", 1), (2, "tub_10", 2),
    ]  # fmt: skip
    assert frames[2].captured_at == START + timedelta(seconds=9)


def test_records_without_a_time_come_at_the_cars_own_rate(tmp_path: Path) -> None:
    write_pictures(tmp_path / "a", ["0.jpg", "1.jpg"])
    (tmp_path / "records.csv").write_text("clip,file,timestamp_ms\na,0.jpg,nan\na,1.jpg,1e300\n")
    first, second = frames_of(tmp_path)
    assert second.captured_at - first.captured_at == timedelta(milliseconds=50)


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    version_2(tmp_path, 3, deleted=[])
    (tmp_path / "images" / "1_cam_image_array_.jpg").unlink()
    with pytest.raises(SourceError, match=r"camera 'car': '.*/images/1_cam_image_array_\.jpg' is missing"):
        frames_of(tmp_path)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{half a rec", r"catalog_0\.catalog' line 1 is no JSON record"),
        ("[1, 2]", "line 1 is no JSON record"),
        ('{"_index": 0}', "line 1 names no 'cam/image_array'"),
        ('{"cam/image_array": 7}', "line 1 names no 'cam/image_array'"),
        ('{"cam/image_array": "../../secret.jpg"}', "line 1 names a picture outside the tub"),
        ('{"cam/image_array": "/etc/passwd"}', "line 1 names a picture outside the tub"),
    ],
)
def test_a_damaged_record_is_named(tmp_path: Path, line: str, words: str) -> None:
    version_2(tmp_path, 3, deleted=[])
    (tmp_path / "catalog_0.catalog").write_text(line + "\n")
    with pytest.raises(SourceError, match=words):
        open_source(str(tmp_path), 2)


@pytest.mark.parametrize("manifest", ["", "no json", "[]\n[]\n{}\n{}\n7"])
def test_a_damaged_manifest_is_named(tmp_path: Path, manifest: str) -> None:
    version_2(tmp_path, 3, deleted=[])
    (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(SourceError, match=r"manifest\.json' line \d is no JSON record"):
        open_source(str(tmp_path), 2)


def test_a_tub_of_which_everything_was_deleted(tmp_path: Path) -> None:
    version_2(tmp_path, 3, deleted=[0, 1, 2])
    with pytest.raises(SourceError, match="holds no record"):
        open_source(str(tmp_path), 2)


def test_a_table_without_its_columns(tmp_path: Path) -> None:
    (tmp_path / "records.csv").write_text("name,when\n")
    with pytest.raises(SourceError, match=r"records\.csv' has no columns 'clip' and 'file'"):
        open_source(str(tmp_path), 2)
