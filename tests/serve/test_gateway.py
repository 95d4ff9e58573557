"""The HTTP endpoints, on a served fleet: what they answer, and what they answer to what is wrong."""

from __future__ import annotations

import base64
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from cameras.images import decode_image, encode_jpeg, encode_png
from fleet.registry import Registry, make_camera
from tests.serve.asking import frames, offline, strict

pytestmark = pytest.mark.slow

FORM = {"content-type": "multipart/form-data; boundary=cut"}


class TestScore:
    def test_a_verdict(self, client: httpx.Client, picture: bytes, serving: Any) -> None:
        response = client.post("/cameras/dock-1/score", content=picture)
        assert response.status_code == 200
        answer = strict(response)
        assert set(answer) == {
            *("camera", "model_version", "pcc", "threshold", "score", "score_threshold", "rule", "anomalous"),
            *("channels", "missing_channels", "height", "width"),
        }
        assert answer["camera"] == "dock-1"
        assert answer["model_version"] == Registry(serving.store).aliases("dock-1").champion
        assert (answer["height"], answer["width"]) == (48, 64)
        assert answer["anomalous"] == (answer["pcc"] < answer["threshold"])
        assert answer["rule"] == "paper"
        assert (answer["channels"], answer["missing_channels"]) == ({}, [])

    @pytest.mark.parametrize(
        "kind", ["image/jpeg", "application/octet-stream", "application/x-www-form-urlencoded", ""]
    )
    def test_a_jpeg_whatever_its_type_is_said_to_be(self, kind: str, client: httpx.Client, jpeg: bytes) -> None:
        """`curl --data-binary` says that it is a form."""
        headers = {"content-type": kind} if kind else {}
        assert client.post("/cameras/dock-1/score", content=jpeg, headers=headers).status_code == 200

    def test_a_form_is_the_same_as_its_file(self, client: httpx.Client, picture: bytes) -> None:
        plain = client.post("/cameras/dock-1/score", content=picture)
        form = client.post("/cameras/dock-1/score", files={"frame": ("a.png", picture)}, data={"note": "x"})
        assert form.status_code == 200
        assert form.json()["pcc"] == pytest.approx(plain.json()["pcc"], abs=1e-6)

    @pytest.mark.parametrize("count", [2, 64])
    def test_of_several_frames_the_last_is_answered(self, count: int, client: httpx.Client, serving: Any) -> None:
        bodies = (serving.frames("dock-1") * 2)[:count]
        times = [f"2026-11-24T02:00:{place / 2:06.3f}Z" for place in range(count)]
        plain = client.post("/cameras/dock-1/score", content=bodies[-1]).json()
        response = client.post("/cameras/dock-1/score", files=frames(*bodies), data={"time": times})
        assert response.status_code == 200
        assert strict(response)["pcc"] == pytest.approx(plain["pcc"], abs=1e-6)

    def test_map_is_a_picture_of_the_working_size(self, client: httpx.Client, picture: bytes) -> None:
        answer = client.post("/cameras/dock-1/score?map=1", content=picture).json()
        shown = decode_image(base64.b64decode(answer["map_png"], validate=True))
        assert shown.shape == (64, 96, 3)

    def test_maps_of_a_version_share_one_scale(self, client: httpx.Client, picture: bytes) -> None:
        """What does not belong there is brighter in its map than the same place in a quiet frame."""
        changed = decode_image(picture)
        changed[4:20, 4:20] = 255 - changed[4:20, 4:20]
        maps = [
            decode_image(base64.b64decode(client.post("/cameras/dock-1/score?map=1", content=body).json()["map_png"]))
            for body in (picture, encode_png(changed))
        ]
        assert maps[1][8:24, 8:28].mean() > maps[0][8:24, 8:28].mean() + 20

    def test_a_larger_frame_of_the_camera_is_welcome(self, client: httpx.Client, picture: bytes) -> None:
        larger = decode_image(picture).repeat(4, 0).repeat(4, 1)
        answer = client.post("/cameras/dock-1/score", content=encode_png(larger)).json()
        assert (answer["height"], answer["width"]) == (192, 256)

    @pytest.mark.parametrize("kind", ["black", "white", "grey", "16 bits", "alpha"])
    def test_any_picture_gives_numbers(self, kind: str, client: httpx.Client) -> None:
        """PCC of a constant frame is 0 by definition, and no answer holds NaN."""
        import cv2

        pictures = {
            "black": np.zeros((48, 64, 3), np.uint8),
            "white": np.full((48, 64, 3), 255, np.uint8),
            "grey": np.full((48, 64), 128, np.uint8),
            "16 bits": np.full((48, 64), 30_000, np.uint16),
            "alpha": np.full((48, 64, 4), 77, np.uint8),
        }
        body = cv2.imencode(".png", pictures[kind])[1].tobytes()
        response = client.post("/cameras/dock-1/score", content=body)
        assert response.status_code == 200
        assert strict(response)["pcc"] == 0.0
        assert strict(response)["anomalous"] is True

    def test_one_bad_picture_among_many_at_once_spoils_no_other(self, client: httpx.Client, serving: Any) -> None:
        from concurrent.futures import ThreadPoolExecutor

        bodies = [b"garbage" if place % 5 == 0 else body for place, body in enumerate(serving.frames("dock-1")[:30])]
        cameras = ["dock-1" if place % 2 else "dock-2" for place in range(30)]
        with ThreadPoolExecutor(16) as pool:
            responses = list(
                pool.map(lambda at: client.post(f"/cameras/{cameras[at]}/score", content=bodies[at]), range(30))
            )
        assert [response.status_code for response in responses] == [422 if at % 5 == 0 else 200 for at in range(30)]
        assert [r.json()["camera"] for r in responses if r.status_code == 200] == [
            camera for at, camera in enumerate(cameras) if at % 5
        ]


