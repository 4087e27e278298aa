"""The record in numbers, page by page. Read when somebody looks, not at every event: each page is a few statements."""

from __future__ import annotations

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer

from console.analytics import PAGES, Extent, statements, tell
from console.lines.formatting import Line, clock, fit, text_of
from console.messages import Chosen
from console.remote.client import ApiError, Client, LongCall, path_of
from console.screens.polled import PolledScreen
from console.screens.sql import SqlScreen
from console.widgets.bars import Answer, Plain, TopBar
from console.widgets.lineview import Document
from responder.domain.views import QueryAnswer


class AnalyticsScreen(PolledScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "turn(1)", "page", key_display="←→", id="analytics.next"),
        Binding("left,h", "turn(-1)", "page before", show=False, id="analytics.before"),
        *(Binding(str(at + 1), f"page({at})", page.name, show=False) for at, page in enumerate(PAGES)),
        Binding("d", "extend('24h')", "24 h", id="analytics.day"),
        Binding("w", "extend('7d')", "7 days", id="analytics.week"),
        Binding("m", "extend('30d')", "30 days", id="analytics.month"),
        Binding("s", "sql", "SQL", id="analytics.sql"),
        Binding("r,ctrl+r", "refresh", "refresh", id="analytics.refresh"),
    ]
    place = "analytics"
    about = (
        "Each section is a SELECT on a shipped view, of a copy of the record: Enter or s opens it as SQL. Blocks stand "
        "beside their numbers; a dot in a row of blocks is a time without any."
    )

    def __init__(self) -> None:
        super().__init__()
        self.at = 0
        self.extent = Extent.WEEK
        self.answers: dict[str, QueryAnswer | str] = {}

    def compose(self) -> ComposeResult:
        yield TopBar()
        yield Plain(id="pages")
        yield Document(id="charts")
        yield Answer()
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(Document).focus()
        self._look()

    async def read(self) -> None:
        """Nothing: see the module. That the server answers is told by the stream."""

    def on_chosen(self, message: Chosen) -> None:
        message.stop()
        self.action_sql()

    def action_turn(self, by: int) -> None:
        self.action_page((self.at + by) % len(PAGES))

    def action_page(self, at: int) -> None:
        self.at = at
        self.query_one(Document).move_to(0)
        self._look()

    def action_extend(self, extent: str) -> None:
        self.extent = Extent(extent)
        self._look()

    def action_refresh(self) -> None:
        for statement in statements(PAGES[self.at], self.extent):
            self.answers.pop(statement, None)
        self._look()

    def action_sql(self) -> None:
        """The statement behind the section under the cursor."""
        charts = self.query_one(Document)
        sql = charts.line_at(charts.cursor).key if charts.count() else ""
        if sql:
            screen = self.console_app.go("sql")
            if isinstance(screen, SqlScreen):
                screen.put(sql)

    def _look(self) -> None:
        self._show()
        if any(statement not in self.answers for statement in statements(PAGES[self.at], self.extent)):
            self._fetch(self.at, self.extent)

    @work(exclusive=True, group="analytics")
    async def _fetch(self, at: int, extent: Extent) -> None:
        """One after the other: the server runs one at a time."""
        for statement in statements(PAGES[at], extent):
            if statement not in self.answers:
                self.answers[statement] = await self._asked(statement)
                self._show()

    async def _asked(self, statement: str) -> QueryAnswer | str:
        def send(client: Client) -> QueryAnswer:
            call = LongCall()
            return client.send(QueryAnswer, "POST", path_of("query"), {"sql": statement}, call=call)

        try:
            return await self.console_app.ask(send)
        except ApiError as exc:
            return f"{exc}: r reads again"

    def _show(self) -> None:
        self.query_one(Document).show(self._lines)
        names = (f"[{page.name}]" if at == self.at else page.name for at, page in enumerate(PAGES))
        told = f"{' '.join(f'{at} {name}' for at, name in enumerate(names, start=1))}{self._age()}"
        self.query_one("#pages", Plain).say(fit(told, max(self.size.width - 2, 1)).rstrip())

    def _lines(self, width: int) -> tuple[Line, ...]:
        return tell(PAGES[self.at], self.extent, self.answers, width)

    def _age(self) -> str:
        """Of the oldest answer that is shown."""
        shown = [self.answers.get(statement) for statement in statements(PAGES[self.at], self.extent)]
        times = [answer.as_of for answer in shown if isinstance(answer, QueryAnswer)]
        return f" · as of {clock(min(times))}" if times else ""

    def copied(self) -> tuple[str, str]:
        return text_of(self._lines(120)), "the page"
