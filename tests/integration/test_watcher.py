"""Kubernetes as a source of alerts: a whole responder on the sandbox, which sees for itself what is wrong."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from responder import app, wire
from responder.app import Responder
from responder.cluster import cursor
from responder.cluster.client import Client
from responder.cluster.kubernetes import KubernetesCluster
from responder.cluster.resources import collection_path, object_path
from responder.cluster.trim import trim
from responder.detector import blindness, watcher
from responder.detector.episodes import Episodes
from responder.domain.alert import AlertSource, AlertStatus
from responder.domain.incident import Incident, Outcome, State
from responder.domain.refs import ObjectRef
from responder.domain.versions import ObjectVersion
from responder.domain.views import ChangePage, IncidentDetail, IncidentPage, WatchPage, WatchView
from responder.rbac import manifest
from responder.sandbox import Sandbox
from responder.sandbox.controllers import nodes
from responder.settings import load_settings

pytestmark = pytest.mark.timeout(120)

PATIENCE_SECONDS = 30.0
SOAK_SECONDS = 0.5
AGE_FACTOR = 0.001
GRACE_SECONDS = 3.0
ACCOUNT = {"service_account": "clopus", "own_namespace": "clopus"}
USER = "system:serviceaccount:clopus:clopus"
TOKENS = {"alertmanager": "webhook-token-0123456789", "olga": "operator-token-0123456789"}
GOOD, MISTYPED = "nginx:1.27", "nignx:1.27"
REPORT = "rules: [{name: all, match: {}, mode: report}]\n"
AUTONOMOUS = """
rules:
  - name: all
    match: {matchers: ['alertname=~".+"']}
    mode: autonomous
    actions: [set_image, undo_rollout]
    images: ['nginx:*']
    max_risk: high
    verify: {settle: 500ms, within: 20s}
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: %(name)s, namespace: %(namespace)s}
spec:
  selector: {matchLabels: {app: %(name)s}}
  template:
    metadata: {labels: {app: %(name)s}}
    spec: {containers: [{name: app, image: "%(image)s", %(fields)s}]}
"""


class Impatient(Episodes):
    """Each condition has a soak of its own, which the settings only lengthen."""

    def observe(self, *objects: Any, **times: Any) -> None:
        *refs, conditions = objects
        super().observe(*refs, tuple(replace(each, soak_seconds=SOAK_SECONDS) for each in conditions), **times)


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes minutes where people work takes a second here; what is decided stays."""
    monkeypatch.setattr(app, "Episodes", Impatient)
    monkeypatch.setattr(watcher, "TICK_SECONDS", 0.05)
    monkeypatch.setattr(watcher, "REVIEW_SECONDS", 0.3)
    monkeypatch.setattr(blindness, "AGE_SECONDS", 1.0)
    monkeypatch.setattr(blindness, "SOAK_SECONDS", 1.0)
    monkeypatch.setattr(cursor, "LONGEST_BACKOFF", 1.0)
    monkeypatch.setattr(nodes, "GRACE_SECONDS", 5.0)


class Stumbling(Impatient):
    """Fails once in a way that nobody foresaw."""

    stumbled = False

    def due(self, *args: Any) -> Any:
        if not self.stumbled:
            self.stumbled = True
            raise RuntimeError("unforeseen")
        return super().due(*args)


