"""`clean_part`: what one-class methods are fitted on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fleet.detector.footage import Footage

__all__ = ["clean_part"]


def clean_part(footage: Footage, anomalous: NDArray[np.bool_]) -> Footage:
    """The frames that are not anomalous; a clip with a gap becomes several, so that none looks across what is left out.

    Scoring the whole footage then scores these frames a second time, as in the paper: a network that remembers what it
    was shown separates them from all others, anomalous or only new. Such an AUC says little of footage to come.

    Args:
        footage: N frames.
        anomalous: bool (N,), the true labels: one-class methods know them of their training footage.
    """
    kept = np.flatnonzero(~np.asarray(anomalous, np.bool_))
    follows = np.diff(kept) == 1
    follows &= footage.clip[kept[1:]] == footage.clip[kept[:-1]]
    clip = np.r_[0, np.cumsum(~follows)][: len(kept)].astype(np.int64)
    return Footage(footage.frames[kept], footage.times_s[kept], clip)
