"""A camera's recordings in the store: written, listed, read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from cameras.camera import Camera
from cameras.secrets import expand
from fleet import layout
from fleet.errors import FleetError, NotFoundError
from fleet.store import Store

if TYPE_CHECKING:
    from cameras.frame import Frame
    from cameras.recording import Recorded

__all__ = ["is_live", "part_keys", "read_parts", "record_camera"]


def is_live(camera: Camera) -> bool:
    """Whether frames come as time passes, so that recording needs an end; files and folders have one."""
    try:
        return "://" in expand(camera.source)
    except FleetError as error:
        raise error.about(camera.id) from None


def part_keys(store: Store, camera: Camera, max_frames: int | None = None) -> list[str]:
    """Keys of the parts that were recorded from the camera's present source, newest first.

    Args:
        max_frames: only as many of the newest as hold that many frames.
    """
    from cameras.recording import newest_parts

    return newest_parts(camera, store.list(layout.recordings_prefix(camera.id)), max_frames)


def read_parts(store: Store, keys: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Each part's key and bytes, one at a time.

    Raises:
        NotFoundError: one was deleted since it was listed.
    """
    for key in keys:
        data = store.get(key)
        if data is None:
            raise NotFoundError(f"the recording {key} is gone", "run retrain with --fresh")
        yield key, data


def record_camera(
    store: Store,
    camera: Camera,
    *,
    frames: int | None = None,
    seconds: float | None = None,
    on_frame: Callable[[Frame], None] | None = None,
    stop: threading.Event | None = None,
) -> Recorded:
    """Record from a camera's source into the store; arguments and errors are those of `cameras.recording.record`."""
    from cameras.recording import record

    return record(camera, store.put, frames=frames, seconds=seconds, on_frame=on_frame, stop=stop)
