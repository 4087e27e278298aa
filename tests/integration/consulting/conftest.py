"""A whole responder on the sandbox, with stubs in place of language models; asked over HTTP, read from its store.

One sandbox per module has the ailing workloads. Every responder has a database, rules and settings of its own, so any
number of tests may look at one workload; a test that changes one takes a namespace for itself.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from console.remote.client import Client, path_of
from responder.app import Responder
from responder.cluster.client import Client as ClusterClient
from responder.cluster.kubernetes import KubernetesCluster
from responder.domain.incident import Incident, State
from responder.domain.plan import Plan
from responder.domain.views import IncidentDetail, IncidentPage, Reasoning
from responder.sandbox import Sandbox
from responder.sandbox.providers.chat_api import ChatApi
from responder.sandbox.providers.messages_api import MessagesApi
from responder.sandbox.providers.script import Call, Script, Turn
from responder.sandbox.providers.server import ProviderServer
from responder.sandbox.resources import POD
from responder.settings import load_settings

PATIENCE_SECONDS = 30.0
CLOPUS = "system:serviceaccount:clopus:clopus"
TOKENS = {"alertmanager": "webhook-token-0123456789", "olga": "operator-token-0123456789"}
_ENDED = frozenset({State.RESOLVED, State.ESCALATED})

_DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: app, {container}}}]}}
"""
CONTAINERS = {
    "typo": "image: 'nignx:1.27', readinessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 1}",
    "two-faults": "image: 'nignx:1.27', ports: [{containerPort: 80}], "
    "readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}",
    "silent": "image: 'busybox:1.36', command: [sh, -c, 'exit 3']",
    "healthy": "image: 'nginx:1.27', readinessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 1}",
}
"""`typo`: the detectors are sure and know a fix. `silent`: they guess, and know none. `two-faults`: the second one
shows when the first one is mended."""


async def until(condition: Callable[[], Any], otherwise: str, *, within_seconds: float = PATIENCE_SECONDS) -> Any:
    """Wait until `condition`, which may be asynchronous, gives something true, and return that."""
    deadline = asyncio.get_running_loop().time() + within_seconds
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        if asyncio.get_running_loop().time() > deadline:
            pytest.fail(f"{otherwise}, after {within_seconds:g} s")
        await asyncio.sleep(0.02)


