"""What waits for a person: the riskiest and oldest first, and who has it on a screen already."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from textual.binding import Binding, BindingType

from console import queue
from console.lines.formatting import Line
from console.messages import Chosen
from console.remote.client import ApiError, path_of
from console.screens.approve import ApproveScreen
from console.screens.rows import RowsScreen
from responder.domain.views import PlanQueue, PlanView, QueuedPlan

VIEWERS_SECONDS = 5.0
"""Who looks is no record, so no event tells of it."""


class ApprovalsScreen(RowsScreen[QueuedPlan]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "incident", "incident", id="approvals.incident"),
        Binding("r,ctrl+r", "refresh", "refresh", id="approvals.refresh"),
    ]
    place = "approvals"
    none = "nothing waits for a person"

    def on_mount(self) -> None:
        self.set_interval(1.0, self.draw)
        self.set_interval(VIEWERS_SECONDS, self.read_now)

    async def read(self) -> None:
        found = await self.console_app.ask(lambda client: client.get(PlanQueue, path_of("approvals")))
        self.show(found.plans)

    def head(self, width: int) -> Line:
        return queue.head(width)

    def line_of(self, row: QueuedPlan, width: int, at: datetime) -> Line:
        return queue.queue_row(row, width, at)

    def preview_of(self, row: QueuedPlan, width: int) -> str:
        return queue.preview(row, width)

    def hint(self) -> str:
        return "  ·  Enter shows the plan, i its incident"

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
