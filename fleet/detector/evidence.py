"""`EvidenceDetector`: the default. A light-following autoencoder of minimal latent entropy, and what moves and stays.

Each frame gets a value in five channels (see `reader`): where it is unlike its reconstruction, what moves and how fast,
what changes everywhere, a thing that stays, and the view as a whole. What the values were over the training frames says
how much each channel knows on this camera, and fuses them (see `fusion`). Beside them stands the paper's PCC.

    detector = fit_evidence(Footage.of(frames, fps=5))
    scores = detector.score(footage)        # score, pcc, and each channel's value and tail
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cameras.errors import UsageError
from fleet.detector.channels import View
from fleet.detector.config import DetectorConfig, light_config
from fleet.detector.detector import Channel, Detector, Scores, State
from fleet.detector.fit import Fitting
from fleet.detector.footage import Footage
from fleet.detector.fusion import Fusion
from fleet.detector.mle import MleDetector
from fleet.detector.reader import CHANNELS, Reader, Values, frame_rate
from fleet.detector.regimes import Regimes, light_of
from fleet.detector.stats import EpochStats
from fleet.detector.tails import Tail

__all__ = ["EvidenceConfig", "EvidenceDetector", "EvidenceFitting", "fit_evidence"]


@dataclass(frozen=True, slots=True)
class EvidenceConfig:
    """What is fitted, and over which time evidence is gathered.

    Attributes:
        mle: the autoencoder's settings, `light_config()`.
        window_s: seconds that evidence is averaged over, 15 frames at most: one step is noise, a walk is not, and
            people who walk fade from a picture that is averaged so long, but not what was put down.

    Raises:
        ValueError: a value out of its bounds; says the rule and the remedy.
    """

    mle: DetectorConfig = field(default_factory=light_config)
    window_s: float = 1.0

    def __post_init__(self) -> None:
        plain = isinstance(self.window_s, int | float) and not isinstance(self.window_s, bool)
        if not (plain and 0 <= self.window_s <= 60):
            raise ValueError(f"window_s is a number of seconds from 0 to 60, not {self.window_s!r}: try 1")

    @property
    def epochs(self) -> int:
        return self.mle.epochs

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` takes them back."""
        return {**asdict(self), "mle": self.mle.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EvidenceConfig:
        """The configuration of these values; what is left out keeps its default.

        Raises:
            ValueError: an unknown name, or a value out of its bounds.
        """
        known = [field.name for field in fields(cls)]
        if unknown := sorted(set(values) - set(known)):
            raise ValueError(f"evidence has no setting {', '.join(map(repr, unknown))}: it knows {', '.join(known)}")
        mle = {"mle": DetectorConfig.from_dict(values["mle"])} if "mle" in values else {}
        return cls(**{**values, **mle})


@dataclass(frozen=True, eq=False)
class EvidenceDetector(Detector):
    """Fitted to one scene; frames are uint8, grey or RGB, of the size and colour that it was fitted on.

    Attributes:
        config: what it was fitted with.
        mle: the autoencoder; its PCC and threshold are the paper's.
        fps: the frame rate it was fitted at; the windows are so many of its frames, and motion is a period of it.
        view: what stood in each place of the scene.
        regimes: the lights it was fitted in.
        fusions: of each regime, in their order: the channels' tails and handicaps.
        map_scales: of each channel: what its map shows as 1, the 99.9th percentile over the training frames.
        calibration: scores of the training frames, in their order.
        calibration_regimes: uint8 (N,), the regime of each of them.
    """

    method: ClassVar[str] = "evidence"

    config: EvidenceConfig
    mle: MleDetector
    fps: float
    view: View
    regimes: Regimes
    fusions: tuple[Fusion, ...]
    map_scales: Mapping[str, float]
    calibration: Scores
    calibration_regimes: NDArray[np.uint8]

    @property
    def context(self) -> int:  # type: ignore[override]
        """Frames before a frame that its score looks at: 10 at 10 frames/s, 5 at 5, 2 at 2."""
        return self._reader().context

    @property
    def valid(self) -> NDArray[np.bool_]:
        """bool (H, W): the pixels that count."""
        return self.mle.valid

    @property
    def threshold(self) -> float:
        """The paper's, of the PCC (eq 9)."""
        return self.mle.threshold

    @property
    def pcc_mean(self) -> float:
        return self.mle.pcc_mean

    @property
    def pcc_std(self) -> float:
        return self.mle.pcc_std

    @property
    def map_scale(self) -> float:
        return self.mle.map_scale

    @property
    def collapsed(self) -> bool:
        return self.mle.collapsed

    @property
    def informative(self) -> dict[str, str]:
        """Of each channel, in the light that was most common: whether it is informative, neutral, inverted or blind on
        this camera, and its handicap in the score. The values' spread and what they have in common say so, no label."""
        most = max(self.fusions, key=lambda fusion: max((tail.n for tail in fusion.tails.values()), default=0))
        verdicts = most.verdicts()
        return {name: verdicts.get(name, "blind, without values") for name in CHANNELS}

    def score(self, footage: Footage) -> Scores:
        """The fused score of each frame, higher is stranger; its PCC; value and tail of each channel.

        A frame that no other leads up to has no motion and no change: NaN there, and the score takes the rest.
        """
        reader = self._reader()
        correlation, values = reader.scores(footage, self.view)
        return _scores(values, correlation, self.regimes.which(light_of(footage.frames, self.valid)), self.fusions)

    def maps(self, footage: Footage) -> dict[str, NDArray[np.float32]]:
        """Where the last frame has evidence in each channel: float32 (H, W), 0..1 on the camera's fixed scale.

        Args:
            footage: the frame with the `context` before it.

        Raises:
            UsageError: no frame.
        """
        if not len(footage):
            raise UsageError("no frame to map", "give one with those before it")
        reader = self._reader()
        maps = reader.maps(footage[-self.context - 1 :], self.view)
        return {name: np.clip(maps[name] / self.map_scales[name], 0, 1).astype(np.float32) for name in CHANNELS}

    def _reader(self) -> Reader:
        return Reader(self.mle, self.fps, self.config.window_s)

    def state(self) -> State:
        tensors, mle = self.mle.state()
        arrays: dict[str, NDArray[Any]] = {f"mle.{name}": array for name, array in tensors.items()}
        arrays |= {"view.memory": self.view.memory, "regimes.centres": self.regimes.centres}
        for index, fusion in enumerate(self.fusions):
            arrays |= {f"tails.{index}.{name}": tail.quantiles for name, tail in fusion.tails.items()}
        arrays |= {
            f"calibration.{name}": each.value.astype(np.float32) for name, each in self.calibration.channels.items()
        }
        meta = {
            "method": self.method,
            "config": self.config.to_dict(),
            "mle": mle,
            "fps": self.fps,
            "context": self.context,
            "map_scales": dict(self.map_scales),
            "fusions": [
                {"counts": {name: tail.n for name, tail in fusion.tails.items()}, "loadings": dict(fusion.loadings)}
                for fusion in self.fusions
            ],
        }
        return arrays | {"calibration_regimes": self.calibration_regimes}, meta

    @classmethod
    def from_state(cls, tensors: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> EvidenceDetector:
        config = EvidenceConfig.from_dict(meta["config"])
        inner = {name.removeprefix("mle."): array for name, array in tensors.items() if name.startswith("mle.")}
        mle = MleDetector.from_state(inner, meta["mle"])
        fusions = tuple(
            Fusion(
                {name: Tail(np.array(tensors[f"tails.{index}.{name}"]), n) for name, n in fusion["counts"].items()},
                fusion["loadings"],
            )
            for index, fusion in enumerate(meta["fusions"])
        )
        reader = Reader(mle, meta["fps"], config.window_s)
        values = {name: tensors[f"calibration.{name}"].astype(np.float64) for name in CHANNELS}
        regimes = np.array(tensors["calibration_regimes"])
        return cls(
            config=config,
            mle=mle,
            fps=meta["fps"],
            view=View(reader.motion.working, np.array(tensors["view.memory"])),
            regimes=Regimes(np.array(tensors["regimes.centres"])),
            fusions=fusions,
            map_scales=dict(meta["map_scales"]),
            calibration=_scores(values, mle.calibration, regimes, fusions),
            calibration_regimes=regimes,
        )


class EvidenceFitting:
    """A fit under way, an epoch of the autoencoder at a time; arguments and errors are those of `fit_evidence`."""

    def __init__(
        self,
        footage: Footage,
        config: EvidenceConfig | None = None,
        valid: NDArray[np.bool_] | None = None,
        device: str = "cpu",
    ) -> None:
        self.config = config or EvidenceConfig()
        self._footage = footage
        self._fitting = Fitting(footage.frames, self.config.mle, valid, device)

    @property
    def curve(self) -> list[EpochStats]:
        """A record an epoch."""
        return self._fitting.curve

    def epoch(self) -> EpochStats:
        """Train the autoencoder on every frame once, then measure.

        Raises:
            FleetError: the loss is no longer a number.
        """
        return self._fitting.epoch()

    def detector(self) -> EvidenceDetector:
        """What is fitted now. Later epochs leave it as it is."""
        footage, mle = self._footage, self._fitting.detector()
        reader = Reader(mle, frame_rate(footage), self.config.window_s)
        view = View(reader.motion.working, reader.memory(footage))
        correlation, values = reader.scores(footage, view)
        values = {name: value.astype(np.float32).astype(np.float64) for name, value in values.items()}  # as stored
        light = light_of(footage.frames, mle.valid)
        regimes = Regimes.of(light, footage)
        which = regimes.which(light).astype(np.uint8)
        fusions = tuple(
            Fusion.of({name: value[which == regime] for name, value in values.items()})
            for regime in range(len(regimes))
        )
        return EvidenceDetector(
            config=self.config,
            mle=mle,
            fps=reader.fps,
            view=view,
            regimes=regimes,
            fusions=fusions,
            map_scales=reader.map_scales(footage, view),
            calibration=_scores(values, correlation, which, fusions),
            calibration_regimes=which,
        )


def fit_evidence(
    footage: Footage,
    config: EvidenceConfig | None = None,
    valid: NDArray[np.bool_] | None = None,
    on_epoch: Callable[[EpochStats], object] | None = None,
    device: str = "cpu",
) -> EvidenceDetector:
    """Fit a detector to the footage of one camera, events and all.

    Args:
        footage: its frames in their order, with their times.
        config: the defaults where it is None.
        valid: bool (H, W), True where a pixel counts; None counts all.
        on_epoch: called after each epoch.
        device: where the autoencoder trains; the detector is on the CPU.

    Raises:
        UsageError: frames or a mask that nothing can be learnt from.
        FleetError: the training diverged.
    """
    fitting = EvidenceFitting(footage, config, valid, device)
    for _ in range(fitting.config.epochs):
        stats = fitting.epoch()
        if on_epoch is not None:
            on_epoch(stats)
    return fitting.detector()


def _scores(
    values: Values, correlation: NDArray[np.float64], which: NDArray[np.integer], fusions: tuple[Fusion, ...]
) -> Scores:
    """Scores of frames of these values, each calibrated by the regime that it is in."""
    score = np.zeros(len(correlation))
    tails = {name: np.full(len(correlation), np.nan) for name in values}
    for regime, fusion in enumerate(fusions):
        here = which == regime
        score[here] = fusion.score({name: value[here] for name, value in values.items()})
        for name, tail in fusion.tails.items():
            tails[name][here] = tail.minus_log(values[name][here])
    return Scores(score, correlation, {name: Channel(values[name], tails[name]) for name in values})
