"""The rules in force, in order of precedence, with what became of their decisions."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from textual.binding import Binding, BindingType

from console import rulebook
from console.lines import grid
from console.lines.formatting import Line
from console.messages import Chosen
from console.remote.client import path_of
from console.remote.stream import Event, Step
from console.screens.rows import RowsScreen
from console.screens.rule import RECORDS_LAG_SECONDS, RuleScreen
from responder.domain.mode import ModeSettings
from responder.domain.views import RulePage, RuleView


class RulesScreen(RowsScreen[RuleView]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "explain", "explain an alert", id="rules.explain"),
        Binding("r,ctrl+r", "refresh", "refresh", id="rules.refresh"),
    ]
    place = "rules"
    lag_seconds = RECORDS_LAG_SECONDS
    none = "there are no rules: every incident is only reported"

    def __init__(self) -> None:
        super().__init__()
        self.settings: ModeSettings | None = None

    async def read(self) -> None:
        app = self.console_app
        page = await app.ask(lambda client: client.get(RulePage, path_of("rules")))
        self.settings = await app.ask(lambda client: client.get(ModeSettings, path_of("mode")))
        self.show(page.rules)

    def concerns(self, event: Event) -> bool:
        return not isinstance(event, Step)

    def head(self, width: int) -> Line:
        return grid.header(rulebook.COLUMNS, width)

    def line_of(self, row: RuleView, width: int, at: datetime) -> Line:
        return rulebook.row(row, self.settings, width=width, now=at)

    def preview_of(self, row: RuleView, width: int) -> str:
        return rulebook.preview(row, self.settings, width)

    def hint(self) -> str:
        return ", the first that matches speaks  ·  Enter shows it"

    def on_chosen(self, message: Chosen) -> None:
        message.stop()
        if self.current is not None:
            self.app.push_screen(RuleScreen(self.current.name))

    def narrow(self, typed: str) -> bool:
        """An incident's id or labels are explained; one word more is the name of a rule."""
        if typed.startswith("ns:"):
            return False
        if "=" in typed or typed.startswith(("inc-", "{", "[")):
            self._explain(typed)
        else:
            self.app.push_screen(RuleScreen(typed))
        return True

    def action_explain(self) -> None:
        self._explain()

    def _explain(self, given: str = "") -> None:
        from console.screens.explain import ExplainScreen

        self.app.push_screen(ExplainScreen(given))
