"""From pictures and a model version to scores: the one core that offline scoring and the endpoints share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from cameras.camera import Camera
from cameras.preprocess import check_aspect, preprocess, valid_pixels
from fleet.errors import FleetError, NotFoundError
from fleet.registry import Registry
from fleet.store import Store
from fleet.versions import ModelVersion, load_detector, read_version

if TYPE_CHECKING:
    from fleet.detector import MleDetector

__all__ = ["LoadedModel", "Score", "Verdict", "error_map_picture", "load_model", "score_images", "score_source"]

BATCH_FRAMES = 32


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a model version says of one picture.

    Attributes:
        pcc: correlation of the frame with its reconstruction (equation 2).
        threshold: mu - kappa std of the PCC (equation 9).
        score: what `anomalous` follows; higher is stranger. Under the rule `paper` it is 1 - pcc.
        score_threshold: a frame is anomalous above it.
    """

    pcc: float
    threshold: float
    score: float
    score_threshold: float
    rule: str
    anomalous: bool


@dataclass(frozen=True, slots=True)
class Score:
    """The verdict on one frame of a source: `index` is its place there, `captured_at` is UTC."""

    camera: str
    model_version: str
    index: int
    captured_at: datetime
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A version with its detector, ready to score."""

    version: ModelVersion
    detector: MleDetector


def load_model(store: Store, camera: str, version: str | None = None) -> LoadedModel:
    """A camera's champion, or one of its versions by name.

    Raises:
        NotFoundError: the camera has no model yet, or none of this name.
        StoreError: the version is damaged.
    """
    name = version or Registry(store).aliases(camera).champion
    if name is None:
        raise NotFoundError("has no model yet", f"fleet retrain {camera}", camera)
    manifest = read_version(store, camera, name)
    return LoadedModel(manifest, load_detector(store, manifest))


def prepare(model: LoadedModel, image: np.ndarray) -> np.ndarray:
    """A picture (RGB) -> what the model sees, by the version's own preprocessing.

    Raises:
        FrameError: the picture cannot be of this camera.
    """
    check_aspect(image.shape[1], image.shape[0], (model.version.frame_width, model.version.frame_height))
    return preprocess(image, model.version.preprocessing)


def score_images(model: LoadedModel, prepared: Sequence[np.ndarray]) -> list[Verdict]:
    """Verdicts on prepared pictures; what stands beside a picture in a batch does not change its verdict."""
    version = model.version
    return [
        Verdict(
            pcc=float(pcc),
            threshold=version.threshold,
            score=1.0 - float(pcc),
            score_threshold=version.score_threshold,
            rule=version.rule,
            anomalous=bool(pcc < version.threshold),
        )
        for pcc in model.detector.pcc(np.stack(prepared))
    ]


def error_map_picture(model: LoadedModel, prepared: np.ndarray, camera: Camera) -> np.ndarray:
    """Where a prepared picture is not as expected: uint8 (height, width), on a scale that is fixed per version.

    255 is the 99.9th percentile of the error over the frames that the model learnt from, so that two pictures of a
    camera compare, and a quiet one stays dark. What the camera hides by now is dark too, also where the version was
    trained before the mask was drawn.
    """
    hiding = {"masks": camera.masks, "mask_png": camera.mask_png}
    shown = valid_pixels(model.version.preprocessing.model_copy(update=hiding))
    errors = model.detector.error_map(prepared[None])[0] / max(model.detector.map_scale, 1e-6)
    picture = np.rint(np.clip(errors, 0, 1) * 255).astype(np.uint8)
    return picture if shown is None else picture * shown


def score_source(
    model: LoadedModel, camera: Camera, source: str, on_frame: Callable[[int], None] = lambda count: None
) -> Iterator[Score]:
    """Score every frame that a source gives at the version's frame rate.

    Raises:
        SourceError: it does not open, or breaks.
        FrameError: a frame cannot be of this camera.
    """
    from cameras.sources import open_source

    def verdicts(batch: list[tuple[int, datetime, np.ndarray]]) -> Iterator[Score]:
        for (index, at, _), verdict in zip(batch, score_images(model, [image for *_, image in batch]), strict=True):
            yield Score(camera.id, model.version.version, index, at, verdict)

    batch: list[tuple[int, datetime, np.ndarray]] = []
    with open_source(source, model.version.preprocessing.fps, camera=camera.id) as frames:
        # A live frame is worth its score now, a file's frames are scored faster together.
        batch_frames = 1 if frames.live else BATCH_FRAMES
        for frame in frames:
            try:
                batch.append((frame.index, frame.captured_at, prepare(model, frame.image)))
            except FleetError as error:
                raise error.about(camera.id) from None
            on_frame(1)
            if len(batch) == batch_frames:
                yield from verdicts(batch)
                batch = []
        if batch:
            yield from verdicts(batch)
