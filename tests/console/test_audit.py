"""The audit chain: paging, filtering, one record, and verifying it here, against a real responder."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime

import duckdb
import pytest

from console import ledger
from console.chainwalk import ChainWalk
from console.screens.audit import AuditScreen, AuditTable
from console.screens.incident import IncidentScreen
from console.screens.record import RecordScreen
from responder.store import audit
from responder.store.store import Store

HOSTILE = "\x1b]52;c;AAAA\x07\u202e[red]"


@pytest.fixture
def append(stage):
    """Add records at the end of the chain of a stopped stage, and start it again."""

    async def records(*given: dict) -> None:
        def job(con) -> None:
            for fields in given:
                audit.append(con, **{"at": datetime.now(UTC), "actor": "ann", "event": "noted", **fields})

        await stage.stop()
        store = await asyncio.to_thread(Store.open, stage.folder / "clopus.duckdb")
        try:
            await store.write(job)
        finally:
            await asyncio.to_thread(store.close)
        await stage.start()

    return records


def many(count: int, **fields) -> list[dict]:
    return [{"subject": f"thing-{number}", **fields} for number in range(1, count + 1)]


async def opened(console) -> None:
    console.app.go("audit")
    await console.until(lambda: console.app.screen.query(AuditTable), "no audit screen")
    await console.until(lambda: console.lines("#audit"), "no records")


def table(console) -> AuditTable:
    return console.app.screen.query_one(AuditTable)


def current(console) -> str:
    view = table(console)
    return view.line_at(view.cursor).text


async def test_records_stand_newest_first_with_the_state_of_the_chain(stage, append):
    await append(*many(3), {"subject": HOSTILE, "actor": "m\u202ea"})
    async with stage.console((80, 24)) as console:
        await opened(console)
        await console.sees("agrees with the file beside the database")
        subjects = [line for line in console.lines("#audit") if "noted" in line]
        assert "\\x1b]52" in subjects[0]
        assert "m\\u202ea" in subjects[0]
        assert ["thing-3" in subjects[1], "thing-1" in subjects[3]] == [True, True]
        assert "\x1b" not in console.text


async def test_new_records_come_in_at_the_top_without_moving_what_one_reads(stage, append):
    await append(*many(60))
    async with stage.console((80, 24)) as console:
        await opened(console)
        await console.press(*["down"] * 30)
        before, row = current(console), table(console).cursor - table(console).scroll_offset.y
        count = table(console).count()
        await stage.post({"alertname": "Strange"})
        await console.until(lambda: table(console).count() > count, "nothing new came")
        assert current(console) == before
        assert table(console).cursor - table(console).scroll_offset.y == row


async def test_at_the_top_the_newest_record_is_the_one_under_the_cursor(stage, append):
    await append(*many(60))
    async with stage.console((80, 24)) as console:
        await opened(console)
        before = current(console)
        await stage.post({"alertname": "Strange"})
        await console.until(lambda: current(console) != before, "nothing new came")
        assert table(console).cursor == 0


async def test_a_long_chain_is_read_as_one_scrolls_and_let_go_behind(stage, append, monkeypatch):
    monkeypatch.setattr(ledger, "MOST_RECORDS", 250)
    await append(*many(700))
    async with stage.console((80, 24)) as console:
        await opened(console)
        newest = int(current(console).split()[0])
        for wanted in (100, 300, 500):
            while int(current(console).split()[0]) > newest - wanted:
                await console.press("pagedown")
            assert table(console).count() <= 250
        assert table(console).stretch.newer
        await console.press("g")
        await console.until(lambda: int(current(console).split()[0]) == newest, "not at the newest")


async def test_the_oldest_record_is_one_key_away_and_the_way_back_is_read_upwards(stage, append):
    await append(*many(700))
    async with stage.console((80, 24)) as console:
        await opened(console)
        await console.press("G")
        await console.until(lambda: current(console).split()[0] == "1", "not at the oldest")
        while int(current(console).split()[0]) < 250:
            await console.press("pageup")
        held = [record.seq for record in table(console).stretch.records]
        assert held == list(range(held[0], 0, -1))


async def test_records_are_filtered_by_actor_event_and_incident(stage, append):
    await append(*many(150), *many(2, actor="bob", event="approved", incident_id="inc-000000000001"))
    async with stage.console((80, 24)) as console:
        await opened(console)
        await console.press("slash")
        await console.type("actor:bob event:approved")
        await console.press("enter")
        await console.until(lambda: table(console).count() == 2, "not filtered")
        await console.sees("actor:bob event:approved")
        await console.press("escape")
        await console.until(lambda: table(console).count() == 100, "not cleared")
        assert isinstance(console.app.screen, AuditScreen)


async def test_a_filter_that_means_nothing_says_so(stage):
    async with stage.console((80, 24)) as console:
        await opened(console)
        await console.press("slash")
        await console.type("who:ann")
        await console.press("enter")
        await console.sees("'who:ann' asks for nothing here")


async def test_enter_shows_a_record_whole_and_opens_its_incident(stage):
    await stage.post({"alertname": "Strange"})
    incident = await stage.incident(lambda incident: incident.outcome == "reported", key="alert/shop/Strange")
    async with stage.console((80, 40)) as console:
        await opened(console)
        await console.press("slash")
        await console.type(incident.id)
        await console.press("enter")
        await console.until(
            lambda: {record.incident_id for record in table(console).stretch.records} == {incident.id}, "not filtered"
        )
        shown = table(console).stretch.records[0]
        await console.press("enter")
        await console.until(lambda: isinstance(console.app.screen, RecordScreen), "no record")
        text = "\n".join(console.lines("#record-whole"))
        assert shown.digest in text
        assert shown.previous in text
        assert "computed here from what stands above and below: the same" in text
        await console.press("down", "down", "down", "down", "down", "enter")
        await console.until(lambda: isinstance(console.app.screen, IncidentScreen), "not opened")
        await console.press("escape")
        await console.until(lambda: isinstance(console.app.screen, RecordScreen), "not back")


async def test_the_whole_chain_is_verified_here(stage, append):
    await append(*many(1200, detail={"números": [1, 2.5, None]}))
    async with stage.console((80, 24)) as console:
        await opened(console)
        await console.press("V")
        await console.sees("records are as written, up to the head")
        assert console.said("#proof").startswith("all 1,2")


@pytest.mark.inv(46)
@pytest.mark.parametrize(
    ("falsify", "found"),
    [
        ("UPDATE audit SET actor = 'nobody' WHERE seq = 700", "record 700 is not what was written"),
        ('UPDATE audit SET detail = \'{"plan": "other"}\' WHERE seq = 3', "record 3 is not what was written"),
        ("DELETE FROM audit WHERE seq = 500", "record 500 is missing: 501 follows 499"),
        ("INSERT INTO audit SELECT * FROM audit WHERE seq = 500", "record 501 is missing: 500 follows 500"),
    ],
)
async def test_a_record_that_was_falsified_is_found_and_named(stage, append, falsify, found):
    await append(*many(900))
    await stage.stop()
    with duckdb.connect(str(stage.folder / "clopus.duckdb")) as con:
        con.execute(falsify)
    await stage.start()
    async with stage.console((80, 24)) as console:
        await opened(console)
        await console.press("V")
        await console.until(lambda: "NOT as written" in console.said("#proof"), "not found")
        assert found in console.said("#proof")


async def test_a_head_file_that_knows_of_more_records_is_told_and_verified_against(stage, append):
    await append(*many(5))
    async with stage.console((80, 24)) as console:
        await opened(console)
        head = stage.folder / "clopus.duckdb.head"
        head.write_text('[99, "' + "a" * 64 + '"]'.ljust(60))
        await console.press("r")
        await console.sees("does NOT agree: the database ends at")
        await console.press("V")
        await console.sees("NOT as written: the chain ends at")


async def test_verifying_is_stopped_by_esc_and_the_screen_stays(stage, append, monkeypatch):
    await append(*many(600))
    reached, go_on = threading.Event(), threading.Event()
    run = ChainWalk._records

    def slow(self):
        for record in run(self):
            yield record
            if record.seq == 5:
                reached.set()
                go_on.wait(30)

    monkeypatch.setattr(ChainWalk, "_records", slow)
    async with stage.console((80, 24)) as console:
        await opened(console)
        await console.press("V")
        await console.until(reached.is_set, "not begun")
        await console.sees("esc stops")
        await console.press("escape")
        go_on.set()
        await console.sees("stopped after")
        assert isinstance(console.app.screen, AuditScreen)
        await console.press("escape")
        await console.until(lambda: not isinstance(console.app.screen, AuditScreen), "esc does not go back")


async def test_a_server_that_goes_away_ends_verifying_with_a_sentence(stage, append):
    await append(*many(5))
    async with stage.console((80, 24)) as console:
        await opened(console)
        await stage.stop()
        await console.press("V")
        await console.sees("not verified")
