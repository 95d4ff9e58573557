"""`fleet benchmark`: how good it is, measured."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fleet.cli.app import Json, StoreName, app, console, print_error, print_json, print_table, store_of
from fleet.errors import UsageError

if TYPE_CHECKING:
    from fleet.benchmark.benchmark import Outcome, Told
    from fleet.benchmark.suites import Options


@app.command(rich_help_panel="Start here")
def benchmark(
    suite: Annotated[
        str,
        typer.Option(
            "--suite",
            help="all, or paper, real, paper-size, fresh, selection, alerts, quiet, ratio, frames, rate, variants, "
            "heatmap, figures.",
        ),
    ] = "paper",
    method: Annotated[
        str,
        typer.Option(
            "--methods", metavar="A,B", help="Measure these only; for selection, searches; for variants, these."
        ),
    ] = "",
    scene: Annotated[str, typer.Option("--scenes", metavar="A,B", help="Measure on these only.")] = "",
    seed: Annotated[str, typer.Option("--seeds", metavar="0,1", help="Of what is random in a method.")] = "0,1,2",
    draw: Annotated[
        str, typer.Option("--draws", metavar="100,101", help="Of generated scenes. Default: the suite's own.")
    ] = "",
    size: Annotated[
        str, typer.Option("--size", metavar="WxH", help="Working size. Default: 64x48 for networks, else 96x64.")
    ] = "",
    max_frames: Annotated[
        int | None, typer.Option("--max-frames", min=32, help="Of each scene. Default: all that it has.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Of networks. Default: each method's own.")
    ] = None,
    footage: Annotated[
        Path | None,
        typer.Option("--footage", envvar="FLEET_FOOTAGE", help="A folder of ucsd_ped2, donkeycar_lab, pets2001_d3c1."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Write tables and figures into its method.md.")
    ] = None,
    crossed: Annotated[
        bool, typer.Option("--crossed", help="Every seed on every draw. Default: a seed a draw, in turn.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="120 frames, one seed, two epochs: does it run?")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure again what is done.")] = False,
    address: Annotated[
        str | None, typer.Option("--address", help="A Ray cluster: auto, or host:port. Default: this machine.")
    ] = None,
    store: StoreName = None,
    as_json: Json = False,
) -> None:
    """Measure methods on scenes with known anomalies, as one job that can be killed and run again."""
    from fleet.benchmark.benchmark import benchmark as run
    from fleet.benchmark.benchmark import suites_of
    from fleet.benchmark.suites import Options
    from fleet.trial import JOB_PATIENCE_S

    options = Options(
        methods=_names(method),
        scenes=_names(scene),
        seeds=_numbers("--seeds", seed) or (0,),
        draws=_numbers("--draws", draw),
        size=_size(size),
        max_frames=max_frames,
        epochs=epochs,
        footage=_folder(footage),
        quick=quick,
        crossed=crossed,
    )
    chosen = suites_of(suite)
    opened = store_of(store, patience_s=JOB_PATIENCE_S)
    with _progress(as_json) as told:
        outcomes = run(
            opened, chosen, options, out=out, command=_command(options), fresh=fresh, address=address, told=told
        )
    if as_json:
        print_json({"store": opened.uri, "suites": [outcome.to_dict() for outcome in outcomes]})
    else:
        for outcome in outcomes:
            _print(outcome)
    failures = {cell: why for outcome in outcomes for cell, why in outcome.failed.items()}
    for cell, why in failures.items():
        print_error(f"{cell}: {why}")
    if failures:
        raise typer.Exit(1)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _numbers(option: str, text: str) -> tuple[int, ...]:
    """`0,1,2` or `100-109` -> numbers.

    Raises:
        UsageError: it is neither.
    """
    numbers: list[int] = []
    for part in _names(text):
        found = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part)
        if not found:
            raise UsageError(
                f"{option} {text[:40]!r} holds no whole numbers", f"write {option} 0,1,2 or {option} 100-109"
            )
        numbers += range(int(found[1]), int(found[2] or found[1]) + 1)
    return tuple(dict.fromkeys(numbers))


def _size(text: str) -> tuple[int, int] | None:
    found = re.fullmatch(r"(\d{2,4})x(\d{2,4})", text)
    if text and not (found and all(16 <= int(side) <= 1920 for side in found.groups())):
        raise UsageError(f"--size {text[:40]!r} is no size", "write WIDTHxHEIGHT, 16 to 1920 a side: --size 64x48")
    return (int(found[1]), int(found[2])) if found else None


def _folder(footage: Path | None) -> Path | None:
    if footage is not None and not footage.is_dir():
        raise UsageError(f"there is no folder {footage}", "--footage FOLDER, or FLEET_FOOTAGE")
    return None if footage is None else footage.absolute()


def _command(options: Options) -> str:
    """What makes a suite's tables again: no choice of a part of it, and nothing of this machine."""
    words = ["fleet benchmark --suite {suite}"]
    default = type(options)()
    for option, numbers, own in (
        ("--seeds", options.seeds, default.seeds),
        ("--draws", options.draws, default.draws),
    ):
        if numbers != own:
            words.append(f"{option} {','.join(map(str, numbers))}")
    if options.size:
        words.append(f"--size {options.size[0]}x{options.size[1]}")
    words += [f"--max-frames {options.max_frames}"] if options.max_frames else []
    words += [f"--epochs {options.epochs}"] if options.epochs else []
    words += [f"--{name}" for name in ("crossed", "quick") if getattr(options, name)]
    return " ".join(words)


@contextmanager
def _progress(as_json: bool) -> Iterator[Told]:
    """A bar a suite."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from fleet.benchmark.benchmark import Told

    class Shown(Told):
        def __init__(self, bars: Progress) -> None:
            self._bars = bars
            self._bar: Any = None

        def suite(self, name: str, todo: int, reused: int, expected_s: float) -> None:
            known = f", {reused} are done already" if reused else ""
            self._bars.console.print(
                f"{name}: {todo} cells to measure{known}; about {expected_s / 60:.0f} minutes of one processor",
                style="dim",
            )
            self._bar = self._bars.add_task(name, total=todo, note="")

        def cell(self, cell: Any, record: Any) -> None:
            note = f"failed: {cell}" if record["error"] else str(cell)
            self._bars.update(self._bar, advance=1, note=note)

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeElapsedColumn(), TextColumn("{task.fields[note]}", markup=False), console=console(as_json)
    ) as bars:
        yield Shown(bars)


def _print(outcome: Outcome) -> None:
    for name, table in outcome.tables.items():
        print_table(f"{name}: {table.caption}", table.columns, table.rows)
    out = console()
    out.print(
        f"{outcome.suite}: {outcome.measured} cells measured, {outcome.reused} were done, {outcome.seconds:.0f} s"
    )
    if outcome.left_out:
        out.print(f"left out, for want of their footage (--footage): {', '.join(outcome.left_out)}", style="yellow")
    if outcome.page is not None:
        out.print(f"written to {outcome.page}" + "".join(f", {path}" for path in outcome.figures), soft_wrap=True)
