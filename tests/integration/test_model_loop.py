"""The tool loop with the real SDKs against the stub providers of both protocols, on a real store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest

from responder.analyzer.llm import prompt
from responder.analyzer.llm.breaker import Breaker, BreakerState
from responder.analyzer.llm.budget import Prices, RunLimits
from responder.analyzer.llm.claude import ClaudeBackend
from responder.analyzer.llm.keyfile import KeyFile
from responder.analyzer.llm.loop import ModelAnalyzer
from responder.analyzer.llm.openai_compatible import OpenAiCompatibleBackend
from responder.analyzer.llm.run import Clock
from responder.analyzer.llm.turn import Backend, Given, Observation, Refusal, ToolSpec
from responder.analyzer.llm.wallet import BudgetSpent, Wallet
from responder.analyzer.protocol import Assignment
from responder.domain.errors import AnalyzerUnavailable, ReplyInvalid
from responder.domain.incident import Incident
from responder.domain.investigation import (
    Conclusion,
    Evidence,
    EvidenceKind,
    Investigation,
    Step,
    StepKind,
    Usage,
)
from responder.domain.manifest import Manifest
from responder.domain.refs import ObjectRef
from responder.domain.snapshot import Snapshot
from responder.redact.placeholders import Placeholders
from responder.sandbox.providers.chat_api import ChatApi
from responder.sandbox.providers.messages_api import MessagesApi
from responder.sandbox.providers.script import Call, Conversation, Script, Turn, requests, turns
from responder.sandbox.providers.server import ProviderServer
from responder.settings import Claude
from responder.store import investigations, spending
from responder.store.spending import Caps
from responder.store.store import Store

PROTOCOLS = ("claude", "openai_compatible")
AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ROOT = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u-web")
GENEROUS = Caps(hour_usd=100, day_usd=100, namespace_day_usd=100, day_tokens=100_000_000)
PRICES = Prices(input=3.0, cache_read=0.3, cache_write=3.75, output=15.0)
LIMITS = RunLimits(
    turns=8, tool_calls=10, evidence_bytes=64_000, tokens=600_000, usd=2.0, output_tokens=4096, retry_seconds=60
)
TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
CONFIG = {"port": "the program listens on 9090", "probe": "the probe asks 8080", "key": f"found {TOKEN} in a comment"}


def look(at: str, **fields: Any) -> Call:
    return Call(name="look", arguments={"at": at}, **fields)


def conclude(*evidence: str, **changes: Any) -> Call:
    finding = {"fault": "probe.port", "cause": "the probe asks another port", "confidence": 0.9, "evidence": evidence}
    answer = {
        "conclusion": "fault_found",
        "summary": "the probe asks a port on which nothing listens",
        "findings": [finding],
        "ruled_out": [],
        "unchecked": [],
        "proposals": [],
    }
    return Call(name="conclude", arguments={**answer, **changes})


LOOKS = Turn(thinking="I compare the ports.", text="Two looks.", calls=(look("port"), look("probe")))
CONCLUDES = Turn(calls=(conclude("e2", "e3"),))


class Shelf:
    """Tools over a dictionary: a second implementation of `Tools`, with nothing to read but what it was given."""

    specs = (
        ToolSpec(
            name="look",
            description="Read one entry.",
            parameters={
                "type": "object",
                "properties": {"at": {"type": "string"}},
                "required": ["at"],
                "additionalProperties": False,
            },
        ),
    )

    def __init__(self, entries: Mapping[str, str]) -> None:
        self.entries = entries
        self.asked: list[str] = []
        self.at_once = 0
        self._open = 0

    async def call(self, name: str, arguments: Manifest) -> Observation:
        at = str(arguments.get("at"))
        self.asked.append(at)
        self._open += 1
        self.at_once = max(self.at_once, self._open)
        for _ in range(3):
            await asyncio.sleep(0)  # others may begin meanwhile
        self._open -= 1
        if at == "broken":
            return Observation(given=Given.ERROR, text="the API server did not answer")
        if at not in self.entries:
            return Observation(given=Given.REFUSED, text="no such entry")
        return Observation(given=Given.SEEN, text=self.entries[at], kind=EvidenceKind.OBJECT, source=f"entry {at}")


@dataclass(kw_only=True)
class Ran:
    """What became of a run."""

    answer: Investigation | None
    error: Exception | None
    stored: Investigation
    """As the store has it."""
    server: ProviderServer
    shelf: Shelf
    slept: list[float]
    spent: spending.Spent

    @property
    def investigation(self) -> Investigation:
        assert self.answer is not None, self.error
        return self.answer

    @property
    def told(self) -> str:
        """Everything that the last request told, results included."""
        conversation = self.server.requests[-1].conversation
        assert conversation is not None
        return conversation.told

    def texts(self, kind: StepKind) -> list[str]:
        return [step.text for step in self.stored.steps if step.kind is kind]


@dataclass(kw_only=True)
class Bench:
    """One store and one protocol; each run is an investigation of its own."""

    protocol: str
    store: Store
    directory: Path
    breaker: Breaker = field(default_factory=Breaker)
    caps: Caps = GENEROUS
    limits: RunLimits = LIMITS
    entries: Mapping[str, str] = field(default_factory=lambda: CONFIG)
    seconds: float = 30.0
    assignment: Mapping[str, Any] = field(default_factory=dict)
    ids: Callable[[], int] = field(default_factory=lambda: partial(next, count(1)))

    async def run(self, script: Script, **changes: Any) -> Ran:
        bench = replace(self, **changes)
        shelf, slept = Shelf(bench.entries), []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)

        async with self._served(script) as (server, backend):
            assignment = await bench._assigned()
            analyzer = ModelAnalyzer(
                backend=backend,
                tools=lambda _: shelf,
                limits=bench.limits,
                prices=PRICES,
                wallet=Wallet(self.store, bench.caps, now=lambda: AT, mint=lambda prefix: f"{prefix}-{self.ids()}"),
                breaker=self.breaker,
                clock=Clock(now=lambda: AT, sleep=sleep),
            )
            answer, error = None, None
            try:
                answer = await analyzer.investigate(assignment)
            except (AnalyzerUnavailable, ReplyInvalid) as exc:
                error = exc
        stored = await self.store.read(lambda con: investigations.get(con, assignment.id))
        spent = await self.store.read(lambda con: spending.spent(con, AT, "shop"))
        return Ran(answer=answer, error=error, stored=stored, server=server, shelf=shelf, slept=slept, spent=spent)

    async def _assigned(self) -> Assignment:
        id_ = f"inv-{self.ids()}"
        incident = Incident(
            id="inc-1",
            key=ROOT.key,
            root=ROOT,
            namespace="shop",
            labels={"alertname": "KubePodNotReady", "namespace": "shop"},
            opened_at=AT,
            updated_at=AT,
        )
        detected = Investigation(
            id=f"{id_}-detected",
            incident_id="inc-1",
            number=1,
            analyzer="heuristic",
            started_at=AT,
            ended_at=AT,
            conclusion=Conclusion.UNEXPLAINED,
            summary="nothing known fits",
            evidence=(Evidence(id="e1", kind=EvidenceKind.EVENT, source="event", observed_at=AT, text="Unhealthy"),),
        )
        row = Investigation(
            id=id_,
            incident_id="inc-1",
            number=2,
            analyzer=self.protocol,
            started_at=AT,
            ended_at=None,
            conclusion=Conclusion.UNFINISHED,
            summary="",
        )
        await self.store.write(lambda con: investigations.begin(con, row))

        async def record(steps: tuple[Step, ...], evidence: tuple[Evidence, ...]) -> None:
            await self.store.write(lambda con: investigations.add(con, id_, steps, evidence))

        given: dict[str, Any] = {
            "id": id_,
            "number": 2,
            "incident": incident,
            "snapshot": Snapshot(taken_at=AT, root=ROOT),
            "seconds": self.seconds,
            "detected": detected,
            "secrets": Placeholders(),
            "record": record,
        }
        return Assignment(**{**given, **self.assignment})

    @asynccontextmanager
    async def _served(self, script: Script) -> AsyncIterator[tuple[ProviderServer, Backend]]:
        key = self.directory / "key"
        key.write_text("the-key-of-the-test\n")
        server: ProviderServer = MessagesApi(script) if self.protocol == "claude" else ChatApi(script)
        async with server:
            backend: Backend
            if self.protocol == "claude":
                backend = await ClaudeBackend.open(Claude(model="claude-x", base_url=server.url, api_key_file=key))
            else:
                backend = await OpenAiCompatibleBackend.open(
                    model="qwen", base_url=f"{server.url}/v1", keys=KeyFile(key)
                )
            try:
                yield server, backend
            finally:
                await backend.close()


@pytest.fixture(params=PROTOCOLS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    with Store.open(tmp_path / "clopus.duckdb") as store:
        yield Bench(protocol=request.param, store=store, directory=tmp_path)


def reported(bench: Bench, *, input_tokens: Any, output_tokens: Any) -> dict[str, Any]:
    """A count of tokens in the protocol's own words."""
    if bench.protocol == "claude":
        return {"input_tokens": input_tokens, "output_tokens": output_tokens}
    return {"prompt_tokens": input_tokens, "completion_tokens": output_tokens}


