"""The queue's promises: stingy, never twice at once, back-off that grows and is forgotten."""

import asyncio

import pytest

from responder.workqueue import WorkQueue


async def test_an_id_that_is_added_twice_before_it_is_taken_is_taken_once() -> None:
    queue = WorkQueue()
    queue.add("a")
    queue.add("a")
    assert await queue.get() == "a"
    queue.done("a")
    assert queue.idle


async def test_an_id_that_is_added_while_it_is_processed_comes_again_only_after_done() -> None:
    queue = WorkQueue()
    queue.add("a")
    await queue.get()
    queue.add("a")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.get(), 0.01)
    queue.done("a")
    assert await asyncio.wait_for(queue.get(), 1) == "a"


async def test_ids_are_taken_in_the_order_in_which_they_came() -> None:
    queue = WorkQueue()
    for key in ("a", "b", "c", "a"):
        queue.add(key)
    assert [await queue.get() for _ in range(3)] == ["a", "b", "c"]


async def test_a_waiting_worker_is_woken_by_an_add() -> None:
    queue = WorkQueue()
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    assert await asyncio.wait_for(waiting, 1) == "a"


async def test_the_sooner_of_two_timers_wins() -> None:
    queue = WorkQueue()
    queue.add_after("a", 60)
    queue.add_after("a", 0.01)
    queue.add_after("a", 30)
    assert await asyncio.wait_for(queue.get(), 1) == "a"
    queue.done("a")
    assert queue.idle


async def test_an_add_overtakes_a_timer() -> None:
    queue = WorkQueue()
    queue.add_after("a", 60)
    queue.add("a")
    assert await asyncio.wait_for(queue.get(), 1) == "a"
    queue.done("a")
    assert queue.idle


async def test_the_back_off_doubles_up_to_its_cap_and_starts_again_after_a_success() -> None:
    queue = WorkQueue(backoff_base_seconds=1, backoff_cap_seconds=5)
    assert [queue.add_failed("a") for _ in range(4)] == [1, 2, 4, 5]
    assert queue.add_failed("a", at_least_seconds=30) == 30
    queue.forget("a")
    assert queue.add_failed("a") == 1
    queue.close()


async def test_closing_ends_every_timer() -> None:
    queue = WorkQueue()
    queue.add_after("a", 60)
    queue.close()
    assert queue.idle
