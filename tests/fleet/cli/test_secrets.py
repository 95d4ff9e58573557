"""No secret leaves the environment: not on a screen, not in the store, not in a log; for whatever URL one is in."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cameras.secrets import redact
from fleet.cli import main
from fleet.registry import make_camera
from fleet.store import open_store

SECRET = "Zq7-Xk9_Vw3"  # nothing that any message would hold by chance


def run(*arguments: str, **environment: str) -> tuple[int, str]:
    """A command line in this process; its exit code and all that it said, on both outputs."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with (
        mock.patch.dict(os.environ, environment),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main(list(arguments))
        except SystemExit as ended:
            code = int(ended.code or 0)
    return code, out.getvalue() + err.getvalue()


def stored(folder: Path) -> bytes:
    """Every byte under a folder, names of files too."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return b"\n".join([str(path).encode() + path.read_bytes() for path in files])


# A URL in which a person might leave a secret, at one of the places where cameras take one.
hosts = st.sampled_from(["127.0.0.1:9", "10.0.0.8", "cam.invalid", "[::1]:9", "user-7.invalid:80"])
schemes = st.sampled_from(["rtsp", "rtsps", "http", "https", "RTSP", "rtmp"])
users = st.sampled_from(["", "admin", "${CAM_USER}", "root.1"])
names = st.sampled_from(["token", "password", "pwd", "auth", "access_key", "sig", "Secret", "apikey", "user", "login"])
noise = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S"), exclude_characters="$"), max_size=4)
secrets = st.tuples(noise, noise).map(lambda around: f"{around[0]}{SECRET}{around[1]}")
# In a query these would end the value before it began: no camera could take it.
values = secrets.filter(lambda secret: not set(secret) & set("/?#&;"))


@st.composite
def literal_urls(draw: st.DrawFn) -> str:
    """A URL that holds a literal secret."""
    scheme, host, secret, value = draw(schemes), draw(hosts), draw(secrets), draw(values)
    kind = draw(st.sampled_from(["password", "query", "later query", "fragment of a path", "password and query"]))
    user, name = draw(users), draw(names)
    if kind == "password":
        return f"{scheme}://{user}:{secret}@{host}/stream"
    if kind == "query":
        return f"{scheme}://{host}/stream?{name}={value}"
    if kind == "later query":
        return f"{scheme}://{host}/stream?channel=1&{name}={value}&subtype=0"
    if kind == "fragment of a path":
        return f"{scheme}://{host}/user=admin_{name}={value}_channel=1"
    return f"{scheme}://{user}:{secret}@{host}/s?{name}={value}"


fast = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@fast
@given(url=literal_urls())
def test_a_literal_secret_is_refused_and_repeated_nowhere(url: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """By add-camera, by a file of cameras, by edit-camera; the store holds none of it."""
    folder = tmp_path_factory.mktemp("fleet")
    store = str(folder / "store")
    (folder / "cameras.yaml").write_text(json.dumps([{"id": "dock-2", "source": url}]))
    assert run("add-camera", "dock-1", "/footage/a.mp4", "--no-probe", "--store", store)[0] == 0
    for command in (
        ["add-camera", "dock-2", url, "--no-probe"],
        ["add-camera", url, "dock-2", "--no-probe"],
        ["add-cameras", str(folder / "cameras.yaml"), "--no-probe"],
        ["edit-camera", "dock-1", "--source", url],
    ):
        code, said = run(*command, "--store", store, "--json")
        assert code == 2, command
        assert SECRET not in said
    assert SECRET.encode() not in stored(folder / "store")


@fast
@given(scheme=schemes, host=hosts, name=names, secret=secrets)
def test_a_reference_is_kept_and_its_value_shown_nowhere(
    scheme: str, host: str, name: str, secret: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With the value in the environment, as where the source is opened."""
    folder = tmp_path_factory.mktemp("fleet")
    store = str(folder / "store")
    source = f"{scheme}://${{CAM_USER}}:${{CAM_PASS}}@{host}/s?{name}=${{CAM_TOKEN}}"
    values = {"CAM_USER": f"u{secret}", "CAM_PASS": secret, "CAM_TOKEN": f"t{secret}"}
    told = []
    for command in (
        ["add-camera", "dock-1", source, "--no-probe"],
        ["add-camera", "dock-1", source, "--no-probe"],
        ["cameras"],
        ["cameras", "--json"],
        ["show-camera", "dock-1"],
        ["show-camera", "dock-1", "--json"],
        ["edit-camera", "dock-1", "--tag", "a=b", "--json"],
        ["status"],
        ["status", "--json"],
        ["retrain", "dock-1", "--json"],
    ):
        told.append(run(*command, "--store", store, **values)[1])
    assert SECRET not in "".join(told)
    assert "${CAM_PASS}" in told[3]
    held = stored(folder)
    assert SECRET.encode() not in held
    assert b"${CAM_USER}:${CAM_PASS}@" in held


