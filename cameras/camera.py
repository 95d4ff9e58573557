"""`Camera`: the declarative record of one fixed camera, and `Preprocessing`, the part of it that a model depends on."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from cameras.errors import FrameError, UsageError
from cameras.secrets import check_no_secret, redact

__all__ = [
    "AlertRule",
    "Camera",
    "Polygon",
    "Preprocessing",
    "Size",
    "check_id",
    "parse_polygon",
    "validation_message",
]

_ID = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class Size(NamedTuple):
    """Width and height in pixels, written `96x64`."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


Polygon = tuple[tuple[float, float], ...]


def check_id(camera_id: str) -> str:
    """A camera's id: 1 to 63 of a-z, 0-9 and '-', as in a host name, so that it can stand in any path or metric.

    Raises:
        ValueError: with a proposal, where one can be made.
    """
    if _ID.fullmatch(camera_id):
        return camera_id
    if ":" in camera_id or "@" in camera_id or "/" in camera_id:
        raise ValueError("this looks like a source, not like an id: fleet add-camera ID SOURCE")
    proposal = re.sub(r"[^a-z0-9]+", "-", camera_id.lower()).strip("-")[:63].strip("-")
    hint = f": try '{proposal}'" if proposal else ""
    raise ValueError(f"camera id '{camera_id[:80]}' may hold 1 to 63 of a-z, 0-9 and inner '-'{hint}")


def parse_polygon(text: str) -> Polygon:
    """`0,0 0.5,0 0.5,0.4` -> its points, each a share of the frame's width and height.

    Raises:
        ValueError: fewer than three points, or a coordinate outside 0 to 1.
    """
    try:
        points = tuple((float(x), float(y)) for x, y in (point.split(",") for point in text.split()))
    except ValueError:
        raise ValueError(f"'{text[:80]}' is no polygon: write points as x,y shares: '0,0 0.5,0 0.5,0.4'") from None
    return points


def _polygon(value: object) -> object:
    return parse_polygon(value) if isinstance(value, str) else value


def _check_polygon(points: Polygon) -> Polygon:
    if len(points) < 3:
        raise ValueError(f"a mask's polygon has at least 3 points, not {len(points)}")
    if not all(0 <= c <= 1 for point in points for c in point):
        raise ValueError("a mask's points are shares of width and height, from 0 to 1")
    return points


def _size(value: object) -> object:
    if isinstance(value, str):
        match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", value)
        if not match:
            raise ValueError(f"size '{value[:40]}' is not WIDTHxHEIGHT, such as 96x64")
        return Size(int(match[1]), int(match[2]))
    return value


def _check_size(size: Size) -> Size:
    if not (16 <= size.width <= 1920 and 16 <= size.height <= 1920):
        raise ValueError(f"size {size} is out of range: 16 to 1920 pixels a side")
    return size


def _check_crop(crop: tuple[float, float, float, float] | None) -> tuple[float, float, float, float] | None:
    if crop is not None:
        left, top, right, bottom = crop
        if not (0 <= left <= right - 0.05 <= 0.95 and 0 <= top <= bottom - 0.05 <= 0.95):
            raise ValueError(
                "crop is left, top, right, bottom as shares from 0 to 1, left < right and top < bottom by 0.05"
            )
    return crop


def _check_mask_png(mask_png: str | None) -> str | None:
    if mask_png is not None:
        from cameras.images import decode_image  # here: OpenCV and NumPy take longer to import than `fleet --help`

        try:
            decode_image(base64.b64decode(mask_png, validate=True), "the mask picture")
        except FrameError as error:
            raise ValueError(error.cause) from None
        except ValueError:
            raise ValueError("the mask picture is not base64") from None
    return mask_png


def _check_tags(tags: dict[str, str]) -> dict[str, str]:
    for key, value in tags.items():
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,63}", key) or not re.fullmatch(r"[A-Za-z0-9_. -]{0,63}", value):
            raise ValueError(
                f"tag '{key[:40]}={value[:40]}' may hold letters, digits, '_', '.', '-': --tag site=berlin"
            )
    return tags


def _check_source(source: str) -> str:
    if not source.strip():
        raise ValueError("the source is empty: give a stream's address, a video file or a folder of images")
    try:
        check_no_secret(source)
    except UsageError as error:
        raise ValueError(f"{error.cause}: {error.remedy}") from None
    return source


