"""Why a source does not open, in our own words.

FFmpeg's and httpx's own messages hold the address with its password filled in, so none of their text is passed on:
their classes and numbers are looked up here instead.
"""

from __future__ import annotations

import errno
import socket
import ssl
from urllib.parse import urlsplit

import av.error
import httpx

from cameras.errors import SourceError
from cameras.secrets import redact

__all__ = ["cannot_open", "probe_command", "status_words", "why"]

_WORDS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    (av.error.HTTPUnauthorizedError, "authentication failed (401)"),
    (av.error.HTTPForbiddenError, "access denied (403)"),
    (av.error.HTTPNotFoundError, "not found (404)"),
    (av.error.HTTPBadRequestError, "the server refused the request (400)"),
    (av.error.HTTPTooManyRequestsError, "the server is asked too often (429)"),
    (av.error.HTTPServerError, "the server failed (5xx)"),
    (av.error.HTTPClientError, "the server refused the request (4xx)"),
    (ConnectionRefusedError, "connection refused"),
    ((ConnectionResetError, ConnectionAbortedError, BrokenPipeError), "the connection was cut"),
    (socket.gaierror, "host not found"),
    (ssl.SSLCertVerificationError, "its certificate is not trusted"),
    (ssl.SSLError, "no TLS connection"),
    (
        (av.error.ExitError, av.error.TimeoutError, TimeoutError, httpx.TimeoutException),
        "timed out after {timeout_s:g} s",
    ),
    (av.error.EOFError, "the stream ended"),
    (av.error.ProtocolNotFoundError, "this kind of address is not supported"),
    (av.error.DecoderNotFoundError, "its codec is not supported"),
    (PermissionError, "permission denied"),
    (av.error.ArgumentError, "unknown format or damaged"),  # also a format that we refuse
    (FileNotFoundError, "no such file or folder"),
    (IsADirectoryError, "it is a folder"),
    (av.error.InvalidDataError, "unknown format or damaged"),
    ((httpx.RemoteProtocolError, httpx.DecodingError), "the server does not speak HTTP"),
    (httpx.TransportError, "the connection was cut"),
)

_UNREACHABLE = {errno.ENETUNREACH: "network unreachable", errno.EHOSTUNREACH: "no route to the host"}


def why(error: BaseException, url: str = "", timeout_s: float = 0.0) -> str:
    """A clause for an exception of PyAV, httpx or the system; never any of its own text.

    Args:
        url: the address that was opened, to see whether its host has an address at all; it is not shown.
        timeout_s: what to say for a time-out.
    """
    number = getattr(error, "errno", None)
    # httpx wraps the system's error, which says more than "ConnectError".
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _UNREACHABLE:
            return _UNREACHABLE[cause.errno]
        for kinds, words in _WORDS:
            if isinstance(cause, kinds) and not isinstance(cause, httpx.ConnectError):
                return words.format(timeout_s=timeout_s)
        cause = cause.__cause__ or cause.__context__
    # FFmpeg tells a host without an address by a bare "input/output error".
    if url and not _has_address(url):
        return "host not found"
    if number == errno.EIO or isinstance(error, httpx.ConnectError):
        return "the connection failed"
    return f"it cannot be read (error {number})" if number else f"it cannot be read ({type(error).__name__})"


def status_words(status: int) -> str:
    """A clause for an HTTP status that is not 2xx."""
    words = {401: "authentication failed", 403: "access denied", 404: "not found"}
    default = "the server failed" if status >= 500 else "the server refused the request"
    return f"{words.get(status, default)} ({status})"


def probe_command(camera: str) -> str:
    """The command that shows whether a source is back."""
    return f"fleet probe {camera or 'SOURCE'}"


def cannot_open(source: str, cause: str, camera: str, remedy: str = "") -> SourceError:
    """The error for a source as it was registered; only its redacted form is shown."""
    if not remedy and "authentication" in cause:
        remedy = "check the user and password that the source refers to, then: " + probe_command(camera)
    return SourceError(f"{redact(source)}: {cause}", remedy or f"check it with: {probe_command(camera)}", camera)


def _has_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        if parts.hostname:
            socket.getaddrinfo(parts.hostname, parts.port or 554)
    except (socket.gaierror, UnicodeError):
        return False
    except ValueError:  # an address that cannot be parsed says nothing about its host
        return True
    return True
