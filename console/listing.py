"""The incidents read so far, newest first, kept right while pages come and go. Pure.

A page of the API says everything about the stretch of ids from its cursor down to its last incident: what is missing
there no longer matches. Ids sort by time of birth, so the order is theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from responder.domain.incident import Incident
from responder.domain.views import IncidentPage


@dataclass(frozen=True, kw_only=True)
class Listing:
    rows: tuple[Incident, ...] = ()
    more: bool = True
    """The server has older ones."""

    def merged(self, page: IncidentPage, *, cursor: str = "") -> Listing:
        """With the page that was asked for after `cursor` ('' is the newest)."""
        above = tuple(row for row in self.rows if cursor and row.id >= cursor)
        if not page.next_cursor:
            return Listing(rows=above + page.incidents, more=False)
        last = page.incidents[-1].id
        below = tuple(row for row in self.rows if row.id < last)
        if below and not self._touches(page, cursor):
            return Listing(rows=above + page.incidents, more=True)
        return replace(self, rows=above + page.incidents + below, more=self.more if below else True)

    def _touches(self, page: IncidentPage, cursor: str) -> bool:
        """False: so many are new that nobody knows what lies between the page and the rows below it."""
        last = page.incidents[-1].id
        return any(row.id >= last for row in self.rows if not cursor or row.id < cursor)

    def cursor_before(self, index: int) -> str:
        """The cursor of a page that begins with row `index`."""
        return self.rows[index - 1].id if 0 < index <= len(self.rows) else ""

    def index_of(self, incident_id: str) -> int | None:
        return next((index for index, row in enumerate(self.rows) if row.id == incident_id), None)
