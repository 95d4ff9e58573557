"""Cameras and aliases, on both kinds of store: of two people who change one thing, one is told and nothing is lost."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cameras.camera import Camera
from fleet import layout
from fleet.errors import ConflictError, FleetError, NotFoundError, StoreError, UsageError
from fleet.registry import Registry, make_camera
from fleet.store import Store, open_store

ROUNDS = 20


def camera(camera_id: str = "dock", **fields: Any) -> Camera:
    return make_camera(id=camera_id, source="video.mp4", **fields)


def put_version(store: Store, camera_id: str, version: str) -> None:
    """All that an alias needs of a version: that its manifest is there."""
    store.put(layout.model_key(camera_id, version, "manifest.json"), b"{}")


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What each call returned, or the error it raised; they begin together."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        barrier.wait(30)
        try:
            return call()
        except FleetError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.fixture
def registry(folder_store) -> Registry:
    made = Registry(folder_store)
    made.add(camera())
    return made


# -- cameras


def test_a_camera_is_read_as_it_was_added(store):
    registry = Registry(store)
    given = camera(
        fps=1.5, size="80x48", color=True, masks=["0,0 0.5,0 0.5,0.4"], crop=(0, 0, 1, 0.5), tags={"site": "berlin"}
    )
    added = registry.add(given)
    assert added.generation == 1
    assert registry.camera("dock") == added
    assert added.model_dump(exclude={"generation"}) == given.model_dump(exclude={"generation"})


def test_an_id_that_is_taken_is_refused_unless_it_is_to_be_replaced(registry):
    with pytest.raises(ConflictError, match="camera 'dock': is registered already") as error:
        registry.add(camera(fps=9))
    assert "--replace" in str(error.value)
    assert registry.camera("dock").fps == 2
    assert registry.add(camera(fps=9), replace=True).generation == 2
    assert registry.camera("dock").fps == 9


def test_of_two_people_who_add_one_id_one_is_told(store):
    first, second = Registry(store), Registry(open_store(store.uri))
    for place in range(ROUNDS):
        name = f"cam-{place}"
        outcomes = at_once(lambda n=name: first.add(camera(n, fps=1)), lambda n=name: second.add(camera(n, fps=2)))
        told = [outcome for outcome in outcomes if isinstance(outcome, FleetError)]
        won = [outcome for outcome in outcomes if isinstance(outcome, Camera)]
        assert len(told) == len(won) == 1
        assert isinstance(told[0], ConflictError)
        assert name in str(told[0])
        assert first.camera(name) == won[0]


def test_of_two_people_who_edit_one_camera_neither_change_is_lost(registry):
    """The one who is told edits again, and both changes are there."""
    store = registry.store
    for place in range(ROUNDS):
        calls = (
            lambda p=place: registry.edit("dock", {"fps": 1 + p}),
            lambda p=place: Registry(store).edit("dock", {"tags": {"round": str(p)}}),
        )
        for call, outcome in zip(calls, at_once(*calls), strict=True):
            if isinstance(outcome, FleetError):
                assert isinstance(outcome, ConflictError)
                call()
        now = registry.camera("dock")
        assert (now.fps, now.tags) == (1 + place, {"round": str(place)})
    assert registry.camera("dock").generation == 1 + 2 * ROUNDS


def test_editing_changes_what_was_named_and_nothing_else(registry):
    before = registry.camera("dock")
    after = registry.edit("dock", {"fps": 5, "id": "other", "generation": 40})
    assert (after.id, after.fps, after.generation) == ("dock", 5, 2)
    unchanged = before.model_dump(exclude={"fps", "generation"})
    assert after.model_dump(exclude={"fps", "generation"}) == unchanged
    assert registry.camera("dock") == after


@pytest.mark.parametrize(
    "changes",
    [
        {"fps": 0},
        {"fps": float("nan")},
        {"size": "huge"},
        {"colour": True},
        {"source": "rtsp://user:secret@host/x"},
        {"tags": {"no good": "x"}},
        {"crop": (1, 0, 0, 1)},
        {"masks": ["0,0 1,1"]},
    ],
)
def test_an_edit_that_is_wrong_is_refused_and_changes_nothing(registry, changes):
    before = registry.camera("dock")
    with pytest.raises(UsageError, match="camera 'dock'") as error:
        registry.edit("dock", changes)
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)
    assert registry.camera("dock") == before


def test_a_camera_that_is_not_registered_is_not_found(registry):
    for call in (
        lambda: registry.camera("gate"),
        lambda: registry.edit("gate", {"fps": 1}),
        lambda: registry.remove("gate"),
        lambda: registry.promote("gate", "v1"),
        lambda: registry.rollback("gate"),
    ):
        with pytest.raises(NotFoundError, match="camera 'gate': is not registered"):
            call()


@pytest.mark.parametrize("name", ["Dock 3", "../dock", "", "a" * 64, "rtsp://host/x"])
def test_what_cannot_be_an_id_is_not_found_either(registry, name):
    with pytest.raises(NotFoundError, match="no such camera"):
        registry.camera(name)


@pytest.mark.parametrize("text", ["{", "[]", '{"id": "dock"}', '{"id": "dock", "source": "a.mp4", "fps": "often"}'])
def test_a_damaged_record_is_an_error_that_names_the_camera(registry, text):
    registry.store.put(layout.camera_key("dock"), text.encode())
    for call in (lambda: registry.camera("dock"), registry.cameras):
        with pytest.raises(StoreError, match=r"dock.*damaged") as error:
            call()
        assert "\n" not in str(error.value)


def test_a_damaged_record_can_be_replaced(registry):
    registry.store.put(layout.camera_key("dock"), b'{"id": "dock", "generation": 7}')
    assert registry.add(camera(), replace=True).generation == 8


def test_cameras_are_listed_by_id_and_by_tags(store):
    registry = Registry(store)
    for name, tags in (("b", {"site": "berlin"}), ("a", {"site": "berlin", "floor": "1"}), ("c", {})):
        registry.add(camera(name, tags=tags))
    assert [each.id for each in registry.cameras()] == ["a", "b", "c"]
    assert [each.id for each in registry.cameras({"site": "berlin"})] == ["a", "b"]
    assert [each.id for each in registry.cameras({"site": "berlin", "floor": "1"})] == ["a"]
    assert registry.cameras({"site": "bonn"}) == []


def test_select_takes_ids_or_a_tag_or_all(registry):
    registry.add(camera("gate", tags={"site": "berlin"}))
    assert [each.id for each in registry.select(["gate", "dock", "gate"], everything=False, tags={})] == [
        "gate",
        "dock",
    ]
    assert [each.id for each in registry.select([], everything=True, tags={})] == ["dock", "gate"]
    assert [each.id for each in registry.select([], everything=False, tags={"site": "berlin"})] == ["gate"]


def test_select_refuses_none_and_two_of_them(registry):
    for ids, everything, tags in (
        ([], False, {}),
        (["dock"], True, {}),
        ([], True, {"a": "b"}),
        (["x"], False, {"a": "b"}),
    ):
        with pytest.raises(UsageError, match="--all, or --tag"):
            registry.select(ids, everything=everything, tags=tags)


def test_select_of_nothing_is_an_error_that_says_what_to_do(registry, tmp_path):
    with pytest.raises(NotFoundError, match="no camera with this tag"):
        registry.select([], everything=False, tags={"site": "mars"})
    with pytest.raises(NotFoundError, match="fleet add-camera"):
        Registry(open_store(tmp_path / "empty")).select([], everything=True, tags={})
    with pytest.raises(NotFoundError, match="camera 'gate': is not registered"):
        registry.select(["dock", "gate"], everything=False, tags={})


# -- removal


def fill(store: Store, camera_id: str) -> list[str]:
    """Something of everything that belongs to a camera; the keys."""
    keys = [
        f"{layout.recordings_prefix(camera_id)}date=2026-01-01/x.parquet",
        layout.trial_key(camera_id, "f" * 20, "trial.json"),
        layout.model_key(camera_id, "v1", "manifest.json"),
        layout.model_key(camera_id, "v1", "model.safetensors"),
    ]
    for key in keys:
        store.put(key, b"{}")
    return keys


def test_removing_a_camera_keeps_its_recordings_and_models_for_when_it_comes_back(store):
    registry = Registry(store)
    registry.add(camera())
    keys = fill(store, "dock")
    registry.promote("dock", "v1")
    assert registry.remove("dock") == 0
    assert registry.cameras() == []
    assert all(store.get(key) is not None for key in keys)
    registry.add(camera())
    assert registry.aliases("dock").champion is None, "it may have come back with another view"
    assert registry.rollback("dock").champion == "v1"


def test_another_source_in_its_place_is_not_scored_by_the_old_scenes_model(store):
    registry = Registry(store)
    registry.add(camera())
    fill(store, "dock")
    registry.promote("dock", "v1")
    registry.add(camera(), replace=True)
    assert registry.aliases("dock").champion == "v1"
    registry.add(camera().model_copy(update={"source": "elsewhere"}), replace=True)
    assert (registry.aliases("dock").champion, registry.aliases("dock").previous) == (None, "v1")


def test_replacing_repairs_a_damaged_record(store):
    registry = Registry(store)
    for damaged in (b"not json", b'{"id": "bad"}'):
        store.put(layout.camera_key("dock"), damaged)
        assert registry.add(camera(), replace=True).id == "dock"
        assert registry.camera("dock").generation == 1


def test_a_damaged_record_does_not_hide_the_others(store):
    registry = Registry(store)
    registry.add(camera())
    store.put(layout.camera_key("gate"), b"not json")
    told = []
    assert [found.id for found in registry.cameras(on_damaged=told.append)] == ["dock"]
    assert "gate" in str(told[0])
    with pytest.raises(StoreError):
        registry.cameras()


def test_an_edit_from_an_old_record_is_told(store):
    """Masks are merged from what was read: another's mask, drawn meanwhile, must not get lost."""
    registry = Registry(store)
    before = registry.add(camera())
    registry.edit("dock", {"fps": 3})
    with pytest.raises(ConflictError, match="somebody else"):
        registry.edit("dock", {"fps": 4}, expected_generation=before.generation)


