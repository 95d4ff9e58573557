"""The HTTP endpoints, one a camera. For people, tools and tests; streams go to the Scorer by handle."""

import base64
import logging
from typing import Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict
from ray import serve
from ray.exceptions import RayActorError
from ray.serve.config import BackpressureConfig
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle
from starlette.exceptions import HTTPException

from cameras.camera import Camera, check_id
from fleet import __version__
from fleet.errors import FleetError, NotFoundError
from fleet.scoring import in_force
from fleet.store import open_store
from fleet.versions import read_version
from serve.directory import Directory
from serve.loopback import listen_where_ray_does
from serve.posted import MAX_BODY_BYTES, MAX_FRAMES, read_posted
from serve.scorer import ScoreReply, ScoreRequest

__all__ = ["Gateway", "api"]

log = logging.getLogger("ray.serve")

api = FastAPI(
    title="Fleet",
    version=__version__,
    description="One endpoint a camera: post a frame, best with the few before it, read whether it is unusual there.",
)


class ChannelAnswer(BaseModel):
    """One kind of evidence."""

    model_config = ConfigDict(json_schema_extra={"example": {"value": -4.13, "tail": 1.83}})

    value: float = Field(description="In the channel's own units; higher is stranger.")
    tail: float = Field(description="-log of the share of the training frames at or above the value.")


class ScoreAnswer(BaseModel):
    """The champion's verdict on the last of the posted frames."""

    model_config = ConfigDict(
        protected_namespaces=(),
        json_schema_extra={
            "example": {
                "camera": "dock-3",
                "model_version": "20261124T020000Z-3f2a9c",
                "pcc": 0.9731,
                "threshold": 0.9655,
                "score": 0.42,
                "score_threshold": 3.51,
                "rule": "tail",
                "anomalous": False,
                "channels": {
                    "residual": {"value": 2.68, "tail": 1.11},
                    "motion": {"value": -6.04, "tail": 1.83},
                    "change": {"value": -0.41, "tail": 1.02},
                    "object": {"value": 0.03, "tail": 0.25},
                    "view": {"value": 0.01, "tail": 0.26},
                },
                "missing_channels": [],
                "height": 360,
                "width": 640,
            }
        },
    )

    camera: str
    model_version: str
    pcc: float = Field(description="Correlation of the frame with its reconstruction.")
    threshold: float = Field(description="mu - kappa std of the PCC over the frames that the model learnt from.")
    score: float = Field(description="What `anomalous` follows; higher is stranger.")
    score_threshold: float = Field(description="Anomalous above it.")
    rule: str = Field(
        description="The rule that `score` and its threshold belong to: the one in force on the camera, or 'paper' "
        "where channels are missing."
    )
    anomalous: bool
    channels: dict[str, ChannelAnswer] = Field(description="The evidence behind the score, by name.")
    missing_channels: list[str] = Field(description="Channels that need more of the frames before this one.")
    height: int = Field(description="Of the posted frame, pixels.")
    width: int
    map_png: str | None = Field(
        None, description="With ?map=1: the error map, a base64 PNG; 255 is the version's own fixed scale."
    )
    channel_maps: dict[str, str] | None = Field(
        None, description="With ?map=1: where each channel finds the frame strange, base64 PNGs on a fixed scale."
    )


_CAMERA: JsonDict = {
    "camera": "dock-3",
    "source": "rtsp://${CAM_USER}:${CAM_PASS}@10.0.0.8/stream1",
    "fps": 2.0,
    "size": "96x64",
    "color": False,
    "tags": {"site": "berlin"},
    "model_version": "20261124T020000Z-3f2a9c",
}


class CameraAnswer(BaseModel):
    """A camera as it is served. The source is redacted."""

    model_config = ConfigDict(protected_namespaces=(), json_schema_extra={"example": _CAMERA})

    camera: str
    source: str
    fps: float
    size: str
    color: bool
    tags: dict[str, str]
    model_version: str | None = Field(description="The champion, or null before the first model.")


class CamerasAnswer(BaseModel):
    cameras: list[CameraAnswer]


