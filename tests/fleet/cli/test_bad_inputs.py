"""What people and tools get wrong: one line that says what and what to do, the right exit code, and nothing changed.

Exit 2: what was typed can never be right. Exit 1: it could not be done here and now.
"""

from __future__ import annotations

import shlex
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cameras.images import encode_jpeg, encode_png

PASSWORD = "hunter2secret"


@dataclass(frozen=True)
class Row:
    """A wrong command, what it must say, and what it ends with. `{…}` are files and ports of `wrong_things`."""

    name: str
    command: str
    code: int
    says: tuple[str, ...]

    def __str__(self) -> str:
        return self.name


def row(name: str, command: str, code: int, *says: str) -> Row:
    return Row(name, command, code, says)


ADDING = [
    row("id with space and capital", "add-camera 'Dock 3' {pictures}", 2, "try 'dock-3'"),
    row("empty id", "add-camera '' {pictures}", 2, "1 to 63"),
    row("id of 64 characters", "add-camera " + "a" * 64 + " {pictures}", 2, f"try '{'a' * 63}'"),
    row("id that is a path", "add-camera ../dock-3 {pictures}", 2, "fleet add-camera ID SOURCE"),
    row("id of two dots", "add-camera .. {pictures}", 2, "1 to 63 of a-z"),
    row("id with a new line", "add-camera 'dock\n3' {pictures}", 2, "try 'dock-3'"),
    row("id and source swapped", "add-camera rtsp://192.168.1.20/stream dock-9", 2, "fleet add-camera ID SOURCE"),
    row("id taken", "add-camera dock-1 {pictures}", 1, "camera 'dock-1'", "fleet edit-camera dock-1", "--replace"),
    row("no such file", "add-camera dock-9 {here}/nowhere.mp4", 1, "no such file or folder", "ls "),
    row("empty source", "add-camera dock-9 ''", 2, "source is empty"),
    row("source too long", "add-camera dock-9 " + "x" * 2000, 1, "cannot be read", "check the path"),
    row("source of nobody's home", "add-camera dock-9 ~nobody-here/x.mp4", 1, "no such file"),
    row("rtsp host refuses", "add-camera dock-9 rtsp://127.0.0.1:{port}/s", 1, "connection refused", "fleet probe"),
    row("http host refuses", "add-camera dock-9 http://127.0.0.1:{port}/s", 1, "connection refused", "fleet probe"),
    row(
        "unknown scheme", "add-camera dock-9 gopher://127.0.0.1/s", 1, "'gopher://' is not a kind of source", "rtsp://"
    ),
    row("password in rtsp", f"add-camera dock-9 rtsp://admin:{PASSWORD}@192.168.1.9/s", 2, "${{CAM_PASS}}"),
    row("password in http", f"add-camera dock-9 http://admin:{PASSWORD}@192.168.1.9/s", 2, "${{CAM_PASS}}"),
    row("token in query", f"add-camera dock-9 https://192.168.1.9/s?token={PASSWORD}", 2, "${{CAM_PASS}}"),
    row("password with an at", f"add-camera dock-9 rtsp://admin:{PASSWORD}@x@192.168.1.9/s", 2, "${{CAM_PASS}}"),
    row("unset variable", "add-camera dock-9 rtsp://${{FLEET_TEST_UNSET}}@127.0.0.1/s", 1, "FLEET_TEST_UNSET=..."),
    row("video of 0 bytes", "add-camera dock-9 {wrong}/empty.mp4", 1, "empty (0 bytes)", "copy the file again"),
    row("video of noise", "add-camera dock-9 {wrong}/noise.mp4", 1, "unknown format or damaged", "copy the file again"),
    row("sound only", "add-camera dock-9 {wrong}/sound.mp4", 1, "no video stream", "give another"),
    row("folder without pictures", "add-camera dock-9 {wrong}/no-pictures", 1, "no .jpg, .jpeg or .png", "ls"),
    row("fps not a number", "add-camera dock-9 {pictures} --fps nan", 2, "fps:", "finite", "fleet add-camera --help"),
    row("fps infinite", "add-camera dock-9 {pictures} --fps inf", 2, "fps:", "fleet add-camera --help"),
    row("fps zero", "add-camera dock-9 {pictures} --fps 0", 2, "fps:", "greater than 0"),
    row("fps negative", "add-camera dock-9 {pictures} --fps -1", 2, "fps:", "greater than 0"),
    row("fps huge", "add-camera dock-9 {pictures} --fps 1e9", 2, "fps:", "less than or equal to 60"),
    row("fps a word", "add-camera dock-9 {pictures} --fps fast", 2, "--fps"),
    row("size too small", "add-camera dock-9 {pictures} --size 5x5", 2, "16 to 1920"),
    row("size too large", "add-camera dock-9 {pictures} --size 99999x99999", 2, "16 to 1920"),
    row("size a word", "add-camera dock-9 {pictures} --size abc", 2, "96x64"),
    row("size negative", "add-camera dock-9 {pictures} --size=-96x64", 2, "96x64"),
    row("polygon of words", "add-camera dock-9 {pictures} --mask here", 2, "'0,0 0.5,0 0.5,0.4'"),
    row("polygon of two points", "add-camera dock-9 {pictures} --mask '0,0 1,1'", 2, "at least 3 points"),
    row("polygon in pixels", "add-camera dock-9 {pictures} --mask '0,0 640,0 640,480'", 2, "from 0 to 1"),
    row("polygon not a number", "add-camera dock-9 {pictures} --mask '0,0 nan,0 1,1'", 2, "masks", "finite"),
    row("mask picture missing", "add-camera dock-9 {pictures} --mask {here}/m.png", 2, "cannot be read", "polygon"),
    row("mask picture damaged", "add-camera dock-9 {pictures} --mask {wrong}/torn.png", 1, "torn.png", "JPEG or PNG"),
    row("crop of two numbers", "add-camera dock-9 {pictures} --crop 0,1", 2, "--crop 0,0.2,1,1"),
    row("crop inside out", "add-camera dock-9 {pictures} --crop 1,0,0,1", 2, "left < right"),
    row("crop not a number", "add-camera dock-9 {pictures} --crop nan,0,1,1", 2, "crop"),
    row("tag without a value", "add-camera dock-9 {pictures} --tag berlin", 2, "--tag site=berlin"),
    row("tag with a slash", "add-camera dock-9 {pictures} --tag a/b=c", 2, "--tag site=berlin"),
    row("search unknown", "add-camera dock-9 {pictures} --search fastest", 2, "camera 'dock-9'", "paper-quick, quick"),
    row("search file malformed", "add-camera dock-9 {pictures} --search {wrong}/torn.yaml", 2, "torn.yaml: line 3"),
    row("search file wrong", "add-camera dock-9 {pictures} --search {wrong}/search.yaml", 2, "line 2", "mend the line"),
    row("cameras file missing", "add-cameras {here}/nowhere.yaml", 2, "cannot be read", "YAML"),
    row("cameras file malformed", "add-cameras {wrong}/torn.yaml", 2, "torn.yaml: line 3", "mend the line"),
    row("cameras file of noise", "add-cameras {wrong}/noise.mp4", 2, "noise.mp4", "YAML"),
    row("cameras file no list", "add-cameras {wrong}/words.yaml", 2, "no list of cameras", "- id:"),
    row("cameras file empty", "add-cameras {wrong}/empty.yaml", 2, "no list of cameras"),
    row("cameras file, one wrong", "add-cameras {wrong}/one-wrong.yaml", 2, "camera 2", "try 'dock-8'"),
    row("cameras file, field", "add-cameras {wrong}/field.yaml", 2, "'fpz' is no field of a camera", "fps"),
    row("cameras file, twice", "add-cameras {wrong}/twice.yaml", 2, "'dock-9' stands there twice"),
    row("cameras file, no source", "add-cameras {wrong}/no-source.yaml", 2, "camera 1", "source"),
    row("cameras file, tags", "add-cameras {wrong}/tags.yaml", 2, "camera 1", "tags"),
    row("cameras file, masks", "add-cameras {wrong}/masks.yaml", 2, "camera 1", "masks"),
    row("cameras file, mixed fields", "add-cameras {wrong}/mixed.yaml", 2, "camera 1", "is no field of a camera"),
    row("cameras file, id number", "add-cameras {wrong}/number.yaml", 2, "camera 1", "id"),
    row("cameras file, password", "add-cameras {wrong}/password.yaml", 2, "camera 1", "${{CAM_PASS}}"),
    row("cameras file, one taken", "add-cameras {wrong}/taken.yaml", 1, "camera 'dock-1'", "--replace"),
    row("cameras file, one missing", "add-cameras {wrong}/missing.yaml", 1, "camera 'dock-9'", "no such file"),
]

