"""A short fit of real footage: UCSD Ped2 as one camera of which one frame in five shows something unusual."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fleet.detector.config import DetectorConfig
from fleet.detector.fit import fit
from fleet.detector.reference import median_pcc

PED2 = Path(__file__).parents[3].parent / "shared/data/ucsd_ped2"
CLIPS = [f"train_{i:02d}" for i in range(1, 17)] + [f"test_{i:02d}" for i in (1, 2, 4, 5, 7, 12)]

pytestmark = [
    pytest.mark.footage,
    pytest.mark.skipif(not PED2.exists(), reason=f"the real footage is not at {PED2}: see its README"),
]


@pytest.fixture(scope="module")
def ped2() -> tuple[np.ndarray, np.ndarray]:
    """450 grey frames of 48 x 32 and their labels: every eighth."""
    frames, labels = [], []
    for clip in CLIPS:
        paths = sorted((PED2 / "frames" / clip).glob("*.jpg"))
        for path, label in list(zip(paths, np.load(PED2 / "labels" / f"{clip}.npy"), strict=True))[::8]:
            frames.append(cv2.resize(cv2.imread(str(path), 0), (48, 32), interpolation=cv2.INTER_AREA))
            labels.append(label)
    return np.stack(frames), np.array(labels)


@pytest.mark.parametrize("lam", [0.0, 1.0], ids=["plain", "entropy"])
def test_cyclists_and_carts_stand_out_on_ped2(ped2, lam: float):
    frames, labels = ped2
    detector = fit(frames, DetectorConfig(lam=lam, epochs=12))
    assert roc_auc_score(labels, -detector.pcc(frames)) > 0.82


def test_the_median_frame_alone_finds_them_too(ped2):
    frames, labels = ped2
    assert roc_auc_score(labels, -median_pcc(frames)) > 0.8
