"""Jobs: the same command finds what it left unfinished, and nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cameras.camera import Camera
from fleet import layout
from fleet.errors import ConflictError, StoreError, UsageError
from fleet.jobs import CameraResult, finish_job, finished_cameras, plan_job, write_camera_state
from fleet.registry import make_camera


@pytest.fixture
def cameras() -> list[Camera]:
    return [make_camera(id=name, source="video.mp4", search="quick") for name in ("dock", "gate")]


def test_the_same_command_resumes_the_unfinished_job(store, cameras):
    first = plan_job(store, cameras)
    again = plan_job(store, list(reversed(cameras)))
    assert (first.resumed, again.resumed) == (False, True)
    assert (again.name, again.created_at, again.generation) == (first.name, first.created_at, first.generation)


def test_a_finished_job_is_not_resumed(store, cameras):
    first = plan_job(store, cameras, name="night")
    finish_job(store, first)
    assert store.read(layout.job_key("night", "manifest.json"))["status"] == "finished"
    assert not plan_job(store, cameras).resumed


def test_a_job_of_other_cameras_or_another_search_is_not_resumed(folder_store, cameras, tiny_search):
    names = {
        plan_job(folder_store, cameras).name,
        plan_job(folder_store, cameras[:1]).name,
        plan_job(folder_store, cameras, "default").name,
        plan_job(folder_store, cameras, str(tiny_search)).name,
    }
    assert len(names) == 4


def test_a_search_file_that_was_edited_makes_another_job(folder_store, cameras, tiny_search):
    plan_job(folder_store, cameras, str(tiny_search))
    tiny_search.write_text(tiny_search.read_text() + "margin: 3\n")
    assert not plan_job(folder_store, cameras, str(tiny_search)).resumed


def test_fresh_begins_anew_and_leaves_other_jobs_their_points(folder_store, cameras):
    first = plan_job(folder_store, cameras, name="first")
    folder_store.put(layout.trial_key("dock", "f" * 20, "trial.json"), b"{}")
    fresh = plan_job(folder_store, cameras, name="second", fresh=True)
    assert (fresh.name, fresh.resumed) == ("second", False)
    assert fresh.salt != first.salt, "a point of it would have the fingerprint of an earlier one"
    assert plan_job(folder_store, cameras, name="second").salt == fresh.salt
    assert len(folder_store.list("trials/")) == 1


@pytest.mark.parametrize("change", [{"source": "other"}, {"fps": 9}, {"size": "32x32"}, {"masks": ("0,0 1,0 1,1",)}])
def test_a_camera_that_was_edited_since_makes_it_another_job(folder_store, cameras, change):
    first = plan_job(folder_store, cameras)
    edited = make_camera(**{**cameras[0].model_dump(), **change})
    assert plan_job(folder_store, [edited, *cameras[1:]]).name != first.name


def test_a_job_that_was_given_up_by_fresh_is_never_resumed(folder_store, cameras):
    plan_job(folder_store, cameras, name="z-given-up")
    finish_job(folder_store, plan_job(folder_store, cameras, name="a-fresh", fresh=True))
    assert not plan_job(folder_store, cameras).resumed


def test_a_name_resumes_its_job_and_refuses_another_plan(folder_store, cameras):
    plan_job(folder_store, cameras, name="night")
    assert plan_job(folder_store, cameras, name="night").resumed
    with pytest.raises(UsageError, match="'night' is of other cameras or another search") as error:
        plan_job(folder_store, cameras[:1], name="night")
    assert "--job NAME" in str(error.value)


def test_jobs_within_one_second_do_not_meet(folder_store, cameras):
    """Each is named after its second, so the second one waits for the next."""
    names = []
    for _ in range(2):
        job = plan_job(folder_store, cameras)
        finish_job(folder_store, job)
        names.append(job.name)
    assert len(set(names)) == 2


def test_the_name_of_a_finished_job_is_taken(folder_store, cameras):
    finish_job(folder_store, plan_job(folder_store, cameras, name="night"))
    for fresh in (False, True):
        with pytest.raises(ConflictError, match="job 'night'") as error:
            plan_job(folder_store, cameras, name="night", fresh=fresh)
        assert "--job NAME" in str(error.value)


@pytest.mark.parametrize("name", ["../night", "a/b", "/night", "", " ", "Ω", "n" * 101])
def test_a_name_that_makes_no_key_is_refused(folder_store, cameras, name):
    with pytest.raises(UsageError, match="no name of a job"):
        plan_job(folder_store, cameras, name=name)


def test_a_search_that_is_wrong_names_the_camera_whose_own_it_is(folder_store, cameras, tmp_path):
    (tmp_path / "bad.yaml").write_text("epochs: 3")
    camera = make_camera(id="gate", source="video.mp4", search=str(tmp_path / "bad.yaml"))
    with pytest.raises(UsageError, match=r"camera 'gate': bad\.yaml: line 1: epochs"):
        plan_job(folder_store, [cameras[0], camera])
    with pytest.raises(UsageError, match=r"^bad\.yaml: line 1: epochs"):
        plan_job(folder_store, cameras, str(tmp_path / "bad.yaml"))
    assert list(folder_store.list("jobs/")) == []


def test_of_two_who_finish_one_job_the_second_is_told(folder_store, cameras):
    job = plan_job(folder_store, cameras, name="night")
    finish_job(folder_store, job)
    with pytest.raises(ConflictError):
        finish_job(folder_store, job)


@pytest.mark.parametrize("content", [b"{}", b'{"status": "running"}'])
def test_a_jobs_manifest_that_says_nothing_is_no_unfinished_job(folder_store, cameras, content):
    folder_store.put(layout.job_key("odd", "manifest.json"), content)
    assert not plan_job(folder_store, cameras).resumed


def test_a_jobs_manifest_that_is_torn_is_named(folder_store, cameras):
    folder_store.put(layout.job_key("odd", "manifest.json"), b"{")
    with pytest.raises(StoreError, match=r"jobs/odd/manifest\.json"):
        plan_job(folder_store, cameras)


def test_cameras_that_are_done_are_found_and_failed_ones_are_not(store, cameras):
    job = plan_job(store, cameras)
    done = CameraResult("dock", version="v1", sigma=0.1, lam=1.0, frames=48)
    write_camera_state(store, job, "dock", state="done", result=done.to_dict())
    write_camera_state(store, job, "gate", state="failed", result=CameraResult("gate", error="no").to_dict())
    assert finished_cameras(store, job) == {}, "a job that was just begun has no past"
    assert finished_cameras(store, plan_job(store, cameras)) == {"dock": done}


def test_a_result_says_lambda_to_the_world_and_comes_back():
    result = CameraResult("dock", lam=0.5)
    row = result.to_dict()
    assert row["lambda"] == 0.5
    assert "lam" not in row
    assert CameraResult.from_dict(row) == result


def test_jobs_are_named_after_their_time_and_plan(folder_store, cameras):
    job = plan_job(folder_store, cameras)
    assert job.name == f"{job.created_at:%Y%m%dT%H%M%SZ}-{job.plan}"
    assert job.created_at.utcoffset() == timedelta(0)
