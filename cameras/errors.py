"""What can go wrong, and what a person does next.

    FleetError                the root: catch it to catch them all
    ├── UsageError            the request can never work as it was given (exit 2, HTTP 422)
    │   └── FrameError        bytes that are no usable picture (exit 1, HTTP 422)
    ├── SourceError           a camera's source does not open or stops giving frames (exit 1, HTTP 502)
    ├── NotFoundError         a camera, version or recording that is not in the store (exit 1, HTTP 404)
    ├── ConflictError         somebody else changed the same thing first (exit 1, HTTP 409)
    └── StoreError            the store does not answer, refuses, or holds something unreadable (exit 1, HTTP 503)

Every message is one line: the camera where there is one, the cause, and the next command to type. It lives in the
lowest package because all packages raise these.
"""

from __future__ import annotations

__all__ = [
    "ConflictError",
    "FleetError",
    "FrameError",
    "NotFoundError",
    "SourceError",
    "StoreError",
    "UsageError",
]


class FleetError(Exception):
    """A failure with a cause and a remedy.

    Args:
        cause: what went wrong, a clause without a full stop.
        remedy: what to do next, best a command to type.
        camera: the camera's id, where one is concerned.
    """

    exit_code = 1
    http_status = 500

    def __init__(self, cause: str, remedy: str = "", camera: str = "") -> None:
        # One line, whatever a library put into its own message.
        self.cause = " ".join(cause.split())
        self.remedy = remedy
        self.camera = camera
        super().__init__(cause, remedy, camera)  # all three, so that the error survives a trip between processes

    def __str__(self) -> str:
        where = f"camera '{self.camera}': " if self.camera else ""
        return f"{where}{self.cause}" + (f" — {self.remedy}" if self.remedy else "")

    def about(self, camera: str) -> FleetError:
        """The same error, naming the camera it concerns (a name already there stays)."""
        return type(self)(self.cause, self.remedy, self.camera or camera)


class UsageError(FleetError):
    exit_code = 2
    http_status = 422


class FrameError(UsageError):
    exit_code = 1


class SourceError(FleetError):
    http_status = 502


class NotFoundError(FleetError):
    http_status = 404


class ConflictError(FleetError):
    http_status = 409


class StoreError(FleetError):
    http_status = 503
