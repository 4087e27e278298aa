"""What is left of a change when the process dies, or its API server is lost, at every point of it: nothing twice."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from rig.faultproxy import Asked, FaultProxy, Forward, Reply, fault_proxy, passes
from rig.served import Served, until
from rig.world import World, Write

from console.remote.client import path_of
from responder.domain.execution import Execution, ExecutionKind, ExecutionOutcome
from responder.domain.incident import Incident, Outcome, State
from responder.domain.manifest import EXECUTION_ANNOTATION
from responder.domain.plan import Plan, PlanState
from responder.domain.views import IncidentDetail
from responder.fixer.failpoints import FAILPOINTS, KILLED

GRACE_SECONDS = 25.0
"""Time that a pod has between SIGTERM and SIGKILL, less a reserve."""

FIXABLE, HOPELESS = "nignx:1.27", "nignx:1.3"
"""Mended, the first can be pulled; the second cannot, and is taken back."""

APPLY_SCHEDULES = (
    ("before_intent", "before_intent"),
    ("after_intent", "after_intent"),
    ("after_intent", "recovery.before_outcome"),
    ("after_write", "recovery.before_outcome", "recovery.before_outcome"),
    ("before_outcome", "recovery.after_outcome"),
    ("after_outcome",),
)
"""Where the process dies at its first start, its second and so on. The start after these lives."""

ROLLBACK_SCHEDULES = (
    ("rollback.before_intent", "rollback.before_intent"),
    ("rollback.after_intent", "recovery.after_outcome"),
    ("rollback.after_write", "recovery.before_outcome"),
    ("rollback.before_outcome",),
    ("rollback.after_outcome",),
    ("after_write", "rollback.after_intent"),
)


def rules(mode: str = "autonomous", *, settle: str = "1s", within: str = "20s") -> str:
    autonomous = "\n    actions: [set_image]\n    images: ['nginx:*']" if mode == "autonomous" else ""
    return f"""
rules:
  - name: all
    match: {{}}
    mode: {mode}{autonomous}
    max_risk: medium
    budget: {{per_workload: 8/30m, per_namespace: 20/1h, per_cluster: 50/1h}}
    verify: {{settle: {settle}, within: {within}}}