class ChampionAnswer(CameraAnswer):
    """A camera with what is known of its champion; null before the first model."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                **_CAMERA,
                **{"threshold": 0.9655, "rule": "tail", "score_threshold": 3.51, "frames": 7},
                **{"sigma": 0.5, "lambda": 1.0, "collapsed": False},
                "channels": {"motion": "informative, handicap 0.0", "change": "inverted, handicap 2.8"},
            },
        }
    )

    threshold: float | None = Field(None, description="mu - kappa std of the PCC over its training frames.")
    rule: str | None = Field(
        None, description="What frames are judged by: the camera's alert policy, or as calibrated."
    )
    score_threshold: float | None = Field(None, description="A frame is anomalous above it, by that rule.")
    frames: int | None = Field(None, description="How many ordered frames it looks at to score the last of them.")
    sigma: float | None = Field(None, description="Bandwidth of the entropy's Gaussian kernel.")
    lam: float | None = Field(None, alias="lambda", description="Weight of the entropy loss.")
    collapsed: bool | None = Field(None, description="Whether it reconstructs one and the same picture.")
    channels: dict[str, str] | None = Field(
        None, description="What each channel is worth on this camera: informative, neutral, inverted or blind."
    )


class ErrorAnswer(BaseModel):
    """What went wrong, one line, and what to do about it."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"detail": "camera 'dock-3': has no model yet — fleet retrain dock-3"}}
    )

    detail: str


class HealthAnswer(BaseModel):
    model_config = ConfigDict(json_schema_extra={"example": {"status": "ok", "cameras": 3, "version": __version__}})

    status: str
    cameras: int
    version: str


_ERRORS: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorAnswer, "description": "The camera is not registered."},
    409: {"model": ErrorAnswer, "description": "The camera has no model yet."},
    413: {"model": ErrorAnswer, "description": f"The body is over {MAX_BODY_BYTES // 2**20} MiB."},
    422: {
        "model": ErrorAnswer,
        "description": f"The body is no JPEG or PNG of this camera, holds more than {MAX_FRAMES} of them, or times "
        "that are not as many or do not rise.",
    },
    503: {"model": ErrorAnswer, "description": "Too much to do, or the store does not answer; see Retry-After."},
}
_PICTURE: JsonDict = {"type": "string", "format": "binary"}
_FORM: JsonDict = {
    "type": "object",
    "required": ["frame"],
    "properties": {
        "frame": {
            "type": "array",
            "items": _PICTURE,
            "minItems": 1,
            "maxItems": MAX_FRAMES,
            "description": "JPEG or PNG files, oldest first; the last one is scored.",
        },
        "time": {
            "type": "array",
            "items": {"type": "string"},
            "maxItems": MAX_FRAMES,
            "description": "When each was captured: ISO 8601 with a zone, or seconds since any start. As many as "
            "frames, rising; without them frames are one period of the model's frame rate apart.",
            "example": ["2026-11-24T02:00:00.0Z", "2026-11-24T02:00:00.5Z"],
        },
    },
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "image/jpeg": {"schema": _PICTURE},
            "image/png": {"schema": _PICTURE},
            "multipart/form-data": {"schema": _FORM, "encoding": {"frame": {"contentType": "image/jpeg, image/png"}}},
        },
    }
}


@api.exception_handler(FleetError)
async def _fleet_error(request: Request, error: FleetError) -> JSONResponse:
    headers = {"Retry-After": "1"} if error.http_status == 503 else None
    return JSONResponse({"detail": str(error)}, status_code=error.http_status, headers=headers)


@api.exception_handler(RequestValidationError)
async def _wrong_request(request: Request, error: RequestValidationError) -> JSONResponse:
    told = "; ".join(f"{problem['loc'][-1]}: {problem['msg']}" for problem in error.errors())
    return JSONResponse({"detail": f"{told} — see /docs"}, status_code=422)


@api.exception_handler(HTTPException)
async def _no_such_thing(request: Request, error: HTTPException) -> JSONResponse:
    detail = f"{str(error.detail).lower()} — /docs lists what there is"
    return JSONResponse({"detail": detail}, status_code=error.status_code, headers=error.headers)


@api.exception_handler(Exception)
async def _our_fault(request: Request, error: Exception) -> JSONResponse:
    log.error("%s %s", request.method, request.url.path, exc_info=error)
    return JSONResponse({"detail": "it failed inside — see the log of Ray Serve"}, status_code=500)


# serve.ingress pickles the API where it stands: what the endpoints call must be defined above them.


