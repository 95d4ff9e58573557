"""Suites: which cells answer which question.

Draws 0 to 9 of the generated scenes are for work on methods, 100 and up for reports; no setting is chosen by labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cameras.errors import UsageError
from cameras.scenes import SCENES
from fleet.benchmark.cells import Cell, Task
from fleet.benchmark.methods import DEFAULT_DETECTOR, method, methods
from fleet.benchmark.scenes import REAL, PixelSize, SceneSpec, is_available
from fleet.benchmark.variants import VARIANTS, variant_config
from fleet.search_config import built_in_searches

__all__ = ["SUITES", "Options", "Plan", "Suite", "plan"]

SMALL, FULL = (64, 48), (96, 64)
"""Working sizes: of networks that take every pixel, and of everything else."""

PAPER_SCENES = ("corridor", "office-alarm", "driving")
OUTDOORS = "yard"
REPORT_DRAWS, FRESH_DRAWS = (100, 101, 102), tuple(range(100, 110))
HEAT = (0.01, 0.05, 0.1, 0.5, 1.0)
"""Sigma and lambda of the paper's search (section 4.1)."""
RATIOS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
ALERT_RATIOS = (0.0, 0.01, 0.05, 0.2, 0.5)
TRAIN_FRAMES = (100, 200, 500, 1000, 1500, 2000)
RATES = (10.0, 5.0, 2.0, 1.0)
DAY_S, DAY_FPS = 86_400, 2.0


@dataclass(frozen=True)
class Options:
    """What a user may say of a suite; None and empty leave it to the suite.

    Attributes:
        crossed: every seed on every draw; else draw and seed change together, which tells their spread at a third of
            the cost.
    """

    methods: tuple[str, ...] = ()
    scenes: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2)
    draws: tuple[int, ...] = ()
    size: PixelSize | None = None
    max_frames: int | None = None
    epochs: int | None = None
    footage: Path | None = None
    quick: bool = False
    crossed: bool = False

    def cell(self, name: str, spec: SceneSpec, seed: int = 0, task: Task = "score") -> Cell:
        """A cell with what the user said; without, at the method's own working size."""
        size = self.size or (SMALL if task == "variant" or (task != "selection" and method(name).big) else FULL)
        own = SCENES[spec.scene].frames if spec.scene in SCENES else None
        frames = _least(spec.frames or own, self.max_frames, 120 if self.quick else None)
        epochs = 2 if self.quick else self.epochs
        return Cell(name, replace(spec, frames=frames), size, seed, epochs, task=task)

    def seeds_of(self, name: str, spec: SceneSpec, draws: Sequence[int]) -> tuple[int, ...]:
        """Those with which a method is measured on a scene that is also measured with other draws."""
        if not method(name).seeded:
            return self.seeds[:1]
        if self.crossed or len(draws) < 2:
            return self._few(self.seeds)
        return (self.seeds[draws.index(spec.draw) % len(self.seeds)],)

    def draws_or(self, draws: tuple[int, ...]) -> tuple[int, ...]:
        return self._few(self.draws or draws)

    def _few(self, numbers: tuple[int, ...]) -> tuple[int, ...]:
        return numbers[:1] if self.quick else numbers


@dataclass(frozen=True)
class Plan:
    """The cells of a suite, and the scenes that it leaves out because their footage is not there."""

    cells: list[Cell]
    left_out: list[str]


@dataclass(frozen=True)
class Suite:
    """A question and how its cells are made."""

    name: str
    question: str
    cells: Callable[[Options], Iterable[Cell]]


def plan(suite: str, options: Options) -> Plan:
    """The cells of a suite, each once; those of scenes that are not there are left out.

    Raises:
        UsageError: there is no such suite, method or scene.
    """
    if suite not in SUITES:
        raise UsageError(f"there is no suite '{suite}'", f"choose from: {', '.join(SUITES)}, all")
    for name in options.methods:
        if suite == "variants":
            variant_config(name, 0, None)
        elif suite != "selection":
            method(name)
        elif name not in built_in_searches():
            raise UsageError(f"there is no search '{name}'", f"choose from: {', '.join(built_in_searches())}")
    for scene in options.scenes:
        if scene not in (*SCENES, *REAL):
            raise UsageError(f"there is no scene '{scene}'", f"choose from: {', '.join((*SCENES, *REAL))}")
    asked = dict.fromkeys(SUITES[suite].cells(options))
    there, left_out = [], []
    for cell in asked:
        if options.scenes and cell.scene.scene not in options.scenes:
            continue
        if is_available(cell.scene.scene, options.footage):
            there.append(cell)
        elif cell.scene.scene not in left_out:
            left_out.append(cell.scene.scene)
    return Plan(there, left_out)


# -- the suites


