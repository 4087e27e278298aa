"""The approval: the whole diff, then two deliberate keys. Nothing is approved by accident, and nothing unseen.

When a key counts is decided in `console.decision`; the server checks the approval again. The screen tells the server
that somebody looks, so that two operators at one plan see each other. A decision is sent once, never again by itself.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import ClassVar

from rich.cells import cell_len
from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.timer import Timer
from textual.widgets import Footer

from console import decision, story
from console.decision import ARMED_SECONDS, TOO_SOON_SECONDS, Look
from console.lines.formatting import Line, shown
from console.remote.client import ApiError, path_of
from console.screens.polled import PolledScreen, now
from console.screens.questions import why_rejected
from console.widgets.bars import Plain, TopBar
from console.widgets.lineview import Document
from responder.domain.plan import Plan
from responder.domain.views import PlanView, Presence

PRESENCE_SECONDS = 5.0
ARMED_PRESENCE_SECONDS = 1.0
"""Between the two keys, what others do is learned sooner."""


class AllSeen(Message):
    """Every line has been on the screen."""


class WholeDocument(Document):
    """Knows which of its lines have been drawn, each to its end. Tells `AllSeen` once all of them have."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(has_cursor=False, id=id)
        self._drawn: set[int] = set()
        self._whole = False

    @property
    def unseen(self) -> int:
        return 0 if self._whole else max(self.count() - len(self._drawn), 1)

    def redraw(self) -> None:
        before = self.lines
        super().redraw()
        together = min(len(before), len(self.lines))
        if not self._whole and before[:together] != self.lines[:together]:
            self._drawn.clear()

    def render_line(self, y: int) -> Strip:
        strip = super().render_line(y)
        index = y + self.scroll_offset.y
        if not self._whole and index < self.count() and cell_len(self.line_at(index).text) <= self.columns:
            self._drawn.add(index)
            if len(self._drawn) >= self.count():
                self._whole = True
                self.post_message(AllSeen())
        return strip


@dataclass(frozen=True, kw_only=True)
class _Armed:
    """The first key has been pressed."""

    at: float
    """When, by the monotonic clock."""
    look: Look
    """What was known then."""


