"""The paper's network, and what is done with any: make it, take it up again, reconstruct with it.

Every shape of picture from 16 x 16 up has the same plain network: strided convolutions down to a grid of at most
16 x 16, one linear layer to the latent, and the mirror of both. The paper does not say more than "a convolutional
autoencoder with an embedding of 32"; what is ours is that it sees and gives a frame as its difference from the scene's
background (see `Network`), and has no normalisation layer before the latent: with one, the entropy term did nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fleet.detector.config import DetectorConfig
from fleet.detector.frames import chunks
from fleet.detector.light import LightAutoencoder
from fleet.detector.network import Network, Reconstruction, to_frames, to_tensor

__all__ = ["Autoencoder", "load_network", "new_network", "reconstruct"]

_LARGEST_GRID = 16


class Autoencoder(Network):
    """The plain network for frames of one size; `background` is the scene's mean frame, the median for robust errors.

    Args:
        height, width, channels: as for `Network`.
        config: its `latent` and `channels` decide the network.
    """

    def __init__(self, height: int, width: int, channels: int, config: DetectorConfig) -> None:
        super().__init__(height, width, channels)
        features = [channels, *config.channels]
        sizes = [(height, width)]
        while len(sizes) < len(features) or max(sizes[-1]) > _LARGEST_GRID:
            sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
        features += features[-1:] * (len(sizes) - len(features))

        self.grid = (features[-1], *sizes[-1])
        encoder: list[nn.Module] = []
        decoder: list[nn.Module] = []
        for size, (wide, narrow) in zip(sizes, pairwise(features), strict=False):
            encoder += [nn.Conv2d(wide, narrow, 3, stride=2, padding=1), nn.LeakyReLU(0.1)]
            decoder = [nn.LeakyReLU(0.1), _Enlarging(narrow, wide, size), *decoder]
        self.encoder = nn.Sequential(*encoder)
        self.to_latent = nn.Linear(math.prod(self.grid), config.latent)
        self.from_latent = nn.Linear(config.latent, math.prod(self.grid))
        self.decoder = nn.Sequential(*decoder)

    def forward(self, frames: Tensor, noise: Tensor | None = None) -> Reconstruction:
        # A masked pixel is 0 before the first convolution: it reaches nothing.
        seen = (frames - self.background) / self.scale * self.valid
        z = self.to_latent(self.encoder(seen).flatten(1))
        grid = self.from_latent(z if noise is None else z + noise).unflatten(1, self.grid)
        pictures = (self.background + self.scale * self.decoder(grid)) * self.valid
        return Reconstruction(pictures, z, self.background[None])


class _Enlarging(nn.ConvTranspose2d):
    """Twice the size, then cut to (height, width): odd sizes come back exactly.

    A kernel of 4 covers each pixel of a stride of 2 alike. One of 3 left a checkerboard: on the corridor 7 times the
    energy at the highest frequencies, and a loss of .55 instead of .49 after 8 epochs.
    """

    def __init__(self, wide: int, narrow: int, size: tuple[int, int]) -> None:
        super().__init__(wide, narrow, 4, stride=2, padding=1)
        self.height, self.width = size

    def forward(self, grid: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(grid)[..., : self.height, : self.width]


def new_network(height: int, width: int, channels: int, config: DetectorConfig) -> Network:
    """The network that a configuration names, with random weights, laid out as convolutions are fastest."""
    kind = LightAutoencoder if config.network == "light" else Autoencoder
    return kind(height, width, channels, config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def load_network(
    weights: Mapping[str, Tensor], height: int, width: int, channels: int, config: DetectorConfig
) -> Network:
    """A network of these weights, which it takes as they are and will not train.

    Raises:
        RuntimeError: the weights are not those of such a network.
    """
    with torch.device("meta"):  # neither memory nor random numbers for weights that are about to be replaced
        network = new_network(height, width, channels, config)
    network.load_state_dict(weights, assign=True)
    return network.requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@torch.inference_mode()
def reconstruct(network: Network, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Reconstructions of frames (N, H, W) or (N, H, W, C), in their shape; any number of them, a chunk at a time."""
    pictures = np.zeros(frames.shape, np.float32)
    for part in chunks(frames):
        pictures[part] = to_frames(network(to_tensor(frames[part], network.valid.device)).pictures)
    return pictures
