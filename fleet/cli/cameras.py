"""Cameras: add, list, show, edit, remove, probe."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fleet.cli.alert_options import (
    AlertsPerDay,
    Drift,
    Kappa,
    Quantile,
    ReferenceWindow,
    Rule,
    TailP,
    alert_changes,
)
from fleet.cli.app import (
    CameraId,
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
from fleet.errors import FleetError, UsageError

if TYPE_CHECKING:
    from cameras.camera import Camera

Fps = Annotated[float | None, typer.Option("--fps", help="Frames a second to take from a stream or video. Default: 2")]
Size = Annotated[str | None, typer.Option("--size", metavar="WxH", help="Working size in pixels. Default: 96x64")]
Color = Annotated[bool | None, typer.Option("--color/--grey", help="Learn from colour. Default: grey")]
Masks = Annotated[
    list[str] | None,
    typer.Option(
        "--mask",
        metavar="POLYGON|PNG",
        help="Hide this from everything: 'x,y x,y x,y' as shares of width and height, or a PNG whose not black "
        "pixels are hidden. Repeatable.",
    ),
]
Crop = Annotated[
    str | None, typer.Option("--crop", metavar="L,T,R,B", help="Use this part only: shares of width and height.")
]
NewTags = Annotated[list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="Tag the camera. Repeatable.")]
Search = Annotated[str | None, typer.Option("--search", help="paper, default, quick, or a YAML file. Default: default")]
NoProbe = Annotated[bool, typer.Option("--no-probe", help="Register it without opening the source.")]


@app.command(rich_help_panel="Cameras")
def add_camera(
    camera_id: Annotated[str, typer.Argument(metavar="ID", help="1 to 63 of a-z, 0-9 and '-'.", show_default=False)],
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="rtsp:// or http:// address (credentials as ${VAR}), video file, folder of images, Donkeycar tub.",
            show_default=False,
        ),
    ],
    fps: Fps = None,
    size: Size = None,
    color: Color = None,
    mask: Masks = None,
    crop: Crop = None,
    tag: NewTags = None,
    search: Search = None,
    rule: Rule = None,
    kappa: Kappa = None,
    tail_p: TailP = None,
    quantile: Quantile = None,
    reference: ReferenceWindow = None,
    alerts_per_day: AlertsPerDay = None,
    drift: Drift = None,
    no_probe: NoProbe = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a camera of this id.")] = False,
    store: StoreName = None,
    as_json: Json = False,
) -> None:
    """Register a camera; its source is opened once to see that it works."""
    from fleet.registry import Registry, make_camera

    given = _given(fps=fps, size=size, color=color, search=search and _search(search))
    given["alert"] = alert_changes(rule, kappa, tail_p, quantile, reference, alerts_per_day, drift)
    camera = make_camera(
        id=camera_id, source=_absolute(source), **given, **_masks(mask), **_crop(crop), tags=parse_tags(tag)
    )
    _check_search(camera)
    registry = Registry(store_of(store))
    if not replace:
        _refuse_known(registry, camera.id)
    seen = None if no_probe else _probe(camera)
    camera = registry.add(camera, replace=replace)
    if as_json:
        print_json({**camera.public(), "probe": seen})
    else:
        what = f" ({seen['width']}x{seen['height']}, {seen['kind']})" if seen else ""
        console().print(f"added camera '{camera.id}'{what}")


@app.command(rich_help_panel="Cameras")
def add_cameras(
    file: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="A list of cameras: id, source, fps, …")],
    no_probe: NoProbe = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace cameras of the same ids.")] = False,
    store: StoreName = None,
    as_json: Json = False,
) -> None:
    """Register many cameras from a YAML file; none of them when one of its entries is wrong."""
    from concurrent.futures import ThreadPoolExecutor

    from fleet.registry import Registry

    cameras = _read_cameras(file)
    registry = Registry(store_of(store))
    for camera in cameras:
        _check_search(camera)
        if not replace:
            _refuse_known(registry, camera.id)
    if not no_probe:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(_probe, cameras))
    added = [registry.add(camera, replace=replace) for camera in cameras]
    if as_json:
        print_json({"cameras": [camera.public() for camera in added]})
    else:
        console().print(f"added {len(added)} cameras: {', '.join(camera.id for camera in added)}")


@app.command(rich_help_panel="Cameras", name="cameras")
def list_cameras(tag: Tags = None, store: StoreName = None, as_json: Json = False) -> None:
    """List the cameras."""
    from fleet.registry import Registry

    cameras = Registry(store_of(store)).cameras(parse_tags(tag), on_damaged=print_error)
    if as_json:
        print_json({"cameras": [camera.public() for camera in cameras]})
        return
    if not cameras:
        console().print("no cameras yet: fleet add-camera ID SOURCE")
        return
    rows = []
    for camera in cameras:
        shown = camera.public()
        tags = " ".join(f"{key}={value}" for key, value in camera.tags.items())
        color = "colour" if camera.color else "grey"
        rows.append((camera.id, shown["source"], camera.fps, f"{camera.size} {color}", tags, camera.search))
    print_table(f"{len(cameras)} cameras", ("camera", "source", "fps", "working size", "tags", "search"), rows)


@app.command(rich_help_panel="Cameras")
def show_camera(camera_id: CameraId, store: StoreName = None, as_json: Json = False) -> None:
    """Show all that is registered of a camera, and its champion."""
    from fleet.registry import Registry

    registry = Registry(store_of(store))
    camera, aliases = registry.camera(camera_id), registry.aliases(camera_id)
    shown = camera.public()
    shown["aliases"] = aliases.model_dump(mode="json", include={"champion", "challenger", "previous"})
    if as_json:
        print_json(shown)
    else:
        print_table(camera.id, ("field", "value"), [(name, _one_line(value)) for name, value in shown.items()])


@app.command(rich_help_panel="Cameras")
def edit_camera(
    camera_id: CameraId,
    source: Annotated[str | None, typer.Option("--source", help="A new source.")] = None,
    fps: Fps = None,
    size: Size = None,
    color: Color = None,
    mask: Masks = None,
    no_masks: Annotated[
        bool, typer.Option("--no-masks", help="Remove all masks; without it --mask adds to them.")
    ] = False,
    crop: Crop = None,
    tag: NewTags = None,
    untag: Annotated[list[str] | None, typer.Option("--untag", metavar="KEY", help="Remove a tag.")] = None,
    search: Search = None,
    rule: Rule = None,
    kappa: Kappa = None,
    tail_p: TailP = None,
    quantile: Quantile = None,
    reference: ReferenceWindow = None,
    alerts_per_day: AlertsPerDay = None,
    drift: Drift = None,
    store: StoreName = None,
    as_json: Json = False,
) -> None:
    """Change a camera. What its champion sees stays as it was trained until the camera is retrained.

    The alert rule is the exception: it holds at once.
    """
    from fleet.registry import Registry

    registry = Registry(store_of(store))
    before = registry.camera(camera_id)
    changes = _given(fps=fps, size=size, color=color, search=search and _search(search))
    if source is not None:
        changes["source"] = _absolute(source)
    if no_masks:
        changes |= {"masks": (), "mask_png": None}
    given = _masks(mask)
    if not no_masks:  # added to what is hidden: to uncover a part takes --no-masks
        if "masks" in given:
            given["masks"] = before.masks + given["masks"]
        if "mask_png" in given and before.mask_png:
            raise UsageError(
                "it has a mask picture already, which another would uncover in part",
                "draw both into one PNG and add --no-masks",
                camera_id,
            )
    changes |= given | _crop(crop)
    if tag or untag:
        kept = {key: value for key, value in before.tags.items() if key not in (untag or ())}
        changes["tags"] = kept | parse_tags(tag)
    alert = alert_changes(rule, kappa, tail_p, quantile, reference, alerts_per_day, drift)
    if alert:
        changes["alert"] = before.alert.model_dump() | alert
    if not changes:
        raise UsageError(
            "nothing to change was given", f"see fleet edit-camera --help, or fleet show-camera {camera_id}"
        )
    if search is not None:
        from fleet.search_config import load_search

        load_search(changes["search"])
    after = registry.edit(camera_id, changes, expected_generation=before.generation)
    if as_json:
        print_json(after.public())
        return
    console().print(f"changed camera '{after.id}'")
    if after.preprocessing != before.preprocessing and registry.aliases(camera_id).champion:
        console().print(f"its champion still sees frames as before: retrain to apply: fleet retrain {camera_id}")
    if (after.source, after.fps) != (before.source, before.fps):
        console().print(f"recordings of the old source or rate are not learnt from: fleet record {camera_id} --for 10m")
    if alert and registry.aliases(camera_id).champion:
        console().print(f"its alert rule holds at once; what each rule comes to: fleet thresholds {camera_id}")


@app.command(rich_help_panel="Cameras")
def remove_camera(
    camera_id: CameraId,
    purge: Annotated[bool, typer.Option("--purge", help="Delete its recordings and models too.")] = False,
    store: StoreName = None,
    as_json: Json = False,
) -> None:
    """Take a camera out of the fleet. Recordings and models stay unless --purge."""
    from fleet.registry import Registry

    deleted = Registry(store_of(store)).remove(camera_id, purge=purge)
    if as_json:
        print_json({"camera": camera_id, "removed": True, "objects_deleted": deleted})
    else:
        kept = f", {deleted} objects deleted" if purge else "; its recordings and models stay (--purge deletes them)"
        console().print(f"removed camera '{camera_id}'{kept}")


@app.command(rich_help_panel="Cameras")
def probe(camera_id: CameraId, store: StoreName = None, as_json: Json = False) -> None:
    """Open a camera's source and tell what it gives."""
    from fleet.registry import Registry

    seen = _probe(Registry(store_of(store)).camera(camera_id))
    if as_json:
        print_json({"camera": camera_id, **seen})
    else:
        rate = f"{seen['fps']:.3g} frames/s" if seen["fps"] else "frame rate unknown"
        pace = "live" if seen["live"] else "recorded"
        console().print(f"camera '{camera_id}': {seen['width']}x{seen['height']}, {rate}, {seen['kind']}, {pace}")


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _absolute(path: str, *folders: Path) -> str:
    """A path that exists, in one of these folders or here, is kept whole: the store may be used from another folder."""
    if not path.strip() or "://" in path or "${" in path:
        return path
    for folder in (*folders, Path()):
        try:
            place = folder / Path(path).expanduser()
            if place.exists():
                return str(place.absolute())
        except (OSError, RuntimeError):  # a name too long, a home folder of nobody: the source says so when it opens
            return path
    return path


