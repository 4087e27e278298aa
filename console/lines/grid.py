"""Rows of cells under a header, for every screen that is a table. Pure.

Columns of fixed width come first; what they leave is shared among the others by weight. On a narrow screen the columns
that ask for a wider one are left out, so that the rest can still be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from console.lines.formatting import Line, Span, Tone, fit, flat

LEAST_CELLS = 8
"""What a column that shares the rest gets at least."""


@dataclass(frozen=True, kw_only=True)
class Column:
    title: str
    width: int = 0
    """Cells; 0: a share of what the others leave."""
    weight: int = 1
    right: bool = False
    """For numbers."""
    from_columns: int = 0
    """Left out on a screen with fewer cells."""
    most: int = 0
    """Cells, where its share would be more; 0: as many as there are."""


@dataclass(frozen=True)
class Cell:
    """`text` may come from anywhere: it is made safe here."""

    text: str
    tone: Tone = Tone.PLAIN


def header(columns: Sequence[Column], width: int) -> Line:
    sizes = widths(columns, width)
    return _line(columns, sizes, [Cell(column.title, Tone.SECTION) for column in columns], key="")


def row(columns: Sequence[Column], cells: Sequence[Cell | str], width: int, *, key: str = "") -> Line:
    """One cell for each column, also for those that are left out at this width."""
    told = [Cell(cell) if isinstance(cell, str) else cell for cell in cells]
    return _line(columns, widths(columns, width), told, key=key)


def widths(columns: Sequence[Column], width: int) -> tuple[int, ...]:
    """Cells of each column at this width; 0 where it is left out."""
    seen = [column for column in columns if width >= column.from_columns]
    rest = max(width - sum(column.width for column in seen) - max(len(seen) - 1, 0), 0)
    sharing = [column for column in seen if not column.width]
    capped = [column for column in sharing if 0 < column.most < _share(column, sharing, rest)]
    rest -= sum(column.most for column in capped)
    sharing = [column for column in sharing if column not in capped]
    return tuple(
        0 if column not in seen
        else column.width or (column.most if column in capped else _share(column, sharing, rest))
        for column in columns
    )  # fmt: skip


def _share(column: Column, sharing: Sequence[Column], cells: int) -> int:
    return max(cells * column.weight // max(sum(each.weight for each in sharing), 1), LEAST_CELLS)


def _line(columns: Sequence[Column], sizes: Sequence[int], cells: Sequence[Cell], *, key: str) -> Line:
    spans: list[Span] = []
    for column, size, cell in zip(columns, sizes, cells, strict=True):
        if not size:
            continue
        if spans:
            spans.append(Span(" "))
        text = flat(cell.text)
        padding = max(size - cell_len(text), 0) if column.right else 0
        spans.append(Span(" " * padding + fit(text, size - padding), cell.tone))
    return Line(tuple(spans), key)
