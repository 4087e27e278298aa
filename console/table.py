"""The incident list as columns: what a row says, what its header says of the order, which column was clicked. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rich.cells import cell_len

from console.lines import grid
from console.lines.formatting import Line, Tone, age, fit, flat, line, short_key, state_tone, two_lines
from console.lines.grid import Cell
from responder.domain.incident import Incident
from responder.domain.search import Order, SortBy

_LEAST_NAMESPACE = 4
"""Cells; below that the end of the target says more than its beginning."""


@dataclass(frozen=True, kw_only=True)
class Column:
    column: grid.Column
    sort: SortBy | None = None
    ascending: str = ""
    """The order in words."""
    descending: str = ""


COLUMNS = (
    Column(column=grid.Column(title="AGE", width=4), sort=SortBy.AGE, ascending="youngest first",
           descending="oldest first"),
    Column(column=grid.Column(title="STATE", width=13), sort=SortBy.STATE, ascending="most urgent state first",
           descending="least urgent state first"),
    Column(column=grid.Column(title="OUTCOME", width=19, from_columns=150)),
    Column(column=grid.Column(title="SEV", width=8), sort=SortBy.SEVERITY, ascending="most severe first",
           descending="least severe first"),
    Column(column=grid.Column(title="RULE", width=18, from_columns=120), sort=SortBy.RULE, ascending="rule A to Z",
           descending="rule Z to A"),
    Column(column=grid.Column(title="MODE", width=10, from_columns=96), sort=SortBy.MODE,
           ascending="autonomous mode first", descending="report mode first"),
    Column(column=grid.Column(title="TARGET", most=44), sort=SortBy.TARGET, ascending="target A to Z",
           descending="target Z to A"),
    Column(column=grid.Column(title="SUMMARY"), sort=SortBy.SUMMARY, ascending="summary A to Z",
           descending="summary Z to A"),
)  # fmt: skip
_TARGET = next(index for index, column in enumerate(COLUMNS) if column.sort is SortBy.TARGET)
_GRID = tuple(column.column for column in COLUMNS)


def header(width: int, order: Order) -> Line:
    """An arrow stands beside the column that the rows are sorted by."""
    arrow = "↓" if order.descending else "↑"
    titles = [f"{each.column.title}{arrow if each.sort is order.by else ''}" for each in COLUMNS]
    return grid.row(_GRID, [Cell(title, Tone.SECTION) for title in titles], width)


def column_at(x: int, width: int) -> SortBy | None:
    """What a click on cell `x` of the header sorts by."""
    end = 0
    for column, size in zip(COLUMNS, grid.widths(_GRID, width), strict=True):
        end += size + 1 if size else 0
        if size and x < end:
            return column.sort
    return None


def order_words(order: Order) -> str:
    column = next(column for column in COLUMNS if column.sort is order.by)
    return column.descending if order.descending else column.ascending


def turned(order: Order, by: SortBy) -> Order:
    """The order after `by` was asked for once more: the same column the other way round, another one from its start."""
    return Order(by=by, descending=order.by is by and not order.descending)


def row(incident: Incident, *, width: int, now: datetime) -> Line:
    room = grid.widths(_GRID, width)[_TARGET]
    cells = (
        Cell(age((now - incident.opened_at).total_seconds()), Tone.DIM),
        Cell(_words(incident.state).removesuffix(" approval"), state_tone(incident.state)),
        Cell(_words(incident.outcome)),
        Cell(incident.severity or "-"),
        Cell(incident.rule or "-"),
        Cell(incident.mode or "-"),
        Cell(_target(incident, room)),
        Cell(_summary(incident)),
    )
    return grid.row(_GRID, cells, width, key=incident.id)


def placeholder(width: int) -> Line:
    """A row that is not read yet."""
    return line(fit("...", width), Tone.DIM)


def preview(incident: Incident, width: int) -> str:
    """The row under the cursor, on two lines; dots where there is more."""
    ended = f" ({_words(incident.outcome)})" if incident.outcome else ""
    decided = f"rule {incident.rule or 'none'}{f' in {incident.mode} mode' if incident.mode else ''}"
    whole = f"{flat(incident.key)}{ended}, {flat(decided)}: {_summary(incident)}"
    return two_lines(whole, width)


def position(cursor: int, total: int) -> str:
    return f"{cursor + 1:,} of {total:,}"


def _target(incident: Incident, room: int) -> str:
    """With members, their number comes first: it must not be cut off. Of a long target the kind goes first, which the
    preview tells, then the end of the namespace."""
    counted = f"({incident.workloads}) " if incident.members else ""
    whole = counted + short_key(incident.key)
    if cell_len(whole) <= room or counted:
        return whole
    namespace, slash, name = whole.partition("/")[2].partition("/")
    left = room - cell_len(f"/{name}")
    if slash and left >= _LEAST_NAMESPACE:
        return f"{fit(namespace, min(left, cell_len(namespace)))}/{name}"
    return f"..{_end(whole, room - 2)}" if room > len("..") else whole


def _end(text: str, cells: int) -> str:
    while cell_len(text) > cells:
        text = text[1:]
    return text


def _summary(incident: Incident) -> str:
    """Without the target in front, which stands beside it."""
    return flat(incident.summary.removeprefix(f"{incident.key}: ")) or "nothing is known yet"


def _words(name: str) -> str:
    return name.replace("_", " ")
