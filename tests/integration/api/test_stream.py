"""The stream of what is committed, as a client on a real socket sees it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from responder.api import stream
from responder.domain.incident import Incident
from responder.domain.investigation import Conclusion, Investigation, Step, StepKind
from responder.store import audit, incidents, investigations
from responder.store.store import Connection, Store

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
VIEWER = {"Authorization": "Bearer viewer-token-0123456789"}


@dataclass(frozen=True)
class Event:
    name: str
    id: str
    data: Any


class Client:
    """Reads events off one answer."""

    def __init__(self, response: Any) -> None:
        self.response = response
        self.comments: list[str] = []

    async def block(self) -> dict[str, str]:
        """The fields of the next block; empty at the end of the stream."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(10):
            while line := (await self.response.content.readline()).decode().rstrip("\n"):
                name, _, value = line.partition(": ")
                if not name:
                    self.comments.append(value)
                fields[name or "comment"] = value
        return fields

    async def event(self) -> Event:
        while "data" not in (fields := await self.block()):
            assert fields, "the stream ended"
        return Event(name=fields["event"], id=fields["id"], data=json.loads(fields["data"]))

    async def events(self, count: int) -> list[Event]:
        return [await self.event() for _ in range(count)]


@asynccontextmanager
async def streaming(api: Any, query: str = "", last: str = "") -> AsyncIterator[Client]:
    """A client that has received the opening block."""
    headers = {**VIEWER, **({"Last-Event-ID": last} if last else {})}
    async with api.session.get(f"http://127.0.0.1:{api.port}/api/v1/stream{query}", headers=headers) as response:
        assert response.status == 200
        client = Client(response)
        await client.block()
        yield client


def run(number: int = 1, incident_id: str = "inc-1") -> Investigation:
    return Investigation(
        id=f"inv-{number}",
        incident_id=incident_id,
        number=1,
        analyzer="claude",
        started_at=NOW,
        ended_at=None,
        conclusion=Conclusion.UNFINISHED,
        summary="goes on",
    )


def step(number: int, text: str = "looked") -> Step:
    return Step(number=number, kind=StepKind.TEXT, at=NOW + timedelta(seconds=number), text=text)


async def note(store: Store, subject: str, incident_id: str = "inc-1") -> None:
    def write(con: Connection) -> None:
        audit.append(con, at=NOW, actor="clopus", event="noted", incident_id=incident_id, subject=subject)

    await store.write(write)


async def begin(store: Store, number: int = 1) -> None:
    def write(con: Connection) -> None:
        incident = Incident(id=f"inc-{number}", key=f"alert/shop/{number}", root=None, opened_at=NOW, updated_at=NOW)
        incidents.insert(con, incident)
        investigations.begin(con, run(number, f"inc-{number}"))

    await store.write(write)


async def add(store: Store, *steps: Step, investigation_id: str = "inv-1") -> None:
    await store.write(lambda con: investigations.add(con, investigation_id, steps, ()))


async def test_what_is_committed_comes_as_it_happens(api: Any, store: Store) -> None:
    await begin(store)
    async with streaming(api) as client:
        await add(store, step(1))
        came = await client.event()
        assert came.name == "step"
        assert came.data["incident_id"] == "inc-1"
        assert came.data["investigation_id"] == "inv-1"
        assert came.data["analyzer"] == "claude"
        assert came.data["step"]["text"] == "looked"
        await note(store, "pln-1")
        came = await client.event()
        assert (came.name, came.data["event"], came.data["subject"]) == ("audit", "noted", "pln-1")


async def test_the_answer_is_an_event_stream_that_nobody_keeps(api: Any) -> None:
    async with streaming(api) as client:
        assert client.response.content_type == "text/event-stream"
        assert client.response.headers["Cache-Control"] == "no-store"
        assert client.response.headers["X-Content-Type-Options"] == "nosniff"


async def test_without_an_id_the_stream_starts_now(api: Any, store: Store) -> None:
    await note(store, "before")
    async with streaming(api) as client:
        await note(store, "after")
        assert (await client.event()).data["subject"] == "after"