def _search(name: str, *folders: Path) -> str:
    """A search by its name, or its file's whole path."""
    from fleet.search_config import built_in_searches

    return name if name in built_in_searches() else _absolute(name, *folders)


def _masks(values: list[str] | None, folder: Path = Path()) -> dict[str, Any]:
    """Polygons as they are; a PNG's bytes, because a cluster does not see this machine's files."""
    if not values:
        return {}
    polygons, png = [], None
    for value in values:
        if not value.lower().endswith(".png"):
            polygons.append(value)
            continue
        if png is not None:
            raise UsageError("a camera has one mask picture at most", "draw both into one PNG")
        try:
            data = (folder / Path(value).expanduser()).read_bytes()
        except OSError:
            raise UsageError(f"the mask {value} cannot be read", "give a PNG, or a polygon: '0,0 1,0 1,0.2'") from None
        from cameras.images import decode_image

        decode_image(data, f"the mask {value}")
        png = base64.b64encode(data).decode()
    return _given(masks=tuple(polygons) or None, mask_png=png)


def _crop(value: str | None) -> dict[str, Any]:
    if value is None:
        return {}
    try:
        left, top, right, bottom = (float(part) for part in value.split(","))
    except ValueError:
        raise UsageError(f"'{value[:40]}' is no crop", "give left,top,right,bottom: --crop 0,0.2,1,1") from None
    return {"crop": (left, top, right, bottom)}


