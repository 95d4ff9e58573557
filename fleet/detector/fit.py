"""One camera, one configuration -> a fitted detector."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cameras.errors import FleetError, UsageError
from fleet.detector.config import MOVING_VIEW_CAP, DetectorConfig, paper_batch_size
from fleet.detector.frames import check_frames, check_mask, chunks, evenly_spaced
from fleet.detector.losses import frame_losses, loss_terms
from fleet.detector.mle import MleDetector
from fleet.detector.model import load_network, new_network, reconstruct
from fleet.detector.network import to_frames, to_tensor
from fleet.detector.reference import median_frame, moving_view
from fleet.detector.score import error_map, pcc
from fleet.detector.stats import EpochStats, effective_rank, rank_correlation
from fleet.detector.threshold import paper_threshold

__all__ = ["Fitting", "fit"]

# Frames that an epoch is measured on: a third of a small scene's, so that measuring is a fifth of an epoch's time.
_EVALUATED_SHARE = 3
_EVALUATED_AT_LEAST = 64
_EVALUATED_AT_MOST = 512

# Error maps are counted into so many steps of 0..1: their percentile over thousands of frames takes no memory.
_MAP_STEPS = 2**16


def fit(
    frames: NDArray[np.uint8],
    config: DetectorConfig | None = None,
    valid: NDArray[np.bool_] | None = None,
    on_epoch: Callable[[EpochStats], object] | None = None,
    device: str = "cpu",
) -> MleDetector:
    """Fit a detector to the frames of one camera, events and all.

    Args:
        frames: uint8 (N, H, W) grey or (N, H, W, 3) colour; may be a read-only view.
        config: the defaults where it is None.
        valid: bool (H, W), True where a pixel counts; None counts all.
        on_epoch: called after each epoch.
        device: where to train; the detector is on the CPU.

    Raises:
        UsageError: frames or a mask that nothing can be learnt from.
        FleetError: the training diverged.
    """
    fitting = Fitting(frames, config or DetectorConfig(), valid, device)
    for _ in range(fitting.config.epochs):
        stats = fitting.epoch()
        if on_epoch is not None:
            on_epoch(stats)
    return fitting.detector()


class Fitting:
    """A fit under way, an epoch at a time: a scheduler may stop it after any of them.

    The same frames, configuration and number of threads give the same detector; the global random numbers stay as they
    were. Arguments and errors are those of `fit`, and

    Args:
        start: another point's detector of the same frames, or its network's weights by name: what to train on from,
            instead of random weights.
    """

    def __init__(
        self,
        frames: NDArray[np.uint8],
        config: DetectorConfig,
        valid: NDArray[np.bool_] | None = None,
        device: str = "cpu",
        start: MleDetector | Mapping[str, Tensor] | None = None,
    ) -> None:
        height, width, channels = check_frames(frames)
        self.config = config
        self.curve: list[EpochStats] = []
        self._frames = frames
        self._valid = check_mask(valid, height, width)
        if len(frames) < 2:
            raise UsageError(f"a fit takes 2 frames at least, not {len(frames)}", "record more of them")

        # The mean frame and the variance about it, over the pixels that count, in 0..1: (H, W, C) and a number.
        mean, variance = _temporal_moments(frames)
        self._variance = float(variance[self._valid].sum())
        if not self._variance > 0:
            raise UsageError(
                f"nothing moves: all {len(frames)} frames are the same where they are not masked",
                "check that the camera is not frozen, and what its mask covers",
            )
        if config.entropy_as == "cap" and config.cap is None:
            self.config = config = replace(config, cap=MOVING_VIEW_CAP if moving_view(frames, self._valid) else 0.0)
        # The best constant picture: the mean for a squared error, about the median for the robust ones.
        squared = config.network == "plain" and config.error == "squared"
        background = mean if squared else median_frame(frames).reshape(mean.shape) / 255
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.model = new_network(height, width, channels, config)
        self.model.standardise(background, math.sqrt(self._variance / (self._valid.sum() * channels)), self._valid)
        self.model.to(device)
        self._order = torch.Generator().manual_seed(config.seed)
        self._noise = torch.Generator().manual_seed(config.seed)
        self._optimiser = torch.optim.Adam(self.model.parameters(), lr=config.learning_rate)

        batch_size = config.batch_size or paper_batch_size(len(frames))
        self._steps = math.ceil(len(frames) / batch_size)
        self._error_scale = self._still_loss() if config.error_scale == "variance" else 1.0
        n_evaluated = max(_EVALUATED_AT_LEAST, min(len(frames) // _EVALUATED_SHARE, _EVALUATED_AT_MOST))
        self._evaluated = frames[evenly_spaced(len(frames), n_evaluated)]
        if start is None and config.cap != 0:  # a latent that is to be switched off is best left as it is
            few = frames[evenly_spaced(len(frames), batch_size)]
            self.model.prepare(to_tensor(few, self.model.valid.device), config.sigma)
        elif start is not None:
            self._take(start.model.state_dict() if isinstance(start, MleDetector) else start)
        still = np.broadcast_to(background.reshape(frames.shape[1:]), self._evaluated.shape)
        self._still_pcc = pcc(self._evaluated, still, self._valid)  # a frame's light does not change its PCC

    def epoch(self) -> EpochStats:
        """Train on every frame once, then measure.

        Raises:
            FleetError: the loss is no longer a number.
        """
        device = self.model.valid.device
        sums = torch.zeros(3, device=device)
        # Batches of equal size, not a small last one: the entropy of a batch depends on how many are in it.
        for batch in torch.randperm(len(self._frames), generator=self._order).tensor_split(self._steps):
            frames = to_tensor(self._frames[batch.numpy()], device)
            terms = loss_terms(self.model, frames, self.config, self._error_scale, self._latent_noise(len(frames)))
            self._optimiser.zero_grad()
            terms[0].backward()
            self._optimiser.step()
            sums += torch.stack(terms).detach()
        total, reconstruction, entropy = (sums / self._steps).tolist()
        if not (math.isfinite(total) and all(weight.isfinite().all() for weight in self.model.parameters())):
            raise FleetError(
                f"training diverged in epoch {len(self.curve) + 1}: the loss is {total}",
                f"lower learning_rate (it is {self.config.learning_rate:g})",
            )
        self.curve.append(self._measure(reconstruction, entropy, total))
        return self.curve[-1]

    def detector(self) -> MleDetector:
        """What is fitted now. Later epochs leave it as it is."""
        weights = {name: tensor.to("cpu", copy=True) for name, tensor in self.model.state_dict().items()}
        model = load_network(weights, self.model.height, self.model.width, self.model.channels, self.config)
        calibration = np.zeros(len(self._frames))
        counts = np.zeros(_MAP_STEPS, np.int64)
        for part in chunks(self._frames):
            frames = self._frames[part]
            reconstructions = reconstruct(model, frames)  # by torch, the reference of what will score
            calibration[part] = pcc(frames, reconstructions, self._valid)
            errors = error_map(frames, reconstructions, self._valid)[:, self._valid]
            steps = (errors.clip(0, 1) * (_MAP_STEPS - 1)).round().astype(np.int64)
            counts += np.bincount(steps.ravel(), minlength=_MAP_STEPS)
        white = int(np.searchsorted(np.cumsum(counts), 0.999 * counts.sum()))
        threshold, mean, std = paper_threshold(calibration, self.config.kappa)
        map_scale = max(white, 1) / (_MAP_STEPS - 1)  # never 0: pictures divide by it
        return MleDetector(self.config, model, threshold, mean, std, map_scale, calibration, tuple(self.curve))

    def _take(self, weights: Mapping[str, Tensor]) -> None:
        """Train on from these weights; the scene's buffers stay this fit's own."""
        own = dict(self.model.named_parameters())
        if {name: weight.shape for name, weight in own.items()} != {
            name: weights[name].shape for name in own if name in weights
        }:
            raise UsageError("the fit to start from has another network", "give one of the same network and size")
        with torch.no_grad():
            for name, weight in own.items():
                weight.copy_(weights[name])

    def _latent_noise(self, n: int) -> Tensor | None:
        if self.config.entropy_as == "penalty":
            return None
        drawn = torch.randn(n, self.config.latent, generator=self._noise)
        return self.config.sigma * drawn.to(self.model.valid.device)

    @torch.inference_mode()
    def _still_loss(self) -> float:
        """Mean loss over the frames of what the network gives while its latent says nothing."""
        losses = 0.0
        for part in chunks(self._frames):
            seen, made, valid = self.model.compared(to_tensor(self._frames[part], self.model.valid.device))
            of_frames = frame_losses(seen, made.still, valid, self.config.error, self.config.error_reduction)
            losses += float(of_frames.sum(dtype=torch.float64))
        return losses / len(self._frames)

    @torch.inference_mode()
    def _measure(self, reconstruction: float, entropy: float, total: float) -> EpochStats:
        values = np.zeros(len(self._evaluated))
        latents = []
        # Sums over time of the difference from the still picture, which is next to nothing where the latent is off.
        moved = np.zeros(self._evaluated.shape[1:])
        moved_squared = np.zeros_like(moved)
        for part in chunks(self._evaluated):
            made = self.model(to_tensor(self._evaluated[part], self.model.valid.device))
            reconstructions = to_frames(made.pictures)
            values[part] = pcc(self._evaluated[part], reconstructions, self._valid)
            latents.append(made.z.cpu().numpy())
            from_still = reconstructions - to_frames(made.still)
            moved += from_still.sum(axis=0, dtype=np.float64)
            moved_squared += np.square(from_still).sum(axis=0, dtype=np.float64)
        n = len(self._evaluated)
        variance = (moved_squared / n - (moved / n) ** 2)[self._valid].sum()
        z_all = np.concatenate(latents)
        return EpochStats(
            epoch=len(self.curve) + 1,
            reconstruction=reconstruction,
            entropy=entropy,
            total=total,
            latent_std=float(np.sqrt(z_all.var(axis=0, dtype=np.float64).mean())),
            effective_rank=effective_rank(z_all),
            mean_frame_correlation=rank_correlation(values, self._still_pcc),
            response=max(0.0, float(variance) / self._variance),
            pcc=values,
        )


def _temporal_moments(frames: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and variance over time of each pixel, in 0..1: both (H, W, C). Sums of whole numbers: exact."""
    sums = np.zeros(frames.shape[1:], np.int64)
    squares = np.zeros(frames.shape[1:], np.int64)
    for part in chunks(frames):
        sums += frames[part].sum(axis=0, dtype=np.int64)
        squares += np.square(frames[part], dtype=np.uint16).sum(axis=0, dtype=np.int64)
    n = len(frames)
    variance = (n * squares - sums**2) / n**2 / 255**2
    shape = (*frames.shape[1:3], -1)
    return (sums / n / 255).reshape(shape), variance.reshape(shape)
