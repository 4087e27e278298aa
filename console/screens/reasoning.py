"""The reasoning of an incident, step by step, as it grows."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer

from console.reasoning import chain, goes_on, told_total
from console.remote.client import path_of
from console.screens.evidence import EvidenceScreen
from console.screens.polled import PolledScreen
from console.widgets.bars import Answer, TopBar
from console.widgets.chain import Chain, EvidenceAsked
from responder.domain.views import IncidentDetail, Reasoning


class ReasoningScreen(PolledScreen[None]):
    """What is there is read again only where the incident says that there is more."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r,ctrl+r", "refresh", "refresh", show=False),
        Binding("escape,t", "app.pop_screen", "back", key_display="esc"),
    ]

    def __init__(self, incident_id: str) -> None:
        super().__init__()
        self.place = f"incidents › {incident_id} › reasoning"
        self.incident_id = incident_id
        self._read: Hashable = None

    def compose(self) -> ComposeResult:
        yield TopBar()
        yield Chain()
        yield Answer()
        yield Footer(compact=True, show_command_palette=False)

    async def read(self) -> None:
        app = self.console_app
        detail = await app.ask(lambda client: client.get(IncidentDetail, path_of("incidents", self.incident_id)))
        extent = extent_of(detail)
        if extent == self._read:
            return
        path = path_of("incidents", self.incident_id, "reasoning")
        reasoning = await app.ask(lambda client: client.get(Reasoning, path))
        self.query_one(Chain).show(
            chain(reasoning, detail.decisions),
            about=told_total(reasoning) if reasoning.investigations else "not investigated yet",
            is_live=goes_on(reasoning),
        )
        self._read = extent

    def start_anew(self) -> None:
        self._read = None
        super().start_anew()

    def on_evidence_asked(self, message: EvidenceAsked) -> None:
        message.stop()
        self.app.push_screen(EvidenceScreen(message.found, place=self.place, incident_id=self.incident_id))

    def action_refresh(self) -> None:
        self.start_anew()
        self.read_now()

    def copied(self) -> tuple[str, str]:
        return self.query_one(Chain).copied()


def extent_of(detail: IncidentDetail) -> Hashable:
    """What tells two states of the reasoning apart: how far each run is, and what came of each change."""
    runs = tuple((run.id, run.step_count, run.evidence_count, run.ended_at) for run in detail.investigations)
    plans = tuple((view.plan.id, view.plan.state) for view in detail.plans)
    done = tuple((view.execution.id, view.execution.outcome, len(view.verifications)) for view in detail.executions)
    return runs, plans, done, len(detail.decisions)