def _check_search(camera: Camera) -> None:
    from fleet.search_config import load_search

    try:
        load_search(camera.search)
    except FleetError as error:
        raise error.about(camera.id) from None


def _refuse_known(registry: Any, camera_id: str) -> None:
    """Before a slow probe, not only after it."""
    from fleet import layout
    from fleet.errors import ConflictError

    if registry.store.get(layout.camera_key(camera_id)) is not None:
        raise ConflictError("is registered already", f"fleet edit-camera {camera_id} ..., or add --replace", camera_id)


def _probe(camera: Camera) -> dict[str, Any]:
    from dataclasses import asdict

    from cameras.sources import probe

    return asdict(probe(camera.source, camera.fps, camera.id))


def _read_cameras(file: Path) -> list[Camera]:
    import yaml

    from fleet.registry import make_camera

    try:
        content = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"{file} cannot be read", "give a YAML file with a list of cameras") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: 2026-13-45, a date to YAML
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise UsageError(
            f"{file.name}: {where}{getattr(error, 'problem', None) or 'no YAML'}", "mend the line"
        ) from None
    entries = content.get("cameras") if isinstance(content, dict) else content
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise UsageError(f"{file.name} holds no list of cameras", "write '- id: …' and '  source: …' for each")
    cameras = []
    for place, entry in enumerate(entries, 1):
        fields = dict(entry)
        try:
            if unknown := [name for name in fields if name not in _YAML_FIELDS]:
                raise UsageError(f"'{unknown[0]}' is no field of a camera", f"one of {', '.join(sorted(_YAML_FIELDS))}")
            masks = fields.pop("masks", None)
            if masks is not None and not (isinstance(masks, list) and all(isinstance(mask, str) for mask in masks)):
                raise UsageError("masks is a list of polygons and PNGs", "masks: ['0,0 1,0 1,0.2']")
            for name, whole in (("source", _absolute), ("search", _search)):
                if isinstance(fields.get(name), str):
                    fields[name] = whole(fields[name], file.parent)
            cameras.append(make_camera(**fields, **_masks(masks, file.parent)))
        except FleetError as error:
            raise UsageError(f"{file.name}: camera {place}: {error.about(str(fields.get('id', ''))[:63])}") from None
    ids = [camera.id for camera in cameras]
    if twice := {camera_id for camera_id in ids if ids.count(camera_id) > 1}:
        raise UsageError(f"{file.name}: '{min(twice)}' stands there twice", "give each camera an id of its own")
    return cameras


_YAML_FIELDS = frozenset({"id", "source", "fps", "size", "color", "masks", "crop", "tags", "search", "alert"})


def _one_line(value: Any) -> Any:
    if isinstance(value, dict):
        return " ".join(f"{key}={item}" for key, item in value.items() if item is not None)
    return str(value) if isinstance(value, list) else value
