"""Real footage, where it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from cameras.camera import Camera
from cameras.recording import read_recording, record
from cameras.sources import open_source

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"

pytestmark = [
    pytest.mark.footage,
    pytest.mark.skipif(not DATA.is_dir(), reason="the real footage is not in ../shared/data"),
]


@pytest.mark.parametrize(
    ("name", "fps", "count", "last"),
    [
        ("car-detection.mp4", 60, 377, 376),
        ("car-detection.mp4", 2, 61, 375),
        ("one-by-one-person-detection.mp4", 2, 279, 1390),
        ("bottle-detection.mp4", 7, 279, 1185),
    ],
)
def test_a_real_video_is_sampled_by_time(name: str, fps: float, count: int, last: int) -> None:
    with open_source(str(DATA / "intel_samples" / name), fps) as source:
        indices = [frame.index for frame in source]
    assert (len(indices), indices[-1]) == (count, last)
    assert indices == sorted(set(indices))


def test_ped2_is_a_folder_of_clips(tmp_path: Path) -> None:
    camera = Camera(id="ped2", source=str(DATA / "ucsd_ped2" / "frames"), fps=10)
    parts: dict[str, bytes] = {}
    summary = record(camera, parts.__setitem__, frames=400)
    back = read_recording(camera, parts.items())
    assert summary.frames == len(back.frames) == 400
    assert back.frame_size == (360, 240)
    assert back.clip[0] == "test_01"
    assert len(set(back.clip)) == 3
    with open_source(camera.source, 10) as source:
        assert source.kind == "image folder"


def test_a_real_tub() -> None:
    with open_source(str(DATA / "donkeycar_lab"), 20) as source:
        frames = [frame for frame, _ in zip(source, range(100), strict=False)]
    assert source.native_fps == 20
    assert frames[0].captured_at.isoformat() == "2024-04-23T05:53:51.781000+00:00"
    assert {frame.clip for frame in frames} == {"tub_5"}
