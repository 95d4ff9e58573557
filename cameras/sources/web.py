"""What a web address serves: an MJPEG stream, a snapshot or a video, told by its content type.

Credentials are taken off the address and sent only when the server asks for them (Basic or Digest), redirects are
followed only within the same host, and the environment's proxy is left alone: it would see the credentials.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from ssl import SSLContext
from typing import NamedTuple

import httpx

from cameras.sources.failure import status_words, why
from cameras.sources.live import Broken

__all__ = ["ContentType", "WebAddress", "last_modified"]

# httpx logs each address it asks for, query and all, at INFO.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)

_MAX_REDIRECTS = 5


class ContentType(NamedTuple):
    """`multipart/x-mixed-replace; boundary=frame` -> its kind and its boundary."""

    kind: str
    boundary: str

    @classmethod
    def of(cls, response: httpx.Response) -> ContentType:
        kind, *parameters = response.headers.get("content-type", "").split(";")
        boundary = ""
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "boundary":
                boundary = value.strip().strip('"')
        return cls(kind.strip().lower(), boundary)


class WebAddress:
    """One address that is asked again and again over kept connections; not for two threads at once."""

    def __init__(self, address: str, open_timeout_s: float, read_timeout_s: float) -> None:
        """Raises: Broken: the address cannot be parsed."""
        try:
            url = httpx.URL(address)
            self._user, self._password = url.username, url.password
            self.url = url.copy_with(username=None, password=None)
            if not self.url.host:
                raise ValueError
        except (httpx.InvalidURL, ValueError, UnicodeError):
            raise Broken("this is no web address") from None
        self._read_timeout_s = read_timeout_s
        self._open_timeout_s = open_timeout_s
        self._auth: httpx.Auth | None = None
        self._client = httpx.Client(
            timeout=httpx.Timeout(read_timeout_s, connect=open_timeout_s),
            trust_env=False,
            verify=_certificates(),
            headers={"user-agent": "fleet", "accept-encoding": "identity"},
        )

    @contextmanager
    def get(self) -> Iterator[httpx.Response]:
        """A response whose body is not read yet.

        Raises:
            Broken: no connection, a status that is not 2xx, or a redirect to another host.
        """
        response = self._ask()
        try:
            yield response
        except httpx.HTTPError as error:
            raise Broken(self._why(error)) from None
        finally:
            response.close()

    def _ask(self) -> httpx.Response:
        url = self.url
        for _ in range(_MAX_REDIRECTS):
            response = self._send(url)
            if response.status_code == 401 and self._auth is None and (self._user or self._password):
                response.close()
                asked_for = response.headers.get("www-authenticate", "").lower()
                digest = "digest" in asked_for
                self._auth = (httpx.DigestAuth if digest else httpx.BasicAuth)(self._user, self._password)
                response = self._send(url)
            if response.is_success:
                return response
            response.close()
            if not response.is_redirect or response.next_request is None:
                raise Broken(status_words(response.status_code))
            target = response.next_request.url
            if target.host != url.host or (url.scheme == "https" and target.scheme != "https"):
                raise Broken("it redirects to another host")
            url = target.copy_with(username=None, password=None)
        raise Broken("it redirects without an end")

    def _send(self, url: httpx.URL) -> httpx.Response:
        try:
            return self._client.send(self._client.build_request("GET", url), stream=True, auth=self._auth)
        except (httpx.HTTPError, OSError, ValueError) as error:
            raise Broken(self._why(error)) from None

    def _why(self, error: Exception) -> str:
        connecting = isinstance(error, httpx.ConnectTimeout)
        return why(error, timeout_s=self._open_timeout_s if connecting else self._read_timeout_s)

    def with_credentials(self, url: httpx.URL) -> str:
        """The address that a response came from at last, for FFmpeg to open."""
        if not (self._user or self._password):
            return str(url)
        return str(url.copy_with(username=self._user, password=self._password))

    def close(self) -> None:
        self._client.close()


def last_modified(response: httpx.Response) -> datetime:
    """When the server says the body was changed, else now; UTC."""
    try:
        return parsedate_to_datetime(response.headers["last-modified"]).astimezone(UTC)
    except (KeyError, ValueError, TypeError):
        return datetime.now(UTC)


@lru_cache(maxsize=1)
def _certificates() -> SSLContext:
    """Trusted certificates: those of SSL_CERT_FILE, else certifi's. Loading them takes 20 ms, so once."""
    return httpx.create_ssl_context()
