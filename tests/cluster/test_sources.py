"""Every class of failure that Clopus sees by itself, provoked for real: one incident on the right root object.

`rig.provocations` brings each about in a namespace of its own, on the sandbox and on a real control plane; the
simulated kubelet speaks for the pods of both. All of them go on at once under one responder that watches the whole
cluster with reading rights only. Its patience is short: what has to last five minutes lasts a second here.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatch
from typing import Any

import pytest
import pytest_asyncio
from rig.api import unique
from rig.ground import Ground, real_ground, sandbox_ground
from rig.provocations import ALL, Place, Provocation
from rig.provocations.model import available, condition, deploy, template
from rig.world import World

from console.remote.client import path_of
from responder import app
from responder.cluster.trim import trim
from responder.conditions import condition_of_event, conditions_of
from responder.conditions.model import Condition, Endpoints, Surroundings
from responder.detector import watcher
from responder.detector.episodes import Episodes
from responder.detector.kinds import JUDGED_KINDS
from responder.domain.incident import Incident, State
from responder.domain.views import IncidentDetail
from responder.rbac import manifest

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

AGE_FACTOR = 0.003
SOAK_SECONDS = 1.0
CALM = "calm"
"""The namespace in which nothing is wrong."""
SPARE = "spare"
"""A node that is cordoned and that no pod waits for."""
SETTLED_SECONDS = 5.0
"""So long nothing new may have been told before the incidents are counted."""
DEADLINE = 60.0
RULES = """
rules:
  - {name: all, match: {}, mode: report}