async def test_a_model_looks_in_parallel_and_concludes(bench: Bench) -> None:
    ran = await bench.run(turns(LOOKS, CONCLUDES))

    found = ran.investigation
    assert (found.conclusion, found.analyzer) == (Conclusion.FAULT_FOUND, bench.protocol)
    assert found.findings[0].evidence == ("e2", "e3")
    assert [item.text for item in found.evidence] == ["Unhealthy", CONFIG["port"], CONFIG["probe"]]
    assert ran.shelf.at_once == 2
    assert found.usage is not None
    assert found.usage.all_tokens > 0
    assert found.cost_usd == pytest.approx(PRICES.cost(found.usage))
    assert found.provider_seconds > 0


async def test_every_step_is_on_record_as_the_answer_has_it(bench: Bench) -> None:
    ran = await bench.run(turns(LOOKS, CONCLUDES))

    kinds = [step.kind for step in ran.stored.steps]
    assert ran.stored.steps == ran.investigation.steps
    assert ran.stored.evidence == ran.investigation.evidence
    assert kinds == [
        StepKind.PROMPT,
        StepKind.THINKING,
        StepKind.TEXT,
        StepKind.TOOL_CALL,
        StepKind.TOOL_CALL,
        StepKind.TURN,
        StepKind.TOOL_RESULT,
        StepKind.TOOL_RESULT,
        StepKind.TOOL_CALL,
        StepKind.TURN,
        StepKind.VERDICT,
    ]
    assert [(step.call, step.evidence) for step in ran.stored.steps[6:8]] == [("c1", ("e2",)), ("c2", ("e3",))]


