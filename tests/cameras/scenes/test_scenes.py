"""Generated scenes: the same for the same arguments, honest labels, real files, and neither trivial nor impossible."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cameras.errors import UsageError
from cameras.scenes import SCENES, render, scene_names, write_scene
from cameras.scenes.catalogue import plan_scene
from cameras.scenes.timeline import place_events

SMALL = (96, 64)
NAMES = ("corridor", "office-alarm", "driving")


def first(name: str, count: int, **asked: object) -> np.ndarray:
    return np.stack([frame for frame, _ in itertools.islice(render(name, **asked), count)])


def test_the_three_scenes_of_the_paper() -> None:
    assert tuple(scene_names()) == NAMES
    assert [SCENES[name].anomaly_ratio for name in NAMES] == [0.20, 0.50, 0.125]
    assert [SCENES[name].frames for name in NAMES] == [1200, 902, 1800]
    assert all(scene.name == name and scene.description and scene.fps == 5.0 for name, scene in SCENES.items())


def test_importing_cameras_leaves_the_scenes_alone() -> None:
    check = "import sys, cameras; assert not any(m.startswith('cameras.scenes') for m in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)


@pytest.mark.parametrize("name", NAMES)
def test_frames_are_rgb_bytes_and_the_same_for_the_same_arguments(name: str) -> None:
    asked = {"frames": 60, "size": SMALL, "draw": 3, "anomaly_ratio": 0.5}
    frames = first(name, 40, **asked)
    assert frames.shape == (40, 64, 96, 3)
    assert frames.dtype == np.uint8
    assert frames[0].flags.c_contiguous
    np.testing.assert_array_equal(frames, first(name, 40, **asked))


@pytest.mark.parametrize("name", NAMES)
def test_draws_differ(name: str) -> None:
    one, other = (first(name, 2, frames=60, size=SMALL, draw=draw)[1].astype(float) for draw in (0, 1))
    assert np.abs(one - other).mean() > 8


@pytest.mark.parametrize("name", NAMES)
def test_a_clean_camera_sees_the_same_room(name: str) -> None:
    clean = list(render(name, frames=60, size=SMALL, anomaly_ratio=0))
    assert not any(anomalous for _, anomalous in clean)
    dirty = list(render(name, frames=60, size=SMALL, anomaly_ratio=0.5))
    before = next(index for index, (_, anomalous) in enumerate(dirty) if anomalous)
    for index in range(before):
        np.testing.assert_array_equal(clean[index][0], dirty[index][0])
    assert any((clean[index][0] != dirty[index][0]).any() for index in range(before, 60))


@pytest.mark.parametrize("name", NAMES)
def test_default_ratio_is_met_by_every_draw(name: str) -> None:
    for draw in range(10):
        plan = plan_scene(name, draw)
        labels = np.array([plan.event_at(frame) is not None for frame in range(plan.frames)])
        assert abs(labels.mean() - SCENES[name].anomaly_ratio) < 0.01
        assert all(0 <= event.start < event.stop <= plan.frames for event in plan.events)


@pytest.mark.parametrize("ratio", [0.0, 0.03, 0.125, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("frames", [1, 7, 100, 999])
def test_events_cover_the_share_exactly(frames: int, ratio: float) -> None:
    for seed in range(20):
        events = place_events(np.random.default_rng(seed), frames, ratio, most_events=5)
        assert sum(len(event) for event in events) == round(ratio * frames)
        assert all(one.stop <= two.start for one, two in itertools.pairwise(events))
        assert all(0 <= event.start < event.stop <= frames for event in events)


def test_a_day_of_frames_starts_at_once() -> None:
    """Nothing is as long as the recording: a day at 5 frames a second yields its first frames like a minute does."""
    frames = first("corridor", 3, frames=432_000, size=SMALL, anomaly_ratio=0.01)
    assert len(frames) == 3


@pytest.mark.parametrize("name", NAMES)
def test_files_decode_to_the_frames_that_were_drawn(name: str, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    files = write_scene(
        name, tmp_path / "new", frames=50, size=(160, 120), on_frame=lambda done, total: seen.append((done, total))
    )
    labels = np.load(files.labels, allow_pickle=False)
    assert labels.dtype == np.uint8
    assert labels.shape == (50,) == (files.frames,)
    assert labels.sum() == files.anomalous == round(50 * SCENES[name].anomaly_ratio)
    assert seen == [(done, 50) for done in range(1, 51)]
    with av.open(str(files.video)) as video:
        stream = video.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert float(stream.average_rate) == files.fps
        decoded = [frame.to_ndarray(format="rgb24") for frame in video.decode(stream)]
    drawn = list(render(name, frames=50, size=(160, 120)))
    assert len(decoded) == 50
    assert [anomalous for _, anomalous in drawn] == labels.astype(bool).tolist()
    for (frame, _), shown in zip(drawn, decoded, strict=True):
        assert np.abs(frame.astype(float) - shown).mean() < 8


def test_complete_files_are_reused_and_others_are_not(tmp_path: Path) -> None:
    asked = {"frames": 12, "size": SMALL}
    files = write_scene("corridor", tmp_path, **asked)
    bytes_ = files.video.read_bytes()
    written = files.video.stat().st_mtime_ns
    assert write_scene("corridor", tmp_path, **asked) == files
    assert files.video.stat().st_mtime_ns == written

    files.labels.unlink()
    write_scene("corridor", tmp_path, **asked)
    assert files.video.read_bytes() == bytes_
    assert files.video.stat().st_mtime_ns != written

    other = write_scene("corridor", tmp_path, draw=1, **asked)
    assert files.video.read_bytes() != bytes_
    (tmp_path / "corridor.scene.json").write_text("{half a fi")
    assert write_scene("corridor", tmp_path, draw=1, **asked) == other
    assert json.loads((tmp_path / "corridor.scene.json").read_text())["draw"] == 1


def test_an_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_scene("driving", tmp_path, frames=20, size=SMALL, on_frame=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"name": "car-park"}, "corridor, office-alarm, driving"),
        ({"name": "corridor", "draw": -1}, "from 0"),
        ({"name": "corridor", "frames": 0}, "at least 1"),
        ({"name": "corridor", "size": (161, 120)}, "even"),
        ({"name": "corridor", "anomaly_ratio": 1.5}, "0 (clean) to 1"),
    ],
)
def test_what_cannot_be_says_what_can(asked: dict[str, object], says: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        render(**asked)
    assert says in str(raised.value)
    with pytest.raises(UsageError):
        write_scene(folder=tmp_path / "none", **asked)
    assert not (tmp_path / "none").exists()


def grey(name: str, frames: int, draw: int = 0, anomaly_ratio: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Frames at a detector's working size, (n, 64 * 96), and labels (n,)."""
    rows, labels = [], []
    for frame, anomalous in render(name, draw, frames, (160, 120), anomaly_ratio):
        small = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (96, 64), interpolation=cv2.INTER_AREA)
        rows.append(small.ravel().astype(np.float32))
        labels.append(anomalous)
    return np.stack(rows), np.array(labels)


