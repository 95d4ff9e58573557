"""The Scorer without Ray around it: batches over many cameras, the models that it keeps, what one model costs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cameras.camera import Camera
from cameras.images import decode_image, encode_png
from fleet.errors import ConflictError, FrameError, NotFoundError
from fleet.registry import Registry, make_camera
from fleet.scoring import load_model, score_source
from fleet.store import open_store
from serve.scorer import ModelCache, Scorer, ScoreReply, ScoreRequest
from tests.doubles import TwoBack


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
        asked = [ScoreRequest(camera, (bodies[camera][at],)) for at in range(6) for camera in ("dock-2", "dock-1")]
        replies = scorer._score(asked)
        assert [reply.camera for reply in replies] == [request.camera for request in asked]
        alone = [scorer._score([request])[0] for request in asked]
        assert [reply.verdict.pcc for reply in replies] == pytest.approx([one.verdict.pcc for one in alone], abs=1e-6)

    def test_agrees_with_offline_scoring(self, scorer: Any, small_fleet: Any) -> None:
        store = open_store(small_fleet.root)
        camera = Registry(store).camera("dock-1")
        offline = [row.verdict for row in score_source(load_model(store, "dock-1"), camera, camera.source)]
        replies = scorer._score([ScoreRequest("dock-1", (body,)) for body in pictures(small_fleet, "dock-1")])
        np.testing.assert_allclose([r.verdict.pcc for r in replies], [v.pcc for v in offline], rtol=0, atol=1e-4)
        assert [reply.verdict.anomalous for reply in replies] == [verdict.anomalous for verdict in offline]

    def test_each_error_is_its_own(self, scorer: Any, small_fleet: Any) -> None:
        good = pictures(small_fleet, "dock-1")[0]
        tall = encode_png(np.zeros((96, 64, 3), np.uint8))
        asked = {
            "good": ScoreRequest("dock-1", (good,)),
            "unknown": ScoreRequest("dock-9", (good,)),
            "no model": ScoreRequest("dock-3", (good,)),
            "garbage": ScoreRequest("dock-1", (b"x",)),
            "other view": ScoreRequest("dock-1", (tall,)),
            "only other view": ScoreRequest("dock-2", (tall,)),
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
        good, bad = scorer._score([ScoreRequest("dock-1", (body,)), ScoreRequest("dock-2", (body,))])
        assert isinstance(good, ScoreReply)
        assert "weights of version" in str(bad)
        assert "fleet rollback dock-2" in str(bad)

    def test_the_map_comes_with_the_verdict_where_it_is_wanted(self, scorer: Any, small_fleet: Any) -> None:
        body = pictures(small_fleet, "dock-1")[0]
        plain, mapped = scorer._score(
            [ScoreRequest("dock-1", (body,)), ScoreRequest("dock-1", (body,), want_maps=True)]
        )
        assert plain.map_png is plain.channel_maps is None
        assert mapped.channel_maps == {}, "the paper's detector has no channels"
        assert decode_image(mapped.map_png).shape == (64, 96, 3)

    def test_a_new_champion_is_used(self, scorer: Any, small_fleet: Any, fit_version: Callable[..., str]) -> None:
        request = ScoreRequest("dock-1", (pictures(small_fleet, "dock-1")[0],))
        before = scorer._score([request])[0].model_version
        after = fit_version(open_store(small_fleet.root), "dock-1", seed=1)
        scorer._directory.refresh()
        assert scorer._score([request])[0].model_version == after != before

    def test_an_edited_policy_is_followed_without_loading_the_model_again(self, scorer: Any, small_fleet: Any) -> None:
        request = ScoreRequest("dock-1", (pictures(small_fleet, "dock-1")[0],))
        before = scorer._score([request])[0].verdict
        model = scorer._champion("dock-1")
        registry = Registry(open_store(small_fleet.root))
        registry.edit("dock-1", {"alert": {"rule": "paper", "kappa": 4.0}})
        scorer._directory.refresh()
        after = scorer._score([request])[0].verdict
        assert after.score_threshold > before.score_threshold
        assert (after.pcc, after.threshold, after.rule) == (before.pcc, before.threshold, "paper")
        assert scorer._champion("dock-1").detector is model.detector
        registry.edit("dock-1", {"alert": {}})
        scorer._directory.refresh()
        assert scorer._score([request])[0].verdict == before

    def test_preprocessing_is_the_versions_not_the_cameras(self, scorer: Any, small_fleet: Any) -> None:
        """An edited camera scores as before until it is retrained."""
        request = ScoreRequest("dock-1", (pictures(small_fleet, "dock-1")[0],))
        before = scorer._score([request])[0].verdict.pcc
        registry = Registry(open_store(small_fleet.root))
        registry.edit("dock-1", {"size": "32x32", "masks": (((0, 0), (1, 0), (1, 1)),), "color": True})
        scorer._directory.refresh()
        assert scorer._score([request])[0].verdict.pcc == before


@pytest.fixture
def looking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every model looks two frames back, whatever was trained."""
    TwoBack.stands_for(monkeypatch)


