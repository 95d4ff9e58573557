"""The object store, a folder and a real S3 server alike: whole writes, one winner, and errors that say what to do."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fleet import backends
from fleet.errors import ConflictError, FleetError, StoreError, UsageError
from fleet.local_s3 import LocalS3
from fleet.store import SCHEMA_VERSION, Store, open_store

ROUNDS, RACERS = 20, 8


class Lossy:
    """A backend whose network fails as it is told to: the one fake, at the boundary where a network would be."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.unreachable_for = 0
        self.loses_replies = False

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if self.unreachable_for > 0:
                self.unreachable_for -= 1
                raise backends.Unreachable("no route")
            return getattr(self.backend, name)(*arguments)

        return call

    def put_if(self, key: str, data: bytes, tag: str | None) -> bool:
        """With a lost reply the first request wrote, and the second one, sent again, is refused."""
        won = self.backend.put_if(key, data, tag)
        return bool(won) and not (self.loses_replies and key != "store.json")


def lossy(store: Store, patience_s: float = 5.0) -> tuple[Store, Lossy]:
    backend = Lossy(store._backend)
    return Store(store.uri, backend, store.run_folder, patience_s), backend


def one_line(error: FleetError) -> str:
    text = str(error)
    assert "\n" not in text
    assert error.remedy
    return text


# -- bytes


def test_what_was_put_is_got_listed_and_deleted(store):
    assert store.get("a/b.bin") is None
    store.put("a/b.bin", b"\0\xff")
    store.put("a/b.bin", b"two")
    store.put("a/c/d.bin", b"")
    store.put("ab.bin", b"three")
    assert store.get("a/b.bin") == b"two"
    assert store.get("a/c/d.bin") == b""
    assert list(store.list("a/")) == ["a/b.bin", "a/c/d.bin"]
    assert list(store.list("a")) == ["a/b.bin", "a/c/d.bin", "ab.bin"]
    assert list(store.list("")) == ["a/b.bin", "a/c/d.bin", "ab.bin", "store.json"]
    assert list(store.list("none/")) == []
    store.delete("a/b.bin")
    store.delete("a/b.bin")  # one that is not there is no error
    assert store.get("a/b.bin") is None
    assert store.delete_all("a/") == 1
    assert list(store.list("a/")) == []


def test_a_key_is_no_prefix_of_itself_as_a_folder(store):
    store.put("a/b.bin", b"x")
    assert store.get("a") is None


def test_a_listing_longer_than_one_page_is_whole(store):
    keys = [f"many/{place:04d}" for place in range(1_010 if "s3://" in store.uri else 50)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: store.put(key, b""), keys))
    assert list(store.list("many/")) == keys


def test_a_tag_changes_with_every_other_content(store):
    store.put("a.bin", b"one")
    before = store.list("a.bin")
    assert store.list("a.bin") == before
    store.put("a.bin", b"two")
    assert store.list("a.bin") != before


def test_the_first_write_marks_the_store_and_opening_it_does_not(store):
    assert list(open_store(store.uri).list("")) == []
    store.put("a.bin", b"x")
    assert store.read("store.json")["schema_version"] == SCHEMA_VERSION


def test_a_store_is_opened_again_by_its_own_name(store):
    store.put("a.bin", b"x")
    assert open_store(store.uri).get("a.bin") == b"x"


def test_tables_are_read_where_dataset_root_points(store):
    import pyarrow.dataset

    from fleet.tables import table_to_bytes

    for day in ("2026-01-01", "2026-01-02"):
        store.put(f"scores/date={day}/part.parquet", table_to_bytes([{"score": 0.5}]))
    filesystem, root = store.dataset_root()
    table = pyarrow.dataset.dataset(f"{root}/scores", filesystem=filesystem, partitioning="hive").to_table()
    assert table.sort_by("date").to_pylist() == [
        {"score": 0.5, "date": "2026-01-01"},
        {"score": 0.5, "date": "2026-01-02"},
    ]


def test_a_key_that_leads_out_of_the_store_is_refused(store):
    for key in ("../x", "a/../../x", "a/..", "/etc/passwd", "a\0b", ""):
        calls: list[Callable[[str], Any]] = [store.get, store.delete, store.read]
        calls += [lambda k: store.put(k, b"x"), lambda k: store.write(k, {}, 0)]
        calls += [store.list, store.delete_all] if key else []  # all keys begin with nothing
        for call in calls:
            with pytest.raises(UsageError, match="no key of a store"):
                call(key)


# -- whole or not at all


