"""The demo: three generated cameras from nothing to scored frames, the whole road on one machine.

    scenes -> add-camera -> retrain -> serve -> score over HTTP -> a table and a picture a camera

The ground truth is written beside the videos and read only for the table's AUC, after everything else is decided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cameras.preprocess import preprocess, valid_pixels
from fleet.errors import ConflictError
from fleet.registry import Registry, make_camera
from fleet.store import Store

if TYPE_CHECKING:
    from cameras.frame import Frame
    from cameras.scenes import SceneFiles

__all__ = ["DemoRow", "register_scenes", "score_scene", "write_scenes"]

HTTP_CLIENTS = 8
JPEG_QUALITY = 95
DEMO_TAGS = {"demo": "yes"}


@dataclass(frozen=True)
class DemoRow:
    """A line of the demo's table.

    `auc` is of the endpoint's score, over the frames that have enough before them for every channel; `auc_median` is of
    PCC to the median frame.
    """

    camera: str
    frames: int
    sigma: float
    lam: float
    threshold: float
    collapsed: bool
    flagged: int
    auc: float
    auc_median: float
    picture: Path

    def to_dict(self) -> dict[str, Any]:
        row = {"lambda" if name == "lam" else name: value for name, value in asdict(self).items()}
        return {**row, "picture": str(self.picture)}


def write_scenes(
    folder: Path, on_frame: Callable[[str, int, int], None], frames: int | None = None
) -> dict[str, SceneFiles]:
    """The three scenes as H.264 files with their labels; those that are there already are kept.

    Args:
        on_frame: told the scene, how many of its frames are done, and how many there will be.
        frames: of each scene, instead of its own number.
    """
    from cameras.scenes import scene_names, write_scene

    def one(name: str) -> SceneFiles:
        return write_scene(name, folder, frames=frames, on_frame=lambda done, total: on_frame(name, done, total))

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(scene_names(), pool.map(one, scene_names()), strict=True))


def register_scenes(store: Store, scenes: dict[str, SceneFiles]) -> None:
    """A camera for each scene, in place of the one that an earlier demo left.

    Raises:
        ConflictError: there is a camera of that id that no demo made.
    """
    registry = Registry(store)
    others = {camera.id for camera in registry.cameras() if camera.tags != DEMO_TAGS} & scenes.keys()
    if others:
        raise ConflictError("is a camera of this store, and none of the demo's", "fleet demo --folder DIR", min(others))
    for name, files in scenes.items():
        camera = make_camera(id=name, source=str(files.video.absolute()), fps=files.fps, search="quick", tags=DEMO_TAGS)
        registry.add(camera, replace=True)


def score_scene(
    store: Store, url: str, name: str, files: SceneFiles, folder: Path, on_frame: Callable[[], None]
) -> DemoRow:
    """Post every frame of a scene to its endpoint, compare with the ground truth, draw the picture."""
    from sklearn.metrics import roc_auc_score

    from cameras.images import encode_jpeg
    from cameras.sources import open_source
    from fleet.detector import median_pcc
    from fleet.figures import draw_scored_camera
    from fleet.scoring import error_map_picture, load_model

    model = load_model(store, name)
    prep = model.version.preprocessing
    with open_source(str(files.video), prep.fps, camera=name) as source:
        frames = list(source)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.jpg").write_bytes(encode_jpeg(frames[0].image, JPEG_QUALITY))  # one to post by hand
    answers = post_frames(url, name, frames, model.detector.context, on_frame)
    seen = np.stack([preprocess(frame.image, prep) for frame in frames])
    truth = np.load(files.labels)[[frame.index for frame in frames]].astype(bool)
    whole = np.array([not answer["missing_channels"] for answer in answers])
    score = np.where(whole, [answer["score"] for answer in answers], np.nan)
    worst = int(np.nanargmax(score))
    picture = folder / f"{name}.png"
    auc = float(roc_auc_score(truth[whole], score[whole]))
    draw_scored_camera(
        picture,
        title=f"{name}: AUC {auc:.3f} without a label (sigma {model.version.sigma:g}, lambda {model.version.lam:g})",
        pcc=np.array([answer["pcc"] for answer in answers]),
        threshold=model.version.threshold,
        seconds=np.array([frame.index for frame in frames]) / files.fps,
        events=truth,
        frame=seen[worst],
        reconstruction=_to_uint8(model.paper.reconstruct(seen[worst : worst + 1])[0]),
        error_map=error_map_picture(model, seen[worst], Registry(store).camera(name)),
        worst=worst,
        score=score if answers[worst]["channels"] else None,
        score_threshold=answers[worst]["score_threshold"],
    )
    return DemoRow(
        camera=name,
        frames=len(frames),
        sigma=model.version.sigma,
        lam=model.version.lam,
        threshold=model.version.threshold,
        collapsed=model.version.collapsed,
        flagged=sum(answer["anomalous"] for answer in answers),
        auc=auc,
        auc_median=float(roc_auc_score(truth, 1 - median_pcc(seen, valid_pixels(prep)))),
        picture=picture,
    )


def post_frames(
    url: str, camera: str, frames: Sequence[Frame], context: int, on_frame: Callable[[], None] = lambda: None
) -> list[dict[str, Any]]:
    """Post each frame with the `context` frames before it as JPEGs, as a camera would; the answers in order."""
    import httpx

    from cameras.images import encode_jpeg

    with (
        httpx.Client(timeout=30.0, limits=httpx.Limits(max_connections=HTTP_CLIENTS)) as client,
        ThreadPoolExecutor(HTTP_CLIENTS) as pool,
    ):
        encoded = list(pool.map(lambda frame: encode_jpeg(frame.image, JPEG_QUALITY), frames))

        def one(last: int) -> dict[str, Any]:
            window = range(max(0, last - context), last + 1)
            reply = client.post(
                f"{url}/cameras/{camera}/score",
                files=[("frame", (f"{place}.jpg", encoded[place])) for place in window],
                data={"time": [frames[place].captured_at.isoformat() for place in window]},
            )
            reply.raise_for_status()
            on_frame()
            answer: dict[str, Any] = reply.json()
            return answer

        return list(pool.map(one, range(len(frames))))


def _to_uint8(reconstruction: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(reconstruction, 0, 1) * 255).astype(np.uint8)
