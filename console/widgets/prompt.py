"""Where SQL is written: history at its ends, completion by tab, run by ctrl+enter, F5, or Enter after a `;`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

from console.sqlwords import Completion


@dataclass
class Run(Message):
    sql: str


@dataclass
class Choices(Message):
    """What the word under the cursor may become, for the line below."""

    words: tuple[str, ...]


class Prompt(TextArea):
    """`completed` is given the text before the cursor and all of it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5,ctrl+enter,ctrl+j", "run", "run", key_display="F5", id="sql.run"),
        Binding("tab", "complete", "complete", show=False, id="sql.complete"),
        Binding("ctrl+l", "empty", "empty", show=False, id="sql.empty"),
        Binding("ctrl+up", "recall(-1)", "statement before", show=False, id="sql.before"),
        Binding("ctrl+down", "recall(1)", "statement after", show=False, id="sql.after"),
    ]

    def __init__(self, *, completed: Callable[[str, str], Completion]) -> None:
        super().__init__(
            id="statement", compact=True, show_line_numbers=False, soft_wrap=True, highlight_cursor_line=False
        )
        self._completed = completed
        self._history: tuple[str, ...] = ()
        self._at = 0
        self._begun = ""

    def remember(self, history: Sequence[str]) -> None:
        """Oldest first. What is written now is what comes after the newest."""
        self._history = tuple(history)
        self._at = len(self._history)

    def put(self, sql: str) -> None:
        self.load_text(sql)
        self.move_cursor(self.document.end)

    def action_run(self) -> None:
        self.post_message(Run(self.text))

    def action_empty(self) -> None:
        self.put("")

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter" and self.text.rstrip().endswith(";") and self.cursor_location == self.document.end:
            event.stop()
            event.prevent_default()
            self.action_run()
            return
        await super()._on_key(event)

    def action_complete(self) -> None:
        """As far as all choices agree; with nothing begun, on to the rows."""
        completion = self._completed(self.get_text_range((0, 0), self.cursor_location), self.text)
        if not completion.choices:
            if completion.length == 0:
                self.screen.focus_next()
            return
        row, column = self.cursor_location
        self.replace(completion.common, (row, column - completion.length), (row, column))
        self.post_message(Choices(completion.choices if len(completion.choices) > 1 else ()))

    def action_cursor_up(self, select: bool = False) -> None:  # noqa: FBT001, FBT002 - Textual's signature
        if self.cursor_location[0] == 0 and not select:
            self.action_recall(-1)
        else:
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:  # noqa: FBT001, FBT002 - Textual's signature
        if self.cursor_location[0] == self.document.end[0] and not select:
            self.action_recall(1)
        else:
            super().action_cursor_down(select)

    def action_recall(self, by: int) -> None:
        if not 0 <= self._at + by <= len(self._history):
            return
        if self._at == len(self._history):
            self._begun = self.text
        self._at += by
        self.put(self._begun if self._at == len(self._history) else self._history[self._at])
