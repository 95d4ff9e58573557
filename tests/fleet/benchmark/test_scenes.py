"""Scenes by name: generated ones at any size, real ones from a folder that may not be there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cameras.errors import UsageError
from cameras.images import encode_jpeg
from fleet.benchmark.scenes import REAL, Labelled, SceneSpec, is_available, load
from tests.fleet.benchmark.conftest import SIZE, SPEC


def test_a_generated_scene_has_a_label_a_frame(corridor: Labelled) -> None:
    assert corridor.footage.frames.shape == (60, 32, 32)
    assert corridor.labels.sum() == 18


def test_all_sizes_show_the_same_moments(corridor: Labelled) -> None:
    both = load(SPEC, (SIZE, (48, 32)))
    assert both[48, 32].footage.frames.shape == (60, 32, 48)
    np.testing.assert_array_equal(both[SIZE].footage.frames, corridor.footage.frames)
    np.testing.assert_array_equal(both[48, 32].labels, corridor.labels)


def test_parts_of_a_day_are_clips() -> None:
    parts = SceneSpec("yard", frames=3, ratio=0.0, fps=2.0, starts_s=(0.0, 3600.0), render_px=(64, 48))
    made = load(parts, (SIZE,))[SIZE].footage
    assert made.clip.tolist() == [0, 0, 0, 1, 1, 1]
    assert not np.array_equal(made.frames[:3], made.frames[3:])


def test_missing_footage_is_told_with_its_remedy(tmp_path: Path) -> None:
    assert not is_available("ped2-20", None)
    assert not is_available("ped2-20", tmp_path)
    with pytest.raises(UsageError, match="footage of 'ped2-20' is missing — --footage FOLDER"):
        load(SceneSpec("ped2-20"), (SIZE,), tmp_path)


def test_an_unknown_scene_is_told_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="no scene 'moon' — choose one of: corridor"):
        load(SceneSpec("moon"), (SIZE,))


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the layout of the real footage: the test clips of Ped2, and a track with 60 frames."""
    root = tmp_path_factory.mktemp("footage")
    rng = np.random.default_rng(0)
    for clip in (f"test_{number:02d}" for number in range(1, 13)):
        _write(root / "ucsd_ped2/frames" / clip, 10, rng)
        labels = root / "ucsd_ped2/labels" / f"{clip}.npy"
        labels.parent.mkdir(exist_ok=True)
        np.save(labels, np.r_[np.zeros(2), np.ones(8)].astype(np.uint8))
    _write(root / "donkeycar_lab/frames/tub_1", 60, rng)
    _write(root / "pets2001_d3c1/frames/d3c1", 60, rng)
    return root


def _write(folder: Path, count: int, rng: np.random.Generator) -> None:
    folder.mkdir(parents=True)
    for place in range(count):
        picture = rng.integers(0, 255, (15, 20, 3), np.uint8).repeat(6, 0).repeat(6, 1)
        (folder / f"{place:03d}.jpg").write_bytes(encode_jpeg(picture))


def test_ped2_is_pooled_with_a_clip_each(footage: Path) -> None:
    made = load(SceneSpec("ped2-82"), (SIZE,), footage)[SIZE]
    assert len(made.labels) == 120
    assert made.labels.mean() == pytest.approx(0.8)
    assert made.footage.clip.max() == 11


def test_a_lower_rate_takes_every_so_many_th_frame(footage: Path) -> None:
    whole, half = (load(SceneSpec("ped2-82", fps=fps), (SIZE,), footage)[SIZE] for fps in (10.0, 5.0))
    np.testing.assert_array_equal(half.footage.frames[:5], whole.footage.frames[:10:2])
    assert np.diff(half.footage.times_s)[0] == pytest.approx(0.2)


@pytest.mark.parametrize("scene", ["donkeycar-drops", "carpark-patches", "carpark-clean"])
def test_real_footage_is_cut_to_the_frames_asked_for(scene: str, footage: Path) -> None:
    assert is_available(scene, footage)
    made = load(replace(SceneSpec(scene, draw=5), frames=50), (SIZE,), footage)[SIZE]
    assert len(made.labels) == 50
    assert made.labels.any() == (scene == "donkeycar-drops")  # a patch takes longer to come than 50 frames


def test_every_real_scene_names_its_rate() -> None:
    assert all(real.fps > 0 for real in REAL.values())
