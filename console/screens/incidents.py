"""The incident list: filter, page, choose."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer, Input

from console import table
from console.client import ApiError, path_of
from console.filters import Filter, parse
from console.formatting import Line
from console.listing import Listing
from console.messages import Chosen, CursorMoved
from console.screens.incident import IncidentScreen
from console.screens.polled import PolledScreen, now
from console.widgets.bars import Plain, TopBar
from console.widgets.lineview import LineView
from responder.domain.views import IncidentPage

PAGE = 100
_AHEAD = 40
"""So many rows before the end of what is read, the next page is asked for."""


class IncidentTable(LineView):
    """The rows read so far."""

    def __init__(self) -> None:
        super().__init__(id="incidents")
        self.listing = Listing()

    def count(self) -> int:
        return len(self.listing.rows)

    def line_at(self, index: int) -> Line:
        return table.row(self.listing.rows[index], width=self.columns, now=now())

    def show(self, listing: Listing) -> None:
        """The cursor stays on its incident, unless it stands at the top, where the newest belongs."""
        selected = self.listing.rows[self.cursor].id if 0 < self.cursor < self.count() else ""
        self.listing = listing
        index = listing.index_of(selected) if selected else None
        self.cursor = self.cursor if index is None else index
        self.redraw()

    def on_resize(self) -> None:
        self.screen.query_one("#header", Plain).say("  " + table.header(self.columns).text)


class IncidentsScreen(PolledScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "filter", key_display="/"),
        Binding("f", "faults", "faults only"),
        Binding("r,ctrl+r", "refresh", "refresh"),
        Binding("escape", "clear", "clear filter", show=False),
    ]
    place = "incidents"

    def __init__(self) -> None:
        super().__init__()
        self.faults_only = False
        self._asked = Filter()
        self._typed = ""
        self._filter_problem = ""
        self._reading_on = False

    def compose(self) -> ComposeResult:
        yield TopBar()
        yield Plain(id="header", classes="header")
        yield IncidentTable()
        yield Plain(id="preview")
        yield Plain(id="status")
        yield Input(placeholder="text  ns:shop  state:await  rule:name", id="filter", compact=True)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#filter").display = False
        self.rows.focus()

    @property
    def rows(self) -> IncidentTable:
        return self.query_one(IncidentTable)

    async def read(self) -> None:
        """The newest page, and, where one has scrolled past it, the page that is looked at."""
        await self._read_page("")
        top = self.rows.scroll_offset.y
        if top + _AHEAD >= PAGE:
            await self._read_page(self.rows.listing.cursor_before(min(top, self.rows.count())))
        self._tell()

    def start_anew(self) -> None:
        """Keep the first page, which is read again at once; rows below it may be of another history."""
        listing = self.rows.listing
        self.rows.listing = replace(listing, rows=listing.rows[:PAGE], more=listing.more or len(listing.rows) > PAGE)

    async def _read_page(self, cursor: str) -> None:
        asked = self._asked
        page = await self.console_app.ask(
            lambda client: client.get(IncidentPage, path_of("incidents"), **asked.query, limit=PAGE, cursor=cursor)
        )
        if asked == self._asked:
            self.rows.show(self.rows.listing.merged(page, cursor=cursor))

    def on_cursor_moved(self, message: CursorMoved) -> None:
        message.stop()
        listing = self.rows.listing
        near_the_end = message.index + _AHEAD >= len(listing.rows)
        if listing.more and listing.rows and near_the_end and not self._reading_on:
            self._reading_on = True
            self.run_worker(self._read_on(listing.rows[-1].id), group="page")
        self._tell()

    async def _read_on(self, last: str) -> None:
        """The page after `last`. One at a time, and never called off by the next key."""
        try:
            with suppress(ApiError):
                await self._read_page(last)
        finally:
            self._reading_on = False
        self._tell()

    def on_chosen(self, message: Chosen) -> None:
        message.stop()
        self.app.push_screen(IncidentScreen(self.rows.listing.rows[message.index].id))

    def on_input_changed(self, event: Input.Changed) -> None:
        self._typed = event.value
        self._ask_anew()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._shut_filter()

    def action_filter(self) -> None:
        box = self.query_one("#filter", Input)
        box.display = True
        box.focus()

    def action_faults(self) -> None:
        self.faults_only = not self.faults_only
        self._ask_anew()

    def action_refresh(self) -> None:
        self.read_now()

    def action_clear(self) -> None:
        self.query_one("#filter", Input).value = ""
        self._shut_filter()

    def _shut_filter(self) -> None:
        self.query_one("#filter").display = False
        self.rows.focus()

    def _ask_anew(self) -> None:
        try:
            asked = parse(self._typed, faults_only=self.faults_only)
            self._filter_problem = ""
        except ValueError as exc:
            self._filter_problem = str(exc)
            asked = self._asked
        if asked != self._asked:
            self._asked = asked
            self.rows.show(Listing())
            self.read_now()
        self._tell()

    def _tell(self) -> None:
        rows = self.rows
        status = self.query_one("#status", Plain)
        status.set_class(bool(self._filter_problem), "bad")
        status.say(self._filter_problem or self._where())
        current = rows.listing.rows[rows.cursor] if rows.count() else None
        self.query_one("#preview", Plain).say(table.preview(current, self.size.width - 2) if current else "")

    def _where(self) -> str:
        rows = self.rows
        filters = " ".join(part for part in ("faults only" if self.faults_only else "", self._typed.strip()) if part)
        count = f"{rows.count()}{' and more' if rows.listing.more and rows.count() else ''}"
        place = f"{rows.cursor + 1} of {count}" if rows.count() else self._nothing()
        return f"{place}  ·  {filters or 'all incidents'}"

    def _nothing(self) -> str:
        return "reading" if self.rows.listing.more else "no incidents"
