"""The network and the two terms of its loss (eqs 3, 5-7, 18).

Every shape of picture from 16 x 16 up has the same network: strided convolutions down to a grid of at most 16 x 16,
one linear layer to the latent, and the mirror of both. The paper does not say more than "a convolutional autoencoder
with an embedding of 32"; what is ours is

* it sees a frame as its difference from the scene's mean frame, in units of the scene's standard deviation, and gives
  it back so. A plain network spends its first hundreds of steps on painting the background (on Ped2, 300 steps at
  the paper's learning rate left it a worse constant picture than the mean frame; like this it follows half of what
  moves), and one whose latent is switched off now is exactly the mean frame, with a loss of exactly 1.
* no normalisation layer before the latent: with one, the entropy term did nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fleet.detector.config import DetectorConfig, Kernel
from fleet.detector.frames import chunks

__all__ = [
    "Autoencoder",
    "entropy_loss",
    "load_model",
    "loss_terms",
    "reconstruct",
    "reconstruction_loss",
    "to_frames",
    "to_tensor",
]

_LARGEST_GRID = 16


class Autoencoder(nn.Module):
    """Encoder, latent and decoder for frames of one size.

    Args:
        height, width: of the frames in pixels, each at least 16.
        channels: 1 (grey) or 3 (colour).
        config: its `latent` and `channels` decide the network.

    Buffers (what standardises the input; `standardise` fills them):
        mean: (C, H, W) the scene's temporal mean frame, 0..1.
        scale: () the scene's standard deviation over time, root mean square over the pixels that count.
        valid: (H, W) 1 where a pixel counts and 0 where it is masked.
    """

    mean: Tensor
    scale: Tensor
    valid: Tensor

    def __init__(self, height: int, width: int, channels: int, config: DetectorConfig) -> None:
        super().__init__()
        self.height, self.width, self.channels = height, width, channels
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
            # ceil(n / 2) came from 2n or 2n - 1: the output padding says which, so odd sizes come back exactly.
            even = (1 - size[0] % 2, 1 - size[1] % 2)
            up = nn.ConvTranspose2d(narrow, wide, 3, stride=2, padding=1, output_padding=even)
            decoder = [nn.LeakyReLU(0.1), up, *decoder]
        self.encoder = nn.Sequential(*encoder)
        self.to_latent = nn.Linear(math.prod(self.grid), config.latent)
        self.from_latent = nn.Linear(config.latent, math.prod(self.grid))
        self.decoder = nn.Sequential(*decoder)

        self.register_buffer("mean", torch.zeros(channels, height, width))
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("valid", torch.ones(height, width))

    def standardise(self, mean: NDArray[np.float64], scale: float, valid: NDArray[np.bool_]) -> None:
        """Set the scene's mean frame (H, W, C) in 0..1, its standard deviation, and the pixels that count."""
        self.mean.copy_(torch.from_numpy(np.moveaxis(mean, -1, 0) * valid))
        self.scale.fill_(scale)
        self.valid.copy_(torch.from_numpy(valid.astype(np.float32)))

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Frames (N, C, H, W) in 0..1 -> reconstructions (N, C, H, W), not clipped, and latents (N, latent)."""
        # A masked pixel is 0 before the first convolution: it reaches nothing.
        seen = (frames - self.mean) / self.scale * self.valid
        z = self.to_latent(self.encoder(seen).flatten(1))
        moved = self.decoder(self.from_latent(z).unflatten(1, self.grid))
        return (self.mean + self.scale * moved) * self.valid, z


def reconstruction_loss(frames: Tensor, reconstructions: Tensor, valid: Tensor, scale: float = 1.0) -> Tensor:
    """Mean over the frames of the squared norm of the error over the pixels that count (eq 3).

    Args:
        frames, reconstructions: (N, C, H, W) in 0..1.
        valid: (H, W), 1 where a pixel counts.
        scale: what the error is divided by; the scene's temporal variance summed over the same pixels makes the
            best constant picture's loss 1, and 1 leaves the paper's sum.
    """
    return ((frames - reconstructions) * valid).square().sum() / (len(frames) * scale)


def entropy_loss(z: Tensor, sigma: float, kernel: Kernel = "norm") -> Tensor:
    """Renyi's second-order entropy of the latents by kernel density (eqs 5, 6, 18), in nats.

    Args:
        z: (N, latent).
        sigma: the kernel size.
        kernel: 'norm' or 'elementwise', see `DetectorConfig`.

    The kernels are summed as logarithms: at sigma 0.01 and latents 25 apart each of them is 0 in any float. The
    pairs of a latent with itself stay in: they bound the loss by log(N) above its least value, so that the gradient of
    far latents fades instead of exploding. Differences are taken before squaring, because ||a||^2 + ||b||^2 - 2ab
    loses all digits of latents that lie close together and far from the origin.
    """
    squared = (z[:, None] - z[None, :]).square()  # (N, N, latent)
    if kernel == "norm":
        squared = squared.sum(dim=-1)  # (N, N)
    log_constant = -math.log(math.sqrt(4 * math.pi) * sigma)  # one-dimensional, as eq 18 has it
    log_kernels = log_constant - squared / (4 * sigma**2)
    return math.log(squared.numel()) - log_kernels.flatten().logsumexp(dim=0)


def loss_terms(
    model: Autoencoder, frames: Tensor, config: DetectorConfig, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Total (eq 7), reconstruction term and entropy term of a batch of frames (N, C, H, W) in 0..1."""
    reconstructions, z = model(frames)
    reconstruction = reconstruction_loss(frames, reconstructions, model.valid, scale)
    entropy = entropy_loss(z, config.sigma, config.kernel)
    return reconstruction + config.lam * entropy, reconstruction, entropy


def load_model(
    weights: Mapping[str, Tensor], height: int, width: int, channels: int, config: DetectorConfig
) -> Autoencoder:
    """A network of these weights, which it takes as they are and will not train.

    Raises:
        RuntimeError: the weights are not those of such a network.
    """
    with torch.device("meta"):  # neither memory nor random numbers for weights that are about to be replaced
        model = Autoencoder(height, width, channels, config)
    model.load_state_dict(weights, assign=True)
    return model.requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@torch.inference_mode()
def reconstruct(model: Autoencoder, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Reconstructions of frames (N, H, W) or (N, H, W, C), in their shape; any number of them, a chunk at a time."""
    pictures = np.zeros(frames.shape, np.float32)
    for part in chunks(frames):
        pictures[part] = to_frames(model(to_tensor(frames[part], model.mean.device))[0])
    return pictures


def to_tensor(frames: NDArray[np.uint8], device: torch.device) -> Tensor:
    """uint8 (N, H, W) or (N, H, W, C) -> float32 (N, C, H, W) in 0..1, a copy, channels last in memory."""
    pixels = torch.tensor(frames, device=device)  # copies: the frames may be a read-only view
    if pixels.ndim == 3:
        pixels = pixels.unsqueeze(-1)
    return pixels.permute(0, 3, 1, 2).float().div_(255)


def to_frames(pictures: Tensor) -> NDArray[np.float32]:
    """float32 (N, C, H, W) -> (N, H, W) grey or (N, H, W, C) colour on the host."""
    array: NDArray[np.float32] = pictures.permute(0, 2, 3, 1).cpu().numpy()
    return array[..., 0] if array.shape[-1] == 1 else array