class Stage:
    """A sandbox and, from `start` to `stop`, a responder that watches it. The database outlives the responder."""

    def __init__(self, folder: Path, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.token = sandbox.add_token(USER)
        self._folder, self._session = folder, session
        self._responder: Responder | None = None

    # -- the cluster ----------------------------------------------------------------------------------------------

    async def deploy(self, name: str, image: str = GOOD, *, namespace: str = "shop", fields: str = "") -> None:
        text = DEPLOYMENT % {"name": name, "namespace": namespace, "image": image, "fields": fields}
        await self.sandbox.apply_yaml(text)

    async def admin(self, method: str, path: str, body: Any = None, *, content_type: str = "application/json") -> Any:
        headers = {"Authorization": f"Bearer {self.sandbox.token}", "Content-Type": content_type}
        data = None if body is None else io.BytesIO(json.dumps(body).encode())
        async with self._session.request(method, self.sandbox.url + path, headers=headers, data=data) as answer:
            told = await answer.json()
            assert answer.status < 300, (method, path, told)
            return told

    async def patch(self, ref: ObjectRef, body: Any) -> None:
        await self.admin("PATCH", object_path(ref), body, content_type="application/merge-patch+json")

    async def delete(self, ref: ObjectRef) -> None:
        await self.admin("DELETE", object_path(ref))

    async def label(self, namespace: str, value: str | None) -> None:
        await self.patch(ObjectRef(kind="Namespace", name=namespace), {"metadata": {"labels": {"team": value}}})

    async def add_namespace(self, name: str, **labels: str) -> None:
        await self.admin("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})

    async def pods(self, app: str, namespace: str = "shop") -> list[Any]:
        listed = await self.admin("GET", f"{collection_path('Pod', namespace)}?labelSelector=app%3D{app}")
        return list(listed["items"])

    async def suffers(self, *names: str, namespace: str = "shop") -> None:
        """Until a container of each waits for something that does not come by itself."""
        for name in names:
            await until(lambda name=name: self._waits(name, namespace), f"{name} is well")

    async def is_ready(self, *names: str, namespace: str = "shop") -> None:
        for name in names:
            await until(lambda name=name: self._all_ready(name, namespace), f"{name} is not ready")

    async def grant(self, **wanted: Any) -> None:
        """The rights that `clopus rbac` prints; what was granted before under the same name is replaced."""
        granted = {"kinds": (), "namespaces": (), "permissions": (), **ACCOUNT, **wanted}
        without = granted.pop("without", "")
        for document in manifest(**granted):
            for rule in document.get("rules", ()):  # type: ignore[union-attr]  # an empty list
                rule["resources"] = [each for each in rule["resources"] if each != without]  # type: ignore[index, call-overload]
            await self.sandbox.apply_yaml(json.dumps(document))

    async def revoke(self) -> None:
        path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/clopus-reader"
        await self.admin("DELETE", path)

    async def _waits(self, name: str, namespace: str) -> bool:
        statuses = [s for pod in await self.pods(name, namespace) for s in pod["status"].get("containerStatuses", ())]
        reasons = {status["state"].get("waiting", {}).get("reason", "") for status in statuses}
        return bool(reasons & {"ImagePullBackOff", "ErrImagePull", "CreateContainerConfigError"})

    async def _all_ready(self, name: str, namespace: str) -> bool:
        pods = await self.pods(name, namespace)
        conditions = [{c["type"]: c["status"] for c in pod["status"].get("conditions", ())} for pod in pods]
        return bool(pods) and all(each.get("Ready") == "True" for each in conditions)

    # -- the responder --------------------------------------------------------------------------------------------

    async def start(self, *, rules: str = REPORT, token: str = "", intake: Any = None, **watch: Any) -> None:
        """With all rights of an administrator unless a token is given."""
        token = token or self.sandbox.add_token(USER, groups=("system:masters",))
        for name, text in {
            "webhook": f"alertmanager:{TOKENS['alertmanager']}\n",
            "operators": f"olga:{TOKENS['olga']}\n",
            "rules.yaml": rules,
        }.items():
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
            "watch": {"enabled": True, "age_factor": AGE_FACTOR, "soak_seconds": SOAK_SECONDS, **watch},
            "intake": {"grace_seconds": GRACE_SECONDS, **(intake or {})},
        }
        path = self._folder / "clopus.yaml"
        path.write_text(json.dumps(config))
        cluster = KubernetesCluster(Client.from_token(url=self.sandbox.url, token=token))
        self._responder = await Responder.start(load_settings(path, {}), cluster=cluster)

    async def stop(self) -> None:
        if self._responder is not None:
            responder, self._responder = self._responder, None
            await responder.stop()

    async def call(self, method: str, path: str, body: Any = None, *, token: str = TOKENS["olga"]) -> bytes:
        assert self._responder is not None
        headers, data = (
            {"Authorization": f"Bearer {token}"},
            None if body is None else io.BytesIO(json.dumps(body).encode()),
        )
        async with self._session.request(method, self._responder.url + path, headers=headers, data=data) as answer:
            told = await answer.read()
            assert answer.status < 300, (answer.status, told)
            return told

    async def alertmanager(self, name: str, status: AlertStatus) -> None:
        began, now = datetime.now(UTC) - timedelta(minutes=5), datetime.now(UTC)
        alert = {
            "status": status.value,
            "labels": {"alertname": "KubeDeploymentReplicasMismatch", "namespace": "shop", "deployment": name},
            "annotations": {},
            "startsAt": began.isoformat(),
            "endsAt": now.isoformat() if status is AlertStatus.RESOLVED else "0001-01-01T00:00:00Z",
        }
        body = {"version": "4", "receiver": "clopus", "status": status.value, "alerts": [alert]}
        await self.call("POST", "/webhook/alertmanager", body, token=TOKENS["alertmanager"])

    async def incidents(self) -> tuple[Incident, ...]:
        """Oldest first."""
        page = wire.loads(IncidentPage, await self.call("GET", "/api/v1/incidents"))
        return tuple(reversed(page.incidents))

    async def incident(self, key: str) -> Incident | None:
        """The newest of this key."""
        return next((one for one in reversed(await self.incidents()) if one.key == key), None)

    async def detail(self, incident: Incident) -> IncidentDetail:
        return wire.loads(IncidentDetail, await self.call("GET", f"/api/v1/incidents/{incident.id}"))

    async def alerts(self, key: str, source: AlertSource = AlertSource.KUBERNETES) -> dict[str, AlertStatus]:
        """Name -> the last word on it, of the newest incident with this key."""
        incident = await self.incident(key)
        assert incident is not None
        views = (await self.detail(incident)).alerts
        return {view.alert.name: view.alert.status for view in views if view.alert.source is source}

    async def watches(self) -> tuple[WatchView, ...]:
        return wire.loads(WatchPage, await self.call("GET", "/api/v1/watches")).watches

    async def changes(self, key: str) -> tuple[ObjectVersion, ...]:
        return wire.loads(ChangePage, await self.call("GET", f"/api/v1/changes?object={key}")).changes

    async def metrics(self) -> Mapping[str, float]:
        lines = (await self.call("GET", "/metrics")).decode().splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines) if name[:1] != "#"}

    # -- waiting --------------------------------------------------------------------------------------------------

    async def appears(self, key: str) -> Incident:
        """An incident of this key that is told about, and not looked at any more."""
        looked_at = (State.ESCALATED, State.AWAITING_APPROVAL)
        found: Incident = await until(
            lambda: self._as(key, lambda one: one.state in looked_at), self._otherwise(f"no incident on {key}")
        )
        return found

    async def resolves(self, key: str) -> Incident:
        found: Incident = await until(
            lambda: self._as(key, lambda one: one.state is State.RESOLVED), self._otherwise(f"{key} stays open")
        )
        return found

    async def all_live(self) -> None:
        async def live() -> bool:
            found = await self.watches()
            return bool(found) and all(watch.state == "live" for watch in found)

        await until(live, "not all watches are live")

    async def judged(self) -> None:
        """Until trouble that began after the call would have become an incident: one that did is mended again."""
        await self.deploy("probe", MISTYPED)
        await self.appears("Deployment/shop/probe")
        await self.delete(deployment("probe"))
        await self.resolves("Deployment/shop/probe")

    async def _as(self, key: str, holds: Callable[[Incident], bool]) -> Incident | None:
        found = await self.incident(key)
        return found if found is not None and holds(found) else None

    def _otherwise(self, problem: str) -> Callable[[], Any]:
        async def story() -> str:
            told = [f"{one.key} {one.state} {one.outcome}: {one.summary}" for one in await self.incidents()]
            return "\n".join([problem, *told])

        return story


