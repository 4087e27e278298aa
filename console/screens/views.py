"""Saved views of the incident list: pick one, delete one, name a new one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from console.lines.formatting import Line, Span, Tone, fit, flat, line
from console.messages import Chosen
from console.shell.memory import SavedView
from console.table import order_words
from console.widgets.bars import Plain
from console.widgets.lineview import Document
from responder.domain.search import Order

_NAME_CELLS = 20
_MOST_LINES = 12
_MOST_CHARACTERS = 40
"""Of a name."""


class ViewsScreen(ModalScreen[SavedView]):
    """Ends with the view that was picked, or with None. `drop` forgets one and gives those that are left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "drop", "delete", id="views.drop"),
        Binding("escape,v", "leave", "back", show=False),
    ]

    def __init__(self, views: Sequence[SavedView], drop: Callable[[str], Sequence[SavedView]]) -> None:
        super().__init__()
        self._views = tuple(views)
        self._drop = drop

    def compose(self) -> ComposeResult:
        with Vertical(id="question"):
            yield Plain("Saved views", classes="header")
            yield Document(id="views")
            yield Plain("enter shows it   d deletes it   esc leaves the list as it is")

    def on_mount(self) -> None:
        self._show()
        self.query_one("#views").focus()

    def _show(self) -> None:
        document = self.query_one("#views", Document)
        document.styles.height = max(min(len(self._views), _MOST_LINES), 1)
        document.show(self._lines)

    def _lines(self, width: int) -> Sequence[Line]:
        if not self._views:
            return (line("none is saved: ctrl+s saves what the list shows", Tone.DIM),)
        return tuple(
            Line((Span(fit(flat(view.name), _NAME_CELLS)), Span(f" {flat(told(view))}", Tone.DIM)), view.name)
            for view in self._views
        )

    def on_chosen(self, message: Chosen) -> None:
        message.stop()
        if self._views:
            self.dismiss(self._views[message.index])

    def action_drop(self) -> None:
        if self._views:
            self._views = tuple(self._drop(self._views[self.query_one("#views", Document).cursor].name))
            self._show()

    def action_leave(self) -> None:
        self.dismiss(None)


class NameScreen(ModalScreen[str]):
    """Ends with the name to save the view under, or with None."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "back", show=False)]

    def __init__(self, view: SavedView) -> None:
        super().__init__()
        self._view = view

    def compose(self) -> ComposeResult:
        with Vertical(id="question"):
            yield Plain("Save this view", classes="header")
            yield Plain(flat(told(self._view)))
            yield Plain("its name, Enter; a view of this name is replaced; esc saves nothing")
            yield Input(id="answer", max_length=_MOST_CHARACTERS, compact=True)

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        name = event.value.strip()
        if name:
            self.dismiss(name)

    def action_leave(self) -> None:
        self.dismiss(None)


def told(view: SavedView) -> str:
    """What it shows, in words."""
    parts = ("faults only" if view.faults_only else "", view.typed, order_words(order_of(view)) if view.sort else "")
    return ", ".join(part for part in parts if part) or "all incidents"


def order_of(view: SavedView) -> Order:
    """Newest first where the file names a column that there is not."""
    try:
        return Order.parse(view.sort)
    except ValueError:
        return Order()