@pytest.fixture
def unreachable(tmp_path: Path, dead_port: int) -> Iterator[Any]:
    """Cameras whose sources refuse connections, with their secrets in the environment."""
    store = str(tmp_path / "store")
    values = {"CAM_USER": f"user{SECRET}", "CAM_PASS": f"p@ss/{SECRET}?#", "CAM_TOKEN": f"{SECRET}token"}
    values["CAM_URL"] = f"rtsp://admin:{SECRET}@127.0.0.1:{dead_port}/s"
    sources = {
        "rtsp": f"rtsp://${{CAM_USER}}:${{CAM_PASS}}@127.0.0.1:{dead_port}/s",
        "http": f"http://${{CAM_USER}}:${{CAM_PASS}}@127.0.0.1:{dead_port}/s?token=${{CAM_TOKEN}}",
        "query": f"http://127.0.0.1:{dead_port}/snapshot.jpg?token=${{CAM_TOKEN}}",
        "host": "rtsp://${CAM_USER}:${CAM_PASS}@no.such.host.invalid/s",
        "whole": "${CAM_URL}",
        "path": "/nowhere/${CAM_TOKEN}/a.mp4",
        "scheme": "gopher://${CAM_USER}:${CAM_PASS}@127.0.0.1/s",
    }
    for camera, source in sources.items():
        assert run("add-camera", camera, source, "--no-probe", "--store", store)[0] == 0
    return store, values


@pytest.mark.slow
@pytest.mark.parametrize("camera", ["rtsp", "http", "query", "host", "whole", "path", "scheme"])
@pytest.mark.parametrize("command", ["probe", "record --frames 3", "retrain", "show-camera"])
def test_an_unreachable_host_shows_no_secret(command: str, camera: str, unreachable: Any, capfd: Any) -> None:
    """Not by us, and not by FFmpeg or httpx, which write to the file descriptors themselves."""
    store, values = unreachable
    name, *options = command.split()
    for as_json in ([], ["--json"]):
        code, said = run(name, camera, *options, "--store", store, *as_json, **values)
        assert code == (0 if name == "show-camera" else 1)
        assert SECRET not in said
        assert "Traceback" not in said
    assert SECRET not in "".join(capfd.readouterr())
    assert SECRET.encode() not in stored(Path(store))


def test_an_unset_reference_is_named_and_the_others_are_not_shown(unreachable: Any) -> None:
    store, values = unreachable
    code, said = run("probe", "rtsp", "--store", store, CAM_USER=values["CAM_USER"])
    assert code == 1
    assert "CAM_PASS" in said
    assert SECRET not in said


def test_a_record_that_somebody_wrote_with_a_secret_in_it_is_not_shown(tmp_path: Path) -> None:
    """By another tool, or before the rule: the record counts as damaged, and what is told of it holds no value."""
    store = open_store(tmp_path / "store")
    camera = make_camera(id="dock-1", source="rtsp://10.0.0.8/s")
    record = camera.model_dump(mode="json") | {"source": f"rtsp://admin:{SECRET}@10.0.0.8/s"}
    store.write("cameras/dock-1.json", record, 0)
    for command in (["show-camera", "dock-1"], ["probe", "dock-1"], ["doctor"], ["cameras"], ["status", "--json"]):
        code, said = run(*command, "--store", store.uri)
        assert SECRET not in said
        assert "Traceback" not in said
        if command[0] in ("show-camera", "probe"):
            assert code == 1
            assert "its record is damaged" in said


@fast
@given(url=literal_urls())
def test_redaction_is_stable(url: str) -> None:
    assert SECRET not in redact(url)
    assert redact(redact(url)) == redact(url)
