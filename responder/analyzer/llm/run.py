"""The state of one run of a model, shared by what asks the provider and what makes the looks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from responder.analyzer.llm import budget
from responder.analyzer.llm.budget import Limit, Prices, Room, RunLimits, Spent
from responder.analyzer.llm.conversation import Conversation
from responder.analyzer.llm.meter import Meter
from responder.analyzer.llm.steps import Steps
from responder.analyzer.protocol import Assignment

_LAST_SECONDS = 30.0
_LAST_SHARE = 0.2


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Clock:
    now: Callable[[], datetime] = _utc_now
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(kw_only=True)
class Run:
    assignment: Assignment
    steps: Steps
    conversation: Conversation
    limits: RunLimits
    prices: Prices
    clock: Clock
    meter: Meter
    deadline: float
    """Monotonic."""
    spent: Spent = field(default_factory=Spent)
    provider_seconds: float = 0.0
    model: str = ""
    """Which answered last, in the provider's word."""

    @property
    def turn(self) -> int:
        """Number of the reply that is asked for, or being worked on, from 1."""
        return self.spent.turns + 1

    @property
    def seconds_left(self) -> float:
        return max(0.0, self.deadline - self.clock.monotonic())

    @property
    def looks_left(self) -> int:
        return max(0, self.limits.tool_calls - self.spent.tool_calls)

    def room(self, *, more_bytes: int = 0) -> Room | Limit:
        """Of the next request, once so many bytes more are said."""
        size = self.conversation.size
        size = replace(size, new_tokens=size.new_tokens + more_bytes, request_bytes=size.request_bytes + more_bytes)
        return budget.room(self.limits, self.spent, size, self.prices, hurry=self._hurries())

    def _hurries(self) -> bool:
        """After one more reply, as long as they were so far, too little time would be left for a conclusion."""
        likely = self.provider_seconds / max(1, self.spent.turns)
        return self.seconds_left - likely < min(_LAST_SECONDS, self.assignment.seconds * _LAST_SHARE)

    def bytes_left(self) -> int:
        """Of tool results."""
        return budget.bytes_left(self.limits, self.spent, self.conversation.size, self.prices)
