"""Which incidents a search finds, in an order, page by page: what `domain.search` means, in SQL.

Rows are chosen by the few columns that the search and the order read, in one pass over them; everything else is fetched
for the rows of one page alone. A secondary index would be read by none of this and paid for by every update.

Every value is a parameter of its statement. `lower` is SQL's on both sides of a comparison, so that both fold alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Self, TypeAlias

from responder.domain.incident import Incident, State
from responder.domain.rule import Mode
from responder.domain.search import EVERYTHING, NEWEST_FIRST, Order, Search, SortBy
from responder.domain.views import IncidentPage
from responder.store.connection import Connection
from responder.store.incidents import PAGE_MAX
from responder.store.rows import RecordTable, to_timestamp

_TABLE = RecordTable("incidents", Incident)

URGENCY = (
    State.AWAITING_APPROVAL,
    State.ESCALATED,
    State.ROLLING_BACK,
    State.EXECUTING,
    State.VERIFYING,
    State.INVESTIGATING,
    State.OPEN,
    State.SUPPRESSED,
    State.RESOLVED,
)
"""What waits for a human, what failed, what is under way (a half-done change before all else), what is over."""

SEVERITIES = ("critical", "error", "warning", "info")

MODES = (Mode.AUTONOMOUS, Mode.DRY_RUN, Mode.REPORT)


def _rank(column: str, words: Sequence[str]) -> str:
    """The place of a word among `words`; every other word comes after them, and none at all last."""
    known = " ".join(f"WHEN '{word}' THEN {place}" for place, word in enumerate(words))
    return f"CASE lower({column}) {known} WHEN '' THEN {len(words) + 1} ELSE {len(words)} END"


_KEYS: Mapping[SortBy, str] = MappingProxyType(
    {
        SortBy.AGE: "id",  # ids sort by time of birth, and a cursor is one: newest first means the same to both
        SortBy.STATE: _rank("state", URGENCY),
        SortBy.SEVERITY: _rank("severity", SEVERITIES),
        SortBy.RULE: "lower(rule)",
        SortBy.MODE: _rank("mode", MODES),
        # A blank sorts before all that a name may hold: `shop` stands before `shop-test`, whatever follows.
        SortBy.TARGET: "lower(CASE WHEN root_kind IS NULL THEN key "
        "ELSE concat_ws(' ', root_namespace, root_kind, root_name) END)",
        SortBy.SUMMARY: "lower(summary)",
    }
)


def page(
    con: Connection,
    search: Search = EVERYTHING,
    order: Order = NEWEST_FIRST,
    *,
    now: datetime,
    limit: int = 50,
    offset: int = 0,
    around: str = "",
    cursor: str = "",
) -> IncidentPage:
    """The incidents that `search` finds, from `offset` on, and how many it finds. `now` is what ages are counted from.

    `around` is the id of an incident and takes the place of `offset`: the page that holds it, out of pages of `limit`.
    Where the search does not find it, that is the page where it would stand; where there is no such incident, the first
    one. `cursor` goes on after the incident that it names, newest first only: incidents that open meanwhile shift
    nothing. `limit` is kept between 1 and `PAGE_MAX`.
    """
    limit, offset = max(1, min(limit, PAGE_MAX)), max(0, offset)
    matching = _Matching.of(search, order, now)
    if around:
        before, total = matching.place(con, around)
        offset = max(0, min(before, total - 1)) // limit * limit
    elif cursor:
        offset = matching.born_since(con, cursor)
    total, rows = matching.rows(con, limit, offset)
    found = _TABLE.select(
        con,
        "WHERE rowid IN (SELECT unnest(?::BIGINT[])) ORDER BY list_position(?::BIGINT[], rowid)",
        [rows, rows],
    )
    more = bool(found) and offset + len(found) < total
    following = found[-1].id if more and order == NEWEST_FIRST else ""
    return IncidentPage(incidents=found, next_cursor=following, offset=offset, total=total)


@dataclass(frozen=True, kw_only=True)
class _Matching:
    """The incidents of a search with the key of an order: `row`, `id`, `sort_key`."""

    order: Order
    select: str
    values: tuple[object, ...]
    reads_text: bool
    """Whether the search looks into every summary and every label, which is far more to read than all else."""

    @classmethod
    def of(cls, search: Search, order: Order, now: datetime) -> Self:
        conditions = tuple(_conditions(search, now))
        where = " AND ".join(condition for condition, _ in conditions) or "TRUE"
        return cls(
            order=order,
            select=f"SELECT rowid AS row, id, {_KEYS[order.by]} AS sort_key FROM incidents WHERE {where}",
            values=tuple(value for _, values in conditions for value in values),
            reads_text=bool(search.text or search.not_text),
        )

    @property
    def _falls(self) -> bool:
        """Whether the key falls down the list. The youngest, first in ascending order of age, has the highest id."""
        return self.order.descending != (self.order.by is SortBy.AGE)

    def place(self, con: Connection, incident_id: str) -> tuple[int, int]:
        """How many incidents come before this one, and how many there are. None before one that does not exist."""
        earlier = ">" if self._falls else "<"
        before, total = self._count(
            con,
            f"count(*) FILTER (sort_key {earlier} its_key OR (sort_key = its_key AND id > ?)), count(*)",
            f"LEFT JOIN (SELECT {_KEYS[self.order.by]} AS its_key FROM incidents WHERE id = ?) ON TRUE",
            (incident_id, incident_id),
        )
        return before, total

    def born_since(self, con: Connection, incident_id: str) -> int:
        """How many were opened as late as this one or later, itself among them."""
        return self._count(con, "count(*) FILTER (id >= ?)", "", (incident_id,))[0]

    def rows(self, con: Connection, limit: int, offset: int) -> tuple[int, list[int]]:
        """How many there are, and the rows of those from `offset` on, in order."""
        start, backwards = offset, False
        if offset and not self.reads_text:
            # What lies near the end is found from there: to sort a few is less than to sort all but a few. The count
            # that this takes is cheap without a text to look for.
            (total,) = self._count(con, "count(*)", "", ())
            if offset >= total:
                return total, []
            limit = min(limit, total - offset)
            if backwards := offset > total // 2:
                start = total - offset - limit
        asked, reverse = self._sorted(backwards=False), self._sorted(backwards=backwards)
        found = con.execute(
            # Looking for text twice would be the greater part of the work; without it the copy would.
            f"WITH matching AS {'' if self.reads_text else 'NOT '}MATERIALIZED ({self.select}) "
            f"SELECT (SELECT count(*) FROM matching), list(row ORDER BY {asked}) "
            f"FROM (FROM matching ORDER BY {reverse} LIMIT ? OFFSET ?)",
            [*self.values, limit, start],
        ).fetchone()
        assert found is not None, "an aggregate is one row"
        total, rows = found
        return total, rows or []

    def _sorted(self, *, backwards: bool) -> str:
        falls, rises = ("ASC", "DESC") if backwards else ("DESC", "ASC")
        return f"sort_key {falls if self._falls else rises}, id {falls}"

    def _count(self, con: Connection, what: str, beside: str, values: tuple[object, ...]) -> tuple[int, ...]:
        row = con.execute(
            f"WITH matching AS ({self.select}) SELECT {what} FROM matching {beside}", [*self.values, *values]
        ).fetchone()
        assert row is not None, "an aggregate is one row"
        return tuple(row)


_Condition: TypeAlias = tuple[str, tuple[object, ...]]
"""SQL, and the values of its parameters."""

_TEXTS = ("id", "lower(key)", "lower(summary)", "lower(labels)")  # ids have no capitals
_CONTAINS = f"({' OR '.join(f'contains({column}, lower(?))' for column in _TEXTS)})"


def _conditions(search: Search, now: datetime) -> Iterator[_Condition]:
    """Each has to hold. The cheap ones stand first, though the engine orders them as it sees fit."""
    for column, words in (("state", search.states), ("outcome", search.outcomes)):
        if words:
            yield f"{column} IN ({', '.join('?' * len(words))})", tuple(word.value for word in words)
    if search.younger_than is not None:
        yield "opened_at > ?::TIMESTAMP", (to_timestamp(now - search.younger_than),)
    if search.older_than is not None:
        yield "opened_at < ?::TIMESTAMP", (to_timestamp(now - search.older_than),)
    for column, patterns, is_out in (
        ("namespace", search.namespaces, False),
        ("namespace", search.not_namespaces, True),
        ("rule", search.rules, False),
        ("rule", search.not_rules, True),
        ("severity", search.severities, False),
        ("severity", search.not_severities, True),
        ("mode", search.modes, False),
        ("coalesce(root_kind, '')", search.kinds, False),
    ):
        if patterns:
            yield _like_one(column, patterns, is_out=is_out)
    yield from ((_CONTAINS, (text,) * len(_TEXTS)) for text in search.text)
    yield from ((f"NOT {_CONTAINS}", (text,) * len(_TEXTS)) for text in search.not_text)


def _like_one(column: str, patterns: Sequence[str], *, is_out: bool) -> _Condition:
    one = f"lower({column}) LIKE lower(?) ESCAPE '\\'"
    any_of = f"({' OR '.join([one] * len(patterns))})"
    return f"NOT {any_of}" if is_out else any_of, tuple(like(pattern) for pattern in patterns)


_LIKE = str.maketrans({"*": "%", "?": "_", "%": r"\%", "_": r"\_", "\\": r"\\"})


def like(pattern: str) -> str:
    """A pattern of `domain.search` as one of LIKE with a backslash for its escape."""
    return pattern.translate(_LIKE)
