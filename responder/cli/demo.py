"""`clopus demo`: the main job on the embedded cluster. No cluster, no key, no network; under a minute.

Five incidents, told as they happen. What is printed is read from the API, as any operator would read it. Exits 0 only
if each ended as it should.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import secrets
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import aiohttp
import click

from console.remote.client import Client, path_of
from responder.analyzer.drill import DrillAnalyzer
from responder.app import Responder, utc_now
from responder.cli.options import columns
from responder.cluster.client import JSON_PATCH
from responder.cluster.client import Client as ClusterClient
from responder.cluster.kubernetes import KubernetesCluster
from responder.cluster.resources import object_path
from responder.domain.action import Action, SetImage
from responder.domain.audit import AuditRecord
from responder.domain.incident import Incident, Outcome, State
from responder.domain.plan import Plan
from responder.domain.refs import ObjectRef
from responder.domain.snapshot import Snapshot
from responder.domain.versions import told
from responder.domain.views import IncidentDetail, IncidentPage
from responder.domain.visible import visible
from responder.reporter.terminal import wrapped
from responder.sandbox import Sandbox
from responder.sandbox.providers.messages_api import MessagesApi
from responder.sandbox.providers.obedient import Obedient
from responder.settings import Settings, load_settings
from responder.telemetry import configure_logging

_SCENARIOS = resources.files("responder.sandbox") / "scenarios"
_CLOPUS = "system:serviceaccount:clopus:clopus"
_PATIENCE_SECONDS = 50.0
_SPEED = 20.0
"""How much faster than a real kubelet the simulated one backs off."""
_INDENT = 13


class StoryFailed(Exception):
    """A story did not end as it should."""


@click.command()
@click.option("--keep", is_flag=True, help="Leave it running afterwards and print how to look at it.")
@click.option("--logs", is_flag=True, help="Show the responder's own log as well.")
def demo(keep: bool, logs: bool) -> None:
    """Show the main job on a built-in cluster; needs nothing."""
    configure_logging(level="info" if logs else "critical", as_json=False)
    try:
        asyncio.run(_run(keep=keep))
    except StoryFailed as exc:
        click.echo(f"\nNOT as it should be: {exc}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(0)


async def _run(*, keep: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="clopus-demo-") as folder:
        async with AsyncExitStack() as stack:
            sandbox = await stack.enter_async_context(Sandbox(namespaces=("shop", "lab"), speed=_SPEED))
            await sandbox.apply_yaml((_SCENARIOS / "cluster.yaml").read_text(encoding="utf-8"))
            token = sandbox.add_token(_CLOPUS, groups=("system:masters",))
            cluster = KubernetesCluster(ClusterClient.from_token(url=sandbox.url, token=token))
            model = await stack.enter_async_context(MessagesApi(Obedient())) if _has_model() else None
            settings, tokens = _settings(Path(folder), model)
            drill = DrillAnalyzer({"Deployment/shop/checkout": _wrong_image}, now=utc_now)
            responder = await Responder.start(settings, cluster=cluster, analyzers={"drill": drill})
            stack.push_async_callback(responder.stop)
            stage = Stage(sandbox=sandbox, cluster=cluster, responder=responder, tokens=tokens)
            await _mistyped_image(stage)
            await _wrong_fix(stage)
            await _crash_loop(stage)
            await _unnoticed(stage)
            if model is None:
                _title("5", "Left out: it needs the extra `claude` of clopus.")
            else:
                await _ordered_about(stage, model)
            click.echo("\nAll ended as they should.")
            if keep:
                await _wait(responder, Path(folder))


def _has_model() -> bool:
    return importlib.util.find_spec("anthropic") is not None


def _settings(folder: Path, model: MessagesApi | None) -> tuple[Settings, Mapping[str, str]]:
    tokens = {name: secrets.token_urlsafe(24) for name in ("alertmanager", "demo-operator")}
    (folder / "webhook-token").write_text(f"alertmanager:{tokens['alertmanager']}\n", encoding="utf-8")
    (folder / "operator-tokens").write_text(f"demo-operator:{tokens['demo-operator']}\n", encoding="utf-8")
    (folder / "token").write_text(tokens["demo-operator"], encoding="utf-8")
    (folder / "rules.yaml").write_text((_SCENARIOS / "rules.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    for name in ("webhook-token", "operator-tokens", "token"):
        (folder / name).chmod(0o600)
    config = {
        "server": {"host": "127.0.0.1", "port": 0},
        "auth": {
            "webhook_token_file": str(folder / "webhook-token"),
            "operator_tokens_file": str(folder / "operator-tokens"),
        },
        "store": {"path": str(folder / "clopus.duckdb")},
        "cluster": {"namespaces": ["shop", "lab"], "own_namespace": "clopus"},
        "rules": {"paths": [str(folder / "rules.yaml")]},
        # The stories in `shop` begin with an alert, the one in `lab` without.
        "watch": {"namespaces": ["lab"], "age_factor": 0.05},
        "claude": {"model": "stand-in", "base_url": model.url} if model is not None else {},
    }
    path = folder / "clopus.yaml"
    path.write_text(json.dumps(config), encoding="utf-8")
    return load_settings(path, {}), tokens


def _wrong_image(snapshot: Snapshot) -> Action:
    return SetImage(target=snapshot.root, container="app", image="registry.example/shop/web:9.9")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Where the stories play, and what has been told already."""

    sandbox: Sandbox
    cluster: KubernetesCluster
    responder: Responder
    tokens: Mapping[str, str]
    told: set[int] = field(default_factory=set)

    @property
    def operator(self) -> Client:
        return Client(self.responder.url, token=self.tokens["demo-operator"])

    async def ask(self, call: Callable[[Client], Any]) -> Any:
        return await asyncio.to_thread(call, self.operator)

    async def post(self, body: Mapping[str, Any]) -> None:
        sender = Client(self.responder.url, token=self.tokens["alertmanager"])
        await asyncio.to_thread(sender.send, dict, "POST", "/webhook/alertmanager", body)

    async def edit(self, kind: str, namespace: str, name: str, patch: bytes, *, by: str) -> None:
        """A JSON patch, as somebody with a terminal would send it."""
        path = object_path(ObjectRef(kind=kind, namespace=namespace, name=name))
        headers = {"Authorization": f"Bearer {self.sandbox.token}", "Content-Type": JSON_PATCH}
        async with aiohttp.ClientSession() as session:
            url = f"{self.sandbox.url}{path}?fieldManager={by}"
            async with session.patch(url, data=patch, headers=headers) as answer:
                answer.raise_for_status()

    async def pod_of(
        self, deployment: str, ready: Callable[[Mapping[str, Any]], bool], *, namespace: str = "shop"
    ) -> str:
        """The name of a pod of the deployment once one satisfies `ready`."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                for pod in await self.cluster.list("Pod", namespace, label_selector=f"app={deployment}"):
                    if ready(pod.body):
                        return pod.ref.name
                await asyncio.sleep(0.1)

    async def until(self, key: str, done: Callable[[Incident], bool]) -> IncidentDetail:
        """Tell the incident's timeline as it grows, until it is `done`."""
        deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            detail = await self._detail(key)
            if detail is not None:
                for record in detail.timeline:
                    if record.seq not in self.told:
                        self.told.add(record.seq)
                        _tell(record, detail)
                if done(detail.incident):
                    return detail
            await asyncio.sleep(0.1)
        raise StoryFailed(f"{key} is not done after {_PATIENCE_SECONDS:.0f} s")

    async def _detail(self, key: str) -> IncidentDetail | None:
        page: IncidentPage = await self.ask(lambda client: client.get(IncidentPage, path_of("incidents"), q=key))
        found = next((incident for incident in page.incidents if incident.key == key), None)
        if found is None:
            return None
        detail: IncidentDetail = await self.ask(
            lambda client: client.get(IncidentDetail, path_of("incidents", found.id))
        )
        return detail


