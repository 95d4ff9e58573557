"""The endpoint of a camera whose champion has channels, some of which look back at earlier frames."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import numpy as np
import pytest

from cameras.images import decode_image, encode_png
from fleet.detector.reader import CHANNELS
from tests.serve.asking import frames, offline, strict

pytestmark = pytest.mark.slow


class TestChannels:
    """Of gate, whose champion looks back."""

    def ask(self, client: httpx.Client, bodies: list[bytes], times: list[str], query: str = "") -> dict[str, Any]:
        response = client.post(f"/cameras/gate/score{query}", files=frames(*bodies), data={"time": times})
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = strict(response)
        return answer

    def test_http_and_fleet_score_agree_on_the_score(self, client: httpx.Client, serving: Any) -> None:
        """Of every frame with the frames before it; the first has none and is judged by the paper's rule."""
        rows, bodies = offline(serving, "gate"), serving.frames("gate")
        looks_at = client.get("/cameras/gate").json()["frames"]
        assert 1 < looks_at < 20
        for last, row in enumerate(rows):
            window = slice(max(0, last + 1 - looks_at), last + 1)
            answer = self.ask(client, bodies[window], [row["captured_at"] for row in rows[window]])
            for name in ("score", "score_threshold", "pcc", "threshold"):
                assert answer[name] == pytest.approx(row[name], rel=1e-6, abs=1e-6), (last, name)
            for name in ("rule", "anomalous", "missing_channels"):
                assert answer[name] == row[name], (last, name)
            for name, channel in answer["channels"].items():
                assert channel == pytest.approx(row["channels"][name], abs=1e-4), (last, name)
        assert {row["rule"] for row in rows[:1]} == {"paper"}
        assert {row["rule"] for row in rows[1:]} == {"tail"}

    def test_the_camera_says_what_each_channel_is_worth_on_it(self, client: httpx.Client) -> None:
        worth = client.get("/cameras/gate").json()["channels"]
        assert tuple(worth) == CHANNELS
        assert all(
            verdict.split(",")[0] in ("informative", "neutral", "inverted", "blind") for verdict in worth.values()
        )

    def test_a_single_frame_names_what_it_lacks(self, client: httpx.Client, serving: Any) -> None:
        answer = strict(client.post("/cameras/gate/score", content=serving.frames("gate")[9]))
        assert answer["missing_channels"] == ["motion", "change"]
        assert answer["rule"] == "paper"
        assert answer["score"] == pytest.approx(1 - answer["pcc"])
        assert answer["score_threshold"] == pytest.approx(1 - answer["threshold"])

    def test_a_map_a_channel(self, client: httpx.Client, serving: Any) -> None:
        bodies = serving.frames("gate")[:5]
        answer = self.ask(client, bodies, [], "?map=1")
        assert tuple(answer["channels"]) == tuple(answer["channel_maps"]) == CHANNELS
        for picture in answer["channel_maps"].values():
            assert decode_image(base64.b64decode(picture, validate=True)).shape == (64, 96, 3)

    def test_any_pictures_give_numbers(self, client: httpx.Client) -> None:
        """All alike, unchanging, at once or an age apart: no NaN, no 500."""
        black, white = (encode_png(np.full((48, 64, 3), grey, np.uint8)) for grey in (0, 255))
        for bodies in ([black] * 3, [black, white, black], [white] * 64):
            assert "score" in self.ask(client, bodies, [], "?map=1")
        for times in (["0", "0.000001", "0.000002"], ["0", "1", "99999999999"]):
            assert "score" in self.ask(client, [black, white, black], times)
