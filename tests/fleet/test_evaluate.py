"""Labels in, figures out: read strictly, matched by place in the source, measured as by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from fleet.errors import UsageError
from fleet.evaluate import (
    evaluate,
    event_recall,
    false_events,
    false_events_per_day,
    labelled_events,
    labels_of,
    read_labels,
)
from fleet.events import find_events
from fleet.scoring import Score, Verdict

THRESHOLD = 0.9


def scores(*pccs: float, frame_s: float = 1.0) -> list[Score]:
    """Scores of frames of these PCC, by the paper's rule."""
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        Score(
            "dock",
            "v1",
            place,
            begin + timedelta(seconds=place * frame_s),
            Verdict(pcc, THRESHOLD, 1 - pcc, 1 - THRESHOLD, "paper", pcc < THRESHOLD, evidence=1 - pcc),
        )
        for place, pcc in enumerate(pccs)
    ]


def flags(text: str) -> np.ndarray:
    return np.array([character == "#" for character in text], bool)


# -- reading labels


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_an_array_of_0_and_1_is_read(tmp_path, dtype):
    np.save(tmp_path / "l.npy", np.array([0, 1, 1], dtype))
    assert read_labels(tmp_path / "l.npy").tolist() == [False, True, True]


@pytest.mark.parametrize(
    "text",
    [
        "label\n0\n1\n1\n",
        "frame,label\n0,0\n1,1\n2,1.0\n",
        "label,who\r\n0,x\r\n1,y\r\n1,z\r\n",
        "\ufefflabel\n0\n1\n1\n",  # as Excel writes it
    ],
)
def test_a_csv_with_a_column_label_is_read(tmp_path, text):
    (tmp_path / "l.csv").write_text(text, encoding="utf-8", newline="")
    assert read_labels(tmp_path / "l.csv").tolist() == [False, True, True]


def npz(path):
    with open(path, "wb") as file:
        np.savez(file, a=np.zeros(3))


@pytest.mark.parametrize(
    ("name", "write", "told"),
    [
        ("none.npy", lambda path: None, "holds no labels"),
        ("empty.npy", lambda path: path.write_bytes(b""), "holds no labels"),
        ("text.npy", lambda path: path.write_bytes(b"0 1 1"), "holds no labels"),
        ("pickle.npy", lambda path: np.save(path, np.array([{}]), allow_pickle=True), "holds no labels"),
        ("archive.npy", npz, "holds no labels"),
        ("table.npy", lambda path: np.save(path, np.zeros((3, 2))), "other values than 0 and 1"),
        ("two.npy", lambda path: np.save(path, np.array([0, 2])), "other values than 0 and 1"),
        ("nan.npy", lambda path: np.save(path, np.array([0, np.nan])), "other values than 0 and 1"),
        ("nothing.npy", lambda path: np.save(path, np.zeros(0)), "other values than 0 and 1"),
        ("words.npy", lambda path: np.save(path, np.array(["0", "1"])), "other values than 0 and 1"),
        ("number.npy", lambda path: np.save(path, np.array(1)), "other values than 0 and 1"),
        ("none.csv", lambda path: None, "holds no labels"),
        ("empty.csv", lambda path: path.write_text(""), "other values than 0 and 1"),
        ("column.csv", lambda path: path.write_text("anomaly\n1\n"), "no column 'label'"),
        ("words.csv", lambda path: path.write_text("label\nyes\n"), "holds no labels"),
        ("half.csv", lambda path: path.write_text("label\n0.5\n"), "other values than 0 and 1"),
        ("short.csv", lambda path: path.write_text("frame,label\n0\n"), "no column 'label'"),
        ("binary.csv", lambda path: path.write_bytes(b"label\n\xff\xfe\n"), "holds no labels"),
        ("long.csv", lambda path: path.write_text("label\n" + "1" * 200_000), "holds no labels"),
    ],
)
def test_what_holds_no_labels_is_a_usage_error_that_names_the_file(tmp_path, name, write, told):
    path = tmp_path / name
    write(path)
    with pytest.raises(UsageError, match=told) as error:
        read_labels(path)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


# -- matching them to frames


def test_each_sampled_frame_takes_the_label_of_its_place_in_the_source():
    labels = np.array([0, 0, 0, 1, 1, 0, 0], bool)
    assert labels_of([0, 3, 6], labels).tolist() == [False, True, False]
    assert labels_of([], labels).tolist() == []


@pytest.mark.parametrize("count", [7, 8, 9])
def test_frames_at_the_end_that_sampling_left_out_may_have_labels(count):
    assert len(labels_of([0, 3, 6], np.zeros(count, bool))) == 3