"""


@dataclass(kw_only=True)
class Stage:
    """One ground with everything that goes wrong on it."""

    ground: Ground
    prefix: str
    """Of all its namespaces."""
    world: World
    places: dict[str, Place] = field(default_factory=dict)
    shown: dict[str, list[Condition]] = field(default_factory=dict)
    """What the objects of each case show by themselves, before anyone watches."""
    problems: dict[str, BaseException] = field(default_factory=dict)
    """Of provocations and repairs that did not come off."""

    def owner_of(self, incident: Incident) -> str:
        """The case whose doing the incident is; '' for none."""
        for name, place in self.places.items():
            named = {incident.namespace, incident.root.name if incident.root else ""}
            if named & {place.namespace, place.notes.get("node")}:
                return name
        return ""


Told = Mapping[str, tuple[IncidentDetail, ...]]
"""Incidents by the case that they belong to."""


def cases(wanted: Callable[[Provocation], bool] = lambda _: True) -> Any:
    """Parametrises over the provocations and, because the fixtures go by it, over the grounds."""
    found = []
    for ground in ("sandbox", "control plane"):
        marks = [pytest.mark.cluster] if ground == "control plane" else []
        for case in ALL:
            if wanted(case) and case.only_on in ("", ground):
                found.append(pytest.param(ground, case, id=f"{case.name} [{ground}]", marks=marks))
    return pytest.mark.parametrize(("stage", "case"), found, indirect=["stage"], scope="module")


def grounds() -> Any:
    found = ["sandbox", pytest.param("control plane", marks=pytest.mark.cluster)]
    return pytest.mark.parametrize("stage", found, indirect=True, scope="module")


# -- the stage and its three acts -------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """The first act: everything that is selected goes wrong, and beside it something is well."""
    async with AsyncExitStack() as stack:
        if request.param == "sandbox":
            ground = await stack.enter_async_context(sandbox_ground())
        else:
            ground = await stack.enter_async_context(real_ground(request.getfixturevalue("control_plane")))
        world = World(
            namespace="",
            api=ground.api,
            folder=tmp_path_factory.mktemp("world"),
            cluster_url=ground.api.url,
            cluster_token=ground.token,
            ca_file=ground.ca_file,
            read_writes=list,
        )
        stack.push_async_callback(world.stop)
        stage = Stage(ground=ground, prefix=unique("case"), world=world)
        await grant(ground)
        await asyncio.gather(be_well(stage), *(provoke(stage, case) for case in selected(request)))
        yield stage


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(stage: Stage, patience: None) -> Told:
    """The second act: a responder starts in the midst of it and says what it sees."""
    watch = {
        "enabled": True,
        "namespaces": [f"{stage.prefix}-*"],
        "age_factor": AGE_FACTOR,
        "soak_seconds": SOAK_SECONDS,
    }
    # Cases have nothing to do with each other, though many show the same: that is no storm.
    await stage.world.start(RULES, watch=watch, intake={"storm_workloads": 0}, cluster={"namespaces": []})
    expected = {name for name in stage.places if name not in stage.problems and name not in (CALM, SPARE)}

    def complete(incidents: Told) -> bool:
        return all(any(is_about(d, stage.places[name], name) for d in incidents.get(name, ())) for name in expected)

    return await settled(stage, complete)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def after_repair(stage: Stage, told: Told) -> Told:
    """The third act: someone repairs what can be repaired, and says nothing about it."""
    repairable = {case.name: case for case in ALL if case.repair and case.name in stage.places and told.get(case.name)}
    await asyncio.gather(*(repair(stage, case) for case in repairable.values()))

    def mended(incidents: Told) -> bool:
        return all(d.incident.state is State.RESOLVED for name in repairable for d in incidents.get(name, ()))

    return await settled(stage, mended)


@pytest.fixture(scope="module")
def patience() -> Iterator[None]:
    """Soaks, which have a floor per condition, are short here, too."""

    class Impatient(Episodes):
        def observe(self, *objects: Any, **times: Any) -> None:
            *refs, conditions = objects
            brief = tuple(dataclasses.replace(each, soak_seconds=SOAK_SECONDS) for each in conditions)
            super().observe(*refs, brief, **times)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "Episodes", Impatient)
        patch.setattr(watcher, "REVIEW_SECONDS", 1.0)
        yield


def selected(request: pytest.FixtureRequest) -> list[Provocation]:
    """Of the cases of all tests that will run on this ground, each once."""
    found = {
        item.callspec.params["case"].name: item.callspec.params["case"]
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.module is request.module
        and hasattr(item, "callspec")
        and item.callspec.params.get("stage") == request.param
        and "case" in item.callspec.params
    }
    return list(found.values())


async def grant(ground: Ground) -> None:
    """Reading, everywhere: the rights that `clopus rbac` prints."""
    documents = manifest(
        kinds=(),
        namespaces=(),
        service_account="clopus",
        own_namespace=ground.own_namespace,
        permissions=(),
        cluster=True,
        everywhere=True,
    )
    for document in documents:
        await ground.create(str(document["kind"]), "", document)


async def provoke(stage: Stage, case: Provocation) -> None:
    place = stage.places[case.name] = Place(
        ground=stage.ground, namespace=await stage.ground.namespace(stage.prefix, case.labels)
    )
    try:
        await case.provoke(place)
        stage.shown[case.name] = await shown_in(place)
    except AssertionError as exc:
        stage.problems[case.name] = exc


async def repair(stage: Stage, case: Provocation) -> None:
    assert case.repair is not None
    try:
        await case.repair(stage.places[case.name])
    except AssertionError as exc:
        stage.problems[case.name] = exc


async def be_well(stage: Stage) -> None:
    place = stage.places[CALM] = Place(ground=stage.ground, namespace=await stage.ground.namespace(stage.prefix, {}))
    ready = {"readinessProbe": {"httpGet": {"path": "/", "port": 80}}}
    await deploy(place, "web", ready, spec={"replicas": 2})
    await place.create("Service", "web", spec={"selector": {"app": "web"}, "ports": [{"port": 80}]})
    budget = {"selector": {"matchLabels": {"app": "web"}}, "maxUnavailable": 1}
    await place.create("PodDisruptionBudget", "web", spec=budget)
    await place.create("ResourceQuota", "ample", spec={"hard": {"pods": "10"}})
    await deploy(place, "off", spec={"replicas": 0})
    done = template("done", {"image": "busybox:1.37", "command": ["true"]}, restartPolicy="Never")
    await place.create("Job", "done", spec={"template": done})
    await place.create("Service", "elsewhere", spec={"type": "ExternalName", "externalName": "shop.example"})
    node = await stage.ground.add_node("spare", private=True)
    stage.places[SPARE] = dataclasses.replace(place, notes={"node": node})
    await place.patch("Node", node, {"spec": {"unschedulable": True}})
    await place.until("Deployment", "web", available(2))
    await place.until("Job", "done", condition("Complete", "True"))


async def settled(stage: Stage, complete: Callable[[Told], bool]) -> Told:
    """The incidents once they are as wished and nothing has changed for a while, or when there was time enough."""
    loop = asyncio.get_running_loop()
    deadline, last, since = loop.time() + DEADLINE, set[Any](), loop.time()
    while True:
        incidents = await stage.world.incidents()
        seen = {(i.id, i.state is State.RESOLVED) for i in incidents}
        if seen != last:
            last, since = seen, loop.time()
        if loop.time() - since > SETTLED_SECONDS:
            found = await told_of(stage, incidents)
            if complete(found) or loop.time() > deadline:
                return found
        await asyncio.sleep(0.2)


async def told_of(stage: Stage, incidents: tuple[Incident, ...]) -> Told:
    found: dict[str, list[IncidentDetail]] = {}
    for incident in incidents:
        path = path_of("incidents", incident.id)
        detail = await stage.world.ask(lambda client, path=path: client.get(IncidentDetail, path))
        found.setdefault(stage.owner_of(incident), []).append(detail)
    return {name: tuple(details) for name, details in found.items()}


# -- what the objects show --------------------------------------------------------------------------------------------


async def shown_in(place: Place) -> list[Condition]:
    """The conditions of everything in the place, and of its node."""
    ground, now = place.ground, datetime.now(UTC)
    objects = {
        kind: [trim(kind, raw) for raw in await ground.list(kind, place.namespace)]
        for kind in JUDGED_KINDS
        if kind not in ("Node", "Namespace")
    }
    objects["Namespace"] = [trim("Namespace", await ground.api.expect("GET", place.path("Namespace", place.namespace)))]
    if node := place.notes.get("node"):
        objects["Node"] = [trim("Node", await ground.api.expect("GET", place.path("Node", node)))]
    addresses = [endpoint for found in objects["EndpointSlice"] for endpoint in found.get("endpoints") or ()]
    ready = sum((endpoint.get("conditions") or {}).get("ready") is not False for endpoint in addresses)
    waiting = sum(is_unschedulable(pod) for pod in objects["Pod"])
    around = Surroundings(
        now=now,
        endpoints=Endpoints(ready=ready, not_ready=len(addresses) - ready),
        unschedulable_pods=waiting,
    )
    found = [c for kind, bodies in objects.items() for body in bodies for c in conditions_of(kind, body, around)]
    events = (condition_of_event(body, now) for body in objects["Event"])
    return [*found, *(c for c in events if c is not None)]


def is_unschedulable(pod: Any) -> bool:
    return any(entry.get("reason") == "Unschedulable" for entry in pod["status"].get("conditions") or ())


def alerts_of(detail: IncidentDetail) -> set[str]:
    return {view.alert.name for view in detail.alerts}


def is_about(detail: IncidentDetail, place: Place, name: str) -> bool:
    """The incident is on the root object of the case, and says what is wrong with it."""
    case = next(case for case in ALL if case.name == name)
    if case.alert not in alerts_of(detail):
        return False
    root = detail.incident.root
    return root is not None and fnmatch(root.key, case.root_key(place)) and detail.incident.members == case.members


def story(details: tuple[IncidentDetail, ...]) -> str:
    lines = []
    for detail in details:
        incident = detail.incident
        root = incident.root.key if incident.root else "no object"
        lines.append(f"{incident.key} on {root}, {incident.state}, {incident.members} members: {incident.summary}")
        lines += [
            f"    {view.alert.name} {view.alert.status} {dict(view.alert.labels)} {dict(view.alert.annotations)}"
            for view in detail.alerts
        ]
    return "\n".join(lines) or "no incident at all"


def came_off(stage: Stage, case: Provocation) -> None:
    if problem := stage.problems.get(case.name):
        raise problem


# -- the tests --------------------------------------------------------------------------------------------------------


@cases(lambda case: case.alert != "ReadinessFlapping")  # takes a past, which only the watcher has
async def test_what_goes_wrong_shows_as_a_condition(stage: Stage, case: Provocation) -> None:
    came_off(stage, case)
    kind = case.shown_by or case.root.partition("/")[0]
    shown = [(condition.name, condition.about.kind) for condition in stage.shown[case.name]]
    assert (case.alert, kind) in shown, stage.shown[case.name]


@cases()
async def test_each_class_of_failure_is_one_incident_on_its_root(stage: Stage, told: Told, case: Provocation) -> None:
    came_off(stage, case)
    found = told.get(case.name, ())
    assert len(found) == 1, story(found)
    assert is_about(found[0], stage.places[case.name], case.name), story(found)


@grounds()
async def test_where_nothing_is_wrong_there_is_no_incident(stage: Stage, told: Told) -> None:
    assert not told.get(CALM), story(told.get(CALM, ()))
    assert not told.get(""), story(told.get("", ()))


@grounds()
async def test_a_cordoned_node_that_no_pod_waits_for_is_no_incident(stage: Stage, told: Told) -> None:
    assert not told.get(SPARE), story(told.get(SPARE, ()))


@cases(lambda case: case.repair is not None)
async def test_an_incident_resolves_by_itself_once_its_cause_is_gone(
    stage: Stage, after_repair: Told, case: Provocation
) -> None:
    came_off(stage, case)
    found = after_repair.get(case.name, ())
    assert found
    assert all(detail.incident.state is State.RESOLVED for detail in found), story(found)
