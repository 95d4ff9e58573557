"""`Footage`: frames of one camera with what a detector of motion must know of them: when, and which are neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cameras.errors import UsageError
from fleet.detector.frames import check_frames

__all__ = ["Footage"]


@dataclass(frozen=True, eq=False)
class Footage:
    """Frames in their order.

    Attributes:
        frames: uint8 (N, H, W) grey or (N, H, W, 3) colour; may be a read-only view.
        times_s: float64 (N,), seconds from any start, rising inside a clip.
        clip: int64 (N,), frames of one clip stand together; those of different clips are no neighbours.

    Raises:
        UsageError: no frames at all (see `check_frames`), or times and clips that are not theirs.
    """

    frames: NDArray[np.uint8]
    times_s: NDArray[np.float64]
    clip: NDArray[np.int64]

    def __post_init__(self) -> None:
        check_frames(self.frames)
        if self.times_s.shape != (len(self.frames),) or self.clip.shape != (len(self.frames),):
            raise UsageError(
                f"{len(self.frames)} frames come with {self.times_s.shape} times and {self.clip.shape} clips",
                "give one of each a frame",
            )
        same_clip = self.clip[1:] == self.clip[:-1]
        if (np.diff(self.times_s)[same_clip] <= 0).any():
            raise UsageError("the times of a clip's frames do not rise", "give the frames in their order")

    @classmethod
    def of(cls, frames: NDArray[np.uint8], fps: float, clip: NDArray[np.integer] | None = None) -> Footage:
        """Frames taken at a steady rate; one clip where `clip` is None."""
        clips = np.zeros(len(frames), np.int64) if clip is None else np.asarray(clip, np.int64)
        return cls(frames, np.arange(len(frames)) / fps, clips)

    @classmethod
    def captured(
        cls, frames: NDArray[np.uint8], captured_at: NDArray[np.datetime64], clip: Sequence[str] | NDArray[np.str_]
    ) -> Footage:
        """Frames as cameras give them. A clip ends where its name changes, or where time does not rise.

        Args:
            captured_at: datetime64 (N,).
            clip: N names.
        """
        times = np.asarray(captured_at).astype("datetime64[us]").astype(np.int64)
        names = np.asarray(clip, dtype=np.str_)
        ends = (names[1:] != names[:-1]) | (np.diff(times) <= 0)
        clips = np.r_[0, np.cumsum(ends)][: len(frames)]
        return cls(frames, (times - times[:1]) / 1e6, clips.astype(np.int64))

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, part: slice) -> Footage:
        return Footage(self.frames[part], self.times_s[part], self.clip[part])

    def place_in_clip(self) -> NDArray[np.int64]:
        """How many frames of its clip come before each frame: int64 (N,)."""
        starts = np.r_[True, self.clip[1:] != self.clip[:-1]][: len(self)]
        index = np.arange(len(self))
        return index - np.maximum.accumulate(np.where(starts, index, 0))
