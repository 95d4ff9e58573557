"""The light network: an autoencoder too small to paint people, that follows the light and where the camera looks.

It starts from the scene's median frame, set to each frame's own light by a gain and an offset that are fitted robustly
(whoever walks in does not change the light). What is left goes, at low resolution, through a few convolutions to a
latent of a few numbers; the decoder answers with two low-resolution fields, a gain on the median frame and an offset.
No field is fine enough to draw a person, so that an event stays in the residual.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fleet.detector.config import DetectorConfig
from fleet.detector.network import Network, Reconstruction

__all__ = ["LightAutoencoder", "fit_light"]

# What the encoder and the fit of the light see: half the resolution at 96 x 64, and as little of any larger size.
_SEEN_PX = 48

_FEATURES = (8, 16, 32)
_HIDDEN = 64
_FIELD = (6, 8)  # rows and columns of the decoder's fields

_SPREAD = 6  # standard deviation of a new network's latents, in units of the noise that is added to them

# The fit of a frame's light: how often the pixels are weighed anew, and the residual below which none is doubted,
# 5 of 255 grey levels.
_REFITS = 3
_LEAST_RESIDUAL = 0.02


class LightAutoencoder(Network):
    """The light network for frames of one size; `background` is the scene's median frame.

    Args:
        height, width, channels: as for `Network`.
        config: its `latent` decides the network.
    """

    def __init__(self, height: int, width: int, channels: int, config: DetectorConfig) -> None:
        super().__init__(height, width, channels)
        self.pool = max(2, math.ceil(max(height, width) / _SEEN_PX))
        size = (math.ceil(height / self.pool), math.ceil(width / self.pool))
        encoder: list[nn.Module] = []
        wide = channels
        for narrow in _FEATURES:
            encoder += [nn.Conv2d(wide, narrow, 3, stride=2, padding=1), nn.LeakyReLU(0.1)]
            size, wide = ((size[0] + 1) // 2, (size[1] + 1) // 2), narrow
        self.encoder = nn.Sequential(*encoder)
        self.to_latent = nn.Linear(wide * math.prod(size), config.latent)
        fields = nn.Linear(_HIDDEN, 2 * channels * math.prod(_FIELD))
        nn.init.zeros_(fields.weight)  # the first pictures are the median frame in the frame's light
        nn.init.zeros_(fields.bias)
        self.decoder = nn.Sequential(nn.Linear(config.latent, _HIDDEN), nn.LeakyReLU(0.1), fields)

    def forward(self, frames: Tensor, noise: Tensor | None = None) -> Reconstruction:
        return self._pictures(self._seen(frames), self.background, self.valid, noise)

    @torch.no_grad()
    def prepare(self, frames: Tensor, sigma: float) -> None:
        """Spread the latents of these frames to `_SPREAD` times the noise that training adds to them.

        Those of a new network lie so close together that the decoder hears nothing but the noise, learns to ignore it
        and never comes back. For a cap of 0 that is just right: spread, it stayed open with two seeds of three.
        """
        spread, mean = torch.std_mean(self(frames).z, dim=0)
        factor = _SPREAD * sigma / spread.clamp(min=1e-6)
        self.to_latent.bias.copy_((self.to_latent.bias - mean) * factor)
        self.to_latent.weight.mul_(factor[:, None])

    def compared(self, frames: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Reconstruction, Tensor]:
        """At the resolution that the encoder sees: the fields are coarser still, and it takes a third of the time."""
        seen, background, valid = self._seen(frames)
        return seen, self._pictures((seen, background, valid), background, valid, noise), valid

    def _seen(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Frames (N, C, h, w), background (C, h, w) and mask (h, w) at low resolution: means of what is not masked."""
        counts = _block_sums(self.valid[None, None], self.pool)
        at_least_one = counts.clamp(min=1)
        seen = _block_sums(frames * self.valid, self.pool) / at_least_one
        background = _block_sums(self.background[None], self.pool) / at_least_one
        return seen, background[0], (counts > 0).to(frames.dtype)[0, 0]

    def _pictures(
        self, seen: tuple[Tensor, Tensor, Tensor], background: Tensor, valid: Tensor, noise: Tensor | None
    ) -> Reconstruction:
        """What is made of low-resolution frames, in the resolution of this background (C, H, W)."""
        frames, low_background, low_valid = seen
        gain, offset = fit_light(*seen)
        moved = (frames - gain * low_background - offset) / self.scale * low_valid
        z = self.to_latent(self.encoder(moved).flatten(1))
        fields = self.decoder(z if noise is None else z + noise).unflatten(1, (2 * self.channels, *_FIELD))
        field_gain, field_offset = _enlarged(fields, background.shape[1], background.shape[2]).chunk(2, dim=1)
        answer = self.scale * (field_gain * background + field_offset)
        still = gain * background + offset  # the median frame in each frame's light
        return Reconstruction((still + answer) * valid, z, still * valid)


def fit_light(frames: Tensor, background: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Gain and offset, (N, 1, 1, 1) each, that bring the background closest to each frame.

    Least squares, and three times again with Geman and McClure's weights 1 / (1 + r^2 / s^2)^2, where r is a pixel's
    residual and s the weighted root mean square of them all. It finds the light that least trimmed squares find (on
    eight scenes the mean residual's AUC came within .004) in a third of the time, and without an order statistic it can
    be exported.

    Args:
        frames: (N, C, H, W).
        background: (C, H, W).
        valid: (H, W), 1 where a pixel counts.
    """
    over = (1, 2, 3)
    weights = valid.expand_as(frames)
    for refits_left in range(_REFITS, -1, -1):
        total = weights.sum(over, keepdim=True)
        x_mean = (weights * background).sum(over, keepdim=True) / total
        y_mean = (weights * frames).sum(over, keepdim=True) / total
        x, y = background - x_mean, frames - y_mean
        weighted = weights * x
        little = 1e-6 * total  # a background without contrast fits any gain: a little of 1 is mixed in
        gain = ((weighted * y).sum(over, keepdim=True) + little) / ((weighted * x).sum(over, keepdim=True) + little)
        if refits_left:
            squared = (y - gain * x).square()
            spread = (weights * squared).sum(over, keepdim=True) / total + _LEAST_RESIDUAL**2
            weights = valid / (1 + squared / spread).square()
    return gain, y_mean - gain * x_mean


def _block_sums(pictures: Tensor, side: int) -> Tensor:
    """Sums over blocks of side x side pixels, those at the edge over what is there: (N, C, ceil(H / side), ...).

    As a convolution it takes an eighth of average pooling's time on one channel.
    """
    n, channels, height, width = pictures.shape
    single = pictures.reshape(n * channels, 1, height, width)
    padded = F.pad(single, (0, -width % side, 0, -height % side))
    sums = F.conv2d(padded, padded.new_ones(1, 1, side, side), stride=side)
    return sums.reshape(n, channels, *sums.shape[2:])


def _enlarged(fields: Tensor, height: int, width: int) -> Tensor:
    """Fields (N, C, h, w) -> (N, C, height, width), bilinear: two matrix products, half of `interpolate`'s time."""
    rows = _interpolation(fields.shape[2], height, fields)
    columns = _interpolation(fields.shape[3], width, fields)
    return rows.T @ fields @ columns


def _interpolation(n: int, n_new: int, like: Tensor) -> Tensor:
    """Weights (n, n_new) of linear interpolation."""
    corners = torch.eye(n, dtype=like.dtype, device=like.device)[None]
    return F.interpolate(corners, size=n_new, mode="linear", align_corners=False)[0]
