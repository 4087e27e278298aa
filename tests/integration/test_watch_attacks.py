"""Tenants who write pods, events and ConfigMaps of their own namespace, against a responder that watches."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from click.testing import CliRunner

from responder import app, wire
from responder.app import Responder
from responder.cli.changes import changes as changes_command
from responder.cluster.client import Client
from responder.cluster.kubernetes import KubernetesCluster
from responder.cluster.resources import collection_path, object_path
from responder.cluster.trim import trim
from responder.conditions.messages import one_line
from responder.conditions.model import Condition
from responder.conditions.proactive import volume_sample
from responder.datasource.prometheus import Prometheus
from responder.detector import watcher
from responder.detector.episodes import Episodes
from responder.domain.errors import ConfigError, DatasourceUnavailable
from responder.domain.incident import Incident, Outcome, State
from responder.domain.refs import ObjectRef
from responder.domain.views import ChangePage, IncidentDetail, IncidentPage, WatchPage
from responder.sandbox import Sandbox
from responder.settings import load_settings

pytestmark = pytest.mark.timeout(120)

PATIENCE_SECONDS = 30.0
SOAK_SECONDS = 0.5
USER = "system:serviceaccount:clopus:clopus"
WEBHOOK, VIEWER = "webhook-token-0123456789", "viewer-token-0123456789"
GOOD, MISTYPED = "nginx:1.27", "nignx:1.27"
TOKEN = "ghp_" + "Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4zAB"
PASSWORD = "Tr0ub4dor-and-3-horses"
HOSTILE = (
    '\x1b]52;c;cm0gLXJm\x07\x1b[2J \u202egpj.exe \u200b\u2066 \'; DROP TABLE incidents; -- "}\n{"level":"error"} \0 end'
)
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


class Impatient(Episodes):
    """Each condition has a soak of its own, which the settings only lengthen."""

    def observe(self, *objects: Any, **times: Any) -> None:
        *refs, conditions = objects
        super().observe(*refs, tuple(replace(each, soak_seconds=SOAK_SECONDS) for each in conditions), **times)


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "Episodes", Impatient)
    monkeypatch.setattr(watcher, "TICK_SECONDS", 0.05)
    monkeypatch.setattr(watcher, "REVIEW_SECONDS", 0.3)


@dataclass(kw_only=True)
class Stage:
    folder: Path
    sandbox: Sandbox
    session: aiohttp.ClientSession
    responder: Responder | None = None

    async def start(self, **intake: float) -> None:
        for name, text in {
            "webhook": f"alertmanager:{WEBHOOK}\n",
            "operators": f"vera:{VIEWER}\n",
            "rules.yaml": AUTONOMOUS,
        }.items():
            (self.folder / name).write_text(text)
        config = {
            "server": {"host": "127.0.0.1", "port": 0},
            "auth": {
                "webhook_token_file": str(self.folder / "webhook"),
                "operator_tokens_file": str(self.folder / "operators"),
            },
            "store": {"path": str(self.folder / "clopus.duckdb")},
            "cluster": {"own_namespace": "clopus", "late_write_seconds": 1.5},
            "rules": {"paths": [str(self.folder / "rules.yaml")]},
            "watch": {"enabled": True, "age_factor": 0.001, "soak_seconds": SOAK_SECONDS},
            "intake": intake,
        }
        path = self.folder / "clopus.yaml"
        path.write_text(json.dumps(config))
        token = self.sandbox.add_token(USER, groups=("system:masters",))
        cluster = KubernetesCluster(Client.from_token(url=self.sandbox.url, token=token))
        self.responder = await Responder.start(load_settings(path, {}), cluster=cluster)

    async def stop(self) -> None:
        if self.responder is not None:
            responder, self.responder = self.responder, None
            await responder.stop()

    async def make(self, *objects: Mapping[str, Any]) -> None:
        for each in objects:
            await self.sandbox.create(dict(each))

    async def patch(self, ref: ObjectRef, body: Any) -> None:
        headers = {"Authorization": f"Bearer {self.sandbox.token}", "Content-Type": "application/merge-patch+json"}
        data = io.BytesIO(json.dumps(body).encode())
        async with self.session.patch(self.sandbox.url + object_path(ref), headers=headers, data=data) as answer:
            assert answer.status < 300, await answer.text()

    async def pods(self, app: str, namespace: str) -> list[Any]:
        url = f"{self.sandbox.url}{collection_path('Pod', namespace)}?labelSelector=app%3D{app}"
        async with self.session.get(url, headers={"Authorization": f"Bearer {self.sandbox.token}"}) as answer:
            return list((await answer.json())["items"])

    async def running(self, app: str, namespace: str) -> Any:
        async def found() -> Any:
            return next((p for p in await self.pods(app, namespace) if p["spec"].get("nodeName")), None)

        return await self.until(found, f"{app} has no pod")

    async def get(self, path: str, token: str = VIEWER) -> str:
        assert self.responder is not None
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.session.get(self.responder.url + path, headers=headers) as answer:
            return await answer.text() if answer.status < 300 else str(answer.status)

    async def live(self) -> None:
        async def live() -> bool:
            found = wire.loads(WatchPage, await self.get("/api/v1/watches")).watches
            return bool(found) and all(watch.state == "live" for watch in found)

        await self.until(live, "not all watches are live")

    async def incidents(self) -> tuple[Incident, ...]:
        return tuple(reversed(wire.loads(IncidentPage, await self.get("/api/v1/incidents?limit=200")).incidents))

    async def told(self, key: str, *states: State) -> Incident:
        async def found() -> Incident | None:
            return next((one for one in await self.incidents() if one.key == key and one.state in states), None)

        incident: Incident = await self.until(found, f"no incident {key} in {[str(state) for state in states]}")
        return incident

    async def detail(self, incident: Incident) -> IncidentDetail:
        return wire.loads(IncidentDetail, await self.get(f"/api/v1/incidents/{incident.id}"))

    async def until(self, condition: Callable[[], Any], otherwise: str) -> Any:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (found := await condition()):
            if time.monotonic() > deadline:
                pytest.fail(f"{otherwise}: {[(i.key, i.state.value, i.summary) for i in await self.incidents()]}")
            await asyncio.sleep(0.05)
        return found

    def writes(self) -> list[str]:
        return [
            f"{e.verb} {e.resource}"
            for e in self.sandbox.audit
            if e.user == USER and e.verb in {"create", "update", "patch", "delete"} and "review" not in e.resource
        ]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A victim's namespace `shop`, a tenant's namespace `evil`, one node; the responder is not started."""
    async with Sandbox(namespaces=("shop", "evil"), speed=20.0) as sandbox, aiohttp.ClientSession() as session:
        stage = Stage(folder=tmp_path, sandbox=sandbox, session=session)
        try:
            yield stage
        finally:
            await stage.stop()