async def test_every_event_is_seen_once_however_often_the_client_comes_back(api: Any, store: Store) -> None:
    await begin(store)
    start = f"{(await store.read(audit.head)).seq}.0"
    for number in range(1, 21):
        await add(store, step(number))
        await note(store, f"n{number}")
    seen, last = [], start
    while len(seen) < 40:
        async with streaming(api, last=last) as client:
            for came in await client.events(min(7, 40 - len(seen))):
                seen.append(came.data["step"]["number"] if came.name == "step" else came.data["subject"])
                last = came.id
    assert [number for number in seen if isinstance(number, int)] == list(range(1, 21))
    assert [subject for subject in seen if isinstance(subject, str)] == [f"n{number}" for number in range(1, 21)]


async def test_nothing_is_lost_or_repeated_while_clients_come_and_go_during_writes(api: Any, store: Store) -> None:
    await begin(store)
    start = f"{(await store.read(audit.head)).seq}.0"

    async def write() -> None:
        for number in range(1, 101):
            await add(store, step(number))

    async def follow(at_once: int) -> list[int]:
        numbers, last = list[int](), start
        while len(numbers) < 100:
            async with streaming(api, last=last) as client:
                for came in await client.events(min(at_once, 100 - len(numbers))):
                    numbers.append(came.data["step"]["number"])
                    last = came.id
        return numbers

    writing = asyncio.create_task(write())
    found = await asyncio.gather(*(follow(at_once) for at_once in (100, 17, 9)))
    await writing
    assert found == [list(range(1, 101))] * 3


async def test_the_opening_block_tells_where_to_resume_before_any_event(api: Any, store: Store) -> None:
    url = f"http://127.0.0.1:{api.port}/api/v1/stream"
    async with api.session.get(url, headers=VIEWER) as response:
        opening = await Client(response).block()
    await note(store, "while away")
    async with streaming(api, f"?after={opening['id']}") as client:
        assert (await client.event()).data["subject"] == "while away"


async def test_more_than_one_batch_comes_whole_and_in_order(
    api: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "BATCH", 10)
    await begin(store)
    await add(store, *(step(number) for number in range(1, 36)))
    async with streaming(api, "?after=0.0") as client:
        numbers = []
        while len(numbers) < 35:
            came = await client.event()
            numbers += [came.data["step"]["number"]] if came.name == "step" else []
    assert numbers == list(range(1, 36))


async def test_a_batch_holds_so_many_bytes_and_the_rest_follows(
    api: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "BATCH_BYTES", 4096)
    await begin(store)
    await add(store, *(step(number, "x" * 3000) for number in range(1, 8)))
    place = stream.Place(audit=(await store.read(audit.head)).seq, step=0)
    batch = await store.read(lambda con: stream._read(con, place=place, incident_id=""))
    assert (len(batch.frames), batch.more, batch.place.step) == (2, True, 2)
    async with streaming(api, f"?after={place}") as client:
        assert [came.data["step"]["number"] for came in await client.events(7)] == list(range(1, 8))


async def test_one_incident_can_be_followed(api: Any, store: Store) -> None:
    await begin(store, 1)
    await begin(store, 2)
    async with streaming(api, "?incident=inc-2") as client:
        await add(store, step(1, "of one"), investigation_id="inv-1")
        await note(store, "of one", "inc-1")
        await add(store, step(1, "of two"), investigation_id="inv-2")
        await note(store, "of two", "inc-2")
        came = await client.events(2)
    assert {event.data["incident_id"] for event in came} == {"inc-2"}


@pytest.mark.parametrize(
    "wanted",
    ["x", "1", "1.", ".1", "-1.0", "1.0.0", "999999999999.0", "0.999999999999", "1" * 30 + ".0", "\u0661.0", "1e3.0"],
)
async def test_an_id_that_no_event_has_is_refused(api: Any, wanted: str) -> None:
    answer = await api("GET", "/api/v1/stream", by="vera", params={"after": wanted})
    assert (answer.status, answer.headers["Content-Type"]) == (400, "application/problem+json")


