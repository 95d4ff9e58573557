"""What a replica knows of the fleet without asking the store at each request: cameras and their champions.

A thread lists two prefixes a second; only what changed is read. So a new champion scores within a second or two, and a
thousand cameras cost two listings a second, not a thousand reads.
"""

from __future__ import annotations

import logging
import threading
import time

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
        self._cameras: dict[str, Camera] = {}
        self._aliases: dict[str, Aliases] = {}
        self._refreshed_at = 0.0
        self._lock = threading.Lock()
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
        if camera_id not in self._cameras and time.monotonic() - self._refreshed_at > REFRESH_S / 4:
            self.refresh()
        try:
            return self._cameras[camera_id]
        except KeyError:
            raise NotFoundError("is not registered", "GET /cameras lists the ones that are", camera_id[:63]) from None

    def champion(self, camera_id: str) -> str | None:
        """The version that scores a camera, or None before its first model."""
        aliases = self._aliases.get(camera_id)
        return aliases.champion if aliases else None

    def refresh(self) -> None:
        """Read what changed since the last time."""
        with self._lock:
            tags = self._store.list(layout.CAMERAS) | self._store.list(layout.ALIASES)
            for key in self._tags.keys() - tags.keys():
                self._known(key).pop(_id(key), None)
                del self._tags[key]
            for key, tag in tags.items():
                if self._tags.get(key) != tag:
                    try:
                        self._read(key)
                    except FleetError as error:  # one damaged record must not hide the other cameras
                        log.error("%s", error)
                    self._tags[key] = tag
            self._refreshed_at = time.monotonic()

    def _read(self, key: str) -> None:
        if key.startswith(layout.CAMERAS):
            self._cameras[_id(key)] = self._registry.camera(_id(key))
        else:
            self._aliases[_id(key)] = self._registry.aliases(_id(key))

    def _known(self, key: str) -> dict[str, Camera] | dict[str, Aliases]:
        return self._cameras if key.startswith(layout.CAMERAS) else self._aliases

    def _keep_fresh(self) -> None:
        while True:
            time.sleep(REFRESH_S)
            try:
                self.refresh()
            except FleetError as error:
                log.warning("%s", error)


def _id(key: str) -> str:
    return key.partition("/")[2].removesuffix(".json")