def test_a_reader_sees_one_content_or_the_other_never_a_mixture(store):
    contents = [bytes([letter]) * 400_000 for letter in b"ab"]
    store.put("x/big.bin", contents[0])
    ended = threading.Event()

    def write() -> None:
        for place in range(40):
            store.put("x/big.bin", contents[place % 2])
        ended.set()

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        while not ended.is_set() and not writing.done():
            assert store.get("x/big.bin") in contents
            assert list(store.list("x/")) == ["x/big.bin"]
        writing.result()


def test_what_a_killed_writer_left_is_neither_listed_nor_half(tmp_path):
    """A process that writes without end is killed; everything that is listed afterwards is whole."""
    script = (
        "import sys; from fleet.store import open_store; store = open_store(sys.argv[1])\n"
        "for place in range(10**6): store.put(f'x/{place % 7}.bin', b'x' * 5_000_000); print(place, flush=True)"
    )
    killed_writing = 0
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "store")], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout
        process.stdout.readline()
        time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        store = open_store(tmp_path / "store")
        assert all(len(store.get(key) or b"") == 5_000_000 for key in store.list("x/"))
        killed_writing = sum(path.name.startswith(".") for path in (tmp_path / "store" / "x").iterdir())
        if killed_writing:
            break
    assert killed_writing, "no writer was killed in the middle of a write: this proved nothing"


def test_writing_and_deleting_side_by_side_never_fails(folder_store):
    """`delete` takes empty folders away, also the one into which somebody is about to write."""

    def work(worker: int) -> None:
        for place in range(150):
            folder_store.put(f"a/b/{worker}", b"x")
            folder_store.delete(f"a/b/{worker}")
            if place % 10 == 0:
                folder_store.list("a/")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert list(folder_store.list("a/")) == []
    assert not (Path(folder_store.uri) / "a").exists()


# -- manifests


def test_a_generation_grows_by_one_with_every_write(store):
    assert store.write("m.json", {"a": "Ω"}, 0) == {"a": "Ω", "generation": 1}
    assert store.write("m.json", {"a": 2, "generation": 77}, 1) == {"a": 2, "generation": 2}
    assert store.read("m.json") == {"a": 2, "generation": 2}


@pytest.mark.parametrize("generation", [0, 1, 3])
def test_a_write_on_another_generation_is_refused(store, generation):
    store.write("m.json", {"by": "first"}, 0)
    store.write("m.json", {"by": "second"}, 1)
    with pytest.raises(ConflictError, match="changed by somebody else"):
        store.write("m.json", {"by": "third"}, generation)
    assert store.read("m.json")["by"] == "second"


def test_a_write_on_a_manifest_that_was_deleted_is_refused(store):
    store.write("m.json", {}, 0)
    store.delete("m.json")
    with pytest.raises(ConflictError):
        store.write("m.json", {}, 1)
    assert store.get("m.json") is None


def check_that_one_of_eight_wins(store: Store) -> None:
    barrier = threading.Barrier(RACERS)

    def race(racer: int) -> list[bool]:
        own = open_store(store.uri)  # as a process of its own would have it
        won = []
        for generation in range(ROUNDS):
            barrier.wait(30)
            try:
                own.write("race.json", {"by": racer, "of": generation}, generation)
                won.append(True)
            except ConflictError:
                won.append(False)
            barrier.wait(30)
            last = own.read("race.json")
            assert last is not None
            assert (last["generation"], last["of"]) == (generation + 1, generation)
            assert won[-1] == (last["by"] == racer)
        return won

    with ThreadPoolExecutor(RACERS) as pool:
        outcomes = list(pool.map(race, range(RACERS)))
    assert [sum(of_round) for of_round in zip(*outcomes, strict=True)] == [1] * ROUNDS


def test_of_eight_writers_of_one_generation_exactly_one_wins(folder_store):
    check_that_one_of_eight_wins(folder_store)


@pytest.mark.slow
def test_of_eight_writers_of_one_generation_on_s3_exactly_one_wins(s3_keys: LocalS3, tmp_path):
    check_that_one_of_eight_wins(open_store(s3_keys.uri(f"race-{os.getpid()}-{tmp_path.name}")))


def test_of_eight_processes_that_write_one_generation_exactly_one_wins(folder_store):
    """Rounds begin by the clock; a process that wins one tries the next, so each round has somebody who could win."""
    script = """
import sys, time
from fleet.errors import ConflictError
from fleet.store import open_store
store, racer, start = open_store(sys.argv[1]), sys.argv[2], float(sys.argv[3])
for generation in range(int(sys.argv[4])):
    time.sleep(max(0.0, start + 0.03 * generation - time.time()))
    try:
        store.write("race.json", {"by": racer}, generation)
        print(1)
    except ConflictError:
        print(0)
"""
    start = str(time.time() + 2.5)
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", script, folder_store.uri, str(racer), start, str(ROUNDS)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for racer in range(RACERS)
    ]
    outcomes = [[int(line) for line in racer.communicate(timeout=60)[0].split()] for racer in racers]
    assert [sum(of_round) for of_round in zip(*outcomes, strict=True)] == [1] * ROUNDS
    assert folder_store.read("race.json")["generation"] == ROUNDS


