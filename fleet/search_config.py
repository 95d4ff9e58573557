"""Search files: what a retraining tries for each camera. YAML at the border, checked field by field.

A mistake is answered with the file, the line and the rule.
"""

from __future__ import annotations

import hashlib
import importlib.resources
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from fleet.detector import DetectorConfig
from fleet.detector.config import light_config
from fleet.errors import UsageError

__all__ = ["DetectorSettings", "Point", "Scheduler", "SearchConfig", "Space", "built_in_searches", "load_search"]


# The settings that belong to the evidence's network are the detector's, and stand nowhere else.
_LIGHT = light_config()

# What a file of the paper's kind has where it says nothing; every other default is that of the evidence's kind.
_PAPERS: dict[str, dict[str, Any]] = {
    "space": {"sigma": (0.01, 0.05, 0.1, 0.5, 1.0), "lambda": (0.01, 0.05, 0.1, 0.5, 1.0), "cap": ("auto",)},
    "incumbent": {"sigma": 0.1, "lambda": 1.0, "cap": "auto"},
    "detector": {
        "network": "plain",
        "latent": 32,
        "epochs": 40,
        "settled": "never",
        "learning_rate": 5e-4,
        "batch_size": "by-camera",
        "error": "squared",
        "entropy_as": "penalty",
    },
}


def _all_distinct(values: tuple[float | None, ...]) -> tuple[float | None, ...]:
    if len(set(values)) != len(values):
        raise ValueError("a value stands here twice")
    return values


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)


def _auto_is_none(value: Any) -> Any:
    return None if value == "auto" else value


Sigma = Annotated[float, Field(gt=0, le=100)]
Lambda = Annotated[float, Field(ge=0, le=10_000)]
Cap = Annotated[Annotated[float, Field(ge=0, le=100)] | None, BeforeValidator(_auto_is_none)]


class Point(_Settings):
    """One configuration of the search; a `cap` of None is the detector's own choice."""

    sigma: Sigma = Field(
        _LIGHT.sigma, title="Sigma", description="Bandwidth of the entropy's Gaussian kernel (equation 5)."
    )
    lam: Lambda = Field(
        _LIGHT.lam, alias="lambda", title="Lambda", description="Weight of the entropy loss (equation 7)."
    )
    cap: Cap = Field(
        "auto",
        validate_default=True,
        title="Cap",
        description="Nats that a capped entropy may have: 0 follows the light at most, 3 a view that moves; auto looks "
        "at how much the view moves.",
    )


class Space(_Settings):
    """The grid: each sigma with each lambda with each cap."""

    sigma: Annotated[tuple[Sigma, ...], AfterValidator(_all_distinct)] = Field(
        (_LIGHT.sigma,), title="Sigma", description="Bandwidths to try.", min_length=1, max_length=100
    )
    lam: Annotated[tuple[Lambda, ...], AfterValidator(_all_distinct)] = Field(
        (_LIGHT.lam,), alias="lambda", title="Lambda", description="Weights to try.", min_length=1, max_length=100
    )
    cap: Annotated[tuple[Cap, ...], AfterValidator(_all_distinct)] = Field(
        ("auto",),
        validate_default=True,
        title="Cap",
        description="Caps to try; auto is one of them.",
        min_length=1,
        max_length=100,
    )


