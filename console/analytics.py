"""What the record says over a time: which SELECTs on the shipped views, and their answers as lines. Pure.

A statement's columns tell how they are read: first the labels, then the value that is drawn, then what stands beside
it; `_seconds`, `_usd` and `_ratio` at the end of a name are units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import zip_longest

from console.lines.charts import Bar, bars, sparkline, squeezed
from console.lines.formatting import Line, Span, Tone, fit, flat, line, wrap
from responder.domain.manifest import Json
from responder.domain.views import QueryAnswer

_NONE = "(none)"
"""For a label that is empty: no rule matched, an analyzer without a model."""
_MOST_ROWS = 12
_NAME = 15
_GAP = 2
_LEAST_BLOCKS = 8


class Extent(StrEnum):
    """How far back."""

    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"

    @property
    def words(self) -> str:
        return {Extent.DAY: "24 hours", Extent.WEEK: "7 days", Extent.MONTH: "30 days"}[self]

    @property
    def interval(self) -> str:
        return {Extent.DAY: "24 HOURS", Extent.WEEK: "7 DAYS", Extent.MONTH: "30 DAYS"}[self]

    @property
    def step(self) -> str:
        return "hour" if self is Extent.DAY else "day"


class Form(StrEnum):
    RANKED = "ranked"
    """A row is a bar."""
    TIMED = "timed"
    """A row is a time, each further column a line of blocks."""
    SPREAD = "spread"
    """The only row's columns are the bars."""


@dataclass(frozen=True, kw_only=True)
class Section:
    title: str
    sql: str
    """`{interval}` and `{step}` are of the extent."""
    form: Form = Form.RANKED
    labels: int = 1
    ever: bool = False
    """The view has no times: all of the record counts, whatever the extent."""

    def statement(self, extent: Extent) -> str:
        return self.sql.format(interval=extent.interval, step=extent.step)


@dataclass(frozen=True, kw_only=True)
class Page:
    name: str
    sections: tuple[Section, ...]


_RESOLVED = (
    "median(seconds_open) AS median_seconds, quantile_cont(seconds_open, 0.95) AS p95_seconds, count(*) AS incidents\n"
    "FROM v_incidents\nWHERE resolved_at >= now() - INTERVAL {interval}\nGROUP BY ALL"
)
_DECIDED = (
    "median(seconds) AS median_seconds, quantile_cont(seconds, 0.9) AS p90_seconds, max(seconds) AS longest_seconds, "
    "count(*) AS approvals\nFROM v_approval_latency\nWHERE decided_at >= now() - INTERVAL {interval}"
)
_FIXED = (
    "sum(passed) / nullif(sum(passed) + sum(failed), 0) AS success_ratio,\n"
    "    sum(executions) AS applied, sum(passed) AS passed, sum(failed) AS failed, sum(rolled_back) AS rolled_back\n"
    "FROM v_fix_success\nGROUP BY ALL\nORDER BY applied DESC, 1"
)
_SPENT = (
    "sum(cost_usd) AS cost_usd, sum(investigations) AS investigations, sum(requests) AS requests,\n"
    "    sum(input_tokens + cache_read_tokens + cache_write_tokens + output_tokens) AS tokens\n"
    "FROM v_cost\nWHERE day >= CAST(now() - INTERVAL {interval} AS DATE)\nGROUP BY ALL"
)

