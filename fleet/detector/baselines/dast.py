"""`Dast`: an autoencoder over space and time with dense blocks and attention."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu, pad

from fleet.detector.baselines.learned import Learned, Network
from fleet.detector.baselines.scene import Scene

__all__ = ["Dast"]

_STEM_PX = 4
_FEATURES = 16
_GROWTH = 8
_BOTTLENECK = 8


class Dast(Learned):
    """Reconstruction error of the last of 4 frames in decibels, by a spatio-temporal autoencoder. One-class.

    In the style of R. Kommanduri, M. Ghorai, "DAST-Net: dense visual attention augmented spatio-temporal network for
    unsupervised video anomaly detection", Neurocomputing 579, 2024.

    Only the title-level design is public, so all that is common is its words: dense (blocks whose layers see all before
    them), visual attention (a large receptive field by depth-wise and dilated convolutions weighs the features, after
    Guo et al., "Visual attention network", 2022), spatio-temporal (convolutions over time at the bottleneck),
    autoencoder. Sizes, loss (squared error) and score are ours: nothing here says what DAST-Net itself would do. At
    most 500 windows an epoch.
    """

    method = "dast"
    context = 3
    default_epochs = 10
    windows_an_epoch = 500
    batch_size = 16
    learning_rate = 2e-3

    @classmethod
    def network(cls, scene: Scene) -> Network:
        return _SpatioTemporal(scene)


class _SpatioTemporal(Network):
    valid: Tensor

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.register_buffer("valid", torch.from_numpy(scene.valid.astype("float32")))
        pixels = scene.channels * _STEM_PX**2
        dense = _FEATURES + 2 * _GROWTH
        self.stem = nn.Sequential(nn.PixelUnshuffle(_STEM_PX), nn.Conv2d(pixels, _FEATURES, 3, padding=1))
        self.encoder = DenseAttention(_FEATURES)
        self.down = nn.Conv2d(dense, _BOTTLENECK, 3, stride=2, padding=1)
        self.over_time = nn.Conv3d(_BOTTLENECK, _BOTTLENECK, (3, 1, 1), padding=(1, 0, 0))
        self.widen = nn.Conv2d(_BOTTLENECK, _FEATURES, 3, padding=1)
        self.decoder = DenseAttention(_FEATURES)
        self.out = nn.Sequential(nn.Conv2d(dense, pixels, 3, padding=1), nn.PixelShuffle(_STEM_PX))

    def forward(self, windows: Tensor) -> Tensor:
        """Windows (N, T, C, H, W) and back."""
        n, times, _, height, width = windows.shape
        x = pad(windows.flatten(0, 1), (0, -width % _STEM_PX, 0, -height % _STEM_PX))
        x = self.stem(x)
        size = x.shape[-2:]
        x = leaky_relu(self.down(self.encoder(x)), 0.1).unflatten(0, (n, times))
        x = self.over_time(x.transpose(1, 2)).transpose(1, 2).flatten(0, 1)
        x = self.decoder(leaky_relu(self.widen(interpolate(x, size)), 0.1))
        return self.out(x)[..., :height, :width].unflatten(0, (n, times))

    def errors(self, windows: Tensor) -> Tensor:
        """Mean squared error of each frame over the pixels that count: (N, T)."""
        squared = ((self(windows) - windows) * self.valid).square().mean(dim=2)
        return squared.sum(dim=(2, 3)) / self.valid.sum()

    def loss(self, windows: Tensor) -> Tensor:
        return self.errors(windows).mean()

    def scores(self, windows: Tensor) -> Tensor:
        return 10 / math.log(10) * (self.errors(windows)[:, -1] + 1e-8).log()


class DenseAttention(nn.Module):
    """Two layers, each fed with all before it, then weights for all: F feature maps -> F + 16."""

    def __init__(self, features: int) -> None:
        super().__init__()
        all_of_them = features + 2 * _GROWTH
        self.first = nn.Conv2d(features, _GROWTH, 3, padding=1)
        self.second = nn.Conv2d(features + _GROWTH, _GROWTH, 3, padding=1)
        self.attention = nn.Sequential(
            nn.Conv2d(all_of_them, all_of_them, 3, padding=1, groups=all_of_them),
            nn.Conv2d(all_of_them, all_of_them, 3, padding=3, dilation=3, groups=all_of_them),
            nn.Conv2d(all_of_them, all_of_them, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = leaky_relu(x, 0.1)
        x = torch.cat([x, leaky_relu(self.first(x), 0.1)], dim=1)
        x = torch.cat([x, leaky_relu(self.second(x), 0.1)], dim=1)
        weighed: Tensor = x * self.attention(x)
        return weighed
