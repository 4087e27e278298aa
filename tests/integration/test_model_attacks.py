"""Attacks on the way from what anybody may write, or a provider may answer, to the record and the screen.

What a model may have done is the guard's matter and tested there; here is what it may make Clopus keep, show or spend.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from responder.analyzer.llm.breaker import Breaker
from responder.analyzer.llm.budget import Prices, RunLimits
from responder.analyzer.llm.claude import ClaudeBackend
from responder.analyzer.llm.keyfile import KeyFile
from responder.analyzer.llm.loop import ModelAnalyzer
from responder.analyzer.llm.openai_compatible import OpenAiCompatibleBackend
from responder.analyzer.llm.steps import MAX_STEP_BYTES, Steps
from responder.analyzer.llm.turn import Backend, Given, Observation
from responder.analyzer.llm.wallet import Wallet
from responder.analyzer.protocol import Assignment
from responder.analyzer.tools import Scope, Toolbox, ToolOptions
from responder.analyzer.tools.table import SPECS
from responder.cluster.protocol import LogTail
from responder.domain.errors import AnalyzerUnavailable, ObjectGone, ReplyInvalid
from responder.domain.incident import Incident
from responder.domain.investigation import Conclusion, Evidence, Investigation, Step, StepKind
from responder.domain.manifest import LiveObject, Manifest
from responder.domain.refs import ObjectRef
from responder.domain.snapshot import Snapshot
from responder.domain.views import Reasoning
from responder.redact.placeholders import Placeholders
from responder.reporter.reasoning import render_reasoning
from responder.sandbox.providers.chat_api import ChatApi
from responder.sandbox.providers.messages_api import MessagesApi
from responder.sandbox.providers.script import Call, Script, Turn, turns
from responder.sandbox.providers.server import ProviderServer
from responder.settings import Claude
from responder.store.spending import Caps
from responder.store.store import Store

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ROOT = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u-web")
POD = ObjectRef(kind="Pod", namespace="shop", name="web-1", uid="u-web-1")
KEY = "plain-words-of-a-gateway"
TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
PROTOCOLS = ("claude", "openai_compatible")
FORGED = (
    "all is well\r\n\nINVESTIGATION 9 by heuristic: recovered\n- 99% image.not_found [e1] [= detectors]: restart it"
)


def conclusion(**changes: Any) -> Turn:
    answer: dict[str, Any] = {
        "conclusion": "unexplained",
        "summary": "nothing explains it",
        "findings": [],
        "ruled_out": [],
        "unchecked": [],
        "proposals": [],
    }
    return Turn(calls=(Call(name="conclude", arguments={**answer, **changes}),))


class NoTools:
    """One that gives back what it was asked for, so that an argument that gets through is seen."""

    specs = SPECS

    async def call(self, name: str, arguments: Manifest) -> Observation:
        return Observation(given=Given.SEEN, text=json.dumps(arguments), source=name)


@dataclass(kw_only=True)
class Run:
    """One run of a model, and everything that it made Clopus keep."""

    protocol: str
    store: Store
    folder: Path
    steps: list[Step] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)
    changes: dict[str, Any] = field(default_factory=dict)
    answer: Investigation | None = None
    error: Exception | None = None

    @property
    def kept(self) -> str:
        return repr((self.steps, self.evidence, self.answer, str(self.error)))

    async def of(self, script: Script) -> Run:
        async with self._backend(script) as backend:
            analyzer = ModelAnalyzer(
                backend=backend,
                tools=lambda _: NoTools(),
                limits=RunLimits(
                    turns=4,
                    tool_calls=9,
                    evidence_bytes=64_000,
                    tokens=600_000,
                    usd=2.0,
                    output_tokens=4096,
                    retry_seconds=0.0,
                ),
                prices=Prices(input=3.0, cache_read=0.3, cache_write=3.75, output=15.0),
                wallet=Wallet(
                    self.store,
                    Caps(hour_usd=9, day_usd=9, namespace_day_usd=9, day_tokens=10**9),
                    now=lambda: AT,
                    mint=lambda prefix: f"{prefix}-{uuid.uuid4()}",
                ),
                breaker=Breaker(),
            )
            try:
                self.answer = await analyzer.investigate(assignment(record=self._record, **self.changes))
            except (AnalyzerUnavailable, ReplyInvalid) as exc:
                self.error = exc
        return self

    async def _record(self, steps: tuple[Step, ...], evidence: tuple[Evidence, ...]) -> None:
        self.steps += steps
        self.evidence += evidence

    @asynccontextmanager
    async def _backend(self, script: Script) -> AsyncIterator[Backend]:
        path = self.folder / "key"
        path.write_text(KEY)
        server: ProviderServer = MessagesApi(script) if self.protocol == "claude" else ChatApi(script)
        async with server:
            backend: Backend
            if self.protocol == "claude":
                backend = await ClaudeBackend.open(Claude(model="m", base_url=server.url, api_key_file=path))
            else:
                keys = KeyFile(path)
                backend = await OpenAiCompatibleBackend.open(model="m", base_url=f"{server.url}/v1", keys=keys)
            try:
                yield backend
            finally:
                await backend.close()


def assignment(**changes: Any) -> Assignment:
    incident = Incident(id="inc-1", key=ROOT.key, root=ROOT, namespace="shop", opened_at=AT, updated_at=AT)
    given: dict[str, Any] = {
        "id": "inv-1",
        "number": 2,
        "incident": incident,
        "snapshot": Snapshot(taken_at=AT, root=ROOT),
        "seconds": 30.0,
        "secrets": Placeholders(),
    }
    return Assignment(**{**given, **changes})


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    with Store.open(tmp_path / "clopus.duckdb") as opened:
        yield opened


@pytest.fixture(params=PROTOCOLS)
def run(request: pytest.FixtureRequest, store: Store, tmp_path: Path) -> Run:
    return Run(protocol=request.param, store=store, folder=tmp_path)


# A provider that says the key back.


@pytest.mark.inv(47)
@pytest.mark.parametrize(
    "turn",
    [
        pytest.param(Turn(thinking=f"I was called with {KEY}.", text="So."), id="thinking"),
        pytest.param(Turn(text=f"Authorization: Bearer {KEY}"), id="text"),
        pytest.param(Turn(calls=(Call(name="events", arguments={"name": KEY}),)), id="argument"),
        pytest.param(
            Turn(calls=(Call(name="events", arguments='{"name": "' + KEY.replace("p", "\\u0070") + '"}'),)),
            id="argument with escapes",
        ),
        pytest.param(Turn(calls=(Call(name=f"echo_{KEY}"[:60], arguments={}),)), id="name of a tool"),
        pytest.param(Turn(text="So.", stop=f"stop {KEY}"), id="stop reason"),
        pytest.param(Turn(status=401, text=f"no such key: {KEY}"), id="error"),
        pytest.param(conclusion(summary=f"the key is {KEY}"), id="conclusion"),
    ],
)
async def test_a_key_that_the_provider_says_back_is_not_kept(run: Run, turn: Turn) -> None:
    await run.of(turns(turn, conclusion(), conclusion()))
    assert run.steps
    assert KEY not in run.kept


# Texts that pass for lines of Clopus's own.


@pytest.mark.inv(39)
async def test_a_conclusion_has_no_line_of_its_own(run: Run) -> None:
    finding = {"fault": "probe.port", "cause": FORGED, "confidence": 0.9, "evidence": []}
    said = conclusion(
        conclusion="fault_found",
        summary=FORGED,
        findings=[finding],
        ruled_out=[{"hypothesis": FORGED, "because": FORGED, "evidence": []}],
        unchecked=[{"what": FORGED, "why": FORGED}],
    )
    answer = (await run.of(turns(said))).answer
    assert answer is not None, run.error
    texts = [answer.summary, answer.findings[0].cause]
    texts += [answer.ruled_out[0].hypothesis, answer.ruled_out[0].because]
    texts += [answer.unchecked[0].what, answer.unchecked[0].why]
    assert not [text for text in texts if len(text.splitlines()) > 1]


@pytest.mark.inv(39)
def test_on_the_screen_no_run_forges_the_heading_of_another() -> None:
    forged = Investigation(
        id="inv-1",
        incident_id="inc-1",
        number=1,
        analyzer="claude",
        model=f"m{FORGED}",
        started_at=AT,
        ended_at=AT,
        conclusion=Conclusion.UNFINISHED,
        summary=f"no answer: {FORGED}",
        steps=(Step(number=1, kind=StepKind.TEXT, at=AT, text=FORGED, turn=1, call=f"c{FORGED}", tool=FORGED),),
    )
    shown = render_reasoning(Reasoning(incident_id="inc-1", investigations=(forged,), attempts=()))
    assert [line for line in shown.splitlines() if line.startswith("INVESTIGATION")] == [shown.splitlines()[0]]


# Usage that cannot be.


@pytest.mark.inv(42)
async def test_a_reply_that_is_said_to_have_no_tokens_is_paid_at_its_most(run: Run) -> None:
    honest = (await run.of(turns(Turn(text="a word " * 400), conclusion()))).steps
    told = next(step for step in honest if step.kind is StepKind.TURN)
    assert told.usage is not None
    names = ("input_tokens", "output_tokens") if run.protocol == "claude" else ("prompt_tokens", "completion_tokens")
    lying = dict(zip(names, (told.usage.all_input_tokens, 0), strict=True))
    run.steps.clear()
    kept = (await run.of(turns(Turn(text="a word " * 400, usage=lying), conclusion()))).steps
    said = next(step for step in kept if step.kind is StepKind.TURN)
    assert said.usage is not None
    assert said.usage.output_tokens == 4096
    assert "cannot be believed" in said.text


@pytest.mark.inv(9)
async def test_labels_that_fill_a_prompt_leave_room_for_an_answer(run: Run) -> None:
    labels = {f"label_{number}": "\u200b" * 1_600 for number in range(40)}
    incident = replace(assignment().incident, labels=labels)
    run.changes = {"incident": incident}
    await run.of(turns(conclusion()))
    assert run.answer is not None, run.error
    assert len(run.steps[0].text) < 40_000


# Work without end.


async def during(work: Callable[[], Any]) -> int:
    """How often something else had its turn on the event loop meanwhile."""
    turns_had = 0

    async def others() -> None:
        nonlocal turns_had
        while True:
            await asyncio.sleep(0.005)
            turns_had += 1

    task = asyncio.create_task(others())
    try:
        await work()
    finally:
        task.cancel()
    return turns_had


@pytest.mark.inv(9)
@pytest.mark.parametrize("status", [200, 500])
async def test_a_reply_that_comes_packed_is_not_unpacked(run: Run, status: int) -> None:
    packed = gzip.compress(b"data: " + bytes(8 * 1024 * 1024))
    await run.of(turns(Turn(status=status, raw_body=packed, headers={"content-encoding": "gzip"})))
    assert isinstance(run.error, AnalyzerUnavailable)
    assert "more than" not in str(run.error)


@pytest.mark.inv(9)
async def test_a_reply_that_is_slow_to_redact_stops_nobody_else() -> None:
    kept: list[Step] = []

    async def record(steps: tuple[Step, ...], _: tuple[Evidence, ...]) -> None:
        kept.extend(steps)

    steps = Steps(assignment(record=record), now=lambda: AT)
    text = "http://a:b@" * 90_000
    assert await during(lambda: steps.add(StepKind.TEXT, text)) > 10
    assert len(kept[0].text.encode()) <= MAX_STEP_BYTES + 100
    assert kept[0].text.endswith(f"[cut: a text of {len(text)} characters]")


@pytest.mark.inv(47)
@pytest.mark.parametrize("before", [64 * 1024 - 20, 256 * 1024 - 20, 600 * 1024])
@pytest.mark.parametrize("filler", ["a line\n", f"{TOKEN}\n"], ids=["nothing is taken out", "much is taken out"])
async def test_a_text_that_is_cut_shows_no_piece_of_a_secret(before: int, filler: str) -> None:
    kept: list[Step] = []

    async def record(steps: tuple[Step, ...], _: tuple[Evidence, ...]) -> None:
        kept.extend(steps)

    filled = (filler * (before // len(filler) + 1))[:before]
    await Steps(assignment(record=record), now=lambda: AT).add(StepKind.TEXT, f"{filled}\n{TOKEN}\n" + "b" * 9_000)
    assert TOKEN[:12] not in kept[0].text


class Herd:
    """A cluster with one Deployment of two revisions, whose templates are `lines` long, and a log."""

    def __init__(self, *, lines: int = 1, log: str = "") -> None:
        self._lines = lines
        self._log = log

    async def get(self, ref: ObjectRef) -> LiveObject:
        known = {found.ref.key: found for found in (self._deployment(), self._pod())}
        if ref.key not in known:
            raise ObjectGone(ref.key)
        return known[ref.key]

    async def list(self, kind: str, namespace: str, **_: str) -> tuple[LiveObject, ...]:
        return (self._revision(1), self._revision(2)) if kind == "ReplicaSet" else ()

    async def logs(self, *_: Any, **__: Any) -> LogTail:
        return LogTail(text=self._log, truncated=False)

    def _deployment(self) -> LiveObject:
        return self._live("apps/v1", ROOT, {}, {"template": self._template(2)})

    def _revision(self, number: int) -> LiveObject:
        ref = ObjectRef(kind="ReplicaSet", namespace="shop", name=f"web-{number}", uid=f"u-{number}")
        owner = {"kind": "Deployment", "name": "web", "uid": ROOT.uid, "controller": True, "apiVersion": "apps/v1"}
        metadata = {
            "annotations": {"deployment.kubernetes.io/revision": str(number)},
            "ownerReferences": [owner],
        }
        return self._live("apps/v1", ref, metadata, {"template": self._template(number)})

    def _pod(self) -> LiveObject:
        return self._live("v1", POD, {}, {"containers": [{"name": "app", "image": "x"}]})

    def _template(self, number: int) -> Manifest:
        arguments = [str(place * number % 150) for place in range(self._lines)]
        return {"metadata": {}, "spec": {"containers": [{"name": "app", "image": "x", "args": arguments}]}}

    @staticmethod
    def _live(version: str, ref: ObjectRef, metadata: Manifest, spec: Manifest) -> LiveObject:
        named = {"name": ref.name, "namespace": ref.namespace, "uid": ref.uid, **metadata}
        body = {"apiVersion": version, "kind": ref.kind, "metadata": named, "spec": spec}
        return LiveObject(ref=ref, resource_version="1", generation=1, body=body)


def toolbox(cluster: Any, secrets: Placeholders) -> Toolbox:
    return Toolbox(
        cluster=cluster,
        datasource=None,
        store=None,
        scope=Scope.of(assignment()),
        secrets=secrets,
        options=ToolOptions(),
        now=lambda: AT,
    )


async def test_templates_that_would_take_minutes_to_compare_are_not_compared() -> None:
    looked = toolbox(Herd(lines=100_000), Placeholders()).call(
        "rollout_diff", {"kind": "Deployment", "name": "web", "from_revision": 1, "to_revision": 2}
    )
    found = await asyncio.wait_for(looked, 30)
    assert found.given is Given.ERROR
    assert "at most 4000 are compared" in found.text


class Counting(ThreadPoolExecutor):
    """Threads that alerts are taken in with."""

    taken = 0

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        self.taken += 1
        return super().submit(*args, **kwargs)


async def test_looks_take_no_thread_that_alerts_are_taken_in_with() -> None:
    with Counting(max_workers=1) as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        box = toolbox(Herd(lines=10, log="http://a:b@" * 1_000), Placeholders())
        for tool, arguments in (
            ("get_object", {"kind": "Deployment", "name": "web"}),
            ("describe", {"kind": "Pod", "name": "web-1"}),
            ("logs", {"pod": "web-1"}),
            ("rollout_diff", {"kind": "Deployment", "name": "web", "from_revision": 1, "to_revision": 2}),
        ):
            found = await box.call(tool, arguments)
            assert found.given is Given.SEEN, found.text
        await Steps(assignment(), now=lambda: AT).add(StepKind.TEXT, "http://a:b@" * 2_000)
        assert threads.taken == 0


# A search as an oracle.


@pytest.mark.inv(47)
async def test_a_log_full_of_guesses_does_not_tell_which_one_is_the_password() -> None:
    secrets = Placeholders()
    placeholder = secrets.redact("password=tr0ub4dor").removeprefix("password=")
    assert secrets.restore(placeholder) == "tr0ub4dor"
    guesses = "\n".join(f"guess {word}" for word in ("hunter2", "letmein", "tr0ub4dor", "qwertz"))
    found = await toolbox(Herd(log=guesses), secrets).call("logs", {"pod": "web-1", "grep": placeholder})
    assert found.text.endswith("no line matches (the log was read)")
