"""One object store, the same on a folder and on S3.

`Store` is what the rest of Fleet sees: bytes and manifests by key. Two small backends stand behind it, `Folder` and
`Bucket`, with the five things that a store must do; a conditional put is one of them on both. A write is seen whole or
not at all: a folder writes beside and renames, S3 does so by itself.

S3 is spoken with boto3 (its errors are typed, its listings carry ETags, it has conditional PUT); whole tables are read
with pyarrow through `Store.dataset_root`. Keys come from the environment or the machine's role, never from the URI.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar
from urllib.parse import parse_qs, urlsplit

from fleet import layout
from fleet.errors import ConflictError, StoreError, UsageError

__all__ = ["DEFAULT_STORE", "SCHEMA_VERSION", "Store", "open_store"]

DEFAULT_STORE = ".fleet"
SCHEMA_VERSION = 1

CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 15.0
S3_FORM = "s3://bucket/prefix?endpoint_override=host:port&scheme=http"
PATIENCE_S = 6.0  # how long a person waits for a store that does not answer; jobs open theirs with more

T = TypeVar("T")


class _Unreachable(Exception):
    """The store does not answer; trying again may help."""


class Backend(Protocol):
    """What a store must do. A tag changes with every write of its key."""

    def get(self, key: str) -> tuple[bytes, str] | None: ...
    def put(self, key: str, data: bytes) -> None: ...
    def put_if(self, key: str, data: bytes, tag: str | None) -> bool: ...
    def list(self, prefix: str) -> dict[str, str]: ...
    def delete(self, key: str) -> None: ...


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
            except _Unreachable as error:
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


class Folder:
    """A store in a folder. Conditional put is compare and rename under `flock`: the kernel drops it with a process."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def get(self, key: str) -> tuple[bytes, str] | None:
        with self._errors():
            try:
                data = (self.root / key).read_bytes()
            except (FileNotFoundError, IsADirectoryError):
                return None
            return data, hashlib.sha256(data).hexdigest()

    def put(self, key: str, data: bytes) -> None:
        with self._errors():
            path = self.root / key
            # A name of its own a process and call: two writers of one key never share a half-written file.
            beside = path.with_name(f".{path.name}.{os.getpid()}-{random.getrandbits(32):08x}")
            try:
                with self._create(beside) as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(beside, path)
            finally:
                beside.unlink(missing_ok=True)

    def _create(self, path: Path) -> BinaryIO:
        """Open a new file, and make its folder: again where `delete` took the empty one away in between."""
        for attempt in range(100):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                return open(path, "wb")
            except (FileNotFoundError, FileExistsError):  # mkdir says that it exists when it did a moment ago
                if attempt == 99:
                    raise
        raise AssertionError("unreachable")

    def put_if(self, key: str, data: bytes, tag: str | None) -> bool:
        with self._errors():
            self.root.mkdir(parents=True, exist_ok=True)
            with open(self.root / ".lock", "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                found = self.get(key)
                if (found[1] if found else None) != tag:
                    return False
                self.put(key, data)
                return True

    def list(self, prefix: str) -> dict[str, str]:
        with self._errors():
            found = {}
            start = self.root / prefix.rpartition("/")[0]
            for folder, folders, names in os.walk(start, onerror=_unless_missing):
                folders[:] = [name for name in folders if not name.startswith(".")]
                for name in names:
                    path = Path(folder, name)
                    key = path.relative_to(self.root).as_posix()
                    if name.startswith(".") or not key.startswith(prefix):
                        continue
                    with contextlib.suppress(FileNotFoundError):  # deleted since it was listed
                        stat = path.stat()
                        found[key] = f"{stat.st_mtime_ns}-{stat.st_ino}-{stat.st_size}"
            return found

    def delete(self, key: str) -> None:
        with self._errors():
            path = self.root / key
            path.unlink(missing_ok=True)
            # S3 knows no folders: leave none that is empty.
            with contextlib.suppress(OSError):
                while (path := path.parent) != self.root:
                    path.rmdir()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else type(error).__name__
            raise StoreError(
                f"the store {self.root} cannot be used: {reason.lower()}",
                "check its rights and free space, or name another: --store DIR",
            ) from None


def _unless_missing(error: OSError) -> None:
    """A folder that is not there holds nothing; one that cannot be read must not look as if it held nothing."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


class Bucket:
    """A store in an S3 bucket, under a prefix."""

    def __init__(self, bucket: str, prefix: str, endpoint: str | None, region: str | None) -> None:
        self.bucket = bucket
        self.prefix = prefix
        self.endpoint = endpoint
        self.region = region
        self._made: tuple[int, Any] | None = None  # (process id, client): a client does not survive a fork

    @classmethod
    def parse(cls, uri: str) -> Bucket:
        try:
            parts = urlsplit(uri)
        except ValueError:  # brackets that do not close
            raise UsageError("the store's address is malformed", S3_FORM) from None
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        unknown = set(query) - {"endpoint_override", "scheme", "region"}
        if "@" in parts.netloc or ":" in parts.netloc or unknown & {"access_key", "secret_key", "session_token"}:
            raise UsageError(
                "the store's address holds keys", "export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead"
            )
        if unknown or not parts.netloc:
            raise UsageError("the store's address is malformed", S3_FORM)
        endpoint = query.get("endpoint_override")
        if endpoint and "://" not in endpoint:
            endpoint = f"{query.get('scheme', 'https')}://{endpoint}"
        if endpoint and "@" in endpoint:
            raise UsageError(
                "the store's address holds keys", "export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead"
            )
        prefix = parts.path.strip("/")
        return cls(parts.netloc, prefix + "/" if prefix else "", endpoint, query.get("region"))

    @property
    def address(self) -> str:
        """The same for two names of one place."""
        return f"{self.endpoint or os.environ.get('AWS_ENDPOINT_URL') or ''} {self.bucket}/{self.prefix}"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_made": None}

    @property
    def _client(self) -> Any:
        if self._made is None or self._made[0] != os.getpid():
            import boto3
            from botocore.config import Config

            config = Config(
                connect_timeout=CONNECT_TIMEOUT_S,
                read_timeout=READ_TIMEOUT_S,
                retries={"total_max_attempts": 1},  # Store._patiently is the one place of retries
                max_pool_connections=32,
            )
            region = self.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
            session = boto3.session.Session()
            client = session.client("s3", endpoint_url=self.endpoint, region_name=region, config=config)
            self._made = (os.getpid(), client)
        return self._made[1]

    def get(self, key: str) -> tuple[bytes, str] | None:
        with self._errors("NoSuchKey", "404"):
            reply = self._client.get_object(Bucket=self.bucket, Key=self.prefix + key)
            return reply["Body"].read(), reply["ETag"]
        return None

    def put(self, key: str, data: bytes) -> None:
        with self._errors():
            self._client.put_object(Bucket=self.bucket, Key=self.prefix + key, Body=data)

    def put_if(self, key: str, data: bytes, tag: str | None) -> bool:
        condition = {"IfNoneMatch": "*"} if tag is None else {"IfMatch": tag}
        # If-Match on a key that was deleted meanwhile answers that there is no such key.
        with self._errors("PreconditionFailed", "412", "NoSuchKey", "404"):
            self._client.put_object(Bucket=self.bucket, Key=self.prefix + key, Body=data, **condition)
            return True
        return False

    def list(self, prefix: str) -> dict[str, str]:
        with self._errors():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self.prefix + prefix
            )
            return {
                item["Key"].removeprefix(self.prefix): item["ETag"]
                for page in pages
                for item in page.get("Contents", [])
            }
        return {}

    def delete(self, key: str) -> None:
        with self._errors():
            self._client.delete_object(Bucket=self.bucket, Key=self.prefix + key)

    def filesystem(self) -> Any:
        import pyarrow.fs

        scheme, _, host = (self.endpoint or os.environ.get("AWS_ENDPOINT_URL") or "").rpartition("://")
        return pyarrow.fs.S3FileSystem(
            endpoint_override=host or None,
            scheme=scheme or "https",
            region=self.region or os.environ.get("AWS_REGION") or "us-east-1",
            connect_timeout=CONNECT_TIMEOUT_S,
            request_timeout=READ_TIMEOUT_S,
            retry_strategy=pyarrow.fs.AwsStandardS3RetryStrategy(max_attempts=2),
        )

    @contextlib.contextmanager
    def _errors(self, *swallowed: str) -> Iterator[None]:
        """Swallows errors of these codes (the caller then falls through); the rest becomes ours."""
        from botocore import exceptions as aws

        try:
            yield
        except aws.ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code in swallowed:
                return
            if code == "NoSuchBucket":
                raise StoreError(f"the bucket '{self.bucket}' does not exist", "create it, or name another") from None
            elif status in (401, 403):
                raise StoreError(
                    f"the bucket '{self.bucket}' refuses these keys ({code})",
                    "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and the bucket's policy",
                ) from None
            elif status >= 500 or code in ("SlowDown", "RequestTimeout", "ConditionalRequestConflict"):
                raise _Unreachable(f"it answers {status} {code}") from None
            else:
                raise StoreError(f"the bucket '{self.bucket}' answers {status} {code}", "run fleet doctor") from None
        except (aws.NoCredentialsError, aws.PartialCredentialsError):
            raise StoreError(
                f"there are no keys for the bucket '{self.bucket}'",
                "export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where a role gives them",
            ) from None
        except aws.ParamValidationError:
            raise UsageError(
                f"'{self.bucket}' is no bucket's name", "s3://bucket/prefix with 3 to 63 of a-z, 0-9, '.', '-'"
            ) from None
        except ValueError:  # boto3's own word for an endpoint that is none
            raise UsageError("the S3 endpoint is no address of a host", S3_FORM) from None
        except (aws.HTTPClientError, aws.ConnectionError, aws.BotoCoreError, OSError) as error:
            raise _Unreachable(f"{type(error).__name__} at {self.endpoint or 'AWS'}") from None