async def test_what_was_spent_is_settled_at_the_providers_count(bench: Bench) -> None:
    ran = await bench.run(turns(LOOKS, CONCLUDES))

    assert ran.spent.day_usd == pytest.approx(ran.investigation.cost_usd)
    assert ran.investigation.usage is not None
    assert ran.spent.day_tokens == ran.investigation.usage.all_tokens


@pytest.mark.inv(43)
async def test_results_are_fenced_each_with_a_mark_of_its_own(bench: Bench) -> None:
    ran = await bench.run(turns(LOOKS, CONCLUDES))

    conversation = ran.server.requests[-1].conversation
    assert conversation is not None
    marks = {result.text.partition(" ")[0] for result in conversation.results}
    assert len(marks) == 2
    assert all(result.text.endswith(f"</{mark[1:]}>") for result, mark in _pairs(conversation))


def _pairs(conversation: Conversation) -> list[tuple[Any, str]]:
    return [(result, result.text.partition(" ")[0]) for result in conversation.results]


@pytest.mark.inv(47)
async def test_a_secret_reaches_neither_the_model_nor_the_record(bench: Bench) -> None:
    ran = await bench.run(turns(Turn(calls=(look("key"),)), CONCLUDES))

    assert "redacted" in ran.told
    assert TOKEN not in json.dumps([received.body for received in ran.server.requests])
    assert TOKEN not in repr(ran.stored)


@pytest.mark.inv(47)
async def test_where_redacting_fails_nothing_is_sent(bench: Bench) -> None:
    class Torn(Placeholders):
        def redact(self, text: str) -> str:
            raise RecursionError("too deep")

    ran = await bench.run(turns(CONCLUDES), assignment={"secrets": Torn()})

    assert isinstance(ran.error, AnalyzerUnavailable)
    assert ran.server.requests == []