@pytest.mark.parametrize("camera", ["dock-1", "dock-2"])
def test_http_and_fleet_score_agree(camera: str, client: httpx.Client, serving: Any) -> None:
    """On every frame, whatever stands beside it in a batch, in two processes."""
    http = [client.post(f"/cameras/{camera}/score", content=body).json()["pcc"] for body in serving.frames(camera)]
    np.testing.assert_allclose(http, [row["pcc"] for row in offline(serving, camera)], rtol=0, atol=1e-6)


class TestReading:
    def test_cameras(self, client: httpx.Client) -> None:
        rows = {row["camera"]: row for row in strict(client.get("/cameras"))["cameras"]}
        assert list(rows) == ["dock-1", "dock-2", "dock-3", "gate", "yard"]
        assert set(rows["dock-1"]) == {"camera", "source", "fps", "size", "color", "tags", "model_version"}
        assert rows["dock-1"]["model_version"]
        assert rows["dock-3"]["model_version"] is None

    def test_no_secret_is_shown(self, client: httpx.Client, serving: Any) -> None:
        """The serving process has the values in its environment; what it answers has the references."""
        for path in ("/cameras", "/cameras/yard"):
            text = client.get(path).text
            assert "${FLEET_TEST_USER}:${FLEET_TEST_PASS}@" in text
            for secret in serving.environment.values():
                assert secret not in text

    def test_camera(self, client: httpx.Client) -> None:
        shown = strict(client.get("/cameras/dock-1"))
        assert {"threshold", "sigma", "lambda", "collapsed", "tags"} <= set(shown)
        assert 0 < shown["threshold"] < 1
        assert (shown["rule"], shown["frames"]) == ("paper", 1)
        assert shown["score_threshold"] == pytest.approx(1 - shown["threshold"])
        assert shown["tags"] == {"site": "berlin"}

    def test_camera_without_a_model(self, client: httpx.Client) -> None:
        shown = strict(client.get("/cameras/dock-3"))
        assert shown["model_version"] is shown["threshold"] is shown["lambda"] is None

    def test_healthz(self, client: httpx.Client) -> None:
        assert strict(client.get("/healthz")) == {"status": "ok", "cameras": 5, "version": "0.1.0"}

    def test_docs(self, client: httpx.Client) -> None:
        assert client.get("/docs").status_code == 200


