"""What a replica knows of the fleet: as new as a second, and never less because a record or the store is damaged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleet.errors import NotFoundError, StoreError
from fleet.registry import Registry, make_camera
from fleet.store import Store
from serve import directory as module
from serve.directory import Directory


def add(store: Store, camera: str) -> None:
    Registry(store).add(make_camera(id=camera, source=f"/footage/{camera}.mp4"))


def crown(store: Store, camera: str, version: str) -> None:
    """Make a version the champion, without a model behind it."""
    store.put(f"models/{camera}/{version}/manifest.json", b"{}")
    Registry(store).promote(camera, version)


@pytest.fixture
def make_directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Store], Directory]]:
    """A directory that looks again only when it is told to."""
    monkeypatch.setattr(module, "REFRESH_S", 3600.0)
    made: list[Directory] = []

    def make(store: Store) -> Directory:
        made.append(Directory(store))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_knows_cameras_and_champions(store: Store, make_directory: Callable[[Store], Directory]) -> None:
    add(store, "dock-2")
    add(store, "dock-1")
    crown(store, "dock-1", "v1")
    known = make_directory(store)
    assert [camera.id for camera in known.cameras()] == ["dock-1", "dock-2"]
    assert known.camera("dock-1").source == "/footage/dock-1.mp4"
    assert (known.champion("dock-1"), known.champion("dock-2")) == ("v1", None)


def test_refresh_sees_what_changed(store: Store, make_directory: Callable[[Store], Directory]) -> None:
    add(store, "dock-1")
    crown(store, "dock-1", "v1")
    known = make_directory(store)
    add(store, "dock-2")
    crown(store, "dock-1", "v2")
    Registry(store).edit("dock-1", {"fps": 9.0})
    known.refresh()
    assert known.champion("dock-1") == "v2"
    assert known.camera("dock-1").fps == 9.0
    Registry(store).rollback("dock-1")
    Registry(store).remove("dock-2")
    known.refresh()
    assert known.champion("dock-1") == "v1"
    assert [camera.id for camera in known.cameras()] == ["dock-1"]


def test_only_what_changed_is_read(
    folder_store: Store, make_directory: Callable[[Store], Directory], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand cameras cost two listings a second, not a thousand reads."""
    for place in range(5):
        add(folder_store, f"dock-{place}")
    known = make_directory(folder_store)
    read: list[str] = []
    real = folder_store.get
    monkeypatch.setattr(folder_store, "get", lambda key: read.append(key) or real(key))
    known.refresh()
    assert read == []
    crown(folder_store, "dock-3", "v1")
    read.clear()
    known.refresh()
    assert read == ["aliases/dock-3.json"]


def test_an_unknown_camera_is_looked_for_once_more(
    folder_store: Store, make_directory: Callable[[Store], Directory], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = make_directory(folder_store)
    monkeypatch.setattr(module, "REFRESH_S", 0.0)
    add(folder_store, "dock-1")
    crown(folder_store, "dock-1", "v1")
    assert known.camera("dock-1").id == "dock-1"
    assert known.champion("dock-1") == "v1"


def test_requests_for_what_is_not_there_do_not_wear_the_store_out(
    folder_store: Store, make_directory: Callable[[Store], Directory], monkeypatch: pytest.MonkeyPatch
) -> None:
    add(folder_store, "dock-1")
    known = make_directory(folder_store)
    listed: list[str] = []
    real = folder_store.list
    monkeypatch.setattr(folder_store, "list", lambda prefix: listed.append(prefix) or real(prefix))
    for _ in range(100):
        with pytest.raises(NotFoundError, match="GET /cameras lists"):
            known.camera("dock-9")
        assert known.champion("dock-1") is None
    assert listed == []


@pytest.mark.parametrize("key", ["cameras/dock-2.json", "aliases/dock-2.json"])
@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"id": 7}', b'{"camera": "dock-2", "champion": 7}'])
def test_a_damaged_record_hides_no_other_camera(
    key: str, damage: bytes, folder_store: Store, make_directory: Callable[[Store], Directory]
) -> None:
    for camera in ("dock-1", "dock-2"):
        add(folder_store, camera)
        crown(folder_store, camera, "v1")
    known = make_directory(folder_store)
    folder_store.put(key, damage)
    crown(folder_store, "dock-1", "v2")
    known.refresh()
    assert known.champion("dock-1") == "v2"
    assert known.champion("dock-2") == "v1", "the last that could be read"
    assert known.camera("dock-2").id == "dock-2"


def test_a_record_that_could_not_be_read_once_is_read_again(
    folder_store: Store, make_directory: Callable[[Store], Directory], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store stumbles between the listing and the reading: the new champion is not lost for ever."""
    add(folder_store, "dock-1")
    known = make_directory(folder_store)
    crown(folder_store, "dock-1", "v1")
    real = folder_store.get

    def stumble(key: str) -> bytes | None:
        raise StoreError("does not answer")

    monkeypatch.setattr(folder_store, "get", stumble)
    known.refresh()
    monkeypatch.setattr(folder_store, "get", real)
    known.refresh()
    assert known.champion("dock-1") == "v1"


def test_stays_with_what_it_knows_while_the_store_is_away(
    folder_store: Store, make_directory: Callable[[Store], Directory], monkeypatch: pytest.MonkeyPatch
) -> None:
    add(folder_store, "dock-1")
    crown(folder_store, "dock-1", "v1")
    known = make_directory(folder_store)

    def away(prefix: str) -> dict[str, str]:
        raise StoreError("does not answer")

    monkeypatch.setattr(folder_store, "list", away)
    with pytest.raises(StoreError):
        known.refresh()
    assert known.champion("dock-1") == "v1"
    assert known.camera("dock-1").id == "dock-1"


@pytest.mark.parametrize("trouble", [StoreError("does not answer"), RuntimeError("a bug")], ids=["store", "bug"])
def test_keeps_fresh_by_itself_and_after_trouble(
    trouble: Exception, folder_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REFRESH_S", 0.02)
    real = folder_store.list
    failures = iter([trouble] * 3)

    def stumble(prefix: str) -> dict[str, str]:
        for failure in failures:
            raise failure
        return real(prefix)

    known = Directory(folder_store)
    try:
        monkeypatch.setattr(folder_store, "list", stumble)
        add(folder_store, "dock-1")
        deadline = time.monotonic() + 5
        while not known.cameras():
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        known.close()


def test_a_thousand_cameras_are_known_quickly(
    folder_store: Store, make_directory: Callable[[Store], Directory]
) -> None:
    """Bounded generously: half a minute would mean that something is read for each camera again and again."""
    add(folder_store, "dock-0")
    record = folder_store.get("cameras/dock-0.json") or b""
    folder = Path(folder_store.uri) / "cameras"
    for place in range(1, 1000):
        (folder / f"dock-{place}.json").write_bytes(record.replace(b"dock-0", f"dock-{place}".encode()))
    started = time.monotonic()
    known = make_directory(folder_store)
    assert len(known.cameras()) == 1000
    assert time.monotonic() - started < 15
