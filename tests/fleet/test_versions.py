"""Model versions: written so that no half is seen, read back as they were, and clear about what is damaged."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from cameras.camera import Preprocessing
from fleet import layout
from fleet.detector import DetectorConfig, MleDetector
from fleet.detector.fit import fit
from fleet.errors import NotFoundError, StoreError
from fleet.store import Store
from fleet.versions import ModelVersion, calibration, load_detector, read_version, trials, versions, write_version

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def detector() -> MleDetector:
    frames = np.random.default_rng(0).integers(0, 255, (24, 16, 16), np.uint8)
    return fit(frames, DetectorConfig(epochs=1, latent=4))


def version_of(detector: MleDetector, name: str = "v1", created_at: datetime = NOON) -> ModelVersion:
    return ModelVersion.model_validate(
        {
            "camera": "dock",
            "version": name,
            "created_at": created_at,
            "job": "job",
            "search": "quick",
            "preprocessing": Preprocessing(size="16x16", masks=["0,0 0.5,0 0.5,0.4"]).model_dump(),
            "frame_width": 64,
            "frame_height": 48,
            "frames": 24,
            "first_frame_at": NOON,
            "last_frame_at": NOON,
            "sigma": 0.1,
            "lambda": 1.0,
            "objective_name": "bic-gain",
            "objective": None,
            "reason": "the only one",
            "kappa": 0.5,
            "threshold": detector.threshold,
            "pcc_mean": detector.pcc_mean,
            "pcc_std": detector.pcc_std,
            "collapsed": detector.collapsed,
            "trials": 1,
            "fingerprint": "f" * 20,
            "detector": detector.state()[1],
        }
    )


def write(store: Store, version: ModelVersion, detector: MleDetector) -> None:
    rows = [{"frame": 0, "pcc": 0.9}]
    write_version(store, version, detector.state()[0], [{"sigma": 0.1, "lambda": 1.0}], rows)


def test_a_version_is_read_as_it_was_written(store, detector):
    version = version_of(detector)
    write(store, version, detector)
    assert read_version(store, "dock", "v1") == version
    assert trials(store, "dock", "v1") == [{"sigma": 0.1, "lambda": 1.0}]
    assert calibration(store, "dock", "v1") == [{"frame": 0, "pcc": 0.9}]


def test_a_detector_that_was_stored_scores_as_it_did(store, detector):
    version = version_of(detector)
    write(store, version, detector)
    frames = np.random.default_rng(1).integers(0, 255, (5, 16, 16), np.uint8)
    np.testing.assert_array_equal(load_detector(store, version).pcc(frames), detector.pcc(frames))


def test_the_manifest_is_written_last(detector, folder_store, monkeypatch):
    written = []
    put = Store.put
    monkeypatch.setattr(Store, "put", lambda store, key, data: (written.append(key), put(store, key, data)))
    write(folder_store, version_of(detector), detector)
    assert written[-1] == "models/dock/v1/manifest.json"
    assert len(written) == 4


def test_a_version_without_its_manifest_is_none(folder_store, detector):
    write(folder_store, version_of(detector), detector)
    folder_store.delete(layout.model_key("dock", "v1", "manifest.json"))
    assert versions(folder_store, "dock") == []
    with pytest.raises(NotFoundError, match="no model version 'v1'"):
        read_version(folder_store, "dock", "v1")


def test_versions_are_listed_from_the_oldest(store, detector):
    for name, hour in (("b", 1), ("a", 3), ("c", 2)):
        write(store, version_of(detector, name, NOON.replace(hour=hour)), detector)
    assert [version.version for version in versions(store, "dock")] == ["b", "c", "a"]
    assert versions(store, "gate") == []


def test_under_the_papers_rule_the_scores_threshold_is_one_less_the_pccs(detector):
    version = version_of(detector)
    assert version.score_threshold == pytest.approx(1 - version.threshold)


@pytest.mark.parametrize("content", [b"{", b"{}", b'{"camera": "dock", "version": "v1", "frames": "many"}'])
def test_a_damaged_manifest_is_an_error_in_one_line(folder_store, content):
    folder_store.put(layout.model_key("dock", "v1", "manifest.json"), content)
    with pytest.raises(StoreError, match="damaged") as error:
        read_version(folder_store, "dock", "v1")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [None, b"", b"no tensors", b"\xff" * 9])
def test_damaged_weights_are_an_error_that_names_the_camera_and_the_way_back(folder_store, detector, content):
    version = version_of(detector)
    write(folder_store, version, detector)
    key = layout.model_key("dock", "v1", "model.safetensors")
    folder_store.delete(key) if content is None else folder_store.put(key, content)
    with pytest.raises(StoreError, match="camera 'dock': the weights of version v1 are missing or damaged") as error:
        load_detector(folder_store, version)
    assert "fleet rollback dock" in str(error.value)


def test_weights_that_are_not_of_this_detector_are_damaged(folder_store, detector):
    from safetensors.numpy import save

    version = version_of(detector)
    folder_store.put(layout.model_key("dock", "v1", "model.safetensors"), save({"other": np.zeros(3)}))
    with pytest.raises(StoreError, match="missing or damaged"):
        load_detector(folder_store, version)


@pytest.mark.parametrize("content", [None, b"", b"PAR1 no table"])
def test_damaged_tables_are_errors_that_name_the_key(folder_store, content):
    key = layout.model_key("dock", "v1", "trials.parquet")
    if content is not None:
        folder_store.put(key, content)
    with pytest.raises((NotFoundError, StoreError), match=r"models/dock/v1/trials\.parquet"):
        trials(folder_store, "dock", "v1")
