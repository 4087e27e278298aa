"""Waiting for the next commit: nobody sleeps through one, on whatever loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from responder.domain.errors import NotFound
from responder.store import audit, plans
from responder.store.commits import Commits
from responder.store.store import Connection, Store

T0 = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open(":memory:") as opened:
        yield opened


async def test_a_commit_that_came_before_the_wait_ends_it_at_once() -> None:
    commits = Commits()
    before = commits.count
    commits.tell()
    assert await commits.wait(before, 3600) == 1


async def test_every_waiter_is_woken() -> None:
    commits = Commits()
    waiting = [asyncio.create_task(commits.wait(0, 3600)) for _ in range(100)]
    await asyncio.sleep(0)
    threading.Thread(target=commits.tell).start()
    assert await asyncio.gather(*waiting) == [1] * 100


async def test_a_wait_without_news_ends_in_time_and_leaves_nothing_behind() -> None:
    commits = Commits()
    assert await commits.wait(0, 0.01) == 0
    assert not commits._waiting


async def test_a_cancelled_wait_leaves_nothing_behind() -> None:
    commits = Commits()
    waiting = asyncio.create_task(commits.wait(0, 3600))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not commits._waiting


def test_a_loop_that_is_closed_does_not_stop_the_writer() -> None:
    commits = Commits()
    loop = asyncio.new_event_loop()
    commits._waiting.add(loop.create_future())
    loop.close()
    commits.tell()
    assert commits.count == 1


async def test_no_commit_is_slept_through() -> None:
    """A reader that takes the count first and waits for more afterwards counts every one."""
    commits, total = Commits(), 5000

    def commit_all() -> None:
        for _ in range(total):
            commits.tell()

    writer = threading.Thread(target=commit_all)
    seen = 0
    writer.start()
    async with asyncio.timeout(30):
        while seen < total:
            seen = await commits.wait(seen, 3600)
    writer.join()


async def test_the_store_counts_what_it_commits_and_not_what_it_refuses(store: Store) -> None:
    def note(con: Connection) -> None:
        audit.append(con, at=T0, actor="clopus", event="noted")

    before = store.commits
    await store.write(note)
    assert store.commits == before + 1
    with pytest.raises(NotFound):
        await store.write(lambda con: plans.get(con, "pln-9"))
    assert store.commits == before + 1


async def test_what_a_waiter_is_woken_for_can_be_read(store: Store) -> None:
    async def follow() -> int:
        seen, found = store.commits, 0
        while found < 20:
            seen = await store.wait_commit(seen, 30)
            found = (await store.read(audit.head)).seq
        return found

    following = asyncio.create_task(follow())
    for _ in range(20):
        await store.write(lambda con: audit.append(con, at=T0, actor="clopus", event="noted"))
    async with asyncio.timeout(30):
        assert await following == 20