PAGES = (
    Page(
        name="resolution",
        sections=(
            Section(
                title="time to resolution",
                sql=f"SELECT date_trunc('{{step}}', resolved_at) AS moment, {_RESOLVED}\nORDER BY moment",
                form=Form.TIMED,
            ),
            Section(title="by namespace", sql=f"SELECT namespace, {_RESOLVED}\nORDER BY median_seconds DESC"),
            Section(title="by rule", sql=f"SELECT rule, {_RESOLVED}\nORDER BY median_seconds DESC"),
        ),
    ),
    Page(
        name="approvals",
        sections=(
            Section(title="how long plans waited", sql=f"SELECT approval, {_DECIDED}\nGROUP BY ALL\nORDER BY 1"),
            Section(
                title="spread, by people",
                sql='SELECT\n    count(*) FILTER (seconds < 60) AS "under 1m",\n'
                '    count(*) FILTER (seconds >= 60 AND seconds < 300) AS "1m to 5m",\n'
                '    count(*) FILTER (seconds >= 300 AND seconds < 900) AS "5m to 15m",\n'
                '    count(*) FILTER (seconds >= 900 AND seconds < 3600) AS "15m to 1h",\n'
                '    count(*) FILTER (seconds >= 3600) AS "1h and more"\n'
                "FROM v_approval_latency\n"
                "WHERE approval = 'human' AND decided_at >= now() - INTERVAL {interval}",
                form=Form.SPREAD,
            ),
            Section(
                title="by rule, by people",
                sql=f"SELECT rule, {_DECIDED} AND approval = 'human'\nGROUP BY ALL\nORDER BY median_seconds DESC",
            ),
        ),
    ),
    Page(
        name="success",
        sections=(
            Section(title="applied changes, by action", sql=f"SELECT action, {_FIXED}", ever=True),
            Section(title="by rule", sql=f"SELECT rule, {_FIXED}", ever=True),
            Section(title="by analyzer and model", sql=f"SELECT analyzer, model, {_FIXED}", labels=2, ever=True),
        ),
    ),
    Page(
        name="cost",
        sections=(
            Section(title="cost of investigations", sql=f"SELECT day, {_SPENT}\nORDER BY day", form=Form.TIMED),
            Section(
                title="by analyzer and model",
                sql=f"SELECT analyzer, model, {_SPENT}\nORDER BY cost_usd DESC, investigations DESC",
                labels=2,
            ),
        ),
    ),
    Page(
        name="storms",
        sections=(
            Section(
                title="incidents that several workloads share",
                sql="SELECT date_trunc('{step}', opened_at) AS moment, count(*) AS storms, sum(members) AS workloads, "
                "sum(alerts) AS alerts\nFROM v_storms\nWHERE opened_at >= now() - INTERVAL {interval}\n"
                "GROUP BY ALL\nORDER BY moment",
                form=Form.TIMED,
            ),
            Section(
                title="the largest",
                sql="SELECT cause, members, alerts, seconds_open AS open_seconds, state, opened_at\nFROM v_storms\n"
                "WHERE opened_at >= now() - INTERVAL {interval}\nORDER BY members DESC, opened_at DESC\nLIMIT 50",
            ),
        ),
    ),
    Page(
        name="rules",
        sections=(
            Section(
                title="incidents, by rule",
                sql="SELECT rule, incidents, decisions, plans, executions, last_decided_at\nFROM v_rule_activity\n"
                "ORDER BY incidents DESC, rule",
                ever=True,
            ),
        ),
    ),
)


def tell(page: Page, extent: Extent, answers: Mapping[str, QueryAnswer | str], width: int) -> tuple[Line, ...]:
    """`answers` are by statement: rows, or the sentence that came instead. Each line's key is its statement."""
    lines: list[Line] = []
    for section in page.sections:
        statement = section.statement(extent)
        over = "since the record began" if section.ever else f"last {extent.words}"
        if drawn := _drawn(section, answers.get(statement)):
            over = f"{drawn}, {over}"
        lines.append(Line((Span(section.title.upper(), Tone.SECTION), Span(f"  {over}", Tone.DIM)), statement))
        lines += [_keyed(told, statement) for told in _told(section, extent, answers.get(statement), width)]
        lines.append(Line())
    return tuple(lines[:-1])


def _drawn(section: Section, answer: QueryAnswer | str | None) -> str:
    """What the bars stand for."""
    if section.form is not Form.RANKED or not isinstance(answer, QueryAnswer) or not answer.rows:
        return ""
    return _plain(answer.columns[section.labels].name)


def lasting(seconds: float) -> str:
    """A duration in its two greatest units."""
    whole = round(seconds)
    if 0 < seconds < 9.95:
        return f"{seconds:.1f}s"
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"


def quantity(column: str, value: Json) -> str:
    """In the unit that the column's name tells."""
    if value is None:
        return "-"
    if isinstance(value, int | float) and not isinstance(value, bool):
        if column.endswith("_seconds"):
            return lasting(value)
        if column.endswith("_usd"):
            return f"${value:,.2f}"
        if column.endswith("_ratio"):
            return f"{value:.0%}".replace("%", " %")
        return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"
    text = flat(str(value))
    return text[:16].replace("T", " ") if column.endswith("_at") else text


def _told(section: Section, extent: Extent, answer: QueryAnswer | str | None, width: int) -> Sequence[Line]:
    if answer is None:
        return [line("reading", Tone.DIM)]
    if isinstance(answer, str):
        return [line(part, Tone.BAD) for part in wrap(answer, width)]
    if not answer.rows:
        return [line("nothing in this time" if not section.ever else "nothing yet", Tone.DIM)]
    return _FORMS[section.form](section, extent, answer, width)