class TestOpenApi:
    @pytest.fixture
    def document(self, client: httpx.Client) -> dict[str, Any]:
        answer: dict[str, Any] = client.get("/openapi.json").json()
        return answer

    def test_has_every_endpoint_with_a_summary(self, document: dict[str, Any]) -> None:
        assert set(document["paths"]) == {
            *("/cameras/{camera_id}/score", "/cameras", "/cameras/{camera_id}", "/healthz"),
        }
        for path in document["paths"].values():
            for operation in path.values():
                assert operation["summary"]

    def test_documents_the_errors_of_scoring(self, document: dict[str, Any]) -> None:
        responses = document["paths"]["/cameras/{camera_id}/score"]["post"]["responses"]
        assert set(responses) == {"200", "404", "409", "413", "422", "503"}
        for status in set(responses) - {"200"}:
            schema = responses[status]["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/ErrorAnswer"}
            assert responses[status]["description"]

    def test_documents_the_body(self, document: dict[str, Any]) -> None:
        body = document["paths"]["/cameras/{camera_id}/score"]["post"]["requestBody"]
        assert body["required"]
        assert set(body["content"]) == {"image/jpeg", "image/png", "multipart/form-data"}
        form = body["content"]["multipart/form-data"]["schema"]["properties"]
        assert (form["frame"]["minItems"], form["frame"]["maxItems"], form["time"]["maxItems"]) == (1, 64, 64)

    def test_every_answer_has_an_example_of_its_own_shape(self, document: dict[str, Any]) -> None:
        from serve.gateway import (
            CameraAnswer,
            ChampionAnswer,
            ChannelAnswer,
            ErrorAnswer,
            HealthAnswer,
            ScoreAnswer,
        )

        for answer in (ScoreAnswer, ChannelAnswer, CameraAnswer, ChampionAnswer, ErrorAnswer, HealthAnswer):
            answer.model_validate(document["components"]["schemas"][answer.__name__]["example"])


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header promises so many pixels, and little else."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


