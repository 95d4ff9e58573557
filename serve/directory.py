"""What a replica knows of the fleet without asking the store at each request: cameras and their champions.

A thread lists two prefixes a second; only what changed is read. So a new champion scores within a second or two, and a
thousand cameras cost two listings a second, not a thousand reads.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from cameras.camera import Camera
from fleet import layout
from fleet.errors import FleetError, NotFoundError
from fleet.registry import Aliases, Registry
from fleet.store import Store

__all__ = ["Directory"]

log = logging.getLogger("ray.serve")

REFRESH_S = 1.0


class Directory:
    """Cameras and aliases, as new as `REFRESH_S`; stays with what it knows while the store does not answer."""

    def __init__(self, store: Store) -> None:
        self._registry = Registry(store)
        self._store = store
        self._tags: dict[str, str] = {}
        self._failed: dict[str, str] = {}
        self._cameras: dict[str, Camera] = {}
        self._aliases: dict[str, Aliases] = {}
        self._refreshed_at = 0.0
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self.refresh()
        threading.Thread(target=self._keep_fresh, name="directory", daemon=True).start()

    def cameras(self) -> list[Camera]:
        """All cameras by id."""
        return [camera for _, camera in sorted(self._cameras.items())]

    def camera(self, camera_id: str) -> Camera:
        """One camera; one that was added just now is looked for before it is said to be unknown.

        Raises:
            NotFoundError: it is not registered.
        """
        if camera_id not in self._cameras:
            self._look_again()
        try:
            return self._cameras[camera_id]
        except KeyError:
            raise NotFoundError("is not registered", "GET /cameras lists the ones that are", camera_id[:63]) from None

    def champion(self, camera_id: str) -> str | None:
        """The version that scores a camera, or None before its first model."""
        if camera_id not in self._aliases:
            self._look_again()
        aliases = self._aliases.get(camera_id)
        return aliases.champion if aliases else None

    def close(self) -> None:
        """Stop keeping fresh."""
        self._closed.set()

    def refresh(self) -> None:
        """Read what changed since the last time."""
        with self._lock:
            tags = self._store.list(layout.CAMERAS) | self._store.list(layout.ALIASES)
            for key in self._tags.keys() - tags.keys():
                self._known(key).pop(_id(key), None)
                del self._tags[key]
            changed = [(key, tag) for key, tag in tags.items() if self._tags.get(key) != tag]
            if changed:
                with ThreadPoolExecutor(min(16, len(changed))) as pool:  # at first all of a fleet's
                    list(pool.map(lambda found: self._take_in(*found), changed))
            self._refreshed_at = time.monotonic()

    def _take_in(self, key: str, tag: str) -> None:
        try:
            self._read(key)
            self._tags[key] = tag
        except FleetError as error:  # one record that cannot be read must not hide the other cameras
            if self._failed.get(key) != tag:
                log.error("%s", error)
            self._failed[key] = tag  # tried again every time, told once

    def _look_again(self) -> None:
        """Before something is said not to be there; requests for what is not there must not wear the store out."""
        if time.monotonic() - self._refreshed_at > REFRESH_S / 4:
            self.refresh()

    def _read(self, key: str) -> None:
        if key.startswith(layout.CAMERAS):
            self._cameras[_id(key)] = self._registry.camera(_id(key))
        else:
            self._aliases[_id(key)] = self._registry.aliases(_id(key))

    def _known(self, key: str) -> dict[str, Camera] | dict[str, Aliases]:
        return self._cameras if key.startswith(layout.CAMERAS) else self._aliases

    def _keep_fresh(self) -> None:
        while not self._closed.wait(REFRESH_S):
            try:
                self.refresh()
            except FleetError as error:
                log.warning("%s", error)
            except Exception:  # the thread must live: without it new champions would be missed without a word
                log.exception("the cameras could not be listed")


def _id(key: str) -> str:
    return key.partition("/")[2].removesuffix(".json")