"""


def deployment(image: str) -> str:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "app", "image": image}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    return json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})


@pytest.fixture
async def served(world: World) -> AsyncIterator[Served]:
    process = Served.over(world)
    process.sections["cluster"] = {"late_write_seconds": 3}
    yield process
    await process.stop()


@pytest.fixture
async def proxy(served: Served) -> AsyncIterator[FaultProxy]:
    """Between the responder and its API server; the test itself speaks to the server directly."""
    async with fault_proxy(served.cluster_url, served.ca_file) as proxy:
        served.cluster_url, served.ca_file = proxy.url, None
        yield proxy
        await served.stop()


def test_every_failpoint_has_a_case() -> None:
    assert {point for schedule in (*APPLY_SCHEDULES, *ROLLBACK_SCHEDULES) for point in schedule} == set(FAILPOINTS)


def _cases(schedules: tuple[tuple[str, ...], ...], *, for_real: frozenset[int]) -> list[Any]:
    """All on the embedded cluster; those that leave the most open on a real control plane too."""
    suffices = pytest.mark.sandbox_suffices
    return [
        pytest.param(s, marks=() if n in for_real else suffices, id=" then ".join(s)) for n, s in enumerate(schedules)
    ]


@pytest.mark.inv(12, 13, 14, 35, 46)
@pytest.mark.parametrize("schedule", _cases(APPLY_SCHEDULES, for_real=frozenset({1, 3})))
async def test_a_change_survives_the_death_of_the_process(served: Served, schedule: tuple[str, ...]) -> None:
    detail = await through(served, FIXABLE, schedule)
    assert (detail.incident.state, detail.incident.outcome) == (State.RESOLVED, Outcome.FIXED), detail.incident.summary
    assert image_of(await served.get("Deployment", "web")) == "nginx:1.27"
    assert [write.effective for write in real(served.writes())] == [True]
    await ends_well(served)


@pytest.mark.inv(12, 13, 14, 35, 46)
@pytest.mark.parametrize("schedule", _cases(ROLLBACK_SCHEDULES, for_real=frozenset({2})))
async def test_a_rollback_survives_the_death_of_the_process(served: Served, schedule: tuple[str, ...]) -> None:
    detail = await through(served, HOPELESS, schedule)
    assert detail.incident.outcome is Outcome.ROLLED_BACK, detail.incident.summary
    assert image_of(await served.get("Deployment", "web")) == HOPELESS
    assert [e.execution.kind for e in detail.executions if e.execution.outcome is ExecutionOutcome.APPLIED] == [
        ExecutionKind.APPLY,
        ExecutionKind.ROLLBACK,
    ]
    assert [write.effective for write in real(served.writes())] == [True, True]
    await ends_well(served)


@pytest.mark.sandbox_suffices
@pytest.mark.inv(53)
@pytest.mark.parametrize("answered", [True, False], ids=["the answer comes", "the answer never comes"])
async def test_sigterm_in_the_middle_of_the_write(served: Served, proxy: FaultProxy, answered: bool) -> None:
    written, ended = asyncio.Event(), asyncio.Event()

    async def slow(asked: Asked, forward: Forward) -> Reply | None:
        reply = await forward()
        if asked.is_write:
            written.set()
            await (asyncio.sleep(1.0) if answered else ended.wait())
        return reply

    proxy.on = slow
    await broken(served, FIXABLE, rules())
    async with asyncio.timeout(GRACE_SECONDS):
        await written.wait()
    status, seconds = await served.terminate()
    ended.set()
    assert status == 0, served.log
    assert seconds < GRACE_SECONDS
    await served.serve(rules())
    detail = await served.incident("web")
    assert detail.incident.outcome is Outcome.FIXED, detail.incident.summary
    assert len(proxy.writes) == 1
    await ends_well(served)


@pytest.mark.inv(12, 13)
async def test_a_write_that_the_server_makes_after_the_process_died(served: Served, proxy: FaultProxy) -> None:
    """It waits in the server, behind an admission webhook say, while the next process already looks for its outcome."""
    sent, release = asyncio.Event(), asyncio.Event()

    async def hold_first(asked: Asked, forward: Forward) -> Reply | None:
        if asked.is_write and not release.is_set():
            sent.set()
            await release.wait()
        return await forward()

    proxy.on = hold_first
    served.sections["cluster"] = {"late_write_seconds": 60}
    await broken(served, FIXABLE, rules())
    async with asyncio.timeout(GRACE_SECONDS):
        await sent.wait()
    await served.kill()
    await served.serve(rules())
    await until(lambda: "execution was left open" in served.log, "nobody looked for the outcome")
    release.set()
    detail = await served.incident("web")
    assert detail.incident.outcome is Outcome.FIXED, detail.incident.summary
    assert len(served.effective_writes()) == 1
    await ends_well(served)


@pytest.mark.sandbox_suffices
@pytest.mark.inv(53)
async def test_sigterm_in_the_middle_of_verifying(served: Served) -> None:
    await broken(served, FIXABLE, rules(settle="3s"))
    await served.incident("web", lambda incident: incident.state is State.VERIFYING)
    status, seconds = await served.terminate()
    assert status == 0, served.log
    assert seconds < GRACE_SECONDS
    await served.serve(rules(settle="3s"))
    detail = await served.incident("web")
    assert detail.incident.outcome is Outcome.FIXED, detail.incident.summary
    await ends_well(served)


@pytest.mark.inv(12)
async def test_a_write_whose_reply_is_lost_is_found_by_reading(served: Served, proxy: FaultProxy) -> None:
    async def reset(asked: Asked, forward: Forward) -> Reply | None:
        reply = await forward()
        return None if asked.is_write else reply

    proxy.on = reset
    await broken(served, FIXABLE, rules())
    detail = await served.incident("web")
    assert detail.incident.outcome is Outcome.FIXED, detail.incident.summary
    assert "mark" in detail.executions[0].execution.detail
    assert len(proxy.writes) == 1
    await ends_well(served)


@pytest.mark.sandbox_suffices
@pytest.mark.inv(12)
async def test_a_write_that_was_made_and_answered_with_504_is_found_by_reading(
    served: Served, proxy: FaultProxy
) -> None:
    async def late(asked: Asked, forward: Forward) -> Reply | None:
        reply = await forward()
        return Reply.failure(504, "request timed out") if asked.is_write else reply

    proxy.on = late
    await broken(served, FIXABLE, rules())
    detail = await served.incident("web")
    assert detail.incident.outcome is Outcome.FIXED, detail.incident.summary
    assert len(proxy.writes) == 1
    await ends_well(served)


@pytest.mark.inv(12, 13)
async def test_a_write_that_was_not_made_and_answered_with_504_is_planned_again(
    served: Served, proxy: FaultProxy
) -> None:
    async def swallow_first(asked: Asked, forward: Forward) -> Reply | None:
        if asked.is_write and len(proxy.writes) == 1:
            return Reply.failure(504, "request timed out")
        return await forward()

    proxy.on = swallow_first
    await broken(served, FIXABLE, rules())
    detail = await served.incident("web")
    assert detail.incident.outcome is Outcome.FIXED, detail.incident.summary
    assert [e.execution.outcome for e in detail.executions] == [
        ExecutionOutcome.NOT_APPLIED,
        ExecutionOutcome.APPLIED,
    ]
    assert len({e.execution.plan_id for e in detail.executions}) == 2
    await ends_well(served)


@pytest.mark.sandbox_suffices
async def test_reads_answered_with_503_are_repeated_and_then_the_step_is_put_off(
    served: Served, proxy: FaultProxy
) -> None:
    await broken(served, FIXABLE, rules("dry-run"))
    plan = (await served.incident("web", awaits)).plans[-1].plan
    busy: Counter[str] = Counter()

    async def unavailable(asked: Asked, forward: Forward) -> Reply | None:
        if not asked.is_read:
            return await forward()
        busy[asked.target] += 1
        return Reply.failure(503, "the server is currently unable to handle the request")

    proxy.on = unavailable
    await approve(served, plan)
    await until(lambda: "step put off" in served.log, "the step was not put off")
    assert max(busy.values()) > 1
    assert proxy.writes == []
    proxy.on = passes
    detail = await served.incident("web")
    assert detail.incident.outcome is Outcome.FIXED, detail.incident.summary
    assert len(proxy.writes) == 1
    await ends_well(served)


@pytest.mark.sandbox_suffices
@pytest.mark.inv(34)
async def test_what_cannot_be_looked_at_is_not_verified_and_heals_once_it_can(
    served: Served, proxy: FaultProxy
) -> None:
    await broken(served, FIXABLE, rules(settle="1s", within="60s"))
    await served.incident("web", lambda incident: incident.state is State.VERIFYING)
    await proxy.refuse()
    await asyncio.sleep(20.0)  # the length of the outage, not a wait for anything
    detail = await served.incident("web", lambda _: True)
    assert detail.incident.state is State.VERIFYING
    assert "could not look at the object" in served.log
    await proxy.accept()
    detail = await served.incident("web")
    assert detail.incident.outcome is Outcome.FIXED, detail.incident.summary
    assert len(proxy.writes) == 1
    await ends_well(served)


@pytest.mark.sandbox_suffices
@pytest.mark.inv(34, 35)
async def test_what_cannot_be_looked_at_in_time_is_taken_back(served: Served, proxy: FaultProxy) -> None:
    await broken(served, FIXABLE, rules(settle="2s", within="4s"))
    await served.incident("web", lambda incident: incident.state is State.VERIFYING)
    await proxy.refuse()
    await served.incident("web", lambda incident: incident.state is State.ROLLING_BACK)
    await proxy.accept()
    detail = await served.incident("web")
    assert detail.incident.outcome is Outcome.ROLLED_BACK, detail.incident.summary
    assert image_of(await served.get("Deployment", "web")) == FIXABLE
    await ends_well(served)


@pytest.mark.inv(24)
async def test_a_change_by_someone_else_just_before_the_write_needs_a_new_approval(
    served: Served, proxy: FaultProxy
) -> None:
    async def overtake_first(asked: Asked, forward: Forward) -> Reply | None:
        if asked.is_write and len(proxy.writes) == 1:
            await served.patch("Deployment", "web", {"metadata": {"annotations": {"team": "was here"}}})
        return await forward()

    proxy.on = overtake_first
    await broken(served, FIXABLE, rules("dry-run"))
    first = (await served.incident("web", awaits)).plans[-1].plan
    await approve(served, first)
    await until(lambda: proxy.writes, "nothing was written")
    detail = await served.incident("web", awaits)
    assert real(served.writes())[-1].code == 409
    assert served.effective_writes() == []
    second = detail.plans[-1].plan
    assert (second.digest != first.digest, second.state) == (True, PlanState.PROPOSED)
    assert detail.plans[-1].approvals == ()
    await approve(served, second)
    detail = await served.incident("web")
    assert detail.incident.outcome is Outcome.FIXED, detail.incident.summary
    assert len(served.effective_writes()) == 1
    await ends_well(served)


# -- the way to and from these --------------------------------------------------------------------------------------


async def broken(served: Served, image: str, text: str, *, failpoint: str = "") -> None:
    """A Deployment whose image cannot be pulled, a responder, and the alert about it."""
    await served.deploy(deployment(image))
    await served.serve(text, failpoint=failpoint)
    pod = await served.pod_of("web", _waits_for_image)
    await served.post(served.alert("KubeContainerWaiting", pod=pod, container="app"))


async def through(served: Served, image: str, schedule: tuple[str, ...]) -> IncidentDetail:
    """The end of the incident after a death at each point of the schedule."""
    text = rules()
    await broken(served, image, text, failpoint=schedule[0])
    assert await served.ended() == KILLED
    for point in schedule[1:]:
        served.launch(text, failpoint=point)
        assert await served.ended() == KILLED, f"{point} was not reached:\n{served.log}"
    await served.serve(text)
    return await served.incident("web")


async def ends_well(served: Served) -> None:
    """What holds after any crash: outcomes that the cluster confirms, and a chain without a gap."""
    detail = await served.detail(f"Deployment/{served.namespace}/web")
    assert detail is not None
    consistent(served.writes(), [view.execution for view in detail.executions])
    status, output = await served.command("audit", "verify")
    assert status == 0, output
    assert len(await served.incidents()) == 1, "no incident of Clopus's own about its database"
    status, _ = await served.terminate()
    assert status == 0
    report = await served.chain()
    assert report.ok, report.problem


def consistent(writes: list[Write], executions: list[Execution]) -> None:
    made = Counter(execution_of(write) for write in real(writes) if write.effective)
    assert set(made) <= {execution.id for execution in executions}
    assert set(made.values()) <= {1}
    for execution in executions:
        match execution.outcome:
            case ExecutionOutcome.APPLIED:
                assert made[execution.id] == 1
            case ExecutionOutcome.NOT_APPLIED:
                assert made[execution.id] == 0
            case ExecutionOutcome.UNKNOWN:
                pass
            case ExecutionOutcome.PENDING:
                pytest.fail(f"{execution.id} has no outcome")


def execution_of(write: Write) -> str:
    """The execution that a write is marked with."""
    return next(op["value"] for op in write.body if op["path"].endswith(EXECUTION_ANNOTATION.replace("/", "~1")))


def real(writes: list[Write]) -> list[Write]:
    return [write for write in writes if not write.dry_run]


def image_of(body: Any) -> str:
    image: str = body["spec"]["template"]["spec"]["containers"][0]["image"]
    return image


def awaits(incident: Incident) -> bool:
    return incident.state is State.AWAITING_APPROVAL


async def approve(served: Served, plan: Plan) -> None:
    body = {"digest": plan.digest}
    await served.ask(lambda client: client.send(Plan, "POST", path_of("plans", plan.id, "approve"), body))


def _waits_for_image(pod: Any) -> bool:
    statuses = pod.get("status", {}).get("containerStatuses", ())
    return any(
        s.get("state", {}).get("waiting", {}).get("reason") in ("ImagePullBackOff", "ErrImagePull") for s in statuses
    )
