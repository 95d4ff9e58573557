"""The scenes that methods are measured on: a name -> frames of one camera, with a label each.

Generated scenes take a draw (another room, other people, other times) and a share of anomalous frames. Real ones need a
folder of footage, `frames/<clip>/*.jpg` and `labels/<clip>.npy` under the name of each data set:

    ped2-20          UCSD Ped2 as one contaminated camera: every training clip and six of the test clips, 20 % anomalous
    ped2-82          its twelve test clips, 82 % anomalous
    donkeycar-drops  a small car's view of a track (the draw says which), drops of water drawn over it
    carpark-patches  PETS 2001, camera 1: pieces of the scene's own other places pasted in
    carpark-clean    the same without them: clouds only

Labels are read for measuring. No method sees them but the one-class ones, which the paper gives the clean frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cameras.camera import Preprocessing, Size
from cameras.errors import UsageError
from cameras.images import decode_image
from cameras.preprocess import preprocess
from cameras.scenes import SCENES, render
from fleet.detector.footage import Footage

__all__ = ["REAL", "Labelled", "SceneSpec", "is_available", "load"]

PixelSize = tuple[int, int]
"""Width and height."""

CONTAMINATED_TESTS = (1, 2, 4, 5, 7, 12)
PED2_FPS, CARPARK_FPS, DONKEYCAR_FPS = 10.0, 5.0, 20.0


@dataclass(frozen=True)
class SceneSpec:
    """What is looked at, before it is scaled.

    Attributes:
        scene: a generated scene's name, or one of `REAL`.
        draw: which room and events; of no meaning to Ped2.
        frames: at most so many; None takes the scene's own. With `starts_s`, so many from each start.
        ratio: share of anomalous frames in a generated scene; None takes the scene's own.
        fps: sampled at this rate; None takes the scene's own.
        starts_s: seconds into a generated scene's day, a clip each; empty begins where the scene does.
        render_px: a generated scene is drawn at this size; None takes the scene's own.
    """

    scene: str
    draw: int = 0
    frames: int | None = None
    ratio: float | None = None
    fps: float | None = None
    starts_s: tuple[float, ...] = ()
    render_px: PixelSize | None = None

    @property
    def is_real(self) -> bool:
        return self.scene in REAL


@dataclass(frozen=True, eq=False)
class Labelled:
    """Grey footage, and bool (N,): which of its frames are anomalous."""

    footage: Footage
    labels: NDArray[np.bool_]


def is_available(scene: str, root: Path | None) -> bool:
    """Whether a scene can be loaded: it is generated, or its footage is under `root`."""
    if scene not in REAL:
        return scene in SCENES
    return root is not None and (root / REAL[scene].folder / "frames").is_dir()


def load(spec: SceneSpec, sizes: tuple[PixelSize, ...], root: Path | None = None) -> dict[PixelSize, Labelled]:
    """The scene at each working size, grey: its pictures are made or decoded once.

    Raises:
        UsageError: there is no such scene, or its footage is not under `root`.
    """
    if not is_available(spec.scene, root):
        if spec.scene in REAL:
            raise UsageError(f"the footage of '{spec.scene}' is missing", "--footage FOLDER, or FLEET_FOOTAGE")
        raise UsageError(f"there is no scene '{spec.scene}'", f"choose one of: {', '.join((*SCENES, *REAL))}")
    if spec.is_real:
        assert root is not None
        own = REAL[spec.scene]
        fps, pictures = spec.fps or own.fps, own.read(root / own.folder, spec)
    else:
        fps, pictures = spec.fps or SCENES[spec.scene].fps, _generated(spec)
    preparations = {size: Preprocessing(size=Size(*size)) for size in sizes}
    frames: dict[PixelSize, list[NDArray[np.uint8]]] = {size: [] for size in sizes}
    labels: list[bool] = []
    clips: list[int] = []
    for picture, anomalous, clip in pictures:
        if spec.is_real and spec.frames is not None and len(labels) == spec.frames:
            break
        for size, preparation in preparations.items():
            frames[size].append(preprocess(picture, preparation))
        labels.append(anomalous)
        clips.append(clip)
    marks = np.array(labels, bool)
    return {
        size: Labelled(Footage.of(np.stack(of_size), fps, np.array(clips)), marks) for size, of_size in frames.items()
    }


# -- where pictures come from: RGB, whether it is anomalous, and the number of its clip

Pictures = Iterator[tuple[NDArray[np.uint8], bool, int]]


def _generated(spec: SceneSpec) -> Pictures:
    when: dict[str, Any] = {} if spec.fps is None else {"fps": spec.fps}
    for clip, start_s in enumerate(spec.starts_s or (None,)):
        if start_s is not None:
            when["start_s"] = start_s
        for picture, anomalous in render(spec.scene, spec.draw, spec.frames, spec.render_px, spec.ratio, **when):
            yield picture, anomalous, clip


@dataclass(frozen=True)
class RealScene:
    """A data set's folder, its frame rate as the scene takes it, and how the scene is read from it."""

    folder: str
    fps: float
    read: Callable[[Path, SceneSpec], Pictures]


def _ped2(clips: tuple[str, ...], fps: float, folder: Path, spec: SceneSpec) -> Pictures:
    step = round(PED2_FPS / (spec.fps or fps))
    for number, clip in enumerate(clips):
        labels = np.load(folder / "labels" / f"{clip}.npy", allow_pickle=False)
        for path, label in list(zip(_paths(folder / "frames" / clip), labels, strict=True))[::step]:
            yield _picture(path), bool(label), number


def _donkeycar(folder: Path, spec: SceneSpec) -> Pictures:
    from cameras.scenes.overlay import wet_lens

    tracks = sorted(path for path in (folder / "frames").iterdir() if path.is_dir())
    paths = _paths(tracks[spec.draw % len(tracks)])[: spec.frames]
    for picture, anomalous in wet_lens(map(_picture, paths), spec.draw, DONKEYCAR_FPS, count=len(paths)):
        yield picture, anomalous, 0


def _carpark(patches: bool, folder: Path, spec: SceneSpec) -> Pictures:
    from cameras.scenes.overlay import paste_patches

    paths = [path for clip in sorted((folder / "frames").iterdir()) for path in _paths(clip)][: spec.frames]
    if not patches:
        yield from ((_picture(path), False, 0) for path in paths)
        return
    for picture, anomalous in paste_patches(map(_picture, paths), spec.draw, CARPARK_FPS, count=len(paths)):
        yield picture, anomalous, 0


_TRAIN = tuple(f"train_{number:02d}" for number in range(1, 17))
_TEST = tuple(f"test_{number:02d}" for number in range(1, 13))
_PED2_20 = (*_TRAIN, *(_TEST[number - 1] for number in CONTAMINATED_TESTS))

REAL: dict[str, RealScene] = {
    "ped2-20": RealScene("ucsd_ped2", PED2_FPS / 2, partial(_ped2, _PED2_20, PED2_FPS / 2)),
    "ped2-82": RealScene("ucsd_ped2", PED2_FPS, partial(_ped2, _TEST, PED2_FPS)),
    "donkeycar-drops": RealScene("donkeycar_lab", DONKEYCAR_FPS, _donkeycar),
    "carpark-patches": RealScene("pets2001_d3c1", CARPARK_FPS, partial(_carpark, True)),
    "carpark-clean": RealScene("pets2001_d3c1", CARPARK_FPS, partial(_carpark, False)),
}


def _paths(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jpg"))


def _picture(path: Path) -> NDArray[np.uint8]:
    picture: NDArray[np.uint8] = decode_image(path.read_bytes(), path.name)
    return picture
