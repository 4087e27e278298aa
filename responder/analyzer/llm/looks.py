"""The looks that one reply of a model asks for: as many as the budget allows, several at once, none twice.

A result becomes evidence and is told in the order of the calls. What could not be read is told and recorded as an
error, never as nothing found. What a look may read, and how it is redacted and cut, is the tools' decision.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from responder.analyzer.llm.conversation import bytes_of
from responder.analyzer.llm.fence import fenced
from responder.analyzer.llm.run import Run
from responder.analyzer.llm.steps import redacted
from responder.analyzer.llm.turn import Given, Observation, ToolCall, ToolResult, Tools
from responder.domain.investigation import Evidence, StepKind
from responder.domain.visible import visible
from responder.redact import cut

AT_ONCE = 8
NO_LOOK_LEFT = "refused: no look is left"
_LEAST_TOLD_BYTES = 128
"""A result that has less room is not told at all."""
_AROUND_BYTES = 512
"""A fence, its source, and the marks of a result; once more for what is said after the last one."""


@dataclass(frozen=True, kw_only=True)
class _Made:
    observation: Observation
    seconds: float


class Looks:
    """Of one run."""

    def __init__(self, run: Run, tools: Tools) -> None:
        self._run = run
        self._tools = tools
        self._names = tuple(spec.name for spec in tools.specs)
        self._first: dict[tuple[str, str], str] = {}
        """Calls made so far -> the evidence they gave."""
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def make(
        self, calls: tuple[ToolCall, ...], labels: Mapping[str, str], *, last: bool
    ) -> tuple[ToolResult, ...]:
        """A result for each call, in order. `last`: none is made, the reply was to conclude."""
        run = self._run
        allowed = 0 if last else run.looks_left
        admitted, refused = calls[:allowed], calls[allowed:]
        run.spent = replace(run.spent, tool_calls=run.spent.tool_calls + len(admitted))
        room = run.bytes_left() - _AROUND_BYTES * (len(admitted) + 1) - _AROUND_BYTES // 2 * len(refused)
        looking = [asyncio.create_task(self._made(call)) for call in admitted]
        results = []
        try:
            for call, look in zip(admitted, looking, strict=True):
                result = await self._told(call, await look, labels.get(call.id, ""), max(0, room))
                room -= bytes_of(result.text)
                results.append(result)
        finally:
            for look in looking:
                look.cancel()
            await asyncio.gather(*looking, return_exceptions=True)
        return (*results, *await self._refused(refused, last=last))

    async def _made(self, call: ToolCall) -> _Made:
        async with self._gate:
            began = self._run.clock.monotonic()
            observation = await self._observed(call)
            return _Made(observation=observation, seconds=self._run.clock.monotonic() - began)

    async def _observed(self, call: ToolCall) -> Observation:
        if call.name not in self._names:
            return _no(f"there is no tool {visible(call.name[:40])!r}; there are {', '.join(self._names)}")
        if call.arguments is None:
            return _no("the arguments are no JSON object; write them as the tool's schema says")
        try:
            key = _canonical(call)
        except RecursionError:
            return _no("the arguments are nested too deeply")
        if key in self._first:
            return _no(self._again(key))
        self._first[key] = ""
        observation = await self._tools.call(call.name, call.arguments)
        if observation.given is Given.ERROR:
            del self._first[key]  # what could not be read now may be readable later
        return observation

    def _again(self, key: tuple[str, str]) -> str:
        evidence = self._first[key]
        where = f"its result is {evidence}" if evidence else "its result stands with that call"
        return f"the same look was made already, {where}; look at something else, or conclude"

    async def _told(self, call: ToolCall, made: _Made, label: str, room: int) -> ToolResult:
        seen = made.observation
        text = redacted(self._run.assignment.secrets, seen.text)
        if seen.given is Given.SEEN and room < _LEAST_TOLD_BYTES:
            seen, text = replace(seen, given=Given.REFUSED), "there is no room left for a result; conclude"
        text, shortened = cut(text, max(room, _LEAST_TOLD_BYTES))
        self._run.spent = replace(self._run.spent, told_bytes=self._run.spent.told_bytes + bytes_of(text))
        self._run.meter.looked(seen.given)
        if seen.given is not Given.SEEN:
            return await self._came_to_nothing(call, seen, text, label, made.seconds)
        return await self._saw(call, replace(seen, text=text, truncated=seen.truncated or shortened), label, made)

    async def _saw(self, call: ToolCall, seen: Observation, label: str, made: _Made) -> ToolResult:
        steps = self._run.steps
        evidence = Evidence(
            id=steps.next_evidence,
            kind=seen.kind,
            source=redacted(self._run.assignment.secrets, seen.source),
            subject=seen.subject,
            observed_at=self._run.clock.now(),
            text=seen.text,
            truncated=seen.truncated,
        )
        self._first[_canonical(call)] = evidence.id
        said = f"{evidence.id}: {evidence.source}, {bytes_of(evidence.text)} bytes{', cut' * evidence.truncated}"
        await steps.add(
            StepKind.TOOL_RESULT,
            said,
            seen=evidence,
            turn=self._run.spent.turns,
            tool=call.name,
            call=label,
            seconds=made.seconds,
        )
        told = fenced(evidence.text, evidence=evidence.id, source=evidence.source, truncated=evidence.truncated)
        return ToolResult(call=call, text=told)

    async def _came_to_nothing(
        self, call: ToolCall, seen: Observation, text: str, label: str, seconds: float
    ) -> ToolResult:
        what = "could not be read; this is no absence" if seen.given is Given.ERROR else "refused"
        await self._run.steps.add(
            StepKind.TOOL_RESULT,
            f"{what}: {text}",
            turn=self._run.spent.turns,
            tool=call.name[:64],
            call=label,
            seconds=seconds,
        )
        return ToolResult(call=call, text=f"{what}:\n{fenced(text, source=seen.source)}", error=True)

    async def _refused(self, calls: tuple[ToolCall, ...], *, last: bool) -> tuple[ToolResult, ...]:
        if calls:
            self._run.meter.looked(Given.REFUSED, len(calls))
            why = "the reply was to conclude" if last else f"{self._run.limits.tool_calls} looks are made"
            await self._run.steps.add(
                StepKind.TOOL_RESULT, f"refused: {len(calls)} further calls; {why}", turn=self._run.spent.turns
            )
        return tuple(ToolResult(call=call, text=NO_LOOK_LEFT, error=True) for call in calls)


def _no(why: str) -> Observation:
    return Observation(given=Given.REFUSED, text=why)


def _canonical(call: ToolCall) -> tuple[str, str]:
    """The same for the same look, however its arguments are spelt."""
    return call.name, json.dumps(call.arguments, sort_keys=True)
