"""What every screen of the console does: keep what it shows true while it is looked at, and say how the link stands.

Events of the stream never change what is shown by themselves: they make the screen read again, so that what stands
there is always what the server answered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar, cast

from textual import work
from textual.geometry import Offset
from textual.screen import Screen
from textual.timer import Timer

from console.lines.formatting import shown
from console.messages import CursorMoved, NotMeant
from console.remote.client import ApiError
from console.remote.stream import Anew, Event
from console.widgets.bars import Answer, TopBar
from console.widgets.lineview import LineView

if TYPE_CHECKING:
    from console.app import ConsoleApp

Result = TypeVar("Result")

READ_GAP_SECONDS = 0.25
"""Between two reads that events ask for: a storm of them costs the server four reads a second."""


class PolledScreen(Screen[Result]):
    """A screen over the API. While no other covers it, `read` is called at once, after every event that concerns it,
    and at every interval: a short one while no stream is up."""

    place = ""
    """For the breadcrumbs."""
    about = ""
    """What help says before the keys."""
    incident_id = ""
    """A screen of one incident is read for events of this one only."""
    lag_seconds = 0.0
    """So long after an event the server still tells what was before it."""

    def __init__(self) -> None:
        super().__init__()
        self._wake = asyncio.Event()
        self._read_at = float("-inf")
        self._rests_since = float("inf")
        """Monotonic; never, while a read is under way."""
        self._soon: Timer | None = None

    def on_mount(self) -> None:
        """Textual calls the `on_mount` of every class in the family: subclasses must not call this one."""
        self.set_interval(0.5, self.look)
        self.poll()

    def on_screen_resume(self) -> None:
        self.read_now()
        if self.is_active:
            self.console_app.visited(self.spot)

    @property
    def spot(self) -> str:
        """What leads back here: see console/shell/trail.py."""
        return self.incident_id or self.place

    @property
    def console_app(self) -> ConsoleApp:
        return cast("ConsoleApp", self.app)

    async def read(self) -> None:
        """Fetch and show. An ApiError is told in the bar, and reading goes on."""
        raise NotImplementedError

    def read_now(self) -> None:
        self._wake.set()

    def heard(self, events: Sequence[Event]) -> None:
        """Of everything that was recorded since the last time, also while another screen covers this one."""
        if any(isinstance(event, Anew) for event in events):
            self.start_anew()
        if self._soon is None and any(self.concerns(event) for event in events):
            due_in = self._read_at + READ_GAP_SECONDS - time.monotonic()
            self._soon = self.set_timer(max(due_in, self.lag_seconds, 0.001), self.read_now)

    def concerns(self, event: Event) -> bool:
        return isinstance(event, Anew) or not self.incident_id or event.incident_id == self.incident_id

    def start_anew(self) -> None:
        """Something was missed, or the server tells another history: forget what `read`, which follows, does not
        replace."""

    def look(self) -> None:
        """The clock alone ends a live link; the next read is then due long before it had been."""
        self.tell_link()
        if time.monotonic() - self._rests_since > self.console_app.poll_interval:
            self.read_now()

    def _begin_read(self) -> None:
        """A read that begins now covers every event heard so far."""
        self._wake.clear()
        if self._soon is not None:
            self._soon.stop()
            self._soon = None
        self._read_at, self._rests_since = time.monotonic(), float("inf")

    def say(self, text: str, *, bad: bool = False) -> None:
        """What came of something the operator did; it stays until the next. `text` may come from anywhere."""
        for answer in self.query(Answer):
            answer.tell(text, bad=bad)
            return
        if text:
            self.notify(shown(text), severity="error" if bad else "information", markup=False)

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Those that are seen here, for completion."""
        return ()

    def copied(self) -> tuple[str, str]:
        """What `c` copies, and what to call it. Without more knowledge: the line under the cursor."""
        view = self.focused
        if not isinstance(view, LineView) or not view.count():
            return "", ""
        return view.line_at(view.cursor).text.strip(), "the line"

    def on_cursor_moved(self, message: CursorMoved) -> None:
        """The terminal's cursor goes where the line is that is current: what reads the screen aloud follows it."""
        view = self.focused
        if isinstance(view, LineView):
            at = view.content_region
            self.app.cursor_position = Offset(at.x, at.y + view.cursor - view.scroll_offset.y)

    def on_not_meant(self, message: NotMeant) -> None:
        message.stop()
        self.say("another one came under the cursor just then: Enter again opens it")

    def narrow(self, typed: str) -> bool:
        """Show only what `typed` asks for, in the words of `/`. False: there is no filter here."""
        return False

    def export(self, file: str) -> None:
        """Write what this screen shows to `file`, or, for '', to one that it names, and say where it is."""
        self.say("there is nothing to export here: go to an incident", bad=True)

    def tell_link(self) -> None:
        for bar in self.query(TopBar):
            bar.tell(self.place, self.console_app.link, now(), held=self.console_app.held)

    @work(exclusive=True, group="poll")
    async def poll(self) -> None:
        while True:
            self._begin_read()
            if self.is_active:
                with suppress(ApiError):
                    await self.read()
                self.tell_link()
            self._rests_since = time.monotonic()
            with suppress(TimeoutError):
                async with asyncio.timeout(self.console_app.poll_interval):
                    await self._wake.wait()


def now() -> datetime:
    return datetime.now(UTC)