def test_a_write_whose_reply_was_lost_has_succeeded(store):
    """The request is sent again and refused, because the first one had arrived."""
    through, backend = lossy(store)
    through.write("m.json", {"by": "me"}, 0)
    backend.loses_replies = True
    assert through.write("m.json", {"by": "me again"}, 1)["generation"] == 2
    assert store.read("m.json") == {"by": "me again", "generation": 2}


def test_a_write_that_somebody_else_won_is_not_taken_for_a_lost_reply(folder_store):
    through, backend = lossy(folder_store)
    through.write("m.json", {"by": "me"}, 0)
    answer = backend.put_if

    def put_if(key: str, data: bytes, tag: str | None) -> bool:
        folder_store.write("m.json", {"by": "somebody"}, 1)
        return answer(key, data, tag)

    backend.put_if = put_if  # type: ignore[method-assign]
    with pytest.raises(ConflictError):
        through.write("m.json", {"by": "me again"}, 1)
    assert folder_store.read("m.json")["by"] == "somebody"


def test_a_store_that_comes_back_in_time_is_not_noticed(folder_store):
    through, backend = lossy(folder_store)
    through.put("a.bin", b"x")
    backend.unreachable_for = 2
    assert through.get("a.bin") == b"x"


def test_a_store_that_does_not_come_back_is_an_error_after_the_patience(folder_store):
    through, backend = lossy(folder_store, patience_s=0.5)
    backend.unreachable_for = 10**6
    with pytest.raises(StoreError, match="does not answer: no route") as error:
        through.get("a.bin")
    assert "fleet doctor" in one_line(error.value)


def test_a_mark_that_did_not_get_through_is_written_by_the_next_write(folder_store):
    through, backend = lossy(folder_store, patience_s=0.0)
    backend.unreachable_for = 1
    with pytest.raises(StoreError):
        through.put("a.bin", b"x")
    through.put("a.bin", b"x")
    assert list(folder_store.list("")) == ["a.bin", "store.json"]


def test_a_damaged_manifest_is_named(store):
    for data in (b"", b"{", b"[1]", b'"text"', b"\xff\xfe", b"null"):
        store.put("m.json", data)
        with pytest.raises(StoreError, match=r"m\.json .*is damaged") as error:
            store.read("m.json")
        one_line(error.value)
        with pytest.raises(StoreError, match="is damaged"):
            store.write("m.json", {}, 0)


# -- the schema


def test_a_newer_store_is_refused_with_the_upgrade(store):
    store.put("store.json", json.dumps({"schema_version": SCHEMA_VERSION + 1}).encode())
    with pytest.raises(StoreError, match=f"schema {SCHEMA_VERSION + 1}") as error:
        open_store(store.uri)
    assert "pip install --upgrade" in one_line(error.value)


@pytest.mark.parametrize("text", ["{}", '{"schema_version": "one"}', '{"schema_version": null}', "not JSON"])
def test_a_damaged_mark_is_an_error_in_one_line(folder_store, text):
    folder_store.put("store.json", text.encode())
    with pytest.raises(StoreError, match=r"store\.json .*is damaged") as error:
        open_store(folder_store.uri)
    one_line(error.value)


# -- names that are no store


def test_a_file_is_no_store(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="is a file") as error:
        open_store(tmp_path / "file")
    assert "--store DIR" in one_line(error.value)


