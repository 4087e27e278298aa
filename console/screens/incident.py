"""One incident: what happened, why, what changes, how to take it back; and the keys that decide."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Footer

from console import story
from console.client import ApiError, Client, path_of
from console.formatting import Line, shown
from console.messages import Chosen, CursorMoved, EndSeen
from console.screens.approve import ApproveScreen
from console.screens.confirm import ConfirmScreen
from console.screens.polled import PolledScreen, now
from console.screens.reasoning import ReasoningScreen
from console.widgets.bars import Plain, TopBar
from console.widgets.lineview import Document
from responder.domain.incident import Incident
from responder.domain.plan import Plan
from responder.domain.views import IncidentDetail, Reasoning

_TWO_PANES = 140
"""From this width on the record stands beside the story instead of below it."""


class IncidentScreen(PolledScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "approve", "approve"),
        Binding("x", "reject", "reject"),
        Binding("u", "undo", "take back"),
        Binding("i", "investigate", "look again"),
        Binding("t", "reasoning", "reasoning"),
        Binding("r,ctrl+r", "refresh", "refresh", show=False),
        Binding("escape", "app.pop_screen", "back"),
    ]

    def __init__(self, incident_id: str) -> None:
        super().__init__()
        self.place = f"incidents › {incident_id}"
        self.incident_id = incident_id
        self.known: story.Known | None = None
        self._opened: frozenset[str] = frozenset()

    def compose(self) -> ComposeResult:
        yield TopBar()
        with Horizontal():
            yield Document(id="story")
            yield Document(id="record")
        yield Plain(id="answer")
        yield Plain("reading", id="next")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self._arrange()
        self.query_one("#answer").display = False
        self.query_one("#story").focus()

    def on_resize(self) -> None:
        self._arrange()

    async def read(self) -> None:
        app = self.console_app
        detail = await app.ask(lambda client: client.get(IncidentDetail, path_of("incidents", self.incident_id)))
        reasoning = self.known.reasoning if self.known else None
        if reasoning is None or _runs(detail) != tuple(run.id for run in reasoning.investigations):
            reasoning = await app.ask(
                lambda client: client.get(Reasoning, path_of("incidents", self.incident_id, "reasoning"))
            )
        self.known = story.Known(detail=detail, reasoning=reasoning)
        self._show()

    @property
    def _is_wide(self) -> bool:
        return self.size.width >= _TWO_PANES

    def _arrange(self) -> None:
        record = self.query_one("#record")
        if record.has_focus and not self._is_wide:
            self.query_one("#story").focus()
        record.display = self._is_wide
        self._show()

    def _show(self) -> None:
        if self.known is None:
            return
        self.query_one("#story", Document).show(self._story)
        self.query_one("#record", Document).show(self._record)
        self.query_one("#next", Plain).say(story.what_next(self.known.detail, now()))
        self.refresh_bindings()

    def _story(self, width: int) -> tuple[Line, ...]:
        assert self.known is not None
        told = story.tell(self.known, width=width, opened=self._opened, now=now())
        return told if self._is_wide else (*told, Line(), *self._record(width))

    def _record(self, width: int) -> tuple[Line, ...]:
        assert self.known is not None
        return story.tell_record(self.known, width=width, opened=self._opened)

    def on_chosen(self, message: Chosen) -> None:
        message.stop()
        view = self.focused if isinstance(self.focused, Document) else self.query_one("#story", Document)
        key = view.lines[message.index].key
        if key:
            self._opened ^= {key}
            self._show()

    def on_cursor_moved(self, message: CursorMoved) -> None:
        message.stop()

    def on_end_seen(self, message: EndSeen) -> None:
        message.stop()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key that can do nothing now is grey and does nothing."""
        detail = self.known.detail if self.known else None
        match action:
            case "approve" | "reject":
                possible = detail is not None and story.plan_that_waits(detail) is not None
            case "undo":
                possible = detail is not None and story.newest_undoable(detail.executions) is not None
            case _:
                possible = True
        return possible or None

    def action_refresh(self) -> None:
        self.read_now()

    def action_reasoning(self) -> None:
        self.app.push_screen(ReasoningScreen(self.incident_id))

    def action_approve(self) -> None:
        view = story.plan_that_waits(self.known.detail) if self.known else None
        if view is None:
            return
        self.app.push_screen(ApproveScreen(view), self._answered)

    def action_reject(self) -> None:
        view = story.plan_that_waits(self.known.detail) if self.known else None
        if view is None:
            return
        plan = view.plan

        def rejected(reason: str | None) -> None:
            if reason:
                self._send(Plan, f"rejected {plan.id}", path_of("plans", plan.id, "reject"), {"reason": reason})

        question = ConfirmScreen(
            title=f"Reject {plan.id}: {story.action_of(plan)}",
            build=lambda width: (),
            prompt="why? It is what the next person reads",
        )
        self.app.push_screen(question, rejected)

    def action_undo(self) -> None:
        if self.known is None:
            return
        detail = self.known.detail
        view = story.newest_undoable(detail.executions)
        if view is None:
            return
        execution = view.execution
        plan = next((item.plan for item in detail.plans if item.plan.id == execution.plan_id), None)

        def confirmed(word: str | None) -> None:
            if word:
                self._send(Incident, f"taking {execution.id} back", path_of("executions", execution.id, "rollback"))

        question = ConfirmScreen(
            title=f"Take {execution.id} back",
            build=lambda width: story.tell_undo(view, plan, width=width),
            prompt="type undo to write this",
            word="undo",
        )
        self.app.push_screen(question, confirmed)

    def action_investigate(self) -> None:
        path = path_of("incidents", self.incident_id, "investigate")
        self._send(Incident, "looking again", path)

    def _answered(self, said: str | None) -> None:
        self._say(said or "")
        self.read_now()

    def _say(self, text: str, *, bad: bool = False) -> None:
        """What came of the last decision. It stays until the next one: a refusal must not fade away."""
        answer = self.query_one("#answer", Plain)
        answer.set_class(bad, "bad")
        answer.say(shown(text))
        answer.display = bool(text)

    def _send(
        self, answer: type[Plan] | type[Incident], done: str, path: str, body: dict[str, str] | None = None
    ) -> None:
        """One decision of the operator: sent once, never again by itself. Whatever comes, the screen reads afresh."""

        def call(client: Client) -> Plan | Incident:
            return client.send(answer, "POST", path, body)

        async def send() -> None:
            try:
                await self.console_app.ask(call)
            except ApiError as exc:
                self._say(_refusal(exc), bad=True)
            else:
                self._say(done)
            self.read_now()

        self.run_worker(send(), group="decision")


def _refusal(error: ApiError) -> str:
    unknown = "" if error.status else ". Whether it was taken is not known: look here once the bar says live"
    return f"not done: {error}{unknown}"


def _runs(detail: IncidentDetail) -> tuple[str, ...]:
    return tuple(run.id for run in detail.investigations)