async def _mistyped_image(stage: Stage) -> None:
    _title("1", "Somebody deployed `nignx:1.27`. The rule is autonomous.")
    pod = await stage.pod_of("storefront", lambda pod: _waits(pod, "ImagePullBackOff"))
    recorded = (_SCENARIOS / "webhook.json").read_text(encoding="utf-8")
    await stage.post(_retold(recorded, pod))
    detail = await stage.until("Deployment/shop/storefront", _ended)
    _expect(detail, State.RESOLVED, Outcome.FIXED)
    writes = stage.sandbox.mutations(_CLOPUS)
    if len(writes) != 1:
        raise StoryFailed(f"one write was expected, the API server saw {len(writes)}")
    _say("audit", "the API server saw exactly one effective write, after its dry run")


async def _wrong_fix(stage: Stage) -> None:
    _title("2", "An exercise under a dry-run rule: a human approves a wrong fix.")
    await stage.pod_of("checkout", _is_ready)
    await stage.post(_alert("KubeDeploymentReplicasMismatch", deployment="checkout"))
    waiting = await stage.until("Deployment/shop/checkout", lambda i: i.state is State.AWAITING_APPROVAL)
    plan = waiting.plans[-1].plan
    _say("you", f"clopus approve {plan.id} --digest {plan.digest[:12]}")
    await stage.ask(lambda c: c.send(Plan, "POST", path_of("plans", plan.id, "approve"), {"digest": plan.digest}))
    detail = await stage.until("Deployment/shop/checkout", _ended)
    _expect(detail, State.ESCALATED, Outcome.ROLLED_BACK)