async def test_system_prompt_and_tools_stay_the_same_and_the_conversation_only_grows(bench: Bench) -> None:
    ran = await bench.run(turns(LOOKS, Turn(calls=(look("key"),)), CONCLUDES))

    bodies = [received.body for received in ran.server.requests]
    for earlier, later in pairwise(bodies):
        assert _said(later)[: len(_said(earlier))] == _said(earlier)
        assert later["tools"] == earlier["tools"]
    assert ran.server.accounting.each[-1].cache_read > 0


def _said(body: Any) -> list[str]:
    """Texts of the messages in order, without what a provider's cache is told beside them."""
    messages = [*([{"content": body["system"]}] if "system" in body else []), *body["messages"]]
    return [json.dumps(_bare(message), sort_keys=True) for message in messages]


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _bare(item) for key, item in value.items() if key != "cache_control"}
    return [_bare(item) for item in value] if isinstance(value, list) else value


async def test_the_same_look_is_refused_with_the_evidence_of_the_first(bench: Bench) -> None:
    ran = await bench.run(turns(Turn(calls=(look("port"),)), Turn(calls=(look("port"),)), CONCLUDES))

    assert ran.shelf.asked == ["port"]
    assert "made already, its result is e2" in ran.told


async def test_the_same_look_twice_in_one_reply_is_made_once(bench: Bench) -> None:
    ran = await bench.run(turns(Turn(calls=(look("port"), look("port"))), CONCLUDES))

    assert ran.shelf.asked == ["port"]
    assert len(ran.investigation.evidence) == 2


async def test_an_error_is_told_as_no_absence_is_no_evidence_and_may_be_tried_again(bench: Bench) -> None:
    ran = await bench.run(turns(Turn(calls=(look("broken"),)), Turn(calls=(look("broken"),)), CONCLUDES))

    assert ran.shelf.asked == ["broken", "broken"]
    assert "could not be read; this is no absence" in ran.told
    assert len(ran.investigation.evidence) == 1


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (Call(name="exec", arguments={"command": "id"}), "there is no tool 'exec'; there are look"),
        (Call(name="look", arguments="[1, 2"), "no JSON object"),
        (Call(name="look", arguments="[1, 2]"), "no JSON object"),
    ],
)
async def test_a_call_that_makes_no_sense_is_answered_and_counts(bench: Bench, call: Call, told: str) -> None:
    ran = await bench.run(turns(Turn(calls=(call,)), CONCLUDES), limits=replace(LIMITS, tool_calls=1))

    assert ran.investigation.conclusion is Conclusion.FAULT_FOUND
    assert told in ran.told
    assert ran.shelf.asked == []


@pytest.mark.parametrize("depth", [300, 600, 900, 960, 980, 100_000])
async def test_arguments_nested_without_end_harm_nothing(bench: Bench, depth: int) -> None:
    nested = '{"at": ' + "[" * depth + "]" * depth + "}"
    ran = await bench.run(turns(Turn(calls=(Call(name="look", arguments=nested),)), CONCLUDES))

    assert ran.answer is not None or isinstance(ran.error, AnalyzerUnavailable)


async def test_an_invalid_conclusion_is_named_once_and_may_be_corrected(bench: Bench) -> None:
    ran = await bench.run(turns(Turn(calls=(conclude("e1", conclusion="recovered"),)), CONCLUDES))

    assert ran.investigation.conclusion is Conclusion.FAULT_FOUND
    assert "The conclusion was not accepted" in ran.told
    assert any("not accepted" in text for text in ran.texts(StepKind.FAILURE))


async def test_a_second_invalid_conclusion_ends_the_run(bench: Bench) -> None:
    ran = await bench.run(turns(Turn(calls=(conclude("e1", conclusion="recovered"),))))

    assert isinstance(ran.error, ReplyInvalid)
    assert len(ran.server.requests) == 2
    assert ran.texts(StepKind.FAILURE)[-1].startswith("the run ends")


