"""The cells that have no done-record yet, as one Ray job. Killed at any moment, the same call does the rest.

A scene is drawn or decoded once, by a task whose result all its cells read from Ray's object store; generated scenes
are kept in the store, too. Scenes are taken up one after the other and cells in their order, so that few are held at a
time. A cell that fails is a record with an error; it is tried again by the next call.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fleet import layout
from fleet.benchmark.cells import Cell, Record, failed, fit_cell, run
from fleet.benchmark.scenes import Labelled, PixelSize, SceneSpec, load
from fleet.detector.detector import Detector
from fleet.detector.footage import Footage
from fleet.store import Store, open_store

__all__ = ["forget", "read_records", "run_cells"]

_AHEAD = 2  # tasks that wait for each processor: enough to keep it busy, few enough for one scene's frames at a time

Scenes = dict[PixelSize, Labelled]


def read_records(store: Store, cells: Iterable[Cell]) -> dict[Cell, Record]:
    """The done-records that the store has of these cells."""
    there = store.list(layout.BENCHMARK_CELLS)
    keys = {cell: layout.benchmark_key("cells", f"{cell.fingerprint}.json") for cell in cells}
    found = {cell: store.get(key) for cell, key in keys.items() if key in there}
    return {cell: json.loads(data) for cell, data in found.items() if data is not None}


def forget(store: Store, cells: Iterable[Cell]) -> None:
    """Delete the done-records of these cells, so that they are measured again."""
    for cell in cells:
        store.delete(layout.benchmark_key("cells", f"{cell.fingerprint}.json"))


def run_cells(
    store: Store,
    cells: Sequence[Cell],
    footage: Path | None = None,
    on_record: Callable[[Cell, Record], object] = lambda cell, record: None,
) -> dict[Cell, Record]:
    """Measure cells on the connected Ray cluster, and write a done-record of each that did not fail.

    Args:
        footage: the folder of real footage, on every machine of the cluster.
        on_record: called with each cell that is done.

    Raises:
        StoreError: the store is gone.
    """
    import ray

    job = _Job(store.uri, None if footage is None else str(footage), _sizes(cells))
    limit = max(1, int(ray.cluster_resources().get("CPU", 1))) * (1 + _AHEAD)
    records: dict[Cell, Record] = {}
    running: dict[Any, Cell] = {}

    def collect() -> None:
        done, _ = ray.wait(list(running), num_returns=1)
        for reference in done:
            cell = running.pop(reference)
            try:
                record = ray.get(reference)
            except ray.exceptions.RayError as error:
                record = failed(cell, _cause(error))
            data = json.dumps(record, allow_nan=False)
            if not record["error"]:
                store.put(layout.benchmark_key("cells", f"{cell.fingerprint}.json"), data.encode())
            records[cell] = json.loads(data)  # as it will be read the next time
            on_record(cell, record)

    for cell in _by_scene(cells):
        while len(running) >= limit:
            collect()
        running[job.submit(cell)] = cell
    while running:
        collect()
    return records


@dataclass
class _Job:
    """References to what the cells under way share: the scenes that were last taken up, and what learnt from them."""

    store_uri: str
    footage: str | None
    sizes: dict[SceneSpec, tuple[PixelSize, ...]]
    _scenes: dict[SceneSpec, Any] = field(default_factory=dict)
    _fitted: dict[Cell, Any] = field(default_factory=dict)

    def submit(self, cell: Cell) -> Any:
        import ray

        measure = ray.remote(num_cpus=1, max_retries=1)(_measure)
        fitted = None
        if cell.train is not None:
            taught = Cell(cell.method, cell.train, cell.size, cell.seed, cell.epochs)
            if taught not in self._fitted:
                self._fitted[taught] = ray.remote(num_cpus=1)(_fit).remote(taught, self._scene(cell.train))
            fitted = self._fitted[taught]
        return measure.remote(cell, self._scene(cell.scene), fitted)

    def _scene(self, spec: SceneSpec) -> Any:
        import ray

        if spec not in self._scenes:
            while len(self._scenes) > _AHEAD:  # Ray keeps what a task under way still reads
                self._scenes.pop(next(iter(self._scenes)))
            make = ray.remote(num_cpus=1)(_load)
            self._scenes[spec] = make.remote(spec, self.sizes[spec], self.store_uri, self.footage)
        return self._scenes[spec]


# -- Ray tasks


def _load(spec: SceneSpec, sizes: tuple[PixelSize, ...], store_uri: str, footage: str | None) -> Scenes:
    """The scene at these sizes; a generated one comes from the store where it is there already."""
    _one_thread()
    root = None if footage is None else Path(footage)
    if spec.is_real or spec.starts_s:  # parts of a day are many, and all methods read each at once
        return load(spec, sizes, root)
    store = open_store(store_uri)
    keys = {size: _scene_key(spec, size) for size in sizes}
    found = {size: _unpack(data) for size, key in keys.items() if (data := store.get(key)) is not None}
    missing = tuple(size for size in sizes if size not in found)
    made = load(spec, missing, root) if missing else {}
    for size, labelled in made.items():
        store.put(keys[size], _pack(labelled))
    return found | made


def _fit(cell: Cell, scenes: Scenes) -> Detector:
    _one_thread()
    return fit_cell(cell, scenes[cell.size])


def _measure(cell: Cell, scenes: Scenes, fitted: Detector | None) -> Record:
    """`run`, and a failure of whatever kind as a record: one method's must not end the others."""
    _one_thread()
    try:
        return run(cell, scenes[cell.size], fitted)
    except Exception as error:
        return failed(cell, f"{type(error).__name__}: {error}")


def _one_thread() -> None:
    """A task has one processor; more threads would only take those of others, and spoil what is timed."""
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)


# -- the rest


def _sizes(cells: Iterable[Cell]) -> dict[SceneSpec, tuple[PixelSize, ...]]:
    """The working sizes at which each scene is needed."""
    sizes: dict[SceneSpec, set[PixelSize]] = {}
    for cell in cells:
        for spec in (cell.scene, cell.train):
            if spec is not None:
                sizes.setdefault(spec, set()).add(cell.size)
    return {spec: tuple(sorted(of_spec)) for spec, of_spec in sizes.items()}


def _by_scene(cells: Iterable[Cell]) -> list[Cell]:
    """Cells of one scene together; scenes, and the cells of each, in the order in which they were given."""
    groups: dict[SceneSpec, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.scene, []).append(cell)
    return [cell for group in groups.values() for cell in group]


def _scene_key(spec: SceneSpec, size: PixelSize) -> str:
    from cameras.scenes.catalogue import LOOK_VERSION

    text = json.dumps([asdict(spec), size, LOOK_VERSION], sort_keys=True)
    return layout.benchmark_key("scenes", f"{hashlib.sha256(text.encode()).hexdigest()[:20]}.npz")


def _pack(labelled: Labelled) -> bytes:
    footage, out = labelled.footage, io.BytesIO()
    np.savez(out, frames=footage.frames, times_s=footage.times_s, clip=footage.clip, labels=labelled.labels)
    return out.getvalue()


def _unpack(data: bytes) -> Labelled:
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return Labelled(Footage(arrays["frames"], arrays["times_s"], arrays["clip"]), arrays["labels"])


def _cause(error: BaseException) -> str:
    """The end of a traceback in an exception's text: what Ray makes of an error has it all."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
