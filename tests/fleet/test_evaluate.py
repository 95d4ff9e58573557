"""Labels in, figures out: read strictly, matched by place in the source, measured as by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from fleet.errors import UsageError
from fleet.evaluate import evaluate, labels_of, read_labels
from fleet.scoring import Score, Verdict

THRESHOLD = 0.9


def scores(*pccs: float) -> list[Score]:
    return [
        Score(
            "dock",
            "v1",
            place,
            datetime(2026, 1, 1, tzinfo=UTC),
            Verdict(pcc, THRESHOLD, 1 - pcc, 1 - THRESHOLD, "paper", pcc < THRESHOLD),
        )
        for place, pcc in enumerate(pccs)
    ]


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
