"""From frames and a model version to verdicts: the one core that offline scoring and the endpoints share."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from cameras.camera import AlertRule, Camera
from cameras.preprocess import check_aspect, preprocess, valid_pixels
from fleet.detector.footage import Footage
from fleet.errors import FleetError, NotFoundError
from fleet.registry import Registry
from fleet.store import Store
from fleet.versions import ModelVersion, load_detector, read_version

if TYPE_CHECKING:
    from fleet.detector import MleDetector
    from fleet.detector.evidence import EvidenceDetector

__all__ = [
    "ChannelScore",
    "LoadedModel",
    "Score",
    "Verdict",
    "channel_map_pictures",
    "error_map_picture",
    "in_force",
    "load_model",
    "load_version",
    "prepare",
    "score_footage",
    "score_source",
    "under_policy",
]

BATCH_FRAMES = 32


@dataclass(frozen=True, slots=True)
class ChannelScore:
    """One kind of evidence: `value` in its own units, `tail` -log of the share of training frames at or above it."""

    value: float
    tail: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a model version says of one frame.

    Attributes:
        pcc: correlation of the frame with its reconstruction (equation 2).
        threshold: mu - kappa std of the PCC (equation 9).
        score: what `anomalous` follows; higher is stranger. Under the rule `paper` it is 1 - pcc.
        score_threshold: a frame is anomalous above it.
        rule: what `score` and its threshold belong to: the one in force on the camera, or `paper` where channels are
            missing.
        evidence: the detector's score of the frame from the channels that it has. On one scale for every frame of a
            version, whatever the rule: this is what frames are ranked by.
        channels: the evidence by its name, without what says nothing in this light; empty for a method of one number.
        missing: channels that compare a frame with the one before it, where there is none. With fewer frames than the
            detector's `context` a channel averages over what there is.
    """

    pcc: float
    threshold: float
    score: float
    score_threshold: float
    rule: str
    anomalous: bool
    evidence: float
    channels: Mapping[str, ChannelScore] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Score:
    """The verdict on one frame of a source: `index` is its place there, `captured_at` is UTC, `clip` as in `Frame`."""

    camera: str
    model_version: str
    index: int
    captured_at: datetime
    verdict: Verdict
    clip: str = ""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A version with its detector, ready to score.

    Attributes:
        rule, score_threshold: what is in force on its camera by the alert policy `policy`.
    """

    version: ModelVersion
    detector: EvidenceDetector | MleDetector
    policy: AlertRule
    rule: str
    score_threshold: float

    @property
    def paper(self) -> MleDetector:
        """The part that reconstructs frames: the paper's detector, alone or inside ours."""
        from fleet.detector import MleDetector

        return self.detector if isinstance(self.detector, MleDetector) else self.detector.mle

    @property
    def fps(self) -> float:
        """The rate that frames without times are taken to come at: the one that motion was measured at."""
        from fleet.detector import MleDetector

        return self.version.preprocessing.fps if isinstance(self.detector, MleDetector) else self.detector.fps


def load_model(store: Store, camera: str, version: str | None = None) -> LoadedModel:
    """A camera's champion, or one of its versions by name.

    Raises:
        NotFoundError: the camera is not registered, has no model yet, or none of this name.
        StoreError: the version is damaged.
    """
    registry = Registry(store)
    name = version or registry.aliases(camera).champion
    if name is None:
        raise NotFoundError("has no model yet", f"fleet retrain {camera}", camera)
    return load_version(store, registry.camera(camera), name)


def load_version(store: Store, camera: Camera, name: str) -> LoadedModel:
    """A version of a camera's model, judging by the camera's alert policy.

    Raises:
        NotFoundError, StoreError: it is not there, or damaged.
    """
    version = read_version(store, camera.id, name)
    return LoadedModel(version, load_detector(store, version), camera.alert, *in_force(store, camera, version))


def under_policy(store: Store, camera: Camera, model: LoadedModel) -> LoadedModel:
    """The same model, judging by the camera's alert policy as it is now: nothing is trained anew."""
    rule, score_threshold = in_force(store, camera, model.version)
    return replace(model, policy=camera.alert, rule=rule, score_threshold=score_threshold)


def in_force(store: Store, camera: Camera, version: ModelVersion) -> tuple[str, float]:
    """The rule that a camera's frames are judged by and its threshold: by the camera's policy, else the version's own.

    Raises:
        NotFoundError, StoreError: the version's calibration is missing or damaged.
    """
    from fleet.alerting import read_calibration, threshold_in_force

    if camera.alert == AlertRule():
        return version.rule, version.score_threshold
    return threshold_in_force(camera, version, read_calibration(store, version))


def prepare(model: LoadedModel, image: np.ndarray) -> np.ndarray:
    """A picture (RGB) -> what the model sees, by the version's own preprocessing.

    Raises:
        FrameError: the picture cannot be of this camera.
    """
    check_aspect(image.shape[1], image.shape[0], (model.version.frame_width, model.version.frame_height))
    return preprocess(image, model.version.preprocessing)