async def until(condition: Callable[[], Any], otherwise: str | Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := await condition()):
        if time.monotonic() > deadline:
            pytest.fail(otherwise if isinstance(otherwise, str) else await otherwise())
        await asyncio.sleep(0.05)
    return found


def deployment(name: str, namespace: str = "shop") -> ObjectRef:
    return ObjectRef(kind="Deployment", namespace=namespace, name=name)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A cluster with a namespace `shop` and a node; the responder is not started."""
    async with Sandbox(namespaces=("shop",), speed=20.0) as sandbox, aiohttp.ClientSession() as session:
        stage = Stage(tmp_path, sandbox, session)
        try:
            yield stage
        finally:
            await stage.stop()


# -- one trouble, one incident --------------------------------------------------------------------------------------


async def test_trouble_is_one_incident_on_its_root_without_any_webhook(stage: Stage) -> None:
    await stage.start()
    await stage.deploy("well")
    await stage.is_ready("well")
    await stage.deploy("web", MISTYPED)
    await stage.appears("Deployment/shop/web")
    await stage.judged()
    assert {one.key for one in await stage.incidents()} == {"Deployment/shop/web", "Deployment/shop/probe"}


async def test_an_incident_resolves_by_itself_after_the_repair(stage: Stage) -> None:
    await stage.deploy("web", MISTYPED)
    await stage.start()
    await stage.appears("Deployment/shop/web")
    await stage.deploy("web", GOOD)
    await stage.resolves("Deployment/shop/web")
    assert set((await stage.alerts("Deployment/shop/web")).values()) == {AlertStatus.RESOLVED}


async def test_an_incident_of_two_sources_ends_when_both_have_ended(stage: Stage) -> None:
    await stage.deploy("web", MISTYPED)
    await stage.start()
    await stage.appears("Deployment/shop/web")
    await stage.alertmanager("web", AlertStatus.FIRING)
    await until(lambda: stage.alerts("Deployment/shop/web", AlertSource.ALERTMANAGER), "the webhook joins nothing")
    await stage.deploy("web", GOOD)

    async def over() -> bool:
        return set((await stage.alerts("Deployment/shop/web")).values()) == {AlertStatus.RESOLVED}

    await until(over, "the watch does not see the repair")
    (incident,) = await stage.incidents()
    assert incident.state is not State.RESOLVED
    await stage.alertmanager("web", AlertStatus.RESOLVED)
    await stage.resolves("Deployment/shop/web")


@pytest.mark.inv(9)
async def test_what_nobody_foresaw_does_not_end_the_watching(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "Episodes", Stumbling)
    monkeypatch.setattr(watcher, "RESTART_SECONDS", 0.1)
    await stage.deploy("web", MISTYPED)
    await stage.start()
    await stage.appears("Deployment/shop/web")


async def test_an_object_that_cannot_be_read_is_a_gap_and_no_end(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    unheard_of = True

    def trimmed(kind: str, raw: Any) -> Any:
        if kind == "Pod" and unheard_of:
            raise RuntimeError("unforeseen")
        return trim(kind, raw)

    monkeypatch.setattr(watcher, "_trimmed", trimmed)
    await stage.deploy("web", MISTYPED)
    await stage.start()
    await stage.appears("alert//ClopusCannotWatch")
    unheard_of = False
    await stage.resolves("alert//ClopusCannotWatch")
    await stage.appears("Deployment/shop/web")


async def test_the_alerts_of_the_watch_are_all_accounted_for(stage: Stage) -> None:
    await stage.deploy("web", MISTYPED)
    await stage.start()
    await stage.appears("Deployment/shop/web")
    await stage.alertmanager("web", AlertStatus.FIRING)
    await stage.deploy("web", GOOD)
    await stage.alertmanager("web", AlertStatus.RESOLVED)
    await stage.resolves("Deployment/shop/web")
    told = await stage.metrics()
    results = {name: told.get(f'clopus_alerts_total{{result="{name}"}}', 0.0) for name in ("accepted", "processed")}
    quarantined = told.get('clopus_alerts_total{result="quarantined"}', 0.0)
    assert results["accepted"] >= 4
    assert results["accepted"] == results["processed"] + told["clopus_alerts_pending"] + quarantined


async def test_a_config_map_that_several_workloads_miss_is_one_incident_with_members(stage: Stage) -> None:
    names = ("a", "b", "c", "d")
    for name in names:
        await stage.deploy(name, fields="envFrom: [{configMapRef: {name: settings}}]")
    await stage.suffers(*names)
    await stage.start()
    await stage.appears("cause/ConfigMap/shop/settings")
    (incident,) = await stage.incidents()
    assert (incident.cause, incident.members) == ("ConfigMap/shop/settings", 4)
    text = "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, namespace: shop}, data: {LEVEL: info}}"
    await stage.sandbox.apply_yaml(text)
    await stage.resolves("cause/ConfigMap/shop/settings")
    assert len(await stage.incidents()) == 1


async def test_a_node_that_stops_reporting_is_one_incident_on_the_node(stage: Stage) -> None:
    for name in ("web", "cart"):
        await stage.deploy(name)
    await stage.is_ready("web", "cart")
    await stage.start()
    await stage.all_live()
    (kubelet,) = stage.sandbox._nodes
    await kubelet.stop()
    await stage.appears("Node/node-1")

    async def all_told() -> bool:
        return (await stage.incidents())[0].members == 2

    await until(all_told, "its pods are not told with it")
    assert [one.key for one in await stage.incidents()] == ["Node/node-1"]


async def test_a_service_that_loses_its_endpoints_to_another_is_an_incident(stage: Stage) -> None:
    """The slices are of someone's own making: none that the cluster's controller makes changes its Service."""
    service = """
