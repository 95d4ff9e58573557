"""The Scorer without Ray around it: batches over many cameras, the models that it keeps, what one model costs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cameras.images import decode_image, encode_png
from fleet.errors import ConflictError, FrameError, NotFoundError
from fleet.registry import Registry
from fleet.scoring import load_model, score_source
from fleet.store import open_store
from serve.scorer import ModelCache, Scorer, ScoreReply, ScoreRequest


@pytest.fixture
def scorer(small_fleet: Any) -> Iterator[Any]:
    made = Scorer.func_or_class(str(small_fleet.root), cached_models=10)
    yield made
    made._directory.close()


def pictures(small_fleet: Any, camera: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(small_fleet.pictures[camera].iterdir())]


class TestBatch:
    def test_answers_in_the_order_of_the_requests(self, scorer: Any, small_fleet: Any) -> None:
        bodies = {camera: pictures(small_fleet, camera) for camera in ("dock-1", "dock-2")}
        asked = [ScoreRequest(camera, bodies[camera][at]) for at in range(6) for camera in ("dock-2", "dock-1")]
        replies = scorer._score(asked)
        assert [reply.camera for reply in replies] == [request.camera for request in asked]
        alone = [scorer._score([request])[0] for request in asked]
        assert [reply.verdict.pcc for reply in replies] == pytest.approx([one.verdict.pcc for one in alone], abs=1e-6)

    def test_agrees_with_offline_scoring(self, scorer: Any, small_fleet: Any) -> None:
        store = open_store(small_fleet.root)
        camera = Registry(store).camera("dock-1")
        offline = [row.verdict for row in score_source(load_model(store, "dock-1"), camera, camera.source)]
        replies = scorer._score([ScoreRequest("dock-1", body) for body in pictures(small_fleet, "dock-1")])
        np.testing.assert_allclose([r.verdict.pcc for r in replies], [v.pcc for v in offline], rtol=0, atol=1e-4)
        assert [reply.verdict.anomalous for reply in replies] == [verdict.anomalous for verdict in offline]

    def test_each_error_is_its_own(self, scorer: Any, small_fleet: Any) -> None:
        good = pictures(small_fleet, "dock-1")[0]
        tall = encode_png(np.zeros((96, 64, 3), np.uint8))
        asked = {
            "good": ScoreRequest("dock-1", good),
            "unknown": ScoreRequest("dock-9", good),
            "no model": ScoreRequest("dock-3", good),
            "garbage": ScoreRequest("dock-1", b"x"),
            "other view": ScoreRequest("dock-1", tall),
            "only other view": ScoreRequest("dock-2", tall),
        }
        replies = dict(zip(asked, scorer._score(list(asked.values())), strict=True))
        kinds = {name: type(reply) for name, reply in replies.items()}
        assert kinds == {
            "good": ScoreReply,
            "unknown": NotFoundError,
            "no model": ConflictError,
            "garbage": FrameError,
            "other view": FrameError,
            "only other view": FrameError,
        }
        for name, reply in replies.items():
            assert reply.camera == asked[name].camera

    def test_a_damaged_model_is_the_error_of_its_camera_alone(self, scorer: Any, small_fleet: Any) -> None:
        for weights in small_fleet.root.glob("models/dock-2/*/model.safetensors"):
            weights.write_bytes(b"")
        body = pictures(small_fleet, "dock-1")[0]
        good, bad = scorer._score([ScoreRequest("dock-1", body), ScoreRequest("dock-2", body)])
        assert isinstance(good, ScoreReply)
        assert "weights of version" in str(bad)
        assert "fleet rollback dock-2" in str(bad)

    def test_the_map_comes_with_the_verdict_where_it_is_wanted(self, scorer: Any, small_fleet: Any) -> None:
        body = pictures(small_fleet, "dock-1")[0]
        plain, mapped = scorer._score([ScoreRequest("dock-1", body), ScoreRequest("dock-1", body, want_map=True)])
        assert plain.map_png is None
        assert decode_image(mapped.map_png).shape == (64, 96, 3)

    def test_a_new_champion_is_used(self, scorer: Any, small_fleet: Any, fit_version: Callable[..., str]) -> None:
        request = ScoreRequest("dock-1", pictures(small_fleet, "dock-1")[0])
        before = scorer._score([request])[0].model_version
        after = fit_version(open_store(small_fleet.root), "dock-1", seed=1)
        scorer._directory.refresh()
        assert scorer._score([request])[0].model_version == after != before

    def test_preprocessing_is_the_versions_not_the_cameras(self, scorer: Any, small_fleet: Any) -> None:
        """An edited camera scores as before until it is retrained."""
        request = ScoreRequest("dock-1", pictures(small_fleet, "dock-1")[0])
        before = scorer._score([request])[0].verdict.pcc
        registry = Registry(open_store(small_fleet.root))
        registry.edit("dock-1", {"size": "32x32", "masks": (((0, 0), (1, 0), (1, 1)),), "color": True})
        scorer._directory.refresh()
        assert scorer._score([request])[0].verdict.pcc == before


class TestModelCache:
    @pytest.fixture
    def loads(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
        """What was read from the store, in order."""
        loaded: list[tuple[str, str]] = []

        def load(store: object, camera: str, version: str) -> object:
            loaded.append((camera, version))
            return object()

        monkeypatch.setattr("serve.scorer.load_model", load)
        return loaded

    def test_keeps_what_was_used_last(self, loads: list[tuple[str, str]], folder_store: Any) -> None:
        cache = ModelCache(2)
        for camera in ("a", "b", "a", "c", "a", "b"):
            cache.get(camera, "v1", folder_store)
        assert loads == [("a", "v1"), ("b", "v1"), ("c", "v1"), ("b", "v1")]
        assert len(cache) == 2

    def test_versions_are_models_of_their_own(self, loads: list[tuple[str, str]], folder_store: Any) -> None:
        cache = ModelCache(10)
        first, second = cache.get("a", "v1", folder_store), cache.get("a", "v2", folder_store)
        assert first is not second
        assert cache.get("a", "v1", folder_store) is first


MEASURE = """
import json, sys
import psutil, torch
from fleet.scoring import prepare, score_images
from fleet.store import open_store
from serve.scorer import ModelCache
import numpy as np