@dataclass(kw_only=True)
class Shop:
    """The cluster."""

    sandbox: Sandbox
    token: str
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    async def deploy(self, *names: str, more: str = "", **containers: str) -> str:
        """A new namespace with these workloads of CONTAINERS, and others by their container; returns once each ails."""
        namespace = f"shop-{next(self._numbers)}"
        await self.sandbox.apply_yaml(f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n")
        every = {name: CONTAINERS[name] for name in names} | containers
        texts = [_DEPLOYMENT.format(name=n, namespace=namespace, container=c) for n, c in every.items()]
        await self.sandbox.apply_yaml("\n---\n".join((*texts, *([more.format(namespace=namespace)] if more else ()))))
        for name in every:
            await self.until(namespace, name, _is_ready if name == "healthy" else _ails)
        return namespace

    async def until(self, namespace: str, app: str, holds: Callable[[Any], bool]) -> None:
        await until(lambda: any(map(holds, self.pods(namespace, app))), f"{namespace}/{app} is not as wished")

    def pods(self, namespace: str, app: str) -> list[Any]:
        return [pod for pod in self.sandbox.store.list(POD, namespace) if pod["metadata"]["labels"].get("app") == app]

    def image(self, namespace: str, name: str) -> str:
        body = self.sandbox.get("Deployment", namespace, name, api_version="apps/v1")
        image: str = body["spec"]["template"]["spec"]["containers"][0]["image"]
        return image

    def writes(self, namespace: str) -> list[Any]:
        return [event for event in self.sandbox.mutations(CLOPUS) if event.namespace == namespace]


def _statuses(pod: Any) -> list[Any]:
    return list(pod.get("status", {}).get("containerStatuses", ()))


def _ails(pod: Any) -> bool:
    reasons = {status.get("state", {}).get("waiting", {}).get("reason") for status in _statuses(pod)}
    return bool(reasons & {"ImagePullBackOff", "CrashLoopBackOff"})


def _is_ready(pod: Any) -> bool:
    return any(status.get("ready") for status in _statuses(pod))


@dataclass(kw_only=True)
class House:
    """One responder and what it is asked over HTTP."""

    responder: Responder
    folder: Path
    stopped: bool = False

    async def stop(self) -> None:
        if not self.stopped:
            self.stopped = True
            await self.responder.stop()

    @property
    def database(self) -> Path:
        return self.folder / "clopus.duckdb"

    async def ask(self, call: Callable[[Client], Any], *, by: str = "olga") -> Any:
        return await asyncio.to_thread(call, Client(self.responder.url, token=TOKENS[by]))

    async def alert(self, namespace: str, deployment: str, *, name: str = "KubePodNotReady", **fields: Any) -> str:
        """Post one alert about a Deployment; the key of its incident."""
        labels = {"alertname": name, "namespace": namespace, "severity": "warning", "deployment": deployment}
        starts_at = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
        alert = {"status": "firing", "labels": labels, "annotations": {}, "startsAt": starts_at, **fields}
        if alert["status"] == "resolved":
            alert["endsAt"] = datetime.now(UTC).isoformat()
        body = {"version": "4", "status": alert["status"], "receiver": "c", "groupKey": "{}", "alerts": [alert]}
        await self.ask(lambda c: c.send(dict, "POST", "/webhook/alertmanager", body), by="alertmanager")
        return f"Deployment/{namespace}/{deployment}"

    async def until(self, key: str, done: Callable[[Incident], bool], what: str = "as wished") -> IncidentDetail:
        last: list[Incident] = []

        async def condition() -> IncidentDetail | None:
            found = await self.find(key)
            last[:] = [found] if found else []
            return await self.detail(found.id) if found is not None and done(found) else None

        try:
            detail: IncidentDetail = await until(condition, f"{key} is not {what}")
        except BaseException:
            print(last)  # noqa: T201 # shown only where the test fails
            raise
        return detail

    async def ended(self, key: str) -> IncidentDetail:
        return await self.until(key, lambda incident: incident.state in _ENDED, "done")

    async def find(self, key: str) -> Incident | None:
        page: IncidentPage = await self.ask(lambda client: client.get(IncidentPage, path_of("incidents"), q=key))
        return next((incident for incident in page.incidents if incident.key == key), None)

    async def detail(self, incident_id: str) -> IncidentDetail:
        found: IncidentDetail = await self.ask(lambda c: c.get(IncidentDetail, path_of("incidents", incident_id)))
        return found

    async def reasoning(self, incident_id: str) -> Reasoning:
        path = path_of("incidents", incident_id, "reasoning")
        found: Reasoning = await self.ask(lambda client: client.get(Reasoning, path))
        return found

    async def investigate(self, incident_id: str) -> None:
        await self.ask(lambda c: c.send(Incident, "POST", path_of("incidents", incident_id, "investigate")))

    async def approve(self, plan: Plan) -> None:
        path = path_of("plans", plan.id, "approve")
        await self.ask(lambda client: client.send(Plan, "POST", path, {"digest": plan.digest}))

    async def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What is committed, by SQL."""
        found: list[tuple[Any, ...]] = await self.responder._store.read(
            lambda con: con.execute(sql, list(parameters)).fetchall()
        )
        return found


def rule(
    *analyzers: str, mode: str = "report", deadline: float = 20.0, verify: str = "{settle: 1s, within: 20s}"
) -> str:
    return f"""
rules:
  - name: shop
    match: {{matchers: ['alertname=~".+"']}}
    mode: {mode}
    actions: [set_image, undo_rollout, set_probe, restart_rollout]
    max_risk: medium
    budget: {{per_workload: 9/30m, per_namespace: 9/1h, concurrent: 9}}
    analyzers: [{", ".join(analyzers)}]
    deadline: {deadline:g}s
    verify: {verify}
"""


def configuration(folder: Path, rules: str, sections: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Write the credentials and the rules; the settings that name them."""
    (folder / "webhook").write_text(f"alertmanager:{TOKENS['alertmanager']}\n")
    (folder / "operators").write_text(f"olga:{TOKENS['olga']}\n")
    (folder / "rules.yaml").write_text(rules)
    config: dict[str, dict[str, Any]] = {
        "server": {"host": "127.0.0.1", "port": 0, "shutdown_seconds": 4},
        "auth": {
            "webhook_token_file": str(folder / "webhook"),
            "operator_tokens_file": str(folder / "operators"),
        },
        "store": {"path": str(folder / "clopus.duckdb")},
        "cluster": {"own_namespace": "clopus"},
        "rules": {"paths": [str(folder / "rules.yaml")]},
        "watch": {"enabled": False},
    }
    for section, values in sections.items():
        config[section] = {**config.get(section, {}), **values}
    return config


def section_of(name: str, url: str) -> dict[str, Any]:
    """Settings of a language model at a stub server's address."""
    if name == "claude":
        return {"model": "stand-in", "base_url": url}
    return {
        "model": "stand-in",
        "base_url": f"{url}/v1",
        "usd_per_million_input": 3.0,
        "usd_per_million_output": 15.0,
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop() -> AsyncIterator[Shop]:
    async with Sandbox(namespaces=(), speed=20.0) as sandbox:
        yield Shop(sandbox=sandbox, token=sandbox.add_token(CLOPUS, groups=("system:masters",)))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ailing(shop: Shop) -> str:
    """Namespace with a `typo` and a `silent` workload that nobody changes."""
    return await shop.deploy("healthy", "typo", "silent")


@pytest_asyncio.fixture(loop_scope="module")
async def provider() -> AsyncIterator[Callable[[str, Script], Any]]:
    """Start a stub of an analyzer's provider: `await provider("claude", script)`."""
    async with AsyncExitStack() as stack:

        async def start(name: str, script: Script, **options: Any) -> ProviderServer:
            kind = MessagesApi if name == "claude" else ChatApi
            server: ProviderServer = await stack.enter_async_context(kind(script, **options))
            return server

        yield start


@pytest_asyncio.fixture(loop_scope="module")
async def house(shop: Shop, tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Start a responder: `await house(rules, claude=server, analysis={...})`. A model by its stub, or by an address."""
    async with AsyncExitStack() as stack:
        numbers = itertools.count(1)

        async def start(rules: str, **sections: Any) -> House:
            folder = tmp_path / f"house-{next(numbers)}"
            folder.mkdir()
            given: dict[str, Mapping[str, Any]] = {}
            for name, value in sections.items():
                url = value.url if isinstance(value, ProviderServer) else value
                given[name] = section_of(name, url) if isinstance(url, str) else value
            path = folder / "clopus.yaml"
            path.write_text(json.dumps(configuration(folder, rules, given)))
            cluster = KubernetesCluster(ClusterClient.from_token(url=shop.sandbox.url, token=shop.token))
            responder = await Responder.start(load_settings(path, {}), cluster=cluster)
            started = House(responder=responder, folder=folder)
            stack.push_async_callback(started.stop)
            return started

        yield start


def conclusion(*proposals: Mapping[str, Any], evidence: Sequence[str] = ("e1",), **changes: Any) -> Turn:
    """A reply that concludes; without proposals it explains and suggests nothing."""
    finding = {
        "fault": "model.bad_flag",
        "cause": "the program was given a flag it does not know",
        "confidence": 0.9,
        "evidence": list(evidence),
    }
    answer: dict[str, Any] = {
        "conclusion": "fault_found",
        "summary": "a flag is wrong",
        "findings": [finding],
        "ruled_out": [],
        "unchecked": [],
        "proposals": [
            {"answers": "model.bad_flag", "reason": "it mends it", "evidence": list(evidence), "action": action}
            for action in proposals
        ],
    }
    return Turn(calls=(Call(name="conclude", arguments={**answer, **changes}),))


@pytest.fixture(name="until")
def _until() -> Callable[..., Any]:
    return until


@pytest.fixture(name="rule")
def _rule() -> Callable[..., str]:
    return rule


@pytest.fixture(name="conclusion")
def _conclusion() -> Callable[..., Turn]:
    return conclusion


@pytest.fixture(name="configuration")
def _configuration() -> Callable[..., dict[str, dict[str, Any]]]:
    return configuration


@pytest_asyncio.fixture(loop_scope="module")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened
