"""The incident list: filter, sort, follow, choose. The server finds, orders and counts; here stands what is asked.

All reads go through `read`, one at a time: what is wanted by the time one has ended is read next, so quick scrolling
and quick typing cost one answer each, and no answer comes after a newer one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar
from urllib.parse import urlencode

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.timer import Timer
from textual.widgets import Footer, Input

from console import table
from console.filters import Question, parse
from console.lines.formatting import fit, flat
from console.listing import WINDOW, Listing, Standing, Window, is_lost, settled
from console.messages import Chosen, CursorMoved
from console.remote.client import ApiError, Client, path_of
from console.remote.stream import Event
from console.screens.polled import PolledScreen
from console.screens.views import NameScreen, ViewsScreen, order_of
from console.shell.memory import SavedView
from console.widgets.bars import Answer, Plain, TopBar
from console.widgets.filterbox import FilterBox
from console.widgets.incidents import HeaderRow, IncidentTable, SortChosen
from responder.domain.search import NEWEST_FIRST, Order, SortBy
from responder.domain.views import IncidentPage

TYPING_SECONDS = 0.08
"""So long after the last key the filter is asked for."""

AGES_SECONDS = 5.0
"""Rows are drawn again so often, without asking anybody: the incidents grow older."""

_SORTS = (
    ("A", SortBy.AGE),
    ("S", SortBy.STATE),
    ("V", SortBy.SEVERITY),
    ("R", SortBy.RULE),
    ("M", SortBy.MODE),
    ("T", SortBy.TARGET),
    ("Y", SortBy.SUMMARY),
)


class IncidentsScreen(PolledScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "filter", key_display="/", priority=True, id="incidents.filter"),
        Binding("f", "faults", "faults only", id="incidents.faults"),
        Binding("F", "follow", "follow the newest", show=False, id="incidents.follow"),
        Binding("v", "views", "views", id="incidents.views"),
        Binding("ctrl+s", "save", "save this view", show=False, id="incidents.save"),
        Binding("0", "reset", "all incidents", show=False, id="incidents.reset"),
        Binding("r,ctrl+r", "refresh", "refresh", show=False, id="incidents.refresh"),
        Binding("escape", "clear", "clear filter", show=False),
        *(
            Binding(key, f"sort('{by}')", f"sort by {by}; again: the other way", show=False, id=f"incidents.sort_{by}")
            for key, by in _SORTS
        ),
    ]
    place = "incidents"

    def __init__(self) -> None:
        super().__init__()
        self.rows = IncidentTable()
        self.box = FilterBox()
        self.faults_only = False
        self.follows = False
        self._typed = ""
        self._order = NEWEST_FIRST
        self._asked = Question()
        self._shown = Question()
        """What the rows are the answer to."""
        self._keep = ""
        """Id of the incident that the cursor stays on when another question is answered; empty: the first."""
        self._reading: Window | None = None
        """What was asked for and is not answered yet."""
        self._problem = ""
        """Of the filter."""
        self._typing: Timer | None = None

    def compose(self) -> ComposeResult:
        yield TopBar()
        yield HeaderRow()
        yield self.rows
        yield Plain(id="preview")
        yield self.box
        yield Plain(id="status")
        yield Answer()
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.box.display = False
        self.rows.focus()
        self.set_interval(AGES_SECONDS, self.rows.refresh)
        self._tell()

    async def read(self) -> None:
        """What is looked at; where another question was asked, its first rows."""
        asked, rows = self._asked, self.rows
        if asked != self._shown:
            await self._read_anew(asked, self._keep)
            return
        self._reading = window = self._next_window()
        page = await self._page(asked, window)
        self._reading = None
        if asked != self._asked:
            self.read_now()
            return
        listing = rows.listing.merged(page)
        if not self.follows and is_lost(rows.standing, listing):
            listing = await self._with_the_lost(asked, listing, rows.standing)
        self._show(asked, listing, settled(rows.standing, listing, follows=self.follows))
        self._read_on(window)

    async def _read_anew(self, asked: Question, keep: str) -> None:
        listing, standing = Listing(), Standing(height=self.rows.standing.height)
        if keep:
            listing = await self._with_the_lost(asked, listing, Standing(incident_id=keep))
        place = listing.place_of(keep)
        if place is None:
            listing = listing.merged(await self._page(asked, Window(offset=0, limit=WINDOW)))
        else:
            standing = Standing(
                cursor=place, incident_id=keep, top=place - standing.height // 2, height=standing.height
            )
        if asked == self._asked:
            self._keep = ""
            self._show(asked, listing, settled(standing, listing))
            self._read_on(None)
        else:
            self.read_now()

    def _read_on(self, done: Window | None) -> None:
        """Where something is wanted that neither was just read nor is being read."""
        rows = self.rows
        if rows.listing.is_read and rows.listing.wanted(rows.standing) not in (None, done):
            self.read_now()

    def _next_window(self) -> Window:
        """Where nothing is missing, everything may have changed."""
        rows = self.rows
        wanted = rows.listing.wanted(rows.standing)
        if wanted is None:
            rows.listing = rows.listing.aged()
            wanted = rows.listing.again(rows.standing)
        return wanted

    async def _with_the_lost(self, asked: Question, listing: Listing, standing: Standing) -> Listing:
        """With the page on which the incident stands now, where there is one."""
        window = Listing().again(standing)
        try:
            return listing.merged(await self._page(asked, window, around=standing.incident_id))
        except ApiError as exc:
            if exc.status != 404:
                raise
        return listing

    async def _page(self, asked: Question, window: Window, *, around: str = "") -> IncidentPage:
        place = ("around", around) if around else ("offset", str(window.offset))
        path = f"{path_of('incidents')}?{urlencode([*asked.parameters, place, ('limit', str(window.limit))])}"

        def call(client: Client) -> IncidentPage:
            return client.get(IncidentPage, path)

        try:
            return await self.console_app.ask(call)
        except ApiError as exc:
            if exc.status in (400, 422) and asked == self._asked:
                self._problem = flat(str(exc))
                self._tell()
            raise

    def _show(self, asked: Question, listing: Listing, standing: Standing) -> None:
        self._shown = asked
        self.box.seen = self.box.seen.with_rows(listing.rows.values())
        self.rows.show(listing, standing, asked.order)
        self._tell()

    def heard(self, events: Sequence[Event]) -> None:
        if any(self.concerns(event) for event in events):
            self.rows.listing = self.rows.listing.aged()
        super().heard(events)

    def start_anew(self) -> None:
        """Keep what is looked at, which is read again at once; the rows around it may be of another history."""
        self.rows.listing = self.rows.listing.only_visible(self.rows.standing)

    def on_cursor_moved(self, message: CursorMoved) -> None:
        message.stop()
        if self.rows.cursor:
            self.follows = False
        self._read_on(self._reading)
        self._tell()

    def on_chosen(self, message: Chosen) -> None:
        """What stands under the cursor now: rows may have moved on since the key."""
        message.stop()
        if self.rows.current is not None:
            self.console_app.open_incident(self.rows.current.id)

    def on_sort_chosen(self, message: SortChosen) -> None:
        message.stop()
        self.action_sort(message.by)

    def on_input_changed(self, event: Input.Changed) -> None:
        self._typed = event.value
        if self._typing is not None:
            self._typing.stop()
        self._typing = self.set_timer(TYPING_SECONDS, self._ask)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._shut_filter()
        self._ask()

    def on_filter_box_completed(self, message: FilterBox.Completed) -> None:
        message.stop()
        self._tell()

    def copied(self) -> tuple[str, str]:
        current = self.rows.current
        return (current.id, "the incident's id") if current else ("", "")

    @property
    def namespaces(self) -> tuple[str, ...]:
        return tuple(sorted(self.box.seen.namespaces))

    def narrow(self, typed: str) -> bool:
        self._set_filter(typed)
        return True

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """With nothing to clear, esc goes back. Where text is typed, the key of the filter is text."""
        if action == "filter":
            return not isinstance(self.focused, Input)
        return action != "clear" or self.box.display or bool(self._typed)

    def action_filter(self) -> None:
        """At once: the next key may be waiting already, and belongs to the filter."""
        self.box.display = True
        self.set_focus(self.box)

    def action_faults(self) -> None:
        self.faults_only = not self.faults_only
        self._ask()

    def action_follow(self) -> None:
        self.follows = not self.follows
        if self.follows:
            self._order = NEWEST_FIRST
            self.rows.move_to(0)
        self._ask()

    def action_sort(self, by: str) -> None:
        self._order = table.turned(self._order, SortBy(by))
        self.follows = False
        self._ask()

    def action_refresh(self) -> None:
        self.read_now()

    def action_clear(self) -> None:
        self._keep_the_current()
        self._shut_filter()
        self._set_filter("")

    def action_reset(self) -> None:
        self._keep_the_current()
        self._show_view(SavedView(name=""))

    def action_save(self) -> None:
        if self._problem:
            self.say(f"nothing was saved: {self._problem}", bad=True)
            return
        view = SavedView(name="", typed=self._typed.strip(), sort=_spelt(self._order), faults_only=self.faults_only)

        def named(name: str | None) -> None:
            if name:
                memory = self.console_app.memory
                memory.save_view(SavedView(name=name, typed=view.typed, sort=view.sort, faults_only=view.faults_only))
                self.say(memory.problem or f"saved as {name}: v shows it again", bad=bool(memory.problem))

        self.app.push_screen(NameScreen(view), named)

    def action_views(self) -> None:
        memory = self.console_app.memory

        def drop(name: str) -> Sequence[SavedView]:
            memory.drop_view(name)
            if memory.problem:
                self.say(memory.problem, bad=True)
            return memory.views

        def picked(view: SavedView | None) -> None:
            if view is not None:
                self._show_view(view)

        self.app.push_screen(ViewsScreen(memory.views, drop), picked)

    def _show_view(self, view: SavedView) -> None:
        self.faults_only, self.follows, self._order = view.faults_only, False, order_of(view)
        self._set_filter(view.typed)

    def _keep_the_current(self) -> None:
        self._keep = self.rows.standing.incident_id

    def _set_filter(self, typed: str) -> None:
        with self.prevent(Input.Changed):
            self.box.value = typed
        self._typed = typed
        self._ask()

    def _shut_filter(self) -> None:
        self.box.display = False
        self.rows.focus()

    def _ask(self) -> None:
        """What is typed and chosen now. Where it means nothing, the rows stay, and a sentence says why."""
        if self._typing is not None:
            self._typing.stop()
            self._typing = None
        try:
            search = parse(self._typed, faults_only=self.faults_only, is_typing=self.box.display)
        except ValueError as exc:
            self._problem = flat(str(exc))
        else:
            self._problem = ""
            self._asked = Question(search=search, order=self._order)
            if self._asked != self._shown:
                self.read_now()
        self.refresh_bindings()
        self._tell()

    def _tell(self) -> None:
        if not self.is_mounted:  # narrowed before it was ever shown: `on_mount` tells
            return
        status = self.query_one("#status", Plain)
        choices = "  ".join(self.box.choices) if self.box.display else ""
        status.set_class(bool(self._problem) and not choices, "bad")
        status.say((choices and self._fitted(choices)) or self._problem or self._fitted(self._where()))
        current = self.rows.current
        self.query_one("#preview", Plain).say(table.preview(current, self.size.width - 2) if current else "")

    def _fitted(self, text: str) -> str:
        return fit(text, self.size.width - 2).rstrip()

    def _where(self) -> str:
        parts = (
            self._count(),
            "following" if self.follows else table.order_words(self._order),
            "faults only" if self.faults_only else "",
            flat(self._typed.strip()) or ("" if self.faults_only else "all incidents"),
        )
        return "  ·  ".join(part for part in parts if part)

    def _count(self) -> str:
        rows = self.rows
        if self._asked != self._shown or not rows.listing.is_read:
            return "reading"
        if rows.count():
            return table.position(rows.cursor, rows.count())
        return "no incidents" if self._asked.search.is_empty else "no incident matches: esc clears the filter"


def _spelt(order: Order) -> str:
    return "" if order == NEWEST_FIRST else str(order)
