"""The audit chain as lines: the part of it that is in memory, one record whole, what is asked for, its two ends. Pure.

A chain may have millions of records. A stretch of it is held, however far one scrolls: what lies beyond is read when
one comes near, and let go at the other side.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from console.lines import grid
from console.lines.formatting import Line, Span, Tone, chop, clock, flat, labelled, line, moment, short_key
from console.lines.grid import Cell, Column
from responder.domain.audit import AuditHead, AuditRecord, AuditReport, digest_of
from responder.domain.views import AuditPage, AuditState

MOST_RECORDS = 2000
"""In memory at a time."""
MOST_CHARACTERS = 256
"""Of one word of a filter, as the API takes it."""
DIGEST_SHOWN = 4

COLUMNS = (
    Column(title="RECORD", width=7, right=True),
    Column(title="TIME", width=14),
    Column(title="ACTOR", width=10),
    Column(title="EVENT", width=19),
    Column(title="SUBJECT", weight=2),
    Column(title="INCIDENT", width=16, from_columns=96),
    Column(title="DETAIL", weight=3, from_columns=130),
)
_said = partial(labelled, cells=11)
_KEYS = ("actor", "event", "incident")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which records; '' is any."""

    actor: str = ""
    event: str = ""
    incident: str = ""

    @property
    def query(self) -> dict[str, str]:
        return {"actor": self.actor, "event": self.event, "incident": self.incident}

    @property
    def is_all(self) -> bool:
        return not any(self.query.values())

    def __str__(self) -> str:
        return " ".join(f"{name}:{value}" for name, value in self.query.items() if value) or "all records"


def parse(text: str) -> Wanted:
    """`actor:ann event:approved incident:inc-1`; an incident's id may stand alone. Raises ValueError, a sentence."""
    found: dict[str, str] = {}
    for term in text.split():
        key, colon, value = term.partition(":")
        if not colon and term.startswith("inc-"):
            key, value = "incident", term
        if key not in _KEYS or (not colon and key != "incident"):
            raise ValueError(f"{term[:32]!r} asks for nothing here: write actor:, event: or incident:")
        if not value:
            raise ValueError(f"{key}: of what? It has to be the whole word")
        if len(value) > MOST_CHARACTERS or not value.isprintable():
            raise ValueError(f"{key}: takes at most {MOST_CHARACTERS} characters that can be seen")
        if key in found:
            raise ValueError(f"{key}: is given twice")
        found[key] = value
    return Wanted(**found)


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Records that follow each other among those asked for, newest first."""

    records: tuple[AuditRecord, ...] = ()
    newer: bool = False
    """There are newer ones than these, known of and not held."""
    older: bool = True

    @classmethod
    def newest(cls, page: AuditPage) -> Stretch:
        return cls(records=page.records, older=bool(page.next_cursor))

    @classmethod
    def oldest(cls, page: AuditPage, *, limit: int) -> Stretch:
        """Of a page that was read forward from the beginning."""
        return cls(records=page.records, newer=len(page.records) >= limit, older=False)

    @property
    def first_seq(self) -> int:
        return self.records[0].seq if self.records else 0

    @property
    def last_seq(self) -> int:
        return self.records[-1].seq if self.records else 0

    def index_of(self, seq: int) -> int | None:
        return next((index for index, record in enumerate(self.records) if record.seq == seq), None)

    def with_newer(self, page: AuditPage, *, more: bool, looked_at: int) -> Stretch:
        """With a page that was read forward from the first of these. `looked_at` is a row: that end is kept."""
        known = self.first_seq
        added = tuple(record for record in page.records if record.seq > known)
        longer = replace(self, records=added + self.records, newer=more and bool(added))
        return longer._cut(looked_at + len(added))

    def with_older(self, page: AuditPage, *, looked_at: int) -> Stretch:
        """With the page that follows the last of these."""
        known = self.last_seq
        added = tuple(record for record in page.records if record.seq < known)
        longer = replace(self, records=self.records + added, older=bool(page.next_cursor and added))
        return longer._cut(looked_at)

    def _cut(self, looked_at: int) -> Stretch:
        """Let go of what is too much, at the end that is farther from what is looked at."""
        too_many = len(self.records) - MOST_RECORDS
        if too_many <= 0:
            return self
        if looked_at < len(self.records) / 2:
            return replace(self, records=self.records[:MOST_RECORDS], older=True)
        return replace(self, records=self.records[too_many:], newer=True)


def row(record: AuditRecord, width: int) -> Line:
    cells = (
        Cell(str(record.seq), Tone.DIM),
        Cell(f"{record.at.astimezone():%m-%d %H:%M:%S}", Tone.DIM),
        record.actor,
        Cell(record.event, Tone.STRONG),
        short_key(record.subject),
        record.incident_id,
        Cell("" if record.detail is None else json.dumps(record.detail, ensure_ascii=False), Tone.DIM),
    )
    return grid.row(COLUMNS, cells, width, key=str(record.seq))


def tell(record: AuditRecord, width: int) -> tuple[Line, ...]:
    """The record whole; the line of its incident carries the incident's id as the key."""
    return (
        Line((Span(f"Record {record.seq}", Tone.STRONG),)),
        *_said("time", f"{moment(record.at)} here, {record.at.isoformat()}", width),
        *_said("actor", record.actor, width),
        *_said("event", record.event, width),
        *_said("subject", record.subject or "-", width),
        *_said("incident", record.incident_id or "-", width, key=record.incident_id),
        Line(),
        *_said("previous", record.previous, width),
        *_said("digest", record.digest, width),
        *_digest_lines(record, width),
        Line(),
        line("Detail", Tone.SECTION),
        *_detail_lines(record, width),
    )


