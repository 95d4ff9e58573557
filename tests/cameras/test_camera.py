from __future__ import annotations

import base64
from datetime import UTC

import numpy as np
import pytest
from pydantic import ValidationError

from cameras.camera import AlertRule, Camera, Preprocessing, Size, check_id, parse_polygon, validation_message
from cameras.images import encode_png


def refusal(**fields: object) -> str:
    with pytest.raises(ValidationError) as caught:
        Camera(**{"id": "dock-3", "source": "/footage/dock.mp4", **fields})  # type: ignore[arg-type]
    return validation_message(caught.value)


def test_a_camera_needs_an_id_and_a_source_only() -> None:
    camera = Camera(id="dock-3", source="/footage/dock.mp4")
    assert (camera.fps, camera.size, camera.color, camera.masks) == (2.0, Size(96, 64), False, ())
    assert camera.registered_at.tzinfo is UTC


def test_a_camera_survives_json() -> None:
    camera = Camera(
        id="dock-3",
        source="rtsp://${CAM_USER}:${CAM_PASS}@10.0.0.3/stream",
        size="128x96",  # type: ignore[arg-type]
        masks=("0,0 0.5,0 0.5,0.4",),  # type: ignore[arg-type]
        crop=(0.1, 0.0, 1.0, 0.9),
        tags={"site": "berlin"},
        alert={"rule": "reference", "reference_from": "2026-01-01T00:00+01:00"},  # type: ignore[arg-type]
    )
    again = Camera.model_validate_json(camera.model_dump_json())
    assert again == camera
    assert again.size == Size(128, 96)
    assert again.masks == (((0.0, 0.0), (0.5, 0.0), (0.5, 0.4)),)
    assert '"128x96"' in camera.model_dump_json()


def test_preprocessing_is_the_part_a_model_copies() -> None:
    camera = Camera(id="dock-3", source="/x.mp4", size=Size(64, 48), color=True, fps=5)
    assert camera.preprocessing == Preprocessing(size=Size(64, 48), color=True, fps=5)
    assert not hasattr(camera.preprocessing, "source")


def test_a_record_from_before_there_were_alert_rules_follows_the_models() -> None:
    record = Camera(id="dock-3", source="/x.mp4").model_dump(mode="json")
    del record["alert"]
    assert Camera(**record).alert == AlertRule()


@pytest.mark.parametrize("camera_id", ["a", "dock-3", "0", "a" * 63])
def test_ids_that_stand_in_a_path(camera_id: str) -> None:
    assert check_id(camera_id) == camera_id


@pytest.mark.parametrize(
    ("camera_id", "hint"),
    [
        ("Dock 3", "try 'dock-3'"),
        ("dock_3", "try 'dock-3'"),
        ("-dock-", "try 'dock'"),
        ("", "may hold 1 to 63"),
        ("a" * 64, "may hold 1 to 63"),
        ("..", "may hold 1 to 63"),
        ("dock\n", "try 'dock'"),
        ("rtsp://u:hunter2@h/s", "looks like a source"),
        ("a/b", "looks like a source"),
    ],
)
def test_other_ids_are_refused_with_a_proposal(camera_id: str, hint: str) -> None:
    message = refusal(id=camera_id)
    assert hint in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"size": "8x8"}, "16 to 1920"),
        ({"size": "96"}, "not WIDTHxHEIGHT"),
        ({"size": "96x-64"}, "not WIDTHxHEIGHT"),
        ({"fps": 0}, "greater than 0"),
        ({"fps": 61}, "less than or equal to 60"),
        ({"fps": float("nan")}, "finite"),
        ({"masks": ("0,0 1,1",)}, "at least 3 points"),
        ({"masks": ("0,0 1,1 2,0",)}, "from 0 to 1"),
        ({"masks": ("0,0 1,1 nan,0",)}, "finite"),
        ({"masks": ("0,0 1",)}, "is no polygon"),
        ({"masks": ("0,0 0.5,0 0.5,0.5",) * 65}, "at most 64"),
        ({"crop": (0.5, 0, 0.5, 1)}, "left < right"),
        ({"crop": (0, 0, 1.5, 1)}, "shares from 0 to 1"),
        ({"tags": {"site name": "x"}}, "--tag site=berlin"),
        ({"source": "  "}, "the source is empty"),
        ({"source": "x" * 2049}, "at most 2048"),
        ({"sauce": "x"}, "sauce"),
        ({"alert": {"rule": "otsu"}}, "alert.rule"),
        ({"alert": {"p": 0}}, "alert.p: Input should be greater than"),
        ({"alert": {"kapa": 1}}, "alert.kapa"),
        ({"alert": {"reference_from": "2026-01-01T00:00"}}, "timezone"),
        (
            {"alert": {"reference_from": "2026-01-02T00:00Z", "reference_to": "2026-01-01T00:00Z"}},
            "ends before it begins",
        ),
        ({"mask_png": "not base64!"}, "mask"),
        ({"mask_png": base64.b64encode(b"\x89PNG but no more").decode()}, "mask"),
    ],
)
def test_what_can_never_work_is_refused_with_its_rule(fields: dict[str, object], rule: str) -> None:
    assert rule in refusal(**fields)


def test_a_mask_may_be_a_picture() -> None:
    png = base64.b64encode(encode_png(np.eye(8, dtype=np.uint8) * 255)).decode()
    camera = Camera(id="dock-3", source="/x.mp4", mask_png=png)
    assert camera.public()["mask_png"] == f"{len(png)} characters"


def test_the_public_record_shows_no_password() -> None:
    camera = Camera.model_construct(**{**Camera(id="a", source="/x").__dict__, "source": "rtsp://u:hunter2@h/s"})
    assert "hunter2" not in str(camera.public())
    assert Camera(id="a", source="rtsp://${U}:${P}@h/s").public()["source"] == "rtsp://${U}:${P}@h/s"


def test_polygons_are_read_from_text() -> None:
    assert parse_polygon("0,0 0.5,0 0.5,0.4") == ((0.0, 0.0), (0.5, 0.0), (0.5, 0.4))
    with pytest.raises(ValueError, match="write points as x,y"):
        parse_polygon("0;0")


def test_a_message_never_repeats_the_refused_value() -> None:
    assert "hunter2" not in refusal(source="rtsp://admin:hunter2@10.0.0.1/s")
    assert "hunter2" not in refusal(source=["hunter2"])
    assert "hunter2" not in refusal(fps="hunter2")
