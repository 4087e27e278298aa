"""`GET /api/v1/audit/state`, and reading the chain forward."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from responder.domain.audit import GENESIS, AuditHead
from responder.domain.views import AuditPage, AuditState
from responder.store import audit
from responder.store.store import Store
from responder.wire import loads


@pytest.fixture
async def recorded(api: Any) -> Any:
    """Five records, of two people."""

    def job(con: Any) -> None:
        for number in range(5):
            actor = ("ann", "bob")[number % 2]
            audit.append(con, at=api.services.now(), actor=actor, event="approved", subject=f"pln-{number}")

    await api.services.store.write(job)
    return api


async def state_of(api: Any) -> AuditState:
    got = await api("GET", "/api/v1/audit/state", by="vera")
    assert got.status == 200, got.body
    return loads(AuditState, got.body)


def head_file(api: Any) -> Path:
    path = api.services.store.path
    return path.with_name(f"{path.name}.head")


async def test_an_empty_chain_agrees_with_the_file_beside_it(api: Any) -> None:
    assert await state_of(api) == AuditState(database=AuditHead(), outside=AuditHead())


async def test_both_ends_are_told_and_agree(recorded: Any) -> None:
    state = await state_of(recorded)
    assert (state.database.seq, state.problem) == (5, "")
    assert state.outside == state.database


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ([9, "a" * 64], "the database ends at record 5, but record 9 had been written"),
        ([5, "a" * 64], "record 5 is another than the file beside the database says"),
        ([2, "a" * 64], "record 2 is another than the file beside the database says"),
        ([0, "a" * 64], "record 0 is another than the file beside the database says"),
        (["x"], "the file beside the database cannot be read"),
    ],
)
async def test_ends_that_disagree_say_so(recorded: Any, written: object, problem: str) -> None:
    head_file(recorded).write_text(json.dumps(written).ljust(128))
    assert (await state_of(recorded)).problem == problem


@pytest.mark.parametrize("seq", [0, 3])
async def test_a_database_that_is_further_than_the_file_agrees_with_it(recorded: Any, seq: int) -> None:
    digest = await recorded.services.store.read(lambda con: audit.digest_at(con, seq))
    head_file(recorded).write_text(json.dumps([seq, digest or GENESIS]).ljust(128))
    state = await state_of(recorded)
    assert (state.database.seq, state.outside.seq, state.problem) == (5, seq, "")


async def test_a_record_in_memory_has_nothing_beside_it(serve: Any) -> None:
    with Store.open(":memory:") as store:
        state = await state_of(await serve(store=store))
    assert state.problem == "the record is in memory, with no file beside it"


@pytest.mark.parametrize(
    ("query", "seqs"),
    [
        ("after=0", [5, 4, 3, 2, 1]),
        ("after=0&limit=2", [2, 1]),
        ("after=3", [5, 4]),
        ("after=5", []),
        ("after=0&actor=bob", [4, 2]),
        ("after=1&actor=ann&event=approved&limit=1", [3]),
    ],
)
async def test_the_chain_is_read_forward_from_any_record(recorded: Any, query: str, seqs: list[int]) -> None:
    got = await recorded("GET", f"/api/v1/audit?{query}", by="vera")
    assert [record.seq for record in loads(AuditPage, got.body).records] == seqs


@pytest.mark.parametrize("query", ["after=x", "after=-1", "after=1&cursor=3", "after=" + "9" * 19])
async def test_a_direction_that_means_nothing_is_refused(recorded: Any, query: str) -> None:
    got = await recorded("GET", f"/api/v1/audit?{query}")
    assert (got.status, set(got.json["errors"])) == (422, {"after"})