class DetectorSettings(_Settings):
    """What all points of a search share."""

    kind: Literal["evidence", "paper"] = Field(
        "evidence",
        title="Kind",
        description="evidence: channels of evidence with a small network among them. paper: the paper's own; its "
        "defaults are network plain, latent 32, epochs 40, settled never, learning_rate 0.0005, batch_size by-camera, "
        "error squared, entropy_as penalty, the paper's space and its incumbent.",
    )
    network: Literal["light", "plain"] = Field(
        "light",
        title="Network",
        description="plain: the paper's autoencoder. light: a small one that re-lights the scene's median frame.",
    )
    latent: int = Field(
        _LIGHT.latent, ge=1, le=4096, title="Latent size", description="Numbers that a frame is squeezed into."
    )
    epochs: int = Field(_LIGHT.epochs, ge=1, le=10_000, title="Epochs", description="Passes over a camera's frames.")
    settled: Annotated[float, Field(gt=0, lt=1)] | Literal["never"] = Field(
        0.9995,
        title="Settled",
        description="A fit ends before its last epoch when three epochs in turn rank the frames as the one before did, "
        "by at least this rank correlation. never, for a plain network: it may stand still before it begins to learn.",
    )
    learning_rate: float = Field(_LIGHT.learning_rate, gt=0, le=1, title="Learning rate", description="Of Adam.")
    batch_size: Annotated[int, Field(ge=2, le=65_536)] | Literal["by-camera"] = Field(
        _LIGHT.batch_size or "by-camera",
        title="Batch size",
        description="Frames a step, at least 2; by-camera is the paper's choice: 64 below 1,000 frames, 128 below "
        "10,000, else 256.",
    )
    kernel: Literal["norm", "elementwise", "dimension"] = Field(
        "norm",
        title="Kernel",
        description="On the norm of latent differences, on each of their elements, or an entropy for each dimension.",
    )
    alpha: float = Field(
        2.0, gt=0, le=100, title="Alpha", description="Order of Renyi's entropy; the paper's 2 has a closed form."
    )
    error: Literal["squared", "l1", "huber", "charbonnier", "trimmed"] = Field(
        _LIGHT.error, title="Error", description="What a pixel that is not as reconstructed costs."
    )
    error_reduction: Literal["sum", "mean"] = Field(
        "sum", title="Error reduction", description="A frame's error is the sum over its pixels, or their mean."
    )
    error_scale: Literal["variance", "none"] = Field(
        "variance",
        title="Error scale",
        description="Divide the error by that of the best constant picture, or take it as the paper has it.",
    )
    entropy_as: Literal["cap", "penalty"] = Field(
        _LIGHT.entropy_as,
        title="Entropy as",
        description="penalty: less is always better, the paper's. cap: what lies above a point's cap counts.",
    )
    kappa: float = Field(
        0.5, ge=0, le=10, title="Kappa", description="The threshold is the mean PCC less kappa deviations (equation 9)."
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, title="Seed", description="Of the weights and of the batches' order.")


class Scheduler(_Settings):
    """How the points of one camera compete."""

    kind: Literal["fifo", "asha", "screen"] = Field(
        "screen",
        title="Kind",
        description="fifo runs every point to its end; asha stops the worse ones on the way; screen takes a first look "
        "at all points, and runs the incumbent and the best one to their end.",
    )
    grace_epochs: int = Field(5, ge=1, title="Grace", description="asha, screen: epochs that every point gets.")
    reduction_factor: int = Field(3, ge=2, le=16, title="Reduction", description="asha: one of so many goes on.")
    every: int = Field(
        4, ge=1, le=1_000, title="Every", description="screen: the first look sees one of so many frames."
    )


