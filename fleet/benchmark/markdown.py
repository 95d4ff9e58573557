"""What the tables share: numbers as text, rows by what they have in common, Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import Any

from fleet.benchmark.methods import methods
from fleet.benchmark.results import Row

__all__ = ["Table", "distinct", "in_order", "mean", "number", "share", "spread", "title", "where"]


@dataclass(frozen=True)
class Table:
    """Rows of text under columns; the caption says what a number is."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        return f"{self.caption}\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines)


def share(value: float | None) -> str:
    """`.912`, as AUC is written; `1.000`; `-` for None."""
    return "-" if value is None else f"{value:.3f}".replace("0.", ".", 1)


def spread(values: Iterable[float | None]) -> str:
    """Mean ± standard deviation of what is known; the mean alone of one value."""
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    return share(fmean(known)) + (f" ± {share(pstdev(known))}" if len(known) > 1 else "")


def number(values: Iterable[float | None]) -> str:
    """The mean of what is known, in three digits."""
    known = mean(values)
    return "-" if known is None else f"{known:,.0f}" if abs(known) >= 100 else f"{known:.3g}"


def mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def where(rows: Iterable[Row], **asked: Any) -> list[Row]:
    """The rows that hold these values."""
    return [row for row in rows if all(row[name] == value for name, value in asked.items())]


def distinct(rows: Iterable[Row], name: str) -> list[Any]:
    """The values of a column, in the order in which they come first."""
    return list(dict.fromkeys(row[name] for row in rows))


def in_order(rows: Iterable[Row]) -> list[str]:
    """The methods of these rows, in the order of all tables."""
    found = {row["method"] for row in rows}
    return [name for name in methods() if name in found]


def title(name: str) -> str:
    """A method as tables call it; a one-class one, which is told what is normal, says so."""
    known = methods()[name]
    return f"{known.title} (one-class)" if known.one_class else known.title
