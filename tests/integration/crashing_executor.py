"""A process for crash tests: executes or rolls back one stored plan, and dies where CLOPUS_FAILPOINT says.

crashing_executor.py DATABASE API_URL PLAN apply|rollback      (the token is in the environment)
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime

from responder.cluster.client import Client
from responder.cluster.kubernetes import KubernetesCluster
from responder.domain.execution import Baseline
from responder.domain.ids import mint
from responder.fixer import executor
from responder.store import executions, plans
from responder.store.store import Store


def now() -> datetime:
    return datetime.now(UTC)


def new_id(prefix: str) -> str:
    return mint(prefix, now())


def brakes_off() -> None:
    """Nothing stops the write."""


async def main(database: str, url: str, plan_id: str, what: str) -> None:
    store = Store.open(database)
    cluster = KubernetesCluster(Client.from_token(url=url, token=os.environ["TOKEN"]))
    plan = await store.read(lambda con: plans.get(con, plan_id))
    if what == "apply":
        await executor.execute(
            cluster,
            store,
            plan,
            requested_by="alice",
            baseline=Baseline(),
            now=now,
            mint=new_id,
            may_write=brakes_off,
        )
    else:
        (done,) = await store.read(lambda con: executions.of_plan(con, plan_id))
        await executor.roll_back(
            cluster, store, plan, done, requested_by="verification", now=now, mint=new_id, may_write=brakes_off
        )
    await cluster.close()
    store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
