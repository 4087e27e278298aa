"""The rules in force, in order of precedence, with what became of their decisions."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer

from console import rulebook
from console.lines import grid
from console.lines.formatting import Line
from console.messages import Chosen, CursorMoved
from console.remote.client import path_of
from console.remote.stream import Event, Step
from console.screens.polled import PolledScreen, now
from console.screens.rule import RECORDS_LAG_SECONDS, RuleScreen
from console.widgets.bars import Answer, Plain, TopBar
from console.widgets.lineview import Document
from responder.domain.mode import ModeSettings
from responder.domain.views import RulePage, RuleView


class RulesScreen(PolledScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "explain", "explain an alert", id="rules.explain"),
        Binding("r,ctrl+r", "refresh", "refresh", id="rules.refresh"),
    ]
    place = "rules"
    lag_seconds = RECORDS_LAG_SECONDS

    def __init__(self) -> None:
        super().__init__()
        self.rules: tuple[RuleView, ...] = ()
        self.settings: ModeSettings | None = None

    def compose(self) -> ComposeResult:
        yield TopBar()
        yield Plain(id="header", classes="header")
        yield Document(id="rules")
        yield Plain("reading", id="preview")
        yield Answer()
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.rows.show(self._lines)
        self.rows.focus()

    def on_resize(self) -> None:
        self._tell_columns()

    @property
    def rows(self) -> Document:
        return self.query_one("#rules", Document)

    async def read(self) -> None:
        app = self.console_app
        page = await app.ask(lambda client: client.get(RulePage, path_of("rules")))
        self.settings = await app.ask(lambda client: client.get(ModeSettings, path_of("mode")))
        self.rules = page.rules
        self.rows.redraw()
        self._tell_columns()
        self._tell()

    def concerns(self, event: Event) -> bool:
        return not isinstance(event, Step)

    def on_cursor_moved(self, message: CursorMoved) -> None:
        message.stop()
        self._tell()

    def on_chosen(self, message: Chosen) -> None:
        message.stop()
        self.app.push_screen(RuleScreen(self.rows.lines[message.index].key))

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

    def action_refresh(self) -> None:
        self.read_now()

    def _lines(self, width: int) -> tuple[Line, ...]:
        at = now()
        return tuple(rulebook.row(rule, self.settings, width=width, now=at) for rule in self.rules)

    def _tell_columns(self) -> None:
        self.query_one("#header", Plain).say("  " + grid.header(rulebook.COLUMNS, self.rows.columns).text)

    def _tell(self) -> None:
        told = "there are no rules: every incident is only reported"
        if self.rules:
            rule = self.rules[min(self.rows.cursor, len(self.rules) - 1)]
            told = rulebook.preview(rule, self.settings, self.size.width - 2)
        self.query_one("#preview", Plain).say(told)
