"""The tool loop: a model looks, turn by turn, and concludes; or the run ends with the reason why it did not.

Everything is on record as it happens, each request is paid for before it is sent, and what the model says becomes at
most findings and proposals, which the guard does not trust. A model is never needed: whatever goes wrong here ends as
an error that tells the pipeline to go on with the next analyzer.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from responder.analyzer.apart import apart
from responder.analyzer.llm import prompt
from responder.analyzer.llm.breaker import Breaker
from responder.analyzer.llm.budget import Limit, Prices, RunLimits
from responder.analyzer.llm.conversation import Conversation, bytes_of, bytes_of_message
from responder.analyzer.llm.exchange import Answer, Exchange
from responder.analyzer.llm.looks import Looks
from responder.analyzer.llm.meter import Meter
from responder.analyzer.llm.reply import CONCLUDE, Concluded, parse_conclusion
from responder.analyzer.llm.run import Clock, Run
from responder.analyzer.llm.steps import Steps, redacted
from responder.analyzer.llm.turn import Backend, Question, Reply, Stop, ToolCall, ToolResult, Tools
from responder.analyzer.llm.wallet import Wallet
from responder.analyzer.protocol import Assignment
from responder.domain.errors import AnalyzerUnavailable, ReplyInvalid, ResponderError
from responder.domain.investigation import Investigation, StepKind
from responder.domain.snapshot import Snapshot
from responder.domain.visible import visible
from responder.settings import Analysis
from responder.telemetry import Metrics, get_logger

log = get_logger(__name__)


def limits_of(analysis: Analysis, *, output_tokens: int) -> RunLimits:
    return RunLimits(
        turns=analysis.max_turns,
        tool_calls=analysis.max_tool_calls,
        evidence_bytes=analysis.max_evidence_bytes,
        tokens=analysis.max_tokens,
        usd=analysis.max_usd,
        output_tokens=output_tokens,
        retry_seconds=analysis.retry_seconds,
        request_seconds=analysis.request_seconds,
    )


class ModelAnalyzer:
    """Investigates with one backend. Implements `Analyzer`; its runs share nothing but breaker and wallet."""

    def __init__(
        self,
        *,
        backend: Backend,
        tools: Callable[[Assignment], Tools],
        limits: RunLimits,
        prices: Prices,
        wallet: Wallet,
        breaker: Breaker,
        system: str = prompt.SYSTEM,
        clock: Clock | None = None,
        meter: Meter | None = None,
    ) -> None:
        self.name = backend.name
        self._backend = backend
        self._tools = tools
        self._limits = limits
        self._prices = prices
        self._wallet = wallet
        self._breaker = breaker
        self._system = system
        self._clock = clock or Clock()
        self._meter = meter or Meter(Metrics(), self.name)

    async def investigate(self, assignment: Assignment) -> Investigation:
        """See `Analyzer.investigate`. Whatever it raises, the steps and the evidence so far are on record."""
        snapshot = assignment.snapshot
        if snapshot is None:
            raise AnalyzerUnavailable("the alert names no object that a model could look at")
        began = self._clock.now()
        deadline = self._clock.monotonic() + assignment.seconds
        steps = Steps(assignment, now=self._clock.now)
        try:
            async with asyncio.timeout(assignment.seconds) as scope:
                run, concluded = await self._concluded(assignment, snapshot, steps, deadline)
        except TimeoutError as exc:
            if not scope.expired():
                raise
            late = AnalyzerUnavailable(f"{self.name} did not conclude within {assignment.seconds:g} s")
            await steps.last_word(f"the run ends: {late}")
            raise late from exc
        except (AnalyzerUnavailable, ReplyInvalid) as exc:
            await steps.last_word(f"the run ends: {exc}")
            raise
        except ResponderError:
            raise
        except Exception as exc:  # whatever an SDK may come up with, the detectors' answer has to stand
            failed = AnalyzerUnavailable(f"{self.name} failed ({type(exc).__name__})")
            log.error("a run failed", problem=str(failed), at=_place(exc))  # noqa: TRY400 - the words of exc are not redacted
            await steps.last_word(f"the run ends: {failed}")
            raise failed from exc
        return Investigation(
            id=assignment.id,
            incident_id=assignment.incident.id,
            number=assignment.number,
            analyzer=self.name,
            model=run.model or self._backend.model,
            started_at=began,
            ended_at=self._clock.now(),
            conclusion=concluded.conclusion,
            summary=concluded.summary,
            evidence=steps.evidence,
            steps=steps.steps,
            findings=concluded.findings,
            ruled_out=concluded.ruled_out,
            unchecked=concluded.unchecked,
            proposals=concluded.proposals,
            usage=run.spent.usage,
            cost_usd=run.spent.usd,
            provider_seconds=run.provider_seconds,
        )

    async def _concluded(
        self, assignment: Assignment, snapshot: Snapshot, steps: Steps, deadline: float
    ) -> tuple[Run, Concluded]:
        tools = self._tools(assignment)
        specs = (*tools.specs, CONCLUDE)
        question = await apart(
            partial(prompt.first_question, assignment, lambda text: redacted(assignment.secrets, text))
        )
        told = f"system prompt {prompt.name_of(self._system)}, {len(specs)} tools\n\n{question}"
        await steps.add(StepKind.PROMPT, told, turn=1)
        run = Run(
            assignment=assignment,
            steps=steps,
            conversation=Conversation(self._system, specs, question),
            limits=self._limits,
            prices=self._prices,
            clock=self._clock,
            meter=self._meter,
            deadline=deadline,
        )
        exchange = Exchange(run, self._backend, wallet=self._wallet, breaker=self._breaker)
        return run, await _Talk(run=run, exchange=exchange, looks=Looks(run, tools), snapshot=snapshot).concluded()


@dataclass(kw_only=True)
class _Talk:
    """From the first question to the conclusion."""

    run: Run
    exchange: Exchange
    looks: Looks
    snapshot: Snapshot
    corrected: bool = False
    """A conclusion was sent back once."""
    reminded: bool = False

    async def concluded(self) -> Concluded:
        """Raises AnalyzerUnavailable, ReplyInvalid, StoreUnavailable."""
        while True:
            concluded = await self._worked_off(await self.exchange.ask())
            if concluded is not None:
                return concluded

    async def _worked_off(self, answer: Answer) -> Concluded | None:
        reply = answer.reply
        if reply.stop in (Stop.REFUSED, Stop.CONTEXT):
            raise ReplyInvalid(f"the model ended without a conclusion: {self._end(reply)}")
        calls = tuple(block for block in reply.blocks if isinstance(block, ToolCall))
        if len({call.id for call in calls}) < len(calls):
            raise ReplyInvalid("two calls of one reply bear the same id")
        if calls:
            return await self._called(answer, calls)
        if reply.blocks:
            self.run.conversation.add(reply)
        if reply.stop is not Stop.PAUSED:
            await self._remind(reply)
        return None

    async def _called(self, answer: Answer, calls: tuple[ToolCall, ...]) -> Concluded | None:
        final = tuple(call for call in calls if call.name == CONCLUDE.name)
        # In a last reply no look is made, so none can contradict a conclusion that came with one.
        concluded, refusal = await self._checked(final, alone=len(final if answer.last else calls) == 1)
        if concluded is not None:
            return concluded
        looks = tuple(call for call in calls if call.name != CONCLUDE.name)
        made = await self.looks.make(looks, answer.labels, last=answer.last)
        results = {result.call.id: result for result in made}
        for call in final:
            results[call.id] = ToolResult(call=call, text=refusal, error=True)
        self.run.conversation.add(answer.reply)
        self.run.conversation.add(await self._with_last_word(tuple(results[call.id] for call in calls)))
        return None

    async def _with_last_word(self, results: tuple[ToolResult, ...]) -> tuple[ToolResult, ...]:
        """Where the next reply has to conclude it is said with the results: not every provider can force a call, and
        not every model bears a question after them."""
        run = self.run
        room = run.room(more_bytes=bytes_of_message(results) + bytes_of(prompt.LAST))
        if isinstance(room, Limit) or not room.last:
            return results
        await run.steps.add(StepKind.PROMPT, prompt.LAST, turn=run.turn)
        return (*results[:-1], replace(results[-1], text=f"{results[-1].text}\n\n{prompt.LAST}"))

    async def _checked(self, final: tuple[ToolCall, ...], *, alone: bool) -> tuple[Concluded | None, str]:
        """The conclusion, or what to say of it; both empty where there is none. Raises ReplyInvalid the second time."""
        if not final:
            return None, ""
        run = self.run
        concluded, reason = self._parsed(final[0]) if alone else (None, prompt.NOT_ALONE)
        if concluded is None:
            reason = self._redacted(reason)
            if self.corrected:
                raise ReplyInvalid(reason)
            self.corrected = True
            refusal = prompt.invalid(reason)
            await run.steps.add(StepKind.FAILURE, refusal, turn=run.spent.turns, tool=CONCLUDE.name)
            return None, refusal
        await run.steps.add(
            StepKind.VERDICT,
            f"{concluded.conclusion}: {concluded.summary}",
            turn=run.spent.turns,
            cites=concluded.findings[0].evidence if concluded.findings else (),
        )
        return concluded, ""

    def _parsed(self, call: ToolCall) -> tuple[Concluded | None, str]:
        """The conclusion, or why it is none."""
        try:
            concluded = parse_conclusion(
                call.arguments,
                call.raw,
                evidence=frozenset(item.id for item in self.run.steps.evidence),
                snapshot=self.snapshot,
                detected=self.run.assignment.detected,
            )
        except ReplyInvalid as exc:
            return None, str(exc)
        return _redacted_texts(concluded, self._redacted), ""

    async def _remind(self, reply: Reply) -> None:
        if self.reminded:
            raise ReplyInvalid(f"the model ended twice without a conclusion: {self._end(reply)}")
        self.reminded = True
        text = prompt.CUT_SHORT if reply.stop is Stop.LENGTH else prompt.TEXT_ONLY
        self.run.conversation.add(Question(text=text))
        await self.run.steps.add(StepKind.PROMPT, text, turn=self.run.turn)

    def _redacted(self, text: str) -> str:
        return redacted(self.run.assignment.secrets, text)

    def _end(self, reply: Reply) -> str:
        return f"{reply.stop.value} ({self._redacted(visible(reply.stop_reason[:64]))})"


def _place(exc: Exception) -> str:
    """Where it was raised: its words are not told, because nothing redacted them."""
    frame = traceback.extract_tb(exc.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno}"


def _redacted_texts(said: Concluded, redact: Callable[[str], str]) -> Concluded:
    """All text for people, each on one line: what follows a line break could pass for a line of Clopus's own.
    Scalars of actions stay: they are checked against the cluster, and shown redacted."""

    def told(text: str) -> str:
        return " ".join(redact(text).split())

    return replace(
        said,
        summary=told(said.summary),
        findings=tuple(replace(item, cause=told(item.cause)) for item in said.findings),
        ruled_out=tuple(
            replace(item, hypothesis=told(item.hypothesis), because=told(item.because)) for item in said.ruled_out
        ),
        unchecked=tuple(replace(item, what=told(item.what), why=told(item.why)) for item in said.unchecked),
        proposals=tuple(replace(item, reason=told(item.reason)) for item in said.proposals),
    )