apiVersion: v1
kind: Service
metadata: {name: front, namespace: shop}
spec: {selector: {app: none}, ports: [{port: 80}]}
"""
    endpoints = """
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: own, namespace: shop, labels: {kubernetes.io/service-name: %s}}
addressType: IPv4
ports: [{port: 80}]
endpoints: [{addresses: [10.1.2.3], conditions: {ready: true}}]
"""
    await stage.sandbox.apply_yaml(endpoints % "front")
    await stage.sandbox.apply_yaml(service)
    await stage.start()
    await stage.all_live()
    await stage.judged()
    assert await stage.incident("Service/shop/front") is None
    await stage.sandbox.apply_yaml(endpoints % "elsewhere")
    await stage.appears("Service/shop/front")
    await stage.sandbox.apply_yaml(endpoints % "front")
    await stage.resolves("Service/shop/front")


async def test_what_only_events_tell_of_is_an_incident_and_ends(stage: Stage) -> None:
    """Unlike a Deployment, a StatefulSet does not say in its status that its pods are refused."""
    quota = "{apiVersion: v1, kind: ResourceQuota, metadata: {name: few, namespace: shop}, spec: {hard: {pods: '%s'}}}"
    await stage.sandbox.apply_yaml(quota % 0)
    await stage.sandbox.apply_yaml(
        """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: app, image: "nginx:1.27"}]}
