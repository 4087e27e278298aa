"""The incident list and its header, drawn; which rows there are is decided in `console.listing`."""

from __future__ import annotations

from dataclasses import dataclass

from textual import events
from textual.message import Message

from console import table
from console.lines.formatting import Line
from console.listing import Listing, Standing
from console.messages import CursorMoved
from console.screens.polled import now
from console.widgets.bars import Plain
from console.widgets.lineview import LineView
from responder.domain.incident import Incident
from responder.domain.search import NEWEST_FIRST, Order, SortBy


@dataclass
class SortChosen(Message):
    """A column's header was clicked."""

    by: SortBy


class HeaderRow(Plain):
    """The titles, with an arrow at the one that the rows are sorted by."""

    def __init__(self) -> None:
        super().__init__(id="header", classes="header")
        self._columns = 0

    def tell(self, columns: int, margin: int, order: Order) -> None:
        self._columns, self._margin = columns, margin
        self.say(" " * margin + table.header(columns, order).text)

    def on_click(self, event: events.Click) -> None:
        by = table.column_at(event.x - self._margin, self._columns)
        if by is not None:
            self.post_message(SortChosen(by))


class IncidentTable(LineView):
    """As many lines as there are incidents; those that are not read yet are drawn as such, and no key waits for them.

    The cursor is always visible: the wheel takes it along.
    """

    def __init__(self) -> None:
        super().__init__(id="incidents")
        self.listing = Listing()
        self.order = NEWEST_FIRST

    def count(self) -> int:
        return self.listing.total

    def line_at(self, index: int) -> Line:
        incident = self.listing.rows.get(index)
        if incident is None:
            return table.placeholder(self.columns)
        return table.row(incident, width=self.columns, now=now())

    @property
    def current(self) -> Incident | None:
        """None where there is none, and where its row is not read yet."""
        return self.listing.rows.get(self.cursor)

    @property
    def standing(self) -> Standing:
        current = self.current
        return Standing(
            cursor=self.cursor,
            incident_id=current.id if current else "",
            top=self.scroll_offset.y,
            height=max(self.scrollable_content_region.height, 1),
        )

    def show(self, listing: Listing, standing: Standing, order: Order) -> None:
        before = self.standing.incident_id
        self.listing, self.order = listing, order
        self.redraw()
        self.scroll_to(y=standing.top, animate=False)
        self.move_to(standing.cursor)
        self.came_instead(self.standing.incident_id, before)
        self._tell_header()

    def action_page(self, by: int) -> None:
        step = by * max(self.scrollable_content_region.height - 1, 1)
        self.move_to(self.cursor + step, scroll=False)
        self.scroll_relative(y=step, animate=False)
        self._follow()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        top, height = round(new_value), max(self.scrollable_content_region.height, 1)
        if not top <= self.cursor < top + height:
            self.move_to(max(top, min(self.cursor, top + height - 1)), scroll=False)
        self.post_message(CursorMoved(self.cursor))

    def on_resize(self) -> None:
        self._tell_header()
        self.call_after_refresh(self._follow)

    def _tell_header(self) -> None:
        self.screen.query_one(HeaderRow).tell(self.columns, self._margin, self.order)
