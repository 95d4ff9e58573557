"""`Network`: what the autoencoders have in common, and the way of frames to tensors and back.

Each starts from a picture that needs no learning, `still`, and reconstructs what differs from it. A network without one
spends its first hundreds of steps on painting the background (on Ped2, 300 steps at the paper's learning rate left it a
worse constant picture than the mean frame); and one whose latent is switched off is now exactly that picture, with a
loss of exactly 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

__all__ = ["Network", "Reconstruction", "to_frames", "to_tensor"]


class Reconstruction(NamedTuple):
    """What a network makes of N frames.

    Attributes:
        pictures: (N, C, H, W), around 0..1 and not clipped, 0 where masked.
        z: (N, latent).
        still: (N or 1, C, H, W), the pictures if the latent said nothing.
    """

    pictures: Tensor
    z: Tensor
    still: Tensor


class Network(nn.Module, ABC):
    """An autoencoder for frames of one size.

    Args:
        height, width: of the frames in pixels, each at least 16.
        channels: 1 (grey) or 3 (colour).

    Buffers (the scene's; `standardise` fills them):
        background: (C, H, W) a picture of the scene, 0..1 and 0 where masked.
        scale: () the scene's standard deviation over time, root mean square over the pixels that count.
        valid: (H, W) 1 where a pixel counts and 0 where it is masked.
    """

    background: Tensor
    scale: Tensor
    valid: Tensor

    def __init__(self, height: int, width: int, channels: int) -> None:
        super().__init__()
        self.height, self.width, self.channels = height, width, channels
        self.register_buffer("background", torch.zeros(channels, height, width))
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("valid", torch.ones(height, width))

    def standardise(self, background: NDArray[np.floating], scale: float, valid: NDArray[np.bool_]) -> None:
        """Set the scene's picture (H, W, C) in 0..1, its standard deviation, and the pixels that count."""
        self.background.copy_(torch.from_numpy(np.moveaxis(background, -1, 0) * valid))
        self.scale.fill_(scale)
        self.valid.copy_(torch.from_numpy(valid.astype(np.float32)))

    @abstractmethod
    def forward(self, frames: Tensor, noise: Tensor | None = None) -> Reconstruction:
        """Reconstructions of frames (N, C, H, W) in 0..1.

        `noise` (N, latent) is added to what the decoder gets, not to the latents that are returned.
        """

    def prepare(self, frames: Tensor, sigma: float) -> None:
        """Fit the first weights to frames (N, C, H, W), some of those to be learnt, and the entropy's sigma."""

    def compared(self, frames: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Reconstruction, Tensor]:
        """What the loss compares: frames (N, C, H, W), their reconstructions, and the pixels that count (H, W)."""
        return frames, self(frames, noise), self.valid


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
