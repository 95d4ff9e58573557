"""What is installed is whole: search files and templates travel inside the wheel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built as a user's pip would."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_what_the_code_reads(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {"tune_configs/paper.yaml", "tune_configs/default.yaml", "tune_configs/quick.yaml", "serve/app.py"}
    assert expected | {"infra/aws/cluster.yaml", "cameras/scenes/__init__.py"} <= names
    assert not [name for name in names if name.startswith(("tests/", "docs/"))]


@pytest.mark.slow
def test_the_installed_wheel_runs_the_demo(wheel: Path, tmp_path: Path) -> None:
    """In an environment of its own, outside the checkout: Fleet from the wheel, its dependencies from this one."""
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv/bin/python"
    site = Path(
        subprocess.run(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
    )
    zipfile.ZipFile(wheel).extractall(site)
    # A path that is added this way brings packages, but not the checkout, which is linked here by a .pth of its own.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "FLEET_STORE")}
    run = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True}
    where = subprocess.run([python, "-c", "import fleet; print(fleet.__file__)"], check=True, timeout=60, **run)  # type: ignore[call-overload]
    assert where.stdout.startswith(str(site))
    command = [python, "-m", "fleet.cli", "demo", "--once", "--frames", "200", "--port", str(_free_port()), "--json"]
    done = subprocess.run(command, timeout=500, **run)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr[-3000:]
    rows = json.loads(done.stdout)["cameras"]
    assert [row["camera"] for row in rows] == ["corridor", "office-alarm", "driving"]
    assert all((tmp_path / row["picture"]).stat().st_size > 10_000 for row in rows)


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
