"""The chain of one run: numbered, cut to size, and committed even where the run is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from responder.analyzer.llm.steps import MAX_STEP_BYTES, Steps
from responder.analyzer.protocol import Assignment
from responder.domain.errors import AnalyzerUnavailable, StoreUnavailable
from responder.domain.incident import Incident
from responder.domain.investigation import Evidence, Step, StepKind
from responder.redact.placeholders import Placeholders

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
Record = Callable[[tuple[Step, ...], tuple[Evidence, ...]], Awaitable[None]]


class Torn(Placeholders):
    def redact(self, text: str) -> str:
        raise RecursionError(text)


def _steps(record: Record, secrets: Placeholders | None = None) -> Steps:
    incident = Incident(id="inc-1", key="k", root=None, opened_at=AT, updated_at=AT)
    assignment = Assignment(
        id="inv-1",
        number=1,
        incident=incident,
        snapshot=None,
        seconds=1.0,
        secrets=secrets or Placeholders(),
        record=record,
    )
    return Steps(assignment, now=lambda: AT)


async def test_a_commit_that_has_begun_outlives_its_run_and_the_order_stays() -> None:
    committed: list[int] = []
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def record(steps: tuple[Step, ...], _: tuple[Evidence, ...]) -> None:
        begun.set()
        await go_on.wait()
        committed.extend(step.number for step in steps)

    steps = _steps(record)
    first = asyncio.create_task(steps.add(StepKind.TEXT, "one"))
    await begun.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    second = asyncio.create_task(steps.add(StepKind.FAILURE, "cancelled"))
    go_on.set()
    await second

    assert committed == [1, 2]


async def test_a_link_whose_writer_is_cancelled_while_it_waits_its_turn_is_not_lost() -> None:
    committed: list[int] = []
    begun, go_on, all_done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def record(steps: tuple[Step, ...], _: tuple[Evidence, ...]) -> None:
        begun.set()
        await go_on.wait()
        committed.extend(step.number for step in steps)
        if len(committed) == 2:
            all_done.set()

    steps = _steps(record)
    writers = [asyncio.create_task(steps.add(StepKind.TEXT, text)) for text in ("one", "two")]
    await begun.wait()
    for writer in writers:
        writer.cancel()
    await asyncio.gather(*writers, return_exceptions=True)
    go_on.set()
    await asyncio.wait_for(all_done.wait(), 20)

    assert committed == [1, 2]


async def test_a_long_text_is_cut_and_says_so() -> None:
    steps = _steps(_kept)
    await steps.add(StepKind.TEXT, "é" * MAX_STEP_BYTES)
    (step,) = steps.steps
    assert len(step.text.encode()) < MAX_STEP_BYTES + 100
    assert step.text.endswith(f"[{MAX_STEP_BYTES} bytes more are not kept]")


@pytest.mark.inv(47)
async def test_what_cannot_be_redacted_is_not_kept() -> None:
    steps = _steps(_kept, Torn())
    with pytest.raises(AnalyzerUnavailable) as caught:
        await steps.add(StepKind.TEXT, "my secret")
    assert steps.steps == ()
    assert "my secret" not in str(caught.value)


async def test_a_store_that_cannot_commit_ends_the_run() -> None:
    async def record(_: tuple[Step, ...], __: tuple[Evidence, ...]) -> None:
        raise StoreUnavailable("disk full")

    with pytest.raises(StoreUnavailable):
        await _steps(record).add(StepKind.TEXT, "one")


async def _kept(_: tuple[Step, ...], __: tuple[Evidence, ...]) -> None: ...
