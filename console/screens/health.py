"""How the responder itself is, on one screen."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Footer

from console import health
from console.lines.formatting import Line, text_of
from console.remote.client import path_of
from console.screens.polled import PolledScreen, now
from console.widgets.bars import Answer, TopBar
from console.widgets.lineview import Document
from responder.domain.views import Status

_TWO_PANES = 140
"""From this width on all watches stand beside the rest; below it, those that are not live follow it."""


class HealthScreen(PolledScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r,ctrl+r", "refresh", "refresh", id="health.refresh"),
        Binding("m", "brakes", "ceilings and kill switch", id="health.mode"),
    ]
    place = "health"

    def __init__(self) -> None:
        super().__init__()
        self.status: Status | None = None
        self._main = Document(has_cursor=False, id="health")
        self._beside = Document(has_cursor=False, id="watches")

    def compose(self) -> ComposeResult:
        yield TopBar()
        with Horizontal():
            yield self._main
            yield self._beside
        yield Answer()
        yield Footer(compact=True, show_command_palette=False)

    def on_resize(self) -> None:
        self._arrange()

    async def read(self) -> None:
        self.status = await self.console_app.ask(lambda client: client.get(Status, path_of("status")))
        self._show()

    def copied(self) -> tuple[str, str]:
        lines = (*self._health(120), *([] if self._is_wide else [Line()]), *(self._watches(120)))
        return text_of(lines), "the responder's health"

    @property
    def _is_wide(self) -> bool:
        return self.size.width >= _TWO_PANES

    def _arrange(self) -> None:
        if self._beside.has_focus and not self._is_wide:
            self._main.focus()
        self._beside.display = self._is_wide
        self._show()

    def _show(self) -> None:
        self._main.show(self._health)
        self._beside.show(self._watches)

    def _health(self, width: int) -> tuple[Line, ...]:
        if self.status is None:
            return ()
        told = health.tell(self.status, width=width, now=now())
        if self._is_wide:
            return told
        return (*told, Line(), *health.tell_watches(self.status, width=width, silent_only=True))

    def _watches(self, width: int) -> tuple[Line, ...]:
        return health.tell_watches(self.status, width=width) if self.status is not None else ()

    def action_refresh(self) -> None:
        self.read_now()

    def action_brakes(self) -> None:
        self.console_app.go("mode")
