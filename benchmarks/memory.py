"""Resident memory of a responder that has been through three incidents: a fix, a rollback, and nothing to fix.

The responder is alone in its process; the cluster is the embedded one in another. Beside it, for scale: an interpreter
that does nothing, and one that has imported the responder and done nothing with it.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.clusters import Access, cluster
from benchmarks.responder_process import DRILLED, Running, responder
from benchmarks.result import Figure, Result, Spread
from benchmarks.shop import PATIENCE_SECONDS, Shop, body, is_ready, waits
from console.remote.client import path_of
from responder.domain.incident import Incident, State
from responder.domain.plan import Plan

RULES = """
rules:
  - name: mistyped-image
    match: {alerts: [KubeContainerWaiting]}
    mode: autonomous
    actions: [set_image, undo_rollout]
    max_risk: medium
    verify: {settle: 2s, within: 40s}
  - name: drill
    match: {alerts: [KubeDeploymentReplicasMismatch]}
    mode: dry-run
    analyzers: [drill]
    max_risk: medium
    verify: {settle: 2s, within: 15s}
  - name: crash-loops
    match: {alerts: [KubePodCrashLooping]}
    mode: autonomous
    actions: [set_image, undo_rollout, set_resources, restart_rollout]
    max_risk: medium
"""
_PROBED = {"readinessProbe": {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1}}
_HEALTHZ = {"readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}}


def run() -> Result:
    with cluster("sandbox") as access, tempfile.TemporaryDirectory(prefix="clopus-bench-") as directory:
        now, peak = asyncio.run(_measure(access, Path(directory)))
    nothing, imported = _peak_of("pass"), _peak_of("import responder.app")
    return Result(
        benchmark="memory",
        figures=(
            _figure("python -c pass", nothing, nothing),
            _figure("python -c 'import responder.app'", imported, nothing),
            _figure("after three incidents", now, nothing),
            _figure("highest until then", peak, nothing),
        ),
    )


async def _measure(access: Access, directory: Path) -> tuple[float, float]:
    """VmRSS and VmHWM of the responder, MB."""
    shop = Shop(access)
    await shop.open()
    try:
        await shop.deploy("assets", {"image": "nginx:1.27", **_PROBED})
        await shop.deploy("storefront", {"image": "nignx:1.27", **_PROBED}, replicas=2)
        await shop.deploy("checkout", {"image": "registry.example/shop/web:1.4", **_HEALTHZ}, replicas=3)
        await shop.deploy("ledger", {"image": "registry.example/shop/ledger:1.0"})
        with responder(directory, access, RULES) as running:
            await _three_incidents(shop, running)
            return _status(running.pid, "VmRSS"), _status(running.pid, "VmHWM")
    finally:
        await shop.close()


async def _three_incidents(shop: Shop, running: Running) -> None:
    pod = await shop.pod("storefront", waits("ImagePullBackOff"))
    running.post(body("KubeContainerWaiting", pod=pod, container="app", reason="ImagePullBackOff"))
    _until(running, "Deployment/shop/storefront", lambda incident: incident.state is State.RESOLVED)

    await shop.pod("checkout", is_ready)
    running.post(body("KubeDeploymentReplicasMismatch", deployment="checkout"))
    waiting = _until(running, DRILLED, lambda incident: incident.state is State.AWAITING_APPROVAL)
    plan = running.detail(waiting).plans[-1].plan
    running.operator.send(Plan, "POST", path_of("plans", plan.id, "approve"), {"digest": plan.digest})
    _until(running, DRILLED, lambda incident: incident.state is State.ESCALATED)

    pod = await shop.pod("ledger", waits("CrashLoopBackOff"))
    running.post(body("KubePodCrashLooping", pod=pod, container="app", reason="CrashLoopBackOff"))
    _until(running, "Deployment/shop/ledger", lambda incident: incident.state is State.ESCALATED)


def _until(running: Running, key: str, done: Callable[[Incident], bool]) -> Incident:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        incident = running.incident(key)
        if incident is not None and done(incident):
            return incident
        time.sleep(0.1)
    raise RuntimeError(f"{key} did not get there: {incident}")


def _peak_of(program: str) -> float:
    """VmHWM of an interpreter that runs `program`, MB."""
    report = "import re; print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    done = subprocess.run([sys.executable, "-c", f"{program}\n{report}"], stdout=subprocess.PIPE, check=True)
    return int(done.stdout) / 1024


def _status(pid: int, field: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024


def _figure(name: str, megabytes: float, nothing: float) -> Figure:
    note = f"{megabytes / nothing:.1f} x the bare interpreter"
    return Figure(name=name, spread=Spread.of([megabytes]), unit="MB", note=note)
