"""What every screen of the console does: read again and again while it is looked at, and say how the link stands."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar, cast

from textual import work
from textual.screen import Screen

from console.client import ApiError
from console.widgets.bars import TopBar

if TYPE_CHECKING:
    from console.app import ConsoleApp

Result = TypeVar("Result")


class PolledScreen(Screen[Result]):
    """A screen over the API. `read` is called at once, then at every interval while no other screen covers this one."""

    place = ""
    """For the breadcrumbs."""

    def __init__(self) -> None:
        super().__init__()
        self._wake = asyncio.Event()

    def on_mount(self) -> None:
        """Textual calls the `on_mount` of every class in the family: subclasses must not call this one."""
        self.set_interval(0.5, self.tell_link)
        self.poll()

    def on_screen_resume(self) -> None:
        self.read_now()

    @property
    def console_app(self) -> ConsoleApp:
        return cast("ConsoleApp", self.app)

    async def read(self) -> None:
        """Fetch and show. An ApiError is told in the bar, and reading goes on."""
        raise NotImplementedError

    def read_now(self) -> None:
        self._wake.set()

    def tell_link(self) -> None:
        for bar in self.query(TopBar):
            bar.tell(self.place, self.console_app.link, now())

    @work(exclusive=True, group="poll")
    async def poll(self) -> None:
        while True:
            self._wake.clear()
            if self.is_active:
                with suppress(ApiError):
                    await self.read()
                self.tell_link()
            with suppress(TimeoutError):
                async with asyncio.timeout(self.console_app.poll_seconds):
                    await self._wake.wait()


def now() -> datetime:
    return datetime.now(UTC)
