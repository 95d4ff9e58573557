"""From pictures and a model version to scores: the core that offline scoring and the endpoints share."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime

import cv2
import numpy as np
import pytest

from cameras.camera import AlertRule, Camera, Preprocessing
from cameras.images import decode_image
from fleet import layout
from fleet.detector import DetectorConfig, Footage
from fleet.detector.fit import fit
from fleet.errors import FrameError, NotFoundError, SourceError
from fleet.registry import Registry, make_camera
from fleet.scoring import (
    LoadedModel,
    channel_map_pictures,
    error_map_picture,
    load_model,
    prepare,
    score_footage,
    score_source,
    under_policy,
)
from fleet.versions import ModelVersion, write_version
from tests.doubles import TwoBack

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
PREPROCESSING = Preprocessing(size="32x24")


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """RGB (40, 48, 64, 3): a wall on which a light wanders, and, in the last one, something that was never there."""
    rng = np.random.default_rng(0)
    wall = rng.integers(80, 160, (6, 8)).repeat(8, 0).repeat(8, 1)
    made = np.stack([wall + 15 * np.sin(place / 4) + rng.normal(0, 2, wall.shape) for place in range(40)])
    made[-1, 10:30, 10:40] = 255
    return np.clip(made, 0, 255).astype(np.uint8)[..., None].repeat(3, axis=3)


@pytest.fixture(scope="module")
def model(pictures) -> LoadedModel:
    from cameras.preprocess import preprocess

    detector = fit(
        np.stack([preprocess(picture, PREPROCESSING) for picture in pictures[:-1]]), DetectorConfig(epochs=3)
    )
    state = detector.state()[1]
    version = ModelVersion.model_validate(
        {
            **{"camera": "dock", "version": "v1", "created_at": NOON, "job": "job", "search": "quick"},
            **{"preprocessing": PREPROCESSING.model_dump(), "frame_width": 64, "frame_height": 48, "frames": 39},
            **{"first_frame_at": NOON, "last_frame_at": NOON, "sigma": 0.1, "lambda": 1.0, "kappa": 0.5},
            **{"objective_name": "bic-gain", "objective": 0.0, "reason": "", "trials": 1, "fingerprint": "f"},
            **{name: state[name] for name in ("threshold", "pcc_mean", "pcc_std")},
            **{"collapsed": detector.collapsed, "detector": state},
        }
    )
    return LoadedModel(version, detector, AlertRule(), version.rule, version.score_threshold)


@pytest.fixture(scope="module")
def looking(model) -> LoadedModel:
    """A model of two channels, one of which looks two frames back, under a rule of its fused score."""
    return replace(model, detector=TwoBack(model.detector), rule="tail", score_threshold=1.5)


def footage_of(model, pictures, **options) -> Footage:
    prepared = np.stack([prepare(model, picture) for picture in pictures])
    return Footage.of(prepared, options.pop("fps", 2.0), **options)


def verdicts_of(model, pictures, **options):
    """Verdicts on all of these pictures, taken at a steady rate."""
    return score_footage(model, footage_of(model, pictures, **options), range(len(pictures)))


@pytest.fixture
def stored(model, folder_store):
    """The model in a store, as the champion."""
    rows = [
        {"frame": at, "clip": "", "captured_at": NOON, "pcc": pcc} for at, pcc in enumerate(model.detector.calibration)
    ]
    write_version(folder_store, model.version, model.detector.state()[0], [{"a": 1}], rows)
    registry = Registry(folder_store)
    registry.add(Camera(id="dock", source="video.mp4"))
    registry.promote("dock", "v1")
    return folder_store


@pytest.fixture
def folder(tmp_path, pictures):
    path = tmp_path / "pictures"
    path.mkdir()
    for place, picture in enumerate(pictures):
        cv2.imwrite(str(path / f"{place:03d}.png"), picture)
    return path


# -- verdicts


def test_what_stands_beside_a_picture_in_a_batch_does_not_change_its_verdict(model, pictures):
    together = verdicts_of(model, pictures)
    alone = [verdicts_of(model, [picture])[0] for picture in pictures]
    assert [verdict.anomalous for verdict in together] == [verdict.anomalous for verdict in alone]
    np.testing.assert_allclose([v.pcc for v in together], [v.pcc for v in alone], atol=1e-6)


def test_a_verdict_of_the_papers_detector_is_the_papers_rule(model, pictures):
    for verdict in verdicts_of(model, pictures):
        assert verdict.rule == "paper"
        assert verdict.threshold == model.version.threshold
        assert verdict.score == verdict.evidence == pytest.approx(1 - verdict.pcc)
        assert verdict.anomalous == (verdict.pcc < verdict.threshold)
        assert verdict.anomalous == (verdict.score > verdict.score_threshold)
        assert (verdict.channels, verdict.missing) == ({}, ())


def test_what_was_never_there_is_the_strangest(model, pictures):
    verdicts = verdicts_of(model, pictures)
    assert min(verdicts, key=lambda verdict: verdict.pcc) is verdicts[-1]
    assert verdicts[-1].anomalous


# -- channels, and what they look back at


def test_a_verdict_with_all_channels_is_the_champions_rule_on_the_fused_score(looking, pictures):
    for verdict in verdicts_of(looking, pictures)[2:]:
        assert set(verdict.channels) == {"looks", "motion"}
        assert verdict.missing == ()
        assert (verdict.rule, verdict.score_threshold) == ("tail", 1.5)
        assert verdict.score == verdict.evidence == max(channel.tail for channel in verdict.channels.values())
        assert verdict.anomalous == (verdict.score > 1.5)
        assert verdict.threshold == looking.version.threshold, "the paper's, whatever the rule"


def test_a_frame_without_context_names_what_it_lacks_and_is_judged_by_the_papers_rule(looking, pictures):
    for verdict in verdicts_of(looking, pictures[-2:]):
        assert list(verdict.channels) == ["looks"]
        assert verdict.missing == ("motion",)
        assert verdict.rule == "paper"
        assert verdict.score == pytest.approx(1 - verdict.pcc)
        assert verdict.score_threshold == pytest.approx(1 - verdict.threshold)
        assert verdict.anomalous == (verdict.pcc < verdict.threshold)
        assert verdict.evidence == verdict.channels["looks"].tail, "the fused score of what it has, to rank it by"


def test_another_clip_is_nothing_to_look_back_at(looking, pictures):
    verdicts = verdicts_of(looking, pictures[:8], clip=np.repeat([0, 1], 4))
    assert [bool(verdict.missing) for verdict in verdicts] == [True, True, False, False] * 2


def test_where_the_papers_rule_is_in_force_it_judges_every_frame(looking, pictures):
    """Also one that the policy moved: there is nothing to fall back from."""
    for verdict in verdicts_of(replace(looking, rule="paper", score_threshold=0.25), pictures):
        assert (verdict.rule, verdict.score_threshold) == ("paper", 0.25)
        assert verdict.score == pytest.approx(1 - verdict.pcc)


def test_a_picture_is_prepared_as_the_version_says_not_the_camera(model, pictures):
    assert prepare(model, pictures[0]).shape == (24, 32)


def test_a_larger_picture_of_the_same_view_is_taken(model, pictures):
    doubled = cv2.resize(pictures[0], (128, 96), interpolation=cv2.INTER_NEAREST)
    plain, larger = (verdicts_of(model, [picture])[0] for picture in (pictures[0], doubled))
    assert plain.pcc == pytest.approx(larger.pcc, abs=0.02)


@pytest.mark.parametrize("shape", [(64, 48, 3), (48, 128, 3), (48, 20, 3)])
def test_a_picture_of_other_proportions_is_refused(model, shape):
    with pytest.raises(FrameError):
        prepare(model, np.zeros(shape, np.uint8))


# -- error maps


def test_a_map_shows_where_and_on_a_scale_that_is_the_versions_own(model, pictures):
    camera = make_camera(id="dock", source="here")
    prepared = (prepare(model, picture) for picture in (pictures[13], pictures[-1]))
    usual, strange = (error_map_picture(model, picture, camera) for picture in prepared)
    for made in (usual, strange):
        assert (made.dtype, made.shape) == (np.uint8, (24, 32))
    inside, outside = strange[6:14, 6:19], strange[18:, 22:]
    assert inside.mean() > 2 * outside.mean()
    assert inside.max() == 255
    assert usual.mean() < strange.mean() / 1.5, "a scale that each picture had of its own would make both alike"


def test_a_mask_that_is_newer_than_the_version_hides_its_part_of_the_map(model, pictures):
    hiding = make_camera(id="dock", source="here", masks=("0,0 0.5,0 0.5,1 0,1",))
    made = error_map_picture(model, prepare(model, pictures[-1]), hiding)
    assert not made[:, :16].any()


def test_a_map_a_channel_of_the_last_frame(looking, pictures):
    hiding = make_camera(id="dock", source="here", masks=("0,0 0.5,0 0.5,1 0,1",))
    made = channel_map_pictures(looking, footage_of(looking, pictures[-3:]), hiding)
    assert set(made) == {"looks", "motion"}
    for picture in made.values():
        assert (picture.dtype, picture.shape) == (np.uint8, (24, 32))
        assert not picture[:, :16].any(), "dark where the camera hides by now"
        assert picture[:, 18:].any()


def test_the_papers_detector_has_no_maps_of_channels(model, pictures):
    camera = make_camera(id="dock", source="here")
    assert channel_map_pictures(model, footage_of(model, pictures[-1:]), camera) == {}


# -- models


def test_the_champion_is_loaded_or_a_version_by_name(stored, model, pictures):
    for loaded in (load_model(stored, "dock"), load_model(stored, "dock", "v1")):
        assert loaded.version == model.version
        assert verdicts_of(loaded, pictures[:1]) == verdicts_of(model, pictures[:1])


def test_a_camera_without_a_model_is_told_to_retrain(stored):
    Registry(stored).add(Camera(id="gate", source="video.mp4"))
    with pytest.raises(NotFoundError, match="camera 'gate': has no model yet — fleet retrain gate"):
        load_model(stored, "gate")


def test_a_version_that_is_not_there_is_not_found(stored):
    with pytest.raises(NotFoundError, match="no model version 'v9'"):
        load_model(stored, "dock", "v9")
    stored.delete(layout.model_key("dock", "v1", "manifest.json"))
    with pytest.raises(NotFoundError, match="no model version 'v1'"):
        load_model(stored, "dock")


def test_a_cameras_policy_moves_the_threshold_without_training(stored, model):
    """At once and for every version; the paper's threshold stays what it is."""
    before = load_model(stored, "dock")
    Registry(stored).edit("dock", {"alert": {"rule": "tail", "p": 0.1}})
    after = load_model(stored, "dock")
    assert (before.rule, before.score_threshold) == ("paper", model.version.score_threshold)
    assert after.rule == "tail"
    assert after.score_threshold > before.score_threshold
    camera = Registry(stored).edit("dock", {"alert": {}})
    again = under_policy(stored, camera, after)
    assert (again.rule, again.score_threshold) == (before.rule, before.score_threshold)


