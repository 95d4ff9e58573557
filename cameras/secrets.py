"""Secrets in sources: `${VAR}` references in, nothing out. The one place that redacts.

A camera's source may name its credentials (`rtsp://${CAM_USER}:${CAM_PASS}@host/stream`) and may not hold them. What
people, logs and errors see is the source as it was registered, passed through `redact`; the expanded one goes to the
decoder and nowhere else. Redaction parses instead of searching for known passwords, and where parsing is in doubt it
hides too much: whatever stands before the last '@', every query value, every `key=value` in a path.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from urllib.parse import quote

from cameras.errors import SourceError, UsageError

__all__ = ["check_no_secret", "expand", "redact", "references"]

HIDDEN = "***"
REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:")
# Every `name=value`, also the one that a value seems to end with: recorders write `user=u_password=p_channel=1`.
_NAMED_VALUE = re.compile(r"(?<![A-Za-z0-9-])(?=([A-Za-z0-9-]+)=(.*?)(?:[/?&;#]|_[A-Za-z]+=|$))")
_FORM = "rtsp://${CAM_USER}:${CAM_PASS}@host/stream, with the values in the environment"


def references(source: str) -> list[str]:
    """The names of the environment variables that a source refers to, in order."""
    return REFERENCE.findall(source)


def redact(source: str) -> str:
    """A source as it may be shown: `${VAR}` references stay, literal credentials become `***`.

    A plain path comes back unchanged. Applying it twice changes nothing.
    """
    head, rest = _split_scheme(source)
    if not head and not _looks_like_credentials(rest):
        return source
    before, at, after = rest.rpartition("@")
    if at and re.search("[?#=]", before):
        # Either a password with such a character in it, or an '@' inside a query's value: what follows may be secret.
        return f"{head}{HIDDEN}@{HIDDEN}"
    if at:
        before = ":".join(_hide(part) for part in _split_outside_references(before, ":"))
    location, mark, query = after.partition("?")
    location, hash_mark, _ = location.partition("#")
    shown = head + before + at + re.sub(r"=([^/]*)", lambda m: "=" + _hide(m[1]), location)
    if hash_mark:
        return shown + "#" + HIDDEN
    if mark:
        shown += "?" + "&".join(_redact_pair(pair) for pair in re.split("[&;]", query))
    return shown


def check_no_secret(source: str) -> None:
    """Refuse a source that holds a literal credential.

    Raises:
        UsageError: with the form to use instead; the message holds no part of the credential.
    """
    if re.search(r"[\s\x00-\x1f\x7f]", source) and _SCHEME.match(source):
        raise UsageError("the source holds white space or control characters", f"write it as {_FORM}")
    head, rest = _split_scheme(source)
    if not head and not _looks_like_credentials(rest):
        return
    before, at, after = rest.rpartition("@")
    user, *passwords = _split_outside_references(before, ":") if at else [""]
    literal_user = user and not REFERENCE.fullmatch(user) and not any(passwords)  # `rtsp://token@host`
    literal_password = any(p and not REFERENCE.fullmatch(p) for p in passwords)
    values = _NAMED_VALUE.findall(after)
    literal_value = any(not _is_harmless(name, value) and not REFERENCE.fullmatch(value) for name, value in values)
    if literal_user or literal_password or literal_value or (user and not _is_plain_user(user)):
        raise UsageError("the source holds a literal password, token or unknown parameter", f"refer to it: {_FORM}")


def expand(source: str, environment: Mapping[str, str] | None = None) -> str:
    """The source with its references filled in, for the decoder's eyes only.

    Values inside the credentials and the query of a URL are percent-encoded, so that a password may hold '@' or '/'.

    Raises:
        SourceError: a variable is not set; the message names the variable.
    """
    env = os.environ if environment is None else environment
    missing = [name for name in references(source) if name not in env]
    if missing:
        raise SourceError(
            f"the source refers to {missing[0]}, which is not set in the environment",
            f"set it before the command: {missing[0]}=... fleet ...",
        )
    head, rest = _split_scheme(source)
    if not head:
        return REFERENCE.sub(lambda m: env[m[1]], source)
    # Only here is a source split as a URL is: what could be in the way of that is still behind the references.
    place = re.match(r"[^/?#]*", rest)[0]  # type: ignore[index]
    credentials, at, host = place.rpartition("@")
    location, mark, query = (host + rest[len(place) :]).partition("?")

    def fill(text: str, encode: bool) -> str:
        return REFERENCE.sub(lambda m: quote(env[m[1]], safe="") if encode else env[m[1]], text)

    return head + fill(credentials, True) + at + fill(location, False) + mark + fill(query, True)


def _split_scheme(source: str) -> tuple[str, str]:
    """`rtsp://user@host` -> (`rtsp://`, `user@host`). A single slash or none counts too: a typo hides nothing."""
    match = _SCHEME.match(source)
    if not match or (os.name == "nt" and len(match[0]) == 2):
        return "", source
    head = match[0]
    rest = source[len(head) :]
    if not head[:-1].lower().startswith(("rtsp", "rtmp", "http", "file", "srt", "udp", "tcp", "ftp")) and (
        not rest.startswith("/")
    ):
        return "", source  # `user:password@host`: the colon is not a scheme's
    slashes = len(rest) - len(rest.lstrip("/"))
    return head + rest[:slashes], rest[slashes:]


def _looks_like_credentials(text: str) -> bool:
    return ":" in text.rpartition("@")[0]


def _split_outside_references(text: str, separator: str) -> list[str]:
    """Split at the first separator only: a password may hold more of them."""
    first, found, second = text.partition(separator)
    return [first, second] if found else [first]


def _is_plain_user(user: str) -> bool:
    return bool(REFERENCE.fullmatch(user) or re.fullmatch(r"[A-Za-z0-9._-]*", user))


def _is_harmless(name: str, value: str) -> bool:
    """Whether a parameter of an address says which picture is wanted, and not who asks.

    The names that cameras give to a password have no end (p, psw, psk, pas, code), so the harmless ones are listed. A
    value that is not on the list can always be referred to.
    """
    return not value or name.lower() in _HARMLESS


_HARMLESS_NAMES = """
action audio bitrate brightness camera cam ch channel chn cmd codec compression container contrast date feed format
fps framerate gop h height id input interval lang mode n name profile proto protocol q quality rate res resolution
rotate rotation scale size src stream streamtype sub subtype t text time track trackid transport transportmode
type unicast version video videocodec view w width
"""
_HARMLESS = frozenset(_HARMLESS_NAMES.split())


def _hide(value: str) -> str:
    return value if not value or REFERENCE.fullmatch(value) else HIDDEN


def _redact_pair(pair: str) -> str:
    name, equals, value = pair.partition("=")
    return f"{name}={_hide(value)}" if equals else _hide(pair)