class SearchConfig(_Settings):
    """A search file.

    Attributes:
        name: the file's name without its ending; not part of the file.
    """

    name: str = Field("default", exclude=True)
    space: Space = Field(default_factory=Space, title="Space", description="The points to try.")
    incumbent: Point = Field(
        default_factory=Point,
        title="Incumbent",
        description="The point that is kept unless another one is clearly better. It is tried even when it is not in "
        "the space, and never stopped early.",
    )
    detector: DetectorSettings = Field(
        default_factory=DetectorSettings, title="Detector", description="What all points share."
    )
    scheduler: Scheduler = Field(default_factory=Scheduler, title="Scheduler", description="How points compete.")
    objective: str = Field(
        "bic-gain",
        title="Objective",
        description="The label-free objective that ranks points (fleet.detector.objectives).",
    )
    margin: float = Field(
        0.2,
        ge=0,
        title="Margin",
        description="By how much the objective must beat the incumbent's to replace it; left out, the objective's own.",
    )
    max_frames: int = Field(
        20_000, ge=16, le=1_000_000, title="Frames", description="The newest frames of a camera that are learnt from."
    )
    cpus_per_trial: float = Field(1.0, gt=0, le=64, title="CPUs", description="Reserved for each running point.")
    gpus_per_trial: float = Field(
        0.25, ge=0, le=8, title="GPUs", description="Share of a GPU a point, where the cluster has any."
    )
    cameras_per_chunk: int = Field(
        32, ge=1, le=200, title="Chunk", description="Cameras whose frames are held in memory at once."
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        """Defaults that depend on what the file says: those of the paper's kind, and the objective's margin."""
        from fleet.detector.objectives import OBJECTIVES

        if not isinstance(values, dict):
            return values
        filled = dict(values)
        detector = values.get("detector")
        if isinstance(detector, dict) and detector.get("kind") == "paper":
            for name, defaults in _PAPERS.items():
                given = values.get(name, {})
                if isinstance(given, dict):
                    filled[name] = defaults | given
        if "margin" not in values and (objective := OBJECTIVES.get(str(values.get("objective")))):
            filled["margin"] = objective.margin
        return filled

    def points(self) -> list[Point]:
        """Every point to try, the incumbent first."""
        grid = [Point(sigma=s, lam=w, cap=c) for s, w, c in product(self.space.sigma, self.space.lam, self.space.cap)]
        return [self.incumbent, *(point for point in grid if point != self.incumbent)]

    def detector_config(self, point: Point) -> DetectorConfig:
        """What the network of one point is fitted with.

        Raises:
            ValueError: settings that do not go together.
        """
        settings = self.detector.model_dump(exclude={"kind", "settled"})
        if settings["batch_size"] == "by-camera":
            settings["batch_size"] = None
        settings |= {"sigma": point.sigma, "lam": point.lam, "cap": point.cap}
        return DetectorConfig(**settings)

    def digest(self) -> str:
        """Changes when anything in the file does."""
        return hashlib.sha256(self.model_dump_json(by_alias=True).encode()).hexdigest()


def built_in_searches() -> list[str]:
    """Names of the search files that travel with Fleet."""
    folder = importlib.resources.files("tune_configs")
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_search(name: str) -> SearchConfig:
    """A search by name (paper, default, quick) or from a YAML file.

    Raises:
        UsageError: it is not there, or wrong; the message names the line.
    """
    if name in built_in_searches():
        text, shown = importlib.resources.files("tune_configs").joinpath(f"{name}.yaml").read_text(), f"{name}.yaml"
    else:
        path = Path(name)
        try:
            text, shown = path.read_text(), path.name
        except (OSError, UnicodeDecodeError):
            raise UsageError(
                f"there is no search '{name[:120]}'", f"one of {', '.join(built_in_searches())}, or a YAML file"
            ) from None
    return parse_search(text, shown)


def parse_search(text: str, shown: str) -> SearchConfig:
    """The text of a search file -> its configuration; `shown` is the file's name in errors."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except (ValueError, RecursionError):  # a date such as 2024-13-45, a number of thousands of digits, [[[[…
        raise UsageError(f"{shown}: it holds a value that is none", "start from tune_configs/default.yaml") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark else ""
        raise UsageError(f"{shown}:{line} {getattr(error, 'problem', None) or 'no YAML'}", "mend the line") from None
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise UsageError(f"{shown}: line 1: a search file is a mapping", "start from tune_configs/default.yaml")
    try:
        config = SearchConfig(**{str(key): value for key, value in content.items()}, name=Path(shown).stem)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False)[0]
        raise _mistake(root, shown, problem["loc"], problem["msg"].removeprefix("Value error, ")) from None
    except TypeError:
        raise UsageError(f"{shown}: line 1: 'name' is the file's own and not part of it", "leave it out") from None
    for path, rule in _broken_rules(config):
        raise _mistake(root, shown, path, rule)
    return config


def _broken_rules(config: SearchConfig) -> Iterator[tuple[tuple[str, ...], str]]:
    """What no field can see for itself: where it stands, and the rule."""
    from fleet.detector.objectives import OBJECTIVES

    if config.objective not in OBJECTIVES:
        yield ("objective",), f"'{config.objective[:60]}' is none of {', '.join(sorted(OBJECTIVES))}"
    if config.detector.entropy_as == "penalty":
        rule = "a penalty has no cap: leave it out, or say entropy_as: cap"
        if config.space.cap != (None,):
            yield ("space", "cap"), rule
        if config.incumbent.cap is not None:
            yield ("incumbent", "cap"), rule
    for point in config.points():
        try:
            config.detector_config(point)
        except ValueError as error:
            yield ("detector",), str(error)


def _mistake(root: Any, shown: str, path: tuple[int | str, ...], rule: str) -> UsageError:
    where = ".".join(str(part) for part in path)
    return UsageError(f"{shown}: line {_line(root, path)}: {where}: {rule}", "mend the line")


def _line(node: Any, path: tuple[int | str, ...]) -> int:
    """The line, from 1, of the deepest part of a path that stands in the file."""
    line = node.start_mark.line + 1 if node is not None else 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    line, node = key.start_mark.line + 1, value
                    break
            else:
                return line
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return line
    return line
