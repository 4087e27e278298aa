"""The console: screens over the HTTP API of one responder.

It knows the domain and the wire, so it starts within a blink; the server checks and records what is decided here.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.worker import NoActiveWorker, get_current_worker

from console.calls import in_thread
from console.client import ApiError, Client
from console.link import Link, LinkState
from console.screens.help import HelpScreen
from console.screens.incidents import IncidentsScreen
from console.screens.polled import PolledScreen, now
from console.stream import EventReader, Timing

T = TypeVar("T")

POLL_SECONDS = 2.0
LIVE_POLL_SECONDS = 15.0
"""While the stream tells what happens: what changes without a record of its own still comes through."""


@dataclass
class StreamMoved(Message):
    """The reader has something to take, or stands elsewhere than before."""

    def can_replace(self, message: Message) -> bool:
        """Whatever has come is taken at once."""
        return isinstance(message, StreamMoved)


class ConsoleApp(App[None]):
    TITLE = "clopus"
    CSS_PATH = "console.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("q", "quit", "quit"),
        Binding("ctrl+q", "quit", "quit", show=False, priority=True),
    ]

    def __init__(
        self, client: Client, *, poll_seconds: float = POLL_SECONDS, live_poll_seconds: float = LIVE_POLL_SECONDS,
        timing: Timing | None = None,
    ) -> None:  # fmt: skip
        # With NO_COLOR, Textual's grey stands too close to its ground; the terminal's own two colours are readable.
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self.client = client
        self.poll_seconds = poll_seconds
        self.live_poll_seconds = live_poll_seconds
        self.reader = EventReader(client, told=self._stream_moved, timing=timing)
        self._calls = Link()

    def on_mount(self) -> None:
        self.push_screen(IncidentsScreen())
        self.reader.start()

    def on_unmount(self) -> None:
        self.reader.stop()

    @property
    def link(self) -> Link:
        return self._calls.fed(self.reader.feed)

    @property
    def poll_interval(self) -> float:
        """Seconds. The server is asked often only while it does not tell by itself."""
        is_live = self.link.state(now()) is LinkState.LIVE
        return max(self.live_poll_seconds, self.poll_seconds) if is_live else self.poll_seconds

    def _stream_moved(self) -> None:
        """In the reader's thread."""
        with suppress(RuntimeError):  # the loop has closed while this was on its way: nobody looks any more
            self.post_message(StreamMoved())

    def on_stream_moved(self) -> None:
        events = self.reader.take()
        for screen in self.screen_stack:
            if isinstance(screen, PolledScreen):
                if events:
                    screen.heard(events)
                screen.tell_link()

    async def ask(self, call: Callable[[Client], T]) -> T:
        """One call to the API, off the loop. The link remembers whether the server answered.

        Raises:
            ApiError: refused, or not reachable.
            asyncio.CancelledError: the screen that asked is being removed.
        """
        try:
            result = await in_thread(lambda: call(self.client))
        except ApiError as exc:
            if _is_an_answer(exc):
                self._was_answered()
            else:
                self._calls = self._calls.failed(str(exc), refused=exc.status in (401, 403))
            _end_with_its_screen()
            raise
        self._was_answered()
        _end_with_its_screen()
        return result

    def _was_answered(self) -> None:
        if self._calls.problem:
            self.reader.hurry()
        self._calls = self._calls.answered(now())

    def action_help(self) -> None:
        self.push_screen(HelpScreen())


def _end_with_its_screen() -> None:
    """A worker whose screen is being removed must not touch it: its widgets go before Textual calls the worker off."""
    with suppress(NoActiveWorker):
        if not get_current_worker().node.display:
            raise asyncio.CancelledError


def _is_an_answer(error: ApiError) -> bool:
    """The server stands and said no to this one thing, not to everything."""
    return 400 <= error.status < 500 and error.status not in (401, 403)
