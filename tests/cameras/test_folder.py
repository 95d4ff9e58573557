from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cameras.errors import SourceError
from cameras.images import encode_png
from cameras.sources import open_source
from cameras.sources.folder import natural_key

from .conftest import MTIME, number_of, picture, write_pictures


def test_every_file_is_a_frame_in_natural_order(tmp_path: Path) -> None:
    write_pictures(tmp_path, ["1.jpg", "2.JPG", "10.jpeg"])
    (tmp_path / "11.png").write_bytes(encode_png(picture(3)))
    (tmp_path / "notes.txt").write_text("no picture")
    with open_source(str(tmp_path), 4) as source:
        frames = list(source)
    assert [number_of(frame.image) for frame in frames] == [0, 1, 2, 3]
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    start = datetime.fromtimestamp(MTIME, UTC)
    assert [frame.captured_at for frame in frames] == [start + timedelta(seconds=i / 4) for i in range(4)]
    assert not source.live


def test_subfolders_are_clips_in_natural_order(tmp_path: Path) -> None:
    write_pictures(tmp_path / "clip_10", ["a.jpg"], first=3)
    write_pictures(tmp_path / "clip_2", ["1.jpg", "2.jpg"], first=1)
    write_pictures(tmp_path, ["0.jpg"])
    write_pictures(tmp_path / "clip_2" / "deeper", ["x.jpg"], first=99)
    with open_source(str(tmp_path), 1) as source:
        frames = list(source)
    assert [(f.index, f.clip, number_of(f.image)) for f in frames] == [
        (0, "", 0), (1, "clip_2", 1), (2, "clip_2", 2), (3, "clip_10", 3),
    ]  # fmt: skip


def test_natural_order() -> None:
    names = ["b", "a10", "a9", "a", "10", "9", "a9b2", "a9b10", "²"]
    assert sorted(names, key=natural_key) == ["9", "10", "a", "a9", "a9b2", "a9b10", "a10", "b", "²"]


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    write_pictures(tmp_path, ["1.jpg", "2.jpg", "3.jpg"])
    whole = (tmp_path / "2.jpg").read_bytes()
    (tmp_path / "2.jpg").write_bytes(whole[:-20])
    with open_source(str(tmp_path), 1, camera="dock") as source:
        frames = iter(source)
        next(frames)
        with pytest.raises(SourceError, match=r"^camera 'dock': '.*/2\.jpg' is truncated .* delete or copy it again$"):
            next(frames)


def test_pictures_of_two_sizes_are_refused(tmp_path: Path) -> None:
    write_pictures(tmp_path / "a", ["1.jpg"])
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "2.png").write_bytes(encode_png(picture(2, 32, 24)))
    with (
        open_source(str(tmp_path), 1) as source,
        pytest.raises(SourceError, match=r"'.*/b/2\.png' is 32x24, but '.*/a/1\.jpg' is 64x48"),
    ):
        list(source)


def test_a_file_that_vanishes_while_it_is_read(tmp_path: Path) -> None:
    write_pictures(tmp_path, ["1.jpg", "2.jpg"])
    with open_source(str(tmp_path), 1) as source:
        (tmp_path / "2.jpg").unlink()
        with pytest.raises(SourceError, match=r"2\.jpg' is missing"):
            list(source)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no \.jpg, \.jpeg or \.png in"):
        open_source(str(tmp_path), 1)
