"""A randomized run with two power cuts, and what an offline checker says of it; then of the same run, falsified.

`CLOPUS_HISTORY_SEED` chooses what operators do and when. Timing is not part of the seed, so a seed names a kind of run
rather than one run.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rig.history import Call, History, Sent, mark_of, violations
from rig.served import Served
from rig.world import OPERATOR_TOKEN, SECOND_OPERATOR_TOKEN, sandbox_world

from console.remote.client import ApiError, path_of
from responder.domain.audit import verify_chain
from responder.domain.execution import ExecutionOutcome
from responder.domain.incident import ACTIVE_STATES, Incident, State
from responder.domain.plan import Plan
from responder.domain.views import IncidentDetail, PlanPage
from responder.store import alerts, audit, executions, incidents, plans
from responder.store.connection import Connection

pytestmark = pytest.mark.timeout(240)

SEED = int(os.environ.get("CLOPUS_HISTORY_SEED", "1"))
STORM_SECONDS = 25.0
SETTLE_SECONDS = 40.0
POWER_CUTS = 2
TOKENS = {"ann": OPERATOR_TOKEN, "bob": SECOND_OPERATOR_TOKEN}

WORKLOADS = {
    "auto-1": "nignx:1.27",
    "auto-2": "nginx:1.72",
    "auto-3": "registry.example/shop/ledger:1.0",
    "auto-4": "nignx:1.3",
    "ask-1": "nignx:1.27",
    "ask-2": "ngnix:1.27",
    "ask-3": "nignx:1.3",
    "ask-4": "nignx:1.27",
    "report-1": "nignx:1.27",
    "report-2": "registry.example/shop/ledger:1.0",
}
"""Object name to image; the name says under which rule it falls. Not every mistake has a good answer."""

BYSTANDERS = 20
"""Workloads that nothing is wrong with: where most are alerting, policy approves nothing by itself."""

_RULE = """
  - name: {name}
    match: {{matchers: ['owner_name=~"{name}-.*"']}}
    mode: {mode}{more}
    max_risk: medium
    budget: {{per_workload: 50/30m, per_namespace: 200/1h, per_cluster: 500/1h}}
    verify: {{settle: 1s, within: 8s}}
