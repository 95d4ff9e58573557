"""`DetectorConfig`: the numbers that decide what is fitted. Imports no torch: `fleet --help` comes by here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

__all__ = [
    "MOVING_VIEW_CAP",
    "DetectorConfig",
    "EntropyAs",
    "ErrorScale",
    "Kernel",
    "NetworkKind",
    "PixelError",
    "Reduction",
    "light_config",
    "paper_batch_size",
]

NetworkKind = Literal["plain", "light"]
Kernel = Literal["norm", "elementwise", "dimension"]
PixelError = Literal["squared", "l1", "huber", "charbonnier", "trimmed"]
Reduction = Literal["sum", "mean"]
ErrorScale = Literal["variance", "none"]
EntropyAs = Literal["penalty", "cap"]


# Nats that the latent of a camera that rides along may say. On two driving views the mean residual had an AUC of .88
# and .90 with none, .92 and .93 with 1, .94 and .96 with 3. A batch of 64 can show 4.2 at most: a larger cap would be
# none.
MOVING_VIEW_CAP = 3.0


def paper_batch_size(n_frames: int) -> int:
    """The paper's batch size for so many frames (section 4.1: 902 -> 64, 1,200 -> 128, 18,000 -> 256)."""
    return 64 if n_frames < 1_000 else 128 if n_frames < 10_000 else 256


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """One point of the search, and what stays fixed around it.

    Attributes:
        sigma: kernel size of the entropy estimate (eq 5), in units of the latent space.
        lam: the paper's lambda, weight of the entropy term (eq 7); 0 is a plain convolutional autoencoder.
        latent: dimensions of the latent space.
        epochs: passes over the frames. The paper takes 70; on Ped2 a plain network follows .6 of what moves at 30.
        learning_rate: Adam's.
        batch_size: frames a step; None takes `paper_batch_size`.
        channels: feature maps of the strided convolutions; the last repeats until the grid is small enough.
        network: 'plain' is the paper's convolutional autoencoder, 'light' one that is too small to paint people (see
            `fleet.detector.light`; `light_config` has the settings that belong to it).
        kernel: 'norm' takes eq 18's (e_i - e_j)^2 as the squared Euclidean norm, 'elementwise' a latent dimension
            at a time, averaged inside the logarithm, 'dimension' gives each dimension an entropy of its own and takes
            the mean of these, so that lambda means the same at any latent size.
        alpha: order of Renyi's entropy: the paper's 2 in closed form, any other by resubstitution.
        error: of a pixel, see `losses.frame_losses`; the paper's is 'squared'.
        error_reduction: of a frame's pixels, the paper's 'sum' (eq 3) or their 'mean'.
        error_scale: 'variance' divides the error by that of the best constant picture (for a squared error the
            scene's temporal variance), so that this picture has loss 1 and lambda means the same at any size, for any
            error and reduction; 'none' leaves the error as it is.
        entropy_as: 'penalty' adds lambda times the entropy (eq 7). 'cap' bounds what the latent may say: training adds
            noise N(0, sigma^2) to the latent, and lambda times the nats of entropy above `cap` to the loss. There the
            entropy counts from that of latents in one point, so that a cap of 0 switches the latent off.
        cap: in nats; None takes 0 for a camera that stands still and `MOVING_VIEW_CAP` for one that rides along, told
            apart by `reference.moving_view`. Means nothing to a penalty.
        kappa: the threshold lies so many standard deviations below the mean (eq 9).
        seed: decides the first weights and the order of the frames.

    Raises:
        ValueError: a value out of its bounds; says the rule and the remedy.
    """

    sigma: float = 0.1
    lam: float = 1.0
    latent: int = 32
    epochs: int = 30
    learning_rate: float = 5e-4
    batch_size: int | None = None
    channels: tuple[int, ...] = (8, 16, 32)
    network: NetworkKind = "plain"
    kernel: Kernel = "norm"
    alpha: float = 2.0
    error: PixelError = "squared"
    error_reduction: Reduction = "sum"
    error_scale: ErrorScale = "variance"
    entropy_as: EntropyAs = "penalty"
    cap: float | None = None
    kappa: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))  # JSON and YAML give lists
        _number("sigma", self.sigma, above=0, at_most=1e3, remedy="the paper searches 0.01 to 1")
        _number("lam", self.lam, at_least=0, at_most=1e6, remedy="the paper searches 0.01 to 1; 0 turns it off")
        _whole("latent", self.latent, 1, 4_096, remedy="the paper takes 32")
        _whole("epochs", self.epochs, 1, 100_000, remedy="the paper takes 70")
        _number("learning_rate", self.learning_rate, above=0, at_most=1, remedy="the paper takes 0.0005")
        if self.batch_size is not None:
            # One frame has no pair, and the entropy term nothing to pull together.
            _whole("batch_size", self.batch_size, 2, 65_536, remedy="leave it out for the paper's")
        if not self.channels:
            raise ValueError("channels holds at least one number of feature maps: try (8, 16, 32)")
        for width in self.channels:
            _whole("channels", width, 1, 4_096, remedy="try (8, 16, 32)")
        _one_of("network", self.network, get_args(NetworkKind))
        _one_of("kernel", self.kernel, get_args(Kernel))
        _number("alpha", self.alpha, above=0, at_most=100, remedy="the paper takes 2")
        if self.alpha == 1:
            raise ValueError("alpha is not 1, where Renyi's entropy has no value of its own: the paper takes 2")
        _one_of("error", self.error, get_args(PixelError))
        _one_of("error_reduction", self.error_reduction, get_args(Reduction))
        _one_of("error_scale", self.error_scale, get_args(ErrorScale))
        _one_of("entropy_as", self.entropy_as, get_args(EntropyAs))
        if self.cap is not None:
            _number("cap", self.cap, at_least=0, at_most=100, remedy="0 switches the latent off, None chooses")
        _number("kappa", self.kappa, at_least=-100, at_most=100, remedy="the paper takes 0.5, fewer flags 3")
        _whole("seed", self.seed, 0, 2**63 - 1, remedy="try 0")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` takes them back."""
        return asdict(self) | {"channels": list(self.channels)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DetectorConfig:
        """The configuration of these values; what is left out keeps its default.

        Raises:
            ValueError: an unknown name, or a value out of its bounds.
        """
        known = [field.name for field in fields(cls)]
        if unknown := sorted(set(values) - set(known)):
            raise ValueError(f"a detector has no setting {', '.join(map(repr, unknown))}: it knows {', '.join(known)}")
        return cls(**values)


def light_config(**changes: Any) -> DetectorConfig:
    """The settings that belong to the light network, with these changes.

    Raises:
        ValueError: an unknown name, or a value out of its bounds.
    """
    return DetectorConfig.from_dict(_LIGHT | changes)


# On four driving views a lambda of 0.3 follows a cap of 3 within .3 nats, and the mean residual an AUC of .92; 1 falls
# short of it by up to 1.1 nats (.90), and 3 or more move the weights so hard that the latent may collapse.
_LIGHT: dict[str, Any] = {
    "network": "light",
    "latent": 4,
    "sigma": 0.5,
    "lam": 0.3,
    "epochs": 20,
    "learning_rate": 5e-3,
    "batch_size": 64,
    "error": "charbonnier",
    "entropy_as": "cap",
}


def _number(
    name: str,
    value: Any,
    *,
    at_most: float,
    above: float = -math.inf,
    at_least: float = -math.inf,
    remedy: str,
) -> None:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    if not (plain and math.isfinite(value) and above < value <= at_most and value >= at_least):
        lowest = f"above {above:g}" if above > -math.inf else f"at least {at_least:g}"
        raise ValueError(f"{name} is a number {lowest} and at most {at_most:g}, not {value!r}: {remedy}")


def _whole(name: str, value: Any, lowest: int, highest: int, *, remedy: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise ValueError(f"{name} is a whole number from {lowest} to {highest}, not {value!r}: {remedy}")


def _one_of(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} is one of {', '.join(choices)}, not {value!r}")
