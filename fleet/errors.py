"""Fleet's errors, for those who catch them; the tree is drawn in `cameras.errors`, the lowest package."""

from cameras.errors import (
    ConflictError,
    FleetError,
    FrameError,
    NotFoundError,
    SourceError,
    StoreError,
    UsageError,
)

__all__ = [
    "ConflictError",
    "FleetError",
    "FrameError",
    "NotFoundError",
    "SourceError",
    "StoreError",
    "UsageError",
]