def deployment(name: str, image: str = GOOD, *, namespace: str = "evil", **container: Any) -> dict[str, Any]:
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "app", "image": image, **container}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


def event(about: Mapping[str, Any], reason: str, message: str, **fields: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    regarding = {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": about["metadata"]["name"],
        "namespace": about["metadata"]["namespace"],
        "uid": about["metadata"]["uid"],
        **fields.pop("regarding", {}),
    }
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{reason.lower()}-{fields.pop('number', 0)}",
            "namespace": about["metadata"]["namespace"],
        },
        "involvedObject": regarding,
        "type": "Warning",
        "reason": reason,
        "message": message,
        "firstTimestamp": (now - timedelta(seconds=200)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lastTimestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        **fields,
    }


NEVER_READY = {"readinessProbe": {"exec": {"command": ["/bin/false"]}, "periodSeconds": 1}}
"""An event counts only while its pod is not well."""


@pytest.mark.inv(26)
async def test_one_tenants_failures_leave_anothers_trouble_to_automation(stage: Stage) -> None:
    """Six workloads fail by the same image and the same alert's name: cause and storm stay where they are made."""
    for number in range(6):
        await stage.make(deployment(f"bait-{number}", MISTYPED))
    await stage.make(deployment("web", MISTYPED, namespace="shop"))
    await stage.until(lambda: _cannot_pull(stage, 7), "the pods pull their images")
    await stage.start()
    mended = await stage.told("Deployment/shop/web", State.RESOLVED)
    assert (mended.outcome, mended.mode, mended.cause) == (Outcome.FIXED, "autonomous", "")
    await stage.told(f"cause/image/{MISTYPED}", State.ESCALATED, State.AWAITING_APPROVAL)
    baits = [one for one in await stage.incidents() if one.key.startswith("cause/")]
    assert {one.mode for one in baits} <= {"", "dry-run"}
    assert not [pod for number in range(6) for pod in await stage.pods(f"bait-{number}", "evil")
                if pod["spec"]["containers"][0]["image"] != MISTYPED]  # fmt: skip


