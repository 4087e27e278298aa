"""One rule: everything it says, its record, and its newest incidents."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer

from console import rulebook
from console.lines.formatting import Line, flat, line
from console.messages import Chosen
from console.remote.client import path_of
from console.remote.stream import Event, Step
from console.screens.polled import PolledScreen, now
from console.widgets.bars import Answer, TopBar
from console.widgets.lineview import Document
from responder.domain.incident import Incident
from responder.domain.mode import ModeSettings
from responder.domain.views import IncidentPage, RulePage, RuleView

RECORDS_LAG_SECONDS = 2.1
"""The server keeps the records of the rules for two seconds before it counts them anew."""
_INCIDENTS = 20


class RuleScreen(PolledScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "explain", "explain an alert", id="rule.explain"),
        Binding("r,ctrl+r", "refresh", "refresh", id="rule.refresh"),
    ]
    lag_seconds = RECORDS_LAG_SECONDS

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name_of_rule = name
        self.place = f"rules › {flat(name)}"
        self.rule: RuleView | None = None
        self.settings: ModeSettings | None = None
        self.incidents: tuple[Incident, ...] = ()
        self._is_gone = False

    @property
    def spot(self) -> str:
        return "rules"

    def compose(self) -> ComposeResult:
        yield TopBar()
        yield Document(id="rule")
        yield Answer()
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self._document.show(self._lines)
        self._document.focus()

    @property
    def _document(self) -> Document:
        return self.query_one("#rule", Document)

    async def read(self) -> None:
        app, name = self.console_app, self.name_of_rule
        page = await app.ask(lambda client: client.get(RulePage, path_of("rules")))
        self.settings = await app.ask(lambda client: client.get(ModeSettings, path_of("mode")))
        newest = await app.ask(
            lambda client: client.get(IncidentPage, path_of("incidents"), rule=name, limit=_INCIDENTS)
        )
        found = next((rule for rule in page.rules if rule.name == name), None)
        if (found is None) != self._is_gone:
            self.say("there is no rule of this name in force" if found is None else "", bad=found is None)
        self.rule, self._is_gone = found or self.rule, found is None
        self.incidents = newest.incidents
        self._document.redraw()

    def concerns(self, event: Event) -> bool:
        return not isinstance(event, Step)

    def on_chosen(self, message: Chosen) -> None:
        message.stop()
        if key := self._document.lines[message.index].key:
            self.console_app.open_incident(key)

    def action_explain(self) -> None:
        from console.screens.explain import ExplainScreen

        self.app.push_screen(ExplainScreen())

    def action_refresh(self) -> None:
        self.read_now()

    def _lines(self, width: int) -> tuple[Line, ...]:
        if self.rule is None:
            return (line("there is no such rule" if self._is_gone else "reading"),)
        return rulebook.tell(self.rule, self.settings, self.incidents, width=width, now=now())