async def test_a_forged_header_is_refused(api: Any) -> None:
    answer = await api("GET", "/api/v1/stream", by="vera", headers={"Last-Event-ID": "99999.99999"})
    assert answer.status == 400


@pytest.mark.parametrize(
    ("by", "query", "status"),
    [("", "", 401), ("alertmanager", "", 403), ("vera", "?incident=inc-9", 404), ("vera", "?since=1", 422)],
)
async def test_who_may_not_look_and_what_is_not_there(api: Any, by: str, query: str, status: int) -> None:
    assert (await api("GET", f"/api/v1/stream{query}", by=by)).status == status


async def test_one_stream_too_many_is_asked_to_come_again(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_STREAMS", 1)
    async with streaming(api):
        answer = await api("GET", "/api/v1/stream", by="vera")
        assert (answer.status, "Retry-After" in answer.headers) == (503, True)


async def test_a_client_that_is_gone_makes_room(api: Any) -> None:
    async with streaming(api):
        assert opened(api) == 1
    await until(lambda: opened(api) == 0)


def opened(api: Any) -> int:
    return len(api.listener._runner.app[stream.STREAMS]._open)


async def test_silence_is_broken_by_a_comment_that_says_where_the_stream_is(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.2)
    async with streaming(api) as client:
        fields = await client.block()
        assert client.comments == ["nothing new"]
        assert "data" not in fields
        assert fields["id"]


async def test_a_withdrawn_token_ends_the_stream(
    api: Any, token_files: dict[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.2)
    async with streaming(api) as client:
        token_files["viewer"].write_text("vera:another-token-0123456789\n")
        async with asyncio.timeout(10):
            while not client.response.content.at_eof():
                await client.response.content.readany()


async def test_a_client_that_does_not_read_delays_nobody(
    api: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "STALL_SECONDS", 0.5)
    await begin(store)
    await add(store, *(step(number, "x" * 100_000) for number in range(1, 201)))
    head = (await store.read(audit.head)).seq
    async with stalled(api, f"{head}.0") as reader, streaming(api) as client:
        await note(store, "news")
        assert (await client.event()).data["subject"] == "news"
        await until(lambda: opened(api) == 1)
        assert await rest_of(reader) < 15_000_000


@asynccontextmanager
async def stalled(api: Any, after: str) -> AsyncIterator[asyncio.StreamReader]:
    """A client that asks for twenty megabytes and reads one line of them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port, limit=1024)
    auth = f"Authorization: {VIEWER['Authorization']}\r\n"
    writer.write(f"GET /api/v1/stream?after={after} HTTP/1.1\r\nHost: 127.0.0.1\r\n{auth}\r\n".encode())
    await writer.drain()
    assert b" 200 " in await reader.readline()
    try:
        yield reader
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def rest_of(reader: asyncio.StreamReader) -> int:
    got = 0
    with suppress(ConnectionError):
        async with asyncio.timeout(10):
            while chunk := await reader.read(2**20):
                got += len(chunk)
    return got


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


async def test_streams_end_at_once_when_the_server_stops(serve: Callable[..., Any], store: Store) -> None:
    api = await serve()
    await begin(store)
    await add(store, *(step(number, "x" * 100_000) for number in range(1, 201)))
    head = (await store.read(audit.head)).seq
    async with stalled(api, f"{head}.0"), streaming(api) as client:
        loop = asyncio.get_running_loop()
        started = loop.time()
        await api.listener.close()
        assert loop.time() - started < 2.0
        assert await client.block() == {}


async def test_the_description_names_the_events(api: Any) -> None:
    document = (await api("GET", "/openapi.json")).json
    content = document["paths"]["/api/v1/stream"]["get"]["responses"]["2XX"]["content"]["text/event-stream"]
    assert set(content["x-events"]) == {"audit", "step"}
    assert {"AuditRecord", "StepEvent", "Step"} <= set(document["components"]["schemas"])