@pytest.mark.inv(31)
async def test_a_shared_incident_stays_a_humans_after_a_restart_and_for_members_that_come_later(stage: Stage) -> None:
    for number in range(3):
        await stage.make(deployment(f"web-{number}", MISTYPED, namespace="shop"))
    await stage.start()
    await stage.told(f"cause/image/{MISTYPED}", State.AWAITING_APPROVAL)
    await stage.stop()
    await stage.start()
    await stage.make(deployment("web-3", MISTYPED, namespace="shop"))

    async def joined() -> bool:
        return any(one.members == 4 for one in await stage.incidents())

    await stage.until(joined, "the fourth does not join")
    (incident,) = await stage.incidents()
    assert (incident.state, incident.mode) == (State.AWAITING_APPROVAL, "dry-run")
    assert (await stage.detail(incident)).executions == ()


@pytest.mark.inv(26)
async def test_an_event_blames_no_node_but_its_pods_own(stage: Stage) -> None:
    await stage.make(deployment("web", **NEVER_READY))
    pod = await stage.running("web", "evil")
    await stage.start(storm_workloads=0)
    forged = {"component": "kubelet", "host": "victim-node"}
    await stage.make(event(pod, "FailedCreatePodSandBox", "no network", source=forged))
    incident = await stage.told("Deployment/evil/web", State.ESCALATED, State.AWAITING_APPROVAL, State.RESOLVED)

    async def seen() -> bool:
        return "FailedCreatePodSandBox" in {view.alert.name for view in (await stage.detail(incident)).alerts}

    await stage.until(seen, "the event tells nothing")
    assert not [one.key for one in await stage.incidents() if one.key.startswith("Node/")]


@pytest.mark.inv(26)
async def test_an_event_names_no_object_of_another_namespace(stage: Stage) -> None:
    """Messages and fields that name the victim's objects: nothing opens there, and nothing there is a cause."""
    await stage.make(deployment("web", namespace="shop"))
    victim = await stage.running("web", "shop")
    await stage.make(deployment("bait", **NEVER_READY))
    pod = await stage.running("bait", "evil")
    await stage.start(storm_workloads=0, shared_cause_workloads=1)
    await stage.make(
        event(pod, "FailedMount", "couldn't find key a in ConfigMap shop/settings", number=1),
        event(
            pod,
            "FailedMount",
            "forged",
            number=2,
            regarding={"name": victim["metadata"]["name"], "uid": victim["metadata"]["uid"]},
        ),
        event(pod, "Rebooted", "forged", number=3, regarding={"kind": "Node", "name": "node-1", "uid": "node-1"}),
    )

    async def seen() -> bool:
        return any("evil" in one.key for one in await stage.incidents())

    await stage.until(seen, "the event tells nothing")
    await stage.make(deployment("probe", MISTYPED))
    await stage.until(lambda: _has(stage, "nignx"), "no incident of what came later")
    found = await stage.incidents()
    assert not [one.key for one in found if "shop" in one.key or "shop" in one.cause or one.key.startswith("Node/")]


async def _cannot_pull(stage: Stage, count: int) -> bool:
    names = [("web", "shop"), *((f"bait-{number}", "evil") for number in range(6))]
    pods = [pod for name, namespace in names for pod in await stage.pods(name, namespace)]
    statuses = [status for pod in pods for status in pod["status"].get("containerStatuses", ())]
    return sum("ImagePullBackOff" in str(status["state"]) for status in statuses) >= count


async def _quotes(stage: Stage, words: str) -> bool:
    details = [await stage.detail(one) for one in await stage.incidents()]
    return any(words in view.alert.annotations.get("summary", "") for detail in details for view in detail.alerts)


async def _has(stage: Stage, words: str) -> bool:
    return any(words in f"{one.key} {one.summary}" for one in await stage.incidents())


