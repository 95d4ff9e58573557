"""Serving: serve, status, stop."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fleet.cli.app import Json, StoreName, app, console, print_error, print_json, print_table, store_of


@app.command(rich_help_panel="Serving")
def serve(
    host: Annotated[str, typer.Option("--host", help="Where to listen. Only this machine unless told.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Where to listen.")] = 8000,
    replicas: Annotated[int, typer.Option("--replicas", min=1, max=1000, help="Processes that score.")] = 1,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when the endpoints answer; fleet stop ends it.")
    ] = False,
    store: StoreName = None,
    as_json: Json = False,
) -> None:
    """Serve a scoring endpoint a camera. New champions are picked up while it runs."""
    from fleet.serving import serve_detached, serve_until_stopped

    opened = store_of(store)
    if detach:
        head = serve_detached(opened, host, port, scorer_replicas=replicas)
        if as_json:
            print_json({"url": head.url, "pid": head.pid, "ray": head.address, "store": opened.uri})
        else:
            _greet(head.url)
        return

    def ready(url: str) -> None:
        if as_json:
            print_json({"url": url, "store": opened.uri})
        else:
            _greet(url)

    serve_until_stopped(opened, host, port, scorer_replicas=replicas, on_ready=ready)


@app.command(rich_help_panel="Serving")
def status(store: StoreName = None, as_json: Json = False) -> None:
    """Show the cameras, what scores them, and whether they are served on this machine."""
    from fleet.cluster import head_of
    from fleet.registry import Registry
    from fleet.serving import answers
    from fleet.versions import read_version

    opened = store_of(store)
    registry = Registry(opened)
    head = head_of(opened)
    served = {"url": head.url, "pid": head.pid, "answers": answers(head.url)} if head else None
    rows: list[dict[str, Any]] = []
    for camera in registry.cameras(on_damaged=print_error):
        champion = registry.aliases(camera.id).champion
        version = read_version(opened, camera.id, champion) if champion else None
        rows.append(
            {
                "camera": camera.id,
                "model_version": champion,
                "trained_at": version.created_at.isoformat() if version else None,
                "threshold": version.threshold if version else None,
                "collapsed": version.collapsed if version else None,
                "retrain_to_apply": bool(version and version.preprocessing != camera.preprocessing),
            }
        )
    if as_json:
        print_json({"store": opened.uri, "serving": served, "cameras": rows})
        return
    if served is None:
        console().print(f"{opened.uri}: not served on this machine (fleet serve)")
    else:
        console().print(
            f"{opened.uri}: served at {served['url']}" + ("" if served["answers"] else ", but does not answer")
        )
    columns = ("camera", "champion", "trained (UTC)", "threshold", "note")
    table = [
        (row["camera"], row["model_version"], (row["trained_at"] or "-")[:16], row["threshold"], _note(row))
        for row in rows
    ]
    print_table(f"{len(rows)} cameras", columns, table)


@app.command(rich_help_panel="Serving")
def stop(store: StoreName = None, as_json: Json = False) -> None:
    """End what serves this store on this machine."""
    from fleet.serving import stop_serving

    head = stop_serving(store_of(store))
    if as_json:
        print_json({"stopped": True, "url": head.url, "pid": head.pid})
    else:
        console().print(f"stopped serving at {head.url}")


def _greet(url: str) -> None:
    console().print(f"serving at {url} — POST a JPEG to {url}/cameras/ID/score, read {url}/docs", soft_wrap=True)


def _note(row: dict[str, Any]) -> str:
    if row["model_version"] is None:
        return f"no model yet: fleet retrain {row['camera']}"
    if row["retrain_to_apply"]:
        return "edited since: retrain to apply"
    return "collapsed to one picture" if row["collapsed"] else ""
