"""An answer's rows under their column names, scrolling both ways; only what is looked at is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from console.lines.formatting import Line
from console.resultgrid import ResultGrid
from console.widgets.bars import Plain
from console.widgets.lineview import LineView
from responder.domain.views import QueryAnswer


@dataclass
class Scrolled(Message):
    """Other columns are seen than before."""


class RowGrid(LineView):
    """`head` is the line above it that gets the names."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "column(-1)", "columns before", show=False),
        Binding("right,l", "column(1)", "columns after", show=False),
        Binding("shift+left,H,circumflex_accent", "column(-10000)", "first column", show=False),
        Binding("shift+right,L,dollar_sign", "column(10000)", "last column", show=False),
    ]

    def __init__(self, head: Plain) -> None:
        super().__init__(id="rows")
        self._head = head
        self._first = 0
        self._grid: ResultGrid | None = None

    @property
    def seen_columns(self) -> str:
        return self._grid.told_columns(self._first, self.columns) if self._grid is not None else ""

    def show(self, answer: QueryAnswer | None) -> None:
        self._grid = ResultGrid(answer) if answer is not None else None
        self._first = self.cursor = 0
        self.scroll_to(y=0, animate=False)
        self.redraw()

    def count(self) -> int:
        return len(self._grid.answer.rows) if self._grid is not None else 0

    def line_at(self, index: int) -> Line:
        assert self._grid is not None, "count() is 0 without rows"
        return self._grid.row(index, self._first, self.columns)

    def redraw(self) -> None:
        super().redraw()
        told = self._grid.head(self._first, self.columns).text if self._grid is not None else ""
        self._head.say("  " + told)

    def action_column(self, by: int) -> None:
        if self._grid is None:
            return
        last = self._grid.last_first(self.columns)
        self._first = max(0, min(self._first + by, last))
        self.redraw()
        self.post_message(Scrolled())