def megabytes(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield bytes(2**20)


def posts(name: str, status: int, says: str, *, camera: str = "dock-1", **request: Any) -> Any:
    """A wrong request, its status, what the answer says."""
    path = f"/cameras/{camera}/score" + request.pop("query", "")
    return pytest.param(path, request, status, says, id=name)


SQUARE = encode_png(np.zeros((96, 96, 3), np.uint8))
TALL = encode_jpeg(np.zeros((96, 64, 3), np.uint8))
FIELD = b'--cut\r\ncontent-disposition: form-data; name="note"\r\n\r\nx\r\n--cut--\r\n'
PLAIN = encode_png(np.zeros((48, 64, 3), np.uint8))

WRONG = [
    posts("unknown camera", 404, "camera 'dock-9': is not registered — GET /cameras", camera="dock-9", content=PLAIN),
    posts(
        "no model yet", 409, "camera 'dock-3': has no model yet — fleet retrain dock-3", camera="dock-3", content=PLAIN
    ),
    posts("empty body", 422, "empty (0 bytes) — send a JPEG or PNG", content=b""),
    posts("garbage", 422, "no JPEG or PNG (999 bytes)", content=b"x" * 999),
    posts("text", 422, "no JPEG or PNG", content=b'{"image": "..."}', headers={"content-type": "application/json"}),
    posts("truncated JPEG", 422, "truncated or damaged", content=encode_jpeg(np.zeros((48, 64, 3), np.uint8))[:-40]),
    posts("truncated PNG", 422, "truncated or damaged", content=PLAIN[:-30]),
    posts("GIF", 422, "no JPEG or PNG", content=b"GIF89a" + bytes(100)),
    posts("wrong aspect", 422, "is 64x96, the model was trained on 64x48 — send a frame of this camera", content=TALL),
    posts("tiny", 422, "only 4x3", content=encode_png(np.zeros((3, 4, 3), np.uint8))),
    posts("50 MB", 413, "over 16 MiB — send smaller or fewer JPEGs", content=bytes(50 * 2**20)),
    posts("50 MB without a length", 413, "over 16 MiB", content=lambda: megabytes(50)),
    posts("image bomb", 422, "pixels — send at most 50000000", content=png_of(60_000, 60_000)),
    posts("image bomb of 64 bits", 422, "pixels", content=png_of(2**31 - 1, 2**31 - 1)),
    posts("image just too large", 422, "pixels", content=png_of(9_000, 9_000)),
    posts("form without a file", 422, "holds no file — send 1 to 64 files", content=FIELD, headers=FORM),
    posts("form without an end", 422, "-F frame=@a.jpg", content=FIELD[:20], headers=FORM),
    posts("form of garbage", 422, "malformed", content=b"--other\r\nnonsense", headers=FORM),
    posts("form without a boundary", 422, "malformed", content=b"x", headers={"content-type": "multipart/form-data"}),
    posts("form of files of other names", 422, "not called 'frame'", files=[("a", PLAIN), ("b", PLAIN)]),
    posts("form of 65 frames", 422, "more than 64 files — send 1 to 64", files=frames(*[PLAIN] * 65)),
    posts("form over the limit", 413, "over 16 MiB", files=frames(*[bytes(2**20)] * 17)),
    posts("frames of two sizes", 422, "frame 2 of 2 is 96x96, the first is 64x48", files=frames(PLAIN, SQUARE)),
    posts("garbage among frames", 422, "frame 2 of 3 is no JPEG or PNG", files=frames(PLAIN, b"x", PLAIN)),
    posts("too few times", 422, "3 frames and 2 times", files=frames(*[PLAIN] * 3), data={"time": ["1", "2"]}),
    posts("times that fall", 422, "time 2 is not after time 1", files=frames(PLAIN, PLAIN), data={"time": ["2", "1"]}),
    posts("time that is a word", 422, "neither ISO 8601 nor seconds", files=frames(PLAIN), data={"time": ["noon"]}),
    posts("time that is no number", 422, "no number of seconds", files=frames(PLAIN), data={"time": ["nan"]}),
    posts("form with an empty file", 422, "empty (0 bytes)", files={"frame": ("a.jpg", b"")}),
    posts("map of a word", 422, "map: Input should be a valid boolean", query="?map=banana", content=PLAIN),
    posts("id of dots", 404, "not found", camera="../../etc/passwd", content=PLAIN),
    posts("id of encoded dots", 404, "", camera="%2e%2e%2f%2e%2e%2fstore", content=PLAIN),
    posts("id of a zero byte", 404, "no camera has such an id — GET /cameras", camera="dock-1%00", content=PLAIN),
    posts("id of two lines", 404, "no camera has such an id", camera="dock%0A1", content=PLAIN),
    posts("id of broken UTF-8", 404, "no camera has such an id", camera="%FF%FE", content=PLAIN),
    posts("id in capitals", 404, "no camera has such an id", camera="Dock-1", content=PLAIN),
    posts("id of 500 characters", 404, "no camera has such an id", camera="a" * 500, content=PLAIN),
    posts("empty id", 404, "not found — /docs lists", camera="", content=PLAIN),
]


def check_error(response: httpx.Response, status: int, says: str) -> None:
    assert response.status_code == status, response.text
    answer = strict(response)
    assert set(answer) == {"detail"}
    assert isinstance(answer["detail"], str)
    assert len(answer["detail"].splitlines()) == 1
    assert says in answer["detail"]
    assert " — " in answer["detail"], "a remedy"


@pytest.mark.parametrize(("path", "request_", "status", "says"), WRONG)
def test_what_is_wrong_is_one_line_of_json_and_changes_nothing(
    path: str, request_: dict[str, Any], status: int, says: str, client: httpx.Client, serving: Any
) -> None:
    before = serving.store.list("")
    made = dict(request_)
    if callable(made.get("content")):
        made["content"] = made["content"]()
    check_error(client.post(path, **made), status, says)
    assert serving.store.list("") == before
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/cameras/dock-1/score", 405),
        ("PUT", "/cameras/dock-1/score", 405),
        ("POST", "/cameras", 405),
        ("DELETE", "/cameras/dock-1", 405),
        ("GET", "/cameras/dock-9", 404),
        ("GET", "/cameras/..%2f..%2fstore", 404),
        ("GET", "/cameras/%00", 404),
        ("GET", "/nothing", 404),
    ],
)
def test_wrong_methods_and_paths(method: str, path: str, status: int, client: httpx.Client) -> None:
    check_error(client.request(method, path), status, "")


