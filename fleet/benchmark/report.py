"""Tables and figures into a page that people write: between markers, replaced in place, the rest left as it is.

<!-- benchmark:paper-auc -->
(what is here is made anew)
<!-- /benchmark:paper-auc -->
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from fleet.errors import FleetError

__all__ = ["PAGE", "place_blocks", "write_blocks"]

PAGE = "method.md"


def write_blocks(folder: Path, blocks: Mapping[str, str]) -> Path:
    """Put blocks into the folder's page; those that it has no markers for go to its end. The page.

    Raises:
        FleetError: the page cannot be written.
    """
    page = folder / PAGE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        before = page.read_text() if page.exists() else "# The method\n"
        beside = page.with_name(f".{page.name}.part")
        beside.write_text(place_blocks(before, blocks))
        beside.replace(page)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise FleetError(f"{page} cannot be written: {reason}", "choose another folder: --out FOLDER") from None
    return page


def place_blocks(text: str, blocks: Mapping[str, str]) -> str:
    """The text with each block between its markers; doing it again changes nothing."""
    for name, content in blocks.items():
        start, end = f"<!-- benchmark:{name} -->", f"<!-- /benchmark:{name} -->"
        block = f"{start}\n{content.strip()}\n{end}"
        before, _, rest = text.partition(start)
        there = end in rest
        text = before + block + rest.partition(end)[2] if there else f"{text.rstrip()}\n\n{block}\n"
    return text
