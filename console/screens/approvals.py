"""What waits for a person: the riskiest and oldest first, and who has it on a screen already."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer

from console import queue
from console.lines.formatting import Line
from console.messages import Chosen, CursorMoved
from console.remote.client import ApiError, path_of
from console.screens.approve import ApproveScreen
from console.screens.polled import PolledScreen, now
from console.widgets.bars import Answer, Plain, TopBar
from console.widgets.lineview import Document
from responder.domain.views import PlanQueue, PlanView, QueuedPlan

MARGIN = 2
"""Cells that the mark of the cursor takes."""
VIEWERS_SECONDS = 5.0
"""Who looks is no record, so no event tells of it."""


class ApprovalsScreen(PolledScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "incident", "incident", id="approvals.incident"),
        Binding("r,ctrl+r", "refresh", "refresh", id="approvals.refresh"),
    ]
    place = "approvals"

    def __init__(self) -> None:
        super().__init__()
        self.plans: tuple[QueuedPlan, ...] | None = None

    def compose(self) -> ComposeResult:
        yield TopBar()
        yield Plain(id="header", classes="header")
        yield Document(id="queue")
        yield Plain(id="preview")
        yield Plain("reading", id="status")
        yield Answer()
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self._rows.show(self._lines)
        self._rows.focus()
        self.set_interval(1.0, self._tell)
        self.set_interval(VIEWERS_SECONDS, self.read_now)

    @property
    def _rows(self) -> Document:
        return self.query_one("#queue", Document)

    async def read(self) -> None:
        found = await self.console_app.ask(lambda client: client.get(PlanQueue, path_of("approvals")))
        self.plans = found.plans
        self._tell()

    def _lines(self, width: int) -> tuple[Line, ...]:
        at = now()
        return tuple(queue.queue_row(plan, width, at) for plan in self.plans or ())

    @property
    def current(self) -> QueuedPlan | None:
        plans, cursor = self.plans or (), self._rows.cursor
        return plans[cursor] if cursor < len(plans) else None

    def _tell(self) -> None:
        self._rows.redraw()
        self._tell_current()

    def _tell_current(self) -> None:
        plan = self.current
        width = self._rows.columns
        self.query_one("#header", Plain).say(" " * MARGIN + queue.head(width).text if width else "")
        self.query_one("#preview", Plain).say(queue.preview(plan, self.size.width - MARGIN) if plan else "")
        self.query_one("#status", Plain).say(self._where())

    def _where(self) -> str:
        if self.plans is None:
            return "reading"
        if not self.plans:
            return "nothing waits for a person"
        return f"{self._rows.cursor + 1} of {len(self.plans)}  ·  Enter shows the plan, i its incident"

    def on_cursor_moved(self, message: CursorMoved) -> None:
        message.stop()
        self._tell_current()

    def on_resize(self) -> None:
        self._tell()

    def on_chosen(self, message: Chosen) -> None:
        message.stop()
        plan = self.current
        if plan is not None:
            self.run_worker(self._open(plan.plan_id), group="open", exclusive=True)

    async def _open(self, plan_id: str) -> None:
        try:
            view = await self.console_app.ask(lambda client: client.get(PlanView, path_of("plans", plan_id)))
        except ApiError as exc:
            self.say(f"{plan_id} cannot be shown: {exc}", bad=True)
            return
        if self.is_current:
            self.app.push_screen(ApproveScreen(view), self._answered)

    def _answered(self, said: str | None) -> None:
        self.say(said or "")
        self.read_now()

    def action_incident(self) -> None:
        if self.current is not None:
            self.console_app.open_incident(self.current.incident_id)

    def action_refresh(self) -> None:
        self.read_now()
