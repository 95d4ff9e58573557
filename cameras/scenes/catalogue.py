"""The scenes by name, rendered to frames or written to files.

for frame, anomalous in render("corridor", draw=3): ...
files = write_scene("corridor", folder)       # corridor.mp4, corridor.labels.npy
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cameras.errors import UsageError
from cameras.scenes import corridor, driving, office, yard
from cameras.scenes.scene import Labelled, Picture, Plan, Scene
from cameras.scenes.timeline import events_by_clock, place_events
from cameras.scenes.video import write_h264

LOOK_VERSION = 2
"""Part of what makes a written scene reusable: raise it when a scene's pictures change."""

SCENES: dict[str, Scene] = {
    scene.name: scene
    for scene in (
        Scene(
            name="corridor",
            description="an indoor corridor; a crowd fills it",
            frames=1200,
            anomaly_ratio=0.20,
            most_events=3,
            paint=corridor.paint,
        ),
        Scene(
            name="office-alarm",
            description="an office at work; a fire alarm, people run",
            frames=902,
            anomaly_ratio=0.50,
            most_events=2,
            paint=office.paint,
        ),
        Scene(
            name="driving",
            description="a small car on a lab track; drops of water on the lens",
            frames=1800,
            anomaly_ratio=0.125,
            most_events=6,
            paint=driving.paint,
        ),
        Scene(
            name="yard",
            description="a loading yard outdoors, day and night; somebody climbs the fence, a vehicle or boxes astray",
            frames=3000,
            anomaly_ratio=0.05,
            most_events=2,
            paint=yard.paint,
            by_clock=True,
            start_s=10 * 3600.0,
        ),
    )
}


@dataclass(frozen=True)
class SceneFiles:
    """A written scene: `labels` holds a uint8 0/1 for each frame of `video`."""

    video: Path
    labels: Path
    fps: float
    frames: int
    anomalous: int


def scene_names() -> list[str]:
    """The scenes after the paper's, in its order; SCENES has those by the clock too."""
    return [name for name, scene in SCENES.items() if not scene.by_clock]


def plan_scene(
    name: str,
    draw: int = 0,
    frames: int | None = None,
    size: tuple[int, int] | None = None,
    anomaly_ratio: float | None = None,
    fps: float | None = None,
    start_s: float | None = None,
) -> Plan:
    """Fill in the defaults and place the events. Raises UsageError for a name or number that cannot be."""
    scene = SCENES.get(name)
    if scene is None:
        raise UsageError(f"there is no scene '{name}'", f"choose one of: {', '.join(SCENES)}")
    frames = scene.frames if frames is None else frames
    width, height = size or scene.size_px
    ratio = scene.anomaly_ratio if anomaly_ratio is None else anomaly_ratio
    if draw < 0:
        raise UsageError(f"draw {draw} of scene '{name}' is negative", "number draws from 0")
    if frames < 1:
        raise UsageError(f"scene '{name}' with {frames} frames is empty", "ask for at least 1 frame")
    if min(width, height) < 32 or width % 2 or height % 2:
        raise UsageError(
            f"scene '{name}' cannot be {width}x{height}",
            "H.264 needs even sides; give at least 32x32, such as 320x240",
        )
    if not 0 <= ratio <= 1:
        raise UsageError(f"anomaly ratio {ratio} is not a share", "give a number from 0 (clean) to 1")
    fps = scene.fps if fps is None else fps
    start_s = scene.start_s if start_s is None else start_s
    if not 0 < fps <= 60:
        raise UsageError(f"scene '{name}' cannot have {fps} frames a second", "give a rate above 0, up to 60")
    if start_s < 0 or (start_s > 0 and not scene.by_clock):
        clocks = ", ".join(name for name, scene in SCENES.items() if scene.by_clock)
        raise UsageError(f"scene '{name}' cannot start at {start_s} s", f"leave it out; by the clock are: {clocks}")
    plan = Plan(name, draw, frames, fps, (width, height), (), start_s)
    if scene.by_clock:
        first = round(start_s * fps)
        events = events_by_clock(plan.rng, first, frames, fps, ratio, scene.shortest_event_s)
    else:
        events = place_events(plan.rng("events"), frames, ratio, scene.most_events)
    return replace(plan, events=events)


def render(
    name: str,
    draw: int = 0,
    frames: int | None = None,
    size: tuple[int, int] | None = None,
    anomaly_ratio: float | None = None,
    fps: float | None = None,
    start_s: float | None = None,
) -> Iterator[Labelled]:
    """RGB frames (height, width, 3) uint8 with their labels, one at a time, the same for the same arguments.

    `draw` is another room with other people and event times; `size` is (width, height) in pixels;
    `anomaly_ratio` 0 gives a clean camera in the same room. `fps` sets how much happens between two frames.
    `start_s`, seconds into the day, is for scenes by the clock: parts of a day, drawn one by one or side by side,
    are the same frames as the whole. Raises UsageError for an unknown name or a number that cannot be.
    """
    plan = plan_scene(name, draw, frames, size, anomaly_ratio, fps, start_s)
    return SCENES[name].paint(plan)


def write_scene(
    name: str,
    folder: Path | str,
    draw: int = 0,
    frames: int | None = None,
    size: tuple[int, int] | None = None,
    anomaly_ratio: float | None = None,
    on_frame: Callable[[int, int], None] | None = None,
    fps: float | None = None,
    start_s: float | None = None,
) -> SceneFiles:
    """Write `<folder>/<name>.mp4` and `<name>.labels.npy`, or find them written with the same arguments.

    Files get their names when they are complete, and `<name>.scene.json` last: it says what the others hold,
    and without it they are written again. `on_frame(done, total)` is called after each new frame.
    """
    plan = plan_scene(name, draw, frames, size, anomaly_ratio, fps, start_s)
    folder = Path(folder)
    video, labels, card = (folder / f"{name}.{end}" for end in ("mp4", "labels.npy", "scene.json"))
    files = SceneFiles(video, labels, plan.fps, plan.frames, plan.anomalous)
    made_from = {
        "scene": name,
        "draw": plan.draw,
        "frames": plan.frames,
        "fps": plan.fps,
        "size_px": list(plan.size_px),
        "events": [[event.start, event.stop] for event in plan.events],
        "start_s": plan.start_s,
        "look_version": LOOK_VERSION,
    }
    if labels.exists() and video.exists() and _read_card(card) == made_from | {"bytes": video.stat().st_size}:
        return files

    folder.mkdir(parents=True, exist_ok=True)
    targets = (video, labels, card)
    drafts = [path.with_name(f".{path.name}.{os.getpid()}.part") for path in targets]
    marks: list[bool] = []

    def frames_and_marks() -> Iterator[Picture]:
        for picture, anomalous in SCENES[name].paint(plan):
            yield picture
            marks.append(anomalous)
            if on_frame is not None:
                on_frame(len(marks), plan.frames)

    try:
        write_h264(drafts[0], frames_and_marks(), plan.fps, plan.size_px)
        with drafts[1].open("wb") as file:
            np.save(file, np.array(marks, np.uint8), allow_pickle=False)
        drafts[2].write_text(json.dumps(made_from | {"bytes": drafts[0].stat().st_size}, indent=1) + "\n")
        card.unlink(missing_ok=True)
        for draft, path in zip(drafts, targets, strict=True):
            os.replace(draft, path)
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)
    return files


def _read_card(path: Path) -> dict[str, object] | None:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