def test_a_folder_that_cannot_be_made_is_an_error_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be used: not a directory") as error:
        open_store(tmp_path / "file" / "store").put("a.bin", b"x")
    assert "--store DIR" in one_line(error.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_rights_is_an_error_in_one_line(tmp_path):
    folder = tmp_path / "store"
    folder.mkdir(mode=0o500)
    with pytest.raises(StoreError, match="cannot be used: permission denied") as error:
        open_store(folder).put("a.bin", b"x")
    one_line(error.value)


@pytest.mark.parametrize("name", ["gs://bucket/x", "http://host/x", "S3://bucket/x"])
def test_another_scheme_is_refused(name):
    with pytest.raises(UsageError, match="a folder or s3://"):
        open_store(name)


@pytest.mark.parametrize(
    "name",
    [
        "s3://AKIAHUSH:wJalrHUSH@bucket/prefix",
        "s3://AKIAHUSH@bucket/prefix",
        "s3://bucket/prefix?access_key=AKIAHUSH&secret_key=wJalrHUSH",
        "s3://bucket/prefix?endpoint_override=AKIAHUSH:wJalrHUSH@host:9000",
        "s3://bucket/prefix?endpoint_override=http://AKIAHUSH:wJalrHUSH@host:9000",
        "s3://bucket/prefix?session_token=HUSH",
    ],
)
def test_keys_in_the_name_are_refused_and_not_repeated(name):
    with pytest.raises(UsageError, match="holds keys") as error:
        open_store(name)
    assert "HUSH" not in str(error.value)
    assert "HUSH" not in repr(error.value)
    assert "AWS_ACCESS_KEY_ID" in one_line(error.value)


@pytest.mark.parametrize("name", ["s3://", "s3:///prefix", "s3://bucket/p?colour=blue", "s3://[bucket/p"])
def test_a_malformed_name_is_answered_with_the_form(name):
    with pytest.raises(UsageError, match="malformed") as error:
        open_store(name)
    assert "s3://bucket/prefix" in one_line(error.value)


def test_a_name_that_no_bucket_can_have_is_a_usage_error(s3_keys):
    with pytest.raises(UsageError, match="no bucket's name") as error:
        open_store(f"s3://Not_A Bucket!/x?endpoint_override=127.0.0.1:{s3_keys.port}&scheme=http")
    one_line(error.value)


def test_an_endpoint_that_is_no_address_is_a_usage_error(s3_keys):
    with pytest.raises(UsageError, match="no address") as error:
        open_store("s3://bucket/x?endpoint_override=http://:::bad:::/")
    one_line(error.value)


# -- S3 that refuses, or is not there


def test_wrong_keys_are_named_as_that(s3_keys: LocalS3, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(StoreError, match="refuses these keys") as error:
        open_store(s3_keys.uri("x"))
    assert "AWS_SECRET_ACCESS_KEY" in one_line(error.value)


def test_unknown_keys_are_named_as_that(s3_keys: LocalS3, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    with pytest.raises(StoreError, match="refuses these keys"):
        open_store(s3_keys.uri("x"))


def test_no_keys_are_named_as_that(s3_keys: LocalS3, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(StoreError, match="there are no keys") as error:
        open_store(s3_keys.uri("x"))
    one_line(error.value)


def test_a_missing_bucket_is_named(s3_keys: LocalS3):
    with pytest.raises(StoreError, match="bucket 'nowhere' does not exist") as error:
        open_store(s3_keys.uri("x").replace("s3://fleet", "s3://nowhere")).put("a.bin", b"x")
    one_line(error.value)


def test_an_endpoint_where_nothing_listens_is_given_up_after_the_patience(s3_keys: LocalS3):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        name = s3_keys.uri("x").replace(str(s3_keys.port), str(probe.getsockname()[1]))
        started = time.monotonic()
        with pytest.raises(StoreError, match="does not answer") as error:
            open_store(name, patience_s=1.0)
    assert time.monotonic() - started < 10
    assert "fleet doctor" in one_line(error.value)


def test_a_server_that_takes_connections_and_never_answers_is_given_up(s3_keys: LocalS3, monkeypatch):
    monkeypatch.setattr(backends, "READ_TIMEOUT_S", 0.5)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        name = s3_keys.uri("x").replace(str(s3_keys.port), str(mute.getsockname()[1]))
        started = time.monotonic()
        with pytest.raises(StoreError, match="does not answer"):
            open_store(name, patience_s=0.5)
    assert time.monotonic() - started < 10


@pytest.mark.slow
def test_every_write_that_was_acknowledged_survives_the_servers_death(tmp_path, monkeypatch):
    """A server is killed while a patient store writes: no write fails, none is lost, none is torn."""
    server = LocalS3(tmp_path / "s3")
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    server.start()
    try:
        store = open_store(server.uri("x"), patience_s=60)
        store.write("m.json", {}, 0)

        def write(place: int) -> None:
            store.put(f"a/{place:03d}", b"%d" % place * 20_000)
            assert store.get("m.json") is not None, "an object is hidden by an outage"

        with ThreadPoolExecutor(4) as pool:
            writing = [pool.submit(write, place) for place in range(300)]
            while sum(future.done() for future in writing) < 60:
                time.sleep(0.01)
            server.kill()
            time.sleep(1.0)
            server.start()
            for future in writing:
                future.result(timeout=90)
        assert store.write("m.json", {}, 1)["generation"] == 2
        assert list(store.list("a/")) == [f"a/{place:03d}" for place in range(300)]
        assert all(store.get(f"a/{place:03d}") == b"%d" % place * 20_000 for place in range(300))
    finally:
        server.kill()
