"""`Roadmap`: the next frame, predicted on several scales."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from fleet.detector.baselines.learned import Learned, Network
from fleet.detector.baselines.scene import Scene

__all__ = ["Roadmap"]

# Errors below it cost nothing in training: about what a camera's noise is, in 0..1.
_TOLERANCE = 2 / 255

_PATHS = (8, 16, 16)  # feature maps at a quarter, an eighth and a sixteenth of the size
_STEM_PX = 4


class Roadmap(Learned):
    """Multi-path frame prediction; minus the PSNR of the predicted frame is the score. One-class.

    X. Wang, Z. Che, B. Jiang, N. Xiao, K. Yang, J. Tang, J. Ye, J. Wang, Q. Qi, "Robust unsupervised video anomaly
    detection by multi-path frame prediction", IEEE TNNLS 2021, arXiv 2011.02763.

    An encoder of each of the last frames, a ConvGRU over time on each of three scales, their states fused from coarse
    to fine into the next frame. The noise tolerance loss leaves out errors below a tolerance.

    Ours: 3 frames predict the fourth; 8, 16 and 16 feature maps from a quarter of the size down; the tolerance is
    2 grey levels and the loss squared; no attention between the paths, no gradient loss; minus PSNR over the whole
    frame without the paper's scaling of each test video to 0..1, which needs its future. At most 800 windows an epoch.
    """

    method = "roadmap"
    context = 3
    default_epochs = 10
    windows_an_epoch = 800
    batch_size = 16
    learning_rate = 2e-3

    @classmethod
    def network(cls, scene: Scene) -> Network:
        return _Predictor(scene)


class _Predictor(Network):
    valid: Tensor
    tolerance: Tensor

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.register_buffer("valid", torch.from_numpy(scene.valid.astype("float32")).clone())
        self.register_buffer("tolerance", torch.tensor(_TOLERANCE / scene.scale))
        features = (scene.channels * _STEM_PX**2, *_PATHS)
        self.stem = nn.PixelUnshuffle(_STEM_PX)
        self.down = nn.ModuleList(
            nn.Conv2d(wide, narrow, 3, stride=1 if path == 0 else 2, padding=1)
            for path, (wide, narrow) in enumerate(zip(features[:-1], _PATHS, strict=True))
        )
        self.memories = nn.ModuleList(ConvGru(path) for path in _PATHS)
        self.up = nn.ModuleList(
            nn.Conv2d(coarse + fine, fine, 3, padding=1)
            for coarse, fine in zip(_PATHS[:0:-1], _PATHS[-2::-1], strict=True)
        )
        self.out = nn.Sequential(nn.Conv2d(_PATHS[0], features[0], 3, padding=1), nn.PixelShuffle(_STEM_PX))

    def forward(self, past: Tensor) -> Tensor:
        """Frames (N, T, C, H, W) -> the next one (N, C, H, W)."""
        n, times, _, height, width = past.shape
        x = nn.functional.pad(past.flatten(0, 1), (0, -width % _STEM_PX, 0, -height % _STEM_PX))
        x = self.stem(x)
        states = []
        for down, memory in zip(self.down, self.memories, strict=True):
            x = nn.functional.leaky_relu(down(x), 0.1)
            states.append(memory(x.unflatten(0, (n, times))))
        fused = states.pop()
        for up in self.up:
            fine = states.pop()
            fused = nn.functional.leaky_relu(up(torch.cat([interpolate(fused, fine.shape[-2:]), fine], dim=1)), 0.1)
        return self.out(fused)[..., :height, :width]

    def loss(self, windows: Tensor) -> Tensor:
        error = (self(windows[:, :-1]) - windows[:, -1]).abs() * self.valid
        return torch.relu(error - self.tolerance).square().sum() / (self.valid.sum() * windows[:, -1, :, 0, 0].numel())

    def scores(self, windows: Tensor) -> Tensor:
        squared = ((self(windows[:, :-1]) - windows[:, -1]) * self.valid).square().mean(dim=1).sum(dim=(1, 2))
        # In units of the scene's spread, of which the decibels differ from the grey levels' by a constant.
        return 10 / math.log(10) * (squared / self.valid.sum() + 1e-8).log()


class ConvGru(nn.Module):
    """A gated recurrent unit whose products are convolutions; gives its state after the last step."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.from_input = nn.Conv2d(features, 3 * features, 3, padding=1)
        self.from_state = nn.Conv2d(features, 2 * features, 3, padding=1, bias=False)
        self.from_reset = nn.Conv2d(features, features, 3, padding=1, bias=False)

    def forward(self, sequence: Tensor) -> Tensor:
        """(N, T, F, H, W) -> (N, F, H, W)"""
        n, times = sequence.shape[:2]
        inputs = self.from_input(sequence.flatten(0, 1)).unflatten(0, (n, times))
        state = torch.zeros_like(sequence[:, 0])
        for time in range(times):
            update_in, reset_in, new_in = inputs[:, time].chunk(3, dim=1)
            update_state, reset_state = self.from_state(state).chunk(2, dim=1)
            update = (update_in + update_state).sigmoid()
            reset = (reset_in + reset_state).sigmoid()
            new = (new_in + self.from_reset(reset * state)).tanh()
            state = torch.lerp(new, state, update)
        return state
