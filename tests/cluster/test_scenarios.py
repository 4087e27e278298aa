"""The whole loop over classes of faults: what Clopus decides, what it writes, and what it says.

`scenarios/*.yaml` holds the cases. Each runs in a namespace of its own under a rule that allows every action, so that
what is not written is held back by judgement and not by policy. Keys of a case:

- `labels`: of the namespace.
- `first`: what is there and well before anything breaks, for `aged` seconds where that matters; `then`: what is created
  or applied over it; `gone`: what is deleted after that, as Kind/name.
- `until`: what must be seen before the alert is sent, as a function of this module and its argument.
- `alerts`: name and labels (without any: `deployment: web`); `{pod}` is the newest pod of `app: web` as `until` left
  it, `{other}` the one at `number`.
- `expect`: outcome (or `waits`, for an approval), kinds of the plans, effective writes, phrases of the summary, fields
  of the object afterwards. The incident is on Deployment/web unless `key` says otherwise; `incidents` are further ones.
- `real: true`: also on a real control plane.

A workload is written short: kind, name, `container` (or `containers`, `init`), `pod` for the rest of the pod's spec,
`notes` for its annotations, `spec` for the rest of the workload's; `manager` applies it, `unwell` does not wait for it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from rig.world import World, real_world, sandbox_world

from responder.cluster.resources import collection_path, object_path
from responder.domain.incident import ACTIVE_STATES, Outcome, State
from responder.domain.plan import PlanState
from responder.domain.refs import ObjectRef
from responder.domain.views import IncidentDetail

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILES = sorted((Path(__file__).parent / "scenarios").glob("*.yaml"))
AT_ONCE = 6
DEADLINE = 90.0
RULES = """
rules:
  - name: all
    match: {}
    mode: autonomous
    actions: [set_image, undo_rollout, restart_rollout, set_resources, replace_config_reference, set_probe, set_ports,
              add_scratch_volume, delete_pod]
    max_risk: medium
    budget: {per_workload: 20/30m, per_namespace: 50/1h, per_cluster: 100/1h, concurrent: 5}
    verify: {settle: 2s, within: 40s}
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scenario:
    name: str
    expect: Mapping[str, Any]
    first: tuple[Any, ...] = ()
    then: tuple[Any, ...] = ()
    aged: float = 0
    """How many seconds `first` has to have run before `then`."""
    gone: tuple[str, ...] = ()
    until: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    alerts: tuple[Any, ...] = ()
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Of the namespace."""
    real: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judged:
    details: tuple[IncidentDetail, ...]
    writes: int
    after: Any
    """The object that the incident is about, at the end; None where it does not exist."""


def scenarios() -> list[Any]:
    found = []
    for file in FILES:
        for raw in yaml.safe_load(file.read_text(encoding="utf-8")):
            listed = {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
            scenario = Scenario(**listed)
            found.append(pytest.param((scenario, "sandbox"), id=f"{scenario.name} [sandbox]"))
            if scenario.real:
                where = (scenario, "control plane")
                found.append(pytest.param(where, id=f"{scenario.name} [control plane]", marks=pytest.mark.cluster))
    return found


# -- the runner -------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Mapping[tuple[str, str], asyncio.Task[Judged]]]:
    """All selected cases, started together: most of a case's time is waiting for back-offs and soak times.

    On a real control plane they run one after the other, because each brings its own node.
    """
    gates = {"sandbox": asyncio.Semaphore(AT_ONCE), "control plane": asyncio.Semaphore(1)}
    selected = [
        item.callspec.params["case"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module and hasattr(item, "callspec")
    ]
    real = request.getfixturevalue("control_plane") if any(where != "sandbox" for _, where in selected) else None

    async def run(scenario: Scenario, where: str) -> Judged:
        async with gates[where], AsyncExitStack() as stack:
            folder = tmp_path_factory.mktemp("world")
            opened = sandbox_world(folder, scenario.labels) if real is None or where == "sandbox" else None
            world = await stack.enter_async_context(opened or real_world(real, folder, scenario.labels))
            return await judged(world, scenario)

    tasks = {
        (scenario.name, where): asyncio.create_task(run(scenario, where), name=scenario.name)
        for scenario, where in selected
    }
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


async def judged(world: World, scenario: Scenario) -> Judged:
    for document in scenario.first:
        await apply(world, document)
    for document in scenario.first:
        await well(world, document)
    if scenario.aged:
        await steady(world, scenario.aged)
    for document in scenario.then:
        await apply(world, document)
    for name in scenario.gone:
        kind, _, name = name.replace("{pod}", (await pods(world))[0]).partition("/")
        await world.api.expect("DELETE", object_path(ObjectRef(kind=kind, namespace=world.namespace, name=name)))
    for condition, argument in scenario.until.items():
        await CONDITIONS[condition](world, argument)
    await world.start(RULES)
    await world.post(*[alert(world, raw, await pods(world)) for raw in scenario.alerts])
    if marker(world) in keys_of(world, scenario):
        await world.post(world.alert("Marker", service="marker"))
    for key in keys_of(world, scenario):
        await finished(world, key)
    details = tuple([d for i in await world.incidents() if i.key != marker(world) and (d := await world.detail(i.key))])
    after = None
    if details and (root := details[0].incident.root) is not None:
        status, after = await world.api.request("GET", object_path(root))
        after = after if status == 200 else None
    await world.stop()
    return Judged(details=details, writes=len(world.effective_writes()), after=after)


def marker(world: World) -> str:
    return f"alert/{world.namespace}/Marker"


def keys_of(world: World, scenario: Scenario) -> list[str]:
    """Each `Kind/name`, or with a namespace in between; where no incident is expected, that of an alert sent last."""
    key: str = scenario.expect.get("key", "Deployment/web")
    split = [found.partition("/") for found in (key, *scenario.expect.get("incidents", ())) if found]
    keys = ["".join(parts) if "/" in parts[2] else f"{parts[0]}/{world.namespace}/{parts[2]}" for parts in split]
    return keys or [marker(world)]


async def finished(world: World, key: str) -> None:
    deadline = asyncio.get_running_loop().time() + DEADLINE
    while asyncio.get_running_loop().time() < deadline:
        detail = await world.detail(key)
        if detail is not None and (
            detail.incident.state not in ACTIVE_STATES or detail.incident.state is State.AWAITING_APPROVAL
        ):
            return
        await asyncio.sleep(0.1)
    seen = [(i.key, i.state.value, i.outcome.value, i.summary) for i in await world.incidents()]
    raise AssertionError(f"{key} did not get there within {DEADLINE:.0f} s: {seen}")


async def apply(world: World, document: Any) -> None:
    body = manifest(document)
    body.setdefault("metadata", {})["namespace"] = world.namespace
    manager = document.get("manager", "kubectl")
    path = f"{_path(body, world.namespace)}?fieldManager={manager}&force=true"
    await world.api.expect("PATCH", path, body, content_type="application/apply-patch+yaml")


def _path(body: Any, namespace: str) -> str:
    name = body["metadata"]["name"]
    if body["kind"] in ("Secret", "ResourceQuota"):  # kinds that Clopus has no right to and no path for
        return f"/api/v1/namespaces/{namespace}/{body['kind'].lower()}s/{name}"
    return object_path(ObjectRef(kind=body["kind"], namespace=namespace, name=name))


def manifest(short: Any) -> Any:
    if "apiVersion" in short:
        return json.loads(json.dumps(short))
    kind, name = short["kind"], short["name"]
    metadata = {"name": name, "annotations": short.get("annotations", {}), "labels": short.get("labels", {})}
    containers = short.get("containers") or [short["container"]]
    template = {
        "metadata": {"labels": {"app": name}, "annotations": short.get("notes", {})},
        "spec": {
            "containers": [{"name": "app", **container} for container in containers],
            **({"initContainers": [{"name": "init", **short["init"]}]} if "init" in short else {}),
            **short.get("pod", {}),
        },
    }
    if kind == "Pod":
        metadata["labels"] = {"app": name, **metadata["labels"]}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    if kind == "Job":
        spec = {"template": template, "backoffLimit": 1}
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}
    spec: dict[str, Any] = {"selector": {"matchLabels": {"app": name}}, "template": template}
    if kind != "DaemonSet":
        spec["replicas"] = short.get("replicas", 1)
    if kind == "StatefulSet":
        spec["serviceName"] = name
    spec |= short.get("spec", {})
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec}


def alert(world: World, raw: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    labels = raw.get("labels", {"deployment": "web"})
    filled = {
        label: text.replace("{pod}", names[0] if names else "")
        .replace("{other}", names[raw.get("number", 0)] if names else "")
        .replace("{namespace}", world.namespace)
        for label, text in labels.items()
    }
    made = world.alert(raw["name"], **filled)
    made["annotations"] = raw.get("annotations", {})
    return made


# -- what is waited for -----------------------------------------------------------------------------------------------


async def pods(world: World, app: str = "web") -> list[str]:
    """Names, newest first."""
    listed = await world.api.expect("GET", f"{collection_path('Pod', world.namespace)}?labelSelector=app%3D{app}")
    found = sorted(listed["items"], key=lambda pod: pod["metadata"]["creationTimestamp"], reverse=True)
    return [pod["metadata"]["name"] for pod in found]


async def well(world: World, document: Any) -> None:
    name = document.get("name")
    if not name or document.get("unwell"):
        return
    replicas = document.get("replicas", 1)

    def ready(body: Any) -> bool:
        status = body.get("status", {})
        if body["kind"] == "Pod":
            return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ()))
        seen = status.get("observedGeneration") == body["metadata"]["generation"]
        return bool(seen and status.get("readyReplicas", status.get("numberReady")) == replicas)

    await world.until(document["kind"], name, ready)


def _statuses(pod: Any) -> list[Any]:
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]


async def waiting(world: World, reason: str) -> None:
    """A container of `app: web` waits for this reason."""
    await world.pod_of(
        "web",
        lambda pod: any(s.get("state", {}).get("waiting", {}).get("reason") == reason for s in _statuses(pod)),
    )


async def all_waiting(world: World, wanted: Mapping[str, Any]) -> None:
    path = f"{collection_path('Pod', world.namespace)}?labelSelector=app%3Dweb"

    def holds(listed: Any) -> bool:
        reasons = [
            any(s.get("state", {}).get("waiting", {}).get("reason") == wanted["reason"] for s in _statuses(pod))
            for pod in listed["items"]
        ]
        return sum(reasons) >= wanted["count"]

    await world.api.until(path, holds)


async def restarts(world: World, count: int) -> None:
    await world.pod_of("web", lambda pod: any(s.get("restartCount", 0) >= count for s in _statuses(pod)))


async def app_ready(world: World, app: str) -> None:
    await world.pod_of(
        app,
        lambda pod: any(
            c["type"] == "Ready" and c["status"] == "True" for c in pod.get("status", {}).get("conditions", ())
        ),
    )


async def event(world: World, reason: str) -> None:
    path = f"/api/v1/namespaces/{world.namespace}/events"
    await world.api.until(path, lambda listed: any(e.get("reason") == reason for e in listed["items"]))


async def unscheduled(world: World, app: str) -> None:
    await world.pod_of(
        app,
        lambda pod: any(
            c["type"] == "PodScheduled" and c["status"] == "False" for c in pod.get("status", {}).get("conditions", ())
        ),
    )


async def condition(world: World, wanted: Mapping[str, str]) -> None:
    """`type` and `reason` of a condition of Deployment web."""
    await world.until(
        "Deployment",
        "web",
        lambda body: any(
            c["type"] == wanted["type"] and c.get("reason") == wanted["reason"]
            for c in body.get("status", {}).get("conditions", ())
        ),
    )


async def steady(world: World, seconds: float) -> None:
    """The containers of `app: web` have run without a break for so long."""

    def holds(pod: Any) -> bool:
        since = [s.get("state", {}).get("running", {}).get("startedAt") for s in _statuses(pod)]
        now = datetime.now(UTC)
        return bool(since) and all(at and (now - datetime.fromisoformat(at)).total_seconds() > seconds for at in since)

    deadline = asyncio.get_running_loop().time() + seconds + 30
    while asyncio.get_running_loop().time() < deadline:
        listed = await world.api.expect("GET", f"{collection_path('Pod', world.namespace)}?labelSelector=app%3Dweb")
        if all(holds(pod) for pod in listed["items"]):
            return
        await asyncio.sleep(0.5)
    raise AssertionError(f"the pods did not stay up for {seconds} s")


async def no_pods(world: World, app: str) -> None:
    path = f"{collection_path('Pod', world.namespace)}?labelSelector=app%3D{app}"
    await world.api.until(path, lambda listed: not listed["items"])


CONDITIONS: Mapping[str, Callable[[World, Any], Awaitable[None]]] = {
    "waiting": waiting,
    "all_waiting": all_waiting,
    "restarts": restarts,
    "app_ready": app_ready,
    "event": event,
    "unscheduled": unscheduled,
    "condition": condition,
    "steady": steady,
    "no_pods": no_pods,
}


# -- the judgement ----------------------------------------------------------------------------------------------------

STATES = {"fixed": State.RESOLVED, "recovered": State.RESOLVED, "waits": State.AWAITING_APPROVAL}


@pytest.mark.timeout(300)  # on a real control plane a case waits for its turn
@pytest.mark.parametrize("case", scenarios())
async def test_scenario(case: tuple[Scenario, str], runs: Mapping[tuple[str, str], asyncio.Task[Judged]]) -> None:
    scenario, where = case
    found = await runs[scenario.name, where]
    expect = scenario.expect
    assert len(found.details) == (0 if expect.get("key") == "" else 1 + len(expect.get("incidents", ())))
    assert found.writes == expect.get("writes", 0), story(found)
    if not found.details:
        return
    detail = found.details[0]
    incident = detail.incident
    wanted = expect["outcome"]
    assert incident.state is STATES.get(wanted, State.ESCALATED), story(found)
    assert incident.outcome is (Outcome.NONE if wanted == "waits" else Outcome(wanted)), story(found)
    # A status report between dry run and write makes a plan stale, and it is made anew: no judgement of the case.
    made = [view.plan.action.kind for view in detail.plans if view.plan.state is not PlanState.STALE]
    assert made == expect.get("plans", []), story(found)
    for phrase in expect.get("says", ()):
        assert phrase in incident.summary, story(found)
    for path, value in expect.get("after", {}).items():
        assert dig(found.after, path) == value, found.after


def dig(body: Any, path: str) -> Any:
    """`a.0.b`, with `containers` for the pod template's."""
    path = path.replace("containers.", "spec.template.spec.containers.", 1) if path.startswith("containers.") else path
    for part in path.split("."):
        body = body[int(part)] if isinstance(body, list) else body.get(part)
    return body


def story(found: Judged) -> str:
    lines = [f"{found.writes} effective writes"]
    for detail in found.details:
        incident = detail.incident
        lines.append(f"{incident.key} {incident.state} {incident.outcome}: {incident.summary}")
        for plan in (view.plan for view in detail.plans):
            lines.append(f"plan {plan.action} {plan.state}: {[check for check in plan.checks if not check.passed]}")
        lines += [f"verdict {v.verifications[-1].verdict}" for v in detail.executions if v.verifications]
        lines += [f"finding {f.fault} {f.container}: {f.cause}" for i in detail.investigations[-1:] for f in i.findings]
    return "\n     ".join(lines)
