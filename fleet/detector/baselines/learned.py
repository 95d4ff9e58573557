"""`Learned`: a baseline that is a network over windows of consecutive frames."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cameras.errors import FleetError
from fleet.detector.baselines.baseline import Baseline
from fleet.detector.baselines.scene import Scene
from fleet.detector.footage import Footage
from fleet.detector.frames import evenly_spaced

__all__ = ["Batches", "Learned", "Network"]

# Windows scored at a time: as many values as stay in the caches.
_SCORED_AT_ONCE = 32


class Network(nn.Module):
    """Takes `Learned.windows`, the frame in question last."""

    @abstractmethod
    def __init__(self, scene: Scene) -> None:
        super().__init__()

    @abstractmethod
    def scores(self, windows: Tensor) -> Tensor:
        """How strange the last frame of each is: (N,), higher is stranger."""


class Batches:
    """The windows that may be trained on, as `windows(ends)` makes them for frames of these indices."""

    def __init__(self, windows: Callable[[NDArray[np.intp]], Tensor], ends: NDArray[np.intp], seed: int) -> None:
        self._windows, self._ends = windows, ends
        self._random = np.random.default_rng(seed)

    def epoch(self, most: int, size: int) -> Iterator[Tensor]:
        """Random batches of `size` windows or a few less.

        At most `most` windows, drawn anew each time: footage of hours costs no more than that of minutes.
        """
        order = self._random.permutation(self._ends)[:most]
        for some in np.array_split(order, math.ceil(len(order) / size)):
            yield self._windows(some)

    def sample(self, most: int) -> Tensor:
        """At most so many windows, evenly spaced."""
        return self._windows(self._ends[evenly_spaced(len(self._ends), most)])


class Learned(Baseline):
    """A network, trained by Adam on its own `loss` unless a method says otherwise.

    All see a frame as its difference from the scene's mean frame in units of its standard deviation, as the paper's
    autoencoder here does: with so few steps a network that has to paint the background first learns little else.

    Attributes:
        net: the network, on the CPU; it trains no more.
    """

    default_epochs: ClassVar[int]
    windows_an_epoch: ClassVar[int]
    batch_size: ClassVar[int] = 32
    learning_rate: ClassVar[float] = 1e-3

    def __init__(self, scene: Scene, learnt: Mapping[str, NDArray[Any]], typical: float = 0.0) -> None:
        super().__init__(scene, learnt, typical)
        with torch.device("meta"):  # neither memory nor random numbers for weights that are about to be replaced
            self.net = self.network(scene)
        weights = {name[4:]: torch.tensor(array) for name, array in learnt.items() if name.startswith("net.")}
        self.net.load_state_dict(weights, assign=True)
        self.net.requires_grad_(False).eval()

    @property
    def losses(self) -> NDArray[np.float64]:
        """Mean training loss of each epoch."""
        return self.learnt["losses"]

    @classmethod
    def windows(cls, frames: NDArray[np.uint8], ends: NDArray[np.intp], scene: Scene) -> Tensor:
        """What the network takes: float32 (N, context + 1, C, H, W), the frames up to each of `ends`."""
        return torch.from_numpy(scene.standardised(frames[ends[:, None] + np.arange(-cls.context, 1)]))

    @classmethod
    @abstractmethod
    def network(cls, scene: Scene) -> Network:
        """An untrained network."""

    @classmethod
    def learn(
        cls, footage: Footage, scene: Scene, ends: NDArray[np.intp], seed: int, epochs: int | None, device: str
    ) -> dict[str, NDArray[Any]]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = cls.network(scene).to(device)
            batches = Batches(lambda some: cls.windows(footage.frames, some, scene).to(device), ends, seed)
            losses = cls.train(net, batches, epochs or cls.default_epochs)
        if not (np.isfinite(losses).all() and all(weight.isfinite().all() for weight in net.parameters())):
            raise FleetError(f"the training of {cls.method} diverged", "give another seed, or fewer epochs")
        weights = {f"net.{name}": tensor.cpu().contiguous().numpy() for name, tensor in net.state_dict().items()}
        return weights | {"losses": np.array(losses)}

    @classmethod
    def train(cls, net: Any, batches: Batches, epochs: int) -> list[float]:
        """Train on `net.loss(windows)`; the mean loss of each epoch."""
        optimiser = torch.optim.Adam(net.parameters(), lr=cls.learning_rate)
        curve = []
        for _ in range(epochs):
            losses = []
            for batch in batches.epoch(cls.windows_an_epoch, cls.batch_size):
                loss = net.loss(batch)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                losses.append(loss.item())
            curve.append(float(np.mean(losses)))
        return curve

    @torch.inference_mode()
    def measure(self, frames: NDArray[np.uint8], ends: NDArray[np.intp]) -> NDArray[np.float64]:
        values = np.zeros(len(ends))
        for start in range(0, len(ends), _SCORED_AT_ONCE):
            some = ends[start : start + _SCORED_AT_ONCE]
            values[start : start + len(some)] = self.net.scores(self.windows(frames, some, self.scene)).numpy()
        return values
