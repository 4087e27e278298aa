"""Plans carried out against an API server over HTTP, with answers that get lost on the way, and a real database."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from responder import wire
from responder.analyzer.collect import collect
from responder.cluster.client import Client, Limits
from responder.cluster.kubernetes import KubernetesCluster
from responder.domain.action import Action, AddScratchVolume, DeletePod, RestartRollout, SetImage, SetResources
from responder.domain.errors import (
    ApprovalMismatch,
    ClusterUnavailable,
    Forbidden,
    PlanInvalid,
    PlanStale,
    PolicyViolation,
)
from responder.domain.execution import Baseline, Execution, ExecutionKind, ExecutionOutcome
from responder.domain.investigation import Proposal
from responder.domain.manifest import EXECUTION_ANNOTATION, LiveObject, base_hash, dig
from responder.domain.plan import Plan, PolicyVerdict
from responder.domain.refs import ObjectRef
from responder.domain.rule import ApprovalPolicy, Rule
from responder.fixer import executor
from responder.fixer.approval import approve
from responder.fixer.failpoints import STAGES
from responder.fixer.planner import make_plan
from responder.fixer.recovery import recover
from responder.sandbox import Sandbox
from responder.store import audit, executions, plans
from responder.store.store import Store

WEB = ObjectRef(kind="Deployment", namespace="shop", name="web")
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: registry.example/shop/web:9.9
          resources: {limits: {memory: 64Mi}}
"""
PATH = "/apis/apps/v1/namespaces/shop/deployments/web"
CRASHER = Path(__file__).with_name("crashing_executor.py")

Hook = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """The hook of a proxy that interferes with nobody."""


def brakes_off() -> None:
    """The answer of a gate that lets every write through."""


