"""Which Ray cluster a command works on, and how quietly.

`--address` names one; else the head that `fleet serve` keeps for this store is joined; else a Ray of the command's own
runs on this machine for as long as the command does. Several stores on one machine never meet: own folder, own ports.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fleet.errors import FleetError
from fleet.processes import is_alive
from fleet.store import Store

__all__ = ["Head", "connect", "head_of", "own_ray", "scratch_folder", "write_head"]

NAMESPACE = "fleet"
CONNECT_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Head:
    """A Ray head and the endpoints that `fleet serve` keeps for a store on this machine.

    Attributes:
        pid, started_at: of the process that all of it belongs to.
        address: Ray's; empty while it starts.
    """

    pid: int
    started_at: float
    address: str
    url: str


def head_of(store: Store) -> Head | None:
    """The head that serves this store on this machine, if its process lives."""
    try:
        head = Head(**json.loads(_head_file(store).read_text()))
        return head if is_alive(head.pid, head.started_at) else None
    except (OSError, ValueError, TypeError):
        return None


def write_head(store: Store, head: Head | None) -> None:
    """Record the head in the store's run folder, or, with None, that there is none."""
    file = _head_file(store)
    if head is None:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    beside.write_text(json.dumps(asdict(head)))
    beside.replace(file)


@contextlib.contextmanager
def connect(store: Store, address: str | None = None) -> Iterator[None]:
    """Be connected to a Ray cluster: the named one, the one that serves this store, or one of our own.

    Raises:
        FleetError: the named cluster does not answer.
    """
    import ray

    if ray.is_initialized():  # a program that uses Fleet as a library has its own
        yield
        return
    head = head_of(store)
    joined = address or (head.address if head else "")
    if not joined:
        with own_ray():
            yield
        return
    _set_environment(own=not address)
    with contextlib.nullcontext() if address else _loopback_only():
        try:
            _check_listens(joined)
            ray.init(address=joined, namespace=NAMESPACE, **_quiet())
        except (OSError, ValueError, RuntimeError) as error:
            raise FleetError(
                f"there is no Ray cluster at '{joined}' ({type(error).__name__})",
                "check --address, or leave it out to use this machine",
            ) from None
        try:
            yield
        finally:
            ray.shutdown()


def _check_listens(address: str) -> None:
    """Ray itself tries for minutes, and aloud.

    Raises:
        OSError: nothing listens there.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon:  # not `auto`, for which Ray looks
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_TIMEOUT_S).close()


@contextlib.contextmanager
def own_ray() -> Iterator[str]:
    """A Ray on this machine that ends with the block, and with this process however it dies; yields its address."""
    import ray

    _set_environment(own=True)
    with scratch_folder("ray") as folder, _loopback_only():
        try:
            context = ray.init(
                "local",  # one of its own, whatever RAY_ADDRESS names
                include_dashboard=False,
                _temp_dir=str(folder),
                namespace=NAMESPACE,
                **_quiet(),
            )
            yield str(context.address_info["gcs_address"])
        finally:
            ray.shutdown()


@contextlib.contextmanager
def _loopback_only() -> Iterator[None]:
    """Ray's processes listen on 127.0.0.1 and not, as they do by default on Linux, on every network: who reaches one
    of their ports runs code.

    Ray reads its switch for that when it is imported, which it may be already.
    """
    import ray

    constants = ray._private.ray_constants
    name, here = constants.ENABLE_RAY_CLUSTERS_ENV_VAR, constants.ENABLE_RAY_CLUSTER
    if name in os.environ:  # somebody wants it otherwise
        yield
        return
    os.environ[name] = "0"  # for the processes that Ray starts
    constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = here
        del os.environ[name]


@contextlib.contextmanager
def scratch_folder(name: str) -> Iterator[Path]:
    """A temporary folder for as long as the block runs; those that killed processes left behind are swept first.

    A lock that the kernel drops with its process tells them apart.
    """
    # Ray puts Unix sockets into such a folder and their paths may have 107 characters: no long TMPDIR.
    parent = Path("/tmp") if os.path.isdir("/tmp") else Path(tempfile.gettempdir())
    for old in parent.glob(f"fleet-{name}-*"):
        with contextlib.suppress(OSError), _locked(old):
            if time.time() - old.stat().st_mtime > 60:  # a younger one may not be locked yet
                shutil.rmtree(old, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"fleet-{name}-", dir=parent))
    try:
        with _locked(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock.

    Raises:
        OSError: another process holds it, or it is another user's.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _head_file(store: Store) -> Path:
    return store.run_folder / "serve.json"


def _quiet() -> dict[str, Any]:
    return {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": True}


def _set_environment(*, own: bool) -> None:
    """What Ray reads from the environment, each only where the user has not said otherwise."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if own:  # it listens on loopback; left unset, a start writes a token into the home folder that later heads ask for
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
