"""Operators' SQL through the API: answered from a copy, by a process that is ended when it takes too much."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from responder.domain.errors import StoreUnavailable
from responder.query.copies import Copies
from responder.query.runner import Queries, QueryLimits
from responder.store.store import Store
from responder.telemetry import Metrics

SECONDS = 2.0
LIMITS = QueryLimits(seconds=SECONDS, rows=100, bytes=64 * 1024, memory_mib=64, waiting=2)
VIEWS = (
    "v_approval_latency",
    "v_changes",
    "v_cost",
    "v_fix_success",
    "v_incidents",
    "v_mttr",
    "v_reasoning",
    "v_rule_activity",
    "v_storms",
    "v_verdicts",
)
ALERT = {
    "version": "4",
    "status": "firing",
    "receiver": "clopus",
    "alerts": [
        {"status": "firing", "labels": {"alertname": "A"}, "annotations": {}, "startsAt": "2026-11-23T11:59:00Z"}
    ],
}

Ask = Callable[..., Any]


@pytest.fixture
async def queries(store: Store, metrics: Metrics) -> AsyncIterator[Callable[..., Queries]]:
    """Keyword arguments are those of `Copies`, and `limits`."""
    made: list[Queries] = []

    def build(*, limits: QueryLimits = LIMITS, copy_to: Any = None, **more: Any) -> Queries:
        copies = Copies(more.pop("database", store.path), copy_to or store.snapshot, now=_now, **more)
        made.append(Queries(copies, limits, metrics))
        return made[-1]

    yield build
    for each in made:
        each.close()


def _now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
async def ask(serve: Callable[..., Any], queries: Callable[..., Queries]) -> Ask:
    """POST a statement; `ask.api` is the whole API."""
    return await _asker(serve, queries())


async def _asker(serve: Callable[..., Any], over: Queries) -> Ask:
    api = await serve(queries=over)

    async def asked(sql: object, by: str = "vera") -> Any:
        return await api("POST", "/api/v1/query", by=by, data=json.dumps({"sql": sql}))

    asked.api = api
    return asked


async def until(holds: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 20
    while True:
        if found := holds():
            return found
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def files_beside(store: Store) -> list[str]:
    assert store.path is not None
    folder = store.path.with_name(store.path.name + ".query")
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def digest(store: Store) -> str:
    assert store.path is not None
    return hashlib.sha256(store.path.read_bytes()).hexdigest()


def outcomes(metrics: Metrics) -> dict[str, float]:
    return {
        sample.labels["outcome"]: sample.value
        for sample in next(iter(metrics.queries.collect())).samples
        if sample.name == "clopus_queries_total"
    }


@pytest.mark.parametrize("view", VIEWS)
async def test_every_shipped_view_can_be_selected_from(ask: Ask, view: str) -> None:
    answer = await ask(f"SELECT * FROM {view}")
    assert answer.status == 200, answer.json
    assert answer.json["columns"]


async def test_rows_columns_and_the_time_of_the_copy_are_told(ask: Ask) -> None:
    await ask.api.post_alerts(ALERT)
    answer = (await ask("SELECT alertname, seq, starts_at, NULL AS nothing FROM alerts")).json
    assert [column["name"] for column in answer["columns"]] == ["alertname", "seq", "starts_at", "nothing"]
    assert answer["columns"][1]["type"] == "BIGINT"
    assert answer["rows"] == [["A", 1, "2026-11-23T11:59:00.000000Z", None]]
    assert answer["truncated"] == ""
    assert answer["as_of"].endswith("Z")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("TIMESTAMPTZ '2026-11-23 12:00:00+02'", "2026-11-23T10:00:00.000000Z"),
        ("DATE '2026-11-23'", "2026-11-23"),
        ("TIMESTAMP '0987-01-02 03:04:05'", "0987-01-02T03:04:05.000000Z"),
        ("INTERVAL '1 year 2 days'", "1 year 2 days"),
        ("INTERVAL '2000000000 days'", "2000000000 days"),
        ("[INTERVAL '1 month']", "[1 month]"),
        ("1.5::DECIMAL(5,2)", 1.5),
        ("'nan'::DOUBLE", "nan"),
        ("2::HUGEINT ** 2", 4.0),
        ("170141183460469231731687303715884105727::HUGEINT", "170141183460469231731687303715884105727"),
        ("[1, NULL]", [1, None]),
        ("{'a': DATE '2026-01-02'}", {"a": "2026-01-02"}),
        ("'\\xAB'::BLOB", "ab"),
        ("'é😀'", "é😀"),
        ("true", True),
    ],
)
async def test_values_are_what_json_knows_or_text(ask: Ask, expression: str, value: object) -> None:
    answer = await ask(f"SELECT {expression} AS x")
    assert answer.json["rows"] == [[value]], answer.json


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("SELECT nope FROM incidents", 'Referenced column "nope" not found'),
        ("SELECT 1 +", "line 1"),
        ("DELETE FROM incidents", "only SELECT"),
        ("SELECT 1; DELETE FROM incidents", "only SELECT"),
        ("WITH c AS (COPY (SELECT 1) TO '{own}' (FORMAT csv, USE_TMP_FILE false)) SELECT 1", "COPY is not allowed"),
        ("SELECT * FROM read_blob('{own}')", "read_blob() is not allowed"),
        ("SELECT * FROM '{own}'", "neither a view nor a table"),
        ("SELECT * FROM duckdb_settings()", "is not allowed"),
        ("SELECT CAST('x' AS INT)", "Could not convert"),
        ("SELECT pg_sleep(60)", "pg_sleep() is not allowed"),
        ("SELECT " + "(" * 7000 + "1" + ")" * 7000, "nested too deeply"),
    ],
    ids=lambda text: text[:30],
)
async def test_a_refusal_is_a_sentence_and_the_record_stays_as_it_is(
    ask: Ask, store: Store, sql: str, sentence: str
) -> None:
    await ask("SELECT 1")  # the copy's checkpoint is over
    before = digest(store)
    answer = await ask(sql.replace("{own}", str(store.path)))
    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert sentence in answer.json["detail"]
    assert digest(store) == before


BOMBS = [
    "SELECT len(range(1000000000))",
    "SELECT repeat('x', 2000000000)",
    "SELECT len(string_agg(repeat('x', 100000))) FROM range(10000000)",
    "SELECT list(range) FROM range(1000000000)",
    "SELECT count(DISTINCT range) FROM range(1000000000)",
    "SELECT array_to_string(range(1000000000), ',')",
    "SELECT count(*) FROM range(100000) a, range(1000000) b WHERE a.range * b.range % 7 = 1",
    "WITH RECURSIVE n AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n",
    "WITH RECURSIVE n AS (SELECT 1 AS x UNION ALL SELECT x FROM n, range(2)) SELECT count(*) FROM n",
    "SELECT list_reduce(range(10000000), lambda a, b: a + b)",
    "SELECT regexp_replace(repeat('ab', 5000000), '(a|b|ab)*c', 'x', 'g') FROM range(1000000) ORDER BY 1",
    "SELECT lpad('', 2000000000, 'x')",
]


@pytest.mark.parametrize("bomb", BOMBS)
async def test_a_bomb_is_ended_while_alerts_are_still_taken(
    ask: Ask, store: Store, metrics: Metrics, bomb: str
) -> None:
    await ask("SELECT 1")
    started = time.monotonic()
    running = asyncio.create_task(ask(bomb))
    taken = 0
    while not running.done():
        alert = json.loads(json.dumps(ALERT))
        alert["alerts"][0]["labels"]["n"] = str(taken)
        assert (await ask.api.post_alerts(alert)).status == 200
        taken += 1
        await asyncio.wait([running], timeout=0.1)
    answer = running.result()
    assert answer.status == 422, answer.json
    assert "query." in answer.json["detail"] or "smaller" in answer.json["detail"]
    assert time.monotonic() - started < SECONDS + 10
    assert taken > 0
    assert outcomes(metrics)["too_large"] == 1
    assert (await ask("SELECT count(*) FROM alerts")).status == 200


async def test_rows_beyond_the_limit_are_cut_off_and_told(ask: Ask) -> None:
    answer = (await ask("SELECT * FROM range(10000000)")).json
    assert len(answer["rows"]) == LIMITS.rows
    assert "query.rows" in answer["truncated"]


async def test_bytes_beyond_the_limit_are_cut_off_and_told(ask: Ask) -> None:
    answer = (await ask("SELECT repeat('x', 10000) FROM range(50)")).json
    assert 0 < len(answer["rows"]) < 50
    assert "query.bytes" in answer["truncated"]


async def test_lists_are_counted_as_what_they_take_and_not_as_two_brackets(ask: Ask) -> None:
    answer = (await ask("SELECT [[] FOR x IN range(100)] FROM range(100)")).json
    assert 0 < len(answer["rows"]) < 100
    assert "query.bytes" in answer["truncated"]


async def test_a_value_that_has_no_form_is_the_statements_fault(ask: Ask) -> None:
    answer = await ask("SELECT (INTERVAL '2000000000 days')::VARIANT AS x")
    assert answer.status == 400
    assert "cast it" in answer.json["detail"]


@pytest.mark.parametrize("column", ["hidden", "digest"])
@pytest.mark.parametrize("table", ["object_versions", "main.object_versions", '"Object_Versions"'])
async def test_what_is_made_of_values_before_they_were_redacted_is_withheld(ask: Ask, column: str, table: str) -> None:
    assert (await ask(f"SELECT {column} FROM {table}")).status == 400
    answer = await ask(f"SELECT * FROM {table}")
    assert answer.status == 200
    assert {"body", "differences"} <= {found["name"] for found in answer.json["columns"]} - {column}
    assert column not in {found["name"] for found in answer.json["columns"]}
    catalogue = (await ask.api("GET", "/api/v1/query/catalogue", by="vera")).json["tables"]
    (listed,) = [found for found in catalogue if found["name"] == "object_versions"]
    assert column not in {found["name"] for found in listed["columns"]}


async def test_as_many_rows_as_the_limit_are_all_rows(ask: Ask) -> None:
    answer = (await ask(f"SELECT * FROM range({LIMITS.rows})")).json
    assert (len(answer["rows"]), answer["truncated"]) == (LIMITS.rows, "")


async def test_rows_that_came_before_the_time_was_over_are_shown(
    serve: Callable[..., Any], queries: Callable[..., Queries]
) -> None:
    ask = await _asker(serve, queries(limits=QueryLimits(seconds=SECONDS, rows=100_000)))
    slow = "SELECT list_sum(list_transform(range(2000), lambda x: sqrt(x + b.range))) FROM range(2000000) b"
    answer = await ask(slow)
    assert answer.status == 200, answer.json
    assert 0 < len(answer.json["rows"]) < 100_000
    assert "query.seconds" in answer.json["truncated"]


async def test_no_file_is_left_when_the_responder_stops(
    serve: Callable[..., Any], queries: Callable[..., Queries], store: Store
) -> None:
    over = queries()
    ask = await _asker(serve, over)
    await ask("SELECT 1")
    assert len(files_beside(store)) == 1
    over.close()
    assert store.path is not None
    assert [path.name for path in store.path.parent.iterdir() if "query" in path.name] == []


async def test_a_copy_is_shared_until_it_is_too_old(
    serve: Callable[..., Any], queries: Callable[..., Queries], store: Store
) -> None:
    ask = await _asker(serve, queries(keep_seconds=3600))
    first = (await ask("SELECT count(*) FROM alerts")).json
    await ask.api.post_alerts(ALERT)
    second = (await ask("SELECT count(*) FROM alerts")).json
    assert first["as_of"] == second["as_of"]
    assert second["rows"] == [[0]]


async def test_a_copy_that_is_too_old_is_deleted_and_made_anew(
    serve: Callable[..., Any], queries: Callable[..., Queries], store: Store
) -> None:
    ask = await _asker(serve, queries(keep_seconds=0))
    await ask("SELECT 1")
    await until(lambda: not files_beside(store))
    await ask.api.post_alerts(ALERT)
    assert (await ask("SELECT count(*) FROM alerts")).json["rows"] == [[1]]
    await until(lambda: not files_beside(store))


async def test_a_copy_that_took_long_is_kept_so_long_that_commits_rarely_wait_for_one(
    serve: Callable[..., Any], queries: Callable[..., Queries], store: Store
) -> None:
    made: list[Path] = []

    async def slow(target: Path) -> None:
        await asyncio.sleep(0.5)
        await store.snapshot(target)
        made.append(target)

    ask = await _asker(serve, queries(copy_to=slow, keep_seconds=0))
    for _ in range(3):
        assert (await ask("SELECT 1")).status == 200
    assert len(made) == 1


async def test_a_copy_whose_asker_hangs_up_is_finished_used_by_the_next_and_deleted(
    queries: Callable[..., Queries], store: Store
) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()
    made: list[Path] = []

    async def held(target: Path) -> None:
        made.append(target)
        begun.set()
        # As the writer's thread: who gives up waiting does not end it.
        await asyncio.shield(asyncio.ensure_future(written(target)))

    async def written(target: Path) -> None:
        await may_end.wait()
        await store.snapshot(target)

    over = queries(copy_to=held, keep_seconds=0)
    gone = asyncio.create_task(over.answer("SELECT 1"))
    await begun.wait()
    gone.cancel()
    await asyncio.wait([gone])
    asked = asyncio.create_task(over.answer("SELECT 1"))
    await asyncio.sleep(0)
    may_end.set()
    assert (await asked).rows == ((1,),)
    assert len(made) == 1
    await until(lambda: not files_beside(store))


async def test_what_a_crash_left_is_removed_at_the_start(store: Store, queries: Callable[..., Queries]) -> None:
    assert store.path is not None
    left = store.path.with_name(store.path.name + ".query")
    left.mkdir()
    (left / "1.duckdb").write_bytes(b"left over")
    queries()
    assert not left.exists()


async def test_copies_are_readable_by_nobody_else(ask: Ask, store: Store) -> None:
    await ask("SELECT 1")
    assert store.path is not None
    assert store.path.with_name(store.path.name + ".query").stat().st_mode & 0o777 == 0o700


async def test_a_copy_that_would_fill_the_volume_is_not_made(
    serve: Callable[..., Any], queries: Callable[..., Queries], store: Store
) -> None:
    ask = await _asker(serve, queries(reserve_bytes=2**62))
    answer = await ask("SELECT 1")
    assert answer.status == 503
    assert "no room for a copy" in answer.json["detail"]
    assert files_beside(store) == []
    assert (await ask.api.post_alerts(ALERT)).status == 200


async def test_a_copy_that_fails_half_way_leaves_nothing_and_the_store_goes_on(
    serve: Callable[..., Any], queries: Callable[..., Queries], store: Store
) -> None:
    async def half(target: Path) -> None:
        await asyncio.to_thread(target.write_bytes, b"half")
        raise StoreUnavailable("the database cannot be copied: No space left on device")

    ask = await _asker(serve, queries(copy_to=half))
    answer = await ask("SELECT 1")
    assert answer.status == 503
    assert "No space left" in answer.json["detail"]
    assert files_beside(store) == []
    assert (await ask.api.post_alerts(ALERT)).status == 200


async def test_a_record_in_memory_says_why_it_is_not_asked(serve: Callable[..., Any], metrics: Metrics) -> None:
    with Store.open(":memory:") as in_memory:
        over = Queries(Copies(in_memory.path, in_memory.snapshot, now=_now), LIMITS, metrics)
        ask = await _asker(serve, over)
        answer = await ask("SELECT 1")
    assert answer.status == 503
    assert "in memory only" in answer.json["detail"]


async def test_more_than_may_wait_are_asked_to_come_again(ask: Ask) -> None:
    slow = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range + b.range = 1"
    answers = await asyncio.gather(*(ask(slow) for _ in range(LIMITS.waiting + 2)))
    statuses = sorted(answer.status for answer in answers)
    assert statuses == [*[422] * (LIMITS.waiting + 1), 503]
    busy = next(answer for answer in answers if answer.status == 503)
    assert busy.headers["Retry-After"] == str(int(SECONDS))


async def test_a_statement_whose_sender_hangs_up_is_given_up(
    serve: Callable[..., Any], queries: Callable[..., Queries], metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    over = queries(limits=QueryLimits(seconds=60.0))
    ask = await _asker(serve, over)
    running = asyncio.create_task(
        ask("SELECT count(*) FROM range(1000000) a, range(10000000) b WHERE a.range * b.range = 1")
    )
    process = await until(lambda: over._process)
    running.cancel()
    await asyncio.wait([running])
    await asyncio.wait_for(process.wait(), 20)
    assert (await ask("SELECT 1")).status == 200
    assert outcomes(metrics) == {"given_up": 1, "answered": 1}
    assert not caplog.records


async def test_stopping_ends_what_runs(serve: Callable[..., Any], queries: Callable[..., Queries]) -> None:
    over = queries(limits=QueryLimits(seconds=60.0))
    ask = await _asker(serve, over)
    running = asyncio.create_task(
        ask("SELECT count(*) FROM range(1000000) a, range(10000000) b WHERE a.range * b.range = 1")
    )
    await until(lambda: over._process)
    over.close()
    answer = await asyncio.wait_for(running, 20)
    assert answer.status == 503


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"sql": 1}, "sql"),
        ({}, "sql"),
        ({"sql": "SELECT 1", "rows": "9"}, "rows"),
        ({"sql": "SELECT '\x00'"}, "sql"),
        ({"sql": "SELECT " + "1," * 9000 + "1"}, "sql"),
    ],
)
async def test_a_body_that_is_none_is_refused(ask: Ask, body: dict[str, object], field: str) -> None:
    answer = await ask.api("POST", "/api/v1/query", by="vera", data=json.dumps(body))
    assert answer.status == 422
    assert field in answer.json["errors"]


@pytest.mark.parametrize(("by", "status"), [("", 401), ("alertmanager", 403), ("vera", 200), ("olga", 200)])
async def test_whoever_may_read_may_ask(ask: Ask, by: str, status: int) -> None:
    assert (await ask("SELECT 1", by=by)).status == status


async def test_statements_are_not_answered_where_the_settings_say_so(api: Any) -> None:
    answer = await api("POST", "/api/v1/query", data=json.dumps({"sql": "SELECT 1"}))
    assert answer.status == 403
    assert "query.enabled" in answer.json["detail"]


async def test_the_catalogue_names_views_first_with_their_columns(ask: Ask) -> None:
    found = (await ask.api("GET", "/api/v1/query/catalogue", by="vera")).json["tables"]
    kinds = [table["kind"] for table in found]
    assert kinds == sorted(kinds, reverse=True)
    by_name = {table["name"]: table for table in found}
    assert by_name["v_cost"]["about"].startswith("Cost per day")
    assert by_name["alerts"]["columns"][0] == {"name": "seq", "type": "BIGINT"}


async def test_outcomes_are_counted(ask: Ask, metrics: Metrics) -> None:
    await ask("SELECT 1")
    await ask("DELETE FROM incidents")
    await ask("SELECT * FROM range(1000)")
    assert outcomes(metrics) == {"answered": 1, "refused": 1, "truncated": 1}