class ApproveScreen(PolledScreen[str]):
    """Ends with what was done, or with None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "arm", "approve, then Y", id="approve.arm"),
        Binding("Y,shift+y", "approve", "approve", show=False, id="approve.approve"),
        Binding("x", "reject", "reject", id="approve.reject"),
        Binding("escape", "leave", "back, nothing approved"),
    ]

    def __init__(self, view: PlanView) -> None:
        super().__init__()
        self.incident_id = view.plan.incident_id
        self.place = f"incidents › {view.plan.incident_id} › approve"
        self.seen = Look(read=view.plan, told=view, session=secrets.token_hex(8))
        self._armed: _Armed | None = None
        self._disarm_timer: Timer | None = None
        self._whole_at = float("inf")
        """When all of it had been on the screen."""
        self._sending = False
        self._unknown = ""
        """A decision was sent and no answer came; '' where it is known what became of every one."""
        self._note = ""
        self._ended: str | None = None
        self._tell_others = asyncio.Event()

    def compose(self) -> ComposeResult:
        yield TopBar()
        yield WholeDocument(id="plan")
        yield Plain(id="standing")
        yield Plain(id="verdict")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self._document.show(self._lines)
        self._document.focus()
        self.set_interval(1.0, self._look_again)
        self.be_seen()
        self._tell()

    def on_screen_resume(self) -> None:
        if self._ended is not None:
            self.call_later(self._end, self._ended)
        self._tell_others.set()

    def on_screen_suspend(self) -> None:
        self._disarm("another screen came over it")

    def on_descendant_blur(self) -> None:
        """A key that is typed elsewhere, after `:`, never comes by here."""
        self._disarm("the plan has lost the keys")

    @property
    def spot(self) -> str:
        """That of the screen below: nothing leads back to a question that was left."""
        stack = self.app.screen_stack
        below = stack[stack.index(self) - 1]
        return below.spot if isinstance(below, PolledScreen) else ""

    @property
    def view(self) -> PlanView:
        return self.seen.told

    @property
    def is_armed(self) -> bool:
        return self._armed is not None

    @property
    def _document(self) -> WholeDocument:
        return self.query_one("#plan", WholeDocument)

    def copied(self) -> tuple[str, str]:
        return self.seen.read.digest, "the digest"

    def _lines(self, width: int) -> tuple[Line, ...]:
        return story.tell_plan(replace(self.view, plan=self.seen.read), width=width)

    async def read(self) -> None:
        plan_id, unknown = self.seen.read.id, self._unknown
        try:
            told = await self.console_app.ask(lambda client: client.get(PlanView, path_of("plans", plan_id)))
        except ApiError as exc:
            self._learn(replace(self.seen, silent=str(exc)))
            raise
        self._learn(replace(self.seen, told=told, silent=""))
        if unknown and unknown == self._unknown:
            self._unknown = ""
            if self.seen.own is not None:
                self._note = "your approval had been taken"
            else:
                self._note = "" if decision.over(self.seen, now()) else "it was not taken"
            self._tell()

    @work(exclusive=True, group="presence")
    async def be_seen(self) -> None:
        """Tell the server that somebody looks, and learn who else does."""
        while True:
            self._tell_others.clear()
            if self.is_active:
                await self._be_seen_once()
            with suppress(TimeoutError):
                async with asyncio.timeout(ARMED_PRESENCE_SECONDS if self.is_armed else PRESENCE_SECONDS):
                    await self._tell_others.wait()

    async def _be_seen_once(self) -> None:
        path = path_of("plans", self.seen.read.id, "presence")
        body = {"session": self.seen.session, "deciding": self.is_armed}
        try:
            presence = await self.console_app.ask(lambda client: client.send(Presence, "PUT", path, body))
        except ApiError as exc:
            if exc.is_refusal:  # an older server: nobody knows who else looks
                return
            self._learn(replace(self.seen, silent=str(exc)))
            self.read_now()
        else:
            self._learn(replace(self.seen, presence=presence))

    def _learn(self, seen: Look) -> None:
        before, self.seen = self.seen, seen
        if seen.told.approvals != before.told.approvals:
            self._document.redraw()
        self._look_again()

    def _look_again(self) -> None:
        """Time goes on, and others decide."""
        if self._armed is not None:
            what = decision.disturbance(self._armed.look, self.seen)
            if what or self._hindrance():
                self._disarm(what)
        self._tell()

    def on_all_seen(self, message: AllSeen) -> None:
        message.stop()
        if not self._document.unseen and self._whole_at == float("inf"):
            self._whole_at = time.monotonic()
        self._tell()

    def on_key(self, event: events.Key) -> None:
        """The two keys are handled here, in the order in which they were pressed and with the time at which they were;
        what they are bound to may be called later. Every other key takes the first one back."""
        armed, self._armed = self._armed, None
        bound = self.active_bindings.get(event.key)
        match bound.binding.action if bound else "":
            case "arm":
                event.stop()
                self._stop_timer()
                self._arm(event.time)
            case "approve":
                event.stop()
                self._stop_timer()
                self._second_key(armed, event.time)
            case _ if armed is not None:
                self._end_armed("that was not Y")

    def action_arm(self) -> None:
        """By the mouse."""
        self._arm(time.monotonic())

    def action_approve(self) -> None:
        """Not by the mouse: the second key is one that nobody presses by chance."""

    def _arm(self, at: float) -> None:
        self._note = ""
        if not self._sending and not self._hindrance():
            if at < self._whole_at:
                self._note = "that key came before the plan was on the screen"
            else:
                self._armed = _Armed(at=at, look=self.seen)
                self._disarm_timer = self.set_timer(ARMED_SECONDS, self._too_late)
        self._tell_others.set()
        self._tell()

    def _second_key(self, armed: _Armed | None, at: float) -> None:
        if armed is None:
            self._note = "" if self._sending else "Y approves only after a"
        elif at - armed.at < TOO_SOON_SECONDS:
            self._note = "not approved: Y came too soon after a to have read what it does"
        elif what := decision.disturbance(armed.look, self.seen):
            self._note = f"not approved: {what}"
        elif self._hindrance():
            self._note = "not approved"
        else:
            self._note = ""
            self._sending = True
            self.run_worker(self._approve(armed.look), group="decision")
        self._tell_others.set()
        self._tell()

    def action_reject(self) -> None:
        if self._unknown or decision.barred(self.seen, now()):
            self._note = "not rejected"
            self._tell()
            return

        def answered(reason: str | None) -> None:
            if reason and not self._sending:
                self._sending = True
                self.run_worker(self._reject(reason), group="decision")

        self.app.push_screen(why_rejected(self.seen.read), answered)

    def action_leave(self) -> None:
        self.dismiss(None)

    async def _approve(self, look: Look) -> None:
        plan = look.read
        if await self._sent(path_of("plans", plan.id, "approve"), {"digest": plan.digest}, "not approved"):
            self._end(decision.approved(look))

    async def _reject(self, reason: str) -> None:
        plan = self.seen.read
        if await self._sent(path_of("plans", plan.id, "reject"), {"reason": reason}, "not rejected"):
            self._end(f"rejected {plan.id}")

    async def _sent(self, path: str, body: dict[str, str], refused: str) -> bool:
        """One decision, sent once. Without an answer, only what the server says of the plan afterwards can tell."""
        try:
            await self.console_app.ask(lambda client: client.send(Plan, "POST", path, body))
        except ApiError as exc:
            self._sending = False
            if exc.is_refusal:
                self._note = f"{refused}: {exc}"
            else:
                self._unknown = f"whether it was taken is not known, and is being read: {exc}"
            self._tell()
            self.read_now()
            return False
        return True

    def _end(self, said: str) -> None:
        """Back to where the plan was opened; where something stands over this screen, once that has gone."""
        self._ended = said
        if self.is_current:
            self.dismiss(said)

    def _hindrance(self) -> str:
        hindrance = decision.hindrance(self.seen, now(), unseen=self._document.unseen)
        return self._unknown or hindrance or (decision.KILLED if self.console_app.is_killed else "")

    def _stop_timer(self) -> None:
        if self._disarm_timer is not None:
            self._disarm_timer.stop()
            self._disarm_timer = None

    def _too_late(self) -> None:
        self._disarm(f"no Y came within {ARMED_SECONDS:g} s")

    def _disarm(self, why: str) -> None:
        if self._armed is not None:
            self._armed = None
            self._end_armed(why)

    def _end_armed(self, why: str) -> None:
        self._stop_timer()
        self._note = f"not approved: {why}" if why else "not approved"
        self._tell_others.set()
        self._tell()

    def _tell(self) -> None:
        self.query_one("#standing", Plain).say(decision.standing(self.seen, now()))
        why_not = self._hindrance()
        verdict = self.query_one("#verdict", Plain)
        verdict.set_class(self.is_armed or bool(self._unknown or decision.over(self.seen, now())), "bad")
        if self._sending:
            told = ["sent; waiting for the answer"]
        elif self.is_armed:
            told = [decision.question(self.seen)]
        else:
            told = [shown(self._note), shown(why_not) or "a begins to approve, Y after it approves; x rejects"]
        verdict.say(". ".join(part for part in told if part))
