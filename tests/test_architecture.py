"""The house: three packages whose import arrows go one way, and a detector that knows only arrays."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ALLOWED = {
    "cameras": {"cameras"},
    "fleet": {"fleet", "cameras", "tune_configs"},
    "serve": {"serve", "fleet", "cameras"},
}
OURS = {"cameras", "fleet", "serve", "tune_configs", "infra", "tests"}
NOT_IN_THE_DETECTOR = {
    "ray",
    "boto3",
    "botocore",
    "pyarrow",
    "httpx",
    "requests",
    "socket",
    "av",
    "pathlib",
    "os",
}


def imports(path: Path) -> Iterator[str]:
    """Every module that a file names in an import, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


@pytest.mark.parametrize("package", ALLOWED)
def test_arrows_go_one_way(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        of_ours = {name.split(".")[0] for name in imports(path)} & OURS
        assert of_ours <= ALLOWED[package], f"{path.relative_to(ROOT)} imports {of_ours - ALLOWED[package]}"


def test_the_detector_knows_no_ray_no_files_and_no_network() -> None:
    for path in (ROOT / "fleet/detector").rglob("*.py"):
        named = set(imports(path))
        assert not {name.split(".")[0] for name in named} & NOT_IN_THE_DETECTOR, path
        called = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        assert not [name for name in called if isinstance(name, ast.Name) and name.id == "open"], path
        ours = {name for name in named if name.split(".")[0] in OURS}
        assert all(name.startswith(("fleet.detector", "cameras.errors")) for name in ours), (path, ours)


def test_nothing_is_unpickled() -> None:
    for package in ALLOWED:
        for path in (ROOT / package).rglob("*.py"):
            assert not {name.split(".")[0] for name in imports(path)} & {"pickle", "cloudpickle", "joblib", "dill"}, (
                path
            )


def test_no_file_grew_past_reading() -> None:
    long = {path.name: n for path in ROOT.glob("[cfs]*/**/*.py") if (n := len(path.read_text().splitlines())) > 450}
    assert not long, f"more than 450 lines: does each still hold one idea? {long}"
