"""The audit chain, newest first: every decision with who made it, and whether all of it is still as it was written."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Footer, Input

from console import ledger
from console.chainwalk import ChainWalk, Stopped
from console.ledger import Stretch, Wanted
from console.lines import grid
from console.lines.formatting import Line, Tone, shown
from console.messages import Chosen, CursorMoved
from console.remote.calls import in_thread
from console.remote.client import ApiError, path_of
from console.remote.stream import Event, Step
from console.screens.polled import PolledScreen, now
from console.screens.record import RecordScreen
from console.widgets.bars import Answer, Plain, TopBar
from console.widgets.lineview import LineView
from responder.domain.audit import AuditHead
from responder.domain.views import AuditPage, AuditState

PAGE = 100
NEW_PAGE = 500
"""New records that one read takes up."""
_AHEAD = 40
"""So many rows before the end of what is held, the next page is asked for."""
_UNREADABLE = 2**63 - 1
"""Number in the head of a file that cannot be read."""


@dataclass
class EdgeAsked(Message):
    """To the newest (-1) or the oldest (1) record, which is not held."""

    side: int


class AuditTable(LineView):
    """The stretch of the chain that is held."""

    def __init__(self) -> None:
        super().__init__(id="audit")
        self.stretch = Stretch()

    def count(self) -> int:
        return len(self.stretch.records)

    def line_at(self, index: int) -> Line:
        return ledger.row(self.stretch.records[index], self.columns)

    def show(self, stretch: Stretch) -> None:
        """What is looked at stays where it stands on the screen; at the very top, the newest come in."""
        stays = (self.cursor > 0 or self.scroll_offset.y > 0) and self.cursor < self.count()
        seq = self.stretch.records[self.cursor].seq if stays else 0
        self.stretch = stretch
        index = stretch.index_of(seq) if seq else None
        if index is not None and index != self.cursor:
            by, self.cursor = index - self.cursor, index
            self.virtual_size = Size(self.scrollable_content_region.width, self.count())
            self.scroll_to(y=self.scroll_offset.y + by, animate=False, immediate=True)
        self.redraw()

    def look_at(self, index: int) -> None:
        self.redraw()
        self.move_to(index)

    def action_edge(self, side: int) -> None:
        if self.stretch.newer if side < 0 else self.stretch.older:
            self.post_message(EdgeAsked(side))
        else:
            super().action_edge(side)


class AuditScreen(PolledScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "filter", key_display="/", priority=True, id="audit.filter"),
        Binding("V", "verify", "verify the chain", id="audit.verify"),
        Binding("r,ctrl+r", "refresh", "refresh", show=False, id="audit.refresh"),
        Binding("escape", "leave", "stop", show=False),
    ]
    place = "audit"

    def __init__(self) -> None:
        super().__init__()
        self.state: AuditState | None = None
        self.wanted = Wanted()
        self._walk: ChainWalk | None = None
        self._watch: Timer | None = None
        self._reading_on = False
        self._filter_is_open = False

    def compose(self) -> ComposeResult:
        yield TopBar()
        yield Plain(id="header", classes="header")
        yield AuditTable()
        yield Plain(id="where")
        yield Plain(id="chain-state")
        yield Plain(id="proof")
        yield Input(placeholder="actor:ann  event:approved  incident:inc-…", id="filter", compact=True)
        yield Answer()
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self._shut_filter()
        self.query_one("#proof").display = False

    def on_unmount(self) -> None:
        if self._walk is not None:
            self._walk.stop()

    def on_resize(self) -> None:
        self.query_one("#header", Plain).say("  " + grid.header(ledger.COLUMNS, self.rows.columns).text)

    @property
    def rows(self) -> AuditTable:
        return self.query_one(AuditTable)

    async def read(self) -> None:
        """The two ends of the chain, and what is new above the newest record that is held."""
        self.state = await self.console_app.ask(lambda client: client.get(AuditState, path_of("audit", "state")))
        if not self.rows.stretch.records:
            await self._open(-1)
        elif not self.rows.stretch.newer:
            await self._read_up(NEW_PAGE)
        self._tell()

    def start_anew(self) -> None:
        """The server may tell another history: nothing that is held is sure."""
        self.rows.show(Stretch())

    def concerns(self, event: Event) -> bool:
        return not isinstance(event, Step)

    async def _page(self, wanted: Wanted, *, limit: int = PAGE, **where: int) -> AuditPage:
        path = path_of("audit")
        query: dict[str, str | int | None] = {**wanted.query, **where}
        return await self.console_app.ask(lambda client: client.get(AuditPage, path, **query, limit=limit))

    async def _open(self, side: int) -> None:
        """The newest records, or the oldest."""
        wanted = self.wanted
        if side < 0:
            stretch = Stretch.newest(await self._page(wanted))
        else:
            stretch = Stretch.oldest(await self._page(wanted, after=0), limit=PAGE)
        if wanted == self.wanted:
            self.rows.stretch = stretch
            self.rows.look_at(0 if side < 0 else len(stretch.records) - 1)

    async def _read_up(self, limit: int) -> None:
        wanted, rows, first = self.wanted, self.rows, self.rows.stretch.first_seq
        page = await self._page(wanted, limit=limit, after=first)
        if (wanted, first) == (self.wanted, rows.stretch.first_seq) and page.records:
            more = len(page.records) >= limit
            rows.show(rows.stretch.with_newer(page, more=more, looked_at=rows.cursor))

    async def _read_down(self) -> None:
        wanted, rows, last = self.wanted, self.rows, self.rows.stretch.last_seq
        page = await self._page(wanted, cursor=last)
        if (wanted, last) == (self.wanted, rows.stretch.last_seq):
            rows.show(rows.stretch.with_older(page, looked_at=rows.cursor))

    def on_cursor_moved(self, message: CursorMoved) -> None:
        message.stop()
        stretch = self.rows.stretch
        up = stretch.newer and message.index < _AHEAD
        down = stretch.older and message.index + _AHEAD >= len(stretch.records)
        if stretch.records and (up or down) and not self._reading_on:
            self._reading_on = True
            self.run_worker(self._read_on(up=up), group="page")
        self._tell()

    async def _read_on(self, *, up: bool) -> None:
        """One page at a time, never called off by the next key."""
        try:
            with suppress(ApiError):
                await (self._read_up(PAGE) if up else self._read_down())
        finally:
            self._reading_on = False
        self._tell()

    def on_edge_asked(self, message: EdgeAsked) -> None:
        message.stop()
        self.run_worker(self._go_to_edge(message.side), group="edge", exclusive=True)

    async def _go_to_edge(self, side: int) -> None:
        try:
            await self._open(side)
        except ApiError as exc:
            self.say(str(exc), bad=True)
        self._tell()

    def on_chosen(self, message: Chosen) -> None:
        message.stop()
        self.app.push_screen(RecordScreen(self.rows.stretch.records[message.index]))

    def action_refresh(self) -> None:
        self.read_now()

    def action_filter(self) -> None:
        """At once: the next key may be waiting already, and belongs to the filter."""
        box = self.query_one("#filter", Input)
        box.display = self._filter_is_open = True
        self.set_focus(box)

    def _shut_filter(self) -> None:
        self.query_one("#filter").display = self._filter_is_open = False
        self.rows.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Only whole words are asked for, so what is wrong with a term is said when it is sent."""
        event.stop()
        self.say("")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._ask_for(event.value)

    def narrow(self, typed: str) -> bool:
        self.query_one("#filter", Input).value = typed
        self._ask_for(typed)
        return True

    def _ask_for(self, typed: str) -> None:
        try:
            wanted = ledger.parse(typed)
        except ValueError as exc:
            self.say(str(exc), bad=True)
            return
        self._shut_filter()
        if wanted != self.wanted:
            self.wanted = wanted
            self.rows.cursor = 0
            self.rows.show(Stretch())
            self.read_now()
        self._tell()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """`esc` is only taken here while there is something to stop or to clear; else it goes back. Where text is
        typed, the key of the filter is text."""
        if action == "filter":
            return not isinstance(self.focused, Input)
        if action == "leave":
            return self._walk is not None or self._filter_is_open or not self.wanted.is_all
        return True

    def action_leave(self) -> None:
        if self._filter_is_open:
            self.say("")
            self._shut_filter()
        elif self._walk is not None:
            self._walk.stop()
        else:
            self.query_one("#filter", Input).value = ""
            self._ask_for("")

    def action_verify(self) -> None:
        if self._walk is None:
            self.run_worker(self._verify(), group="verify")

    async def _verify(self) -> None:
        """Every record is fetched and its digest computed here: nothing is taken on the server's word."""
        client = self.console_app.connection.client
        try:
            state = await self.console_app.ask(lambda caller: caller.get(AuditState, path_of("audit", "state")))
        except ApiError as exc:
            self._prove(f"not verified: {shown(str(exc))}", Tone.BAD)
            return
        compared = _to_compare(state)
        walk = ChainWalk(
            lambda after, limit: client.get(AuditPage, path_of("audit"), after=after, limit=limit), compared
        )
        self._walk = walk
        self._watch = self.set_interval(0.2, lambda: self._tell_progress(walk, state.database))
        self._tell_progress(walk, state.database)
        try:
            report = await in_thread(walk.run)
        except Stopped:
            self._end_walk()
            self._prove(f"stopped after {walk.checked:,} records: nothing was found wrong in them", Tone.PLAIN)
        except ApiError as exc:
            self._end_walk()
            self._prove(f"not verified: it ended after {walk.checked:,} records: {shown(str(exc))}", Tone.BAD)
        else:
            self._end_walk()
            self._prove(*ledger.verdict_line(report, compared, now()))

    def _end_walk(self) -> None:
        self._walk = None
        if self._watch is not None:
            self._watch.stop()

    def _tell_progress(self, walk: ChainWalk, head: AuditHead) -> None:
        if self._walk is walk:
            self._prove(ledger.progress_line(walk.checked, head), Tone.PLAIN)

    def _prove(self, text: str, tone: Tone) -> None:
        proof = self.query_one("#proof", Plain)
        proof.set_class(tone is Tone.BAD, "bad")
        proof.say(text)
        proof.display = True

    def _tell(self) -> None:
        rows = self.rows
        self.query_one("#where", Plain).say(ledger.where(rows.stretch, rows.cursor, self.state, self.wanted))
        text, tone = ledger.chain_line(self.state)
        chain = self.query_one("#chain-state", Plain)
        chain.set_class(tone is Tone.BAD, "bad")
        chain.say(text)


def _to_compare(state: AuditState) -> AuditHead | None:
    """The end of the chain as the file beside the database has it; None where it says nothing."""
    unknown = state.outside.seq == _UNREADABLE or (state.outside.seq == 0 and bool(state.problem))
    return None if unknown else state.outside