def _answer(reply: ScoreReply) -> ScoreAnswer:
    verdict = reply.verdict
    return ScoreAnswer(
        camera=reply.camera,
        model_version=reply.model_version,
        pcc=verdict.pcc,
        threshold=verdict.threshold,
        score=verdict.score,
        score_threshold=verdict.score_threshold,
        rule=verdict.rule,
        anomalous=verdict.anomalous,
        channels={name: ChannelAnswer(value=c.value, tail=c.tail) for name, c in verdict.channels.items()},
        missing_channels=list(verdict.missing),
        height=reply.height,
        width=reply.width,
        map_png=None if reply.map_png is None else _base64(reply.map_png),
        channel_maps=None if reply.channel_maps is None else {n: _base64(m) for n, m in reply.channel_maps.items()},
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _check_id(camera_id: str) -> None:
    """What is no id at all is not looked for, and not repeated."""
    try:
        check_id(camera_id)
    except ValueError:
        raise NotFoundError("no camera has such an id", "GET /cameras lists the ones that there are") from None


@serve.deployment(
    max_ongoing_requests=64,
    max_queued_requests=256,
    backpressure_config=BackpressureConfig(status_code=503, retry_after_s=1),
    # No slot of a processor is reserved: a retraining beside it still gets one, even where there is only one.
    ray_actor_options={"num_cpus": 0},
)
@serve.ingress(api)
class Gateway:
    """Takes pictures over HTTP, hands them to the Scorer, and tells what cameras there are."""

    def __init__(self, scorer: DeploymentHandle, store: str) -> None:
        listen_where_ray_does()
        self._scorer = scorer
        self._store = open_store(store)
        self._directory = Directory(self._store)

    @api.post(
        "/cameras/{camera_id}/score",
        response_model=ScoreAnswer,
        response_model_exclude_none=True,
        responses=_ERRORS,
        openapi_extra=_BODY,
        summary="Score a frame of a camera with its champion, best with the few frames before it.",
    )
    async def score(
        self,
        camera_id: str,
        request: Request,
        map: bool = Query(False, description="Also answer the error map and a map a channel."),
    ) -> Any:
        _check_id(camera_id)
        posted = await read_posted(request)
        try:
            asked = ScoreRequest(camera_id, posted.frames, posted.times_us, map)
            reply = await self._scorer.score.remote(asked)
        except (BackPressureError, DeploymentUnavailableError, RayActorError):  # the last: it died, another one comes
            headers = {"Retry-After": "1"}
            return JSONResponse({"detail": "too many frames at once — try again"}, status_code=503, headers=headers)
        if isinstance(reply, FleetError):
            raise reply
        return _answer(reply)

    @api.get("/cameras", response_model=CamerasAnswer, summary="All cameras.")
    def cameras(self) -> CamerasAnswer:
        return CamerasAnswer(cameras=[self._describe(camera) for camera in self._directory.cameras()])

    @api.get(
        "/cameras/{camera_id}",
        response_model=ChampionAnswer,
        responses={status: _ERRORS[status] for status in (404, 503)},
        summary="One camera, and what is known of its champion.",
    )
    def camera(self, camera_id: str) -> ChampionAnswer:
        _check_id(camera_id)
        camera = self._directory.camera(camera_id)
        answer = self._describe(camera)
        if answer.model_version is None:
            return ChampionAnswer(**answer.model_dump())
        version = read_version(self._store, camera_id, answer.model_version)
        known = version.model_dump(by_alias=True, include={"threshold", "sigma", "lam", "collapsed", "channels"})
        rule, score_threshold = in_force(self._store, camera, version)
        frames = 1 + version.detector.get("context", 0)
        return ChampionAnswer(**answer.model_dump(), **known, rule=rule, score_threshold=score_threshold, frames=frames)

    @api.get("/healthz", response_model=HealthAnswer, summary="Whether the endpoints answer.")
    def healthz(self) -> HealthAnswer:
        return HealthAnswer(status="ok", cameras=len(self._directory.cameras()), version=__version__)

    def _describe(self, camera: Camera) -> CameraAnswer:
        shown = camera.public()
        return CameraAnswer(
            camera=camera.id,
            model_version=self._directory.champion(camera.id),
            **{name: shown[name] for name in ("source", "fps", "size", "color", "tags")},
        )
