"""One change of the brakes: what it does, why, and the word that names it. Lowering takes less than raising.

The server checks who asks. This screen makes sure that a person has seen before and after, and that nobody else has
changed the brakes since they were shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from console.lines.formatting import Line, shown
from console.modechange import Known, ModeChange, mode_change, tell_change
from console.remote.client import ApiError, path_of
from console.widgets.bars import Plain
from console.widgets.lineview import Document
from responder.domain.mode import ModeSettings

if TYPE_CHECKING:
    from console.app import ConsoleApp

RAISE = "raise"
_MOST_LINES = 12
"""What does not fit is scrolled to."""


class ChangeScreen(ModalScreen[str]):
    """Ends with a sentence about what was done, or with None: then nothing was sent, or nothing of it is known."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "back"),
        Binding("up", "move(-1)", "up", show=False, priority=True),
        Binding("down", "move(1)", "down", show=False, priority=True),
    ]

    def __init__(self, asked: ModeChange, known: Known) -> None:
        super().__init__()
        self._asked = asked
        self._known = known
        self._reason = ""
        self._words_left = _words(asked)
        self._sending = False

    def compose(self) -> ComposeResult:
        with Vertical(id="question"):
            yield Plain(shown(self._asked.title), classes="header")
            yield Document(has_cursor=False, id="body")
            yield Plain(id="prompt")
            yield Input(id="word", compact=True)

    def on_mount(self) -> None:
        self._show()
        self._ask("")
        self.query_one(Input).focus()

    def on_resize(self) -> None:
        self._show()

    def _show(self) -> None:
        body = self.query_one("#body", Document)
        body.styles.height = min(len(self._lines(max(self.size.width - 8, 40))), _MOST_LINES)
        body.show(self._lines)

    def _lines(self, width: int) -> tuple[Line, ...]:
        return tell_change(self._asked, self._known, width=width)

    def _ask(self, problem: str) -> None:
        prompt = self.query_one("#prompt", Plain)
        prompt.set_class(bool(problem), "bad")
        prompt.say(". ".join(part for part in (shown(problem), self._question()) if part))
        self.query_one(Input).value = ""

    def _question(self) -> str:
        if self._asked.is_urgent:
            return f"type {self._asked.word}, and why if you like, then Enter; esc leaves everything as it is"
        if not self._reason:
            return "why? It goes into the record. Enter; esc leaves everything as it is"
        return f"type {self._words_left[0]}, Enter; esc leaves everything as it is"

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        typed = " ".join(event.value.split())
        if self._sending:
            return
        if self._asked.is_urgent:
            typed, _, self._reason = typed.partition(" ")
        elif not self._reason:
            self._reason = typed
            self._ask("" if typed else "nothing was done")
            return
        if typed != self._words_left[0]:
            self._ask("nothing was done")
            return
        self._words_left = self._words_left[1:] or self._words_left
        if self._asked.raises and typed != RAISE:
            self._ask("")
            return
        self._sending = True
        self.run_worker(self._send(), group="decision")

    async def _send(self) -> None:
        try:
            if not self._asked.is_urgent and await self._was_changed_meanwhile():
                return
            app = cast("ConsoleApp", self.app)
            body = {**self._asked.body, "reason": self._reason, "seen": self._asked.before.fingerprint}
            await app.ask(lambda client: client.send(ModeSettings, "PUT", path_of("mode"), body))
        except ApiError as exc:
            self._words_left = _words(self._asked)
            self._ask(f"not done: {exc}")
        else:
            self.dismiss(f"done: {self._asked.title}")
        finally:
            self._sending = False

    async def _was_changed_meanwhile(self) -> bool:
        """Then it is all asked again, about what holds now. Raises ApiError."""
        app = cast("ConsoleApp", self.app)
        stands = await app.ask(lambda client: client.get(ModeSettings, path_of("mode")))
        if stands.fingerprint == self._asked.before.fingerprint:
            return False
        self._asked = mode_change(self._asked.wish, stands)
        self._reason, self._words_left = "", _words(self._asked)
        self._show()
        self._ask(f"nothing was done: {stands.set_by or 'a breaker'} has changed the brakes meanwhile, look again")
        return True

    def action_move(self, by: int) -> None:
        self.query_one("#body", Document).action_move(by)

    def action_leave(self) -> None:
        self.dismiss(None)


def _words(asked: ModeChange) -> tuple[str, ...]:
    return (asked.word, RAISE) if asked.raises else (asked.word,)