"""
RULES = "rules:" + "".join(
    (
        _RULE.format(name="auto", mode="autonomous", more="\n    actions: [set_image]\n    images: ['nginx:*']"),
        _RULE.format(name="ask", mode="dry-run", more=""),
        _RULE.format(name="report", mode="report", more=""),
    )
)


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Storm:
    """Operators, alert senders and power cuts at once, each call with what came of it."""

    served: Served
    dice: random.Random
    alerts: list[dict[str, Any]]
    calls: list[Call] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    up: asyncio.Event = field(default_factory=asyncio.Event)

    async def rage(self) -> None:
        ends = time.monotonic() + STORM_SECONDS
        cuts = sorted(self.dice.uniform(0.15, 0.85) * STORM_SECONDS for _ in range(POWER_CUTS))
        async with asyncio.timeout(STORM_SECONDS + SETTLE_SECONDS), asyncio.TaskGroup() as group:
            for peer in ("a", "b"):
                group.create_task(self._send(random.Random(f"{SEED}{peer}")))
            for name in TOKENS:
                group.create_task(self._operate(name, random.Random(f"{SEED}{name}"), ends))
            group.create_task(self._cut_power(cuts))

    async def calm(self) -> None:
        """Release the switch, answer what waits, and let everything come to its end."""
        await self._call("kill_switch_off", "ann", "", self._switch(on=False))
        ends = time.monotonic() + SETTLE_SECONDS
        while any(i.state in ACTIVE_STATES for i in await self.served.incidents()):
            assert time.monotonic() < ends, [(i.key, i.state) for i in await self.served.incidents()]
            for plan in await self._waiting():
                await self._reject("bob", plan)
            await asyncio.sleep(0.2)

    async def _cut_power(self, moments: list[float]) -> None:
        started = time.monotonic()
        for moment in moments:
            await asyncio.sleep(max(0.0, moment - (time.monotonic() - started)))
            self.up.clear()
            await self.served.kill()
            await self.served.serve(RULES)
            self.up.set()

    async def _send(self, dice: random.Random) -> None:
        """As Alertmanager does: in any order, and again until it is acknowledged."""
        waiting = dice.sample(self.alerts, len(self.alerts))
        while waiting:
            batch = waiting[: dice.randint(1, 3)]
            try:
                await self.served.post(*batch)
            except ApiError:
                acknowledged = False
            else:
                acknowledged, waiting = True, waiting[len(batch) :]
            for alert in batch:
                starts_at = datetime.fromisoformat(alert["startsAt"])
                self.sent.append(Sent(labels=alert["labels"], starts_at=starts_at, acknowledged=acknowledged))
            await asyncio.sleep(dice.uniform(0.0, 2 * STORM_SECONDS / len(WORKLOADS)))

    async def _operate(self, name: str, dice: random.Random, ends: float) -> None:
        answers = (self._approve, self._approve, self._reject)
        acts = (*answers, self._roll_back, self._look_again, self._look_again, self._touch, self._brake)
        while time.monotonic() < ends:
            await asyncio.sleep(dice.uniform(0.05, 0.5))
            act = dice.choice(acts)
            try:
                if act in answers:
                    found = await self._waiting()
                    if found:
                        await act(name, dice.choice(found))
                else:
                    await act(name, dice)
            except ApiError as exc:
                if exc.status:
                    raise
                await self.up.wait()  # the power is off: a question that got no answer has no effect

    async def _waiting(self) -> tuple[Plan, ...]:
        page = await self.served.ask(lambda c: c.get(PlanPage, path_of("plans"), state="proposed"))
        return tuple(view.plan for view in page.plans)

    async def _approve(self, name: str, plan: Plan) -> None:
        send = _sender(Plan, "POST", path_of("plans", plan.id, "approve"), {"digest": plan.digest})
        await self._call("approve", name, plan.id, send)

    async def _reject(self, name: str, plan: Plan) -> None:
        send = _sender(Plan, "POST", path_of("plans", plan.id, "reject"), {"reason": "not today"})
        await self._call("reject", name, plan.id, send)

    async def _roll_back(self, name: str, dice: random.Random) -> None:
        done = [i for i in await self.served.incidents() if i.state in (State.RESOLVED, State.ESCALATED)]
        if not done:
            return
        chosen = dice.choice(done)
        detail = await self.served.ask(lambda c: c.get(IncidentDetail, path_of("incidents", chosen.id)))
        applied = [v.execution for v in detail.executions if v.execution.outcome is ExecutionOutcome.APPLIED]
        if applied:
            send = _sender(Incident, "POST", path_of("executions", applied[-1].id, "rollback"), {})
            await self._call("roll_back", name, applied[-1].id, send)

    async def _look_again(self, name: str, dice: random.Random) -> None:
        told = [i for i in await self.served.incidents() if i.state is State.ESCALATED]
        if told:
            chosen = dice.choice(told).id
            await self._call(
                "look_again", name, chosen, _sender(Incident, "POST", path_of("incidents", chosen, "investigate"), {})
            )

    async def _touch(self, name: str, dice: random.Random) -> None:
        """Someone else changes an object: plans for it are stale, and what was done to it cannot be taken back."""
        if dice.random() < 0.3:
            note = {"metadata": {"annotations": {"team": f"{name} {dice.random()}"}}}
            await self.served.patch("Deployment", dice.choice(sorted(WORKLOADS)), note)

    async def _brake(self, name: str, dice: random.Random) -> None:
        if dice.random() < 0.3:
            await self._call("kill_switch_on", name, "", self._switch(on=True))
            await asyncio.sleep(dice.uniform(0.2, 1.5))
            await self._call("kill_switch_off", name, "", self._switch(on=False))

    def _switch(self, *, on: bool) -> Callable[[Any], Any]:
        return _sender(dict, "PUT", path_of("mode"), {"kill_switch": on, "reset_breakers": True, "reason": "storm"})

    async def _call(self, what: str, by: str, subject: str, send: Callable[[Any], Any]) -> None:
        sent, acknowledged = now(), None
        try:
            await self.served.ask(send, token=TOKENS[by])
            acknowledged = True
        except ApiError as exc:
            acknowledged = False if 400 <= exc.status < 500 else None
        call = Call(what=what, by=by, subject=subject, sent=sent, answered=now(), acknowledged=acknowledged)
        self.calls.append(call)


def _sender(as_type: type, method: str, path: str, body: dict[str, Any]) -> Callable[[Any], Any]:
    return lambda client: client.send(as_type, method, path, body)


async def _run(folder: Path) -> History:
    async with sandbox_world(folder, {}) as world:
        served = Served.over(world)
        served.sections["cluster"] = {"late_write_seconds": 3}  # nothing holds a write back here
        served.sections["intake"] = {"storm_workloads": 0}  # each workload is told and judged for itself
        try:
            for name, image in WORKLOADS.items():
                await served.deploy(_deployment(name, image))
            for number in range(BYSTANDERS):
                await served.deploy(_deployment(f"calm-{number}", "nginx:1.27", replicas=0))
            told = []
            for name in WORKLOADS:
                pod = await served.pod_of(name, _fails)
                told.append(served.alert("KubePodNotReady", pod=pod, container="app"))
            await served.serve(RULES)
            storm = Storm(served=served, dice=random.Random(SEED), alerts=told)
            storm.up.set()
            await storm.rage()
            await storm.calm()
            assert (await served.terminate())[0] == 0
            head = served.head()
            assert head is not None
            on_record = await served.ask_record(_everything)
        finally:
            await served.stop()
            print(served.log)  # noqa: T201 - shown when a test fails
        return History(
            writes=tuple(served.writes()),
            calls=tuple(storm.calls),
            sent=tuple(storm.sent),
            head=head,
            report_only=frozenset(name for name in WORKLOADS if name.startswith("report")),
            by_hand=frozenset(name for name in WORKLOADS if name.startswith("ask")),
            **on_record,
        )


def _everything(con: Connection) -> dict[str, Any]:
    every, _ = incidents.page(con, limit=500)
    made = [plan for incident in every for plan in plans.of_incident(con, incident.id)]
    return {
        "incidents": every,
        "alerts": tuple((i.id, alert) for i in every for alert, _ in alerts.of_incident(con, i.id)),
        "plans": tuple(made),
        "approvals": tuple(a for plan in made for a in plans.approvals(con, plan.id, consumed=True)),
        "executions": tuple(e for incident in every for e in executions.of_incident(con, incident.id)),
        "records": tuple(audit.records(con)),
    }


def _deployment(name: str, image: str, *, replicas: int = 1) -> str:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "app", "image": image}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec})


def _fails(pod: Any) -> bool:
    statuses = pod.get("status", {}).get("containerStatuses", ())
    reasons = {status.get("state", {}).get("waiting", {}).get("reason") for status in statuses}
    return bool(reasons & {"ImagePullBackOff", "ErrImagePull", "CrashLoopBackOff"})


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """One run for all tests of this module."""
    return asyncio.run(_run(tmp_path_factory.mktemp("storm")))


@pytest.mark.inv(1, 4, 11, 12, 13, 24, 31, 32, 46)
def test_a_storm_with_power_cuts_breaks_no_invariant(history: History) -> None:
    assert violations(history) == [], f"seed {SEED}"


def test_the_storm_was_one(history: History) -> None:
    """Changes were made, people decided, and every alert got through."""
    applied = [e for e in history.executions if e.outcome is ExecutionOutcome.APPLIED]
    assert len(applied) >= 3
    assert sum(call.what in ("approve", "reject") and bool(call.acknowledged) for call in history.calls) >= 3
    assert {i.key.rpartition("/")[2] for i in history.incidents} == set(WORKLOADS)


# -- a checker that cannot fail proves nothing ----------------------------------------------------------------------


def _written_twice(h: History) -> History:
    return replace(h, writes=(*h.writes, h.effective[0]))


def _written_without_intent(h: History) -> History:
    first = mark_of(h.effective[0])
    return replace(h, executions=tuple(e for e in h.executions if e.id != first))


def _written_before_its_intent(h: History) -> History:
    return _with_first_write(h, received=h.effective[0].received - timedelta(days=1))


def _another_value(h: History) -> History:
    uid, version, *patch, mark = h.effective[0].body
    changed = [{**op, "value": "evil:1"} for op in patch]
    return _with_first_write(h, body=[uid, version, *changed, mark])


def _another_version(h: History) -> History:
    uid, version, *rest = h.effective[0].body
    return _with_first_write(h, body=[uid, {**version, "value": "1"}, *rest])


def _one_operation_more(h: History) -> History:
    return _with_first_write(h, body=[{"op": "add", "path": "/spec/replicas", "value": 0}, *h.effective[0].body])


def _nobody_approved(h: History) -> History:
    return replace(h, approvals=())


def _another_plan(h: History) -> History:
    return replace(h, plans=tuple(replace(plan, diff=plan.diff + " ") for plan in h.plans))


def _not_applied_after_all(h: History) -> History:
    return _with_executions(h, outcome=ExecutionOutcome.NOT_APPLIED)


def _never_settled(h: History) -> History:
    return _with_executions(h, outcome=ExecutionOutcome.PENDING)


def _report_mode_wrote(h: History) -> History:
    return _with_first_write(h, name="report-1")


def _switch_was_on(h: History) -> History:
    at = h.effective[0].received - timedelta(hours=1)
    call = Call(what="kill_switch_on", by="ann", sent=at, answered=at, acknowledged=True)
    return replace(h, calls=(call,))


def _record_missing(h: History) -> History:
    return replace(h, records=(*h.records[:3], *h.records[4:]))


def _record_edited(h: History) -> History:
    return replace(h, records=(replace(h.records[0], actor="nobody"), *h.records[1:]))


def _tail_missing(h: History) -> History:
    assert verify_chain(h.records[:-1]).ok
    return replace(h, records=h.records[:-1])


def _outcome_not_recorded(h: History) -> History:
    return replace(h, records=tuple(r for r in h.records if r.event != "outcome"))


def _approval_not_recorded(h: History) -> History:
    at = now()
    call = Call(what="approve", by="ann", subject="pln-x", sent=at, answered=at, acknowledged=True)
    return replace(h, calls=(*h.calls, call))


def _nobody_decided(h: History) -> History:
    return replace(h, calls=())


def _alert_lost(h: History) -> History:
    return replace(h, alerts=h.alerts[1:])


def _alert_counted_twice(h: History) -> History:
    return replace(h, alerts=(*h.alerts, h.alerts[0]))


def _two_incidents_at_once(h: History) -> History:
    return replace(h, incidents=(*h.incidents, replace(h.incidents[0], id="inc-twin")))


def _with_first_write(h: History, **changes: Any) -> History:
    first = h.effective[0]
    return replace(h, writes=tuple(replace(w, **changes) if w is first else w for w in h.writes))


def _with_executions(h: History, **changes: Any) -> History:
    first = mark_of(h.effective[0])
    return replace(h, executions=tuple(replace(e, **changes) if e.id == first else e for e in h.executions))


@pytest.mark.parametrize(
    ("lie", "number"),
    [
        (_alert_lost, 1),
        (_alert_counted_twice, 4),
        (_two_incidents_at_once, 4),
        (_written_without_intent, 11),
        (_written_before_its_intent, 11),
        (_written_twice, 12),
        (_not_applied_after_all, 13),
        (_never_settled, 13),
        (_another_value, 24),
        (_another_version, 24),
        (_one_operation_more, 24),
        (_nobody_approved, 24),
        (_another_plan, 24),
        (_switch_was_on, 31),
        (_report_mode_wrote, 32),
        (_record_missing, 46),
        (_record_edited, 46),
        (_tail_missing, 46),
        (_outcome_not_recorded, 46),
        (_approval_not_recorded, 46),
        (_nobody_decided, 46),
    ],
)
def test_the_checker_finds(history: History, lie: Callable[[History], History], number: int) -> None:
    assert any(found.startswith(f"inv {number}:") for found in violations(lie(history)))
