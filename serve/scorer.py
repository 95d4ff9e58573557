"""The Scorer: a few shared replicas for all cameras, each with the models it used last in memory.

A deployment a camera would cost a process a camera. Requests of many cameras are gathered for a few milliseconds and
scored model by model.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict, defaultdict
from dataclasses import dataclass

import numpy as np
from ray import serve
from ray.serve.config import BackpressureConfig

from cameras.images import decode_image, encode_png
from fleet.errors import ConflictError, FleetError
from fleet.scoring import LoadedModel, Verdict, error_map_picture, load_model, prepare, score_images
from fleet.store import Store, open_store
from serve.directory import Directory
from serve.loopback import listen_where_ray_does

__all__ = ["ModelCache", "ScoreReply", "ScoreRequest", "Scorer"]

MAX_BATCH = 32
BATCH_WAIT_S = 0.004


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """One picture to score: JPEG or PNG bytes; with `want_map` the error map comes with the verdict."""

    camera: str
    data: bytes
    want_map: bool = False


@dataclass(frozen=True, slots=True)
class ScoreReply:
    """A verdict, with the version that gave it and the picture's size; `map_png` only where it was wanted."""

    camera: str
    model_version: str
    verdict: Verdict
    width: int
    height: int
    map_png: bytes | None = None


class ModelCache:
    """The models used last, by (camera, version)."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._models: OrderedDict[tuple[str, str], LoadedModel] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, camera: str, version: str, store: Store) -> LoadedModel:
        """The model, read from the store when it is not here."""
        with self._lock:
            if (camera, version) in self._models:
                self._models.move_to_end((camera, version))
                return self._models[camera, version]
        model = load_model(store, camera, version)
        with self._lock:
            self._models[camera, version] = model
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
    """Scores pictures of any camera with that camera's champion.

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
        # Only each picture's size is kept: a batch of decoded 4K pictures would take a gigabyte.
        of_model: dict[str, list[tuple[int, tuple[int, int], np.ndarray]]] = defaultdict(list)
        models: dict[str, LoadedModel] = {}
        for place, request in enumerate(requests):
            try:
                model = models.get(request.camera) or self._champion(request.camera)
                models[request.camera] = model
                image = decode_image(request.data)
                prepared = prepare(model, image)
                of_model[request.camera].append((place, image.shape[:2], prepared))
            except FleetError as error:
                replies[place] = error.about(request.camera)
        for camera, pictures in of_model.items():
            model = models[camera]
            verdicts = score_images(model, [prepared for *_, prepared in pictures])
            for (place, (height, width), prepared), verdict in zip(pictures, verdicts, strict=True):
                wanted = requests[place].want_map
                map_png = encode_png(self._map(model, prepared)) if wanted else None
                replies[place] = ScoreReply(camera, model.version.version, verdict, width, height, map_png)
        return [replies[place] for place in range(len(requests))]

    def _map(self, model: LoadedModel, prepared: np.ndarray) -> np.ndarray:
        return error_map_picture(model, prepared, self._directory.camera(model.version.camera))

    def _champion(self, camera: str) -> LoadedModel:
        self._directory.camera(camera)
        version = self._directory.champion(camera)
        if version is None:
            raise ConflictError("has no model yet", f"fleet retrain {camera}", camera)
        return self._models.get(camera, version, self._store)