def test_purging_a_camera_leaves_nothing_of_it_and_all_of_its_neighbour(store):
    registry = Registry(store)
    for name in ("dock", "dock-2"):
        registry.add(camera(name))
        fill(store, name)
    registry.promote("dock", "v1")
    assert registry.remove("dock", purge=True) == 5  # four objects and the aliases
    left = [key for key in store.list("") if key != layout.STORE]
    assert len(left) == 5
    assert all("dock-2" in key for key in left)


def test_a_purge_that_was_cut_short_can_be_asked_for_again(registry, monkeypatch):
    fill(registry.store, "dock")
    delete = Store.delete

    def fail_at_models(store: Store, key: str) -> None:
        if key.startswith("models/"):
            raise StoreError("the power is gone", "plug it in")
        delete(store, key)

    monkeypatch.setattr(Store, "delete", fail_at_models)
    with pytest.raises(StoreError):
        registry.remove("dock", purge=True)
    monkeypatch.undo()
    registry.remove("dock", purge=True)
    assert list(registry.store.list("")) == [layout.STORE]


# -- aliases


def test_before_the_first_model_all_aliases_are_empty(registry):
    aliases = registry.aliases("dock")
    assert (aliases.champion, aliases.challenger, aliases.previous, aliases.generation) == (None, None, None, 0)