def score_footage(model: LoadedModel, footage: Footage, places: Iterable[int]) -> list[Verdict]:
    """Verdicts on the frames at these places of prepared footage; the others are there to be looked back at.

    A frame that lacks a channel for want of earlier frames is judged by the paper's rule. What else stands in the
    footage, beyond the `context` frames before a frame, does not change its verdict.
    """
    scores = model.detector.score(footage)
    assert scores.pcc is not None  # both detectors that make versions reconstruct
    threshold = model.version.threshold
    verdicts = []
    for place in places:
        channels = {
            name: ChannelScore(float(channel.value[place]), float(channel.tail[place]))
            for name, channel in scores.channels.items()
            if np.isfinite(channel.value[place]) and np.isfinite(channel.tail[place])
        }
        missing = tuple(name for name, channel in scores.channels.items() if np.isnan(channel.value[place]))
        pcc, evidence = float(scores.pcc[place]), float(scores.score[place])
        rule, score_threshold = model.rule, model.score_threshold
        if missing and rule != "paper":
            rule, score_threshold = "paper", 1.0 - threshold
        score = 1.0 - pcc if rule == "paper" else evidence
        anomalous = score > score_threshold
        verdicts.append(Verdict(pcc, threshold, score, score_threshold, rule, anomalous, evidence, channels, missing))
    return verdicts


def error_map_picture(model: LoadedModel, prepared: np.ndarray, camera: Camera) -> np.ndarray:
    """Where a prepared picture is not as expected: uint8 (height, width), on a scale that is fixed per version.

    255 is the 99.9th percentile of the error over the frames that the model learnt from, so that two pictures of a
    camera compare, and a quiet one stays dark. What the camera hides by now is dark too, also where the version was
    trained before the mask was drawn.
    """
    errors = model.paper.error_map(prepared[None])[0] / max(model.paper.map_scale, 1e-6)
    return _picture(errors, model, camera)


def channel_map_pictures(model: LoadedModel, footage: Footage, camera: Camera) -> dict[str, np.ndarray]:
    """Where each channel finds the last frame of one clip strange: uint8 (height, width) by its name.

    On a scale that is fixed per version, and dark where the camera hides, as `error_map_picture`. Empty for a method
    of one number.
    """
    from fleet.detector import MleDetector

    if isinstance(model.detector, MleDetector):
        return {}
    return {name: _picture(found, model, camera) for name, found in model.detector.maps(footage).items()}


def _picture(strangeness: np.ndarray, model: LoadedModel, camera: Camera) -> np.ndarray:
    """float (height, width), 1 is full white -> uint8, dark where the camera hides."""
    picture = np.rint(np.clip(strangeness, 0, 1) * 255).astype(np.uint8)
    hiding = {"masks": camera.masks, "mask_png": camera.mask_png}
    shown = valid_pixels(model.version.preprocessing.model_copy(update=hiding))
    return picture if shown is None else picture * shown


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A frame of a source as the model sees it."""

    image: np.ndarray
    index: int
    captured_at: datetime
    clip: str


def score_source(
    model: LoadedModel, camera: Camera, source: str, on_frame: Callable[[int], None] = lambda count: None
) -> Iterator[Score]:
    """Score every frame that a source gives at the version's frame rate.

    Raises:
        SourceError: it does not open, or breaks.
        FrameError: a frame cannot be of this camera.
    """
    from cameras.sources import open_source

    before: deque[_Prepared] = deque(maxlen=model.detector.context)
    batch: list[_Prepared] = []

    def scores() -> Iterator[Score]:
        footage = _footage([*before, *batch])
        verdicts = score_footage(model, footage, range(len(before), len(footage)))
        for frame, verdict in zip(batch, verdicts, strict=True):
            yield Score(camera.id, model.version.version, frame.index, frame.captured_at, verdict, frame.clip)
        before.extend(batch)
        batch.clear()

    with open_source(source, model.version.preprocessing.fps, camera=camera.id) as frames:
        # A live frame is worth its score now, a file's frames are scored faster together.
        batch_frames = 1 if frames.live else BATCH_FRAMES
        for frame in frames:
            try:
                batch.append(_Prepared(prepare(model, frame.image), frame.index, frame.captured_at, frame.clip))
            except FleetError as error:
                raise error.about(camera.id) from None
            on_frame(1)
            if len(batch) == batch_frames:
                yield from scores()
        if batch:
            yield from scores()


def _footage(frames: Sequence[_Prepared]) -> Footage:
    # NumPy's times know no zone: these are UTC, and say so no longer.
    captured_at = np.array([frame.captured_at.replace(tzinfo=None) for frame in frames], "datetime64[us]")
    return Footage.captured(np.stack([frame.image for frame in frames]), captured_at, [frame.clip for frame in frames])
