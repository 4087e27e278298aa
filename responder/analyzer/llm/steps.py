"""The reasoning chain of one run: each link is redacted, numbered, cut to size and committed as it happens.

Control characters stay as they came: screens make them visible. Nothing is stored that was not redacted before; where
redacting fails, the run ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial

from responder.analyzer.apart import apart
from responder.analyzer.protocol import Assignment
from responder.domain.errors import AnalyzerUnavailable, QueueFull, StoreUnavailable
from responder.domain.investigation import Evidence, Step, StepKind, Usage
from responder.redact.placeholders import Placeholders

MAX_STEP_BYTES = 64 * 1024
_MOST_READ = 4 * MAX_STEP_BYTES
"""Characters of a text that are redacted: seconds of work for a megabyte, of which no more than a step is kept."""
_AT_THE_CUT = 16 * 1024
"""Characters before a cut that are not kept: half a secret has no form to be known by."""
_AT_ONCE = 8 * 1024
"""Characters that are redacted without a thread of their own."""
LAST_SECONDS = 2.0
"""That a run may take for its record after its time is over."""


class Steps:
    """Of one run. Written to by one task at a time."""

    def __init__(self, assignment: Assignment, *, now: Callable[[], datetime]) -> None:
        self._assignment = assignment
        self._now = now
        self._commit: asyncio.Task[None] | None = None
        self._steps: list[Step] = []
        self._evidence = list(assignment.detected.evidence if assignment.detected is not None else ())
        self._recorded = 0
        """Of the evidence; the detectors' comes with the first link, so that what cites it can be followed."""

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(self._steps)

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """The detectors' first."""
        return tuple(self._evidence)

    @property
    def next_evidence(self) -> str:
        """The id of the next observation: the detectors' numbers go on."""
        return f"e{len(self._evidence) + 1}"

    async def add(
        self,
        kind: StepKind,
        text: str,
        *,
        seen: Evidence | None = None,
        cites: tuple[str, ...] = (),
        turn: int = 0,
        tool: str = "",
        call: str = "",
        usage: Usage | None = None,
        cost_usd: float = 0.0,
        seconds: float = 0.0,
        stop_reason: str = "",
    ) -> None:
        """Commit one link; `seen` comes with it. Once begun, the commit is not taken back by a cancellation.

        Raises:
            AnalyzerUnavailable: the text cannot be redacted, so it is not kept.
            StoreUnavailable: it cannot be committed.
        """
        text = await self._kept(text)
        step = Step(
            number=len(self._steps) + 1,
            kind=kind,
            at=self._now(),
            text=text,
            evidence=(seen.id,) if seen is not None else cites,
            turn=turn,
            tool=redacted(self._assignment.secrets, tool),
            call=call,
            usage=usage,
            cost_usd=cost_usd,
            seconds=seconds,
            stop_reason=redacted(self._assignment.secrets, stop_reason),
        )
        self._steps.append(step)
        if seen is not None:
            self._evidence.append(seen)
        new = tuple(self._evidence[self._recorded :])
        self._recorded = len(self._evidence)
        await self._record(step, new)

    async def _kept(self, text: str) -> str:
        secrets = self._assignment.secrets
        if len(text) <= _AT_ONCE:
            return _capped(redacted(secrets, text))
        return await apart(partial(_redacted_and_capped, secrets, text))

    async def last_word(self, text: str, *, turn: int = 0, usage: Usage | None = None, cost_usd: float = 0.0) -> None:
        """A FAILURE for a run that ends, on record if that is possible in short time. Raises nothing of its own."""
        with suppress(AnalyzerUnavailable, StoreUnavailable, QueueFull, TimeoutError):
            async with asyncio.timeout(LAST_SECONDS):
                await self.add(StepKind.FAILURE, text, turn=turn, usage=usage, cost_usd=cost_usd)

    async def _record(self, step: Step, evidence: tuple[Evidence, ...]) -> None:
        self._commit = asyncio.create_task(self._committed(self._commit, step, evidence))
        await asyncio.shield(self._commit)

    async def _committed(self, before: asyncio.Task[None] | None, step: Step, evidence: tuple[Evidence, ...]) -> None:
        if before is not None and not before.done():
            await asyncio.wait({before})  # of a link whose writer was cancelled: order is kept
        await self._assignment.record((step,), evidence)


def redacted(secrets: Placeholders, text: str) -> str:
    """Raises AnalyzerUnavailable where redacting fails: a text that was not redacted goes nowhere."""
    try:
        return secrets.redact(text)
    except Exception as exc:  # fails closed: whatever goes wrong, the text must not be used
        raise AnalyzerUnavailable(f"a text could not be redacted ({type(exc).__name__})") from exc


def _redacted_and_capped(secrets: Placeholders, text: str) -> str:
    if len(text) <= _MOST_READ:
        return _capped(redacted(secrets, text))
    told = redacted(secrets, text[:_MOST_READ])
    kept = told[: min(MAX_STEP_BYTES, max(0, len(told) - _AT_THE_CUT))]
    return f"{kept}\n[cut: a text of {len(text)} characters]"


def _capped(text: str) -> str:
    raw = text.encode("utf-8", "replace")
    if len(raw) <= MAX_STEP_BYTES:
        return text
    kept = raw[:MAX_STEP_BYTES].decode("utf-8", "ignore")
    return f"{kept}\n[{len(raw) - MAX_STEP_BYTES} bytes more are not kept]"
