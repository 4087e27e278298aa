"""One reply of a model: what the next request may cost is set aside, then it is sent, repeated where that may help, and
settled. Blocks of the reply become steps as the stream brings them; what a broken reply told stays on record, marked.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import assert_never

from responder.analyzer.llm import budget
from responder.analyzer.llm.breaker import Breaker, BreakerState
from responder.analyzer.llm.budget import NOTHING, Charge, Limit, Room
from responder.analyzer.llm.conversation import bytes_of_block
from responder.analyzer.llm.meter import ANSWERED, GIVEN_UP
from responder.analyzer.llm.reply import CONCLUDE
from responder.analyzer.llm.retry import repeated
from responder.analyzer.llm.run import Run
from responder.analyzer.llm.steps import LAST_SECONDS, redacted
from responder.analyzer.llm.turn import Backend, Block, ProviderError, Refusal, Reply, Text, Thinking, ToolCall
from responder.analyzer.llm.wallet import Wallet
from responder.domain.errors import AnalyzerUnavailable, QueueFull, StoreUnavailable
from responder.domain.investigation import StepKind
from responder.store.spending import Reservation

MAX_BLOCKS = 100
"""Of one reply that become steps singly, calls apart; a sane reply has a handful."""

_MAX_WORD = 120
"""Characters of what a provider calls a model, a request or a stop reason."""

CHARGED = frozenset({Refusal.CUT, Refusal.TIMED_OUT, Refusal.MALFORMED})
"""Refusals after which a model may have read and written: they count at their worst case."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    reply: Reply
    last: bool
    """It was asked to conclude: no look is made any more."""
    labels: dict[str, str]
    """The provider's ids of calls -> the chain's: `c1`, `c2` ... Calls beyond the budget have none."""


