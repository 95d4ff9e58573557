"""Blocks are replaced between their markers, and what people wrote around them stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.benchmark.report import place_blocks, write_blocks
from fleet.errors import FleetError

PAGE = """# The method

Before.

<!-- benchmark:paper-auc -->
old
<!-- /benchmark:paper-auc -->

After.
"""


def test_a_block_is_replaced_in_place() -> None:
    text = place_blocks(PAGE, {"paper-auc": "new"})
    assert text == PAGE.replace("old", "new")


def test_doing_it_again_changes_nothing() -> None:
    blocks = {"paper-auc": "| a |", "ratio-curve": "![x](y.png)"}
    once = place_blocks(PAGE, blocks)
    assert place_blocks(once, blocks) == once


def test_a_block_without_a_place_goes_to_the_end() -> None:
    text = place_blocks(PAGE, {"rate-auc": "new"})
    assert text.startswith(PAGE.rstrip())
    assert text.endswith("<!-- benchmark:rate-auc -->\nnew\n<!-- /benchmark:rate-auc -->\n")


def test_a_page_is_made_where_there_is_none(tmp_path: Path) -> None:
    page = write_blocks(tmp_path / "docs", {"rate-auc": "new"})
    assert page.read_text().startswith("# The method\n")
    assert [path.name for path in page.parent.iterdir()] == ["method.md"]


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FleetError, match="--out FOLDER"):
        write_blocks(tmp_path / "file", {"rate-auc": "new"})
