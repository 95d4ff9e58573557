"""The Scorer: a few shared replicas for all cameras, each with the models it used last in memory.

A deployment a camera would cost a process a camera. Requests of many cameras are gathered for a few milliseconds and
scored model by model.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ray import serve
from ray.serve.config import BackpressureConfig

from cameras.camera import Camera
from cameras.images import decode_image, encode_png
from fleet.detector import Footage
from fleet.errors import ConflictError, FleetError, FrameError
from fleet.scoring import (
    LoadedModel,
    Verdict,
    channel_map_pictures,
    error_map_picture,
    load_version,
    prepare,
    score_footage,
    under_policy,
)
from fleet.store import Store, open_store
from serve.directory import Directory
from serve.loopback import listen_where_ray_does

__all__ = ["ModelCache", "ScoreReply", "ScoreRequest", "Scorer"]

MAX_BATCH = 32
BATCH_WAIT_S = 0.004
MAX_WINDOW_PIXELS = 150_000_000  # 64 frames of full HD, 18 of 4K: about a second of decoding


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """Frames of which the last one is to be scored; with `want_maps` the maps come with the verdict.

    Attributes:
        frames: JPEG or PNG bytes, oldest first, at least one.
        times_us: rising microseconds since any start, one a frame; None takes them at the model's frame rate.
    """

    camera: str
    frames: tuple[bytes, ...]
    times_us: tuple[int, ...] | None = None
    want_maps: bool = False


@dataclass(frozen=True, slots=True)
class ScoreReply:
    """A verdict on the last frame, with the version that gave it and the picture's size.

    `map_png` (the error map) and `channel_maps` (PNGs by channel) are there only where they were wanted.
    """

    camera: str
    model_version: str
    verdict: Verdict
    width: int
    height: int
    map_png: bytes | None = None
    channel_maps: dict[str, bytes] | None = None


@dataclass(frozen=True, slots=True)
class _Window:
    """The decoded frames of a request. Only what the model sees of them is kept: 4K pictures would take gigabytes."""

    request: int
    prepared: list[np.ndarray]
    times_us: np.ndarray
    width: int
    height: int


class ModelCache:
    """The models used last, by (camera, version)."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._models: OrderedDict[tuple[str, str], LoadedModel] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, camera: Camera, version: str, store: Store) -> LoadedModel:
        """The model, read from the store when it is not here, judging by the camera's alert policy as it is now."""
        key = camera.id, version
        with self._lock:
            model = self._models.get(key)
            if model is not None:
                self._models.move_to_end(key)
        if model is None:
            model = load_version(store, camera, version)
        elif model.policy != camera.alert:
            model = under_policy(store, camera, model)
        else:
            return model
        with self._lock:
            self._models[key] = model
            while len(self._models) > self._size:
                self._models.popitem(last=False)
        return model

    def __len__(self) -> int:
        return len(self._models)


@serve.deployment(
    max_ongoing_requests=2 * MAX_BATCH,
    max_queued_requests=256,
    backpressure_config=BackpressureConfig(status_code=503, retry_after_s=1),
    # No slot of a processor is reserved: a retraining beside it still gets one, even where there is only one.
    ray_actor_options={"num_cpus": 0},
)
class Scorer:
    """Scores frames of any camera with that camera's champion.

    Args:
        store: the store's name.
        cached_models: how many models a replica keeps in memory, about 1 MB each at the default working size.
    """

    def __init__(self, store: str, cached_models: int = 1000) -> None:
        import torch

        listen_where_ray_does()
        torch.set_num_threads(1)
        self._store = open_store(store)
        self._directory = Directory(self._store)
        self._models = ModelCache(cached_models)

    @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=BATCH_WAIT_S)
    async def score(self, requests: list[ScoreRequest]) -> list[ScoreReply | FleetError]:
        """A reply or an error for each request: one bad picture does not spoil the others of its batch."""
        return await asyncio.to_thread(self._score, requests)

    def _score(self, requests: list[ScoreRequest]) -> list[ScoreReply | FleetError]:
        replies: dict[int, ScoreReply | FleetError] = {}
        windows: dict[str, list[_Window]] = defaultdict(list)
        models: dict[str, LoadedModel] = {}
        for place, request in enumerate(requests):
            try:
                model = models.get(request.camera) or self._champion(request.camera)
                models[request.camera] = model
                window = _window(place, request, model)
                windows[request.camera].append(window)
            except FleetError as error:
                replies[place] = error.about(request.camera)
        for camera, of_camera in windows.items():
            model = models[camera]
            footage, ends = _footage(of_camera)
            verdicts = score_footage(model, footage, ends - 1)
            for window, end, verdict in zip(of_camera, ends, verdicts, strict=True):
                wanted = requests[window.request].want_maps
                maps = self._maps(model, footage[end - len(window.prepared) : end]) if wanted else {}
                replies[window.request] = ScoreReply(
                    camera, model.version.version, verdict, window.width, window.height, **maps
                )
        return [replies[place] for place in range(len(requests))]

    def _maps(self, model: LoadedModel, footage: Footage) -> dict[str, Any]:
        camera = self._directory.camera(model.version.camera)
        error_map = error_map_picture(model, footage.frames[-1], camera)
        channels = channel_map_pictures(model, footage, camera)
        return {
            "map_png": encode_png(error_map),
            "channel_maps": {name: encode_png(picture) for name, picture in channels.items()},
        }

    def _champion(self, camera_id: str) -> LoadedModel:
        camera = self._directory.camera(camera_id)
        version = self._directory.champion(camera_id)
        if version is None:
            raise ConflictError("has no model yet", f"fleet retrain {camera_id}", camera_id)
        return self._models.get(camera, version, self._store)


def _window(place: int, request: ScoreRequest, model: LoadedModel) -> _Window:
    """Decode a request, each picture once, and keep as many of the last frames as the model looks at.

    Raises:
        FrameError: a picture is none, cannot be of this camera, or is of another size than the first.
    """
    prepared: deque[np.ndarray] = deque(maxlen=1 + model.detector.context)
    count = len(request.frames)
    width = height = 0
    for number, data in enumerate(request.frames, start=1):
        name = "the picture" if count == 1 else f"frame {number} of {count}"
        image = decode_image(data, name)
        size = image.shape[1], image.shape[0]
        if number == 1:
            width, height = size
            if count * width * height > MAX_WINDOW_PIXELS:
                raise FrameError(
                    f"{count} frames of {width}x{height} are over {MAX_WINDOW_PIXELS} pixels", "send smaller or fewer"
                )
        elif size != (width, height):
            told = f"{name} is {size[0]}x{size[1]}, the first is {width}x{height}"
            raise FrameError(told, "send frames of one stream")
        prepared.append(prepare(model, image))
    times_us = request.times_us or [round(at * 1e6 / model.fps) for at in range(count)]
    return _Window(place, list(prepared), np.asarray(times_us[-len(prepared) :], np.int64), width, height)


def _footage(windows: Sequence[_Window]) -> tuple[Footage, NDArray[np.int64]]:
    """Windows one after another, a clip each, and where each ends."""
    lengths = [len(window.prepared) for window in windows]
    footage = Footage(
        frames=np.stack([frame for window in windows for frame in window.prepared]),
        times_s=np.concatenate([(window.times_us - window.times_us[0]) / 1e6 for window in windows]),
        clip=np.repeat(np.arange(len(windows)), lengths),
    )
    return footage, np.cumsum(lengths)
