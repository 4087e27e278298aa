"""One question before a decision, answered by typing: a word that is asked for, or a reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from console.lines.formatting import Line, shown
from console.widgets.bars import Plain
from console.widgets.lineview import Document

_NARROW = 60
_MOST_LINES = 14
"""What does not fit is scrolled to."""


class ConfirmScreen(ModalScreen[str]):
    """Ends with what was typed, or with None. With `word`, nothing else than the word is an answer."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "back"),
        Binding("up", "move(-1)", "up", show=False, priority=True),
        Binding("down", "move(1)", "down", show=False, priority=True),
    ]

    def __init__(self, *, title: str, build: Callable[[int], Sequence[Line]], prompt: str, word: str = "") -> None:
        super().__init__()
        self._title = title
        self._build = build
        self._prompt = prompt
        self._word = word

    def compose(self) -> ComposeResult:
        with Vertical(id="question"):
            yield Plain(shown(self._title), classes="header")
            yield Document(has_cursor=False, id="body")
            yield Plain(f"{self._prompt}, Enter; esc leaves everything as it is", id="prompt")
            yield Input(id="answer", compact=True)

    def on_mount(self) -> None:
        body = self.query_one("#body", Document)
        body.show(self._build)
        body.display = bool(self._build(_NARROW))
        body.styles.height = min(len(self._build(_NARROW)), _MOST_LINES)
        self.query_one(Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        typed = event.value.strip()
        if self._word and typed != self._word:
            self.query_one("#prompt", Plain).say(f"nothing was done: type {self._word}, Enter; or esc")
            event.input.value = ""
        elif not typed:
            self.query_one("#prompt", Plain).say("nothing was done: say why, Enter; or esc")
        else:
            self.dismiss(typed)

    def action_move(self, by: int) -> None:
        self.query_one("#body", Document).action_move(by)

    def action_leave(self) -> None:
        self.dismiss(None)
