"""The registry: which cameras there are, and which model version each of them uses.

A camera's record and its aliases are manifests of their own, changed by conditional put: of two people who change the
same camera at once, one is told.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from cameras.camera import Camera, check_id, validation_message
from fleet import layout
from fleet.errors import ConflictError, NotFoundError, StoreError, UsageError
from fleet.store import Store

__all__ = ["Aliases", "Registry", "make_camera"]


class Aliases(BaseModel):
    """Which version of a camera's model does what.

    Attributes:
        champion: the version that scores.
        challenger: a newer one on probation.
        previous: the champion before this one, for rollback.
        changed_at, changed_by, why: the last change.
    """

    model_config = ConfigDict(frozen=True)

    camera: str
    champion: str | None = None
    challenger: str | None = None
    previous: str | None = None
    changed_at: datetime | None = None
    changed_by: str = ""
    why: str = ""
    generation: int = 0


def make_camera(**fields: Any) -> Camera:
    """A camera from what a person typed.

    Raises:
        UsageError: one line that names each wrong field and its rule.
    """
    try:
        return Camera(**fields)
    except ValidationError as error:
        camera = fields.get("id", "")
        try:
            named = check_id(camera) if isinstance(camera, str) else ""
        except ValueError:
            named = ""
        raise UsageError(validation_message(error), "see fleet add-camera --help", named) from None


class Registry:
    """Cameras and aliases in a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    # -- cameras

    def add(self, camera: Camera, *, replace: bool = False) -> Camera:
        """Register a camera. In the place of one with another source, it has no champion until it is retrained.

        Raises:
            ConflictError: the id is taken, and `replace` was not asked for.
        """
        key = layout.camera_key(camera.id)
        try:
            old = self.store.read(key)
        except StoreError:  # damaged beyond reading: replacing it is the repair
            if not replace:
                raise
            self.store.delete(key)
            old = None
        if old and not replace:
            raise ConflictError(
                "is registered already", f"fleet edit-camera {camera.id} ..., or add --replace", camera.id
            )
        if old and old.get("source") != camera.source:
            self._retire(camera.id, "another source")
        return self._write(camera, int(old.get("generation", 0)) if old else 0)

    def edit(self, camera_id: str, changes: dict[str, Any], *, expected_generation: int | None = None) -> Camera:
        """Change fields of a camera; a model version keeps the preprocessing that it was trained with.

        Args:
            expected_generation: of the record that the changes were made from, where they were made from one.

        Raises:
            ConflictError: somebody else changed it meanwhile.
        """
        camera = self.camera(camera_id)
        if expected_generation is not None and camera.generation != expected_generation:
            raise ConflictError("was changed by somebody else meanwhile", f"fleet show-camera {camera_id}", camera_id)
        edited = make_camera(**{**camera.model_dump(), **changes, "id": camera_id})
        return self._write(edited, camera.generation)

    def remove(self, camera_id: str, *, purge: bool = False) -> int:
        """Take a camera out of the fleet; how many other objects were deleted.

        Its recordings and models stay for the id's return, the last champion as `previous`: whether the id comes back
        with the same view, only a person knows. `purge` deletes them.
        """
        self.camera(camera_id)
        deleted = 0
        if purge:  # the record goes last, so that a purge that was cut short can be asked for again
            prefixes = (layout.alias_key, layout.recordings_prefix, layout.models_prefix, layout.trials_prefix)
            deleted = sum(self.store.delete_all(prefix(camera_id)) for prefix in prefixes)
        else:
            self._retire(camera_id, "removed")
        self.store.delete(layout.camera_key(camera_id))
        return deleted

    def camera(self, camera_id: str) -> Camera:
        """One camera's record.

        Raises:
            NotFoundError: it is not registered; names the ones that are alike.
        """
        try:
            record = self.store.read(layout.camera_key(check_id(camera_id)))
        except ValueError as error:
            raise NotFoundError(f"no such camera: {error}", "fleet cameras lists them") from None
        if record is None:
            raise NotFoundError("is not registered", "fleet cameras lists the ones that are", camera_id)
        return _camera(camera_id, record)

    def cameras(
        self, tags: dict[str, str] | None = None, on_damaged: Callable[[StoreError], None] | None = None
    ) -> list[Camera]:
        """All cameras by id, or those that carry all of these tags.

        Args:
            on_damaged: told of each record that cannot be read; without it the first one is raised.
        """

        def read(key: str) -> Camera | None:
            camera_id = key.removeprefix(layout.CAMERAS).removesuffix(".json")
            try:
                record = self.store.read(key)
                return None if record is None else _camera(camera_id, record)  # removed since it was listed
            except StoreError as error:
                if on_damaged is None:
                    raise
                on_damaged(error)
                return None

        with ThreadPoolExecutor(16) as pool:
            found = list(pool.map(read, self.store.list(layout.CAMERAS)))
        wanted = (tags or {}).items()
        return [camera for camera in found if camera is not None and wanted <= camera.tags.items()]

    def select(
        self,
        ids: Iterable[str],
        *,
        everything: bool,
        tags: dict[str, str],
        on_damaged: Callable[[StoreError], None] | None = None,
    ) -> list[Camera]:
        """The cameras that a command was given: by id, by tag, or all.

        Raises:
            UsageError: none or two of these were given.
            NotFoundError: there is none, or one is not registered.
        """
        ids = list(ids)
        if bool(ids) + everything + bool(tags) != 1:
            raise UsageError("name cameras, or --all, or --tag KEY=VALUE", "one of the three")
        if ids:
            return [self.camera(camera_id) for camera_id in dict.fromkeys(ids)]
        found = self.cameras(tags, on_damaged)
        if not found:
            what = " with this tag" if tags else ""
            raise NotFoundError(f"there is no camera{what} in {self.store.uri}", "fleet add-camera ID SOURCE")
        return found

    def _write(self, camera: Camera, generation: int) -> Camera:
        try:
            written = self.store.write(layout.camera_key(camera.id), camera.model_dump(mode="json"), generation)
        except ConflictError as error:
            raise error.about(camera.id) from None
        return _camera(camera.id, written)

    # -- aliases

    def aliases(self, camera_id: str) -> Aliases:
        """The aliases of a camera; all empty before its first model.

        Raises:
            StoreError: what is there is damaged.
        """
        key = layout.alias_key(camera_id)
        record = self.store.read(key)
        try:
            return Aliases(**(record or {"camera": camera_id}))
        except (ValidationError, TypeError):
            raise StoreError(
                f"{key} is damaged", f"delete it, then fleet promote {camera_id} VERSION", camera_id
            ) from None

    def promote(
        self, camera_id: str, version: str, *, why: str = "", expected_generation: int | None = None
    ) -> Aliases:
        """Make a version the champion; the champion until now becomes `previous`.

        Args:
            expected_generation: of the aliases that the decision was made on, where it was made on some.

        Raises:
            NotFoundError: there is no such version of this camera's model.
            ConflictError: somebody else changed the aliases meanwhile.
        """
        self.camera(camera_id)
        self._check_version(camera_id, version)
        now = self.aliases(camera_id)
        if expected_generation is not None and now.generation != expected_generation:
            raise ConflictError(
                f"{now.champion} was made champion by {now.changed_by} meanwhile",
                f"fleet models {camera_id}",
                camera_id,
            )
        if now.champion == version:
            return now
        challenger = None if now.challenger == version else now.challenger
        return self._set_aliases(
            now.model_copy(update={"champion": version, "previous": now.champion, "challenger": challenger}), why
        )

    def rollback(self, camera_id: str, *, why: str = "rollback") -> Aliases:
        """Make the previous champion the champion again; they change places.

        Raises:
            NotFoundError: there was none before, or it is gone.
        """
        self.camera(camera_id)
        now = self.aliases(camera_id)
        if now.previous is None:
            raise NotFoundError("has no previous champion to roll back to", f"fleet models {camera_id}", camera_id)
        self._check_version(camera_id, now.previous)
        return self._set_aliases(now.model_copy(update={"champion": now.previous, "previous": now.champion}), why)

    def _check_version(self, camera_id: str, version: str) -> None:
        if not layout.is_name(version) or self.store.get(layout.model_key(camera_id, version, "manifest.json")) is None:
            raise NotFoundError(f"there is no model version '{version[:60]}'", f"fleet models {camera_id}", camera_id)

    def _retire(self, camera_id: str, why: str) -> None:
        now = self.aliases(camera_id)
        if now.champion is not None:
            retired = {"champion": None, "challenger": None, "previous": now.champion}
            self._set_aliases(now.model_copy(update=retired), why)

    def _set_aliases(self, aliases: Aliases, why: str) -> Aliases:
        changed = aliases.model_copy(update={"changed_at": datetime.now(UTC), "changed_by": _who(), "why": why})
        try:
            key = layout.alias_key(aliases.camera)
            return Aliases(**self.store.write(key, changed.model_dump(mode="json"), aliases.generation))
        except ConflictError:
            raise ConflictError(
                "its champion was changed by somebody else meanwhile", f"fleet models {aliases.camera}", aliases.camera
            ) from None


def _camera(camera_id: str, record: dict[str, Any]) -> Camera:
    try:
        return Camera(**record)
    except (ValidationError, TypeError) as error:
        reason = validation_message(error) if isinstance(error, ValidationError) else "fields are missing"
        raise StoreError(
            f"its record is damaged: {reason}", f"fleet add-camera {camera_id} SOURCE --replace", camera_id
        ) from None


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"
