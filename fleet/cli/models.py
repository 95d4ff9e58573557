"""Model versions: list, promote, roll back."""

from __future__ import annotations

from typing import Annotated

import typer

from fleet.cli.app import CameraId, Json, StoreName, app, console, print_json, print_table, store_of


@app.command(rich_help_panel="Models")
def models(camera_id: CameraId, store: StoreName = None, as_json: Json = False) -> None:
    """List the versions of a camera's model."""
    from fleet.registry import Registry
    from fleet.versions import versions

    opened = store_of(store)
    registry = Registry(opened)
    registry.camera(camera_id)
    aliases = registry.aliases(camera_id)
    roles = {aliases.challenger: "challenger", aliases.previous: "previous", aliases.champion: "champion"}
    found = versions(opened, camera_id)
    if as_json:
        rows = [
            {"role": roles.get(version.version), **version.model_dump(mode="json", by_alias=True, exclude={"detector"})}
            for version in found
        ]
        for row in rows:
            row["preprocessing"].pop("mask_png", None)
        print_json({"camera": camera_id, "versions": rows})
        return
    if not found:
        console().print(f"camera '{camera_id}' has no model yet: fleet retrain {camera_id}")
        return
    columns = ("version", "role", "trained", "detector", "sigma", "lambda", "rule", "frames", "search", "collapsed")
    print_table(
        f"models of '{camera_id}'",
        columns,
        [
            (
                version.version,
                roles.get(version.version),
                f"{version.created_at:%Y-%m-%d %H:%M} UTC",
                "paper" if version.method == "mle" else version.method,
                version.sigma,
                version.lam,
                f"{version.rule} > {version.score_threshold:.4g}",
                version.frames,
                version.search,
                version.collapsed,
            )
            for version in found
        ],
    )
    champion = next((version for version in found if version.version == aliases.champion), None)
    if champion is not None and champion.channels:
        worth = "; ".join(f"{name} {verdict}" for name, verdict in champion.channels.items())
        console().print(f"channels of the champion, on this camera: {worth}")


@app.command(rich_help_panel="Models")
def promote(
    camera_id: CameraId,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="See fleet models ID.", show_default=False)],
    why: Annotated[str, typer.Option("--why", help="Kept with the change.")] = "promoted by hand",
    store: StoreName = None,
    as_json: Json = False,
) -> None:
    """Make a version the champion: it scores from now on."""
    from fleet.registry import Registry

    aliases = Registry(store_of(store)).promote(camera_id, version, why=why)
    if as_json:
        print_json(aliases.model_dump(mode="json"))
    else:
        console().print(f"camera '{camera_id}': {aliases.champion} is the champion")


@app.command(rich_help_panel="Models")
def rollback(camera_id: CameraId, store: StoreName = None, as_json: Json = False) -> None:
    """Make the previous champion the champion again."""
    from fleet.registry import Registry

    aliases = Registry(store_of(store)).rollback(camera_id)
    if as_json:
        print_json(aliases.model_dump(mode="json"))
    else:
        console().print(f"camera '{camera_id}': back to {aliases.champion}")