NAMING = [
    *(
        row(f"unknown camera: {command.split()[0]}", command, 1, "camera 'dock-9'", "fleet cameras lists")
        for command in (
            "show-camera dock-9",
            "edit-camera dock-9 --fps 3",
            "remove-camera dock-9",
            "remove-camera dock-9 --purge",
            "probe dock-9",
            "record dock-9",
            "retrain dock-9",
            "models dock-9",
            "promote dock-9 v1",
            "rollback dock-9",
            "score dock-9 {pictures}",
            "evaluate dock-9 {pictures} --labels {wrong}/labels-48.npy",
        )
    ),
    row("path as a camera", "show-camera ../../etc/passwd", 1, "no such camera", "fleet cameras"),
    row("unknown version", "promote dock-1 20200101T000000Z-abcdef", 1, "no model version", "fleet models dock-1"),
    row("version that is a path", "promote dock-1 ../dock-2/x", 1, "no model version", "fleet models dock-1"),
    row(
        "score unknown version", "score dock-1 {pictures} --version x", 1, "no model version 'x'", "fleet models dock-1"
    ),
    row("score literal password", "score dock-1 rtsp://u:hunter2@127.0.0.1/s", 2, "literal password", "${CAM_PASS}"),
    row("score by a path", "score dock-1 {pictures} --version ../../x", 1, "no model version", "fleet models dock-1"),
    row("nothing to roll back to", "rollback dock-1", 1, "no previous champion", "fleet models dock-1"),
    row("score without a model", "score dock-3 {pictures}", 1, "no model yet", "fleet retrain dock-3"),
    row("edit nothing", "edit-camera dock-1", 2, "nothing to change", "fleet edit-camera --help"),
    row("edit fps", "edit-camera dock-1 --fps nan", 2, "fps:", "finite"),
    row("edit source", f"edit-camera dock-1 --source rtsp://u:{PASSWORD}@h/s", 2, "${{CAM_PASS}}"),
    row("edit search", "edit-camera dock-1 --search fastest", 2, "paper-quick, quick"),
    row("record nobody", "record", 2, "fleet record ID --for 10m"),
    row("record for a word", "record dock-1 --for long", 2, "90s, 10m, 2h"),
    row("record for nothing", "record dock-1 --for 0s", 2, "90s, 10m, 2h"),
    row("record for less than nothing", "record dock-1 --for=-5m", 2, "90s, 10m, 2h"),
    row("record no frames", "record dock-1 --frames 0", 2, "--frames"),
    row("retrain nobody", "retrain", 2, "--all", "--tag KEY=VALUE"),
    row("retrain two ways", "retrain dock-1 --all", 2, "--all", "--tag KEY=VALUE"),
    row("retrain an unused tag", "retrain --tag site=paris", 1, "no camera with this tag", "fleet add-camera"),
    row("retrain no tag", "retrain --tag paris", 2, "--tag site=berlin"),
    row("retrain an empty fleet", "retrain --all --store {here}/nothing", 1, "no camera in", "fleet add-camera"),
    row("retrain by no search", "retrain dock-1 --search fastest", 2, "fastest", "paper-quick, quick"),
    row("list by no tag", "cameras --tag berlin", 2, "--tag site=berlin"),
    row("stop what is not served", "stop", 1, "nothing serves", "fleet serve --detach"),
    row("serve on a taken port", "serve --port {taken}", 1, "address already in use", "--port N"),
    row("serve elsewhere", "serve --host 198.51.100.7", 1, "198.51.100.7", "--host"),
    row("serve nowhere", "serve --host no.such.host.invalid", 1, "no address of this machine", "--host"),
    row("serve on port 0", "serve --port 0", 2, "--port"),
    row("unknown command", "rename-camera dock-1", 2, "No such command", "-h"),
    row("unknown option", "cameras --colour", 2, "No such option", "-h"),
]

