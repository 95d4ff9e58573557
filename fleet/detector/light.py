"""The light network: an autoencoder too small to paint people, that follows the light and where the camera looks.

It starts from the scene's median frame, set to each frame's own light by a gain and an offset that are fitted to the
70 % of the pixels that fit best (whoever walks in does not change the light). What is left goes, at low resolution,
through a few convolutions to a latent of a few numbers; the decoder answers with two low-resolution fields, a gain on
the median frame and an offset. No field is fine enough to draw a person, so that an event stays in the residual.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fleet.detector.config import DetectorConfig
from fleet.detector.network import Network

__all__ = ["LightAutoencoder", "fit_light"]

# What the encoder and the fit of the light see: half the resolution at 96 x 64, and as little of any larger size.
_SEEN_PX = 48

_FEATURES = (8, 16, 32)
_HIDDEN = 64
_FIELD = (6, 8)  # rows and columns of the decoder's fields

# Share of a frame's pixels that the fit of its light leaves out, and how often it chooses them anew.
_TRIMMED = 0.3
_REFITS = 2


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
        self.encoder = nn.Sequential(*encoder, nn.Flatten(1), nn.Linear(wide * math.prod(size), config.latent))
        fields = nn.Linear(_HIDDEN, 2 * channels * math.prod(_FIELD))
        nn.init.zeros_(fields.weight)  # the first pictures are the median frame in the frame's light
        nn.init.zeros_(fields.bias)
        self.decoder = nn.Sequential(nn.Linear(config.latent, _HIDDEN), nn.LeakyReLU(0.1), fields)

    def still(self, frames: Tensor) -> Tensor:
        """The median frame in each frame's light."""
        weights = self._pooled(self.valid[None, None])
        counts = weights.clamp(min=1e-6)  # a pooled pixel is the mean of those that count
        seen = (self._pooled(frames * self.valid) / counts).flatten(1)
        background = (self._pooled(self.background[None]) / counts).flatten(1)
        gain, offset = fit_light(seen, background, weights.flatten().repeat(self.channels))
        return gain[:, None, None, None] * self.background + offset[:, None, None, None]

    def encode(self, moved: Tensor) -> Tensor:
        z: Tensor = self.encoder(self._pooled(moved))
        return z

    def decode(self, z: Tensor) -> Tensor:
        fields = self.decoder(z).unflatten(1, (2 * self.channels, *_FIELD))
        fields = F.interpolate(fields, size=(self.height, self.width), mode="bilinear", align_corners=False)
        gain, offset = fields.chunk(2, dim=1)
        return gain * self.background + offset

    def _pooled(self, pictures: Tensor) -> Tensor:
        return F.avg_pool2d(pictures, self.pool, ceil_mode=True)


def fit_light(frames: Tensor, pictures: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Gain and offset, each (N,), that bring a picture closest to each frame, by trimmed least squares.

    Least squares over all pixels, then twice more over the 70 % of them with the smallest residuals (the concentration
    steps of Rousseeuw and Van Driessen's least trimmed squares, from one start).

    Args:
        frames: (N, P).
        pictures: (N, P), or (1, P) for one picture.
        weights: (P,), how much of a pixel counts; 0 leaves it out.
    """
    counted = weights > 0
    kept = max(1, math.ceil((1 - _TRIMMED) * int(counted.sum())))
    chosen = weights.expand_as(frames)
    for refits_left in range(_REFITS, -1, -1):
        total = chosen.sum(dim=1, keepdim=True)
        x_mean = (chosen * pictures).sum(dim=1, keepdim=True) / total
        y_mean = (chosen * frames).sum(dim=1, keepdim=True) / total
        x = chosen * (pictures - x_mean)
        # A picture without contrast fits any gain: a little of 1 is mixed in.
        little = 1e-4 * total
        gain = ((x * (frames - y_mean)).sum(dim=1, keepdim=True) + little) / (
            (x * (pictures - x_mean)).sum(dim=1, keepdim=True) + little
        )
        offset = y_mean - gain * x_mean
        if refits_left:
            residuals = (frames - gain * pictures - offset).abs().masked_fill(~counted, torch.inf)
            chosen = weights * (residuals <= residuals.kthvalue(kept, dim=1, keepdim=True).values)
    return gain[:, 0], offset[:, 0]