class Preprocessing(BaseModel):
    """What is done to a frame before a model sees it. Copied into every model version and used with it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    fps: float = Field(
        2.0,
        gt=0,
        le=60,
        title="Frames per second",
        description="How many frames a second are taken from a stream or a video. An image folder counts every file "
        "as a frame; there it only gives the frames their times.",
    )
    size: Annotated[
        Size,
        BeforeValidator(_size),
        AfterValidator(_check_size),
        PlainSerializer(str, return_type=str),
    ] = Field(
        Size(96, 64),
        title="Working size",
        description="WIDTHxHEIGHT in pixels that the model sees, 16 to 1920 a side. Details smaller than a few of "
        "these pixels cannot be noticed.",
    )
    color: bool = Field(False, title="Colour", description="Learn from colour instead of grey.")
    masks: tuple[Annotated[Polygon, BeforeValidator(_polygon), AfterValidator(_check_polygon)], ...] = Field(
        (),
        title="Privacy masks",
        description="Polygons of points that are shares of width and height. Masked pixels are black before a frame "
        "is stored or scored, and count nowhere.",
        max_length=64,
    )
    mask_png: Annotated[str | None, AfterValidator(_check_mask_png)] = Field(
        None,
        title="Privacy mask picture",
        description="A PNG, base64, of any size: what is not black in it is masked.",
        max_length=1_400_000,
    )
    crop: Annotated[tuple[float, float, float, float] | None, AfterValidator(_check_crop)] = Field(
        None,
        title="Crop",
        description="left, top, right, bottom as shares of width and height: the part of the frame that is used.",
    )


class AlertRule(BaseModel):
    """From which score on a frame is anomalous. It is applied to the scores that a model version keeps of its training
    frames, so that a change holds at once and for every version. What is None is as the rule has it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    rule: Literal["paper", "tail", "reference", "budget"] | None = Field(
        None, title="Rule", description="paper, tail, reference or budget; none is the one that the model came with."
    )
    kappa: float | None = Field(
        None,
        ge=-100,
        le=100,
        title="Kappa",
        description="paper: PCC lies so many standard deviations below its mean.",
    )
    p: float | None = Field(
        None,
        ge=1e-9,
        le=0.5,
        title="Tail probability",
        description="tail: usual footage stays above the threshold in a stretch of 20 seconds with this probability.",
    )
    quantile: float | None = Field(
        None, ge=0.5, le=1, title="Quantile", description="reference: of the scores in the event-free window."
    )
    reference_share: float | None = Field(
        None,
        ge=0.001,
        le=1,
        title="Reference share",
        description="reference: the first so many of the training frames are free of events, where no times are given.",
    )
    reference_from: AwareDatetime | None = Field(
        None, title="Reference from", description="reference: when the event-free window begins, with its UTC offset."
    )
    reference_to: AwareDatetime | None = Field(None, title="Reference to", description="reference: when it ends.")
    per_day: float | None = Field(
        None, ge=0.001, le=100_000, title="Alerts a day", description="budget: at most so many events a day."
    )
    drift_s: float | None = Field(
        None,
        ge=0,
        le=604_800,
        title="Drift window",
        description="Any rule: seconds of the running median of recent scores that is subtracted; 0 for none.",
    )

    @model_validator(mode="after")
    def _window_has_a_length(self) -> AlertRule:
        if self.reference_from and self.reference_to and not self.reference_from < self.reference_to:
            raise ValueError("the reference window ends before it begins")
        return self


class Camera(Preprocessing):
    """One fixed camera, as it is registered.

    Raises:
        ValidationError: on construction; `validation_message` makes it one line for people.
    """

    id: Annotated[str, AfterValidator(check_id)] = Field(title="Id", description="1 to 63 of a-z, 0-9 and inner '-'.")
    source: Annotated[str, AfterValidator(_check_source)] = Field(
        title="Source",
        description="Where frames come from: rtsp://, rtsps://, http:// or https:// (MJPEG or snapshots), a video "
        "file, a folder of images, or a Donkeycar tub. Credentials only by reference: ${CAM_PASS}.",
        max_length=2048,
    )
    tags: Annotated[dict[str, str], AfterValidator(_check_tags)] = Field(
        default_factory=dict,
        title="Tags",
        description="Names and values to pick cameras by: --tag site=berlin.",
        max_length=32,
    )
    search: str = Field(
        "default",
        title="Search",
        description="The search that retraining uses: paper, default, quick, or the path of a YAML file.",
        max_length=1024,
    )
    alert: AlertRule = Field(
        default_factory=AlertRule,
        title="Alert",
        description="From which score on a frame is anomalous; changed at any time, without retraining.",
    )
    registered_at: datetime = Field(
        default_factory=lambda: datetime.now(UTC), title="Registered at", description="UTC."
    )
    generation: int = Field(
        0, ge=0, title="Generation", description="Grows by one with every change; 0 is not stored yet."
    )

    @property
    def preprocessing(self) -> Preprocessing:
        """The part that a model version copies."""
        return Preprocessing(**{name: getattr(self, name) for name in Preprocessing.model_fields})

    def public(self) -> dict[str, Any]:
        """The record as it may be shown or sent: the source is redacted, a mask's picture is only counted."""
        shown = self.model_dump(mode="json")
        shown["source"] = redact(self.source)
        if self.mask_png:
            shown["mask_png"] = f"{len(self.mask_png)} characters"
        return shown


def validation_message(error: ValidationError) -> str:
    """A pydantic error as one line for people: each field, its rule, and never the value that was refused."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        where = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        lines.append(f"{where}: {message}" if where and problem["type"] != "value_error" else message)
    return "; ".join(lines)
