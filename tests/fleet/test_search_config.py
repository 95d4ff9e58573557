"""Search files: those that travel with Fleet, and mistakes answered with the file, the line and the rule."""

from __future__ import annotations

import pytest

from fleet.detector import DetectorConfig
from fleet.detector.config import light_config
from fleet.detector.objectives import OBJECTIVES
from fleet.errors import UsageError
from fleet.search_config import Point, SearchConfig, built_in_searches, load_search, parse_search


def refused(text: str) -> str:
    with pytest.raises(UsageError) as error:
        parse_search(text, "mine.yaml")
    message = str(error.value)
    assert "\n" not in message
    return message


def test_four_searches_travel_with_fleet():
    assert built_in_searches() == ["default", "paper", "paper-quick", "quick"]
    for name in built_in_searches():
        assert load_search(name).name == name


def test_paper_is_the_papers_search():
    paper = load_search("paper")
    assert paper.space.sigma == paper.space.lam == (0.01, 0.05, 0.1, 0.5, 1.0)
    assert len(paper.points()) == 25
    assert (paper.detector.epochs, paper.detector.learning_rate, paper.detector.latent) == (70, 5e-4, 32)
    assert (paper.detector.error_scale, paper.detector.batch_size, paper.detector.kernel) == (
        "none",
        "by-camera",
        "norm",
    )
    assert paper.detector.kappa == 0.5
    assert paper.scheduler.kind == "fifo"


def test_paper_is_fitted_with_the_papers_settings():
    paper = load_search("paper")
    assert paper.detector_config(paper.incumbent) == DetectorConfig(
        sigma=0.1, lam=1.0, latent=32, epochs=70, error_scale="none"
    )


@pytest.mark.parametrize("name", ["default", "quick"])
def test_the_default_kind_searches_the_cap_of_the_light_network(name):
    search = load_search(name)
    assert search.detector.kind == "evidence"
    assert search.detector_config(search.incumbent) == light_config(epochs=search.detector.epochs)
    assert None in {point.cap for point in search.points()}, "auto is among them"


def test_an_empty_file_is_the_defaults():
    for text in ("", "# nothing\n", "---\n"):
        assert parse_search(text, "mine.yaml") == SearchConfig(name="mine")
    assert SearchConfig().detector_config(SearchConfig().incumbent) == light_config()
    assert SearchConfig().points() == [SearchConfig().incumbent]


def test_a_file_of_the_papers_kind_has_the_papers_defaults():
    mine = parse_search("detector: {kind: paper, epochs: 3}\nspace: {sigma: [0.1]}", "mine.yaml")
    assert mine.detector_config(mine.incumbent) == DetectorConfig(sigma=0.1, lam=1.0, epochs=3)
    assert (mine.space.sigma, mine.space.lam) == ((0.1,), load_search("paper").space.lam)


def test_a_cap_is_a_number_or_auto():
    mine = parse_search("space: {cap: [auto, 0, 1.5]}\nincumbent: {cap: 2}", "mine.yaml")
    assert [point.cap for point in mine.points()] == [2, None, 0, 1.5]
    assert [mine.detector_config(point).cap for point in mine.points()] == [2, None, 0, 1.5]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_margin_is_the_objectives_own_where_the_file_says_none(name):
    assert parse_search(f"objective: {name}", "mine.yaml").margin == OBJECTIVES[name].margin
    assert parse_search(f"objective: {name}\nmargin: 7", "mine.yaml").margin == 7


def test_the_margin_of_a_file_without_an_objective_is_the_default_objectives():
    assert SearchConfig().margin == OBJECTIVES[SearchConfig().objective].margin


def test_the_incumbent_comes_first_and_once():
    for text in ("incumbent: {sigma: 0.5, lambda: 0.5}", "incumbent: {sigma: 7, lambda: 7}"):
        config = parse_search(f"detector: {{kind: paper}}\n{text}", "mine.yaml")
        points = config.points()
        assert points[0] == config.incumbent
        assert len(set(points)) == len(points)
    assert len(points) == 26


