"""When a provider is left alone: after refusals in a row, for a while that doubles as long as it goes on refusing.

One breaker per backend, shared by all its runs. It has no clock: time is an argument, in monotonic seconds.
"""

from __future__ import annotations

from enum import StrEnum

from responder.analyzer.llm.turn import Refusal

REFUSALS_IN_A_ROW = 5
FIRST_PAUSE_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 900.0


class BreakerState(StrEnum):
    """Also a label of metrics."""

    CLOSED = "closed"
    """Requests go through."""
    OPEN = "open"
    HALF_OPEN = "half_open"
    """The pause is over: one request goes through and decides."""


class Breaker:
    def __init__(self) -> None:
        self._refusals = 0
        self._pause = 0.0
        self._until = 0.0
        self._probing = False
        self.last: Refusal | None = None
        """Why the provider refused last; None after an answer."""

    def state(self, now: float) -> BreakerState:
        if not self._pause:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now < self._until else BreakerState.HALF_OPEN

    def admit(self, now: float) -> float:
        """0 where a request may go; else the seconds until one may.

        Whoever is let through half-open holds the place for one pause: a probe that never tells how it ended, because
        its run was cancelled, blocks nothing for good.
        """
        match self.state(now):
            case BreakerState.CLOSED:
                return 0.0
            case BreakerState.OPEN:
                return self._until - now
            case BreakerState.HALF_OPEN:
                self._until = now + self._pause
                self._probing = True
                return 0.0

    def answered(self) -> None:
        self._refusals, self._pause, self._probing, self.last = 0, 0.0, False, None

    def refused(self, refusal: Refusal, now: float) -> None:
        """A request that is wrong in itself (REJECTED) says nothing about the provider's health; one that was already
        on its way when the provider was left alone, nothing new: only a refused probe makes the pause longer.
        """
        if refusal is Refusal.REJECTED:
            return
        self.last = refusal
        self._refusals += 1
        if self._probing:
            self._open(now, min(2 * self._pause, LONGEST_PAUSE_SECONDS))
        elif not self._pause and (refusal is Refusal.UNAUTHORIZED or self._refusals >= REFUSALS_IN_A_ROW):
            self._open(now, FIRST_PAUSE_SECONDS)

    def _open(self, now: float, pause: float) -> None:
        self._pause, self._until, self._probing = pause, now + pause, False