def _grid(options: Options, names: Iterable[str], specs: Sequence[SceneSpec]) -> Iterable[Cell]:
    for spec in specs:
        draws = sorted({other.draw for other in specs if other.scene == spec.scene})
        for name in options.methods or names:
            for seed in options.seeds_of(name, spec, draws):
                yield options.cell(name, spec, seed)


def _generated(draws: tuple[int, ...], scenes: Iterable[str] = PAPER_SCENES) -> list[SceneSpec]:
    return [SceneSpec(scene, draw) for scene in scenes for draw in draws]


def _real(draws: tuple[int, ...]) -> list[SceneSpec]:
    drawn = [SceneSpec(scene, draw) for scene in ("donkeycar-drops", "carpark-patches") for draw in draws]
    return [SceneSpec("ped2-20"), SceneSpec("ped2-82"), *drawn]


def _simple() -> list[str]:
    """The default detector and what needs no training of a network."""
    return [name for name, one in methods().items() if not one.big]


def _paper(options: Options) -> Iterable[Cell]:
    return _grid(options, methods(), _generated(options.draws_or(REPORT_DRAWS)))


def _paper_size(options: Options) -> Iterable[Cell]:
    """Table 3: 902 frames of 187,200 values, 1,200 of 134,400, 18,000 of 6,400; ours are grey and of these sizes."""
    for scene, frames, size in (
        ("office-alarm", 902, (480, 390)),
        ("corridor", 1200, (420, 320)),
        ("driving", 18_000, (80, 80)),
    ):
        spec = SceneSpec(scene, options.draws_or(REPORT_DRAWS)[0], frames, render_px=size)
        for name in options.methods or ("vanilla-cae", "mle"):
            yield replace(options.cell(name, spec), size=options.size or size)


def _real_suite(options: Options) -> Iterable[Cell]:
    return _grid(options, methods(), _real(options.draws_or(REPORT_DRAWS)))


def _fresh(options: Options) -> Iterable[Cell]:
    """One seed: a fresh draw moves AUC far more than a seed does. Beside them the draws that were worked on."""
    one_seed = replace(options, seeds=options.seeds[:1])
    scenes = [name for name in (*PAPER_SCENES, OUTDOORS) if name in SCENES]
    yield from _grid(one_seed, _simple(), _generated(options.draws_or(FRESH_DRAWS), scenes))
    yield from _grid(one_seed, _simple(), _real(options.draws_or(FRESH_DRAWS[:3])))
    work = tuple(draw - FRESH_DRAWS[0] for draw in options.draws_or(FRESH_DRAWS) if draw >= FRESH_DRAWS[0])
    worked_on = _generated(work) + [SceneSpec("carpark-patches", draw) for draw in work[:3]]
    yield from _grid(one_seed, (DEFAULT_DETECTOR, "median-frame", "frame-difference-cells"), worked_on)


def _ratio(options: Options) -> Iterable[Cell]:
    names = (DEFAULT_DETECTOR, "mle", "median-frame")
    for draw in options.draws_or(REPORT_DRAWS[:1]):
        specs = [SceneSpec(scene, draw, ratio=ratio) for scene in PAPER_SCENES[:2] for ratio in RATIOS]
        yield from _grid(replace(options, seeds=options.seeds[:1]), names, specs)


def _frames(options: Options) -> Iterable[Cell]:
    """Learnt from the first n of 2,000 frames, scored on all of them."""
    for scene in PAPER_SCENES:
        spec = SceneSpec(scene, options.draws_or(REPORT_DRAWS)[0], TRAIN_FRAMES[-1])
        for name in options.methods or (DEFAULT_DETECTOR, "mle", "median-frame"):
            for count in TRAIN_FRAMES:
                cell = options.cell(name, spec)
                if count <= (cell.scene.frames or count):
                    yield replace(cell, train_frames=count)


def _rate(options: Options) -> Iterable[Cell]:
    specs = [SceneSpec(scene, fps=rate) for scene in ("ped2-20", "ped2-82") for rate in RATES]
    return _grid(replace(options, seeds=options.seeds[:1]), _simple(), specs)


def _alerts(options: Options) -> Iterable[Cell]:
    """Each rule at 0 to 50 % anomalies; the paper's method beside the default."""
    scenes = [name for name in (*PAPER_SCENES, OUTDOORS) if name in SCENES]
    for draw in options.draws_or(REPORT_DRAWS[:1]):
        specs = [SceneSpec(scene, draw, ratio=ratio) for scene in scenes for ratio in ALERT_RATIOS]
        specs.remove(SceneSpec(OUTDOORS, draw, ratio=0.01))  # too short to have an event at that share of it
        yield from _grid(replace(options, seeds=options.seeds[:1]), (DEFAULT_DETECTOR, "mle"), specs)