@pytest.mark.inv(47)
async def test_no_planted_secret_reaches_store_answers_logs_or_metrics(
    stage: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = {"env": [{"name": "DB_PASSWORD", "value": PASSWORD}], "args": [f"--password={PASSWORD}", TOKEN]}
    for number in range(3):
        body = deployment(f"web-{number}", MISTYPED, **secret)
        body["metadata"]["annotations"] = {"note": f"token: {TOKEN}", "db-password": PASSWORD}
        await stage.make(body)
    await stage.make(deployment("lame", **NEVER_READY, **secret))
    pod = await stage.running("lame", "evil")
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "evil"}}
    await stage.make({**config, "data": {"app.ini": f"[db]\npassword = {PASSWORD}\n", "token": TOKEN}})
    await stage.start()
    await stage.live()
    filler = "x" * 230
    await stage.make(
        event(pod, "FailedMount", f"mount with {TOKEN} failed, password={PASSWORD}", number=1),
        event(pod, "FailedAttachVolume", f"{filler} postgres://app:{PASSWORD}@db/app", number=2),
        event(pod, "FailedMapVolume", "x", number=3, regarding={"fieldPath": f"spec.containers{{{TOKEN}}}"}),
    )
    await stage.patch(ObjectRef(kind="ConfigMap", namespace="evil", name="settings"), {"data": {"token": f"{TOKEN}2"}})

    async def all_seen() -> bool:
        found = await stage.incidents()
        names = {view.alert.name for one in found for view in (await stage.detail(one)).alerts}
        recorded = wire.loads(ChangePage, await stage.get("/api/v1/changes?object=ConfigMap/evil/settings")).changes
        events = {"FailedMount", "FailedAttachVolume", "FailedMapVolume"}
        return events <= names and bool(recorded) and any(one.cause for one in found)

    await stage.until(all_seen, "not all is seen")
    told = [await stage.get(path) for path in ("/api/v1/incidents?limit=200", "/api/v1/changes?limit=500", "/metrics")]
    told += [await stage.get(f"/api/v1/incidents/{one.id}") for one in await stage.incidents()]
    told += [await stage.get("/api/v1/watches"), capfd.readouterr().out]
    await stage.stop()
    told += [path.read_bytes().decode("utf-8", "replace") for path in stage.folder.glob("clopus.duckdb*")]
    for planted in (TOKEN, PASSWORD, PASSWORD[:12]):
        assert not [text[max(0, text.find(planted) - 80) :][:200] for text in told if planted in text]


@pytest.mark.inv(39)
async def test_hostile_text_breaks_no_answer_and_drives_no_terminal(stage: Stage) -> None:
    await stage.make(deployment("web", **NEVER_READY))
    pod = await stage.running("web", "evil")
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "evil"}}
    await stage.make({**config, "data": {"a": "calm"}})
    await stage.start()
    await stage.live()
    await stage.make(event(pod, "FailedMount", HOSTILE + "m" * 900_000, number=1))
    await stage.patch(ObjectRef(kind="ConfigMap", namespace="evil", name="settings"), {"data": {"a": HOSTILE}})

    async def recorded() -> bool:
        page = wire.loads(ChangePage, await stage.get("/api/v1/changes?object=ConfigMap/evil/settings"))
        return any(change.differences for change in page.changes)

    await stage.until(recorded, "the change is not recorded")
    await stage.until(lambda: _quotes(stage, "DROP TABLE"), "the event tells nothing")
    assert stage.responder is not None
    arguments = ["--url", stage.responder.url, "--token-file", str(stage.folder / "viewer"), "-n", "evil"]
    (stage.folder / "viewer").write_text(VIEWER)
    shown = await asyncio.to_thread(CliRunner().invoke, changes_command, arguments)
    assert shown.exit_code == 0, shown.output
    assert "DROP TABLE" in shown.output
    assert not [c for c in shown.output if not c.isprintable() and c != "\n"]
    (incident,) = await stage.incidents()
    assert all(len(view.alert.annotations["summary"]) <= 1_000 for view in (await stage.detail(incident)).alerts)


@pytest.mark.inv(49)
async def test_names_of_tenants_are_no_labels_of_metrics(stage: Stage) -> None:
    await stage.make(*(deployment(f"tenant-{number}", MISTYPED) for number in range(4)))
    await stage.start()
    await stage.until(lambda: _has(stage, "nignx"), "nothing is seen")
    text = await stage.get("/metrics")
    assert not [line for line in text.splitlines() if "tenant-" in line or "nignx" in line or "evil" in line]


