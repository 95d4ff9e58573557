"""`Frame`: the thing that flows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Frame"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of one camera.

    Attributes:
        image: RGB, uint8, shape (height, width, 3), as the source gave it: neither masked nor resized.
        captured_at: when it was captured, UTC.
        index: its place in the source, from 0, counting the frames that sampling left out (labels are per source
            frame); for a live stream the frames read since it was opened.
        clip: the subfolder of an image folder it came from; empty elsewhere.
    """

    image: np.ndarray
    captured_at: datetime
    index: int
    clip: str = ""
