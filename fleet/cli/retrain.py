"""Retraining: `fleet retrain`, with a bar a camera."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fleet.cli.app import (
    CameraIds,
    Json,
    StoreName,
    Tags,
    app,
    console,
    parse_tags,
    print_error,
    print_json,
    print_table,
    store_of,
)

if TYPE_CHECKING:
    from fleet.jobs import CameraResult, Job


@app.command(rich_help_panel="Learning")
def retrain(
    camera_ids: CameraIds = None,
    everything: Annotated[bool, typer.Option("--all", help="All cameras.")] = False,
    tag: Tags = None,
    search: Annotated[
        str | None,
        typer.Option(
            "--search", help="default, quick, paper, paper-quick or a YAML file, instead of each camera's own."
        ),
    ] = None,
    detector: Annotated[
        str | None, typer.Option("--detector", help="evidence or paper, instead of what the search says.")
    ] = None,
    job: Annotated[str | None, typer.Option("--job", help="A name for the job.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew instead of resuming.")] = False,
    address: Annotated[
        str | None, typer.Option("--address", help="A Ray cluster: auto, or host:port. Default: this machine.")
    ] = None,
    store: StoreName = None,
    as_json: Json = False,
) -> None:
    """Search the best model of each camera, without a label, and put it to work.

    A camera without a recording is recorded first when its source is a file or a folder. The same command after a
    crash goes on where it was.
    """
    from fleet.jobs import plan_job
    from fleet.registry import Registry
    from fleet.retrain import retrain as run
    from fleet.trial import JOB_PATIENCE_S

    chosen = Registry(store_of(store)).select(
        camera_ids or (), everything=everything, tags=parse_tags(tag), on_damaged=print_error
    )
    opened = store_of(store, patience_s=JOB_PATIENCE_S)
    planned = plan_job(opened, chosen, search, job, detector=detector, fresh=fresh)
    with progress_bars(as_json, planned) as progress:
        results = run(opened, planned, chosen, address=address, progress=progress)
    if as_json:
        print_json({"job": planned.name, "resumed": planned.resumed, "cameras": [row.to_dict() for row in results]})
    else:
        print_results(planned, results)
    for result in results:
        if result.error:
            print_error(result.error)
    if any(result.error for result in results):
        raise typer.Exit(1)


def print_results(job: Job, results: Sequence[CameraResult]) -> None:
    """The table after a retraining."""
    columns = ("camera", "sigma", "lambda", "threshold", "PCC", "points", "seconds", "model")
    rows = [
        (
            result.camera,
            result.sigma,
            result.lam,
            result.threshold,
            None if result.pcc_mean is None else f"{result.pcc_mean:.4f} ± {result.pcc_std:.4f}",
            f"{result.trained} trained" + (f", {result.reused} reused" if result.reused else ""),
            round(result.seconds, 1),
            "failed" if result.error else "collapsed" if result.collapsed else "ok",
        )
        for result in results
    ]
    print_table(f"job {job.name}" + (" (resumed)" if job.resumed else ""), columns, rows)
    collapsed = [result.camera for result in results if result.collapsed]
    if collapsed:
        told = "one and the same picture is reconstructed, which is what the entropy loss does where it acts"
        names = ", ".join(collapsed)
        console().print(f"collapsed ({names}): {told}; PCC is then to a still picture of the scene", style="dim")


def progress_bars(as_json: bool, job: Job) -> Any:
    """A context that shows a bar a camera and yields the `Progress` that moves them."""
    from contextlib import contextmanager

    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    from fleet.retrain import Progress

    class Shown(Progress):
        def __init__(self, bars: Bars) -> None:
            self._bars = bars
            self._of_camera: dict[str, Any] = {}
            self._recorded: dict[str, int] = {}

        def stage(self, text: str) -> None:
            self._bars.console.print(text, style="dim")

        def recorded(self, camera: str, frames: int) -> None:
            self._recorded[camera] = self._recorded.get(camera, 0) + frames
            self._bars.update(self._bar(camera), note=f"recording: {self._recorded[camera]} frames")

        def searching(self, cameras: Sequence[str], epochs: int) -> None:
            for camera in cameras:
                self._bars.update(self._bar(camera), total=epochs, completed=0, note="training")

        def epochs(self, camera: str, epochs: int) -> None:
            self._bars.advance(self._bar(camera), epochs)

        def camera(self, result: CameraResult) -> None:
            note = f"failed: {result.error}" if result.error else f"sigma {result.sigma:g}, lambda {result.lam:g}"
            self._bars.update(self._bar(result.camera), total=1, completed=1, note=note)

        def _bar(self, camera: str) -> Any:
            if camera not in self._of_camera:
                self._of_camera[camera] = self._bars.add_task(camera, total=None, note="")
            return self._of_camera[camera]

    @contextmanager
    def shown() -> Any:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Bars(*columns, TextColumn("{task.fields[note]}", markup=False), console=console(as_json)) as bars:
            bars.console.print(f"job {job.name}" + (": resuming" if job.resumed else ""), style="dim")
            yield Shown(bars)

    return shown()