"""
    )
    await stage.start(exclude_kinds=["ResourceQuota"])
    await stage.appears("StatefulSet/shop/db")

    async def told() -> bool:
        return (await stage.alerts("StatefulSet/shop/db")).get("ReplicaFailure") is AlertStatus.FIRING

    await until(told, "the event is not told of")
    await stage.sandbox.apply_yaml(quota % 5)
    await stage.resolves("StatefulSet/shop/db")
    assert len(await stage.incidents()) == 1


# -- restarts -------------------------------------------------------------------------------------------------------


async def test_a_restart_opens_nothing_twice_and_sees_what_was_mended_or_deleted_meanwhile(stage: Stage) -> None:
    for name in ("broken", "mended", "deleted"):
        await stage.deploy(name, MISTYPED)
    await stage.start(intake={"shared_cause_workloads": 0})
    for name in ("broken", "mended", "deleted"):
        await stage.appears(f"Deployment/shop/{name}")
    await stage.stop()
    await stage.deploy("mended", GOOD)
    await stage.delete(deployment("deleted"))
    await stage.is_ready("mended")
    await stage.start(intake={"shared_cause_workloads": 0})
    await stage.resolves("Deployment/shop/mended")
    await stage.resolves("Deployment/shop/deleted")
    await stage.judged()
    told = [one for one in await stage.incidents() if not one.key.endswith("probe")]
    assert sorted((one.key, one.state is State.RESOLVED) for one in told) == [
        ("Deployment/shop/broken", False),
        ("Deployment/shop/deleted", True),
        ("Deployment/shop/mended", True),
    ]


async def test_a_change_that_was_made_while_it_was_down_is_on_record(stage: Stage) -> None:
    await stage.deploy("web", GOOD)
    await stage.start()
    await stage.all_live()
    await stage.stop()
    await stage.deploy("web", MISTYPED)
    await stage.start()

    async def recorded() -> list[ObjectVersion]:
        return [version for version in await stage.changes("Deployment/shop/web") if version.while_away]

    (version,) = await until(recorded, "the change is not recorded")
    assert [(d.before, d.after) for d in version.differences if d.path.endswith("image")] == [
        (f'"{GOOD}"', f'"{MISTYPED}"')
    ]


async def test_after_a_restart_nothing_is_over_before_the_cluster_was_read(stage: Stage) -> None:
    await stage.grant(everywhere=True)
    await stage.deploy("web", MISTYPED)
    await stage.start(token=stage.token)
    await stage.appears("Deployment/shop/web")
    await stage.stop()
    await stage.deploy("web", GOOD)
    await stage.is_ready("web")
    await stage.revoke()
    await stage.start(token=stage.token)
    await until(lambda: stage.incident("alert//ClopusCannotWatch"), "it does not say that it sees nothing")
    found = await stage.incident("Deployment/shop/web")
    assert found is not None
    assert found.state is not State.RESOLVED
    await stage.grant(everywhere=True)
    await stage.resolves("Deployment/shop/web")


# -- what may not be watched, and what shall not be -------------------------------------------------------------------


async def test_a_kind_that_may_not_be_read_is_told_and_nothing_of_it_is_over(stage: Stage) -> None:
    await stage.grant(everywhere=True)
    await stage.deploy("web", MISTYPED)
    await stage.start(token=stage.token)
    await stage.appears("Deployment/shop/web")
    await stage.stop()
    await stage.grant(everywhere=True, without="pods")
    await stage.start(token=stage.token)
    blind = await stage.appears("alert//ClopusCannotWatch")
    (view,) = (await stage.detail(blind)).alerts
    assert view.alert.annotations["summary"].startswith("Pod objects of the cluster may not be watched: ")
    assert [watch.kind for watch in await stage.watches() if watch.state == "forbidden"] == ["Pod"]
    await stage.deploy("web", GOOD)
    await stage.is_ready("web")
    await asyncio.sleep(2 * SOAK_SECONDS)  # nothing is to happen, so there is nothing to wait for
    assert (await stage.alerts("Deployment/shop/web"))["ImagePullBackOff"] is AlertStatus.FIRING
    await stage.grant(everywhere=True)
    await stage.resolves("alert//ClopusCannotWatch")
    await stage.resolves("Deployment/shop/web")
    await stage.all_live()


async def test_while_endpoints_may_not_be_read_no_service_has_them_again_nor_is_forgotten(stage: Stage) -> None:
    service = """