def _digest_lines(record: AuditRecord, width: int) -> Iterator[Line]:
    computed = digest_of(record)
    if computed == record.digest:
        yield from _said("", "computed here from what stands above and below: the same", width, Tone.GOOD)
    else:
        yield from _said("", f"computed here it is {computed}: this is not what was written", width, Tone.BAD)


def _detail_lines(record: AuditRecord, width: int) -> Iterator[Line]:
    if record.detail is None:
        yield line("none", Tone.DIM)
        return
    for part in json.dumps(record.detail, indent=2, ensure_ascii=False).split("\n"):
        for piece in chop(part, width):
            yield line(piece)


def chain_line(state: AuditState | None) -> tuple[str, Tone]:
    """How the two ends of the chain stand to each other."""
    if state is None:
        return "chain: reading", Tone.DIM
    told = f"chain: {state.database.seq:,} records, head {short(state.database.digest)}"
    if state.problem:
        return f"{told}; it does NOT agree: {flat(state.problem)}", Tone.BAD
    return f"{told}, agrees with the file beside the database", Tone.GOOD


def progress_line(checked: int, head: AuditHead) -> str:
    return f"verifying: {checked:,} of {max(head.seq, checked):,} records; esc stops"


def verdict_line(report: AuditReport, compared: AuditHead | None, at: datetime) -> tuple[str, Tone]:
    """What verifying came to. `compared` is the end as remembered outside the database."""
    if not report.ok:
        return f"NOT as written: {flat(report.problem)} ({report.checked:,} read, {clock(at)})", Tone.BAD
    beside = "" if compared is not None else "; nothing beside the database says where it should end"
    return f"all {report.checked:,} records are as written, up to the head{beside} ({clock(at)})", Tone.GOOD


def short(digest: str) -> str:
    return f"{flat(digest[:DIGEST_SHOWN])}…"


def where(stretch: Stretch, cursor: int, state: AuditState | None, wanted: Wanted) -> str:
    """Where one stands, and what was asked for."""
    if not stretch.records:
        return f"{'reading' if stretch.older or stretch.newer else 'no records'}  ·  {flat(str(wanted))}"
    record = stretch.records[min(cursor, len(stretch.records) - 1)]
    total = f" of {state.database.seq:,}" if state is not None else ""
    about = f"  ·  {flat(record.incident_id)}" if record.incident_id else ""
    unseen = "  ·  newer ones above: g" if stretch.newer else ""
    return f"record {record.seq:,}{total}{about}  ·  {flat(str(wanted))}{unseen}"
