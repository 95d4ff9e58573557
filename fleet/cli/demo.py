"""`fleet demo`: the whole road on generated cameras."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fleet.cli.app import Json, app, console, print_error, print_json, print_table, store_of
from fleet.errors import UsageError

if TYPE_CHECKING:
    from fleet.store import Store


# Not FLEET_STORE: generated cameras have no place among real ones.
DemoStore = Annotated[
    str | None, typer.Option("--store", metavar="DIR|s3://…", help="A store of its own. Default: FOLDER/store")
]


@app.command(rich_help_panel="Start here")
def demo(
    folder: Annotated[Path, typer.Option("--folder", help="Where scenes, store and pictures go.")] = Path("demo"),
    once: Annotated[bool, typer.Option("--once", help="End after the table instead of serving on.")] = False,
    frames: Annotated[int | None, typer.Option("--frames", min=100, help="Frames a scene, to be quicker.")] = None,
    s3: Annotated[bool, typer.Option("--s3", help="Keep the store in a real S3 server on this machine.")] = False,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Of the endpoints.")] = 8000,
    store: DemoStore = None,
    as_json: Json = False,
) -> None:
    """Three generated cameras: search, store, serve, score over HTTP, a table and a picture each."""
    from fleet.local_s3 import local_s3

    if s3 and store is not None:
        raise UsageError("--s3 starts a store of its own", "leave out --store, or --s3")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise UsageError(f"the folder {folder} cannot be made: {reason}", "choose another: --folder DIR") from None
    with contextlib.ExitStack() as running:
        if s3:
            server = running.enter_context(local_s3(folder / "s3"))
            os.environ.update(server.environment())
            store = server.uri()
        opened = store_of(store or str(folder / "store"))
        _run(opened, folder, frames, port, once, as_json)


def _run(store: Store, folder: Path, frames: int | None, port: int, once: bool, as_json: bool) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from fleet.cli.retrain import print_results, progress_bars
    from fleet.demo import register_scenes, score_scene, write_scenes
    from fleet.jobs import plan_job
    from fleet.registry import Registry
    from fleet.retrain import retrain
    from fleet.serving import check_free, served

    check_free(store, "127.0.0.1", port)  # before minutes of work, not after
    out = console(as_json)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())

    out.rule("1  three cameras, generated with ground truth kept aside", align="left")
    with Progress(*columns, console=out) as progress:
        bars: dict[str, Any] = {}

        def written(name: str, done: int, total: int) -> None:
            if name not in bars:
                bars[name] = progress.add_task(f"{name}.mp4", total=total)
            progress.update(bars[name], completed=done)

        scenes = write_scenes(folder / "scenes", written, frames)
    register_scenes(store, scenes)
    for name in scenes:
        out.print(f"  fleet add-camera {name} {scenes[name].video} --fps {scenes[name].fps:g} --search quick")

    out.rule("2  one model each, searched without labels: fleet retrain --all", align="left")
    cameras = [Registry(store).camera(name) for name in scenes]
    job = plan_job(store, cameras)
    with progress_bars(as_json, job) as shown:
        results = retrain(store, job, cameras, progress=shown)
    if not as_json:
        print_results(job, results)
    for result in results:
        if result.error:
            print_error(result.error)
    if any(result.error for result in results):
        raise typer.Exit(1)

    out.rule("3  an endpoint each: fleet serve", align="left")
    with served(store, "127.0.0.1", port) as url:
        out.print(f"  serving at {url}, one replica for all cameras; every frame is posted to it")
        with Progress(*columns, console=out) as progress:
            rows = []
            for name, files in scenes.items():
                bar = progress.add_task(f"POST /cameras/{name}/score", total=files.frames)
                step = partial(progress.advance, bar)
                rows.append(score_scene(store, url, name, files, folder / "pictures", step))
        if as_json:
            print_json({"store": store.uri, "url": url, "cameras": [row.to_dict() for row in rows]})
        else:
            _print(rows)
        if not once:
            out.print(f"serving on at {url} (docs at {url}/docs) until Ctrl-C", soft_wrap=True)
            _wait_for_interrupt()


def _print(rows: list[Any]) -> None:
    columns = ("camera", "frames", "sigma", "lambda", "threshold", "flagged", "AUC", "AUC of median frame", "picture")
    table = [
        (
            row.camera,
            row.frames,
            row.sigma,
            row.lam,
            row.threshold,
            row.flagged,
            f"{row.auc:.3f}",
            f"{row.auc_median:.3f}",
            str(row.picture),
        )
        for row in rows
    ]
    print_table("scored over HTTP, each with its own threshold", columns, table)


def _wait_for_interrupt() -> None:
    ended = threading.Event()
    before = {number: signal.signal(number, lambda *_: ended.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    while not ended.wait(1.0):
        pass
    for number, handler in before.items():
        signal.signal(number, handler)
