"""One object store, the same on a folder and on S3.

`Store` is what the rest of Fleet sees: bytes, and manifests with a generation, by key. What stands behind it is in
`fleet.backends`. Whole tables of a fleet are read with pyarrow through `Store.dataset_root`.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from fleet import layout
from fleet.backends import Backend, Bucket, Folder, Unreachable
from fleet.errors import ConflictError, StoreError, UsageError

__all__ = ["DEFAULT_STORE", "SCHEMA_VERSION", "Store", "open_store"]

DEFAULT_STORE = ".fleet"
SCHEMA_VERSION = 1
PATIENCE_S = 6.0  # how long a person waits for a store that does not answer; jobs open theirs with more

T = TypeVar("T")


class Store:
    """Bytes and manifests by key.

    Attributes:
        uri: how it was named, fit to be shown and to be opened again in another process.
        run_folder: a folder of this machine for what concerns running processes, not the store's content.
    """

    def __init__(self, uri: str, backend: Backend, run_folder: Path, patience_s: float = PATIENCE_S) -> None:
        self.uri = uri
        self.run_folder = run_folder
        self._backend = backend
        self._patience_s = patience_s
        self._is_marked = False

    def __repr__(self) -> str:
        return f"Store({self.uri!r})"

    # -- bytes

    def get(self, key: str) -> bytes | None:
        """The object's bytes, or None where there is none."""
        _check_key(key)
        found = self._patiently(lambda: self._backend.get(key))
        return found[0] if found else None

    def put(self, key: str, data: bytes) -> None:
        """Write an object, whole or not at all, whatever was there."""
        _check_key(key)
        self._mark()
        self._patiently(lambda: self._backend.put(key, data))

    def list(self, prefix: str) -> dict[str, str]:
        """Keys under a prefix in order, each with a tag that changes when the object does."""
        _check_key(prefix, prefix=True)
        return dict(sorted(self._patiently(lambda: self._backend.list(prefix)).items()))

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""
        _check_key(key)
        self._patiently(lambda: self._backend.delete(key))

    def delete_all(self, prefix: str) -> int:
        """Remove every object under a prefix; how many there were."""
        keys = list(self.list(prefix))
        for key in keys:
            self.delete(key)
        return len(keys)

    # -- manifests: JSON with a generation

    def read(self, key: str) -> dict[str, Any] | None:
        """A manifest, or None where there is none.

        Raises:
            StoreError: what is there is no JSON object.
        """
        data = self.get(key)
        return None if data is None else self._parse(key, data)

    def write(self, key: str, manifest: dict[str, Any], generation: int) -> dict[str, Any]:
        """Replace the manifest of this generation (0: there must be none) by a new one; what was written.

        Raises:
            ConflictError: somebody else wrote it since that generation was read.
        """
        _check_key(key)
        self._mark()
        found = self._patiently(lambda: self._backend.get(key))
        current = self._parse(key, found[0]) if found else {"generation": 0}
        if current.get("generation", 0) != generation:
            raise ConflictError(f"{key} was changed by somebody else meanwhile", "look at it and try again")
        written = {**manifest, "generation": generation + 1}
        data = json.dumps(written, indent=1, ensure_ascii=False).encode()
        tag = found[1] if found else None
        won = self._patiently(lambda: self._backend.put_if(key, data, tag))
        # A PUT that was sent again because its first reply was lost fails on its own first success.
        if not won and self.get(key) != data:
            raise ConflictError(f"{key} was changed by somebody else meanwhile", "look at it and try again")
        return written

    # -- the rest

    def dataset_root(self) -> tuple[Any, str]:
        """A pyarrow filesystem and the store's path in it, for reading whole tables of a fleet."""
        import pyarrow.fs

        if isinstance(self._backend, Folder):
            return pyarrow.fs.LocalFileSystem(), str(self._backend.root)
        assert isinstance(self._backend, Bucket)
        return self._backend.filesystem(), f"{self._backend.bucket}/{self._backend.prefix}".rstrip("/")

    def check_schema(self) -> None:
        """Refuse a store that a newer Fleet has written."""
        found = self.read(layout.STORE)
        self._is_marked = found is not None
        if found is None:
            return
        version = found.get("schema_version")
        if not isinstance(version, int):
            raise StoreError(
                f"{layout.STORE} in {self.uri} is damaged: no schema_version", "restore it from a copy or delete it"
            )
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"the store {self.uri} has schema {version}, this Fleet reads up to {SCHEMA_VERSION}",
                "upgrade: pip install --upgrade fleet-cameras",
            )

    def _mark(self) -> None:
        """Write store.json before anything else is written."""
        if not self._is_marked:
            mark = {"schema_version": SCHEMA_VERSION, "created_at": datetime.now(UTC).isoformat(), "generation": 1}
            data = json.dumps(mark, indent=1).encode()
            self._patiently(lambda: self._backend.put_if(layout.STORE, data, None))
            self._is_marked = True

    def _parse(self, key: str, data: bytes) -> dict[str, Any]:
        try:
            manifest = json.loads(data)
        except ValueError:
            manifest = None
        if not isinstance(manifest, dict):
            raise StoreError(f"{key} in {self.uri} is damaged: no JSON object", "restore it from a copy or delete it")
        return manifest

    def _patiently(self, call: Callable[[], T]) -> T:
        """The one place of retries: a store that does not answer is tried again with jittered back-off."""
        deadline = time.monotonic() + self._patience_s
        pause_s = 0.2
        while True:
            try:
                return call()
            except Unreachable as error:
                if time.monotonic() + pause_s > deadline:
                    raise StoreError(
                        f"the store {self.uri} does not answer: {error}", "check its address: fleet doctor"
                    ) from None
            time.sleep(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(2 * pause_s, 5.0)


def _check_key(key: str, *, prefix: bool = False) -> None:
    """Refuse what would lead out of a folder, the same on S3: names in keys come from command lines, too."""
    if key.startswith("/") or ".." in key.split("/") or "\0" in key or not (key or prefix):
        raise UsageError(f"{key[:80]!r} is no key of a store", "names hold no '/' at their start and no '..'")


def open_store(uri: str | os.PathLike[str] | None = None, *, patience_s: float = PATIENCE_S) -> Store:
    """Open a store by name: a folder, or `s3://bucket/prefix[?endpoint_override=host:port&scheme=http&region=…]`.

    Without a name: `FLEET_STORE`, else the folder `.fleet`. `AWS_ENDPOINT_URL` works as well as the query.

    Raises:
        UsageError: the name is malformed or holds keys.
        StoreError: it does not answer, refuses, or is of a newer schema.
    """
    name = os.fspath(uri) if uri else os.environ.get("FLEET_STORE") or DEFAULT_STORE
    if name.startswith("s3://"):
        bucket = Bucket.parse(name)
        state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
        run_folder = state / "fleet" / hashlib.sha256(bucket.address.encode()).hexdigest()[:16]
        store = Store(name, bucket, run_folder, patience_s)
    elif "://" in name:
        scheme = name.split("://")[0][:20]
        raise UsageError(f"a store is a folder or s3://bucket/prefix, not {scheme}://", "see fleet --help")
    else:
        folder = Path(name).expanduser().absolute()
        if folder.exists() and not folder.is_dir():
            raise StoreError(f"the store {folder} is a file", "name a folder: --store DIR")
        store = Store(str(folder), Folder(folder), folder / ".run", patience_s)
    store.check_schema()
    return store