SCORING = [
    row("labels missing", "evaluate dock-1", 2, "--labels FILE"),
    row("labels not there", "evaluate dock-1 --labels {here}/none.npy", 2, "holds no labels", ".npy of 0 and 1"),
    row("labels too few", "evaluate dock-1 --labels {wrong}/labels-5.npy", 2, "5 labels", "48 frames", "each frame"),
    row("labels too many", "evaluate dock-1 --labels {wrong}/labels-480.npy", 2, "480 labels", "48 frames"),
    row("labels of other values", "evaluate dock-1 --labels {wrong}/labels-2.npy", 2, "other values than 0 and 1"),
    row("labels pickled", "evaluate dock-1 --labels {wrong}/pickled.npy", 2, "holds no labels"),
    row("labels in no column", "evaluate dock-1 --labels {wrong}/labels.csv", 2, "no column 'label'"),
    row("labels of noise", "evaluate dock-1 --labels {wrong}/noise.mp4", 2, "labels"),
    row("labels in a picture", "evaluate dock-1 --labels {wrong}/torn.png", 2, "labels"),
    row(
        "score into a missing folder",
        "score dock-1 {pictures} --out {here}/no/s.parquet",
        2,
        "does not exist",
        "make it",
    ),
    row("score into a folder", "score dock-1 {pictures} --out {here}", 2, "is a folder", "FILE.parquet"),
    row("score nothing", "score dock-1 {here}/nowhere.mp4", 1, "no such file or folder"),
    row("score another view", "score dock-1 {wrong}/tall", 1, "camera 'dock-1'", "trained on 64x48"),
    row("score a truncated picture", "score dock-1 {wrong}/truncated", 1, "'", "002.jpg", "truncated", "copy it again"),
    row("score mixed sizes", "score dock-1 {wrong}/mixed", 1, "002.jpg", "128x96", "one size"),
    row("score a dead stream", "score dock-1 rtsp://127.0.0.1:{port}/s", 1, "connection refused"),
    row("evaluate a stream", "evaluate dock-live --labels {wrong}/labels-48.npy", 2, "is live", "VIDEO --labels FILE"),
    row("score with a damaged version", "score dock-2 {pictures}", 1, "missing or damaged", "fleet retrain dock-2"),
]