async def test_a_conclusion_beside_other_calls_is_sent_back(bench: Bench) -> None:
    ran = await bench.run(turns(Turn(calls=(look("port"), conclude("e1"))), CONCLUDES))

    assert "only call of its reply" in ran.told
    assert ran.investigation.findings[0].unsupported  # it cites e3, which was never seen


async def test_two_calls_with_one_id_are_no_reply(bench: Bench) -> None:
    ran = await bench.run(turns(Turn(calls=(look("port", id="toolu_1"), look("probe", id="toolu_1")))))

    assert isinstance(ran.error, ReplyInvalid | AnalyzerUnavailable)  # some backends find it out already
    assert len(ran.server.requests) == 1
    assert ran.shelf.asked == []


async def test_text_without_a_conclusion_is_reminded_of_once(bench: Bench) -> None:
    ran = await bench.run(turns(Turn(text="It is the probe."), CONCLUDES))
    silent = await bench.run(turns(Turn(text="It is the probe.")))

    assert ran.investigation.conclusion is Conclusion.FAULT_FOUND
    assert isinstance(silent.error, ReplyInvalid)
    assert len(silent.server.requests) == 2


async def test_a_reply_cut_at_its_length_is_reminded_of_once(bench: Bench) -> None:
    cut = Turn(text="The probe asks", stop="max_tokens" if bench.protocol == "claude" else "length")
    ran = await bench.run(turns(cut, CONCLUDES))

    assert ran.investigation.conclusion is Conclusion.FAULT_FOUND
    assert prompt.CUT_SHORT in ran.told


async def test_a_model_that_declines_ends_the_run(bench: Bench) -> None:
    declined = Turn(text="I cannot.", stop="refusal" if bench.protocol == "claude" else "content_filter")
    ran = await bench.run(turns(declined))

    assert isinstance(ran.error, ReplyInvalid)
    assert len(ran.server.requests) == 1
    assert [step.stop_reason for step in ran.stored.steps if step.kind is StepKind.TURN] == [declined.stop]


async def test_a_reply_that_pauses_goes_on_with_the_same_conversation(bench: Bench) -> None:
    if bench.protocol != "claude":
        pytest.skip("Chat Completions know no pause")
    ran = await bench.run(turns(Turn(text="I go on.", stop="pause_turn"), CONCLUDES))

    assert ran.investigation.conclusion is Conclusion.FAULT_FOUND
    assert [step.turn for step in ran.stored.steps if step.kind is StepKind.TURN] == [1, 2]


@pytest.mark.inv(47)
async def test_what_a_model_writes_is_redacted_too(bench: Bench) -> None:
    said = f"the log shows {TOKEN}"
    ran = await bench.run(turns(Turn(thinking=said, text=said, calls=(conclude("e1", summary=said),))))

    assert TOKEN not in repr(ran.investigation)
    assert TOKEN not in repr(ran.stored)


@pytest.mark.inv(41)
@pytest.mark.parametrize("status", [429, 529, 500, 503])
async def test_a_passing_refusal_is_repeated(bench: Bench, status: int) -> None:
    ran = await bench.run(requests(Turn(status=status, text="later"), Turn(status=status), CONCLUDES))

    assert ran.investigation.conclusion is Conclusion.FAULT_FOUND
    assert len(ran.slept) == 2
    assert all("again in" in text for text in ran.texts(StepKind.FAILURE))
    assert ran.spent.day_usd == pytest.approx(ran.investigation.cost_usd)  # what was refused cost nothing


@pytest.mark.inv(41)
async def test_a_longer_pause_than_may_be_waited_is_given_up_at_once(bench: Bench) -> None:
    ran = await bench.run(turns(Turn(status=429, headers={"retry-after": "3600"})))

    assert isinstance(ran.error, AnalyzerUnavailable)
    assert (len(ran.server.requests), ran.slept) == (1, [])


async def test_a_pause_that_the_provider_asks_for_is_kept(bench: Bench) -> None:
    ran = await bench.run(requests(Turn(status=429, headers={"retry-after": "17"}), CONCLUDES))

    assert ran.slept == [17.0]


