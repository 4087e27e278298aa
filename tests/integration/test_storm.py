"""Storms: whatever arrives, one cause is one incident, and few are looked at. A whole responder on the sandbox."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from responder.app import Responder
from responder.cluster.client import Client
from responder.cluster.kubernetes import KubernetesCluster
from responder.domain.alert import Alert, AlertSource, AlertStatus, Delivery
from responder.domain.incident import Incident, Outcome, State
from responder.domain.plan import Plan, PlanState
from responder.domain.refs import ObjectRef
from responder.pipeline.context import Sightings
from responder.sandbox import Sandbox
from responder.sandbox.resources import BY_KIND
from responder.settings import load_settings
from responder.store import alerts, audit, decisions, incidents, plans
from responder.store.connection import Connection

pytestmark = pytest.mark.timeout(240)

PATIENCE_SECONDS = 150.0
TOKENS = {"alertmanager": "webhook-token-0123456789", "olga": "operator-token-0123456789"}
IMAGE = "image/nignx:1.27"
RULES = """
rules:
  - name: seen
    match: {alerts: [OnlySeen], sources: [kubernetes]}
  - name: images
    match: {matchers: ['namespace=~".+"']}
    mode: autonomous
    actions: [set_image]
    images: ['nginx:*']
    max_risk: high
    budget: {per_workload: 50/30m, per_namespace: 200/1h, per_cluster: 500/1h}
    verify: {settle: 1s, within: 20s}
