"""One row of an answer, every column of it whole."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer

from console.resultgrid import tell_row
from console.screens.polled import PolledScreen
from console.widgets.bars import Answer, TopBar
from console.widgets.lineview import Document
from responder.domain.views import QueryAnswer


class RowScreen(PolledScreen[None]):
    """Rows are of a copy, so nothing is read again."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n,right", "turn(1)", "next row", id="row.next"),
        Binding("p,left", "turn(-1)", "row before", id="row.before"),
        Binding("escape", "app.pop_screen", "back"),
    ]

    def __init__(self, answer: QueryAnswer, index: int) -> None:
        super().__init__()
        self._found = answer
        self._index = index

    @property
    def spot(self) -> str:
        return "sql"

    def compose(self) -> ComposeResult:
        yield TopBar()
        yield Document(id="row")
        yield Answer()
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(Document).focus()
        self._show()

    async def read(self) -> None:
        return

    def action_turn(self, by: int) -> None:
        self._index = max(0, min(self._index + by, len(self._found.rows) - 1))
        self._show()

    def _show(self) -> None:
        self.place = f"sql › row {self._index + 1} of {len(self._found.rows)}"
        self.tell_link()
        self.query_one(Document).show(lambda width: tuple(tell_row(self._found, self._index, width)))
