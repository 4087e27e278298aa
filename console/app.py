"""The console: screens over the HTTP API of one responder.

It knows the domain and the wire, so it starts within a blink; the server checks and records what is decided here.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import ClassVar, TypeVar

from textual.app import App
from textual.binding import Binding, BindingType

from console.calls import in_thread
from console.client import ApiError, Client
from console.link import Link
from console.screens.help import HelpScreen
from console.screens.incidents import IncidentsScreen
from console.screens.polled import now

T = TypeVar("T")

POLL_SECONDS = 2.0


class ConsoleApp(App[None]):
    TITLE = "clopus"
    CSS_PATH = "console.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("q", "quit", "quit"),
        Binding("ctrl+q", "quit", "quit", show=False, priority=True),
    ]

    def __init__(self, client: Client, *, poll_seconds: float = POLL_SECONDS) -> None:
        # With NO_COLOR, Textual's grey stands too close to its ground; the terminal's own two colours are readable.
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self.client = client
        self.poll_seconds = poll_seconds
        self.link = Link()

    def on_mount(self) -> None:
        self.push_screen(IncidentsScreen())

    async def ask(self, call: Callable[[Client], T]) -> T:
        """One call to the API, off the loop. The link remembers whether the server answered.

        Raises:
            ApiError: refused, or not reachable.
        """
        try:
            result = await in_thread(lambda: call(self.client))
        except ApiError as exc:
            self.link = self.link.answered(now()) if _is_an_answer(exc) else self.link.failed(str(exc))
            raise
        self.link = self.link.answered(now())
        return result

    def action_help(self) -> None:
        self.push_screen(HelpScreen())


def _is_an_answer(error: ApiError) -> bool:
    """The server stands and said no to this one thing, not to everything."""
    return 400 <= error.status < 500 and error.status not in (401, 403)
