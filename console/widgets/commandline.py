"""The line after `:`: what is typed, its likely end as ghost text, and what can be typed or what was wrong above it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.suggester import Suggester
from textual.widget import Widget
from textual.widgets import Input

from console.lines.formatting import fit, flat
from console.widgets.bars import Plain

_HINT = "a place, an id, or a command: tab completes, up and down recall, esc leaves"


@dataclass
class Typed(Message):
    """Enter. The line stays until `leave`, so that a mistake can be mended."""

    line: CommandLine
    text: str


class _Ghost(Suggester):
    def __init__(self, completed: Callable[[str], Sequence[str]]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._completed = completed

    async def get_suggestion(self, value: str) -> str | None:
        return next(iter(self._completed(value)), None)


class CommandLine(Vertical):
    """Stands in the screen itself, which therefore stays live. `completed` gives whole lines that go on from a part."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "leave"),
        Binding("tab", "complete(1)", "complete"),
        Binding("shift+tab", "complete(-1)", "complete", show=False),
        Binding("up", "recall(-1)", "line before", show=False),
        Binding("down", "recall(1)", "line after", show=False),
    ]

    def __init__(self, *, completed: Callable[[str], Sequence[str]], history: Sequence[str]) -> None:
        super().__init__()
        self._completed = completed
        self._begun = ""
        self._filled = ""
        self._history = (*history, "")
        self._at = len(history)
        self._before: Widget | None = None

    def compose(self) -> ComposeResult:
        yield Plain(_HINT, id="command-hint")
        with Horizontal():
            yield Plain(":", id="command-sign")
            yield Input(id="command", compact=True, suggester=_Ghost(self._completed))

    def take_focus(self) -> None:
        """At once: the next key may be waiting already, and belongs here."""
        if not self.has_focus_within:
            self._before = self.screen.focused
        self.screen.set_focus(self.query_one(Input))

    def refuse(self, sentence: str) -> None:
        hint = self.query_one("#command-hint", Plain)
        hint.add_class("bad")
        hint.say(flat(sentence))

    def leave(self) -> None:
        if self._before is not None and self._before.is_attached:
            self._before.focus()
        self.remove()

    def action_leave(self) -> None:
        self.leave()

    def action_complete(self, by: int) -> None:
        """The first that goes on from what was typed, and with every further key the next one."""
        box = self.query_one(Input)
        if box.value != self._filled:
            self._begun = box.value
        choices = self._completed(self._begun)
        if not choices:
            return
        at = choices.index(self._filled) + by if self._filled in choices else 0
        self._fill(choices[at % len(choices)])

    def action_recall(self, by: int) -> None:
        self._at = max(0, min(self._at + by, len(self._history) - 1))
        self._fill(self._history[self._at])

    def _fill(self, text: str) -> None:
        self._filled = text
        box = self.query_one(Input)
        box.value = text
        box.cursor_position = len(text)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        hint = self.query_one("#command-hint", Plain)
        hint.remove_class("bad")
        choices = self._completed(self._begun if event.value == self._filled else event.value)
        hint.say(fit("  ".join(choices), max(self.size.width - 2, 0)).rstrip() if choices else _HINT)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value.strip():
            self.post_message(Typed(self, event.value))
        else:
            self.leave()

    def on_descendant_blur(self) -> None:
        """A click on something else leaves; another window in front does not."""
        self.call_after_refresh(self._leave_if_left)

    def _leave_if_left(self) -> None:
        if self.is_attached and self.screen.focused is not None and not self.has_focus_within:
            self.remove()
