"""One incident: what happened, why, what changes, how to take it back; and the keys that decide."""

from __future__ import annotations

import time
from collections.abc import Hashable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer

from console import story
from console.exports import save
from console.lines.diffs import LEAST_SIDES
from console.remote.client import ApiError, Client, path_of
from console.screens.approve import ApproveScreen
from console.screens.evidence import EvidenceScreen
from console.screens.polled import PolledScreen, now
from console.screens.questions import whether_undone, why_rejected
from console.screens.reasoning import ReasoningScreen, extent_of
from console.widgets.bars import Answer, Plain, TopBar
from console.widgets.chain import Chain, EvidenceAsked
from responder.domain.incident import IN_FLIGHT_STATES, Incident
from responder.domain.plan import Plan
from responder.domain.undoing import newest_undoable
from responder.domain.views import IncidentDetail, Reasoning

_TWO_PANES = 140
"""From this width on the record stands beside the story instead of below it."""
_STORY_SHARE = 3 / 5
_SECTIONS = 8


class IncidentScreen(PolledScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "approve", "approve", id="incident.approve"),
        Binding("x", "reject", "reject", id="incident.reject"),
        Binding("u", "undo", "undo", tooltip="take the newest change back", id="incident.undo"),
        Binding("i", "investigate", "again", tooltip="investigate again", id="incident.investigate"),
        Binding("t", "reasoning", "steps", tooltip="the reasoning, step by step", id="incident.reasoning"),
        Binding("d", "diff_form", "diff", tooltip="diffs unified or side by side", id="incident.diff"),
        Binding("E", "export", "export as Markdown", show=False, id="incident.export"),
        Binding("r,ctrl+r", "refresh", "refresh", show=False, id="incident.refresh"),
        *(
            Binding(str(number), f"section({number})", f"section {number}", show=False)
            for number in range(1, _SECTIONS + 1)
        ),
        Binding("escape", "app.pop_screen", "back"),
    ]

    def __init__(self, incident_id: str) -> None:
        super().__init__()
        self.place = f"incidents › {incident_id}"
        self.incident_id = incident_id
        self.known: story.Known | None = None
        self._extent: Hashable = None
        self._sides = False

    def compose(self) -> ComposeResult:
        yield TopBar()
        yield Chain("story", "record", tells_place=False)
        yield Answer()
        yield Plain("reading", id="next")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#record").display = False

    def on_resize(self) -> None:
        if self._sides and self.size.width < LEAST_SIDES:
            self._sides = False
            self._say_too_narrow()
        self._show()

    async def read(self) -> None:
        app = self.console_app
        detail = await app.ask(lambda client: client.get(IncidentDetail, path_of("incidents", self.incident_id)))
        reasoning, extent = self.known.reasoning if self.known else None, extent_of(detail)
        if reasoning is None or extent != self._extent:
            reasoning = await app.ask(
                lambda client: client.get(Reasoning, path_of("incidents", self.incident_id, "reasoning"))
            )
        self.known, self._extent = story.Known(detail=detail, reasoning=reasoning), extent
        self._show()

    def start_anew(self) -> None:
        self._extent = None
        super().start_anew()

    def look(self) -> None:
        """Looks at a change are no records of their own, so no event tells of them: while one is judged, read often."""
        super().look()
        is_judged = self.known is not None and self.known.detail.incident.state in IN_FLIGHT_STATES
        if is_judged and time.monotonic() - self._rests_since > self.console_app.poll_seconds:
            self.read_now()

    @property
    def _has_two_panes(self) -> bool:
        least = max(_TWO_PANES, LEAST_SIDES / _STORY_SHARE + 1) if self._sides else _TWO_PANES
        return self.size.width >= least

    def _show(self) -> None:
        if self.known is None:
            return
        told = story.tell(self.known, now=now(), sides=self._sides)
        trees = (told.story, told.record) if self._has_two_panes else ((*told.story, *told.record),)
        self.query_one(Chain).show(*trees)
        self.query_one("#next", Plain).say(story.what_next(self.known.detail, now()))
        self.refresh_bindings()

    def on_evidence_asked(self, message: EvidenceAsked) -> None:
        message.stop()
        self.app.push_screen(EvidenceScreen(message.found, place=self.place, incident_id=self.incident_id))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key that can do nothing now is grey and does nothing."""
        detail = self.known.detail if self.known else None
        match action:
            case "approve" | "reject":
                possible = detail is not None and story.plan_that_waits(detail) is not None
            case "undo":
                possible = detail is not None and newest_undoable(detail) is not None
            case _:
                possible = True
        return possible or None

    def action_refresh(self) -> None:
        self.start_anew()
        self.read_now()

    def action_section(self, number: int) -> None:
        self.query_one(Chain).jump(f"section:{number}")

    def action_diff_form(self) -> None:
        """Only where two halves can be read."""
        if not self._sides and self.size.width < LEAST_SIDES:
            self._say_too_narrow()
            return
        self._sides = not self._sides
        self.say("diffs side by side" if self._sides else "diffs as one")
        self._show()

    def _say_too_narrow(self) -> None:
        self.say(f"side by side needs {LEAST_SIDES} columns, here are {self.size.width}")

    def copied(self) -> tuple[str, str]:
        """The incident's id, from its first line; else what stands under the cursor."""
        chain = self.query_one(Chain)
        node = chain.view.node
        if node is None or node.key == "overview:state":
            return self.incident_id, "the id"
        return chain.copied()

    def action_export(self) -> None:
        self.export("")

    def export(self, file: str) -> None:
        """The whole incident as Markdown, to `file`, or to one named after it in the folder where one is."""
        self.run_worker(self._export(file), group="export")

    async def _export(self, file: str) -> None:
        report, name = path_of("incidents", self.incident_id, "report"), f"clopus-{self.incident_id}.md"
        try:
            written = await self.console_app.ask(lambda client: save(client.raw(report), file, name=name))
        except ApiError as exc:
            self.say(f"not exported: {exc}", bad=True)
        except OSError as exc:
            self.say(f"not exported: {file or name}: {exc.strerror or exc}", bad=True)
        else:
            self.say(f"written to {written}")

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

        self.app.push_screen(why_rejected(plan), rejected)

    def action_undo(self) -> None:
        if self.known is None:
            return
        detail = self.known.detail
        view = newest_undoable(detail)
        if view is None:
            return
        execution = view.execution
        plan = next((item.plan for item in detail.plans if item.plan.id == execution.plan_id), None)

        def confirmed(word: str | None) -> None:
            if word:
                self._send(Incident, f"taking {execution.id} back", path_of("executions", execution.id, "rollback"))

        question = whether_undone(view, plan, is_killed=self.console_app.is_killed)
        self.app.push_screen(question, confirmed)

    def action_investigate(self) -> None:
        path = path_of("incidents", self.incident_id, "investigate")
        self._send(Incident, "looking again", path)

    def _answered(self, said: str | None) -> None:
        self.say(said or "")
        self.read_now()

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
                self.say(_refusal(exc), bad=True)
            else:
                self.say(done)
            self.read_now()

        self.run_worker(send(), group="decision")


def _refusal(error: ApiError) -> str:
    unknown = "" if error.is_refusal else ". Whether it was taken is not known: look here once the bar says live"
    return f"not done: {error}{unknown}"
