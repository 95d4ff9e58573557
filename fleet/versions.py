"""Model versions: what a search leaves behind, written so that no half of it is ever seen.

Weights and tables first, the manifest last: a version exists when its manifest does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cameras.camera import Preprocessing, validation_message
from fleet import layout
from fleet.errors import NotFoundError, StoreError
from fleet.store import Store
from fleet.tables import table_from_bytes, table_to_bytes

if TYPE_CHECKING:
    from fleet.detector.evidence import EvidenceDetector
    from fleet.detector.mle import MleDetector

__all__ = [
    "ModelVersion",
    "calibration",
    "detector_of",
    "load_detector",
    "read_version",
    "trials",
    "versions",
    "write_version",
]


class ModelVersion(BaseModel):
    """The manifest of one trained model of one camera: all that is needed to score with it and to trace it back.

    Attributes:
        preprocessing: the camera's, as it was when the frames were read; used with this version for ever.
        frame_width, frame_height: of the frames it was trained on, before preprocessing.
        detector: the detector's own settings and scales (`MleDetector.state`).
        lam, cap: the winning point beside its sigma; a cap only where the detector has one that was searched over.
        reason: why this point of the search won, a sentence.
        channels: of each channel of evidence, what it is worth on this camera ("informative, handicap 0.0"); empty for
            the paper's detector.
        rule: what `anomalous` follows where the camera has no alert policy of its own, with its score's threshold: a
            frame is anomalous above it. Under the rule `paper` the score is 1 - PCC.
        threshold: the paper's, of the PCC, whatever the rule (eq 9).
        fingerprint: of the winning trial: camera, frames, preprocessing, point and fit code version.
    """

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    camera: str
    version: str
    created_at: datetime
    job: str
    search: str
    preprocessing: Preprocessing
    frame_width: int
    frame_height: int
    frames: int
    first_frame_at: datetime
    last_frame_at: datetime
    sigma: float
    lam: float = Field(alias="lambda")
    cap: float | None = None
    objective_name: str
    objective: float | None
    reason: str
    channels: dict[str, str] = Field(default_factory=dict)
    rule: str = "paper"
    kappa: float
    threshold: float
    score_threshold: float
    pcc_mean: float
    pcc_std: float
    collapsed: bool
    trials: int
    fingerprint: str
    detector: dict[str, Any]
    generation: int = 1

    @model_validator(mode="before")
    @classmethod
    def _of_the_paper(cls, values: Any) -> Any:
        """Manifests from before there were other rules have no threshold of the score."""
        if isinstance(values, dict) and "score_threshold" not in values and "threshold" in values:
            return values | {"score_threshold": 1.0 - values["threshold"]}
        return values

    @property
    def method(self) -> str:
        """What was fitted: 'evidence', or 'mle', the paper's."""
        return str(self.detector.get("method", "mle"))


def write_version(
    store: Store,
    version: ModelVersion,
    tensors: dict[str, Any],
    trial_rows: Sequence[dict[str, Any]],
    calibration_rows: Sequence[dict[str, Any]],
) -> None:
    """Write a version: weights, tables, and the manifest last."""
    from safetensors.numpy import save

    def put(name: str, data: bytes) -> None:
        store.put(layout.model_key(version.camera, version.version, name), data)

    put("model.safetensors", save(tensors))
    put("trials.parquet", table_to_bytes(trial_rows))
    put("calibration.parquet", table_to_bytes(calibration_rows))
    put("manifest.json", version.model_dump_json(by_alias=True, indent=1).encode())


def read_version(store: Store, camera: str, version: str) -> ModelVersion:
    """One version's manifest.

    Raises:
        NotFoundError: there is none of this name.
        StoreError: it is damaged.
    """
    record = store.read(layout.model_key(camera, version, "manifest.json")) if layout.is_name(version) else None
    if record is None:
        raise NotFoundError(f"there is no model version '{version[:60]}'", f"fleet models {camera}", camera)
    try:
        return ModelVersion(**record)
    except ValidationError as error:
        raise StoreError(
            f"the manifest of version {version} is damaged: {validation_message(error)}",
            f"fleet rollback {camera}, or fleet retrain {camera}",
            camera,
        ) from None


def versions(store: Store, camera: str) -> list[ModelVersion]:
    """All versions of a camera's model, oldest first."""
    prefix = layout.models_prefix(camera)
    names = [key.removeprefix(prefix).split("/")[0] for key in store.list(prefix) if key.endswith("/manifest.json")]
    return sorted((read_version(store, camera, name) for name in names), key=lambda version: version.created_at)


def load_detector(store: Store, version: ModelVersion) -> EvidenceDetector | MleDetector:
    """The fitted detector of a version.

    Raises:
        StoreError: its weights are missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    key = layout.model_key(version.camera, version.version, "model.safetensors")
    data = store.get(key)
    try:
        if data is None:
            raise KeyError(key)
        return detector_of(load(data), version.detector)
    except (SafetensorError, KeyError, ValueError, RuntimeError):
        raise StoreError(
            f"the weights of version {version.version} are missing or damaged",
            f"fleet rollback {version.camera}, or fleet retrain {version.camera}",
            version.camera,
        ) from None


def detector_of(tensors: Mapping[str, Any], meta: Mapping[str, Any]) -> EvidenceDetector | MleDetector:
    """The fitted detector of a state, by the method that the state names.

    Raises:
        KeyError, ValueError, RuntimeError: something is missing, or does not fit the rest.
    """
    if meta.get("method", "mle") == "evidence":
        from fleet.detector.evidence import EvidenceDetector

        return EvidenceDetector.from_state(tensors, meta)
    from fleet.detector.mle import MleDetector

    return MleDetector.from_state(tensors, meta)


def trials(store: Store, camera: str, version: str) -> list[dict[str, Any]]:
    """The search that a version came from: a row a point."""
    return _rows(store, layout.model_key(camera, version, "trials.parquet"))


def calibration(store: Store, camera: str, version: str) -> list[dict[str, Any]]:
    """What a version says of each frame that it was trained on: frame, clip, captured_at, pcc, score, and the tail of
    each of its channels (`tail_motion` and so on)."""
    return _rows(store, layout.model_key(camera, version, "calibration.parquet"))


def _rows(store: Store, key: str) -> list[dict[str, Any]]:
    data = store.get(key)
    if data is None:
        raise NotFoundError(f"{key} is not in the store {store.uri}", "fleet doctor")
    rows: list[dict[str, Any]] = table_from_bytes(data, key).to_pylist()
    return rows