apiVersion: v1
kind: Service
metadata: {name: front, namespace: shop}
spec: {selector: {app: none}, ports: [{port: 80}]}
"""
    await stage.grant(everywhere=True)
    await stage.sandbox.apply_yaml(service)
    await stage.start(token=stage.token)
    await stage.appears("Service/shop/front")
    await stage.stop()
    await stage.grant(everywhere=True, without="endpointslices")
    await stage.start(token=stage.token)
    await stage.appears("alert//ClopusCannotWatch")
    await asyncio.sleep(3 * SOAK_SECONDS)  # nothing is to happen, so there is nothing to wait for
    await stage.grant(everywhere=True)
    await stage.resolves("alert//ClopusCannotWatch")
    await asyncio.sleep(3 * SOAK_SECONDS)
    assert await stage.alerts("Service/shop/front") == {"ServiceWithoutEndpoints": AlertStatus.FIRING}
    await stage.deploy("none", GOOD)
    await stage.resolves("Service/shop/front")
    assert [one.key for one in await stage.incidents()].count("Service/shop/front") == 1


async def test_a_kind_that_may_not_be_read_holds_up_no_other_after_a_restart(stage: Stage) -> None:
    await stage.grant(everywhere=True, without="resourcequotas")
    await stage.deploy("web", MISTYPED)
    await stage.start(token=stage.token)
    await stage.appears("Deployment/shop/web")
    await stage.stop()
    await stage.deploy("web", GOOD)
    await stage.is_ready("web")
    await stage.start(token=stage.token)
    await stage.resolves("Deployment/shop/web")


async def test_without_the_labels_of_namespaces_nothing_is_over_and_the_gap_is_told(stage: Stage) -> None:
    await stage.grant(everywhere=True)
    await stage.label("shop", "shop")
    await stage.deploy("web", MISTYPED)
    await stage.start(token=stage.token, namespaces=["shop"], namespace_selector="team=shop")
    await stage.appears("Deployment/shop/web")
    await stage.stop()
    await stage.revoke()
    await stage.grant(namespaces=("shop",))
    await stage.start(token=stage.token, namespaces=["shop"], namespace_selector="team=shop")
    await stage.appears("alert//ClopusCannotWatch")
    assert [watch.kind for watch in await stage.watches() if watch.state == "forbidden"] == ["Namespace"]
    assert set((await stage.alerts("Deployment/shop/web")).values()) == {AlertStatus.FIRING}


async def test_names_of_namespaces_need_no_cluster_wide_right(stage: Stage) -> None:
    await stage.grant(namespaces=("shop",))
    await stage.deploy("web", MISTYPED)
    await stage.start(token=stage.token, namespaces=["shop"])
    await stage.appears("Deployment/shop/web")
    await stage.all_live()
    assert {watch.namespace for watch in await stage.watches()} == {"shop"}
    asked = [each for each in stage.sandbox.audit if each.user == USER and each.verb in ("list", "watch")]
    assert {each.namespace for each in asked} == {"shop"}
    assert [one.key for one in await stage.incidents()] == ["Deployment/shop/web"]


async def test_a_namespace_comes_into_scope_by_its_label_and_leaves_with_it(stage: Stage) -> None:
    await stage.deploy("web", MISTYPED)
    await stage.suffers("web")
    await stage.add_namespace("shop-b", team="shop")
    await stage.deploy("b", MISTYPED, namespace="shop-b")
    await stage.start(namespaces=["shop*"], namespace_selector="team=shop")
    await stage.appears("Deployment/shop-b/b")
    assert len(await stage.incidents()) == 1
    await stage.label("shop", "shop")
    await stage.appears("Deployment/shop/web")
    await stage.label("shop", None)
    await stage.resolves("Deployment/shop/web")
    found = await stage.incident("Deployment/shop-b/b")
    assert found is not None
    assert found.state is not State.RESOLVED


async def test_a_namespace_that_is_made_later_is_watched_but_for_what_is_left_out(stage: Stage) -> None:
    await stage.start(
        namespaces=["shop*"],
        exclude_namespaces=["shop-dev"],
        exclude_names=["trial-*"],
        exclude_kinds=["StatefulSet"],
    )
    await stage.all_live()
    for namespace in ("shop-dev", "shop-new", "other"):
        await stage.add_namespace(namespace)
        await stage.deploy("web", MISTYPED, namespace=namespace)
    await stage.deploy("trial-1", MISTYPED)
    await stage.suffers("trial-1")
    await stage.suffers("web", namespace="other")
    await stage.suffers("web", namespace="shop-dev")
    await stage.appears("Deployment/shop-new/web")
    await stage.judged()
    assert {one.key for one in await stage.incidents()} == {"Deployment/shop-new/web", "Deployment/shop/probe"}


# -- warnings, and what is told again -------------------------------------------------------------------------------


async def test_a_proactive_check_is_reported_only_whatever_the_rule_says(stage: Stage) -> None:
    await stage.deploy("web", GOOD)
    await stage.is_ready("web")
    await stage.start(rules=AUTONOMOUS, checks=["single_replica"])
    incident = await stage.appears("Deployment/shop/web")
    assert (incident.state, incident.mode, incident.rule) == (State.ESCALATED, "report", "all")
    assert (await stage.detail(incident)).executions == ()


async def test_trouble_is_not_held_to_report_by_a_warning_about_the_same_object(stage: Stage) -> None:
    await stage.deploy("web", GOOD)
    await stage.is_ready("web")
    await stage.start(rules=AUTONOMOUS, checks=["single_replica"])
    await stage.appears("Deployment/shop/web")
    await stage.deploy("web", MISTYPED)
    incident = await stage.resolves("Deployment/shop/web")
    assert (incident.outcome, incident.mode) == (Outcome.FIXED, "autonomous")
    assert (await stage.alerts("Deployment/shop/web"))["SingleReplica"] is AlertStatus.FIRING


@pytest.mark.inv(6)
async def test_a_warning_keeps_neither_trouble_nor_its_plan_open(stage: Stage) -> None:
    await stage.deploy("web", GOOD)
    await stage.is_ready("web")
    await stage.start(rules=AUTONOMOUS.replace("mode: autonomous", "mode: dry-run"), checks=["single_replica"])
    await stage.appears("Deployment/shop/web")
    await stage.deploy("web", MISTYPED)

    async def asks() -> bool:
        incident = await stage.incident("Deployment/shop/web")
        return incident is not None and incident.state is State.AWAITING_APPROVAL

    await until(asks, "nothing is proposed")
    await stage.deploy("web", GOOD)
    incident = await stage.resolves("Deployment/shop/web")
    assert incident.outcome is Outcome.ALERT_RESOLVED
    assert (await stage.alerts("Deployment/shop/web"))["SingleReplica"] is AlertStatus.FIRING


async def test_what_fires_on_after_its_incident_opens_another_after_the_grace_period(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "REPEAT_SECONDS", 0.3)
    await stage.deploy("web", GOOD)
    await stage.is_ready("web")
    await stage.start(rules=AUTONOMOUS, checks=["single_replica"])
    await stage.appears("Deployment/shop/web")
    await stage.deploy("web", MISTYPED)
    first = await stage.resolves("Deployment/shop/web")

    async def another() -> Incident | None:
        newest = await stage.incident("Deployment/shop/web")
        return newest if newest is not None and newest.id != first.id else None

    second: Incident = await until(another, "what still fires is forgotten")
    assert first.resolved_at is not None
    assert second.opened_at - first.resolved_at >= timedelta(seconds=GRACE_SECONDS)
    assert len(await stage.incidents()) == 2
