"""`fleet serve`: a Ray head with the endpoints on this machine, in the foreground or left running.

The head belongs to one process, which is recorded in the store's run folder and ends all of it when it is told to end.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleet.cluster import Head, head_of, own_ray, write_head
from fleet.errors import ConflictError, FleetError, NotFoundError
from fleet.store import Store

if TYPE_CHECKING:
    import psutil

__all__ = ["answers", "check_free", "serve_detached", "serve_until_stopped", "stop_serving", "url_of"]

APPLICATION = "serve.app:build"
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 30.0


def url_of(host: str, port: int) -> str:
    """Where a person on this machine finds the endpoints."""
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"


def serve_until_stopped(
    store: Store, host: str, port: int, *, scorer_replicas: int = 1, on_ready: Callable[[str], None] = lambda url: None
) -> None:
    """Serve the store's cameras until SIGINT or SIGTERM.

    Raises:
        ConflictError: this store is served already.
        FleetError: the port is taken or may not be used.
    """
    ended = threading.Event()

    def interrupt(*_: object) -> None:  # what takes half a minute to come up must not take that long to be stopped
        ended.set()
        raise KeyboardInterrupt

    before = _on_end(interrupt)
    try:
        with served(store, host, port, scorer_replicas=scorer_replicas) as url:
            _on_end(lambda *_: ended.set())  # once more: Ray has taken SIGTERM for itself meanwhile
            on_ready(url)
            while not ended.wait(1.0):
                pass
    except (KeyboardInterrupt, SystemExit):  # the second is Ray's
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _on_end(handler: Callable[..., object]) -> dict[int, Any]:
    """Set the handler of Ctrl-C and SIGTERM; those before it."""
    return {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}


@contextlib.contextmanager
def served(store: Store, host: str, port: int, *, scorer_replicas: int = 1) -> Iterator[str]:
    """The endpoints for as long as the block runs; yields their URL."""
    import psutil

    check_free(store, host, port)
    os.environ.setdefault("RAY_SERVE_LOG_TO_STDERR", "0")
    me, url = psutil.Process(), url_of(host, port)
    starting = Head(me.pid, me.create_time(), "", url)
    write_head(store, starting)  # from now on a second `fleet serve` is told, and `fleet stop` finds it
    try:
        with own_ray() as address:
            from ray import serve
            from ray.serve.schema import LoggingConfig

            build = _load(APPLICATION)
            logging.getLogger("ray.serve").setLevel(logging.ERROR)  # what this process tells, people read
            told = LoggingConfig(log_level="WARNING", enable_access_log=False)
            serve.start(proxy_location="HeadOnly", http_options={"host": host, "port": port}, logging_config=told)
            serve.run(build({"store": store.uri, "scorer_replicas": scorer_replicas}), name="fleet", route_prefix="/")
            write_head(store, replace(starting, address=address))
            yield url
    finally:
        write_head(store, None)  # the end of Ray ends the endpoints


def serve_detached(store: Store, host: str, port: int, *, scorer_replicas: int = 1) -> Head:
    """Start serving in a process of its own; returns when the endpoints answer.

    Raises:
        FleetError: it did not come up; with its last words.
    """
    check_free(store, host, port)
    store.run_folder.mkdir(parents=True, exist_ok=True)
    log_file = store.run_folder / "serve.log"
    command = [sys.executable, "-m", "fleet.cli", "serve", "--store", store.uri]
    command += ["--host", host, "--port", str(port), "--replicas", str(scorer_replicas)]
    with open(log_file, "wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    deadline = time.monotonic() + START_TIMEOUT_S
    try:
        while time.monotonic() < deadline and process.poll() is None:
            head = head_of(store)
            if head is not None and head.pid == process.pid and head.address and answers(head.url):
                return head
            time.sleep(0.2)
    except BaseException:  # Ctrl-C: what nobody waits for any more does not come up later
        _end(process)
        raise
    _end(process)
    raise FleetError(f"serving did not come up: {_last_line(log_file)}", f"see {log_file}, or run it without --detach")


def stop_serving(store: Store) -> Head:
    """End what serves this store; returns when it is gone.

    Raises:
        NotFoundError: nothing does.
    """
    import psutil

    head = head_of(store)
    if head is None:
        write_head(store, None)
        raise NotFoundError(f"nothing serves {store.uri} on this machine", "fleet serve --detach")
    process = psutil.Process(head.pid)
    children = process.children(recursive=True)
    process.terminate()
    for left in _wait([process], STOP_TIMEOUT_S) + _wait(children, 5.0):
        with contextlib.suppress(psutil.NoSuchProcess):
            left.kill()
    write_head(store, None)
    return head


def _wait(processes: list[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    """Wait until processes have ended; those that have not.

    `psutil.wait_procs` would wait for zombies, too, and in a container there may be nobody who collects them.
    """
    deadline = time.monotonic() + timeout_s
    while left := [process for process in processes if _lives(process)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return left


def _lives(process: psutil.Process) -> bool:
    import psutil

    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def check_free(store: Store, host: str, port: int) -> None:
    """See that this store can be served there.

    Raises:
        ConflictError: it is served already.
        UsageError: the port is taken or may not be used.
    """
    head = head_of(store)
    if head is not None:
        raise ConflictError(f"{store.uri} is served already at {head.url}", "fleet stop")
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except (OSError, UnicodeError) as error:
        number = error.errno if isinstance(error, OSError) and not isinstance(error, socket.gaierror) else None
        if number in (None, errno.EADDRNOTAVAIL):
            raise FleetError(
                f"'{host[:80]}' is no address of this machine", "leave --host out, or try 0.0.0.0"
            ) from None
        raise FleetError(
            f"{host}:{port} cannot be listened on: {os.strerror(number or 0).lower()}", "choose another: --port N"
        ) from None


def _load(path: str) -> Any:
    """Serve's own way of naming an application, so that this package does not import what runs above it."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def answers(url: str) -> bool:
    """Whether the endpoints at this URL answer within two seconds."""
    import httpx

    try:
        return httpx.get(f"{url}/healthz", timeout=2.0).status_code == 200
    except httpx.HTTPError:
        return False


def _last_line(path: Path) -> str:
    lines = [line.strip() for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"
