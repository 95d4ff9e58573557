"""`FlowGan`: two adversarial networks that draw the motion of a frame and the frame of a motion."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits, leaky_relu, pad

from fleet.detector.baselines.learned import Batches, Learned, Network
from fleet.detector.baselines.scene import Scene

__all__ = ["FlowGan", "optical_flow"]

_FEATURES = (8, 16, 32)
_L1_WEIGHT = 100.0  # pix2pix's
_FLOW_WEIGHT = 2.0  # of the flow's error against the frame's in the fused map, the paper's

# Flow slower than this on average is noise, in pixels a frame.
_LEAST_FLOW_PX = 0.05

_CELL_PX, _STRIDE_PX = 8, 4
_MEASURED = 256


class FlowGan(Learned):
    """Cross-channel generation, frame to flow and flow to frame: the worst cell of the fused errors. One-class.

    M. Ravanbakhsh, M. Nabi, E. Sangineto, L. Marcenaro, C. Regazzoni, N. Sebe, "Abnormal event detection in videos
    using generative adversarial nets", ICIP 2017, arXiv 1708.09644.

    Two conditional networks after pix2pix: U-Nets against discriminators of patches, cross entropy plus 100 times L1,
    Adam with beta 1 = .5, noise by dropout. The error map of the flow counts twice that of the frame; each is divided
    by its largest value.

    Ours: 8, 16, 32 feature maps at the working size, not 256 x 256; no batch normalisation; the frame's error is that
    of its pixels, not of AlexNet's features, whose weights would be a download; both errors are means over cells of
    8 px at a stride of 4; the largest values are the training footage's, as a clip's own need its future; flow is
    OpenCV's DIS from the frame before, in units of its root mean square. At most 500 windows an epoch.
    """

    method = "gan"
    context = 1
    default_epochs = 10
    windows_an_epoch = 500
    batch_size = 16

    @classmethod
    def network(cls, scene: Scene) -> Network:
        return _Pair(scene)

    @classmethod
    def windows(cls, frames: NDArray[np.uint8], ends: NDArray[np.intp], scene: Scene) -> Tensor:
        """Each frame of `ends` with its flow as two more channels: (N, C + 2, H, W)."""
        flow = optical_flow(scene.grey(frames[ends - 1]), scene.grey(frames[ends])) * scene.valid
        return torch.from_numpy(np.concatenate([scene.standardised(frames[ends]), flow], axis=1))

    @classmethod
    def train(cls, net: Any, batches: Batches, epochs: int) -> list[float]:
        """The mean L1 error of both generators of each epoch."""
        sample = batches.sample(_MEASURED)
        net.flow_scale.fill_(max(float(sample[:, -2:].square().mean().sqrt()), _LEAST_FLOW_PX))
        generators, discriminators = (
            torch.optim.Adam([*a.parameters(), *b.parameters()], lr=cls.learning_rate, betas=(0.5, 0.999))
            for a, b in ((net.to_flow, net.to_frame), (net.judge_flow, net.judge_frame))
        )
        curve = []
        for _ in range(epochs):
            losses = []
            for batch in batches.epoch(cls.windows_an_epoch, cls.batch_size):
                frame, flow = net.parts(batch)
                flow_fake, frame_fake = net.generate(frame, flow)
                discriminators.zero_grad()
                for judge, given, real, fake in (
                    (net.judge_flow, frame, flow, flow_fake),
                    (net.judge_frame, flow, frame, frame_fake),
                ):
                    (_verdict(judge, given, real, True) + _verdict(judge, given, fake.detach(), False)).backward()
                discriminators.step()
                distance = (flow_fake - flow).abs().mean() + (frame_fake - frame).abs().mean()
                adversarial = _verdict(net.judge_flow, frame, flow_fake, True)
                adversarial = adversarial + _verdict(net.judge_frame, flow, frame_fake, True)
                generators.zero_grad()
                (adversarial + _L1_WEIGHT * distance).backward()
                generators.step()
                losses.append(distance.item() / 2)
            curve.append(sum(losses) / len(losses))
        net.eval()
        with torch.no_grad():
            net.largest.copy_(net.errors(sample).amax(dim=(0, 2)))
        return curve


class _Pair(Network):
    valid: Tensor
    flow_scale: Tensor
    largest: Tensor

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.register_buffer("valid", torch.from_numpy(scene.valid.astype("float32")))
        self.register_buffer("flow_scale", torch.ones(()))
        self.register_buffer("largest", torch.ones(2))  # errors of frame and flow
        self.to_flow, self.to_frame = _UNet(scene.channels, 2), _UNet(2, scene.channels)
        self.judge_flow, self.judge_frame = (_judge(scene.channels + 2) for _ in range(2))

    def parts(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Frame and flow, in units of their spread."""
        return windows[:, :-2], windows[:, -2:] / self.flow_scale

    def generate(self, frame: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        """Flow of the frame, frame of the flow."""
        return self.to_flow(frame) * self.valid, self.to_frame(flow) * self.valid

    def errors(self, windows: Tensor) -> Tensor:
        """Mean absolute errors of frame and flow over the cells: (N, 2, cells)."""
        frame, flow = self.parts(windows)
        flow_fake, frame_fake = self.generate(frame, flow)
        both = [(frame_fake - frame).abs().mean(dim=1), (flow_fake - flow).abs().mean(dim=1)]
        counts = avg_pool2d(self.valid[None], _CELL_PX, _STRIDE_PX)
        cells = avg_pool2d(torch.stack(both, dim=1), _CELL_PX, _STRIDE_PX) / counts.clamp(min=0.5)
        return cells.flatten(2)

    def scores(self, windows: Tensor) -> Tensor:
        frame, flow = (self.errors(windows) / self.largest[:, None].clamp(min=1e-6)).unbind(dim=1)
        return (frame + _FLOW_WEIGHT * flow).amax(dim=1)


class _UNet(nn.Module):
    def __init__(self, wide: int, out: int) -> None:
        super().__init__()
        first, second, third = _FEATURES
        self.down = nn.ModuleList(
            nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in ((wide, first), (first, second), (second, third))
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 4, stride=2, padding=1)
            for a, b in ((third, second), (2 * second, first), (2 * first, out))
        )
        self.noise = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        x = pad(x, (0, -width % 8, 0, -height % 8))
        first = leaky_relu(self.down[0](x), 0.2)
        second = leaky_relu(self.down[1](first), 0.2)
        x = leaky_relu(self.down[2](second), 0.2)
        x = self.noise(leaky_relu(self.up[0](x), 0.2))
        x = leaky_relu(self.up[1](torch.cat([x, second], dim=1)), 0.2)
        pictures: Tensor = self.up[2](torch.cat([x, first], dim=1))
        return pictures[..., :height, :width]


def _judge(wide: int) -> nn.Sequential:
    """A discriminator of patches: a logit for each of a grid of them."""
    first, second, _ = _FEATURES
    return nn.Sequential(
        nn.Conv2d(wide, first, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
        nn.Conv2d(first, second, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
        nn.Conv2d(second, 1, 3, padding=1),
    )  # fmt: skip


def _verdict(judge: nn.Module, given: Tensor, picture: Tensor, real: bool) -> Tensor:
    logits = judge(torch.cat([given, picture], dim=1))
    return binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


def optical_flow(before: NDArray[np.uint8], now: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Dense flow in pixels, right and down: grey (N, H, W), (N, H, W) -> float32 (N, 2, H, W)."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    dis.setFinestScale(0)
    flow = [dis.calc(*pair, None) for pair in zip(before, now, strict=True)]
    return np.moveaxis(np.stack(flow), -1, 1)