STORES = [
    row("store under a file", "add-camera dock-9 {pictures} --store {wrong}/words.yaml/s", 1, "--store DIR"),
    row("store is a file", "cameras --store {wrong}/words.yaml", 1, "is a file", "--store DIR"),
    row("store of another kind", "cameras --store gs://bucket/x", 2, "s3://bucket/prefix"),
    row("store with keys", f"cameras --store s3://key:{PASSWORD}@bucket/x", 2, "export AWS_ACCESS_KEY_ID"),
    row("store with a key in it", f"cameras --store 's3://b/x?secret_key={PASSWORD}'", 2, "AWS_SECRET_ACCESS_KEY"),
    row("store with a wrong query", "cameras --store 's3://b/x?endpoint=h'", 2, "endpoint_override=host:port"),
    row("store without a bucket", "cameras --store s3:///x", 2, "s3://bucket/prefix"),
    row("store that nobody keeps", "cameras --store 's3://b/x?endpoint_override=127.0.0.1:{port}&scheme=http'", 1,
        "does not answer", "fleet doctor"),
]  # fmt: skip


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """A folder of files that are wrong, each in its own way."""
    import av

    folder = tmp_path_factory.mktemp("wrong")
    noise = np.random.default_rng(1).bytes(4096)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "noise.mp4").write_bytes(noise)
    (folder / "torn.png").write_bytes(encode_png(np.zeros((32, 32, 3), np.uint8))[:40])
    with av.open(str(folder / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        samples.sample_rate = 8000
        container.mux(stream.encode(samples))
        container.mux(stream.encode())
    (folder / "no-pictures").mkdir()
    (folder / "no-pictures" / "notes.txt").write_text("nothing to see")

    picture = np.full((48, 64, 3), 90, np.uint8)
    for name in ("truncated", "mixed", "tall"):
        (folder / name).mkdir()
        for place in range(3):
            (folder / name / f"{place:03d}.jpg").write_bytes(encode_jpeg(picture))
    whole = (folder / "truncated" / "002.jpg").read_bytes()
    (folder / "truncated" / "002.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "mixed" / "002.jpg").write_bytes(encode_jpeg(np.zeros((96, 128, 3), np.uint8)))
    for place in range(3):
        (folder / "tall" / f"{place:03d}.jpg").write_bytes(encode_jpeg(np.zeros((128, 64, 3), np.uint8)))

    np.save(folder / "labels-5.npy", np.zeros(5, int))
    np.save(folder / "labels-48.npy", np.arange(48) % 2)
    np.save(folder / "labels-480.npy", np.zeros(480, int))
    np.save(folder / "labels-2.npy", np.full(48, 2))
    np.save(folder / "pickled.npy", np.array([{"label": 1}] * 48, object), allow_pickle=True)
    (folder / "labels.csv").write_text("anomalous\n" + "0\n" * 48)

    source = "{source: /nowhere/x.mp4"
    files = {
        "torn.yaml": "space:\n  sigma: [0.1, 0.5\n  lambda: {",
        "search.yaml": "space:\n  sigma: [-0.1]\n",
        "words.yaml": "just words",
        "empty.yaml": "",
        "one-wrong.yaml": f"- {source}, id: dock-7}}\n- {source}, id: Dock 8}}",
        "field.yaml": f"- {source}, id: dock-9, fpz: 3}}",
        "twice.yaml": f"- {source}, id: dock-9}}\n- {source}, id: dock-9}}",
        "no-source.yaml": "- {id: dock-9}",
        "tags.yaml": f"- {source}, id: dock-9, tags: [berlin]}}",
        "masks.yaml": f"- {source}, id: dock-9, masks: 7}}",
        "mixed.yaml": f"- {source}, id: dock-9, 1: 2, two: 3}}",
        "number.yaml": f"- {source}, id: 9}}",
        "password.yaml": f"- {{source: 'rtsp://admin:{PASSWORD}@192.168.1.9/s', id: dock-9}}",
        "taken.yaml": f"- {source}, id: dock-9}}\n- {source}, id: dock-1}}",
        "missing.yaml": f"- {source}, id: dock-9}}",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def check_refused(ran: Any, row: Row, says: list[str]) -> None:
    """One line on standard error, no traceback, nothing on standard output, the exit code of the row."""
    assert ran.code == row.code, ran
    assert ran.out == ""
    if ran.err.startswith("Usage: "):  # Typer's own, for options that are malformed
        assert row.code == 2
    else:
        assert ran.err.startswith("error: ")
        assert ran.err.endswith("\n")
        assert ran.err.count("\n") == 1, "one line"
    assert "Traceback" not in ran.err
    assert PASSWORD not in ran.err
    flat = " ".join(ran.err.replace("│", " ").split())
    for said in says:
        assert said in flat


@pytest.mark.parametrize("row", [*ADDING, *NAMING, *SCORING, *STORES], ids=str)
def test_a_mistake_is_told_in_one_line_and_changes_nothing(
    row: Row,
    fleet: Any,
    small_fleet: Any,
    wrong: Path,
    dead_port: int,
    contents: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FLEET_STORE", str(small_fleet.root))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", PASSWORD)
    monkeypatch.setattr("fleet.store.PATIENCE_S", 0.0)
    dead = f"rtsp://127.0.0.1:{dead_port}/s"
    assert fleet("add-camera", "dock-live", dead, "--no-probe").code == 0
    for weights in small_fleet.root.glob("models/dock-2/*/model.safetensors"):
        weights.write_bytes(weights.read_bytes()[:100])
    before = contents(small_fleet.root)
    here = tmp_path / "here"
    here.mkdir()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        places = {
            "pictures": small_fleet.pictures["dock-1"],
            "wrong": wrong,
            "here": here,
            "port": dead_port,
            "taken": taken.getsockname()[1],
        }
        ran = fleet(*shlex.split(row.command.format(**places)))
    check_refused(ran, row, [said.format() if "{{" in said else said for said in row.says])
    assert contents(small_fleet.root) == before
    assert not list(here.iterdir())


@pytest.mark.parametrize("as_json", [False, True], ids=["table", "json"])
def test_a_camera_that_cannot_be_recorded_is_a_row_of_the_report_and_an_error(
    as_json: bool, fleet: Any, small_fleet: Any, dead_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others of the same command are recorded all the same."""
    monkeypatch.setenv("FLEET_STORE", str(small_fleet.root))
    fleet("add-camera", "dock-live", f"rtsp://127.0.0.1:{dead_port}/s", "--no-probe")
    ran = fleet("record", "dock-1", "dock-live", "--frames", 3, *(["--json"] if as_json else []))
    assert ran.code == 1
    assert ran.err == (
        f"error: camera 'dock-live': rtsp://127.0.0.1:{dead_port}/s: connection refused"
        " — check it with: fleet probe dock-live\n"
    )
    if as_json:
        good, bad = ran.json["cameras"]
        assert (good["camera"], good["frames"], good["error"]) == ("dock-1", 3, None)
        assert (bad["camera"], bad["frames"]) == ("dock-live", 0)
        assert "connection refused" in bad["error"]
    else:
        assert "dock-1" in ran.out
        assert "failed" in ran.out


def test_a_live_camera_is_not_recorded_without_an_end(fleet: Any, folder_store: Any, web_picture: str) -> None:
    """Exit 2: the command can never be right as it stands."""
    fleet("add-camera", "dock-live", web_picture, "--store", folder_store.uri)
    ran = fleet("record", "dock-live", "--store", folder_store.uri)
    assert ran.code == 2
    assert "fleet record dock-live --for 10m" in ran.err
    assert not folder_store.list("recordings/")


def test_a_live_camera_is_not_retrained_without_a_recording(fleet: Any, folder_store: Any, dead_port: int) -> None:
    fleet("add-camera", "dock-live", f"rtsp://127.0.0.1:{dead_port}/s", "--no-probe", "--store", folder_store.uri)
    ran = fleet("retrain", "dock-live", "--store", folder_store.uri, "--json")
    assert ran.code == 1
    assert ran.json["cameras"][0]["error"] == ran.err.splitlines()[-1].removeprefix("error: ")
    assert "fleet record dock-live --for 10m" in ran.err
    assert not folder_store.list("models/")
    assert not folder_store.list("recordings/")


def test_a_store_that_may_not_be_written_is_told(fleet: Any, image_folder: Path) -> None:
    """A file system of the kernel's own; rights alone would not stop root, under whom tests may run."""
    ran = fleet("add-camera", "dock-1", image_folder, "--store", "/proc/fleet")
    assert ran.code == 1
    assert ran.out == ""
    assert ran.err.startswith("error: the store /proc/fleet cannot be used: ")
    assert "--store DIR" in ran.err


@pytest.mark.slow
def test_wrong_keys_of_a_bucket_are_told(fleet: Any, s3_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "fleet-local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", PASSWORD)
    ran = fleet("cameras", "--store", s3_server.uri("wrong-keys"))
    assert ran.code == 1
    assert ran.out == ""
    assert ran.err.startswith("error: the bucket 'fleet' refuses these keys (")
    assert "check AWS_ACCESS_KEY_ID" in ran.err
    assert PASSWORD not in ran.err


@pytest.fixture
def web_picture() -> Iterator[str]:
    """The address of a snapshot on this machine."""
    body = encode_jpeg(np.full((48, 64, 3), 90, np.uint8))

    class Picture(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "image/jpeg")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Picture)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/snapshot.jpg"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def _ray() -> Iterator[str]:
    """One Ray for the failures that only show on the cluster."""
    from fleet.cluster import own_ray

    with own_ray() as address:
        yield address


@pytest.mark.slow
@pytest.mark.usefixtures("_ray")
class TestRetraining:
    """Mistakes that are found where frames are read: one camera's line, and no model."""

    def refused(self, fleet: Any, store: Any, *says: str) -> None:
        before = store.list("models/") | store.list("aliases/")
        ran = fleet("retrain", "dock-9", "--store", store.uri, "--search", "quick", "--json")
        assert ran.code == 1
        error = ran.json["cameras"][0]["error"]
        assert "Traceback" not in ran.err
        assert ran.err.splitlines()[-1] == f"error: {error}"
        for said in ("camera 'dock-9': ", *says):
            assert said in error
        assert store.list("models/") | store.list("aliases/") == before

    def test_a_video_of_one_frame(self, fleet: Any, folder_store: Any, make_video: Any, tmp_path: Path) -> None:
        fleet("add-camera", "dock-9", make_video(tmp_path / "one.mp4", 1), "--store", folder_store.uri)
        self.refused(fleet, folder_store, "has 1 frame,", "at least 16", "fleet record dock-9")

    def test_a_recording_of_0_bytes(self, fleet: Any, folder_store: Any, image_folder: Path) -> None:
        fleet("add-camera", "dock-9", image_folder, "--store", folder_store.uri)
        fleet("record", "dock-9", "--store", folder_store.uri)
        (key,) = folder_store.list("recordings/")
        folder_store.put(key, b"")
        self.refused(fleet, folder_store, key, "is empty (0 bytes)", "delete it, or record again")

    def test_frames_that_never_change(self, fleet: Any, folder_store: Any, tmp_path: Path) -> None:
        (tmp_path / "frozen").mkdir()
        for place in range(20):
            (tmp_path / "frozen" / f"{place}.png").write_bytes(encode_png(np.full((48, 64, 3), 90, np.uint8)))
        fleet("add-camera", "dock-9", tmp_path / "frozen", "--store", folder_store.uri)
        self.refused(fleet, folder_store, "nothing moves", "check that the camera is not frozen")