torch.set_num_threads(1)
store, version = open_store(sys.argv[1]), sys.argv[2]
cache = ModelCache(100)
picture = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)

def use(camera):
    model = cache.get(camera, version, store)
    score_images(model, [prepare(model, picture)])

def resident_mb():
    return psutil.Process().memory_info().rss / 2**20

use("copy-0")
before = resident_mb()
for place in range(1, 21):
    use(f"copy-{place}")
print(json.dumps({"mb_a_model": (resident_mb() - before) / 20, "models": len(cache)}))
"""


@pytest.mark.slow
def test_what_one_model_costs(folder_store: Any, image_folder: Path, tmp_path: Path) -> None:
    """At the default size (96x64, latent 32): at most 5 MB of memory, at most 2 MB on disk."""
    from fleet.detector import DetectorConfig
    from fleet.detector.fit import fit
    from fleet.registry import make_camera
    from fleet.versions import ModelVersion, write_version

    frames = np.random.default_rng(0).integers(0, 255, (20, 64, 96), np.uint8)
    tensors, meta = fit(frames, DetectorConfig(epochs=1, latent=32)).state()
    for place in range(21):
        camera = make_camera(id=f"copy-{place}", source=str(image_folder))
        fields: dict[str, Any] = {
            "camera": camera.id, "version": "v1", "created_at": camera.registered_at, "job": "j", "search": "s",
            "preprocessing": camera.preprocessing.model_dump(), "frame_width": 64, "frame_height": 48, "frames": 20,
            "first_frame_at": camera.registered_at, "last_frame_at": camera.registered_at, "sigma": 0.1, "lambda": 1.0,
            "objective_name": "o", "objective": 0.0, "reason": "r", "kappa": 0.5, "threshold": 0.5, "pcc_mean": 0.6,
            "pcc_std": 0.1, "collapsed": False, "trials": 1, "fingerprint": "f", "detector": meta,
        }  # fmt: skip
        write_version(folder_store, ModelVersion.model_validate(fields), tensors, [{"a": 1}], [{"a": 1}])
    weights = folder_store.get("models/copy-0/v1/model.safetensors")
    assert len(weights) <= 2 * 2**20
    command = [sys.executable, "-c", MEASURE, folder_store.uri, "v1"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    measured = json.loads(ran.stdout)
    assert measured["models"] == 21
    assert measured["mb_a_model"] <= 5
