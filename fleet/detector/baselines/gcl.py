"""`Gcl`: an autoencoder and a discriminator that label each other's frames."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from fleet.detector.baselines.learned import Batches, Learned, Network
from fleet.detector.baselines.scene import Scene
from fleet.detector.config import DetectorConfig
from fleet.detector.model import Autoencoder

__all__ = ["Gcl"]

# What the generator is pushed to for what the discriminator calls an anomaly, in units of the standardised frame.
_NEGATIVE_TARGET = 1.0

# Pre-training takes this share of the windows of an epoch: those that change least from one frame to the next.
_STEADY_SHARE = 0.7


class Gcl(Learned):
    """Generative cooperative learning: the discriminator's logit is the score. No labels.

    M. Z. Zaheer, A. Mahmood, M. H. Khan, M. Segu, F. Yu, S.-I. Lee, "Generative cooperative learning for unsupervised
    video anomaly detection", CVPR 2022, arXiv 2203.03962.

    In each batch the generator's reconstruction error above mean + 1 std marks the pseudo-anomalies that the
    discriminator is trained on (cross entropy); the discriminator's output above mean + .1 std marks those for which
    the generator's target is a constant instead of the frame itself (negative learning). RMSprop, momentum .6. The
    generator is pre-trained on frames that change little (first fifth of the epochs).

    Ours: the generator is the convolutional autoencoder of the vanilla baseline and works on frames, as the
    MLE paper's comparison has it, not a perceptron on ResNeXt features of segments; the discriminator (512, 32, 1)
    takes the standardised frame. Batches of 64 at a learning rate of 5e-4, because a scene has too few frames for the
    8,192 at 2e-5 of the paper. The pseudo-labels are a coin's throw at the start, and whether the two agree on what is
    rare or on what is common is not decided by the method: it can come out inverted, as in the MLE paper's table.
    """

    method = "gcl"
    context = 1  # for the pre-training only: the score sees the last frame
    default_epochs = 15
    windows_an_epoch = 1_000
    batch_size = 64
    learning_rate = 5e-4

    @classmethod
    def network(cls, scene: Scene) -> Network:
        return _Pair(scene)

    @classmethod
    def train(cls, net: Any, batches: Batches, epochs: int) -> list[float]:
        """The generator's loss of each epoch."""
        by_generator = torch.optim.RMSprop(net.generator.parameters(), lr=cls.learning_rate, momentum=0.6)
        by_discriminator = torch.optim.RMSprop(net.discriminator.parameters(), lr=cls.learning_rate, momentum=0.6)
        curve = []
        for epoch in range(epochs):
            losses = []
            for windows in batches.epoch(cls.windows_an_epoch, cls.batch_size):
                frames = windows[:, -1]
                if epoch < epochs // 5:
                    change = (frames - windows[:, 0]).square().mean(dim=(1, 2, 3))
                    frames = frames[change <= change.quantile(_STEADY_SHARE)]
                    loss = net.errors(frames, frames).mean()
                else:
                    # Both label before either learns from the other.
                    with torch.no_grad():
                        errors = net.errors(frames, frames)
                        doubted = net.discriminator(frames.flatten(1)).squeeze(1).sigmoid()
                    strange = (errors > errors.mean() + errors.std()).float()
                    rejected = doubted > doubted.mean() + 0.1 * doubted.std()
                    guesses = net.discriminator(frames.flatten(1)).squeeze(1)
                    _step(by_discriminator, binary_cross_entropy_with_logits(guesses, strange))
                    constant = _NEGATIVE_TARGET * net.generator.valid
                    targets = torch.where(rejected[:, None, None, None], constant, frames)
                    loss = net.errors(frames, targets).mean()
                _step(by_generator, loss)
                losses.append(loss.item())
            curve.append(sum(losses) / len(losses))
        return curve


class _Pair(Network):
    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        # Its buffers stay 0, 1 and the mask: frames come to it standardised.
        self.generator = Autoencoder(scene.height, scene.width, scene.channels, DetectorConfig(lam=0))
        if not self.generator.valid.is_meta:
            self.generator.valid.copy_(torch.from_numpy(scene.valid))
        self.discriminator = nn.Sequential(
            nn.Linear(scene.mean.size, 512), nn.ReLU(), nn.Dropout(0.6),
            nn.Linear(512, 32), nn.ReLU(), nn.Dropout(0.6),
            nn.Linear(32, 1),
        )  # fmt: skip

    def errors(self, frames: Tensor, targets: Tensor) -> Tensor:
        """Mean squared error of each reconstruction: (N,), of the best constant picture about 1."""
        valid = self.generator.valid
        squared = ((self.generator(frames)[0] - targets) * valid).square().sum(dim=(1, 2, 3))
        return squared / (valid.sum() * frames.shape[1])

    def scores(self, windows: Tensor) -> Tensor:
        return self.discriminator(windows[:, -1].flatten(1)).squeeze(1)


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
