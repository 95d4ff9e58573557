"""One process at a time: a second one is told, a dead one's lease is free."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import psutil
import pytest

from fleet import lease
from fleet.errors import ConflictError
from fleet.lease import held

KEY = "jobs/night/lease.json"


def put_lease(store, *, host: str, pid: int, started_at: float, seen_at: str = "2999-01-01T00:00:00+00:00") -> None:
    holder = {"host": host, "pid": pid, "started_at": started_at, "seen_at": seen_at}
    store.write(KEY, holder, 0)


def test_a_second_holder_is_told_who_has_it(store):
    with held(store, KEY, "the job night"):
        told = f"the job night is being run by process {os.getpid()}"
        with pytest.raises(ConflictError, match=told), held(store, KEY, "the job night"):
            pass
        assert store.get(KEY) is not None
    assert store.get(KEY) is None


def test_it_is_free_again_after_a_failure(store):
    with pytest.raises(ZeroDivisionError), held(store, KEY, "the job night"):
        raise ZeroDivisionError
    with held(store, KEY, "the job night"):
        pass


def test_a_process_of_this_machine_that_died_holds_nothing(folder_store):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started_at = psutil.Process(process.pid).create_time()
        put_lease(folder_store, host=socket.gethostname(), pid=process.pid, started_at=started_at)
        with pytest.raises(ConflictError), held(folder_store, KEY, "the job night"):
            pass
        process.kill()
        while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:  # dead, and its parent has not asked yet
            lease.time.sleep(0.01)
        with held(folder_store, KEY, "the job night"):
            pass


def test_a_number_that_another_process_has_by_now_holds_nothing(folder_store):
    put_lease(folder_store, host=socket.gethostname(), pid=os.getpid(), started_at=1.0)
    with held(folder_store, KEY, "the job night"):
        pass


def test_a_holder_elsewhere_that_does_not_renew_is_gone(folder_store, monkeypatch):
    monkeypatch.setattr(lease, "EXPIRES_AFTER_S", 1.5)
    put_lease(folder_store, host="elsewhere", pid=1, started_at=1.0)
    waits: list[str] = []
    with held(folder_store, KEY, "the job night", waits.append):
        assert json.loads(folder_store.get(KEY))["host"] == socket.gethostname()
    assert "process 1 on elsewhere" in waits[0]


def test_a_holder_elsewhere_that_renews_lives(folder_store, monkeypatch):
    monkeypatch.setattr(lease, "EXPIRES_AFTER_S", 30.0)
    put_lease(folder_store, host="elsewhere", pid=1, started_at=1.0)

    def renew(_: str) -> None:
        folder_store.write(KEY, folder_store.read(KEY), 1)

    with pytest.raises(ConflictError, match="process 1 on elsewhere"), held(folder_store, KEY, "the job night", renew):
        pass


def test_it_is_renewed_while_it_is_held(folder_store, monkeypatch):
    monkeypatch.setattr(lease, "RENEWED_EVERY_S", 0.05)
    with held(folder_store, KEY, "the job night"):
        first = folder_store.read(KEY)["generation"]
        for _ in range(200):
            if folder_store.read(KEY)["generation"] > first:
                break
            lease.time.sleep(0.02)
        assert folder_store.read(KEY)["generation"] > first
