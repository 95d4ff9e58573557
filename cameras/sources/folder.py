"""Folders of pictures: every file is a frame, in natural order; subfolders are clips."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from cameras.errors import FrameError, SourceError
from cameras.frame import Frame
from cameras.images import decode_image
from cameras.secrets import redact
from cameras.sources.source import Source

__all__ = ["ImageFolder", "PictureReader", "natural_key", "shown_path"]

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})


class ImageFolder(Source):
    """Pictures `*.jpg`, `*.jpeg`, `*.png` in a folder, then those in its subfolders, clip by clip.

    `fps` does not sample, it gives the frames their times: the first file's modification time, then 1/fps s apart.

    Raises:
        SourceError: no picture in it; on reading, a damaged file or one of another size than the first.
    """

    def __init__(self, path: Path, fps: float, *, source: str, camera: str = "") -> None:
        self._fps = fps
        self.kind = "image folder"
        self._files = [(file, "") for file in _pictures(path)]
        for folder in sorted((p for p in path.iterdir() if p.is_dir()), key=natural_key):
            self._files += [(file, folder.name) for file in _pictures(folder)]
        if not self._files:
            raise SourceError(
                f"no .jpg, .jpeg or .png in '{redact(source)}' or its subfolders", "check the path with ls", camera
            )
        self._read = PictureReader(path, source, camera)
        self._started_at = datetime.fromtimestamp(self._files[0][0].stat().st_mtime, UTC)

    def __iter__(self) -> Iterator[Frame]:
        for index, (file, clip) in enumerate(self._files):
            yield Frame(self._read(file), self._started_at + timedelta(seconds=index / self._fps), index, clip)


class PictureReader:
    """Reads one picture file after another and sees to it that they are of one size.

    Args:
        root: the folder that was opened; `source` names it in messages, as it was registered.

    Raises:
        SourceError: a file is missing, damaged, or of another size than the first.
    """

    def __init__(self, root: Path, source: str, camera: str) -> None:
        self._root, self._source, self._camera = root, source, camera
        self._first: tuple[str, str] | None = None

    def __call__(self, file: Path) -> np.ndarray:
        name = f"'{shown_path(file, self._root, self._source)}'"
        try:
            image = decode_image(file.read_bytes(), name)
        except FrameError as error:
            raise SourceError(error.cause, "delete or copy it again", self._camera) from None
        except OSError as error:
            known = {2: "is missing", 13: "may not be read (permission denied)"}
            words = known.get(error.errno or 0, f"cannot be read (error {error.errno})")
            raise SourceError(f"{name} {words}", "copy it again or check the folder", self._camera) from None
        size = f"{image.shape[1]}x{image.shape[0]}"
        if self._first is None:
            self._first = (name, size)
        elif size != self._first[1]:
            raise SourceError(
                f"{name} is {size}, but {self._first[0]} is {self._first[1]}",
                "a source holds pictures of one size: move it away",
                self._camera,
            )
        return image


def shown_path(file: Path, root: Path, source: str) -> str:
    """A file inside a source as messages name it: the source as it was registered, then the way from there."""
    return f"{redact(source).rstrip('/')}/{file.relative_to(root)}"


def natural_key(path: Path | str) -> list[tuple[int, int | str]]:
    """`2.jpg` before `10.jpg`: the digits of a name are compared as numbers."""
    name = path.name if isinstance(path, Path) else path
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", name) if part]


def _pictures(folder: Path) -> list[Path]:
    return sorted((p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES and p.is_file()), key=natural_key)