@pytest.mark.inv(41)
async def test_a_provider_that_says_nothing_costs_the_deadline_and_no_more(bench: Bench) -> None:
    ran = await bench.run(turns(replace(LOOKS, stall_after_events=0)), seconds=2.0)

    assert isinstance(ran.error, AnalyzerUnavailable)
    assert ran.texts(StepKind.FAILURE)
    assert ran.spent.day_usd > 0  # it may have been charged
    assert sum(step.cost_usd for step in ran.stored.steps) == pytest.approx(ran.spent.day_usd)


@pytest.mark.inv(41)
async def test_a_reply_that_breaks_off_stays_on_record_and_does_not_count(bench: Bench) -> None:
    within_a_call = 12 if bench.protocol == "claude" else 6
    ran = await bench.run(requests(replace(LOOKS, cut_after_events=within_a_call), LOOKS, CONCLUDES))

    assert ran.investigation.conclusion is Conclusion.FAULT_FOUND
    failure = next(step for step in ran.stored.steps if step.kind is StepKind.FAILURE)
    assert failure.usage is not None
    assert failure.cost_usd > 0
    assert ran.stored.steps[1].kind is StepKind.THINKING
    assert ran.investigation.cost_usd > failure.cost_usd
    assert ran.shelf.asked == ["port", "probe"]


@pytest.mark.inv(42)
async def test_of_a_thousand_calls_those_within_the_budget_are_made(bench: Bench) -> None:
    many = Turn(calls=tuple(look(f"k{number}") for number in range(1000)))
    entries = {f"k{number}": str(number) for number in range(1000)}
    ran = await bench.run(turns(many, Turn(calls=(conclude("e2"),))), entries=entries)

    assert ran.investigation.conclusion is Conclusion.FAULT_FOUND
    assert len(ran.shelf.asked) == LIMITS.tool_calls
    assert ran.shelf.at_once == 8
    assert len(ran.stored.steps) < 50
    assert "refused: 990 further calls; 10 looks are made" in ran.texts(StepKind.TOOL_RESULT)


@pytest.mark.inv(42)
async def test_a_reply_of_five_megabytes_is_cut_off(bench: Bench) -> None:
    ran = await bench.run(turns(Turn(text="x" * 5_000_000)))

    assert isinstance(ran.error, AnalyzerUnavailable)
    assert len(ran.server.requests) == 1
    assert all(len(step.text) < 100_000 for step in ran.stored.steps)


@pytest.mark.inv(42)
@pytest.mark.parametrize("tokens", [-5, 10**15, "many", True, 1.5])
async def test_a_count_that_cannot_be_is_taken_at_its_most(bench: Bench, tokens: Any) -> None:
    usage = reported(bench, input_tokens=tokens, output_tokens=tokens)
    ran = await bench.run(turns(replace(CONCLUDES, usage=usage)))

    assert isinstance(ran.investigation.usage, Usage)
    assert ran.investigation.usage.output_tokens == LIMITS.output_tokens
    assert 0 < ran.investigation.cost_usd < LIMITS.usd
    assert any("cannot be believed" in text for text in ran.texts(StepKind.TURN))


@pytest.mark.inv(42)
async def test_without_a_count_the_most_is_counted(bench: Bench) -> None:
    ran = await bench.run(turns(replace(CONCLUDES, usage=None)))

    assert ran.investigation.usage is not None
    assert ran.investigation.usage.output_tokens == LIMITS.output_tokens


@pytest.mark.inv(42)
async def test_the_last_turn_has_to_conclude(bench: Bench) -> None:
    ran = await bench.run(
        lambda told: CONCLUDES if prompt.LAST in told.told else Turn(calls=(look(f"k{told.turn}"),)),
        limits=replace(LIMITS, turns=4),
    )

    assert ran.investigation.conclusion is Conclusion.FAULT_FOUND
    assert len(ran.server.requests) == 4


