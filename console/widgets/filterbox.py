"""The line that the filter is typed into, as `console.filters` understands it; Tab finishes words."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input

from console.filterwords import KEYS_SHOWN, Completion, Seen, complete


class FilterBox(Input):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete", "finish the word", id="filter.complete"),
        Binding("down", "submit", "to the rows", id="filter.rows"),
        Binding("escape", "screen.clear", "clear"),
    ]

    class Completed(Message):
        """Tab was pressed; `choices` may be others now."""

    def __init__(self) -> None:
        super().__init__(placeholder=f"text  !text  {KEYS_SHOWN}", id="filter", compact=True)
        self.seen = Seen()
        self._done = Completion(typed="", cursor=0)

    @property
    def choices(self) -> tuple[str, ...]:
        """What the word could become that Tab could not finish, until something else is typed."""
        return self._done.choices if self._done.typed == self.value else ()

    def action_complete(self) -> None:
        self._done = complete(self.value, self.cursor_position, self.seen)
        if self._done.typed != self.value:
            self.value = self._done.typed
        self.cursor_position = self._done.cursor
        self.post_message(self.Completed())
