"""The rows of the incident list that are at hand, of however many there are, and where the operator stands. Pure.

The server orders and counts; a page says which incidents stand at which places at one moment. Rows between pages may
be of another moment, so only those of pages that agree count as fresh; the others are shown until they are looked at,
and no incident ever stands in two places.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from responder.domain.incident import Incident
from responder.domain.views import IncidentPage

WINDOW = 100
"""Rows of a page that one scrolls into."""
MOST_WINDOW = 500
"""What the API gives at most."""
MARGIN = 10
"""Rows above and below the visible ones that are read again with them: a few incidents more move nothing out."""
MOST_ROWS = 1000
"""Those farther away are forgotten."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What is looked at."""

    cursor: int = 0
    incident_id: str = ""
    """Of the incident under the cursor; empty where its row is not read."""
    top: int = 0
    """First visible row."""
    height: int = 1
    """Visible rows."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """Rows to ask for."""

    offset: int
    limit: int


@dataclass(frozen=True, kw_only=True)
class Listing:
    total: int = 0
    rows: Mapping[int, Incident] = field(default_factory=dict)
    """By place."""
    fresh: frozenset[int] = frozenset()
    """Places of rows that were read since the list was last known to have changed."""
    is_read: bool = False

    def merged(self, page: IncidentPage) -> Listing:
        read = dict(enumerate(page.incidents, start=page.offset))
        total = max(page.total, page.offset + len(read) if read else 0)
        ids = {row.id for row in read.values()}
        middle = page.offset + len(read) // 2
        kept = {
            place: row
            for place, row in self.rows.items()
            if place not in read and place < total and row.id not in ids and abs(place - middle) <= MOST_ROWS // 2
        }
        fresh = frozenset(read)
        if self._agrees(read, total):
            fresh |= self.fresh & kept.keys()
        return Listing(total=total, rows={**kept, **read}, fresh=fresh, is_read=True)

    def _agrees(self, read: Mapping[int, Incident], total: int) -> bool:
        """Nothing has moved since the rows that are fresh were read, as far as the page tells."""
        places = {self.rows[place].id: place for place in self.fresh}
        return total == self.total and all(
            places.get(row.id, place) == place and (place not in self.fresh or self.rows[place].id == row.id)
            for place, row in read.items()
        )

    def aged(self) -> Listing:
        """All of it may have changed."""
        return replace(self, fresh=frozenset())

    def only_visible(self, standing: Standing) -> Listing:
        """Without the rows that nobody looks at."""
        visible = _visible(standing, self.total)
        return replace(self, rows={at: row for at, row in self.rows.items() if at in visible}, fresh=frozenset())

    def place_of(self, incident_id: str) -> int | None:
        return next((place for place in self.fresh if self.rows[place].id == incident_id), None)

    def again(self, standing: Standing) -> Window:
        """The visible rows."""
        visible = _visible(standing, self.total)
        first = max(visible.start - MARGIN, 0)
        return Window(offset=first, limit=min(max(len(visible), standing.height) + 2 * MARGIN, MOST_WINDOW))

    def wanted(self, standing: Standing) -> Window | None:
        """What has to be read for the rows that are looked at, and for those that the next keys lead to.

        A window overlaps with what is known beside it, so that it tells whether the list has moved.
        """
        if not self.is_read:
            return Window(offset=0, limit=WINDOW)
        visible, height = _visible(standing, self.total), standing.height
        limit = min(max(WINDOW, 3 * height), MOST_WINDOW)
        first = max(min(standing.top + height // 2 - limit // 2, self.total - limit), 0)
        near = range(max(visible.start - height, first), min(visible.stop + height, first + limit, self.total))
        missing = [place for place in near if place not in self.rows]
        if missing:
            if missing[0] > near.start:
                first = missing[0] - MARGIN
            elif missing[-1] < near.stop - 1:
                first = missing[-1] + 1 + MARGIN - limit
            return Window(offset=max(min(first, self.total - limit), 0), limit=limit)
        if any(place not in self.fresh for place in visible):
            return self.again(standing)
        return None


def _visible(standing: Standing, total: int) -> range:
    top = max(min(standing.top, total - standing.height), 0)
    return range(top, min(top + standing.height, total))


def is_lost(standing: Standing, listing: Listing) -> bool:
    """The incident under the cursor is somewhere else now, and nobody knows where."""
    return standing.cursor > 0 and bool(standing.incident_id) and listing.place_of(standing.incident_id) is None


def settled(standing: Standing, listing: Listing, *, follows: bool = False) -> Standing:
    """Where one stands once `listing` is shown: on the same incident, on the same line of the screen.

    At the top one stays at the top, where the newest belongs. An incident that is gone leaves its place to the next.
    """
    place = listing.place_of(standing.incident_id) if standing.cursor > 0 and not follows else None
    cursor = 0 if follows else standing.cursor if place is None else place
    cursor = max(min(cursor, listing.total - 1), 0)
    top = standing.top if place is None else place - (standing.cursor - standing.top)
    top = max(min(top, cursor, listing.total - standing.height), 0)
    row = listing.rows.get(cursor)
    return replace(standing, cursor=cursor, top=top, incident_id=row.id if row else "")
