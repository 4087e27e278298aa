"""The audit chain as lines, and the stretch of it that is held."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from console import ledger
from console.ledger import Stretch, Wanted
from console.lines.formatting import Tone
from responder.domain.audit import GENESIS, AuditHead, AuditRecord, AuditReport
from responder.domain.views import AuditPage, AuditState

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)


def record(seq: int = 1, **fields: Any) -> AuditRecord:
    base = {"at": T0, "actor": "ann", "event": "noted", "previous": GENESIS, "digest": "d" * 64}
    return AuditRecord(**base | {"seq": seq} | fields)


def page(newest: int, oldest: int, cursor: str = "") -> AuditPage:
    return AuditPage(records=tuple(record(seq) for seq in range(newest, oldest - 1, -1)), next_cursor=cursor)


def seqs(stretch: Stretch) -> tuple[int, int, int]:
    return stretch.first_seq, stretch.last_seq, len(stretch.records)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", Wanted()),
        ("actor:ann", Wanted(actor="ann")),
        (" event:approved  actor:policy ", Wanted(actor="policy", event="approved")),
        ("incident:inc-1", Wanted(incident="inc-1")),
        ("inc-1", Wanted(incident="inc-1")),
        ("actor:a:b", Wanted(actor="a:b")),
    ],
)
def test_a_filter_names_actor_event_and_incident(text: str, wanted: Wanted) -> None:
    assert ledger.parse(text) == wanted


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("ann", "'ann' asks for nothing here: write actor:, event: or incident:"),
        ("actor", "'actor' asks for nothing here"),
        ("who:ann", "'who:ann' asks for nothing here"),
        ("actor:", "actor: of what?"),
        ("actor:a actor:b", "actor: is given twice"),
    ],
)
def test_a_filter_that_means_nothing_is_refused_in_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        ledger.parse(text)


def test_pages_are_added_at_both_ends() -> None:
    stretch = Stretch.newest(page(100, 51, cursor="51"))
    stretch = stretch.with_older(page(50, 1), looked_at=40)
    stretch = stretch.with_newer(page(103, 101), more=False, looked_at=0)
    assert seqs(stretch) == (103, 1, 103)
    assert (stretch.newer, stretch.older) == (False, False)


def test_records_that_are_held_already_are_not_added_twice() -> None:
    stretch = Stretch.newest(page(100, 51, cursor="51"))
    assert stretch.with_newer(page(102, 99), more=False, looked_at=0).records[:3] == page(102, 100).records
    assert seqs(stretch.with_older(page(60, 41), looked_at=0)) == (100, 41, 60)


def test_a_server_that_promises_more_and_gives_nothing_new_is_not_asked_for_ever() -> None:
    stretch = Stretch.newest(page(100, 51, cursor="51"))
    assert not stretch.with_older(page(60, 51, cursor="51"), looked_at=0).older
    assert not stretch.with_newer(page(100, 51), more=True, looked_at=0).newer


def test_what_is_too_much_is_let_go_at_the_far_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "MOST_RECORDS", 100)
    stretch = Stretch.newest(page(200, 101, cursor="101"))
    below = stretch.with_older(page(100, 51, cursor="51"), looked_at=90)
    assert (seqs(below), below.newer, below.older) == ((150, 51, 100), True, True)
    above = below.with_newer(page(200, 151), more=False, looked_at=5)
    assert (seqs(above), above.newer, above.older) == ((200, 101, 100), False, True)


@pytest.mark.parametrize(
    ("state", "told", "tone"),
    [
        (None, "chain: reading", Tone.DIM),
        (
            AuditState(database=AuditHead(seq=12345, digest="9f3a" * 16), outside=AuditHead()),
            "chain: 12,345 records, head 9f3a…, agrees with the file beside the database",
            Tone.GOOD,
        ),
        (
            AuditState(database=AuditHead(), outside=AuditHead(seq=3), problem="the database ends\x1b"),
            "chain: 0 records, head 0000…; it does NOT agree: the database ends\\x1b",
            Tone.BAD,
        ),
    ],
)
def test_the_two_ends_of_the_chain_are_told_in_a_line(state: AuditState | None, told: str, tone: Tone) -> None:
    assert ledger.chain_line(state) == (told, tone)


@pytest.mark.parametrize(
    ("report", "compared", "told"),
    [
        (AuditReport(ok=True, checked=1200), AuditHead(), "all 1,200 records are as written, up to the head ("),
        (AuditReport(ok=True, checked=3), None, "; nothing beside the database says where it should end ("),
        (
            AuditReport(ok=False, checked=7, first_bad=7, problem="record 7 is not what was written"),
            None,
            "NOT as written: record 7 is not what was written (7 read, ",
        ),
    ],
)
def test_what_verifying_came_to_is_told_in_a_line(report: AuditReport, compared: AuditHead | None, told: str) -> None:
    text, tone = ledger.verdict_line(report, compared, T0)
    assert told in text
    assert tone is (Tone.GOOD if report.ok else Tone.BAD)


def test_a_record_is_shown_whole_and_safely() -> None:
    hostile = record(4, detail={"why": "\x1b[2J\u202e", "list": [1, None]}, incident_id="inc-1", subject="a\tb")
    lines = ledger.tell(hostile, 60)
    text = "\n".join(line.text for line in lines)
    for part in ("Record 4", "\\u202e", "a\\tb", '"list": [', "null", "d" * 40, "this is not what was written"):
        assert part in text
    assert not {"\x1b", "\u202e", "\t"} & set(text)
    assert [line.key for line in lines if line.key] == ["inc-1"]


def test_a_record_with_its_own_digest_says_that_it_was_computed_here() -> None:
    good = record()
    good = replace(good, digest=ledger.digest_of(good))
    assert any("the same" in line.text for line in ledger.tell(good, 80))


@pytest.mark.parametrize("width", [78, 120, 198])
def test_a_row_fills_the_screen_and_is_no_wider(width: int) -> None:
    line = ledger.row(record(12, subject="Deployment/shop/web" * 9, detail={"a": "b" * 300}), width)
    assert width - 1 <= len(line.text) <= width
    assert line.key == "12"
