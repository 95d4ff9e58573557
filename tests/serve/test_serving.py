"""`fleet serve` as a thing that lives on a machine: it comes up, is found, is joined, and goes without a trace."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from fleet import serving as module
from fleet.cluster import head_of
from fleet.errors import FleetError
from fleet.registry import Registry, make_camera
from fleet.serving import url_of

LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def post(url: str, camera: str, body: bytes) -> httpx.Response:
    return httpx.post(f"{url}/cameras/{camera}/score", content=body, timeout=30, trust_env=False)


def scores(serving: Any, camera: str, count: int) -> list[float]:
    return [post(serving.url, camera, body).json()["pcc"] for body in serving.frames(camera)[:count]]


def wait_gone(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that still live after so many seconds; a zombie that nobody collects does not."""
    return module._wait(processes, seconds)


@pytest.fixture(scope="module")
def second_store(make_serving: Callable[[], Any]) -> Iterator[Any]:
    """Another store on this machine, which knows one more camera."""
    made = make_serving()
    Registry(made.store).add(make_camera(id="only-here", source=str(made.pictures["dock-3"])))
    try:
        yield made
    finally:
        made.command("stop")


@pytest.fixture
def second(second_store: Any) -> Any:
    """It is served, beside the one that is served for all tests; a test may end it."""
    if head_of(second_store.store) is None:
        second_store.start()
    return second_store


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://127.0.0.1:80"),
        ("::1", "http://[::1]:80"),
        ("10.0.0.8", "http://10.0.0.8:80"),
    ],
)
def test_url_is_one_that_a_person_here_can_open(host: str, url: str) -> None:
    assert url_of(host, 80) == url


def test_detach_tells_the_last_words_of_what_did_not_come_up(
    folder_store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = tmp_path / "python"
    failing.write_text("#!/bin/sh\necho one line\necho 'error: no room for Ray — free some memory' >&2\nexit 1\n")
    failing.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(failing))
    with pytest.raises(FleetError, match=r"did not come up: error: no room for Ray .*/serve\.log") as caught:
        module.serve_detached(folder_store, "127.0.0.1", 1)
    assert "\n" not in str(caught.value)


