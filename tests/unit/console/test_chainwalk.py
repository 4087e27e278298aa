"""Walking the chain page by page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from console import chainwalk
from console.chainwalk import ChainWalk, Stopped
from responder.domain.audit import AuditHead, AuditRecord, record_digest
from responder.domain.views import AuditPage

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chainwalk, "PAGE", 5)


def chain(count: int) -> list[AuditRecord]:
    records, previous = list[AuditRecord](), AuditHead().digest
    for seq in range(1, count + 1):
        fields = {"actor": "ann", "event": "noted", "incident_id": "", "subject": "", "detail": {"n": seq}}
        digest = record_digest(seq=seq, at=T0, previous=previous, **fields)
        records.append(AuditRecord(seq=seq, at=T0, previous=previous, digest=digest, **fields))
        previous = digest
    return records


class Server:
    """Pages as the API gives them, and how many records were ever asked for at a time."""

    def __init__(self, records: Sequence[AuditRecord]) -> None:
        self.records = records
        self.pages = 0

    def __call__(self, after: int, limit: int) -> AuditPage:
        self.pages += 1
        following = [record for record in self.records if record.seq > after][:limit]
        return AuditPage(records=tuple(following[::-1]))


@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 9, 10, 23])
def test_every_record_is_read_once_whatever_the_page(count: int) -> None:
    records = chain(count)
    head = AuditHead(seq=count, digest=records[-1].digest) if records else AuditHead()
    walk = ChainWalk(Server(records), head)
    report = walk.run()
    assert (report.ok, report.checked, walk.checked) == (True, count, count)


@pytest.mark.parametrize("bad", [1, 4, 5, 6, 12, 23])
def test_a_record_that_is_missing_is_found_wherever_a_page_ends(bad: int) -> None:
    records = chain(23)
    report = ChainWalk(Server(records[: bad - 1] + records[bad:]), AuditHead(seq=23, digest=records[-1].digest)).run()
    assert (report.ok, report.first_bad) == (False, bad)


@pytest.mark.parametrize("twice", [1, 4, 5, 6, 9, 12, 23])
def test_a_record_that_stands_there_twice_is_found_wherever_a_page_ends(twice: int) -> None:
    records = chain(23)
    report = ChainWalk(Server(records[:twice] + records[twice - 1 :]), None).run()
    assert (report.ok, report.first_bad) == (False, twice + 1)


def test_a_tail_that_was_cut_off_is_found_by_the_head() -> None:
    records = chain(23)
    report = ChainWalk(Server(records[:20]), AuditHead(seq=23, digest=records[-1].digest)).run()
    assert (report.ok, report.first_bad) == (False, 21)


def test_it_ends_before_the_next_page_once_it_is_stopped() -> None:
    server = Server(chain(23))
    walk = ChainWalk(server, None)
    walk.stop()
    with pytest.raises(Stopped):
        walk.run()
    assert server.pages == 0
