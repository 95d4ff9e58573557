"""Recordings: `fleet record`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fleet.cli.app import (
    CameraIds,
    Json,
    StoreName,
    app,
    console,
    parse_duration_s,
    print_error,
    print_json,
    print_table,
    store_of,
)
from fleet.errors import FleetError, UsageError


@app.command(rich_help_panel="Learning")
def record(
    camera_ids: CameraIds = None,
    duration: Annotated[str | None, typer.Option("--for", metavar="10m", help="How long: 90s, 10m, 2h.")] = None,
    frames: Annotated[int | None, typer.Option("--frames", min=1, help="How many frames.")] = None,
    store: StoreName = None,
    as_json: Json = False,
) -> None:
    """Record frames to learn from, masks burnt in. Files and folders need no end, streams do."""
    import threading
    from concurrent.futures import ThreadPoolExecutor, wait

    from fleet.recordings import record_camera
    from fleet.registry import Registry

    if not camera_ids:
        raise UsageError("name the cameras to record", "fleet record ID --for 10m")
    seconds = parse_duration_s(duration) if duration else None
    stop = threading.Event()
    opened = store_of(store)
    registry = Registry(opened)
    cameras = [registry.camera(camera_id) for camera_id in dict.fromkeys(camera_ids)]
    with _progress() as progress:
        bars = {camera.id: progress.add_task(camera.id, total=frames) for camera in cameras}

        def one(camera: Any) -> dict[str, Any]:
            row: dict[str, Any] = {
                "camera": camera.id,
                "frames": 0,
                "parts": 0,
                "first": None,
                "last": None,
                "bytes": 0,
            }
            try:
                done = record_camera(
                    opened,
                    camera,
                    frames=frames,
                    seconds=seconds,
                    on_frame=lambda _: progress.advance(bars[camera.id]),
                    stop=stop,
                )
            except FleetError as error:
                return {**row, "error": str(error.about(camera.id)), "exit": error.exit_code}
            row |= {"frames": done.frames, "parts": done.parts, "bytes": done.bytes}
            row |= {"first": done.first, "last": done.last}
            return {**row, "error": str(done.error) if done.error else None, "exit": 1 if done.error else 0}

        with ThreadPoolExecutor(len(cameras)) as pool:
            recordings = [pool.submit(one, camera) for camera in cameras]
            try:
                wait(recordings)
            except KeyboardInterrupt:  # only the main thread hears it; what came until now is kept
                stop.set()
            rows = [recording.result() for recording in recordings]
    exit_code = 130 if stop.is_set() else min((row.pop("exit") for row in rows if row["error"]), default=0)
    for row in rows:
        row.pop("exit", None)
    if as_json:
        print_json({"cameras": rows})
    else:
        print_table(
            "recorded",
            ("camera", "frames", "parts", "MB", "recording"),
            [
                (row["camera"], row["frames"], row["parts"], row["bytes"] / 1e6, "failed" if row["error"] else "ok")
                for row in rows
            ],
        )
    for row in rows:
        if row["error"]:
            print_error(row["error"])
    if exit_code:
        raise typer.Exit(exit_code)


def _progress() -> Any:
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    told = console(as_json=True)  # standard output is for what comes of it
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        MofNCompleteColumn(),
        TextColumn("frames"),
        TimeElapsedColumn(),
        console=told,
        transient=True,
        disable=not told.is_terminal,
    )