async def _crash_loop(stage: Stage) -> None:
    _title("3", "A program that crashes by its own defect. The rule is autonomous, and yet:")
    before = len(stage.sandbox.mutations(_CLOPUS))
    pod = await stage.pod_of("ledger", lambda pod: _waits(pod, "CrashLoopBackOff"))
    await stage.post(_alert("KubePodCrashLooping", pod=pod, container="app", reason="CrashLoopBackOff"))
    detail = await stage.until("Deployment/shop/ledger", _ended)
    _expect(detail, State.ESCALATED, Outcome.UNFIXABLE)
    if len(stage.sandbox.mutations(_CLOPUS)) != before:
        raise StoryFailed("nothing may be written about a crash that nothing outside the program explains")
    _say("audit", "the API server saw no write")


async def _unnoticed(stage: Stage) -> None:
    _title("4", "Somebody edits a Deployment, and nobody is alerted. Clopus watches:")
    await stage.pod_of("pricing", _is_ready, namespace="lab")
    await stage.edit("Deployment", "lab", "pricing", (_SCENARIOS / "edit.json").read_bytes(), by="kubectl-edit")
    detail = await stage.until("Deployment/lab/pricing", _ended)
    _expect(detail, State.ESCALATED, Outcome.REPORTED)
    edits = [version for version in detail.changes if version.manager == "kubectl-edit"]
    if not edits:
        raise StoryFailed("the incident does not know what was changed before it")
    _say("before", told(edits[0], since=detail.incident.opened_at))


async def _ordered_about(stage: Stage, model: MessagesApi) -> None:
    _title("5", "A log gives orders, and a language model obeys them (a stand-in on loopback). The rule is autonomous.")
    before = len(stage.sandbox.mutations(_CLOPUS))
    pod = await stage.pod_of("greeter", lambda pod: _waits(pod, "CrashLoopBackOff"))
    await stage.post(_alert("KubePodCrashLooping", pod=pod, container="app", reason="CrashLoopBackOff"))
    key = "Deployment/shop/greeter"
    waiting = await stage.until(key, lambda i: i.state is State.AWAITING_APPROVAL)
    run = waiting.investigations[-1]
    _say("steps", f"clopus show {waiting.incident.id} --reasoning tells all {run.step_count} of them")
    plan = waiting.plans[-1].plan
    _say("you", f"clopus reject {plan.id} --reason 'the log wants this, the evidence does not'")
    reason = {"reason": "the log wants this, the evidence does not"}
    await stage.ask(lambda c: c.send(Plan, "POST", path_of("plans", plan.id, "reject"), reason))
    detail = await stage.until(key, _ended)
    _expect(detail, State.ESCALATED, Outcome.REJECTED)
    if len(stage.sandbox.mutations(_CLOPUS)) != before:
        raise StoryFailed("no order in a log may come to a write")
    _say("audit", f"{len(model.requests)} requests to the model, ${run.cost_usd:.2f} if it were one; no write")


def _ended(incident: Incident) -> bool:
    return incident.state in (State.RESOLVED, State.ESCALATED)


def _expect(detail: IncidentDetail, state: State, outcome: Outcome) -> None:
    incident = detail.incident
    if incident.state is not state or incident.outcome is not outcome:
        ended = f"{incident.key} ended {incident.state} ({incident.outcome})"
        raise StoryFailed(f"{ended}, expected {state} ({outcome}): {incident.summary}")


