"""An undo of a workload with secrets in plain text: planned, made, taken back, and no secret in the database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import duckdb
import pytest

from responder import wire
from responder.analyzer.collect import collect
from responder.cluster.client import Client
from responder.cluster.kubernetes import KubernetesCluster
from responder.domain.action import UndoRollout
from responder.domain.errors import PlanInvalid
from responder.domain.execution import Baseline, Execution, ExecutionOutcome
from responder.domain.investigation import Proposal
from responder.domain.manifest import dig
from responder.domain.plan import Plan, PolicyVerdict
from responder.domain.refs import ObjectRef
from responder.domain.rule import ApprovalPolicy, Rule
from responder.fixer import executor
from responder.fixer.actions import handler_for
from responder.fixer.approval import approve
from responder.fixer.planner import make_plan
from responder.sandbox import Sandbox
from responder.store import plans
from responder.store.store import Store

WEB = ObjectRef(kind="Deployment", namespace="shop", name="web")
PATH = "/apis/apps/v1/namespaces/shop/deployments/web"
TOKEN, PASSWORD = "correct-horse-battery", "hunter2-of-the-shop"
DEPLOYMENT = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, namespace: shop}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers:
        - name: web
          image: registry.example/shop/web:1.4
          args: [--password, {PASSWORD}]
          env:
            - {{name: MODE, value: live}}
            - {{name: API_TOKEN, value: {TOKEN}}}
"""


@dataclass
class Rig:
    sandbox: Sandbox
    cluster: KubernetesCluster
    store: Store
    file: Path
    ids: Any = field(default_factory=lambda: count(1))

    def mint(self, prefix: str) -> str:
        return f"{prefix}-{next(self.ids)}"

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def break_it(self, **container: Any) -> None:
        """A second revision, once the controller has made it."""
        patch = {"spec": {"template": {"spec": {"containers": [{"name": "web", **container}]}}}}
        headers = {
            "Authorization": f"Bearer {self.sandbox.token}",
            "Content-Type": "application/strategic-merge-patch+json",
        }
        async with (
            aiohttp.ClientSession() as session,
            session.patch(self.sandbox.url + PATH, data=json.dumps(patch), headers=headers) as answer,
        ):
            assert answer.status == 200, await answer.text()
        await self.observed(2)

    async def observed(self, generation: int) -> None:
        async with asyncio.timeout(10):
            # The condition is the controller's: it can only be asked for, as in a real cluster.
            while dig((await self.cluster.get(WEB)).body, "status", "observedGeneration") != generation:  # noqa: ASYNC110 - the cluster tells of it to nobody
                await asyncio.sleep(0.01)

    async def approved(self) -> Plan:
        live = await self.cluster.get(WEB)
        action = UndoRollout(target=live.ref, to_revision=1)
        plan = await make_plan(
            self.cluster,
            Proposal(action=action, reason="r", finding="crash.exit", evidence=("e1",), suggested_by=("heuristic",)),
            snapshot=await collect(self.cluster, live.ref, now=self.now(), namespaces=("shop",)),
            verdict=PolicyVerdict(admitted=True, autonomous=False),
            incident_id="inc-1",
            investigation_id="inv-1",
            rule=Rule(name="r", approval=ApprovalPolicy(approvers=1)),
            now=self.now(),
            mint=self.mint,
        )
        approval = approve(plan, digest=plan.digest, approver="alice", kind="human", now=self.now(), mint=self.mint)
        await self.store.write(lambda con: plans.insert(con, plan))
        await self.store.write(lambda con: plans.add_approval(con, approval))
        return await self.store.read(lambda con: plans.get(con, plan.id))

    async def execute(self, plan: Plan) -> Execution:
        return await executor.execute(
            self.cluster,
            self.store,
            plan,
            requested_by="alice",
            baseline=Baseline(ready=0, desired=1),
            now=self.now,
            mint=self.mint,
            may_write=lambda: None,
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
            may_write=lambda: None,
        )

    def record(self) -> str:
        """Every cell of every table; the store has to be closed."""
        self.store.close()
        with duckdb.connect(str(self.file), read_only=True) as con:
            names = [name for (name,) in con.sql("SELECT table_name FROM duckdb_tables()").fetchall()]
            return "\n".join(str(con.sql(f'SELECT * FROM "{name}"').fetchall()) for name in names)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with Sandbox(namespaces=("shop",), kubelet=False) as sandbox:
        await sandbox.apply_yaml(DEPLOYMENT)
        cluster = KubernetesCluster(Client.from_token(url=sandbox.url, token=sandbox.token))
        file = tmp_path / "clopus.duckdb"
        store = Store.open(file)
        built = Rig(sandbox=sandbox, cluster=cluster, store=store, file=file)
        await built.observed(1)
        yield built
        store.close()
        await cluster.close()


@pytest.mark.inv(47)
async def test_secrets_of_the_template_are_not_on_record_after_an_undo_and_its_rollback(rig: Rig) -> None:
    await rig.break_it(image="registry.example/shop/web:9.9", env=[{"name": "DEBUG", "value": "1"}])
    before = await rig.cluster.get(WEB)
    plan = await rig.approved()
    done = await rig.execute(plan)
    after = await rig.cluster.get(WEB)
    container = dig(after.body, "spec", "template", "spec", "containers", 0)
    assert done.outcome is ExecutionOutcome.APPLIED
    assert container["image"] == "registry.example/shop/web:1.4"
    assert [item["name"] for item in container["env"]] == ["MODE", "API_TOKEN"]
    assert handler_for(plan.action).in_place(plan.action, done.change, after.body)
    undone = await rig.roll_back(plan, done)
    assert undone.outcome is ExecutionOutcome.APPLIED
    assert dig((await rig.cluster.get(WEB)).body, "spec") == dig(before.body, "spec")
    told = rig.record() + json.dumps([wire.to_json(each) for each in (plan, done, undone)])
    assert "web:1.4" in told
    assert TOKEN not in told
    assert PASSWORD not in told


@pytest.mark.inv(47)
async def test_an_undo_of_the_secret_itself_is_no_plan(rig: Rig) -> None:
    await rig.break_it(env=[{"name": "API_TOKEN", "value": "another-horse"}])
    with pytest.raises(PlanInvalid, match="API_TOKEN") as refused:
        await rig.approved()
    told = rig.record() + str(refused.value)
    assert TOKEN not in told
    assert "another-horse" not in told
