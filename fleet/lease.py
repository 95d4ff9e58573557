"""One process at a time: a lease in the store that its holder renews while it lives.

On the same machine a holder that died is known by its process number. On another, it is watched until it either renews
the lease, and lives, or does not, and is gone.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from fleet.errors import ConflictError, FleetError
from fleet.processes import is_alive
from fleet.store import Store

__all__ = ["EXPIRES_AFTER_S", "RENEWED_EVERY_S", "held"]

RENEWED_EVERY_S = 10.0
EXPIRES_AFTER_S = 45.0


@contextlib.contextmanager
def held(store: Store, key: str, what: str, on_wait: Callable[[str], None] = lambda text: None) -> Iterator[None]:
    """Hold the lease at `key` for as long as the block runs.

    Args:
        what: what it is on, for people: `the job nightly`.
        on_wait: told that it waits to see whether a holder on another machine lives.

    Raises:
        ConflictError: another process holds it.
    """
    mine = _acquire(store, key, what, on_wait)
    ended = threading.Event()
    renewal = threading.Thread(target=_renew, args=(store, key, mine, ended), name="lease", daemon=True)
    renewal.start()
    try:
        yield
    finally:
        ended.set()
        renewal.join()
        with contextlib.suppress(FleetError):  # one that is left expires
            store.delete(key)


def _acquire(store: Store, key: str, what: str, on_wait: Callable[[str], None]) -> dict[str, Any]:
    found = store.read(key)
    if found is not None and _may_live(found):
        holder = f"process {found['pid']} on {found['host']}"
        taken = ConflictError(f"{what} is being run by {holder}", "wait for it, or begin another one with --fresh")
        if found["host"] == socket.gethostname():
            raise taken
        on_wait(f"waiting up to {EXPIRES_AFTER_S:.0f} s to see whether {holder} still runs {what}")
        deadline = time.monotonic() + EXPIRES_AFTER_S
        while time.monotonic() < deadline:
            time.sleep(1.0)
            now = store.read(key)
            if now is None:
                break
            if now["generation"] != found["generation"]:
                raise taken
        found = store.read(key)
    try:
        return store.write(key, _mine(), found["generation"] if found else 0)
    except ConflictError:
        raise ConflictError(f"{what} was begun by another process at this moment", "wait for it") from None


def _mine() -> dict[str, Any]:
    import psutil

    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started_at": psutil.Process().create_time(),
        "seen_at": datetime.now(UTC).isoformat(),
    }


def _may_live(lease: dict[str, Any]) -> bool:
    """Whether the holder may still be there: known on this machine, a guess by the clock on another."""
    if lease["host"] == socket.gethostname():
        return is_alive(lease["pid"], lease["started_at"])
    unseen_s = (datetime.now(UTC) - datetime.fromisoformat(lease["seen_at"])).total_seconds()
    return unseen_s < 10 * EXPIRES_AFTER_S  # clocks differ; the watch in `_acquire` decides


def _renew(store: Store, key: str, lease: dict[str, Any], ended: threading.Event) -> None:
    generation = lease["generation"]
    while not ended.wait(RENEWED_EVERY_S):
        try:
            generation = store.write(key, _mine(), generation)["generation"]
        except ConflictError:
            return  # somebody took it for lost; done-records keep both from harm
        except FleetError:
            continue  # a store that does not answer: nobody else gets the lease there either
