"""Live updates: on a real responder that is stopped and started, and on a server that misbehaves by script."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from console.app import ConsoleApp
from console.remote.client import Client
from console.remote.link import Phase
from console.remote.stream import Anew, Audit, EventReader, Step, Timing
from console.screens.incident import IncidentScreen
from console.widgets.bars import TopBar
from responder import wire
from responder.api import stream
from responder.domain.audit import GENESIS, AuditRecord
from responder.domain.incident import State
from responder.domain.views import AuditPage, IncidentPage

NEVER = 3600.0
DEADLINE = 20.0
QUICK = Timing(first_wait=0.1, longest_wait=0.4, refused_wait=60.0)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"

Script = Callable[[asyncio.StreamWriter], Awaitable[None]]


async def until(holds, otherwise):
    deadline = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < deadline, otherwise() if callable(otherwise) else otherwise
        await asyncio.sleep(0.02)


def readers():
    return [thread for thread in threading.enumerate() if thread.name == "event-stream"]


def record(seq, *, history="a", incident_id="i-1"):
    def digest(number):
        return f"{history}{number:063}" if number else GENESIS

    at = datetime(2026, 1, 1, tzinfo=UTC)
    return AuditRecord(
        seq=seq,
        at=at,
        actor="clopus",
        event="seen",
        incident_id=incident_id,
        previous=digest(seq - 1),
        digest=digest(seq),
    )


def frame(seq, **more):
    return b"event: audit\nid: %d.0\ndata: %b\n\n" % (seq, wire.dumps(record(seq, **more)))


def refusal(status, *headers):
    lines = (f"HTTP/1.1 {status} No", "Content-Length: 0", "Connection: close", *headers, "", "")
    return "\r\n".join(lines).encode()


def sends(*pieces: bytes, holds: bool = False) -> Script:
    async def script(writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if holds:
            await asyncio.sleep(NEVER)

    return script


@dataclass(kw_only=True)
class Scripted:
    """Streams go as the scripts say, one for each connection; every other call is answered with no incidents."""

    scripts: list[Script] = field(default_factory=list)
    resumed: list[str] = field(default_factory=list)
    """`Last-Event-ID` of each connection; '' where it had none."""
    calls: int = 0
    answers: bool = True
    """False: calls are taken and not answered."""
    port: int = 0

    @property
    def client(self) -> Client:
        return Client(f"http://127.0.0.1:{self.port}", token="t", timeout_seconds=1.0)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            if "/stream" in head.partition("\r\n")[0]:
                named = [line for line in head.split("\r\n") if line.lower().startswith("last-event-id:")]
                self.resumed.append(named[0].partition(":")[2].strip() if named else "")
                await (self.scripts.pop(0) if self.scripts else sends(HEAD, holds=True))(writer)
            elif self.answers:
                self.calls += 1
                body = wire.dumps(IncidentPage(incidents=(), next_cursor=""))
                await sends(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body)(writer)
            else:
                await asyncio.sleep(NEVER)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client is gone
        finally:
            writer.close()


@pytest.fixture
async def scripted() -> AsyncIterator[Scripted]:
    server = Scripted()
    open_to = dict[asyncio.Task[None], asyncio.StreamWriter]()

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_to[asyncio.ensure_future(server.answer(reader, writer))] = writer

    listener = await asyncio.start_server(take, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    yield server
    listener.close()
    for task in open_to:
        task.cancel()
    await asyncio.gather(*open_to, return_exceptions=True)
    for writer in open_to.values():
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()
    await listener.wait_closed()


@dataclass(kw_only=True)
class Heard:
    """All that a reader has handed on."""

    reader: EventReader
    taken: list[object] = field(default_factory=list)

    @property
    def events(self) -> list[object]:
        self.taken += self.reader.take()
        return self.taken

    @property
    def seqs(self) -> list[int]:
        return [event.record.seq for event in self.events if isinstance(event, Audit)]

    @property
    def anew(self) -> list[Anew]:
        return [event for event in self.events if isinstance(event, Anew)]


@contextmanager
def listening(client, timing=QUICK):
    reader = EventReader(client, told=lambda: None, timing=timing)
    reader.start()
    try:
        yield Heard(reader=reader)
    finally:
        reader.stop()
        assert not readers(), "the thread ends with the reader"


@asynccontextmanager
async def console_on(server, **settings):
    app = ConsoleApp(server.client, **{"poll_seconds": 0.2, "timing": QUICK, **settings})
    async with app.run_test(size=(120, 24)):
        yield app


def bar(app):
    return app.screen.query_one(TopBar).said


async def test_what_happens_is_listed_within_a_second_although_nobody_polls(stage):
    async with stage.console(poll_seconds=NEVER) as console:
        await console.until(lambda: "live" in console.bar, "live")
        await console.sees("no incidents")
        await stage.post({"alertname": "Strange"})
        began = time.monotonic()
        await console.sees("Strange")
        assert time.monotonic() - began < 1.0


async def test_an_open_incident_follows_what_others_decide_although_nobody_polls(stage):
    await stage.image_alert()
    incident = await stage.incident(lambda incident: incident.state is State.AWAITING_APPROVAL)
    async with stage.console(poll_seconds=NEVER) as console:
        await console.until(lambda: "live" in console.bar, "live")
        await console.sees("storefront")
        await console.press("enter")
        await console.sees("a approves")
        await stage.reject((await stage.detail(incident.id)).plans[-1].plan, "not today")
        await console.sees("ESCALATED: rejected")


async def test_after_a_restart_on_the_same_port_no_event_is_lost_or_doubled(stage):
    with listening(stage.client) as heard:
        await until(lambda: heard.anew, "no stream")
        await stage.post({"alertname": "Before"})
        await stage.incident(lambda incident: True, key="alert/shop/Before")
        await until(lambda: heard.seqs, "no event")
        await stage.stop()
        await until(lambda: heard.reader.feed.phase is Phase.WAITING, "the drop went unseen")
        await stage.start()
        await stage.image_alert()
        await stage.incident(lambda incident: incident.state is State.AWAITING_APPROVAL)
        last = (await asyncio.to_thread(stage.client.get, AuditPage, "/api/v1/audit", limit=1)).records[0].seq
        await until(lambda: last in heard.seqs, lambda: f"{last} is missing in {heard.seqs}")
        assert heard.seqs == list(range(heard.seqs[0], heard.seqs[-1] + 1))
        assert len(heard.anew) == 1, "resumed, not begun anew"
        steps = [(step.event.investigation_id, step.event.step) for step in heard.events if isinstance(step, Step)]
        assert steps, "the image was investigated"
        assert all(steps.count(step) == 1 for step in steps)


async def test_after_a_restart_the_list_goes_on_live_by_itself(stage):
    async with stage.console(timing=QUICK) as console:
        await console.until(lambda: "live" in console.bar, "live")
        await stage.stop()
        await console.until(lambda: "reconnecting (attempt" in console.bar, "reconnecting")
        await stage.start()
        await console.until(lambda: "live" in console.bar, "live again")
        console.app.poll_seconds = NEVER
        await stage.post({"alertname": "After"})
        await console.sees("After")


async def test_a_server_restored_to_an_earlier_state_is_read_anew(stage):
    with listening(stage.client) as heard:
        await stage.post({"alertname": "Before"})
        await stage.incident(lambda incident: True, key="alert/shop/Before")
        await until(lambda: heard.seqs, "no event")
        await stage.stop()
        for path in stage.folder.glob("clopus.duckdb*"):
            path.unlink()
        await stage.start()
        await until(lambda: len(heard.anew) == 2, lambda: f"{heard.events} {heard.reader.feed}")


async def test_a_withdrawn_token_is_told_is_not_tried_in_a_loop_and_may_come_back(stage, monkeypatch):
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.2)
    operators = stage.folder / "operators"
    valid = operators.read_text()
    async with stage.console(timing=QUICK) as console:
        await console.until(lambda: "live" in console.bar, "live")
        operators.write_text("ann:another-token-altogether\n")
        await console.until(lambda: "refused: " in console.bar, "refused")
        await console.until(lambda: console.app.connection.reader.feed.phase is Phase.REFUSED, "the stream too")
        attempt = console.app.connection.reader.feed.attempt
        await asyncio.sleep(0.5)  # longer than the longest wait after other failures
        assert console.app.connection.reader.feed.attempt == attempt
        operators.write_text(valid)
        await console.until(lambda: "live" in console.bar, "live again")


async def test_an_event_cut_off_in_the_middle_comes_whole_after_the_drop_and_once(scripted):
    scripted.scripts = [
        sends(HEAD, b"id: 0.0\n\n", frame(1), frame(2)[:40]),
        sends(HEAD, frame(2), frame(3), holds=True),
    ]
    with listening(scripted.client) as heard:
        await until(lambda: heard.seqs == [1, 2, 3], lambda: str(heard.events))
        assert scripted.resumed == ["", "1.0"]
        assert len(heard.anew) == 1


async def test_a_record_that_is_sent_again_is_not_told_again(scripted):
    scripted.scripts = [sends(HEAD, frame(1), frame(2)), sends(HEAD, frame(2), frame(3), holds=True)]
    with listening(scripted.client) as heard:
        await until(lambda: 3 in heard.seqs, "no third")
        assert heard.seqs == [1, 2, 3]


@pytest.mark.parametrize("following", [frame(4), frame(3, history="b")], ids=["a gap", "another history"])
async def test_records_that_do_not_follow_each_other_mean_reading_anew(scripted, following):
    scripted.scripts = [sends(HEAD, frame(1), frame(2)), sends(HEAD, following, holds=True)]
    with listening(scripted.client) as heard:
        await until(lambda: len(heard.seqs) == 3, "no third")
        assert "does not follow 2" in heard.anew[-1].why


async def test_an_unknown_id_is_dropped_at_once(scripted):
    scripted.scripts = [sends(HEAD, frame(9)), sends(refusal(400)), sends(HEAD, b"id: 2.0\n\n", holds=True)]
    with listening(scripted.client) as heard:
        await until(lambda: len(heard.anew) == 2, lambda: str(heard.events))
        assert scripted.resumed == ["", "9.0", ""]


@pytest.mark.parametrize("data", [b"{", b'{"seq": "x"}', b"[]"])
async def test_an_event_that_cannot_be_read_means_reading_anew_and_going_on(scripted, data):
    scripted.scripts = [sends(HEAD, b"event: audit\nid: 1.0\ndata: " + data + b"\n\n", frame(2), holds=True)]
    with listening(scripted.client) as heard:
        await until(lambda: heard.seqs == [2], lambda: str(heard.events))
        assert "cannot be read" in heard.anew[-1].why


async def test_events_newer_than_this_console_are_left_out(scripted):
    scripted.scripts = [sends(HEAD, b"event: mood\nid: 5.5\ndata: {}\n\n"), sends(HEAD, frame(6), holds=True)]
    with listening(scripted.client) as heard:
        await until(lambda: heard.seqs == [6], lambda: str(heard.events))
        assert len(heard.anew) == 1
        assert scripted.resumed == ["", "5.5"]


async def test_a_busy_server_is_left_alone_for_as_long_as_it_asks(scripted):
    scripted.scripts = [sends(refusal(503, "Retry-After: 30"))]
    with listening(scripted.client) as heard:
        await until(lambda: heard.reader.feed.next_at, "no failure")
        assert heard.reader.feed.phase is Phase.WAITING
        assert (heard.reader.feed.next_at - datetime.now(UTC)).total_seconds() > 25


async def test_something_that_is_no_stream_is_told_as_such(scripted):
    scripted.scripts = [sends(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi")]
    with listening(scripted.client) as heard:
        await until(lambda: "text/html" in heard.reader.feed.problem, "no failure")
        assert not heard.events


async def test_streams_that_break_at_once_are_waited_for_longer_each_time(scripted):
    scripted.scripts = [sends(HEAD, b"id: 0.0\n\n")] * 3
    with listening(scripted.client) as heard:
        await until(lambda: len(scripted.resumed) == 4, "no fourth connection")
        assert heard.reader.feed.attempt == 3


async def test_an_older_server_is_polled_and_the_bar_says_so(scripted):
    scripted.scripts = [sends(refusal(404))]
    async with console_on(scripted) as app:
        await until(lambda: "polling" in bar(app), lambda: bar(app))
        calls = scripted.calls
        await until(lambda: scripted.calls > calls + 2, "polled no more")
        assert len(scripted.resumed) == 1


async def test_while_the_stream_is_up_the_server_is_not_polled(scripted):
    async with console_on(scripted) as app:
        await until(lambda: "live" in bar(app), lambda: bar(app))
        await asyncio.sleep(0.5)  # a read that the opening asked for may still be due
        calls = scripted.calls
        await asyncio.sleep(0.8)  # four intervals of polling
        assert scripted.calls == calls


async def test_a_storm_of_events_costs_four_reads_a_second(scripted):
    async def storm(writer):
        writer.write(HEAD)
        for seq in range(1, 101):
            writer.write(frame(seq))
            await writer.drain()
            await asyncio.sleep(0.015)
        await asyncio.sleep(NEVER)

    scripted.scripts = [storm]
    async with console_on(scripted) as app:
        await until(lambda: "live" in bar(app), lambda: bar(app))
        began, calls = time.monotonic(), scripted.calls
        await asyncio.sleep(1.5)
        assert 3 <= scripted.calls - calls <= 4 * (time.monotonic() - began) + 1


async def test_a_half_open_connection_is_stale_and_then_opened_anew(scripted, monkeypatch):
    monkeypatch.setattr("console.remote.link.STALE_AFTER_SECONDS", 0.5)
    scripted.scripts = [sends(HEAD, b"id: 4.0\n\n", holds=True), sends(HEAD, b"id: 4.0\n\n", holds=True)]
    timing = Timing(silence=0.6, read_timeout=2.0, first_wait=0.1)
    async with console_on(scripted, timing=timing, poll_seconds=NEVER) as app:
        await until(lambda: "live" in bar(app), lambda: bar(app))
        scripted.answers = False
        await until(lambda: "stale since" in bar(app), lambda: bar(app))
        assert "live" not in bar(app)
        assert len(scripted.resumed) == 1, "told before the connection was given up"
        await until(lambda: len(scripted.resumed) == 2, "not opened anew")
        assert scripted.resumed == ["", "4.0"]


@pytest.mark.parametrize("script", [sends(HEAD, holds=True), sends(holds=True), sends(refusal(401)), sends()])
async def test_quitting_ends_the_thread_wherever_the_stream_stands(scripted, script):
    scripted.scripts = [script]
    async with console_on(scripted):
        await until(lambda: scripted.resumed, "not asked")
        began = time.monotonic()
    assert not readers()
    assert time.monotonic() - began < 1.5


def test_an_incident_screen_is_read_for_its_own_events_only():
    screen = IncidentScreen("i-1")
    assert screen.concerns(Audit(record=record(1, incident_id="i-1")))
    assert not screen.concerns(Audit(record=record(1, incident_id="i-2")))
    assert not screen.concerns(Audit(record=record(1, incident_id="")))
    assert screen.concerns(Anew(why="restored"))
