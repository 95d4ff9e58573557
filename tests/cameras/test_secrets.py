from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from cameras.camera import Camera, validation_message
from cameras.errors import SourceError, UsageError
from cameras.secrets import check_no_secret, expand, redact, references

# Distinctive: no address below holds these runs of letters by chance, whatever characters come between them.
CORES = st.sampled_from(["Qzxjv", "Wkqzj", "Xvvqk"])
ODD = st.text(st.sampled_from("@:/#?&=;%+ $é漢\\'\"()[]{}~!*,.-_0aZ"), max_size=6)
SECRETS = st.builds(lambda a, core, b: a + core + b, ODD, CORES, ODD)
SCHEMES = st.sampled_from(
    ["rtsp://", "rtsps://", "http://", "https://", "RTSP://", "rtsp:/", "rtsp:", "http:///", "", "rtsp//", "srt://"]
)
USERS = st.sampled_from(["admin", "root", "a.b-c_1", "${CAM_USER}", ""])
HOSTS = st.sampled_from(["10.0.0.9", "cam.local", "cam.local:554", "[fe80::1]:8554", "host", "${HOST}"])
PATHS = st.sampled_from(["", "/", "/stream1", "/h264/ch1/main", "/a/b.jpg", "/Streaming/Channels/101"])
QUERY_NAMES = st.sampled_from(["password", "pwd", "token", "access_token", "api-key", "auth", "user", "sig", "PASS"])


def core_of(secret: str) -> str:
    return next(core for core in ("Qzxjv", "Wkqzj", "Xvvqk") if core in secret)


def all_messages(source: str) -> str:
    """All that a person could read of a source that was refused."""
    seen = [redact(source)]
    with pytest.raises(UsageError) as usage:
        check_no_secret(source)
    seen += [str(usage.value), repr(usage.value)]
    with pytest.raises(ValidationError) as invalid:
        Camera(id="dock", source=source)
    seen += [validation_message(invalid.value), str(invalid.value), repr(invalid.value)]
    return "\n".join(seen)


@given(SCHEMES, USERS, SECRETS, HOSTS, PATHS)
def test_a_password_is_refused_and_shown_nowhere(scheme: str, user: str, secret: str, host: str, path: str) -> None:
    source = f"{scheme}{user}:{secret}@{host}{path}"
    assume("${" not in secret)
    assert core_of(secret) not in all_messages(source)


@given(st.sampled_from(["rtsp://", "https://", "http:/", "rtsp:"]), SECRETS, HOSTS, PATHS)
def test_a_token_in_the_place_of_the_user_is_refused_and_shown_nowhere(
    scheme: str, secret: str, host: str, path: str
) -> None:
    assume("${" not in secret)
    assert core_of(secret) not in all_messages(f"{scheme}{secret}@{host}{path}")


@given(st.sampled_from(["rtsp://", "https://"]), HOSTS, QUERY_NAMES, SECRETS, st.sampled_from(["", "channel=1&", "a;"]))
def test_a_secret_in_the_query_is_refused_and_shown_nowhere(
    scheme: str, host: str, name: str, secret: str, before: str
) -> None:
    value = "".join(c for c in secret if c not in "&;#/?=_")  # these end a value
    assert core_of(secret) not in all_messages(f"{scheme}{host}/snap?{before}{name}={value}")


@given(st.sampled_from(["/user=admin&password={}&channel=1", "/user=admin_password={}_channel=1_stream=0.sdp",
                        "/channel=1_stream=0_password={}", "/live;token={}"]), CORES)  # fmt: skip
def test_a_secret_in_the_path_as_recorders_write_it(form: str, secret: str) -> None:
    assert secret not in all_messages("rtsp://10.0.0.9:554" + form.format(secret))


@given(st.text(max_size=200))
def test_redacting_twice_changes_nothing(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@given(SCHEMES, USERS, SECRETS, HOSTS, PATHS)
def test_redacting_an_address_twice_changes_nothing(scheme: str, user: str, secret: str, host: str, path: str) -> None:
    shown = redact(f"{scheme}{user}:{secret}@{host}{path}?a={secret}#{secret}")
    assert redact(shown) == shown


@pytest.mark.parametrize(
    "source",
    [
        "rtsp://${CAM_USER}:${CAM_PASS}@10.0.0.9/stream1",
        "https://cam.local/snap.jpg?token=${TOKEN}",
        "rtsp://10.0.0.9/user=${U}_password=${P}_channel=1_stream=0.sdp",
        "/footage/dock 3.mp4",
        "footage/2024-05-01T10:00:00.mp4",
        "C:/footage/dock.mp4",
        "${FOOTAGE}/dock",
        "rtsp://10.0.0.9/stream1",
    ],
)
def test_references_and_paths_are_accepted(source: str) -> None:
    check_no_secret(source)
    for name in references(source)[:1]:
        assert f"${{{name}}}" in redact(source) or "_channel" in source


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("rtsp://${U}:${P}@h/s", "rtsp://${U}:${P}@h/s"),
        ("rtsp://admin:${P}@h/s", "rtsp://***:${P}@h/s"),
        ("rtsp://admin:pw@h/s", "rtsp://***:***@h/s"),
        ("https://h/snap?token=abc&w=3", "https://h/snap?token=***&w=***"),
        ("https://h/snap?token=${T}", "https://h/snap?token=${T}"),
        ("admin:pw@h", "***:***@h"),
        ("/footage/dock 3.mp4", "/footage/dock 3.mp4"),
    ],
)
def test_what_is_shown(source: str, shown: str) -> None:
    assert redact(source) == shown


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), st.text("abc$@:/", min_size=1))
def test_filled_in_credentials_stay_where_they_were_put(password: str, user: str) -> None:
    """A password may hold '@', '/' or '#': the host is still the host, and the decoder reads the password back."""
    url = expand("rtsp://${U}:${P}@cam.local:554/s?t=${P}", {"U": user, "P": password})
    parts = urlsplit(url)
    assert (parts.hostname, parts.port, parts.path) == ("cam.local", 554, "/s")
    assert unquote(parts.username or "") == user
    assert unquote(parts.password or "") == password
    assert unquote(parts.query) == f"t={password}"


def test_a_path_is_filled_in_as_it_is() -> None:
    assert expand("${FOOTAGE}/a b.mp4", {"FOOTAGE": "/x y"}) == "/x y/a b.mp4"


def test_a_value_is_not_filled_in_again() -> None:
    assert expand("${A}", {"A": "${B}", "B": "secret"}) == "${B}"


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(SourceError, match=r"refers to CAM_PASS, which is not set .* CAM_PASS=\.\.\. fleet"):
        expand("rtsp://${CAM_USER}:${CAM_PASS}@h/s", {"CAM_USER": "secret"})


@pytest.mark.parametrize("source", ["rtsp://h/s\n", "rtsp://h/\x00s", "rtsp://h/a b", "http://h\t/x"])
def test_control_characters_in_an_address_are_refused(source: str) -> None:
    with pytest.raises(UsageError, match="white space or control"):
        check_no_secret(source)