def median_pcc(frames: np.ndarray) -> np.ndarray:
    def standard(rows: np.ndarray) -> np.ndarray:
        return (rows - rows.mean(-1, keepdims=True)) / rows.std(-1, keepdims=True)

    return (standard(frames) * standard(np.median(frames, axis=0))).mean(-1)


def change(frames: np.ndarray) -> np.ndarray:
    steps = np.abs(np.diff(frames, axis=0)).mean(-1)
    return np.concatenate([steps[:1], steps])


def test_a_crowd_in_the_corridor_is_plain_to_see() -> None:
    frames, labels = grey("corridor", 400)
    assert roc_auc_score(labels, -median_pcc(frames)) > 0.9


def test_drops_do_not_show_in_frame_differences() -> None:
    """Nor are they invisible: the view flows past, and what they cover does not."""
    frames, labels = grey("driving", 600)
    assert roc_auc_score(labels, change(frames)) < 0.7
    assert 0.6 < roc_auc_score(labels, -median_pcc(frames)) < 0.99


def test_an_alarm_moves_more_than_office_work_does() -> None:
    frames, labels = grey("office-alarm", 400)
    assert roc_auc_score(labels, change(frames)) > 0.8


def test_a_clean_office_still_changes() -> None:
    """Sun, seats and screens: without them a comparison with the usual frame would find anything."""
    frames, _ = grey("office-alarm", 400, anomaly_ratio=0)
    assert np.percentile(1 - median_pcc(frames), 95) > 0.01