"""
Condition = Callable[[], Any]


class Stage:
    """A responder whose alerts come from a test alone: nothing watches the cluster."""

    def __init__(self, folder: Path, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self._folder, self._session = folder, session
        self.responder: Responder | None = None

    async def start(self, **intake: float) -> None:
        files = {"webhook": f"alertmanager:{TOKENS['alertmanager']}\n", "operators": f"olga:{TOKENS['olga']}\n"}
        for name, text in {**files, "rules.yaml": RULES}.items():
            (self._folder / name).write_text(text)
        config = {
            "server": {"host": "127.0.0.1", "port": 0},
            "auth": {
                "webhook_token_file": str(self._folder / "webhook"),
                "operator_tokens_file": str(self._folder / "operators"),
            },
            "store": {"path": str(self._folder / "clopus.duckdb")},
            "cluster": {"own_namespace": "clopus", "late_write_seconds": 1.5},
            "rules": {"paths": [str(self._folder / "rules.yaml")]},
            "watch": {"enabled": False},
            "intake": intake,
        }
        path = self._folder / "clopus.yaml"
        path.write_text(json.dumps(config))
        token = self.sandbox.add_token("system:serviceaccount:clopus:clopus", groups=("system:masters",))
        cluster = KubernetesCluster(Client.from_token(url=self.sandbox.url, token=token))
        self.responder = await Responder.start(load_settings(path, {}), cluster=cluster)

    async def stop(self) -> None:
        if self.responder is not None:
            await self.responder.stop()
            self.responder = None

    async def post(self, sent: Sequence[Mapping[str, Any]]) -> None:
        body = {"version": "4", "receiver": "clopus", "status": "firing", "alerts": list(sent)}
        await self.call("POST", "/webhook/alertmanager", body, token=TOKENS["alertmanager"])

    async def watched(self, *seen: Alert) -> None:
        """As the Kubernetes watch hands its alerts over."""
        assert self.responder is not None
        await self.responder._store.ingest(Delivery(alerts=seen), datetime.now(UTC))
        self.responder.pipeline.alerts_accepted()

    def knows(self, sightings: Sightings) -> None:
        """What a watch would tell by itself."""
        assert self.responder is not None
        pipeline = self.responder.pipeline
        pipeline._ctx = replace(pipeline._ctx, sightings=sightings)

    async def call(self, method: str, path: str, body: Any = None, *, token: str = TOKENS["olga"]) -> Any:
        assert self.responder is not None
        url, data = f"{self.responder.url}{path}", None if body is None else io.BytesIO(json.dumps(body).encode())
        headers = {"Authorization": f"Bearer {token}"}
        async with self._session.request(method, url, headers=headers, data=data) as answer:
            told = await answer.json(content_type=None) if "metrics" not in path else await answer.text()
            assert answer.status < 300, (answer.status, told)
            return told

    async def read(self, query: Callable[[Connection], Any]) -> Any:
        assert self.responder is not None
        return await self.responder._store.read(query)

    async def folded(self) -> None:
        """Until no alert waits and nothing is left to look at."""
        await self.until(lambda: self.read(lambda con: not alerts.counts(con).pending), "alerts still wait")
        await self.until(lambda: self.read(lambda con: not _in_work(con)), "incidents are still looked at")

    async def incidents(self) -> tuple[Incident, ...]:
        found: tuple[Incident, ...] = await self.read(lambda con: incidents.page(con, limit=500)[0])
        return found

    async def the_incident(self) -> Incident:
        (found,) = await self.incidents()
        return found

    async def looks(self) -> int:
        count = "SELECT count(*) FROM investigations"
        looks: int = await self.read(lambda con: con.execute(count).fetchone()[0])
        return looks

    async def alert_metrics(self) -> dict[str, float]:
        text = await self.call("GET", "/metrics")
        wanted = {
            line.split("{")[1].split('"')[1]: float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if line.startswith("clopus_alerts_total")
        }
        pending = next(line for line in text.splitlines() if line.startswith("clopus_alerts_pending "))
        return {"processed": 0.0, "quarantined": 0.0, **wanted, "pending": float(pending.rpartition(" ")[2])}

    async def deploy(self, name: str, image: str) -> None:
        template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "app", "image": image}]}}
        spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
        await self.sandbox.create(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": name, "namespace": "shop"},
                "spec": spec,
            }
        )

    async def until(self, condition: Condition, otherwise: str) -> Any:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (found := await condition()):
            if time.monotonic() > deadline:
                pytest.fail(f"{otherwise}: {[(i.key, i.state.value, i.summary) for i in await self.incidents()]}")
            await asyncio.sleep(0.05)
        return found


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """On a cluster with a namespace `shop` and a node; the responder is not started."""
    async with Sandbox(namespaces=("shop",), speed=20.0) as sandbox, aiohttp.ClientSession() as session:
        stage = Stage(tmp_path, sandbox, session)
        yield stage
        await stage.stop()


def about(name: str, *, status: str = "firing", alert: str = "KubeDeploymentReplicasMismatch") -> dict[str, Any]:
    began = datetime.now(UTC) - timedelta(minutes=5)
    return {
        "status": status,
        "labels": {"alertname": alert, "namespace": "shop", "deployment": name, "severity": "warning"},
        "annotations": {},
        "startsAt": "2026-01-01T00:00:00Z" if status == "resolved" else began.replace(microsecond=0).isoformat(),
        "endsAt": datetime.now(UTC).isoformat() if status == "resolved" else "0001-01-01T00:00:00Z",
    }


def seen(
    name: str, *, causes: str = IMAGE, alert: str = "ImagePullBackOff", status: str = "firing", **labels: str
) -> Alert:
    at = datetime.now(UTC)
    return Alert(
        fingerprint=f"{alert}-{name}",
        source=AlertSource.KUBERNETES,
        status=AlertStatus(status),
        labels={
            "alertname": alert,
            "namespace": "shop",
            "kind": "Deployment",
            "name": name,
            "severity": "warning",
            **labels,
        },
        annotations={"causes": causes},
        starts_at=at - timedelta(minutes=5),
        ends_at=at if status == "resolved" else None,
    )


def _in_work(con: Connection) -> bool:
    counted = incidents.count_by_state(con)
    return any(counted.get(state) for state in (State.OPEN, State.INVESTIGATING, State.EXECUTING, State.VERIFYING))


async def _balance(stage: Stage, expected: int) -> None:
    told = await stage.alert_metrics()
    assert told["accepted"] == expected
    assert told["accepted"] == told["processed"] + told["pending"] + told["quarantined"]


@pytest.mark.inv(9)
async def test_ten_thousand_alerts_of_one_body_are_one_incident(stage: Stage) -> None:
    await stage.start()
    await stage.post([about(f"web-{n}") for n in range(10_000)])
    await stage.folded()
    incident = await stage.the_incident()
    assert (incident.cause, incident.members) == ("alertname/KubeDeploymentReplicasMismatch", 10_000)
    assert await stage.looks() <= 5
    await _balance(stage, 10_000)


@pytest.mark.inv(9)
async def test_five_hundred_bodies_are_a_handful_of_incidents(stage: Stage) -> None:
    await stage.start()
    for body in range(500):
        await stage.post([about(f"web-{body}-{n}") for n in range(20)])
    await stage.folded()
    assert len(await stage.incidents()) <= 5
    assert await stage.looks() <= 5
    await _balance(stage, 10_000)


async def test_alerts_that_trickle_in_one_by_one_are_a_handful_of_incidents(stage: Stage) -> None:
    await stage.start()
    for n in range(30):
        await stage.post([about(f"web-{n}")])
        await stage.folded()
    found = await stage.incidents()
    assert sorted(incident.members for incident in found) == [0, 0, 0, 0, 26]
    assert await stage.looks() <= 5


async def test_what_the_watch_sees_of_one_image_is_one_incident(stage: Stage) -> None:
    await stage.start()
    for at in range(0, 2000, 100):
        await stage.watched(*(seen(f"web-{n}") for n in range(at, at + 100)))
    await stage.folded()
    incident = await stage.the_incident()
    assert (incident.key, incident.cause, incident.members) == (f"cause/{IMAGE}", IMAGE, 2000)
    assert await stage.looks() <= 1
    members = await stage.read(lambda con: incidents.members(con, incident.id))
    assert members[0] == incident.root
    assert len(members) == 100


async def test_alertmanager_and_the_watch_on_one_object_are_one_incident(stage: Stage) -> None:
    await stage.start()
    await stage.post([about("web")])
    await stage.watched(seen("web"))
    await stage.folded()
    assert (await stage.the_incident()).key == "Deployment/shop/web"


async def test_a_rule_for_the_watch_speaks_for_what_the_watch_saw(stage: Stage) -> None:
    await stage.start()
    await stage.watched(seen("a", alert="OnlySeen"))
    await stage.post([about("b", alert="OnlySeen")])
    await stage.folded()
    rules = {incident.key: incident.rule for incident in await stage.incidents()}
    assert rules == {"Deployment/shop/a": "seen", "Deployment/shop/b": "images"}


async def test_a_root_with_an_incident_of_its_own_keeps_it(stage: Stage) -> None:
    await stage.start()
    await stage.watched(seen("w1"))
    await stage.folded()
    await stage.watched(*(seen(f"w{n}") for n in range(2, 6)))
    await stage.watched(seen("w1", alert="ContainerNotReady"))
    await stage.folded()
    keys = {incident.key: incident.members for incident in await stage.incidents()}
    assert keys == {"Deployment/shop/w1": 0, f"cause/{IMAGE}": 4}


async def test_pods_of_a_lost_node_are_the_nodes_incident(stage: Stage) -> None:
    await stage.start()
    await stage.watched(seen("web", causes="Node/worker-9", alert="ContainerNotReady"))
    await stage.watched(seen("worker-9", kind="Node", namespace="", causes="", alert="NodeNotReady"))
    await stage.folded()
    incident = await stage.the_incident()
    assert (incident.key, incident.cause, incident.members) == ("Node/worker-9", "Node/worker-9", 1)
    assert incident.root == ObjectRef(kind="Node", name="worker-9")


async def test_a_nodes_own_incident_takes_its_pods_in(stage: Stage) -> None:
    await stage.start()
    await stage.watched(seen("worker-9", kind="Node", namespace="", causes="", alert="NodeNotReady"))
    await stage.folded()
    await stage.watched(seen("web", causes="Node/worker-9", alert="ContainerNotReady"))
    await stage.folded()
    incident = await stage.the_incident()
    assert (incident.key, incident.cause, incident.members) == ("Node/worker-9", "Node/worker-9", 1)


async def test_a_shared_incident_closes_when_all_of_its_alerts_have_resolved(stage: Stage) -> None:
    await stage.start()
    names = [f"web-{n}" for n in range(300)]
    await stage.watched(*map(seen, names))
    await stage.folded()
    await stage.watched(*(seen(name, status="resolved") for name in names[1:]))
    await stage.folded()
    assert (await stage.the_incident()).state is State.ESCALATED
    await stage.watched(seen(names[0], status="resolved"))
    await stage.until(lambda: _is(stage, State.RESOLVED), "the incident does not close")
    assert await stage.looks() <= 1


async def test_members_that_join_later_are_no_reason_for_another_look(stage: Stage) -> None:
    await stage.start(grace_seconds=0)
    await stage.watched(*(seen(f"web-{n}") for n in range(3)))
    await stage.folded()
    looks = await stage.looks()
    for n in range(3, 8):
        await stage.watched(seen(f"web-{n}"))
        await stage.folded()
    assert (await stage.the_incident()).members == 8
    assert await stage.looks() == looks


async def test_automation_never_acts_on_a_shared_cause(stage: Stage) -> None:
    plan = await _shared_plan(stage)
    incident = await stage.the_incident()
    assert incident.state is State.AWAITING_APPROVAL
    assert incident.mode == "dry-run"
    assert not {check.name: check.passed for check in plan.checks}["cause_not_shared"]
    (decision,) = await stage.read(lambda con: decisions.of_incident(con, incident.id))
    assert (decision.rule_mode, decision.mode) == ("autonomous", "dry-run")
    assert "several failures" in decision.why[-1]


async def test_after_one_member_is_mended_the_next_one_follows(stage: Stage) -> None:
    plan = await _shared_plan(stage)
    first = await stage.the_incident()
    await _approve(stage, plan)
    second = await stage.until(lambda: _waiting_plan(stage, after=plan.id), "no plan for the next member")
    incident = await stage.the_incident()
    assert incident.root is not None
    assert first.root is not None
    assert second.action.target.name == incident.root.name != first.root.name
    steps = await stage.read(lambda con: [r.event for r in audit.of_incident(con, incident.id)])
    assert steps.count("member_mended") == 1
    await _approve(stage, second)
    third = await stage.until(lambda: _waiting_plan(stage, after=second.id), "no plan for the last member")
    await _approve(stage, third)
    await stage.until(lambda: _is(stage, State.RESOLVED), "the incident does not end")
    ended = await stage.the_incident()
    assert (ended.state, ended.outcome) == (State.RESOLVED, Outcome.FIXED)


async def test_the_next_member_is_found_again_after_a_restart(stage: Stage) -> None:
    plan = await _shared_plan(stage)
    await _approve(stage, plan)
    await stage.until(lambda: _has_applied(stage), "the change is not made")
    await stage.stop()
    await stage.start()
    second = await stage.until(lambda: _waiting_plan(stage, after=plan.id), "no plan for the next member")
    assert second.action.target.name != plan.action.target.name


async def test_a_warning_of_what_may_come_is_only_reported(stage: Stage) -> None:
    await stage.deploy("web", "nignx:1.27")
    await stage.start()
    await stage.until(lambda: _cannot_pull(stage, 1), "the pod pulls its image")
    await stage.watched(seen("web", alert="ImageLatest", proactive="true"))
    await stage.folded()
    incident = await stage.the_incident()
    assert (incident.state, incident.mode) == (State.ESCALATED, "report")


async def test_real_trouble_takes_the_place_of_a_warning(stage: Stage) -> None:
    await stage.deploy("web", "nignx:1.27")
    await stage.start()
    await stage.until(lambda: _cannot_pull(stage, 1), "the pod pulls its image")
    await stage.watched(seen("web", alert="ImageLatest", proactive="true"))
    await stage.folded()
    await stage.watched(seen("web"))
    await stage.until(lambda: _is(stage, State.RESOLVED), "the incident is not mended")
    assert (await stage.the_incident()).outcome is Outcome.FIXED


async def test_a_storm_of_warnings_hides_no_trouble(stage: Stage) -> None:
    await stage.start()
    await stage.watched(*(seen(f"web-{n}", alert="ImageLatest", proactive="true") for n in range(6)))
    await stage.folded()
    await stage.watched(seen("web-3", alert="CrashLoopBackOff", causes=""))
    await stage.folded()
    assert {i.key for i in await stage.incidents()} == {"cause/alertname/ImageLatest", "Deployment/shop/web-3"}


async def test_what_the_watch_knows_saves_questions_and_names_causes(stage: Stage) -> None:
    await stage.start(storm_workloads=0)

    def owner(target: ObjectRef) -> ObjectRef:
        return ObjectRef(kind="Deployment", namespace="shop", name=target.name.partition("-")[0], uid="u")

    stage.knows(Sightings(causes=lambda root: (IMAGE,), owner=owner))
    await stage.post(
        [{**about("x"), "labels": {"alertname": "A", "namespace": "shop", "pod": f"w{n}-x"}} for n in range(9)]
    )
    await stage.folded()
    assert (await stage.the_incident()).members == 9
    asked = [e for e in stage.sandbox.audit if e.verb == "get" and e.resource == "pods" and "clopus" in e.user]
    assert asked == []


async def test_thresholds_of_zero_share_nothing(stage: Stage) -> None:
    await stage.start(shared_cause_workloads=0, storm_workloads=0)
    await stage.watched(*(seen(f"web-{n}") for n in range(12)))
    await stage.folded()
    assert len(await stage.incidents()) == 12


async def _shared_plan(stage: Stage) -> Plan:
    """Three Deployments with one mistyped image, one incident, its plan."""
    names = ("web-1", "web-2", "web-3")
    for name in names:
        await stage.deploy(name, "nignx:1.27")
    for number in range(8):
        await stage.deploy(f"calm-{number}", "nginx:1.27")
    await stage.start()
    await stage.until(lambda: _cannot_pull(stage, 3), "the pods pull their images")
    await stage.watched(*map(seen, names))
    plan: Plan = await stage.until(lambda: _waiting_plan(stage), "no plan waits")
    return plan


async def _approve(stage: Stage, plan: Plan) -> None:
    await stage.call("POST", f"/api/v1/plans/{plan.id}/approve", {"digest": plan.digest})


async def _waiting_plan(stage: Stage, after: str = "") -> Plan | None:
    found = await stage.read(lambda con: plans.page(con, states=(PlanState.PROPOSED,), limit=10))
    return next((plan for plan in found if plan.id > after), None)


async def _has_applied(stage: Stage) -> bool:
    return bool(await stage.read(lambda con: plans.page(con, states=(PlanState.APPLIED,), limit=10)))


async def _is(stage: Stage, state: State) -> bool:
    return (await stage.the_incident()).state is state


async def _cannot_pull(stage: Stage, count: int) -> bool:
    waiting = [
        status.get("state", {}).get("waiting", {}).get("reason", "")
        for pod in stage.sandbox.store.list(BY_KIND["v1", "Pod"], "shop")
        for status in pod.get("status", {}).get("containerStatuses", ())
    ]
    return sum("Pull" in reason for reason in waiting) >= count
