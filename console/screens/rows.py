"""A place that is a list: a header, rows, two lines about the row under the cursor, and where in the list that is."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from typing import Generic, TypeVar

from textual.app import ComposeResult
from textual.widgets import Footer

from console.lines.formatting import Line
from console.messages import CursorMoved
from console.screens.polled import PolledScreen, now
from console.widgets.bars import Answer, Plain, TopBar
from console.widgets.lineview import Document

Row = TypeVar("Row")
MARGIN = 2
"""Cells that the mark of the cursor takes."""


class RowsScreen(PolledScreen[None], Generic[Row]):
    """What its rows are and what a key does to one is left to the place."""

    none = ""
    """Said instead of rows when there are none."""

    def __init__(self) -> None:
        super().__init__()
        self.found: tuple[Row, ...] | None = None
        """None until they were read."""

    @abstractmethod
    def head(self, width: int) -> Line: ...

    @abstractmethod
    def line_of(self, row: Row, width: int, at: datetime) -> Line: ...

    @abstractmethod
    def preview_of(self, row: Row, width: int) -> str: ...

    @abstractmethod
    def hint(self) -> str:
        """Of the status line, after the place in the list."""

    def compose(self) -> ComposeResult:
        yield TopBar()
        yield Plain(id="header", classes="header")
        yield Document(id="rows")
        yield Plain(id="preview")
        yield Plain("reading", id="status")
        yield Answer()
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.rows.show(self._lines)
        self.rows.focus()

    @property
    def rows(self) -> Document:
        return self.query_one("#rows", Document)

    @property
    def current(self) -> Row | None:
        found, cursor = self.found or (), self.rows.cursor
        return found[cursor] if cursor < len(found) else None

    def show(self, found: tuple[Row, ...]) -> None:
        self.found = found
        self.draw()

    def draw(self) -> None:
        """Again, by the clock of now."""
        self.rows.redraw()
        self.tell()

    def tell(self) -> None:
        row, width = self.current, self.rows.columns
        self.query_one("#header", Plain).say(" " * MARGIN + self.head(width).text if width else "")
        self.query_one("#preview", Plain).say("" if row is None else self.preview_of(row, self.size.width - MARGIN))
        self.query_one("#status", Plain).say(self._where())

    def on_cursor_moved(self, message: CursorMoved) -> None:
        message.stop()
        self.tell()

    def on_resize(self) -> None:
        self.tell()

    def action_refresh(self) -> None:
        self.read_now()

    def _lines(self, width: int) -> tuple[Line, ...]:
        at = now()
        return tuple(self.line_of(row, width, at) for row in self.found or ())

    def _where(self) -> str:
        if self.found is None:
            return "reading"
        if not self.found:
            return self.none
        return f"{self.rows.cursor + 1} of {len(self.found)}{self.hint()}"
