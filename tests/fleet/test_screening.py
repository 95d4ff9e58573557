"""A first look at all points: who goes on to a full fit, and that what is spared adds up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fleet.screening import finalists, screening, screens, spared, spared_epochs, thinned
from fleet.search import TrialResult
from fleet.search_config import Point, SearchConfig, parse_search
from fleet.trial import CameraFrames

SEARCH = """\
space: {sigma: [0.1, 0.5, 1.0], lambda: [0.1, 1.0]}
incumbent: {sigma: 0.1, lambda: 1.0}
detector: {epochs: 20}
scheduler: {kind: screen, grace_epochs: 8, every: 4}
"""


@pytest.fixture
def config() -> SearchConfig:
    return parse_search(SEARCH, "x.yaml")


def looked_at(config: SearchConfig, *objectives: float | None) -> list[TrialResult]:
    return [
        TrialResult("dock", point, f"f{place}", "failed" if objective is None else "done", objective=objective)
        for place, (point, objective) in enumerate(zip(config.points(), objectives, strict=True))
    ]


def test_the_incumbent_and_the_best_point_go_on(config):
    results = looked_at(config, 0.2, None, 0.4, 0.9, 0.1, 0.3)
    finals = finalists(config, results)
    assert finals == [config.incumbent, config.points()[3]]
    others = spared(results, finals)
    assert [result.status for result in others] == ["failed", "stopped", "stopped", "stopped"]


def test_an_incumbent_that_ranks_first_goes_on_alone(config):
    assert finalists(config, looked_at(config, 0.9, None, 0.4, 0.2, 0.1, 0.3)) == [config.incumbent]


def test_where_every_point_failed_the_incumbent_says_why(config):
    assert finalists(config, looked_at(config, *[None] * 6)) == [config.incumbent]


def test_the_look_is_short_and_stops_no_point_on_the_way(config):
    look = screening(config)
    assert (look.detector.epochs, look.scheduler.kind, look.points()) == (8, "fifo", config.points())


def test_the_look_fits_each_points_own_network_and_no_other_evidence(config):
    look, point = screening(config), config.points()[2]
    assert look.detector.kind == "paper"
    assert look.detector_config(point) == replace(config.detector_config(point), epochs=8)


@pytest.mark.parametrize("epochs", [2, 3, 10, 20])
@pytest.mark.parametrize("n_finalists", [1, 2])
def test_look_finalists_and_what_is_spared_are_the_whole_grid(epochs, n_finalists):
    config = parse_search(SEARCH.replace("epochs: 20", f"epochs: {epochs}"), "x.yaml")
    spared = spared_epochs(config, n_finalists)
    assert spared >= 0
    assert 6 * screening(config).detector.epochs + n_finalists * epochs + spared == 6 * epochs


@pytest.mark.parametrize(
    ("old", "new"), [("kind: screen", "kind: fifo"), ("epochs: 20", "epochs: 1"), ("[0.1, 0.5, 1.0]", "[0.1, 0.5]")]
)
def test_there_is_no_look_where_it_spares_nothing(config, old, new):
    assert screens(config)
    assert not screens(parse_search(SEARCH.replace(old, new), "x.yaml"))


def test_the_look_sees_a_part_of_the_frames_and_its_records_are_its_own(config, monkeypatch):
    frames = np.arange(1200, dtype=np.uint8)[:, None, None] * np.ones((16, 16), np.uint8)
    monkeypatch.setattr("ray.get", lambda reference: reference)
    times, clip = np.arange(1200) * 0.5, np.repeat([0, 1], 600)
    whole = CameraFrames("dock", frames, None, "digest", times, clip)
    part = thinned({"dock": whole}, config)["dock"]
    assert part.digest != whole.digest
    assert len(whole.footage()) == 1200
    assert part.footage().times_s.tolist() == times[::4].tolist()
    assert part.footage().clip.tolist() == clip[::4].tolist()


def test_few_frames_are_not_thinned_out(config, monkeypatch):
    frames = np.zeros((300, 16, 16), np.uint8)
    monkeypatch.setattr("ray.get", lambda reference: reference)
    part = thinned({"dock": CameraFrames("dock", frames, None, "digest")}, config)["dock"]
    assert len(part.footage()) == 300
    assert part.footage().times_s.tolist() == list(range(300)), "a frame a second where nothing is known"


def test_a_point_is_what_tune_is_handed():
    from fleet.trial import point_of, work_of

    for point in (Point(sigma=0.5, lam=30, cap=None), Point(sigma=0.1, lam=1, cap=2)):
        assert point_of(work_of("dock", point)) == point
