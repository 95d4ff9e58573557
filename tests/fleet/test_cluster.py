"""Which Ray a command works on, and that what a killed one left does not stay for ever."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from fleet.cluster import Head, connect, head_of, scratch_folder, write_head
from fleet.errors import FleetError


@pytest.fixture
def me() -> Head:
    process = psutil.Process()
    return Head(process.pid, process.create_time(), "127.0.0.1:6379", "http://127.0.0.1:8000")


# -- the head that serves a store


def test_a_head_is_found_while_its_process_lives(folder_store, me):
    assert head_of(folder_store) is None
    write_head(folder_store, me)
    assert head_of(folder_store) == me
    write_head(folder_store, None)
    write_head(folder_store, None)  # one that is not there is no error
    assert head_of(folder_store) is None


def test_a_head_whose_process_is_gone_is_none(folder_store, me):
    with subprocess.Popen(["sleep", "60"]) as process:
        born = psutil.Process(process.pid).create_time()
        write_head(folder_store, Head(process.pid, born, me.address, me.url))
        assert head_of(folder_store) is not None
        process.kill()
    assert head_of(folder_store) is None


def test_another_process_with_the_same_number_is_not_the_head(folder_store, me):
    write_head(folder_store, Head(me.pid, me.started_at - 100, me.address, me.url))
    assert head_of(folder_store) is None


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "5", '{"pid": 1}', '{"pid": "x", "started_at": 0, "address": "", "url": ""}']
)
def test_a_damaged_note_of_a_head_is_none(folder_store, me, content):
    write_head(folder_store, me)
    (folder_store.run_folder / "serve.json").write_text(content)
    assert head_of(folder_store) is None


def test_stores_have_run_folders_of_their_own(store, folder_store, tmp_path, me):
    from fleet.store import open_store

    other = open_store(tmp_path / "other")
    assert len({store.run_folder, other.run_folder}) == 2
    write_head(other, me)
    assert list(other.list("")) == [], "the run folder is no content of the store"


# -- scratch folders


def test_a_scratch_folder_is_gone_with_its_block():
    with scratch_folder("test") as folder:
        (folder / "deep").mkdir()
        assert len(str(folder)) < 40, "Unix sockets go into it, and their paths have an end"
    assert not folder.exists()


def test_what_a_killed_process_left_is_swept_and_what_lives_is_not(tmp_path):
    name = f"test{os.getpid()}"
    hold = (
        "import sys, time; from fleet.cluster import scratch_folder\n"
        f"with scratch_folder({name!r}) as folder: print(folder, flush=True); time.sleep(60)"
    )
    processes = [subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        folders = [Path((process.stdout.readline() if process.stdout else "").strip()) for process in processes]
        (folders[0] / "session").mkdir()
        processes[0].kill()
        processes[0].wait()
        with scratch_folder(name):
            assert folders[0].exists(), "a folder so young may be somebody's who is about to lock it"
        long_ago = time.time() - 3600
        for folder in folders:
            os.utime(folder, (long_ago, long_ago))
        with scratch_folder(name) as own:
            assert not folders[0].exists()
            assert folders[1].exists()
            assert own.exists()
    finally:
        for process in processes:
            process.kill()
            process.communicate()
        for folder in folders:
            if folder.exists():
                (folder / "session").rmdir() if (folder / "session").exists() else None
                folder.rmdir()


# -- connecting


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "no.such.host.invalid:6379", "127.0.0.1:port"])
def test_a_cluster_that_is_not_there_is_an_error_in_one_line(folder_store, address):
    with (
        pytest.raises(FleetError, match=f"there is no Ray cluster at '{address}'") as error,
        connect(folder_store, address),
    ):
        pass
    assert "--address" in str(error.value)
    assert "\n" not in str(error.value)


def _lives(pid: int, born: float) -> bool:
    """That very process: the number may be another's by now."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).create_time() == born
    return False


@pytest.mark.slow
def test_an_own_ray_leaves_nothing_behind(tmp_path):
    """Neither a process, nor a folder, nor a file in the home folder."""
    script = (
        "import json, os, ray; from fleet.cluster import own_ray\n"
        "with own_ray():\n"
        "    import psutil\n"
        "    children = [[child.pid, child.create_time()] for child in psutil.Process().children(recursive=True)]\n"
        "    folder = ray._private.worker._global_node.get_temp_dir_path()\n"
        "print(json.dumps({'children': children, 'folder': folder}))"
    )
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    left = json.loads(done.stdout)
    assert done.stderr == ""
    assert left["children"], "it had processes"
    assert left["folder"].startswith("/tmp/fleet-ray-")
    assert not Path(left["folder"]).exists()
    assert [pid for pid, born in left["children"] if _lives(pid, born)] == []
    assert [path.name for path in home.rglob("*") if path.is_file()] == []