def _ranked(section: Section, extent: Extent, answer: QueryAnswer, width: int) -> list[Line]:
    names = [column.name for column in answer.columns]
    value, beside = names[section.labels], names[section.labels + 1 :]
    items = [
        Bar(
            label=" ".join(_label(cell) for cell in row[: section.labels]),
            value=_number(row[section.labels]),
            told=quantity(value, row[section.labels]),
            note=_beside(beside, row[section.labels + 1 :], width),
            tone=_tone(value, row[section.labels]),
        )
        for row in answer.rows[:_MOST_ROWS]
    ]
    drawn = bars(items, width, most=1.0 if value.endswith("_ratio") else None)
    more = len(answer.rows) - len(drawn)
    return [*drawn, *([line(f"and {more} more: Enter shows all of them", Tone.DIM)] if more > 0 else [])]


def _spread(section: Section, extent: Extent, answer: QueryAnswer, width: int) -> list[Line]:
    cells = zip(answer.columns, answer.rows[0], strict=True)
    items = [Bar(label=column.name, value=_number(cell), told=quantity("", cell)) for column, cell in cells]
    return bars(items, width) if any(item.value for item in items) else [line("nothing in this time", Tone.DIM)]


def _timed(section: Section, extent: Extent, answer: QueryAnswer, width: int) -> list[Line]:
    """A line for each column: blocks from the oldest to the newest, then the newest and the greatest in words."""
    step = "day" if answer.columns[0].type == "DATE" else extent.step
    places = _places(extent, step, answer.as_of)
    cells = {_place(str(row[0]), step): row for row in answer.rows}
    series = [
        (column.name, [_number(cells[place][number]) if place in cells else None for place in places])
        for number, column in enumerate(answer.columns[1:], start=1)
    ]
    told = [_ends_told(name, values) for name, values in series]
    blocks = max(min(width - _NAME - _GAP - max(map(len, told), default=0), len(places)), _LEAST_BLOCKS)
    lines = [
        Line(
            (
                Span(fit(_plain(name), _NAME), Tone.DIM),
                Span(sparkline(squeezed(values, blocks)), Tone.BUSY),
                Span(" " * _GAP + said),
            )
        )
        for (name, values), said in zip(series, told, strict=True)
    ]
    each = f"one block per {step}" if blocks == len(places) else f"{len(places)} {step}s"
    return [*lines, Line((Span(" " * _NAME), Span(f"{places[0]} to {places[-1]} UTC, {each}", Tone.DIM)))]


def _ends_told(name: str, values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    newest = known[-1] if known else None
    return f"newest {quantity(name, newest)}, most {quantity(name, max(known, default=None))}"


_FORMS: Mapping[Form, Callable[[Section, Extent, QueryAnswer, int], Sequence[Line]]] = {
    Form.RANKED: _ranked,
    Form.SPREAD: _spread,
    Form.TIMED: _timed,
}


def _places(extent: Extent, step: str, as_of: datetime) -> list[str]:
    """The times of the extent, oldest first, as `_place` spells them."""
    each = timedelta(hours=1) if step == "hour" else timedelta(days=1)
    total = {Extent.DAY: timedelta(days=1), Extent.WEEK: timedelta(days=7), Extent.MONTH: timedelta(days=30)}[extent]
    count = total // each
    return [_place((as_of - each * back).isoformat(), step) for back in range(count, -1, -1)]


def _place(text: str, step: str) -> str:
    return f"{text[5:10]} {text[11:13]}h" if step == "hour" else text[5:10]


def _beside(names: Sequence[str], cells: Sequence[Json], width: int) -> str:
    """As many as leave room for the bar."""
    told = ""
    for name, cell in zip_longest(names, cells):
        more = f"{_plain(name)} {quantity(name, cell)}"
        longer = f"{told} · {more}" if told else more
        if len(longer) > width * 2 // 5:
            break
        told = longer
    return told


def _plain(column: str) -> str:
    for unit in ("_seconds", "_usd", "_ratio"):
        column = column.removesuffix(unit)
    return flat(column).replace("_", " ")


def _label(cell: Json) -> str:
    return flat(str(cell)) if cell not in (None, "") else _NONE


def _number(cell: Json) -> float:
    return float(cell) if isinstance(cell, int | float) else 0.0


def _tone(column: str, cell: Json) -> Tone:
    """Only a ratio of success is good or bad by itself."""
    if not column.endswith("_ratio") or not isinstance(cell, int | float):
        return Tone.BUSY
    return Tone.GOOD if cell >= 0.8 else Tone.WAITS if cell >= 0.5 else Tone.BAD


def _keyed(told: Line, statement: str) -> Line:
    return Line(told.spans, statement)


def statements(page: Page, extent: Extent) -> Iterator[str]:
    return (section.statement(extent) for section in page.sections)