def test_a_file_is_found_by_its_path(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("detector: {epochs: 3}")
    config = load_search(str(path))
    assert (config.name, config.detector.epochs) == ("mine", 3)


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_bytes(b"\xff")])
def test_what_is_no_file_of_text_is_answered_with_the_choices(tmp_path, make):
    path = tmp_path / "mine.yaml"
    make(path)
    with pytest.raises(UsageError, match="there is no search") as error:
        load_search(str(path))
    assert "default, paper, paper-quick, quick, or a YAML file" in str(error.value)


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        pytest.param("margin: 1\nbudget: 5", 2, "budget", id="unknown key"),
        pytest.param("detector:\n  epochs: 3\n  dropout: 0.1", 3, "detector.dropout", id="unknown key further in"),
        pytest.param("detector:\n  epochs: many", 2, "detector.epochs", id="word for a number"),
        pytest.param("detector:\n  epochs: 1.5", 2, "detector.epochs", id="fraction for a whole number"),
        pytest.param("\n\ndetector: 5", 3, "detector", id="number for a mapping"),
        pytest.param("space:\n  sigma: 0.1", 2, "space.sigma", id="number for a list"),
        pytest.param("space:\n  sigma:\n  - 0.1\n  - .nan", 4, "space.sigma.1", id="NaN"),
        pytest.param("margin: .inf", 1, "margin", id="infinity"),
        pytest.param("space:\n  lambda: [0.1, -1]", 2, "space.lambda.1", id="negative"),
        pytest.param("space:\n  sigma: [0]", 2, "space.sigma.0", id="zero where it divides"),
        pytest.param("space:\n  sigma: []", 2, "space.sigma", id="empty list"),
        pytest.param("margin: 1\nspace:\n  sigma: [0.1, 0.5, 0.1]", 3, "a value stands here twice", id="duplicate"),
        pytest.param("detector:\n  epochs: 0", 2, "detector.epochs", id="no epochs"),
        pytest.param("detector:\n  batch_size: -4", 2, "detector.batch_size", id="negative batch"),
        pytest.param("detector:\n  batch_size: 1", 2, "detector.batch_size", id="batch of one"),
        pytest.param("scheduler:\n  kind: bayes", 2, "'fifo', 'asha' or 'screen'", id="unknown scheduler"),
        pytest.param(
            "scheduler: {kind: asha,\n  reduction_factor: 1}", 2, "scheduler.reduction_factor", id="no halving"
        ),
        pytest.param("space:\n  cap: [0, none]", 2, "space.cap.1", id="a cap that is no number"),
        pytest.param("space:\n  cap: [auto, auto]", 2, "a value stands here twice", id="auto twice"),
        pytest.param("detector: {kind: best}", 1, "'evidence' or 'paper'", id="unknown kind"),
        pytest.param("detector: {alpha: 1}", 1, "alpha", id="what only the detector knows to be wrong"),
        pytest.param("detector: {kind: paper}\nspace:\n  cap: [1]", 3, "a penalty has no cap", id="cap of a penalty"),
        pytest.param("detector: {kind: paper}\nincumbent: {cap: 1}", 2, "a penalty has no cap", id="cap to beat"),
        pytest.param("margin: 0\nobjective: auc", 2, "bic-gain", id="unknown objective"),
        pytest.param("incumbent:\n  sigma: 0.1\n  lamda: 1", 3, "incumbent.lamda", id="misspelt"),
        pytest.param("name: other", 1, "'name' is the file's own", id="name"),
        pytest.param("margin: 1\nspace: [", 2, "", id="malformed"),
        pytest.param("margin: 1\n\tspace: 1", 2, "", id="tab"),
        pytest.param("a: *b", 1, "alias", id="unknown alias"),
        pytest.param("margin: !!python/object:os.system x", 1, "constructor", id="a Python object"),
        pytest.param("- 1\n- 2", 1, "a search file is a mapping", id="list"),
        pytest.param("[]", 1, "a search file is a mapping", id="empty list of all"),
        pytest.param("just words", 1, "a search file is a mapping", id="words"),
        pytest.param("0", 1, "a search file is a mapping", id="nought"),
    ],
)
def test_a_mistake_is_answered_with_its_line(text, line, told):
    message = refused(text)
    assert message.startswith(f"mine.yaml: line {line}:")
    assert told in message


@pytest.mark.parametrize("text", ["margin: 2024-13-45", "margin: " + "9" * 5000, "[" * 5000, "margin: \0"])
def test_what_yaml_itself_chokes_on_is_one_line_too(text):
    assert refused(text).startswith("mine.yaml:")


def test_a_digest_changes_with_the_content_and_not_with_the_name():
    one, other = parse_search("margin: 1", "a.yaml"), parse_search("margin: 1.0", "b.yaml")
    assert one.digest() == other.digest()
    assert one.digest() != parse_search("margin: 2", "a.yaml").digest()


@pytest.mark.parametrize(("given", "taken"), [("by-camera", None), ("64", 64)])
def test_settings_become_the_detectors_own(given, taken):
    config = parse_search(f"detector: {{batch_size: {given}, epochs: 9}}", "mine.yaml")
    made = config.detector_config(Point(sigma=0.5, lam=0.05))
    assert (made.sigma, made.lam, made.epochs, made.batch_size) == (0.5, 0.05, 9, taken)


@pytest.mark.parametrize("name", built_in_searches())
def test_every_point_of_a_built_in_search_is_one_that_the_detector_takes(name):
    config = load_search(name)
    for point in config.points():
        config.detector_config(point)
