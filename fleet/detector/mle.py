"""`MleDetector`: what a fit of the paper's method leaves behind, and all that scoring needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from cameras.errors import UsageError
from fleet.detector.config import DetectorConfig
from fleet.detector.detector import Detector, Scores, State
from fleet.detector.footage import Footage
from fleet.detector.frames import check_frames
from fleet.detector.model import load_network, reconstruct
from fleet.detector.network import Network
from fleet.detector.onnx import Runner
from fleet.detector.score import error_map, pcc
from fleet.detector.stats import EpochStats

__all__ = ["MleDetector"]


@dataclass(frozen=True, eq=False)
class MleDetector(Detector):
    """An autoencoder with minimal latent entropy, fitted to one scene.

    Frames are uint8, (N, H, W) grey or (N, H, W, 3) colour, as it was fitted on.

    Attributes:
        config: what it was fitted with.
        model: the network; its buffers hold the scene's picture, the scale and the mask.
        threshold: a frame is flagged when its PCC lies below (eq 9).
        pcc_mean, pcc_std: mean and standard deviation of the training frames' PCC (eq 8).
        map_scale: 99.9th percentile of the training frames' error maps, 0..1: what a picture of a map shows as
            full white.
        calibration: float64 (N,), PCC of each training frame, in their order.
        curve: a record an epoch. Read back from `state`, their `pcc` are empty.
    """

    method: ClassVar[str] = "mle"

    config: DetectorConfig
    model: Network
    threshold: float
    pcc_mean: float
    pcc_std: float
    map_scale: float
    calibration: NDArray[np.float64]
    curve: Sequence[EpochStats] = ()

    @property
    def height(self) -> int:
        return self.model.height

    @property
    def width(self) -> int:
        return self.model.width

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour."""
        return self.model.channels

    @property
    def valid(self) -> NDArray[np.bool_]:
        """bool (H, W): the pixels that count."""
        mask: NDArray[np.bool_] = self.model.valid.cpu().numpy() > 0
        return mask

    @property
    def collapsed(self) -> bool:
        """It reconstructs one and the same picture (see `EpochStats.collapsed`)."""
        return bool(self.curve) and self.curve[-1].collapsed

    def reconstruct(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Reconstructions of frames: their shape, float32 around 0..1 and not clipped to it, 0 where masked.

        Raises:
            UsageError: frames of another shape or type than it was fitted on.
        """
        shape = check_frames(frames)
        if shape != (self.height, self.width, self.channels):
            raise UsageError(
                f"this detector takes {_size(self.height, self.width, self.channels)} frames, not {_size(*shape)} ones",
                "prepare them as the model version says, or fit anew",
            )
        if self.model.valid.is_cpu:
            return self._runner(frames)
        return reconstruct(self.model, frames)

    def __getstate__(self) -> dict[str, Any]:
        """Without the session, which cannot be sent to another process and is made anew there."""
        return {name: value for name, value in self.__dict__.items() if name != "_runner"}

    @cached_property
    def _runner(self) -> Runner:
        return Runner(self.model)

    def score(self, footage: Footage) -> Scores:
        """1 - PCC of each frame."""
        pcc = self.pcc(footage.frames)
        return Scores(score=1 - pcc, pcc=pcc)

    def pcc(self, frames: NDArray[np.uint8]) -> NDArray[np.float64]:
        """PCC of each frame with its reconstruction (eq 2): float64 (N,), low where something is unusual.

        What other frames are scored together with a frame changes its PCC by less than 1e-6.
        """
        return pcc(frames, self.reconstruct(frames), self.valid)

    def error_map(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Where each frame is not as reconstructed: float32 (N, H, W), 0..1; see `score.error_map`."""
        return error_map(frames, self.reconstruct(frames), self.valid)

    def flag(self, pcc: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which PCC values lie below the threshold (eq 9): bool (N,)."""
        return np.asarray(pcc) < self.threshold

    def state(self) -> State:
        """Arrays (for safetensors) and plain values (for JSON) that `from_state` makes the same detector of."""
        weights = self.model.state_dict()
        tensors = {f"model.{name}": tensor.cpu().contiguous().numpy() for name, tensor in weights.items()}
        meta = {
            "method": self.method,
            "config": self.config.to_dict(),
            "height": self.height,
            "width": self.width,
            "channels": self.channels,
            "threshold": self.threshold,
            "pcc_mean": self.pcc_mean,
            "pcc_std": self.pcc_std,
            "map_scale": self.map_scale,
            "curve": [stats.to_dict() for stats in self.curve],
        }
        return tensors | {"calibration": self.calibration}, meta

    @classmethod
    def from_state(
        cls, tensors: Mapping[str, NDArray[Any]], meta: Mapping[str, Any], device: str = "cpu"
    ) -> MleDetector:
        """The detector of which `state` gave these.

        Raises:
            KeyError, ValueError, RuntimeError: something is missing, or does not fit the rest.
        """
        config = DetectorConfig.from_dict(meta["config"])
        weights = {
            name.removeprefix("model."): torch.tensor(array, device=device)  # copies: the caller's may go
            for name, array in tensors.items()
            if name.startswith("model.")
        }
        return cls(
            config=config,
            model=load_network(weights, meta["height"], meta["width"], meta["channels"], config),
            threshold=meta["threshold"],
            pcc_mean=meta["pcc_mean"],
            pcc_std=meta["pcc_std"],
            map_scale=meta["map_scale"],
            calibration=np.array(tensors["calibration"]),
            curve=tuple(map(EpochStats.from_dict, meta["curve"])),
        )


def _size(height: int, width: int, channels: int) -> str:
    return f"{width} x {height} {'grey' if channels == 1 else 'colour'}"
