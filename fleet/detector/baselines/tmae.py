"""`Tmae`: patches of what moves, half of them hidden; what cannot be completed is strange."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pad, unfold

from fleet.detector.baselines.learned import Learned, Network
from fleet.detector.baselines.scene import Scene

__all__ = ["Tmae"]

_PATCH_PX = 8
_TIMES = 6
_CUBES = 8  # a frame
_WIDTH = 64


class Tmae(Learned):
    """Temporal masked autoencoding: the largest completion error of a frame's foreground cubes is the score. No labels.

    J. Hu, G. Yu, S. Wang, E. Zhu, Z. Cai, X. Zhu, "Detecting anomalous events from unlabeled videos via temporal masked
    auto-encoding", ICME 2022.

    A cube is the same patch of consecutive frames. Half of its patches are masked along time, a vision transformer
    sees the others and completes them; what is frequent is learnt and completed well.

    Ours: a cube is a cell of 8 px over 6 frames up to the one in question, and a frame has 8: those that differ most
    from the mean frame and from the frame before (the paper finds the foreground with a pre-trained detector and scales
    its patches). The transformer has 2 layers of width 64 and a learnt token for what is masked, in place of a deeper
    encoder and a decoder. When scoring, two masks complement each other, so that each patch is completed once. No
    optical flow (the paper's is optional). At most 1,000 windows an epoch.
    """

    method = "tmae"
    context = _TIMES - 1
    default_epochs = 12
    windows_an_epoch = 1_000

    @classmethod
    def network(cls, scene: Scene) -> Network:
        return _Completer(scene)


class _Completer(Network):
    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        pixels = scene.channels * _PATCH_PX**2
        self.patch_in = nn.Linear(pixels, _WIDTH)
        self.hidden = nn.Parameter(torch.zeros(_WIDTH))
        self.time = nn.Parameter(0.02 * torch.randn(_TIMES, _WIDTH))
        layer = nn.TransformerEncoderLayer(
            _WIDTH,
            nhead=4,
            dim_feedforward=2 * _WIDTH,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.blocks = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)
        self.patch_out = nn.Sequential(nn.LayerNorm(_WIDTH), nn.Linear(_WIDTH, pixels))

    def loss(self, windows: Tensor) -> Tensor:
        cubes = foreground_cubes(windows)  # (N, T, D)
        shuffled = torch.rand(cubes.shape[:2], device=cubes.device).argsort(dim=1)
        return self.errors(cubes, shuffled < _TIMES // 2).mean()

    def scores(self, windows: Tensor) -> Tensor:
        cubes = foreground_cubes(windows)
        odd = (torch.arange(_TIMES, device=cubes.device) % 2 == 1).expand(cubes.shape[:2])
        errors = (self.errors(cubes, odd) + self.errors(cubes, ~odd)) / 2
        return errors.view(len(windows), -1).amax(dim=1)

    def errors(self, cubes: Tensor, masked: Tensor) -> Tensor:
        """Mean squared error (N,) of the masked patches of cubes (N, T, D); masked: bool (N, T)."""
        tokens = torch.where(masked[..., None], self.hidden, self.patch_in(cubes)) + self.time
        completed = self.patch_out(self.blocks(tokens))
        squared = (completed - cubes).square().mean(dim=2)
        return (squared * masked).sum(dim=1) / masked.sum(dim=1)


def foreground_cubes(windows: Tensor) -> Tensor:
    """The 8 cubes of each window with the most foreground in its last frame: (N, T, C, H, W) -> (8 N, T, D).

    Frames are filled up with zeros, which are the mean frame, to whole cells.
    """
    n, times, channels, height, width = windows.shape
    windows = pad(windows, (0, -width % _PATCH_PX, 0, -height % _PATCH_PX))
    last, before = windows[:, -1], windows[:, -2]
    foreground = avg_pool2d((last.abs() + (last - before).abs()).mean(dim=1, keepdim=True), _PATCH_PX).flatten(1)
    most = foreground.topk(min(_CUBES, foreground.shape[1]), dim=1).indices  # (N, 8)
    patches = unfold(windows.flatten(0, 1), _PATCH_PX, stride=_PATCH_PX)  # (N T, D, cells)
    patches = patches.view(n, times, channels * _PATCH_PX**2, -1)
    chosen = patches.gather(3, most[:, None, None, :].expand(*patches.shape[:3], -1))
    return chosen.permute(0, 3, 1, 2).flatten(0, 1)