class TestChangesWhileItRuns:
    """Without a restart, within seconds. Five are given, where the docs say about two."""

    def until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 5
        while not true():
            assert time.monotonic() < deadline, "it was not picked up"
            time.sleep(0.1)

    def version(self, client: httpx.Client, camera: str, body: bytes) -> str:
        return str(client.post(f"/cameras/{camera}/score", content=body).json()["model_version"])

    def test_a_new_champion_and_a_rollback(
        self, client: httpx.Client, serving: Any, fit_version: Callable[..., str]
    ) -> None:
        body = serving.frames("dock-2")[0]
        first = self.version(client, "dock-2", body)
        second = fit_version(serving.store, "dock-2", seed=5)
        self.until(lambda: self.version(client, "dock-2", body) == second)
        self.until(lambda: client.get("/cameras/dock-2").json()["model_version"] == second)
        assert serving.command("rollback", "dock-2").returncode == 0
        self.until(lambda: self.version(client, "dock-2", body) == first)

    def test_an_edited_alert_policy(self, client: httpx.Client, serving: Any) -> None:
        """Nothing is trained for it, and the paper's threshold is not moved by it."""
        body = serving.frames("dock-2")[0]

        def ask() -> dict[str, Any]:
            answer: dict[str, Any] = client.post("/cameras/dock-2/score", content=body).json()
            return answer

        before = ask()
        Registry(serving.store).edit("dock-2", {"alert": {"rule": "paper", "kappa": 5.0}})
        self.until(lambda: ask()["score_threshold"] > before["score_threshold"])
        after = ask()
        assert (after["threshold"], after["model_version"]) == (before["threshold"], before["model_version"])
        self.until(lambda: client.get("/cameras/dock-2").json()["score_threshold"] == after["score_threshold"])
        Registry(serving.store).edit("dock-2", {"alert": {}})
        self.until(lambda: ask() == before)

    def test_a_camera_comes_gets_a_model_and_goes(
        self, client: httpx.Client, serving: Any, fit_version: Callable[..., str]
    ) -> None:
        body = serving.frames("dock-3")[0]
        path = "/cameras/newcomer/score"
        assert client.post(path, content=body).status_code == 404
        Registry(serving.store).add(make_camera(id="newcomer", source=str(serving.pictures["dock-3"])))
        self.until(lambda: client.post(path, content=body).status_code == 409)
        version = fit_version(serving.store, "newcomer")
        self.until(lambda: client.post(path, content=body).status_code == 200)
        assert self.version(client, "newcomer", body) == version
        Registry(serving.store).remove("newcomer", purge=True)
        self.until(lambda: client.post(path, content=body).status_code == 404)
        self.until(lambda: client.get("/cameras/newcomer").status_code == 404)

    def test_no_request_is_lost_when_a_champion_changes(
        self, client: httpx.Client, serving: Any, fit_version: Callable[..., str]
    ) -> None:
        import threading

        body = serving.frames("dock-2")[0]
        statuses: list[int] = []
        ended = threading.Event()

        def ask() -> None:
            while not ended.is_set():
                statuses.append(client.post("/cameras/dock-2/score", content=body).status_code)

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            version = fit_version(serving.store, "dock-2", seed=6)
            self.until(lambda: self.version(client, "dock-2", body) == version)
        finally:
            ended.set()
            asking.join()
        assert len(statuses) > 5
        assert set(statuses) == {200}
