"""Answers of SQL as text: for a person's eyes, and as CSV for a spreadsheet.

CSV is RFC 4180 (https://www.rfc-editor.org/rfc/rfc4180). The record holds text that others wrote, and a spreadsheet
runs a cell that looks like a formula: such text gets an apostrophe in front.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator

from responder.domain.manifest import Json
from responder.domain.views import QueryAnswer
from responder.domain.visible import visible

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_WIDEST = 60
"""Characters of a cell in a table of text; a single column may be as long as it is."""


def csv_of(answer: QueryAnswer) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([_harmless(column.name) for column in answer.columns])
    writer.writerows([_harmless(cell) for cell in row] for row in answer.rows)
    return out.getvalue()


def table_of(answer: QueryAnswer) -> Iterator[str]:
    """Lines with columns side by side, numbers to the right."""
    head = [visible(column.name).replace("\n", " ") for column in answer.columns]
    widest = _WIDEST if len(head) > 1 else 10_000
    rows = [[clipped(cell_text(cell), widest) for cell in row] for row in answer.rows]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    right = [is_numeric(column.type) for column in answer.columns]
    for cells in (head, ["-" * width for width in widths], *rows):
        padded = (
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(cells, widths, right, strict=True)
        )
        yield "  ".join(padded).rstrip()


def cell_text(cell: Json) -> str:
    """On one line, with nothing in it that could drive a terminal. NULL is empty."""
    match cell:
        case None:
            return ""
        case bool():
            return "true" if cell else "false"
        case float():
            return f"{cell:.6g}" if abs(cell) < 1e6 else f"{cell:.1f}"
        case str() | int():
            return visible(str(cell)).replace("\n", " ")
    return visible(json.dumps(cell, ensure_ascii=False)).replace("\n", " ")


def clipped(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


def is_numeric(kind: str) -> bool:
    """`kind` as DuckDB names types."""
    return kind.endswith(("INT", "INTEGER", "DOUBLE", "FLOAT")) or kind.startswith("DECIMAL")


def _harmless(cell: Json) -> str | int | float:
    match cell:
        case None:
            return ""
        case bool():
            return "true" if cell else "false"
        case int() | float():
            return cell
        case str():
            return f"'{cell}" if cell.startswith(_FORMULA) else cell
    return json.dumps(cell, ensure_ascii=False)