class Exchange:
    """Asks one backend within one run."""

    def __init__(self, run: Run, backend: Backend, *, wallet: Wallet, breaker: Breaker) -> None:
        self._run = run
        self._backend = backend
        self._wallet = wallet
        self._breaker = breaker
        self._calls = 0
        self._broken = _Told()
        self._lost = NOTHING

    async def ask(self) -> Answer:
        """The next reply to the conversation, whole, paid and on record.

        Raises:
            AnalyzerUnavailable: a limit leaves no room for a request, or the provider gives no reply.
            StoreUnavailable: what it would cost cannot be put on record, so nothing is sent.
        """
        run = self._run
        try:
            return await repeated(
                self._attempt,
                limit_seconds=min(run.limits.retry_seconds, run.seconds_left),
                failed=self._failed,
                worthwhile=lambda: self._breaker.state(run.clock.monotonic()) is BreakerState.CLOSED,
                monotonic=run.clock.monotonic,
                sleep=run.clock.sleep,
            )
        except ProviderError as exc:
            raise AnalyzerUnavailable(f"{self._backend.name} did not answer: {exc}") from exc

    async def _attempt(self) -> Answer:
        run = self._run
        room = self._room()
        size = run.conversation.size
        worst = budget.worst(size, run.prices, output_tokens=room.output_tokens)
        reservation = await self._wallet.reserve(
            run.assignment, analyzer=self._backend.name, model=self._backend.model, most=worst
        )
        told = self._broken = _Told(allowed_calls=run.looks_left + 1)
        charge = self._lost = worst
        outcome = GIVEN_UP
        began = run.clock.monotonic()
        try:
            reply = await self._sent(room, told)
            charge = budget.charge(
                reply.usage,
                size,
                run.prices,
                output_tokens=room.output_tokens,
                reply_bytes=sum(map(bytes_of_block, reply.blocks)),
            )
            outcome = ANSWERED
        except ProviderError as exc:
            self._breaker.refused(exc.refusal, run.clock.monotonic())
            outcome = exc.refusal.value
            charge = self._lost = worst if exc.refusal in CHARGED else NOTHING
            raise
        except asyncio.CancelledError:
            said = "the request was given up; it counts at the most that it can have cost"
            await run.steps.last_word(said, turn=run.turn, usage=worst.usage, cost_usd=worst.usd)
            raise
        finally:
            took = run.clock.monotonic() - began - told.seconds
            run.provider_seconds += took
            run.meter.requested(outcome, seconds=took, charge=charge)
            run.spent = run.spent.charged(charge)
            await self._settled(reservation, charge)
        self._breaker.answered()
        await self._turned(reply, charge, told, took)
        return Answer(reply=reply, last=room.last, labels=told.labels)

    async def _settled(self, reservation: Reservation, charge: Charge) -> None:
        """What cannot be settled goes on counting at its worst case; that is no reason to hide why a request ended."""
        with suppress(StoreUnavailable, QueueFull, TimeoutError):
            async with asyncio.timeout(LAST_SECONDS):
                await asyncio.shield(self._wallet.settle(reservation, charge))

    async def _sent(self, room: Room, told: _Told) -> Reply:
        async def on_block(block: Block) -> None:
            began = self._run.clock.monotonic()
            await self._told(block, told)
            told.seconds += self._run.clock.monotonic() - began

        request = self._run.conversation.request(
            output_tokens=room.output_tokens, must_call=CONCLUDE.name if room.last else ""
        )
        seconds = min(self._run.seconds_left, self._run.limits.request_seconds)
        return await self._backend.complete(request, seconds=seconds, on_block=on_block)

    def _room(self) -> Room:
        room = self._run.room()
        if isinstance(room, Limit):
            raise AnalyzerUnavailable(f"no further request fits under {room.value}")
        wait = self._breaker.admit(self._run.clock.monotonic())
        if wait > 0:
            why = f" ({self._breaker.last.value})" if self._breaker.last is not None else ""
            raise AnalyzerUnavailable(
                f"{self._backend.name} refused too often{why} and is left alone for {wait:.0f} s more"
            )
        return room

    async def _told(self, block: Block, told: _Told) -> None:
        told.blocks += 1
        match block:
            case ToolCall():
                await self._called(block, told)
            case Text(text=text) | Thinking(text=text):
                if not text.strip() or told.texts >= MAX_BLOCKS:
                    return
                told.texts += 1
                kind = StepKind.TEXT if isinstance(block, Text) else StepKind.THINKING
                await self._run.steps.add(kind, text, turn=self._run.turn)
            case _:
                assert_never(block)

    async def _called(self, call: ToolCall, told: _Told) -> None:
        if len(told.labels) >= told.allowed_calls:
            return
        self._calls += 1
        told.labels[call.id] = label = f"c{self._calls}"
        await self._run.steps.add(StepKind.TOOL_CALL, call.raw, turn=self._run.turn, tool=call.name[:64], call=label)

    async def _turned(self, reply: Reply, charge: Charge, told: _Told, seconds: float) -> None:
        run = self._run
        doubt = "" if charge.believed else "; its count of tokens cannot be believed and is taken at its most"
        single = told.texts + len(told.labels)
        hidden = f"; {told.blocks - single} of its {told.blocks} blocks are not told singly" * (told.blocks > single)
        model, request = reply.model[:_MAX_WORD], reply.request_id[:_MAX_WORD]
        by = f"{model}, request {request}" if request else model
        await run.steps.add(
            StepKind.TURN,
            f"reply {run.turn} of at most {run.limits.turns}, by {by}: {reply.stop.value}{doubt}{hidden}",
            turn=run.turn,
            usage=charge.usage,
            cost_usd=charge.usd,
            seconds=seconds,
            stop_reason=reply.stop_reason[:_MAX_WORD],
        )
        run.model = redacted(run.assignment.secrets, reply.model[:_MAX_WORD]) or run.model
        run.spent = replace(run.spent, turns=run.spent.turns + 1)
        run.conversation.counted(charge)

    async def _failed(self, error: ProviderError, again_in: float | None) -> None:
        blocks = self._broken.blocks
        void = f"; the {blocks} blocks that had come of it do not count" if blocks else ""
        then = "no further attempt" if again_in is None else f"again in {again_in:.1f} s"
        await self._run.steps.add(
            StepKind.FAILURE,
            f"{error}{void}; {then}",
            turn=self._run.turn,
            usage=self._lost.usage if self._lost is not NOTHING else None,
            cost_usd=self._lost.usd,
        )


@dataclass(kw_only=True)
class _Told:
    """What one attempt has told so far."""

    allowed_calls: int = 0
    blocks: int = 0
    texts: int = 0
    seconds: float = 0.0
    """Spent on the record, while the provider waited."""
    labels: dict[str, str] = field(default_factory=dict)
