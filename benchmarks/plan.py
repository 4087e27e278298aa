"""From the webhook to the plan: owner, evidence, diagnosis, guard, dry run on the API server, commit.

Each incident is about a Deployment of its own, one after another. The time runs from before the post to the record of
the plan in the incident's timeline, by the one clock of this machine. A bare `GET` of a Deployment on the same server,
on an open connection, is the unit.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.clusters import Access, cluster
from benchmarks.responder_process import Running, responder
from benchmarks.result import Figure, Result, Spread, percentile
from benchmarks.shop import PATIENCE_SECONDS, Shop, body, deployments, is_ready, waits

INCIDENTS = 20
ROUND_TRIPS = 200
RULES = """
rules:
  - name: all
    match: {alerts: [KubeContainerWaiting]}
    mode: dry-run
    actions: [set_image]
    max_risk: medium
"""


def run(*, incidents: int = INCIDENTS) -> Result:
    kinds = ["sandbox", *(["control-plane"] if os.environ.get("KUBEBUILDER_ASSETS") else [])]
    figures: list[Figure] = []
    for kind in kinds:
        with cluster(kind) as access, tempfile.TemporaryDirectory(prefix="clopus-bench-") as directory:
            round_trips, delays = asyncio.run(_measure(access, Path(directory), incidents))
        figures.extend(_figures(kind, round_trips, delays))
    return Result(benchmark="plan", figures=tuple(figures))


async def _measure(access: Access, directory: Path, incidents: int) -> tuple[list[float], list[float]]:
    """Milliseconds: of each round trip, and from each webhook to its plan."""
    shop = Shop(access)
    await shop.open()
    try:
        names = [f"storefront-{number}" for number in range(incidents)]
        await shop.deploy("assets", {"image": "nginx:1.27"})
        for name in names:
            await shop.deploy(name, {"image": "nignx:1.27"})
        await shop.pod("assets", is_ready)
        pods = {name: await shop.pod(name, waits("ImagePullBackOff")) for name in names}
        round_trips = []
        for _ in range(ROUND_TRIPS):
            started = time.perf_counter()
            await shop.client.get(deployments("assets"))
            round_trips.append(1000 * (time.perf_counter() - started))
        with responder(directory, access, RULES) as running:
            delays = [_until_planned(running, name, pod) for name, pod in pods.items()]
    finally:
        await shop.close()
    return round_trips, delays


def _until_planned(running: Running, name: str, pod: str) -> float:
    started = datetime.now(UTC)
    running.post(body("KubeContainerWaiting", pod=pod, container="app", reason="ImagePullBackOff"))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        incident = running.incident(f"Deployment/shop/{name}")
        if incident is not None:
            for record in running.detail(incident).timeline:
                if record.event == "plan_proposed":
                    return 1000 * (record.at - started).total_seconds()
        time.sleep(0.1)  # seldom, so that asking does not slow down what is measured
    raise RuntimeError(f"no plan for {name}: {incident}")


def _figures(kind: str, round_trips: list[float], delays: list[float]) -> Iterator[Figure]:
    unit = percentile(round_trips, 50)
    yield Figure(name=f"{kind}: bare GET", spread=Spread.of(round_trips), unit="ms")
    for percent in (50, 95):
        value = percentile(delays, percent)
        note = f"= {value / unit:.0f} bare GETs; {len(delays)} incidents"
        yield Figure(name=f"{kind}: webhook to plan, p{percent}", spread=Spread.of([value]), unit="ms", note=note)