def test_detach_ends_what_nobody_waits_for_any_more(
    folder_store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while it comes up."""
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))

    looked: list[object] = []

    def interrupt(store: object) -> None:
        looked.append(store)
        if len(looked) > 1:  # the first looks whether it is served already
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "head_of", interrupt)
    with pytest.raises(KeyboardInterrupt):
        module.serve_detached(folder_store, "127.0.0.1", 1)
    assert not [child for child in psutil.Process().children() if child.name() == "sleep"]


@pytest.mark.slow
class TestServed:
    def test_status_finds_it(self, serving: Any) -> None:
        told = json.loads(serving.command("status").stdout)
        assert told["serving"] == {"url": serving.url, "pid": serving.pid, "answers": True}

    def test_it_is_not_served_twice(self, serving: Any) -> None:
        ran = serving.command("serve", "--port", serving.port + 1)
        assert (ran.returncode, ran.stdout) == (1, "")
        assert ran.stderr == f"error: {serving.root} is served already at {serving.url} — fleet stop\n"

    def test_nothing_of_it_listens_on_a_network(self, serving: Any) -> None:
        """Neither the endpoints nor any process of Ray: who reaches one of their ports runs code."""
        open_ports = {
            (process.name(), connection.laddr.ip, connection.laddr.port)
            for process in serving.processes()
            for connection in process.net_connections()
            if connection.status == psutil.CONN_LISTEN
        }
        assert any(port == serving.port for _, _, port in open_ports)
        assert {where for where in open_ports if where[1] not in LOOPBACK} == set()

    def test_no_secret_is_in_its_log_or_command_line(self, serving: Any) -> None:
        log = (serving.root / ".run" / "serve.log").read_text()
        lines = [" ".join(process.cmdline()) for process in serving.processes()]
        for secret in serving.environment.values():
            assert secret not in log
            assert not [line for line in lines if secret in line]


@pytest.mark.slow
class TestTwoStores:
    def test_do_not_meet(self, serving: Any, second: Any) -> None:
        def known(one: Any) -> set[str]:
            return {row["camera"] for row in httpx.get(f"{one.url}/cameras", trust_env=False).json()["cameras"]}

        assert known(second) - known(serving) == {"only-here"}
        assert not {process.pid for process in serving.processes()} & {process.pid for process in second.processes()}
        assert post(serving.url, "only-here", b"x").status_code == 404

    def test_score_alike_what_is_alike(self, serving: Any, second: Any) -> None:
        assert scores(serving, "dock-1", 10) == pytest.approx(scores(second, "dock-1", 10), abs=1e-6)


@pytest.mark.slow
def test_a_retraining_joins_it_and_its_champion_scores(second: Any, tiny_search: Path) -> None:
    """It starts no Ray of its own, still gets a processor, and nothing is restarted."""
    before = {process.pid for process in second.processes()}
    command = [sys.executable, "-m", "fleet.cli", "retrain", "dock-3", "--search", str(tiny_search)]
    with subprocess.Popen(
        [*command, "--store", str(second.root), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        heads = set()
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.1):
                try:
                    heads.update(child.name() for child in psutil.Process(running.pid).children(recursive=True))
                except psutil.NoSuchProcess:
                    return

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            out, err = running.communicate(timeout=150)
        finally:
            ended.set()
            watching.join()
    assert running.returncode == 0, err
    assert not heads & {"gcs_server", "raylet"}
    (result,) = json.loads(out)["cameras"]
    deadline = time.monotonic() + 5
    while (answer := post(second.url, "dock-3", second.frames("dock-3")[0])).status_code == 409:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert answer.json()["model_version"] == result["version"]
    served = [process for process in second.processes() if process.name().startswith("ray::Serve")]
    assert {process.pid for process in served} <= before


@pytest.mark.slow
class TestEnd:
    def test_stop_ends_every_process_and_a_restart_scores_the_same(self, second: Any) -> None:
        before = scores(second, "dock-1", 10)
        processes = second.processes()
        assert len(processes) > 5
        ran = second.command("stop")
        assert json.loads(ran.stdout) == {"stopped": True, "url": second.url, "pid": second.pid}
        assert not wait_gone(processes, 2)
        assert second.command("stop").returncode == 1
        assert json.loads(second.command("status").stdout)["serving"] is None

        second.start()
        assert scores(second, "dock-1", 10) == pytest.approx(before, abs=1e-4)

    def test_a_killed_one_leaves_nothing_and_the_next_begins(self, second: Any) -> None:
        """`kill -9`: Ray's own processes end by themselves. The next is ended by Ctrl-C: exit 0, no traceback."""
        serving = second
        processes = serving.processes()
        processes[0].kill()
        # Two idle agents of Ray wait for a minute to tell their dead head that it died.
        left = {process.name() for process in wait_gone(processes, 10)}
        assert left <= {"ray::DashboardAgent", "ray::RuntimeEnvAgent"}
        assert json.loads(serving.command("status").stdout)["serving"] is None

        command = [sys.executable, "-m", "fleet.cli", "serve", "--store", str(serving.root)]
        with subprocess.Popen(
            [*command, "--port", str(serving.port), "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        ) as running:  # fmt: skip
            try:
                assert running.stdout is not None
                assert json.loads(running.stdout.readline())["url"] == serving.url
                assert post(serving.url, "dock-1", serving.frames("dock-1")[0]).status_code == 200
                processes = psutil.Process(running.pid).children(recursive=True)
                os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to every process of the group
                out, err = running.communicate(timeout=30)
            finally:
                running.kill()
        assert (running.returncode, out, err) == (0, "", "")
        assert not wait_gone(processes, 5)

    def test_it_can_be_stopped_while_it_comes_up(self, make_serving: Callable[[], Any]) -> None:
        serving = make_serving()
        command = [sys.executable, "-m", "fleet.cli", "serve", "--store", str(serving.root)]
        with subprocess.Popen(
            [*command, "--port", str(serving.port)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as running:
            try:
                head = serving.root / ".run" / "serve.json"
                deadline = time.monotonic() + 30
                while not head.exists():
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
                assert serving.command("serve", "--port", serving.port).returncode == 1, "the second is told"
                assert serving.command("stop").returncode == 0
                _, err = running.communicate(timeout=40)
            finally:
                running.kill()
        assert "Traceback" not in err
        assert json.loads(serving.command("status").stdout)["serving"] is None


TINY_QUEUES = """
import sys
from ray import serve
from fleet.cluster import own_ray
from serve.gateway import Gateway
from serve.scorer import Scorer

store, port = sys.argv[1], int(sys.argv[2])
tiny = dict(max_ongoing_requests=1, max_queued_requests=1)
with own_ray():
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(Gateway.options(**tiny).bind(Scorer.bind(store), store), name="gateway", route_prefix="/gateway")
    serve.run(Gateway.bind(Scorer.options(**tiny).bind(store), store), name="scorer", route_prefix="/scorer")
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def tiny_queues(make_serving: Callable[[], Any]) -> Iterator[str]:
    """Two applications with a queue of one: at the gateway, and at the Scorer behind it."""
    made = make_serving()
    command = [sys.executable, "-c", TINY_QUEUES, str(made.root), str(made.port)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as running:
        try:
            assert running.stdout is not None
            assert running.stdout.readline() == "ready\n"
            yield made.url
        finally:
            running.communicate("", timeout=30)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["gateway", "scorer"])
def test_too_much_is_answered_503_and_when_to_try_again(place: str, tiny_queues: str, trained_once: Any) -> None:
    """And what was accepted is answered."""
    body = (trained_once.pictures["dock-1"] / "0000.png").read_bytes()
    with ThreadPoolExecutor(40) as pool:
        responses = list(pool.map(lambda _: post(f"{tiny_queues}/{place}", "dock-1", body), range(160)))
    statuses = Counter(response.status_code for response in responses)
    assert set(statuses) == {200, 503}
    for response in responses:
        if response.status_code == 503:
            assert int(response.headers["retry-after"]) >= 1
            assert len(response.text.splitlines()) == 1
    assert post(f"{tiny_queues}/{place}", "dock-1", body).status_code == 200