# -- sources


def test_every_frame_of_a_source_is_scored_in_order_with_its_time(model, folder):
    told = []
    found = list(score_source(model, Camera(id="dock", source="elsewhere"), str(folder), on_frame=told.append))
    assert [row.index for row in found] == list(range(40))
    assert len(told) == 40
    assert all(row.captured_at.tzinfo is not None for row in found)
    assert sorted(row.captured_at for row in found) == [row.captured_at for row in found]
    shown = [decode_image((folder / f"{place:03d}.png").read_bytes()) for place in (0, 39)]
    expected = [verdicts_of(model, [picture])[0].pcc for picture in shown]
    np.testing.assert_allclose([found[0].verdict.pcc, found[39].verdict.pcc], expected, atol=1e-6)


@pytest.mark.parametrize("live", [False, True], ids=["batches", "one at a time"])
def test_each_frame_is_scored_with_the_frames_before_it(live, looking, pictures, folder, monkeypatch):
    """Over the edges of batches, too; a live source is scored a frame at a time."""
    from cameras.sources.folder import ImageFolder

    monkeypatch.setattr(ImageFolder, "live", live)
    found = [row.verdict for row in score_source(looking, Camera(id="dock", source="x"), str(folder))]
    expected = verdicts_of(looking, pictures)
    assert [verdict.missing for verdict in found] == [("motion",)] * 2 + [()] * 38
    for name in ("score", "evidence", "pcc"):
        np.testing.assert_allclose(
            [getattr(v, name) for v in found], [getattr(v, name) for v in expected], rtol=0, atol=1e-6
        )


def test_subfolders_are_clips_that_do_not_look_back_at_each_other(looking, folder, tmp_path):
    for name in ("a", "b"):
        (tmp_path / "clips" / name).mkdir(parents=True)
        for place in range(3):
            shutil.copy(folder / f"{place:03d}.png", tmp_path / "clips" / name)
    found = list(score_source(looking, Camera(id="dock", source="x"), str(tmp_path / "clips")))
    assert [bool(row.verdict.missing) for row in found] == [True, True, False] * 2


def test_a_source_that_does_not_open_is_an_error_that_names_the_camera(model, tmp_path):
    with pytest.raises(SourceError, match="dock"):
        list(score_source(model, Camera(id="dock", source="x"), str(tmp_path / "none.mp4")))


def test_a_source_of_another_view_is_an_error_that_names_the_camera(model, tmp_path):
    cv2.imwrite(str(tmp_path / "tall.png"), np.zeros((200, 50, 3), np.uint8))
    with pytest.raises(FrameError, match="dock"):
        list(score_source(model, Camera(id="dock", source="x"), str(tmp_path)))