@pytest.mark.parametrize("count", [0, 1, 6, 10, 100])
def test_labels_of_another_source_are_refused(count):
    with pytest.raises(UsageError, match=f"{count} labels for a source of about 7 frames"):
        labels_of([0, 3, 6], np.zeros(count, bool))


# -- measuring


def test_figures_are_those_worked_out_by_hand():
    found = evaluate("dock", scores(0.95, 0.5, 0.8, 0.99), np.array([0, 1, 0, 1], bool))
    assert (found.frames, found.anomalous, found.rule) == (4, 2, "paper")
    # Of the four pairs of an anomalous and a usual frame, two are in the right order.
    assert found.auc == found.auc_pcc == pytest.approx(0.5)
    assert (found.precision, found.recall, found.f1) == (0.5, 0.5, 0.5)
    assert found.average_precision == pytest.approx((1 / 1 + 2 / 4) / 2)


def test_a_perfect_detector_has_perfect_figures():
    found = evaluate("dock", scores(0.95, 0.5), np.array([0, 1], bool))
    assert (found.auc, found.precision, found.recall, found.f1) == (1.0, 1.0, 1.0, 1.0)


@pytest.mark.parametrize("label", [False, True])
def test_where_all_labels_are_alike_there_is_no_auc(label):
    found = evaluate("dock", scores(0.95, 0.5), np.array([label, label]))
    assert found.auc is found.auc_pcc is found.average_precision is None
    assert found.precision == (0.0 if not label else 1.0)


def test_nothing_flagged_has_no_precision_and_no_warning():
    found = evaluate("dock", scores(0.95, 0.95), np.array([0, 1], bool))
    assert (found.precision, found.recall, found.f1) == (0.0, 0.0, 0.0)


# -- events


def test_a_labelled_event_ends_with_its_clip():
    assert labelled_events(flags(".##.##"), np.array([0, 0, 0, 0, 0, 1])) == [(1, 2), (4, 4), (5, 5)]
    assert labelled_events(flags(""), np.zeros(0, np.int64)) == []
    assert labelled_events(flags("###"), np.zeros(3, np.int64)) == [(0, 2)]


def test_an_event_is_found_when_a_raised_one_shares_a_frame_with_it():
    labels = flags("..########......########..............########....")
    raised = flags("......########..............####............####..")
    times, clip = np.arange(50) * 10.0, np.zeros(50, np.int64)
    events = find_events(raised, times, clip)
    assert [(event.first, event.last) for event in events] == [(6, 13), (28, 31), (44, 47)]
    assert event_recall(events, labels, clip) == pytest.approx(2 / 3)
    assert false_events(events, labels) == 1


def test_false_events_are_counted_to_a_day_of_usual_frames():
    labels, raised = flags("####" + "." * 96), np.zeros(100, bool)
    raised[50:60] = raised[80:90] = True
    times, clip = np.arange(100) * 30.0, np.zeros(100, np.int64)
    events = find_events(raised, times, clip)
    assert false_events(events, labels) == 2
    assert false_events_per_day(events, labels, times, clip) == pytest.approx(2 * 86_400 / (96 * 30))
    assert event_recall(events, labels, clip) == 0


def test_footage_without_an_event_or_without_a_usual_frame_has_no_figure():
    clip, times = np.zeros(9, np.int64), np.arange(9.0)
    assert event_recall([], flags("." * 9), clip) is None
    assert false_events_per_day([], flags("#" * 9), times, clip) is None
    assert false_events_per_day([], flags("."), times[:1], clip[:1]) is None


def test_an_evaluation_tells_of_events_by_the_rule_in_force():
    pccs = [0.99] * 10 + [0.5] * 8 + [0.99] * 20 + [0.6] * 8 + [0.99] * 14
    labels = np.zeros(60, bool)
    labels[12:18] = labels[56:] = True
    found = evaluate("dock", scores(*pccs, frame_s=2), labels)
    assert (found.events, found.event_recall, found.false_events) == (2, 0.5, 1)
    assert found.false_events_per_day == pytest.approx(86_400 / (50 * 2))


def test_a_time_that_does_not_rise_begins_another_clip():
    """Four flagged frames, two in each of two clips, are no event."""
    two = scores(0.99, 0.99, 0.5, 0.5), scores(0.5, 0.5, 0.99, 0.99)
    assert evaluate("dock", two[0] + two[1], np.zeros(8, bool)).false_events == 0
    assert evaluate("dock", scores(0.99, 0.99, 0.5, 0.5, 0.5, 0.5), np.zeros(6, bool)).false_events == 1
