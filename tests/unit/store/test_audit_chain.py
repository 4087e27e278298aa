"""The chain finds every edit, deletion, swap and truncation."""

from __future__ import annotations

from typing import Any

import pytest

from responder.domain.audit import GENESIS, AuditHead
from responder.store import audit
from responder.store.connection import Connection

pytestmark = pytest.mark.inv(46)


@pytest.fixture
def chain(con: Connection, make: Any) -> Connection:
    for number in range(1, 9):
        detail = {"n": number, "ratio": 0.1, "text": "ü\u202e\x1b", "nested": {"b": [None, True], "a": make.web}}
        audit.append(
            con, at=make.at(number), actor="ada", event="approved", incident_id=f"inc-{number % 2}", detail=detail
        )
    return con


def test_chain_as_written_holds(chain: Connection) -> None:
    report = audit.verify(chain, audit.head(chain))
    assert (report.ok, report.checked, report.problem) == (True, 8, "")


def test_first_record_follows_the_genesis(chain: Connection) -> None:
    assert next(audit.records(chain)).previous == GENESIS


@pytest.mark.parametrize(
    ("damage", "first_bad"),
    [
        ("UPDATE audit SET actor = 'eve' WHERE seq = 3", 3),
        ("UPDATE audit SET recorded_at = recorded_at + INTERVAL 1 MICROSECOND WHERE seq = 5", 5),
        ("UPDATE audit SET detail = replace(detail, '0.1', '0.2') WHERE seq = 8", 8),
        ("UPDATE audit SET incident_id = '' WHERE seq = 1", 1),
        ("UPDATE audit SET digest = previous WHERE seq = 4", 4),
        ("DELETE FROM audit WHERE seq = 1", 1),
        ("DELETE FROM audit WHERE seq = 4", 4),
        ("DELETE FROM audit WHERE seq >= 7", 7),
        ("DELETE FROM audit", 1),
        ("UPDATE audit SET seq = CASE seq WHEN 2 THEN 3 ELSE 2 END WHERE seq IN (2, 3)", 2),
        ("INSERT INTO audit SELECT * FROM audit WHERE seq = 6", 7),
        ("UPDATE audit SET seq = seq - 1 WHERE seq > 1; DELETE FROM audit WHERE previous = repeat('0', 64)", 1),
    ],
)
def test_damage_is_found_where_it_is(chain: Connection, damage: str, first_bad: int) -> None:
    remembered = audit.head(chain)
    chain.execute(damage)
    report = audit.verify(chain, remembered)
    assert (report.ok, report.first_bad) == (False, first_bad)
    assert report.problem


def test_cut_off_tail_needs_the_head_outside(chain: Connection) -> None:
    remembered = audit.head(chain)
    chain.execute("DELETE FROM audit WHERE seq > 6")
    assert audit.verify(chain).ok
    report = audit.verify(chain, remembered)
    assert "the tail is missing" in report.problem


def test_tail_that_was_written_anew_does_not_fit_the_head(chain: Connection, make: Any) -> None:
    remembered = audit.head(chain)
    chain.execute("DELETE FROM audit WHERE seq = 8")
    audit.append(chain, at=make.t0, actor="eve", event="nothing_happened")
    report = audit.verify(chain, remembered)
    assert (report.ok, report.first_bad) == (False, 8)


def test_records_after_the_remembered_head_are_no_fault(chain: Connection, make: Any) -> None:
    remembered = audit.head(chain)
    audit.append(chain, at=make.t0, actor="ada", event="approved")
    assert audit.verify(chain, remembered).ok


def test_empty_chain_holds(con: Connection) -> None:
    assert audit.verify(con, AuditHead()).ok


def test_long_chain_is_walked_in_chunks(con: Connection, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "_CHUNK", 3)
    for _ in range(10):
        audit.append(con, at=make.t0, actor="a", event="e")
    assert [record.seq for record in audit.records(con)] == list(range(1, 11))


def test_page_is_newest_first_and_resumes(chain: Connection) -> None:
    first = audit.page(chain, incident_id="inc-1", limit=3)
    second = audit.page(chain, incident_id="inc-1", limit=3, before=first[-1].seq)
    assert [record.seq for record in (*first, *second)] == [7, 5, 3, 1]
    assert [record.seq for record in audit.after(chain, 6)] == [7, 8]