def _tell(record: AuditRecord, detail: IncidentDetail) -> None:
    """One record of the timeline in the words of an operator."""
    told: dict[str, Callable[[], None]] = {
        "incident_opened": lambda: _say("alert", f"{detail.incident.labels.get('alertname')} -> {detail.incident.key}"),
        "investigated": lambda: _tell_investigation(detail),
        "reported": lambda: _tell_investigation(detail),
        "plan_proposed": lambda: _tell_plan(detail),
        "approved_by_policy": lambda: _tell_plan(detail),
        "approved": lambda: _say("approve", f"{record.actor} approved"),
        "applied": lambda: _say("apply", f"written once, requested by {record.actor}"),
        "verified": lambda: _tell_verdict(record, detail),
        "verification_failed": lambda: _tell_verdict(record, detail),
        "rolled_back": lambda: _say("undo", detail.incident.summary),
    }
    tell = told.get(record.event)
    if tell is not None:
        tell()


def _tell_investigation(detail: IncidentDetail) -> None:
    incident = detail.incident
    _say("rule", f"{incident.rule or 'none'}: mode {incident.mode}")
    run = detail.investigations[-1]
    _say("look", f"analyzer {run.analyzer}: evidence {run.evidence_count}, steps {run.step_count}")
    for finding in run.findings[:3]:
        _say("finding", f"{finding.confidence:.0%} {finding.cause} [{', '.join(finding.evidence)}]")
    for fact in run.ruled_out[:4]:
        _say("ruled out", f"{fact.hypothesis}: {fact.because}")
    named = run.summary.startswith(run.conclusion.value)
    _say("verdict", run.summary if named else f"{run.conclusion.value.replace('_', ' ')}: {run.summary}")


def _tell_plan(detail: IncidentDetail) -> None:
    plan = detail.plans[-1].plan
    _say("plan", f"{plan.action.kind}: {plan.reason} (risk {plan.risk}, digest {plan.digest[:12]})")
    for line in plan.diff.splitlines():
        click.echo(f"{'':<{_INDENT}}  {visible(line)}")
    objections = [check for check in plan.checks if not check.passed]
    _say("policy", "; ".join(f"{c.name}: {c.detail}" for c in objections) or f"all {len(plan.checks)} checks passed")


def _tell_verdict(record: AuditRecord, detail: IncidentDetail) -> None:
    said = record.detail if isinstance(record.detail, dict) else {}
    view = next((e for e in detail.executions if e.execution.id == said.get("execution")), None)
    looks = len(view.verifications) if view else 0
    _say("verify", f"{said.get('verdict')} after {looks} looks: {said.get('reason')}")


def _say(who: str, what: str) -> None:
    for line in wrapped(f"  {who}", what, columns(), indent=_INDENT):
        click.echo(line)


def _title(number: str, what: str) -> None:
    click.echo(f"\n{number}. {what}")


def _waits(pod: Mapping[str, Any], reason: str) -> bool:
    statuses = pod.get("status", {}).get("containerStatuses", ())
    return any(status.get("state", {}).get("waiting", {}).get("reason") == reason for status in statuses)


def _is_ready(pod: Mapping[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod.get("status", {}).get("conditions", ()))


def _retold(recorded: str, pod: str) -> dict[str, Any]:
    """The recorded body about the pod that exists now."""
    name = json.loads(recorded)["alerts"][0]["labels"]["pod"]
    body: dict[str, Any] = json.loads(recorded.replace(name, pod))
    return body


def _alert(name: str, **labels: str) -> dict[str, Any]:
    starts_at = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    everything = {"alertname": name, "namespace": "shop", "severity": "warning", **labels}
    return {
        "version": "4",
        "status": "firing",
        "receiver": "clopus",
        "groupKey": f'{{}}:{{alertname="{name}"}}',
        "alerts": [{"status": "firing", "labels": everything, "annotations": {}, "startsAt": starts_at}],
    }


async def _wait(responder: Responder, folder: Path) -> None:
    command = sys.argv[0] if Path(sys.argv[0]).name == "clopus" else "clopus"
    click.echo(
        f"\nIt goes on running. In another terminal:\n\n"
        f"  export CLOPUS_URL={responder.url}\n"
        f"  export CLOPUS_TOKEN_FILE={folder / 'token'}\n"
        f"  {command} console\n"
        f"  {command} incidents\n"
        f"  {command} changes --since 1h\n"
        f"  {command} watches\n"
        f"  {command} show ID\n"
        f'  curl -H "Authorization: Bearer $(cat $CLOPUS_TOKEN_FILE)" \\\n'
        f"      $CLOPUS_URL/api/v1/incidents\n\n"
        f"Ctrl-C ends it (process {os.getpid()})."
    )
    await asyncio.Event().wait()
