"""`Detector`: what every fitted method is, the paper's, ours and the baselines. Fit, score, save, load; no more.

fitted = MedianFrame.fit(footage)               # a method is a class
scores = fitted.score(footage)                  # channels a frame, and one score that they come to
tensors, meta = fitted.state()                  # safetensors and JSON
the_same = MedianFrame.from_state(tensors, meta)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fleet.detector.footage import Footage

__all__ = ["Channel", "Detector", "Scores", "State"]

State = tuple[dict[str, NDArray[Any]], dict[str, Any]]
"""Arrays for safetensors, plain values for JSON."""


@dataclass(frozen=True, eq=False)
class Channel:
    """One kind of evidence.

    Attributes:
        value: float64 (N,), higher is stranger, in the channel's own units; NaN where a frame has not the context.
        tail: float64 (N,), -log of the share of the training frames at or above the value; NaN with it.
    """

    value: NDArray[np.float64]
    tail: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scores:
    """What a detector says of N frames.

    Attributes:
        score: float64 (N,), higher is stranger. Never NaN: it takes the channels that a frame has.
        pcc: float64 (N,), correlation of each frame with its reconstruction (eq 2); None where the method has none.
        channels: the evidence behind the score, by name; empty for a method of one number.
    """

    score: NDArray[np.float64]
    pcc: NDArray[np.float64] | None = None
    channels: Mapping[str, Channel] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.score)


class Detector(ABC):
    """A fitted detector of one scene.

    `fit` of each method takes the footage, the pixels that count, a seed and what is its own; the same arguments and
    number of threads give the same detector.

    Attributes:
        method: its name, as `fleet benchmark --methods` takes it.
        context: how many earlier frames of its clip a frame's score looks at. Scoring a frame with these before it
            gives what scoring the whole clip gives.
    """

    method: ClassVar[str]
    context: int = 0

    @abstractmethod
    def score(self, footage: Footage) -> Scores:
        """Scores of frames of the size and colour that it was fitted on.

        Raises:
            UsageError: frames of another shape or type.
        """

    @abstractmethod
    def state(self) -> State:
        """What `from_state` makes the same detector of; `meta["method"]` is its name."""

    @classmethod
    @abstractmethod
    def from_state(cls, tensors: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> Detector:
        """The detector of which `state` gave these.

        Raises:
            KeyError, ValueError, RuntimeError: something is missing, or does not fit the rest.
        """