@pytest.mark.usefixtures("looking")
class TestWindow:
    """The last of a request's frames is answered; the others are there to be looked back at."""

    def test_frames_and_their_times_give_what_offline_scoring_gives(self, scorer: Any, small_fleet: Any) -> None:
        store = open_store(small_fleet.root)
        camera = Registry(store).camera("dock-1")
        offline = list(score_source(load_model(store, "dock-1"), camera, camera.source))
        bodies = pictures(small_fleet, "dock-1")
        start = offline[0].captured_at
        times = [(row.captured_at - start) // timedelta(microseconds=1) for row in offline]
        asked = [
            ScoreRequest("dock-1", tuple(bodies[first : at + 1]), tuple(times[first : at + 1]))
            for at in range(len(bodies))
            for first in [max(0, at - 2)]
        ]
        http = [reply.verdict for reply in scorer._score(asked)]
        assert [verdict.missing for verdict in http] == [row.verdict.missing for row in offline]
        for name in ("score", "evidence", "pcc", "score_threshold"):
            np.testing.assert_allclose(
                [getattr(v, name) for v in http], [getattr(row.verdict, name) for row in offline], rtol=0, atol=1e-6
            )

    @pytest.mark.parametrize("count", [1, 2, 3, 4, 64])
    def test_any_number_of_frames(self, count: int, scorer: Any, small_fleet: Any) -> None:
        """More than the model looks back at change nothing."""
        bodies = (pictures(small_fleet, "dock-1") * 2)[:64]
        window, last_three = scorer._score(
            [ScoreRequest("dock-1", tuple(bodies[64 - count :])), ScoreRequest("dock-1", tuple(bodies[-3:]))]
        )
        assert window.verdict.missing == (("motion",) if count < 3 else ())
        assert window.verdict.rule == "paper"
        assert window.verdict.pcc == pytest.approx(last_three.verdict.pcc, abs=1e-6)
        if count >= 3:
            assert window.verdict.score == pytest.approx(last_three.verdict.score, abs=1e-6)

    def test_without_times_frames_are_a_period_of_the_models_rate_apart(self, scorer: Any, small_fleet: Any) -> None:
        frames = tuple(pictures(small_fleet, "dock-1")[:3])
        asked = [ScoreRequest("dock-1", frames, times) for times in (None, (7, 500_007, 1_000_007), (0, 1, 2_000_000))]
        steady, same, slower = (reply.verdict.channels["motion"].value for reply in scorer._score(asked))
        assert same == pytest.approx(steady, abs=1e-9)
        assert slower == pytest.approx(steady / 2, abs=1e-9)

    def test_windows_of_many_cameras_do_not_look_back_at_each_other(self, scorer: Any, small_fleet: Any) -> None:
        bodies = {camera: tuple(pictures(small_fleet, camera)) for camera in ("dock-1", "dock-2")}
        asked = [
            ScoreRequest(camera, bodies[camera][at : at + length])
            for at, length in [(0, 3), (5, 1), (7, 2), (9, 5), (20, 3)]
            for camera in bodies
        ]
        together = [reply.verdict for reply in scorer._score(asked)]
        alone = [scorer._score([request])[0].verdict for request in asked]
        assert [verdict.missing for verdict in together] == [verdict.missing for verdict in alone]
        assert [v.evidence for v in together] == pytest.approx([v.evidence for v in alone], abs=1e-6)

    def test_a_map_a_channel(self, scorer: Any, small_fleet: Any) -> None:
        frames = tuple(pictures(small_fleet, "dock-1")[:3])
        (reply,) = scorer._score([ScoreRequest("dock-1", frames, want_maps=True)])
        assert set(reply.channel_maps) == {"looks", "motion"}
        for picture in (reply.map_png, *reply.channel_maps.values()):
            assert decode_image(picture).shape == (64, 96, 3)

    @pytest.mark.parametrize(
        ("place", "wrong", "says"),
        [
            (0, b"x", "frame 1 of 3 is no JPEG or PNG"),
            (1, b"", "frame 2 of 3 is empty"),
            (2, encode_png(np.zeros((96, 64, 3), np.uint8)), "frame 3 of 3 is 64x96, the first is 64x48"),
            (0, encode_png(np.zeros((96, 128, 3), np.uint8)), "frame 2 of 3 is 64x48, the first is 128x96"),
        ],
    )
    def test_one_wrong_frame_is_named(self, place: int, wrong: bytes, says: str, scorer: Any, small_fleet: Any) -> None:
        good = pictures(small_fleet, "dock-1")[:3]
        frames = [*good[:place], wrong, *good[place + 1 :]]
        spoilt, fine = scorer._score([ScoreRequest("dock-1", tuple(frames)), ScoreRequest("dock-1", tuple(good))])
        assert isinstance(spoilt, FrameError)
        assert says in str(spoilt)
        assert isinstance(fine, ScoreReply)

    def test_frames_that_would_take_long_to_decode_are_refused_after_the_first(
        self, scorer: Any, small_fleet: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("serve.scorer.MAX_WINDOW_PIXELS", 64 * 48 * 2)
        body = pictures(small_fleet, "dock-1")[0]
        refused, fine = scorer._score([ScoreRequest("dock-1", (body, b"x", b"x")), ScoreRequest("dock-1", (body,) * 2)])
        assert "3 frames of 64x48 are over 6144 pixels — send smaller or fewer" in str(refused)
        assert isinstance(fine, ScoreReply)


class TestModelCache:
    @pytest.fixture
    def loads(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
        """What was read from the store, in order."""
        loaded: list[tuple[str, str]] = []

        def load(store: object, camera: Camera, version: str) -> object:
            loaded.append((camera.id, version))
            return SimpleNamespace(policy=camera.alert)

        monkeypatch.setattr("serve.scorer.load_version", load)
        return loaded

    def test_keeps_what_was_used_last(self, loads: list[tuple[str, str]], folder_store: Any) -> None:
        cache = ModelCache(2)
        for camera in ("a", "b", "a", "c", "a", "b"):
            cache.get(make_camera(id=camera, source="x"), "v1", folder_store)
        assert loads == [("a", "v1"), ("b", "v1"), ("c", "v1"), ("b", "v1")]
        assert len(cache) == 2

    def test_versions_are_models_of_their_own(self, loads: list[tuple[str, str]], folder_store: Any) -> None:
        cache, camera = ModelCache(10), make_camera(id="a", source="x")
        first, second = (cache.get(camera, version, folder_store) for version in ("v1", "v2"))
        assert first is not second
        assert cache.get(camera, "v1", folder_store) is first


MEASURE = """
import json, sys
import psutil, torch
from fleet.detector import Footage
from fleet.registry import make_camera
from fleet.scoring import prepare, score_footage
from fleet.store import open_store
from serve.scorer import ModelCache
import numpy as np

torch.set_num_threads(1)
store, version = open_store(sys.argv[1]), sys.argv[2]
cache = ModelCache(100)
picture = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)

def use(camera):
    model = cache.get(make_camera(id=camera, source="here"), version, store)
    score_footage(model, Footage.of(prepare(model, picture)[None], fps=2.0), [0])

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