@pytest.mark.inv(42)
@pytest.mark.parametrize(
    ("changes", "limit"),
    [
        ({"turns": 3}, "analysis.max_turns"),
        ({"tokens": 60_000}, "analysis.max_tokens"),
        ({"usd": 0.2}, "analysis.max_usd"),
    ],
)
async def test_a_model_that_never_concludes_ends_at_its_limit(
    bench: Bench, changes: dict[str, Any], limit: str
) -> None:
    entries = {f"k{number}": f"{number} " * 1000 for number in range(100)}
    ran = await bench.run(
        lambda told: Turn(calls=(look(f"k{told.turn}"),)),
        limits=replace(LIMITS, **{"turns": 100, "tool_calls": 100, **changes}),
        entries=entries,
    )

    assert isinstance(ran.error, AnalyzerUnavailable)
    assert limit in str(ran.error)
    assert ran.spent.day_usd <= ran.spent.day_tokens * 15e-6
    assert ran.spent.day_usd <= changes.get("usd", LIMITS.usd)
    assert ran.spent.day_tokens <= changes.get("tokens", LIMITS.tokens)


@pytest.mark.inv(42)
async def test_tool_results_stay_within_their_bytes(bench: Bench) -> None:
    entries = {f"k{number}": "x" * 3000 for number in range(10)}
    ran = await bench.run(
        turns(Turn(calls=tuple(look(f"k{number}") for number in range(10))), Turn(calls=(conclude("e2"),))),
        entries=entries,
        limits=replace(LIMITS, evidence_bytes=20_000),
    )

    assert sum(len(item.text) for item in ran.investigation.evidence[1:]) <= 20_000
    assert "no room left" in ran.told


@pytest.mark.inv(42)
async def test_no_request_is_sent_that_an_hour_could_not_pay(bench: Bench) -> None:
    ran = await bench.run(turns(CONCLUDES), caps=replace(GENEROUS, hour_usd=0.01))

    assert isinstance(ran.error, BudgetSpent)
    assert "analysis.max_usd_per_hour" in str(ran.error)
    assert ran.server.requests == []


async def test_a_conclusion_beside_a_look_stands_where_no_look_is_made_any_more(bench: Bench) -> None:
    both = Turn(calls=(look("port"), conclude("e1")))
    ran = await bench.run(turns(both), limits=replace(LIMITS, turns=1))

    assert ran.investigation.conclusion is Conclusion.FAULT_FOUND
    assert ran.shelf.asked == []


class Torn(dict[str, str]):
    """Entries that cannot be looked up."""

    def __contains__(self, at: object) -> bool:
        raise ArithmeticError(f"my secret {at}")


@pytest.mark.inv(41)
async def test_an_error_that_nobody_foresaw_is_no_answer_and_told_without_its_words(bench: Bench) -> None:
    ran = await bench.run(turns(LOOKS, CONCLUDES), entries=Torn())

    assert isinstance(ran.error, AnalyzerUnavailable)
    assert "ArithmeticError" in ran.texts(StepKind.FAILURE)[-1]
    assert not any("my secret" in step.text for step in ran.stored.steps)


@pytest.mark.inv(41)
async def test_a_provider_that_goes_on_refusing_is_left_alone(bench: Bench) -> None:
    refused = await bench.run(turns(Turn(status=500)))
    left_alone = await bench.run(turns(CONCLUDES))

    assert len(refused.server.requests) == 5
    assert isinstance(left_alone.error, AnalyzerUnavailable)
    assert "left alone" in str(left_alone.error)
    assert left_alone.server.requests == []


async def test_a_wrong_key_opens_the_breaker_at_once(bench: Bench) -> None:
    ran = await bench.run(turns(Turn(status=401, text="invalid key")))

    assert isinstance(ran.error, AnalyzerUnavailable)
    assert Refusal.UNAUTHORIZED.value in str(ran.error)
    assert bench.breaker.state(asyncio.get_running_loop().time()) is BreakerState.OPEN
    assert len(ran.server.requests) == 1


async def test_a_run_that_is_cancelled_keeps_what_it_had(bench: Bench) -> None:
    asked_again = asyncio.Event()

    def script(told: Conversation) -> Turn:
        if not told.results:
            return LOOKS
        asked_again.set()
        return replace(CONCLUDES, stall_after_events=0)

    running = asyncio.create_task(bench.run(script))
    async with asyncio.timeout(30):
        await asked_again.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    (row,) = await bench.store.read(lambda con: investigations.of_incident(con, "inc-1"))
    assert [item.id for item in row.evidence] == ["e1", "e2", "e3"]
    assert (row.conclusion, row.ended_at) == (Conclusion.UNFINISHED, None)