def _quiet(options: Options) -> Iterable[Cell]:
    """A yard without an event: learnt from 100 s in every 72 minutes of a day, scored on all of the next day.

    The same fits score the same yard with events, and PETS 2001, where a cloud passes, is scored by a fit to itself.
    """
    draw = options.draws_or(REPORT_DRAWS)[0]
    hours, pieces = (2, 2) if options.quick else (24, 20)
    minutes = 1 if options.quick else 60
    drawn_px = (144, 96)  # more than the working size: what is averaged away in a real camera is here, too

    def yard(starts_s: Iterable[float], frames: int, ratio: float) -> SceneSpec:
        return SceneSpec(OUTDOORS, draw, frames, ratio, DAY_FPS, tuple(starts_s), drawn_px)

    lesson = yard((DAY_S / pieces * place for place in range(pieces)), round(100 * DAY_FPS), 0.0)
    second_day = [yard([DAY_S + 3600 * hour], round(60 * minutes * DAY_FPS), 0.0) for hour in range(hours)]
    eventful = yard((DAY_S + DAY_S / 12 * place for place in range(1 if options.quick else 12)), 1200, 0.1)
    for name in options.methods or (DEFAULT_DETECTOR, "mle", "median-frame"):
        if OUTDOORS in SCENES:
            taught = replace(options.cell(name, lesson), scene=lesson)
            yield taught
            yield from (replace(taught, scene=spec, train=lesson) for spec in (*second_day, eventful))
        yield from (options.cell(name, SceneSpec(scene)) for scene in ("carpark-clean", "carpark-patches"))


def _heatmap(options: Options) -> Iterable[Cell]:
    """The paper's method over sigma, lambda and epochs, on fewer frames than elsewhere: 25 fits a scene."""
    small = replace(options, max_frames=options.max_frames or 900)
    for scene in PAPER_SCENES:
        spec = SceneSpec(scene, options.draws_or(REPORT_DRAWS)[0])
        for point in [(sigma, lam) for sigma in HEAT for lam in HEAT]:
            cell = small.cell("mle", spec, task="curve")
            yield replace(cell, point=point)


def _figures(options: Options) -> Iterable[Cell]:
    """Latents on a plane, and PCC over time (the paper's figures 3 and 4)."""
    for scene in PAPER_SCENES:
        spec = SceneSpec(scene, options.draws_or(REPORT_DRAWS)[0])
        yield from (options.cell(name, spec, task="latents") for name in ("vanilla-cae", "gcl", "mle"))
        yield from (options.cell(name, spec) for name in ("tmae", "gcl", "vanilla-cae", "mle"))


def _variants(options: Options) -> Iterable[Cell]:
    """`methods` are variants here."""
    small = replace(options, max_frames=options.max_frames or 900)
    for spec in _generated(options.draws_or(REPORT_DRAWS)[:1]):
        yield from (small.cell(name, spec, task="variant") for name in options.methods or VARIANTS)


def _selection(options: Options) -> Iterable[Cell]:
    """Every point of a search, on ten scenes; `methods` are searches here."""
    small = replace(options, max_frames=options.max_frames or 900, size=options.size or SMALL)
    searches = options.methods or ("paper", "default")
    for spec in _generated(options.draws_or(REPORT_DRAWS)):
        for search in searches:
            yield small.cell(search, spec, task="selection")
    if not options.quick:  # thinned and not cut: its first frames are all normal
        for search in searches:
            yield replace(small, max_frames=None).cell(search, SceneSpec("ped2-20", fps=2.5), task="selection")


SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        Suite("paper", "Table 1 on generated scenes at the paper's anomaly ratios", _paper),
        Suite("real", "Table 1 on real footage with known anomalies", _real_suite),
        Suite("paper-size", "vanilla and MLE at the paper's own numbers of frames and pixels", _paper_size),
        Suite("fresh", "do settings hold on draws that nobody has looked at?", _fresh),
        Suite("selection", "does choosing sigma and lambda without labels earn its cost?", _selection),
        Suite("alerts", "what each threshold rule flags at 0 to 50 % anomalies", _alerts),
        Suite("quiet", "false events in 24 hours without an event", _quiet),
        Suite("ratio", "AUC against the share of anomalous frames", _ratio),
        Suite("frames", "AUC against the number of training frames", _frames),
        Suite("rate", "AUC against the frame rate, on Ped2", _rate),
        Suite("variants", "what each choice of the paper's method does to its latent", _variants),
        Suite("heatmap", "AUC over sigma, lambda and epochs (figures 5, 6, 9, 10)", _heatmap),
        Suite("figures", "latents on a plane and PCC over time (figures 3, 4)", _figures),
    )
}


def _least(*numbers: int | None) -> int | None:
    known = [number for number in numbers if number is not None]
    return min(known) if known else None
