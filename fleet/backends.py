"""What stands behind a `Store`: a folder, or an S3 bucket.

Both do the five things that a store must do, a conditional put among them. A write is seen whole or not at all: a
folder writes beside and renames, S3 does so by itself. S3 is spoken with boto3: its errors are typed, its listings
carry ETags, it has conditional PUT. Keys come from the environment or the machine's role, never from the URI.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import parse_qs, urlsplit

from fleet.errors import StoreError, UsageError

__all__ = ["Backend", "Bucket", "Folder", "Unreachable"]

CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 15.0
S3_FORM = "s3://bucket/prefix?endpoint_override=host:port&scheme=http"


class Unreachable(Exception):
    """The store does not answer; trying again may help."""


class Backend(Protocol):
    """What a store must do. A tag changes with every write of its key."""

    def get(self, key: str) -> tuple[bytes, str] | None: ...
    def put(self, key: str, data: bytes) -> None: ...
    def put_if(self, key: str, data: bytes, tag: str | None) -> bool: ...
    def list(self, prefix: str) -> dict[str, str]: ...
    def delete(self, key: str) -> None: ...


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
                raise Unreachable(f"it answers {status} {code}") from None
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
            raise Unreachable(f"{type(error).__name__} at {self.endpoint or 'AWS'}") from None
