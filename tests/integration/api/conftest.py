"""The API on a real socket over a real store; the pipeline is a hand-written stand-in that records what it is asked."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from responder.api.auth import Credentials, Role, TokenFile
from responder.api.listener import Listener, ListenerLimits
from responder.api.routes import build_app
from responder.api.services import Services
from responder.domain.mode import ModeSettings
from responder.domain.rule import Match, Matcher, MatchOp, Mode, Rule, RuleSet
from responder.rules.matcher import Explanation, MatchResult, RuleIndex
from responder.store.store import Store
from responder.telemetry import Metrics

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
TOKENS = {
    "alertmanager": "webhook-token-0123456789",
    "vera": "viewer-token-0123456789",
    "olga": "operator-token-0123456789",
}


class RecordingPipeline:
    """Answers like the pipeline, remembers the calls, and raises what a test puts into `error`."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.error: Exception | None = None
        self.result: object = None
        self.drifted = ""
        self.drift_asked = 0
        self.woken = 0
        self.settings = ModeSettings(kill_switch=True, namespaces={"shop": Mode.DRY_RUN})
        self.rule_set = RuleSet(
            rules=(
                Rule(
                    name="shop",
                    match=Match(alerts=("A",), matchers=(Matcher(label="namespace", op=MatchOp.EQUAL, value="shop"),)),
                    mode=Mode.AUTONOMOUS,
                    actions=("set_image",),
                    file="10-shop.yaml",
                    line=2,
                ),
            ),
            digest="d" * 64,
        )

    def alerts_accepted(self) -> None:
        self.woken += 1

    def mode(self) -> ModeSettings:
        return self.settings

    def explain(self, labels: dict[str, str], source: str) -> MatchResult:
        return RuleIndex(self.rule_set).match(labels, source)

    def explain_each(self, labels: dict[str, str], source: str) -> tuple[Explanation, ...]:
        return RuleIndex(self.rule_set).explain(labels, source)

    def effective_mode(self, rule_mode: Mode, namespace: str) -> Mode:
        return self.settings.effective(rule_mode, namespace)

    async def set_mode(
        self, change: Callable[[ModeSettings], ModeSettings], by: str, *, seen: str = ""
    ) -> ModeSettings:
        self._called("set_mode", by)
        self.settings = replace(change(self.settings), set_by=by)
        return self.settings

    async def approve(self, plan_id: str, digest: str, approver: str) -> object:
        return self._called("approve", plan_id, digest, approver)

    async def reject(self, plan_id: str, reason: str, approver: str) -> object:
        return self._called("reject", plan_id, reason, approver)

    async def roll_back(self, execution_id: str, requested_by: str) -> object:
        return self._called("roll_back", execution_id, requested_by)

    async def drift(self, plan: object) -> str:
        self.drift_asked += 1
        return self.drifted

    async def investigate_again(self, incident_id: str, requested_by: str) -> object:
        return self._called("investigate_again", incident_id, requested_by)

    def _called(self, *call: object) -> object:
        self.calls.append(call)
        if self.error is not None:
            raise self.error
        return self.result


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Api:
    port: int
    session: aiohttp.ClientSession
    services: Services
    pipeline: RecordingPipeline
    listener: Listener
    too_large: list[int] = field(default_factory=list)

    async def __call__(self, method: str, path: str, *, by: str = "olga", **options: Any) -> Answer:
        """`by` is a name of TOKENS, or empty for no credential."""
        headers = {**({"Authorization": f"Bearer {TOKENS[by]}"} if by else {}), **options.pop("headers", {})}
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self.session.request(method, url, headers=headers, allow_redirects=False, **options) as response:
            return Answer(status=response.status, headers=response.headers, body=await response.read())

    async def post_alerts(self, body: object, **options: Any) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self("POST", "/webhook/alertmanager", by="alertmanager", data=io.BytesIO(data), **options)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path / "clopus.db", clock=lambda: NOW)
    yield opened
    opened.close()


@pytest.fixture
def token_files(tmp_path: Path) -> dict[Role, Path]:
    files = {role: tmp_path / f"{role}.tokens" for role in Role}
    files[Role.WEBHOOK].write_text(f"alertmanager:{TOKENS['alertmanager']}\n")
    files[Role.VIEWER].write_text(f"# people who may look\nvera:{TOKENS['vera']}\n")
    files[Role.OPERATOR].write_text(f"olga:{TOKENS['olga']}\n")
    return files


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def serve(store: Store, token_files: dict[Role, Path], metrics: Metrics) -> AsyncIterator[Callable[..., Any]]:
    """Start the API; keyword arguments replace fields of `Services`, `limits` those of the listener."""
    listeners: list[Listener] = []
    async with aiohttp.ClientSession() as session:

        async def start(*, limits: ListenerLimits | None = None, **changes: Any) -> Api:
            pipeline = RecordingPipeline()
            too_large: list[int] = []
            services = Services(
                store=store,
                pipeline=pipeline,
                metrics=metrics,
                credentials=Credentials([TokenFile(path=path, role=role) for role, path in token_files.items()]),
                now=lambda: NOW,
                not_ready=tuple,
                on_too_large=too_large.append,
            )
            listener = Listener(build_app(replace(services, **changes)), limits=limits)
            await listener.open("127.0.0.1", 0)
            listeners.append(listener)
            return Api(
                port=listener.port,
                session=session,
                services=services,
                pipeline=pipeline,
                listener=listener,
                too_large=too_large,
            )

        yield start
        for listener in listeners:
            await listener.close()


@pytest.fixture
async def api(serve: Callable[..., Any]) -> Api:
    started: Api = await serve()
    return started