def test_promoting_and_rolling_back_change_places(store):
    registry = Registry(store)
    registry.add(camera())
    for version in ("v1", "v2"):
        put_version(store, "dock", version)
        registry.promote("dock", version, why="better")
    now = registry.aliases("dock")
    assert (now.champion, now.previous, now.generation, now.why) == ("v2", "v1", 2, "better")
    assert now.changed_at is not None
    assert now.changed_at.tzinfo is not None
    assert "@" in now.changed_by
    back = registry.rollback("dock")
    assert (back.champion, back.previous) == ("v1", "v2")
    assert registry.rollback("dock").champion == "v2"


def test_promoting_the_champion_again_changes_nothing(registry):
    put_version(registry.store, "dock", "v1")
    before = registry.promote("dock", "v1")
    assert registry.promote("dock", "v1", why="again") == before


def test_only_a_version_that_is_there_can_be_promoted(registry):
    for version in ("v9", "", "x" * 500, "../gate/v1", "./v1", "v1/"):
        with pytest.raises(NotFoundError, match="no model version") as error:
            registry.promote("dock", version)
        assert "fleet models dock" in str(error.value)


def test_a_rollback_needs_a_previous_champion_that_is_still_there(registry):
    with pytest.raises(NotFoundError, match="no previous champion"):
        registry.rollback("dock")
    for version in ("v1", "v2"):
        put_version(registry.store, "dock", version)
        registry.promote("dock", version)
    registry.store.delete(layout.model_key("dock", "v1", "manifest.json"))
    with pytest.raises(NotFoundError, match="no model version 'v1'"):
        registry.rollback("dock")
    assert registry.aliases("dock").champion == "v2"


