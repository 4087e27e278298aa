"""The approval: the whole diff, then the digest typed. Nothing is approved by accident, and nothing unseen.

The server checks the approval again: this screen only makes sure that a person has looked.
"""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer, Input

from console import story
from console.client import ApiError, path_of
from console.formatting import shown
from console.messages import EndSeen
from console.screens.polled import PolledScreen
from console.widgets.bars import Plain, TopBar
from console.widgets.lineview import Document
from responder.domain.plan import Plan, PlanState
from responder.domain.views import PlanView

TYPED = 4
"""Characters of the digest to type."""


class ApproveScreen(PolledScreen[str]):
    """Ends with what was done, or with None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "up", show=False, priority=True),
        Binding("down", "move(1)", "scroll", priority=True, key_display="↑↓"),
        Binding("pageup", "page(-1)", "page up", show=False, priority=True),
        Binding("pagedown", "page(1)", "page", priority=True, key_display="pgdn"),
        Binding("escape", "leave", "back, nothing approved"),
    ]

    def __init__(self, view: PlanView) -> None:
        super().__init__()
        self.view = view
        self.incident_id = view.plan.incident_id
        self.place = f"incidents › {view.plan.incident_id} › approve"
        self.end_seen = False
        self._void = ""
        self._sending = False
        self._refused = ""

    def compose(self) -> ComposeResult:
        yield TopBar()
        yield Document(has_cursor=False, id="plan")
        yield Plain(id="verdict")
        box = Input(placeholder="digest", id="digest", restrict=r"[0-9a-fA-F]*", max_length=64, compact=True)
        box.disabled = True
        yield box
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self._document.show(lambda width: story.tell_plan(self.view, width=width))
        self._document.focus()
        self._tell()

    @property
    def _document(self) -> Document:
        return self.query_one("#plan", Document)

    async def read(self) -> None:
        plan_id = self.view.plan.id
        seen = await self.console_app.ask(lambda client: client.get(PlanView, path_of("plans", plan_id)))
        self._void = _changed(self.view.plan, seen)
        if not self._void and seen != self.view:
            self.view = seen
            self._document.redraw()
        self._tell()

    def on_end_seen(self, message: EndSeen) -> None:
        message.stop()
        if not self._document.count():
            return
        self.end_seen = True
        self._tell()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        typed = event.value.strip().lower()
        if self._void or not self.end_seen or self._sending:
            return
        if len(typed) < TYPED or not self.view.plan.digest.startswith(typed):
            event.input.value = ""
            self._say(f"{typed or 'nothing'} is not how the digest begins: not approved", bad=True)
            return
        self._sending = True
        self.run_worker(self._approve(), group="decision")

    async def _approve(self) -> None:
        plan = self.view.plan
        try:
            await self.console_app.ask(
                lambda client: client.send(Plan, "POST", path_of("plans", plan.id, "approve"), {"digest": plan.digest})
            )
        except ApiError as exc:
            self._sending = False
            self.query_one(Input).value = ""
            self._refused = f"not approved: {shown(str(exc))}"
            self._say(self._refused, bad=True)
            self.read_now()
            return
        self.dismiss(f"approved {plan.id}")

    def action_move(self, by: int) -> None:
        self._document.action_move(by)

    def action_page(self, by: int) -> None:
        self._document.action_page(by)

    def action_leave(self) -> None:
        self.dismiss(None)

    def _tell(self) -> None:
        box = self.query_one(Input)
        may_type = self.end_seen and not self._void
        if box.disabled == may_type:
            box.disabled = not may_type
            (box if may_type else self._document).focus()
            if may_type:
                self._say(f"type the first {TYPED} characters of the digest, then Enter, to approve exactly this")
        if self._void:
            self._say(". ".join(part for part in (self._refused, self._void) if part), bad=True)
        elif not self.end_seen:
            self._say("scroll to the end first: all of it is what you approve")

    def _say(self, text: str, *, bad: bool = False) -> None:
        verdict = self.query_one("#verdict", Plain)
        verdict.set_class(bad, "bad")
        verdict.say(text)


def _changed(shown_plan: Plan, seen: PlanView) -> str:
    """Why what is on the screen cannot be approved any more; '' while it can."""
    if seen.plan.digest != shown_plan.digest:
        return f"{shown_plan.id} has changed since: go back and look again"
    if seen.plan.state is PlanState.PROPOSED:
        return ""
    by = ", ".join(approval.approver for approval in seen.approvals)
    return f"{shown_plan.id} is {seen.plan.state}{f', approved by {by}' if by else ''}: nothing is left to decide"