@dataclass
class Proxy:
    """Stands between Clopus and the API server, and loses or changes what it is told to."""

    upstream: str
    lose_request: bool = False
    lose_reply: bool = False
    rewrite_dry_run: bool = False
    before_write: Hook = nothing
    before_dry_run: Hook = nothing
    before_read: Hook = nothing
    refuse: dict[str, int] = field(default_factory=dict)
    """Path of a read -> status."""
    dry_runs: int = 0
    writes: list[tuple[str, Any]] = field(default_factory=list)
    """Query and body of each write that is no dry run."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        dry_run = "dryRun" in request.query
        write = request.method in ("PATCH", "POST") and not dry_run
        if request.method == "GET":
            await self.before_read()
            if status := self.refuse.get(request.path):
                return web.json_response({"kind": "Status"}, status=status)
        if dry_run:
            self.dry_runs += 1
            await self.before_dry_run()
        if write:
            self.writes.append((request.query_string, json.loads(body)))
            await self.before_write()
            if self.lose_request:
                return self._hang_up(request)
        headers = {name: request.headers[name] for name in ("Authorization", "Content-Type") if name in request.headers}
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method, self.upstream + request.path_qs, data=body or None, headers=headers
            ) as answer,
        ):
            answered, status = await answer.read(), answer.status
        if write and self.lose_reply:
            return self._hang_up(request)
        if dry_run and self.rewrite_dry_run:
            changed = json.loads(answered)
            changed["metadata"].setdefault("labels", {})["injected"] = "yes"
            answered = json.dumps(changed).encode()
        return web.Response(status=status, body=answered, content_type="application/json")

    def _hang_up(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()


@dataclass
class Rig:
    sandbox: Sandbox
    proxy: Proxy
    cluster: KubernetesCluster
    store: Store
    url: str
    """Of the proxy."""
    ids: Any = field(default_factory=lambda: count(1))

    def mint(self, prefix: str) -> str:
        return f"{prefix}-{next(self.ids)}"

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def live(self) -> LiveObject:
        return await self.cluster.get(WEB)

    async def plan(self, action: Action | None = None, *, suggested_by: tuple[str, ...] = ("heuristic",)) -> Plan:
        """A plan as the pipeline makes one, stored and approved by a person."""
        live = await self.live()
        action = action or SetImage(target=live.ref, container="web", image="registry.example/shop/web:1.4")
        snapshot = await collect(self.cluster, live.ref, now=self.now(), namespaces=("shop",))
        plan = await make_plan(
            self.cluster,
            Proposal(action=action, reason="r", finding="image.not_found", evidence=("e1",), suggested_by=suggested_by),
            snapshot=snapshot,
            verdict=PolicyVerdict(admitted=True, autonomous=False),
            incident_id="inc-1",
            investigation_id="inv-1",
            rule=Rule(name="r", approval=ApprovalPolicy(approvers=1)),
            now=self.now(),
            mint=self.mint,
        )
        await self.store.write(lambda con: plans.insert(con, plan))
        return plan

    async def approved(self, action: Action | None = None) -> Plan:
        plan = await self.plan(action)
        approval = approve(plan, digest=plan.digest, approver="alice", kind="human", now=self.now(), mint=self.mint)
        await self.store.write(lambda con: plans.add_approval(con, approval))
        return await self.store.read(lambda con: plans.get(con, plan.id))

    async def execute(
        self, plan: Plan, *, may_write: Callable[[], None] = brakes_off, late_write_seconds: float = 0.0
    ) -> Execution:
        """With the time of late writes over at once, unless a test is about it."""
        return await executor.execute(
            self.cluster,
            self.store,
            plan,
            requested_by="alice",
            baseline=Baseline(ready=0, desired=2),
            now=self.now,
            mint=self.mint,
            may_write=may_write,
            late_write_seconds=late_write_seconds,
        )

    async def roll_back(self, plan: Plan, execution: Execution) -> Execution:
        return await executor.roll_back(
            self.cluster,
            self.store,
            plan,
            execution,
            requested_by="verification",
            now=self.now,
            mint=self.mint,
            may_write=brakes_off,
            late_write_seconds=0.0,
        )

    async def recover(self, execution: Execution, *, late_write_seconds: float = 0.0) -> Execution:
        return await recover(self.cluster, execution, now=self.now(), late_write_seconds=late_write_seconds)

    async def someone_patches(self, body: Any, *, manager: str = "kubectl-edit", path: str = PATH) -> None:
        headers = {
            "Authorization": f"Bearer {self.sandbox.token}",
            "Content-Type": "application/merge-patch+json",
        }
        url = f"{self.sandbox.url}{path}?fieldManager={manager}"
        async with (
            aiohttp.ClientSession() as session,
            session.patch(url, data=json.dumps(body), headers=headers) as answer,
        ):
            assert answer.status == 200, await answer.text()

    async def report_status(self) -> None:
        """A status report: the version moves, nothing that anyone decided does."""
        await self.someone_patches({"status": {"collisionCount": next(self.ids)}}, path=f"{PATH}/status")

    async def recorded(self, plan: Plan) -> tuple[Execution, ...]:
        return await self.store.read(lambda con: executions.of_plan(con, plan.id))

    async def events(self) -> list[str]:
        page = await self.store.read(lambda con: audit.page(con, limit=50))
        records = page[0] if isinstance(page[0], tuple) else page
        return sorted(record.event for record in records)

    async def a_pod(self) -> ObjectRef:
        return (await self.cluster.list("Pod", "shop"))[0].ref


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with Sandbox(namespaces=("shop",), kubelet=False) as sandbox:
        await sandbox.apply_yaml(DEPLOYMENT)
        proxy = Proxy(upstream=sandbox.url)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", proxy.answer)
        async with TestServer(app) as server:
            limits = Limits(request=5, write=5, retry_for=2, backoff=0.01)
            url = str(server.make_url("")).rstrip("/")
            client = Client.from_token(url=url, token=sandbox.token, limits=limits)
            cluster = KubernetesCluster(client)
            store = Store.open(tmp_path / "clopus.duckdb")
            built = Rig(sandbox=sandbox, proxy=proxy, cluster=cluster, store=store, url=url)
            await _rolled_out(built)
            yield built
            store.close()
            await cluster.close()


async def _rolled_out(rig: Rig) -> None:
    """Until the controller has reported on the Deployment, so that its reports do not race with the test."""
    async with asyncio.timeout(10):
        # The condition is the controller's: it can only be asked for, as in a real cluster.
        while dig((await rig.live()).body, "status", "replicas") != 2:  # noqa: ASYNC110 - the cluster tells of it to nobody
            await asyncio.sleep(0.01)


def image(live: LiveObject) -> Any:
    return dig(live.body, "spec", "template", "spec", "containers", 0, "image")


async def test_a_plan_that_only_a_model_suggests_says_so_first(rig: Rig) -> None:
    plan = await rig.plan(suggested_by=("claude",))
    assert plan.warnings[0] == "suggested by a language model (claude) alone: no detector supports it"


async def test_a_plan_that_a_detector_suggests_too_says_nothing_of_models(rig: Rig) -> None:
    plan = await rig.plan(suggested_by=("heuristic", "claude"))
    assert not any("model" in warning for warning in plan.warnings)


@pytest.mark.inv(24, 25)
async def test_the_approved_change_is_made_once_and_recorded(rig: Rig) -> None:
    plan = await rig.approved()
    done = await rig.execute(plan)
    live = await rig.live()
    assert (done.outcome, image(live)) == (ExecutionOutcome.APPLIED, "registry.example/shop/web:1.4")
    assert live.annotations[EXECUTION_ANNOTATION] == done.id
    assert done.base_hash_after == base_hash(live.body)
    assert done.generation_after == live.generation
    assert await rig.recorded(plan) == (done,)
    assert len(rig.proxy.writes) == 1
    query, body = rig.proxy.writes[0]
    assert "fieldValidation=Strict" in query
    assert [op["path"] for op in body if op["path"].startswith("/spec")] == [op.path for op in plan.changes[0].patch]


@pytest.mark.inv(11, 46)
async def test_intent_and_outcome_are_in_the_audit_chain(rig: Rig) -> None:
    await rig.execute(await rig.approved())
    assert await rig.events() == ["intent", "outcome"]


@pytest.mark.inv(37)
async def test_a_plan_without_an_approval_is_not_carried_out(rig: Rig) -> None:
    plan = await rig.plan()
    with pytest.raises(ApprovalMismatch):
        await rig.execute(plan)
    assert await rig.recorded(plan) == ()
    assert rig.proxy.writes == []


@pytest.mark.inv(37)
async def test_an_approval_is_used_up_by_the_intent(rig: Rig) -> None:
    plan = await rig.approved()
    await rig.execute(plan)
    assert await rig.store.read(lambda con: plans.approvals(con, plan.id)) == ()


@pytest.mark.inv(12, 37)
async def test_of_two_executions_of_one_plan_at_once_one_takes_effect(rig: Rig) -> None:
    plan = await rig.approved()
    results = await asyncio.gather(rig.execute(plan), rig.execute(plan), return_exceptions=True)
    assert sum(isinstance(result, Execution) for result in results) == 1
    assert sum(isinstance(result, ApprovalMismatch | PlanStale) for result in results) == 1
    assert len(rig.proxy.writes) == 1


@pytest.mark.inv(24)
async def test_a_status_report_during_the_rehearsal_is_waited_out(rig: Rig) -> None:
    plan = await rig.approved()
    reports = iter([rig.report_status] * 2)
    rig.proxy.before_dry_run = lambda: next(reports, nothing)()
    assert (await rig.execute(plan)).outcome is ExecutionOutcome.APPLIED


@pytest.mark.inv(24)
async def test_a_status_report_does_not_void_the_approval(rig: Rig) -> None:
    plan = await rig.approved()
    await rig.report_status()
    assert (await rig.execute(plan)).outcome is ExecutionOutcome.APPLIED


@pytest.mark.inv(24)
@pytest.mark.parametrize(
    "body",
    [
        {"spec": {"minReadySeconds": 5}},
        {"metadata": {"labels": {"team": "x"}}},
        {"metadata": {"annotations": {"team": "x"}}},
    ],
    ids=["spec", "label", "annotation"],
)
async def test_any_drift_of_the_object_voids_the_approval(rig: Rig, body: Any) -> None:
    plan = await rig.approved()
    await rig.someone_patches(body, manager="argocd-controller")
    with pytest.raises(PlanStale, match="argocd-controller"):
        await rig.execute(plan)
    assert await rig.recorded(plan) == ()
    assert rig.proxy.writes == []


@pytest.mark.inv(24)
async def test_an_autoscaler_that_moves_the_replicas_voids_no_approval(rig: Rig) -> None:
    plan = await rig.approved()
    await rig.someone_patches({"spec": {"replicas": 3}}, manager="horizontal-pod-autoscaler")
    done = await rig.execute(plan)
    assert done.outcome is ExecutionOutcome.APPLIED
    await rig.someone_patches({"spec": {"replicas": 4}}, manager="horizontal-pod-autoscaler")
    assert (await rig.roll_back(plan, done)).outcome is ExecutionOutcome.APPLIED
    live = await rig.live()
    assert (image(live), dig(live.body, "spec", "replicas")) == ("registry.example/shop/web:9.9", 4)


OPT_OUT = {"metadata": {"annotations": {"clopus.dev/ignore": "true"}}}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (
            {"spec": {"minReadySeconds": 5}},
            "Deployment/shop/web changed since it was planned, last by argocd-controller",
        ),
        (OPT_OUT, "Deployment/shop/web carries clopus.dev/ignore"),
        ({"spec": {"replicas": 3}}, ""),
        ({"status": {"observedGeneration": 9}}, ""),
    ],
    ids=["spec", "opt-out", "replicas", "status"],
)
async def test_drift_is_told_before_anyone_approves_and_nothing_is_sent(rig: Rig, body: Any, told: str) -> None:
    plan = await rig.approved()
    assert await executor.drift(rig.cluster, plan) == ""
    rehearsed = rig.proxy.dry_runs
    await rig.someone_patches(body, manager="argocd-controller")
    assert await executor.drift(rig.cluster, plan) == told
    assert (rig.proxy.writes, rig.proxy.dry_runs) == ([], rehearsed)


async def test_another_object_under_the_plans_name_is_drift(rig: Rig) -> None:
    plan = await rig.approved()
    (change,) = plan.changes
    other = replace(plan, changes=(replace(change, target=replace(change.target, uid="u-other")),))
    assert "another object under the same name" in await executor.drift(rig.cluster, other)


NAMESPACE_PATH = "/api/v1/namespaces/shop"


@pytest.mark.inv(26)
@pytest.mark.parametrize("path", [PATH, NAMESPACE_PATH], ids=["object", "namespace"])
async def test_an_opt_out_after_the_approval_stops_the_write(rig: Rig, path: str) -> None:
    plan = await rig.approved()
    await rig.someone_patches(OPT_OUT, path=path)
    with pytest.raises(PolicyViolation, match=r"clopus\.dev/ignore"):
        await rig.execute(plan)
    assert await rig.recorded(plan) == ()
    assert rig.proxy.writes == []


@pytest.mark.inv(26)
@pytest.mark.parametrize("path", [PATH, NAMESPACE_PATH], ids=["object", "namespace"])
async def test_an_opt_out_after_the_change_stops_its_undo(rig: Rig, path: str) -> None:
    plan = await rig.approved()
    done = await rig.execute(plan)
    await rig.someone_patches(OPT_OUT, path=path)
    with pytest.raises(PolicyViolation, match=r"clopus\.dev/ignore"):
        await rig.roll_back(plan, done)
    assert len(rig.proxy.writes) == 1


@pytest.mark.inv(26)
@pytest.mark.parametrize(("status", "error"), [(403, Forbidden), (503, ClusterUnavailable)])
async def test_a_namespace_that_cannot_be_read_stops_the_write(rig: Rig, status: int, error: type[Exception]) -> None:
    plan = await rig.approved()
    rig.proxy.refuse[NAMESPACE_PATH] = status
    with pytest.raises(error):
        await rig.execute(plan)
    assert await rig.recorded(plan) == ()
    assert rig.proxy.writes == []


@pytest.mark.inv(24)
async def test_a_server_that_would_make_something_else_of_it_by_now_voids_the_approval(rig: Rig) -> None:
    plan = await rig.approved()
    rig.proxy.rewrite_dry_run = True
    with pytest.raises(PlanStale):
        await rig.execute(plan)
    assert rig.proxy.writes == []


@pytest.mark.inv(20)
async def test_a_version_that_moves_right_before_the_write_stops_it(rig: Rig) -> None:
    plan = await rig.approved()
    rig.proxy.before_write = rig.report_status
    with pytest.raises(PlanStale):
        await rig.execute(plan)
    (recorded,) = await rig.recorded(plan)
    assert recorded.outcome is ExecutionOutcome.NOT_APPLIED
    assert image(await rig.live()) == "registry.example/shop/web:9.9"


@pytest.mark.inv(31, 32)
async def test_brakes_that_are_on_stop_even_the_dry_run(rig: Rig) -> None:
    plan = await rig.approved()
    dry_runs = rig.proxy.dry_runs

    def on() -> None:
        raise PolicyViolation("the kill switch is on")

    with pytest.raises(PolicyViolation):
        await rig.execute(plan, may_write=on)
    assert await rig.recorded(plan) == ()
    assert (rig.proxy.writes, rig.proxy.dry_runs) == ([], dry_runs)


@pytest.mark.inv(31)
async def test_the_kill_switch_stops_before_the_intent(rig: Rig) -> None:
    plan = await rig.approved()
    pulled: list[bool] = []

    async def pull() -> None:
        pulled.append(True)

    def gate() -> None:
        if pulled:
            raise PolicyViolation("the kill switch is on")

    rig.proxy.before_dry_run = pull
    with pytest.raises(PolicyViolation):
        await rig.execute(plan, may_write=gate)
    assert await rig.recorded(plan) == ()
    assert rig.proxy.writes == []


@pytest.mark.inv(31)
async def test_the_kill_switch_stops_a_write_that_waits_for_its_last_read(rig: Rig) -> None:
    plan = await rig.approved()
    pulled: list[bool] = []

    async def pull_once_the_intent_stands() -> None:
        if await rig.recorded(plan):
            pulled.append(True)

    def gate() -> None:
        if pulled:
            raise PolicyViolation("the kill switch is on")

    rig.proxy.before_read = pull_once_the_intent_stands
    with pytest.raises(PolicyViolation):
        await rig.execute(plan, may_write=gate)
    (recorded,) = await rig.recorded(plan)
    assert recorded.outcome is ExecutionOutcome.NOT_APPLIED
    assert rig.proxy.writes == []


@pytest.mark.inv(12, 13)
async def test_a_lost_answer_is_settled_by_reading_and_nothing_is_sent_twice(rig: Rig) -> None:
    plan = await rig.approved()
    rig.proxy.lose_reply = True
    done = await rig.execute(plan)
    assert done.outcome is ExecutionOutcome.APPLIED
    assert done.base_hash_after == base_hash((await rig.live()).body)
    assert len(rig.proxy.writes) == 1


@pytest.mark.inv(13)
async def test_a_lost_request_is_found_not_applied(rig: Rig) -> None:
    plan = await rig.approved()
    rig.proxy.lose_request = True
    done = await rig.execute(plan)
    assert done.outcome is ExecutionOutcome.NOT_APPLIED
    assert image(await rig.live()) == "registry.example/shop/web:9.9"
    assert len(rig.proxy.writes) == 1


@pytest.mark.inv(12, 13)
async def test_a_write_that_may_still_arrive_stays_open_until_its_time_is_over(rig: Rig) -> None:
    plan = await rig.approved()
    rig.proxy.lose_request = True
    left = await rig.execute(plan, late_write_seconds=60)
    (recorded,) = await rig.recorded(plan)
    assert (left.outcome, recorded.outcome) == (ExecutionOutcome.PENDING, ExecutionOutcome.PENDING)
    for seconds, outcome in ((59.9, ExecutionOutcome.PENDING), (60, ExecutionOutcome.NOT_APPLIED)):
        at = recorded.intent_at + timedelta(seconds=seconds)
        found = await executor.settle(rig.cluster, rig.store, recorded, now=lambda at=at: at, late_write_seconds=60)
        assert found.outcome is outcome
        (stored,) = await rig.recorded(plan)
        assert stored.outcome is outcome
    assert await rig.events() == ["intent", "outcome"]


@pytest.mark.inv(12, 13)
async def test_a_write_that_arrives_late_is_found_applied(rig: Rig) -> None:
    plan = await rig.approved()
    rig.proxy.lose_request = True
    left = await rig.execute(plan, late_write_seconds=60)
    rig.proxy.lose_request = False
    await rig.cluster.apply(left.change, execution_id=left.id, dry_run=False)
    assert (await rig.recover(left, late_write_seconds=60)).outcome is ExecutionOutcome.APPLIED


@pytest.mark.inv(12, 13)
async def test_a_version_that_moved_on_without_our_mark_proves_that_nothing_will_arrive(rig: Rig) -> None:
    plan = await rig.approved()
    rig.proxy.lose_request = True
    rig.proxy.before_write = rig.report_status
    left = await rig.execute(plan, late_write_seconds=60)
    assert left.outcome is ExecutionOutcome.NOT_APPLIED
    rig.proxy.lose_request, rig.proxy.before_write = False, nothing
    with pytest.raises(PlanStale):
        await rig.cluster.apply(left.change, execution_id=left.id, dry_run=False)


@pytest.mark.inv(13)
async def test_someone_elses_note_under_a_lost_request_proves_that_nothing_was_written(rig: Rig) -> None:
    """The generation that our write would have made was never reached."""
    plan = await rig.approved()
    rig.proxy.lose_request = True
    rig.proxy.before_write = lambda: rig.someone_patches({"metadata": {"labels": {"team": "x"}}})
    assert (await rig.execute(plan, late_write_seconds=60)).outcome is ExecutionOutcome.NOT_APPLIED


@pytest.mark.inv(13)
async def test_someone_elses_change_under_a_lost_request_is_unknown(rig: Rig) -> None:
    plan = await rig.approved()
    rig.proxy.lose_request = True
    rig.proxy.before_write = lambda: rig.someone_patches({"spec": {"minReadySeconds": 5}})
    assert (await rig.execute(plan)).outcome is ExecutionOutcome.UNKNOWN


@pytest.mark.inv(13)
async def test_an_object_that_is_gone_leaves_the_outcome_unknown(rig: Rig) -> None:
    plan = await rig.approved()
    done = await rig.execute(plan)
    other = replace(done.change, target=replace(done.change.target, uid="other"))
    found = await rig.recover(replace(done, outcome=ExecutionOutcome.PENDING, change=other))
    assert found.outcome is ExecutionOutcome.UNKNOWN


@pytest.mark.inv(33, 35)
@pytest.mark.parametrize("kind", ["set_image", "set_resources", "restart_rollout", "add_scratch_volume"])
async def test_a_rollback_brings_back_exactly_what_was_there(rig: Rig, kind: str) -> None:
    before = await rig.live()
    action: Action
    match kind:
        case "set_image":
            action = SetImage(target=before.ref, container="web", image="registry.example/shop/web:1.4")
        case "set_resources":
            action = SetResources(target=before.ref, container="web", memory_limit="128Mi", cpu_request="1m")
        case "restart_rollout":
            action = RestartRollout(target=before.ref)
        case _:
            action = AddScratchVolume(target=before.ref, container="web", path="/var/cache/nginx")
    plan = await rig.approved(action)
    done = await rig.execute(plan)
    undone = await rig.roll_back(plan, done)
    after = await rig.live()
    assert (undone.outcome, undone.kind) == (ExecutionOutcome.APPLIED, ExecutionKind.ROLLBACK)
    assert dig(after.body, "spec") == dig(before.body, "spec")
    assert undone.base_hash_after == done.change.base_hash == base_hash(before.body)
    assert await rig.events() == ["intent", "intent", "outcome", "outcome"]


@pytest.mark.inv(35)
async def test_nothing_is_rolled_back_over_someone_elses_change(rig: Rig) -> None:
    plan = await rig.approved()
    done = await rig.execute(plan)
    await rig.someone_patches({"spec": {"minReadySeconds": 5}}, manager="argocd-controller")
    with pytest.raises(PlanStale, match="argocd-controller"):
        await rig.roll_back(plan, done)
    assert len(rig.proxy.writes) == 1


@pytest.mark.inv(35)
async def test_a_rollback_that_came_too_late_by_a_status_report_may_be_tried_again(rig: Rig) -> None:
    plan = await rig.approved()
    done = await rig.execute(plan)
    rig.proxy.before_write = rig.report_status
    assert (await rig.roll_back(plan, done)).outcome is ExecutionOutcome.NOT_APPLIED
    rig.proxy.before_write = nothing
    assert (await rig.roll_back(plan, done)).outcome is ExecutionOutcome.APPLIED


async def test_what_was_not_applied_is_not_rolled_back(rig: Rig) -> None:
    plan = await rig.approved()
    done = replace(await rig.execute(plan), outcome=ExecutionOutcome.UNKNOWN)
    with pytest.raises(PlanInvalid):
        await rig.roll_back(plan, done)


async def test_an_eviction_takes_the_pod_of_the_uid_and_has_no_way_back(rig: Rig) -> None:
    pod = await rig.a_pod()
    plan = await rig.approved(DeletePod(target=pod))
    assert f"-uid: {pod.uid}" in plan.diff
    done = await rig.execute(plan)
    assert done.outcome is ExecutionOutcome.APPLIED
    with pytest.raises(PlanInvalid):
        await rig.roll_back(plan, done)
    assert rig.proxy.writes[0][1]["deleteOptions"]["preconditions"]["uid"] == pod.uid


@pytest.mark.inv(13)
@pytest.mark.parametrize(
    ("lose", "outcome"),
    [("lose_reply", ExecutionOutcome.UNKNOWN), ("lose_request", ExecutionOutcome.NOT_APPLIED)],
)
async def test_an_eviction_without_an_answer_is_never_sent_again(
    rig: Rig, lose: str, outcome: ExecutionOutcome
) -> None:
    plan = await rig.approved(DeletePod(target=await rig.a_pod()))
    setattr(rig.proxy, lose, True)
    assert (await rig.execute(plan)).outcome is outcome
    assert len(rig.proxy.writes) == 1


@pytest.mark.inv(12, 13)
@pytest.mark.parametrize(
    ("moved", "outcome"), [(False, ExecutionOutcome.PENDING), (True, ExecutionOutcome.NOT_APPLIED)]
)
async def test_an_eviction_may_arrive_late_only_at_the_version_of_before(
    rig: Rig, moved: bool, outcome: ExecutionOutcome
) -> None:
    pod = await rig.a_pod()
    plan = await rig.approved(DeletePod(target=pod))
    rig.proxy.lose_request = True
    left = await rig.execute(plan, late_write_seconds=60)
    if moved:
        path = f"/api/v1/namespaces/shop/pods/{pod.name}"
        await rig.someone_patches({"metadata": {"labels": {"team": "x"}}}, path=path)
    assert (await rig.recover(left, late_write_seconds=60)).outcome is outcome


async def test_a_change_that_the_server_refuses_makes_no_plan(rig: Rig) -> None:
    live = await rig.live()
    action = SetResources(target=live.ref, container="web", memory_request="65Mi")
    with pytest.raises(PlanInvalid):
        await rig.plan(action)


async def test_an_object_that_opted_out_makes_no_plan(rig: Rig) -> None:
    await rig.someone_patches({"metadata": {"annotations": {"clopus.dev/ignore": "true"}}})
    with pytest.raises(PolicyViolation):
        await rig.plan()


@pytest.mark.inv(32)
async def test_planning_writes_nothing(rig: Rig) -> None:
    before = await rig.live()
    await rig.plan()
    assert rig.proxy.writes == []
    assert base_hash((await rig.live()).body) == base_hash(before.body)


@pytest.mark.inv(11, 12, 13)
@pytest.mark.parametrize("rollback", [False, True], ids=["apply", "rollback"])
@pytest.mark.parametrize("stage", STAGES)
async def test_a_crash_at_any_point_ends_in_one_known_outcome(
    rig: Rig, tmp_path: Path, stage: str, rollback: bool
) -> None:
    """The process dies at the failpoint; the next one finds out from store and cluster, twice the same."""
    plan = await rig.approved()
    if rollback:
        await rig.execute(plan)
    writes_before = len(rig.proxy.writes)
    rig.store.close()
    name = f"rollback.{stage}" if rollback else stage
    status = await _crash(rig, tmp_path, plan, name)
    assert status == 137
    rig.store = Store.open(tmp_path / "clopus.duckdb")
    kind = ExecutionKind.ROLLBACK if rollback else ExecutionKind.APPLY
    left = [execution for execution in await rig.recorded(plan) if execution.kind is kind]
    expected = _EXPECTED[stage]
    assert [execution.outcome for execution in left] == ([] if expected is None else [expected[0]])
    assert len(rig.proxy.writes) - writes_before == (1 if stage in _WRITTEN else 0)
    if expected is None:
        return
    for _ in range(2):
        assert (await rig.recover(left[0])).outcome is expected[1]


_WRITTEN = {"after_write", "before_outcome", "after_outcome"}
_EXPECTED = {
    "before_intent": None,
    "after_intent": (ExecutionOutcome.PENDING, ExecutionOutcome.NOT_APPLIED),
    "after_write": (ExecutionOutcome.PENDING, ExecutionOutcome.APPLIED),
    "before_outcome": (ExecutionOutcome.PENDING, ExecutionOutcome.APPLIED),
    "after_outcome": (ExecutionOutcome.APPLIED, ExecutionOutcome.APPLIED),
}
"""Outcome on record, and outcome found by reading the cluster; None: there is not even an intent."""


async def _crash(rig: Rig, tmp_path: Path, plan: Plan, failpoint: str) -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(CRASHER),
        str(tmp_path / "clopus.duckdb"),
        rig.url,
        plan.id,
        "rollback" if failpoint.startswith("rollback.") else "apply",
        env={"CLOPUS_FAILPOINT": failpoint, "TOKEN": rig.sandbox.token, "PYTHONPATH": str(Path.cwd())},
        stderr=asyncio.subprocess.PIPE,
    )
    _, error = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 137, error.decode()
    return process.returncode


def test_the_execution_survives_the_wire_byte_for_byte() -> None:
    """What is journaled is what is sent, also after a restart."""
    execution = Execution(
        id="exe-1",
        plan_id="pln-1",
        incident_id="inc-1",
        kind=ExecutionKind.APPLY,
        change=_change(),
        requested_by="alice",
        intent_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert wire.loads(Execution, wire.dumps(execution)) == execution


def _change() -> Any:
    from responder.domain.plan import Change, PatchOp

    return Change(
        target=replace(WEB, uid="u"),
        resource_version="1",
        base_hash="h",
        patch=(PatchOp(op="replace", path="/spec/template", value={"a": [1, {"b": None}]}),),
    )