def test_of_two_people_who_promote_at_once_one_is_told(store):
    first, second = Registry(store), Registry(open_store(store.uri))
    first.add(camera())
    for version in ["start", *(f"{who}-{place}" for who in "ab" for place in range(ROUNDS))]:
        put_version(store, "dock", version)
    first.promote("dock", "start")
    for place in range(ROUNDS):
        before = first.aliases("dock")
        outcomes = at_once(
            lambda p=place, g=before.generation: first.promote("dock", f"a-{p}", expected_generation=g),
            lambda p=place, g=before.generation: second.promote("dock", f"b-{p}", expected_generation=g),
        )
        told = [outcome for outcome in outcomes if isinstance(outcome, FleetError)]
        assert len(told) == 1
        assert isinstance(told[0], ConflictError)
        assert "dock" in str(told[0])
        (won,) = (outcome for outcome in outcomes if not isinstance(outcome, FleetError))
        after = first.aliases("dock")
        assert after == won
        assert (after.previous, after.generation) == (before.champion, before.generation + 1)


def test_a_decision_on_aliases_that_changed_since_is_refused(registry):
    for version in ("v1", "v2"):
        put_version(registry.store, "dock", version)
    seen = registry.aliases("dock")
    registry.promote("dock", "v1")
    with pytest.raises(ConflictError, match="v1 was made champion by") as error:
        registry.promote("dock", "v2", expected_generation=seen.generation)
    assert "fleet models dock" in str(error.value)
    assert registry.aliases("dock").champion == "v1"


@pytest.mark.parametrize("content", ["[", '{"champion": 5, "camera": "dock"}', '{"champion": "v1"}'])
def test_damaged_aliases_are_an_error_in_one_line(registry, content):
    registry.store.put(layout.alias_key("dock"), content.encode())
    with pytest.raises(StoreError, match="damaged") as error:
        registry.aliases("dock")
    assert "\n" not in str(error.value)


def test_records_in_the_store_are_plain_json(store):
    Registry(store).add(camera(tags={"site": "berlin"}))
    record = json.loads(store.get(layout.camera_key("dock")) or b"")
    assert (record["id"], record["size"], record["tags"]) == ("dock", "96x64", {"site": "berlin"})
