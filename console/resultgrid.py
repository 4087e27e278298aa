"""Rows of an answer as lines of the screen, from any column on; and one row with all of it, one column a line. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from rich.cells import cell_len

from console.lines.formatting import Line, Span, Tone, fit, flat, wrap
from console.sheets import cell_text, is_numeric
from responder.domain.manifest import Json
from responder.domain.views import QueryAnswer

WIDEST = 48
"""Cells of a column; what is longer is seen whole when its row is opened."""
_LOOKED_AT = 1000
"""Rows that decide how wide a column of text is. A number must never be cut: all of them count."""
_GAP = 2
_TIME_CELLS = 19
"""Of a time to the second; its fractions are seen when the row is opened."""
_NULL = "null"


class ResultGrid:
    """An answer laid out. Columns keep their width, so that scrolling does not shake them."""

    def __init__(self, answer: QueryAnswer) -> None:
        self.answer = answer
        self._times = [column.type.startswith("TIMESTAMP") for column in answer.columns]
        self._right = [is_numeric(column.type) for column in answer.columns]
        whole = [self._width(number) for number in range(len(answer.columns))]
        self.widths = tuple(min(width, WIDEST) for width in whole)
        self._last_whole = whole[-1] if whole else 0
        """The last column has what room is left, as far as it needs it."""

    def head(self, first: int, width: int) -> Line:
        names = [Span(flat(column.name), Tone.SECTION) for column in self.answer.columns]
        return self._line(names, first, width)

    def row(self, index: int, first: int, width: int) -> Line:
        return self._line(self._spans(self.answer.rows[index]), first, width)

    def last_first(self, width: int) -> int:
        """The first column to show so that the last one is seen."""
        room, first = width, len(self.widths)
        while first > 0 and room >= self.widths[first - 1]:
            first -= 1
            room -= self.widths[first] + _GAP
        return min(first, max(len(self.widths) - 1, 0))

    def told_columns(self, first: int, width: int) -> str:
        """Which of them are seen; '' where all are."""
        seen, room = 0, width
        for size in self.widths[first:]:
            if seen and room < size:
                break
            seen += 1
            room -= size + _GAP
        total = len(self.widths)
        return "" if seen == total else f"columns {first + 1}-{first + seen} of {total}, left and right scroll"

    def _width(self, number: int) -> int:
        if self._right[number]:
            cells = _longest_numbers([row[number] for row in self.answer.rows])
        else:
            cells = [row[number] for row in islice(self.answer.rows, _LOOKED_AT)]
        name = cell_len(flat(self.answer.columns[number].name))
        if self._times[number]:
            return max(name, _TIME_CELLS)
        return max(name, *(cell_len(_span(cell).text) for cell in cells), 1)

    def _spans(self, cells: Sequence[Json]) -> list[Span]:
        return [
            Span(cell[:_TIME_CELLS].replace("T", " ")) if is_time and isinstance(cell, str) else _span(cell)
            for cell, is_time in zip(cells, self._times, strict=True)
        ]

    def _line(self, cells: Sequence[Span], first: int, width: int) -> Line:
        spans: list[Span] = []
        room = width
        for number in range(first, len(cells)):
            if room <= 0:
                break
            wanted = self.widths[number] if number < len(cells) - 1 else self._last_whole
            size = min(wanted, room)
            text = cells[number].text
            padding = max(size - cell_len(text), 0) if self._right[number] else 0
            spans.append(Span(" " * padding + fit(text, size - padding), cells[number].tone))
            spans.append(Span(" " * _GAP))
            room -= size + _GAP
        return Line(tuple(spans[:-1]))


def tell_row(answer: QueryAnswer, index: int, width: int) -> Iterator[Line]:
    """Every column of one row, whole."""
    label = min(max((cell_len(flat(column.name)) for column in answer.columns), default=0), 30)
    for column, cell in zip(answer.columns, answer.rows[index], strict=True):
        span = _whole(cell)
        for number, part in enumerate(wrap(span.text, max(width - label - _GAP, 8))):
            name = fit(flat(column.name), label) if number == 0 else " " * label
            yield Line((Span(name, Tone.DIM), Span(" " * _GAP), Span(part, span.tone)))


def _longest_numbers(cells: Sequence[Json]) -> list[Json]:
    """Of whole numbers the least and the greatest are long enough to tell."""
    whole = [cell for cell in cells if isinstance(cell, int)]
    ends: list[Json] = [min(whole), max(whole)] if whole else []
    return ends + [cell for cell in cells if not isinstance(cell, int)]


def _span(cell: Json) -> Span:
    return Span(_NULL, Tone.DIM) if cell is None else Span(flat(cell_text(cell)))


def _whole(cell: Json) -> Span:
    """Texts keep their line feeds, which `wrap` honours."""
    return Span(cell) if isinstance(cell, str) else _span(cell)