@pytest.mark.inv(50)
@pytest.mark.parametrize("path", ["/api/v1/watches", "/api/v1/changes"])
async def test_only_a_viewer_sees_watches_and_changes(stage: Stage, path: str) -> None:
    await stage.start()
    assert [await stage.get(path, token) for token in ("", "wrong-token-0123456789", WEBHOOK)] == ["401", "401", "403"]
    assert (await stage.get(path)).startswith("{")


@pytest.mark.inv(9)
async def test_a_flood_of_events_keeps_nobody_waiting(stage: Stage) -> None:
    """Two thousand events about one pod are one alert, and answers come meanwhile."""
    await stage.make(deployment("web", **NEVER_READY))
    pod = await stage.running("web", "evil")
    await stage.make(*(event(pod, "FailedMount", "m" * 900, number=number) for number in range(2_000)))
    await stage.start()
    waits = []
    for _ in range(30):
        began = time.monotonic()
        await stage.get("/healthz")
        waits.append(time.monotonic() - began)
        await asyncio.sleep(0.05)
    incident = await stage.told("Deployment/evil/web", State.ESCALATED, State.AWAITING_APPROVAL, State.RESOLVED)
    names = [view.alert.name for view in (await stage.detail(incident)).alerts]
    assert names.count("FailedMount") == 1
    assert sorted(waits)[len(waits) // 2] < 1.0


@pytest.mark.inv(47)
def test_a_token_in_an_images_tag_is_no_part_of_a_cause() -> None:
    root = ObjectRef(kind="Deployment", namespace="evil", name="web")
    found = Condition(name="ImagePullBackOff", about=root, summary="x", causes=(f"image/shop/web:{TOKEN}",))
    episodes, now = Episodes(soak_seconds=1.0, age_factor=1.0), datetime.now(UTC)
    episodes.observe(root, root, (found,), now=now, at=1.0)
    (alert,) = episodes.due(now, 2.0, lambda _: True)
    causes = episodes.causes(root)
    assert causes == tuple(alert.annotations["causes"].split())
    assert len(causes) == 1
    assert TOKEN not in causes[0]


@pytest.mark.inv(47)
@pytest.mark.parametrize(
    ("namespace", "claim"), [("../kube-system", "a"), ("shop", "a/b"), ("shop", "\x1b[2J"), ("shop", TOKEN), ("", "a")]
)
def test_prometheus_invents_no_name_that_cannot_be_one(namespace: str, claim: str) -> None:
    labels = {"namespace": namespace, "persistentvolumeclaim": claim}
    assert volume_sample(labels, 0.99, datetime.now(UTC)) is None


@pytest.mark.inv(9)
def test_labels_without_end_are_not_kept() -> None:
    labels = {f"label-{number}": "x" * 63 for number in range(10_000)}
    kept = trim("Pod", {"metadata": {"name": "web", "namespace": "evil", "labels": labels}})
    assert len(json.dumps(kept)) < 64 * 1024


@pytest.mark.inv(47)
@pytest.mark.parametrize("at", range(260, 310, 5))
def test_a_password_that_a_cut_would_halve_is_not_shown(at: int) -> None:
    told = one_line(f"{'x' * at} postgres://app:{PASSWORD}@db/app and more {'y' * 300}")
    assert PASSWORD[:8] not in told


async def _serve(handler: Callable[[web.Request], Any]) -> tuple[web.AppRunner, str]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    return runner, f"http://{host}:{port}"


@pytest.mark.inv(47)
async def test_prometheus_cannot_make_its_token_known(tmp_path: Path) -> None:
    """By quoting it in an error, or by sending its bearer elsewhere."""
    (tmp_path / "token").write_text("ordinary-words-for-a-token")
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        if len(asked) == 1:
            return web.Response(status=401, text=f"no such token: {request.headers['Authorization'].split()[1]}")
        raise web.HTTPTemporaryRedirect("/elsewhere")

    runner, url = await _serve(answer)
    source = Prometheus(url, token_file=tmp_path / "token")
    try:
        for _ in range(2):
            with pytest.raises(DatasourceUnavailable) as refused:
                await source.instant("up")
            assert "ordinary" not in str(refused.value)
        assert asked == ["/api/v1/query"] * 2
    finally:
        await source.close()
        await runner.cleanup()


@pytest.mark.inv(47)
async def test_a_link_to_prometheus_with_a_password_is_not_quoted() -> None:
    with pytest.raises(ConfigError) as refused:
        Prometheus(f"ftp://app:{PASSWORD}@prometheus/")
    assert PASSWORD not in str(refused.value)
