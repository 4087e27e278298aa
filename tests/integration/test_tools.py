"""What a model may look with, on a running sandbox, through the real adapter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from responder.analyzer.collect import collect, resolve_root
from responder.analyzer.llm.turn import Given, Observation
from responder.analyzer.protocol import Assignment
from responder.analyzer.tools import Scope, Toolbox, ToolOptions
from responder.cluster.client import Client
from responder.cluster.kubernetes import KubernetesCluster
from responder.datasource.prometheus import Prometheus
from responder.domain.incident import Incident
from responder.domain.investigation import EvidenceKind
from responder.domain.refs import ObjectRef
from responder.redact.placeholders import Placeholders
from responder.sandbox.sandbox import Sandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE_SECONDS = 40.0
GITHUB_TOKEN = "ghp_" + "a1B2c3D4e5" * 4
PASSWORD = "correct-horse-battery"
NOW = datetime.now(UTC)

OBJECTS = f"""
apiVersion: v1
kind: ConfigMap
metadata:
  name: app-config
  namespace: shop
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: '{{"data":{{"DB_PASSWORD":"{PASSWORD}"}}}}'
    note: "the token is {GITHUB_TOKEN}"
data:
  LEVEL: info
  DB_PASSWORD: {PASSWORD}
  nginx.conf: |
    worker_processes 2;
    error_log /dev/stderr;
---
apiVersion: v1
kind: Secret
metadata: {{name: db, namespace: shop}}
stringData: {{password: {PASSWORD}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: elsewhere, namespace: bank}}
data: {{BALANCE: "1000000"}}
---
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: shop}}
spec: {{selector: {{app: web}}, ports: [{{port: 80, targetPort: 80}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: lost, namespace: shop}}
spec: {{selector: {{app: nobody}}, ports: [{{port: 80}}]}}
---
apiVersion: v1
kind: ResourceQuota
metadata: {{name: compute, namespace: shop}}
spec: {{hard: {{pods: "20"}}}}
"""


def deployment(name: str, containers: str, more: str = "") -> str:
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: shop}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{{more}containers: [{containers}]}}
"""


def web_deployment(tag: str) -> str:
    env = f"{{name: API_TOKEN, value: {GITHUB_TOKEN}}}, {{name: LEVEL, value: info}}"
    return deployment("web", f"{{name: web, image: 'nginx:{tag}', env: [{env}]}}")


SPEAKING = f"echo first line; echo token {GITHUB_TOKEN}; echo password={PASSWORD}; echo boom; exit 3"


@dataclass(frozen=True)
class Shop:
    sandbox: Sandbox
    cluster: KubernetesCluster
    toolbox: Toolbox
    secrets: Placeholders
    assignment: Assignment

    async def look(self, tool: str, /, **arguments: Any) -> Observation:
        return await self.toolbox.call(tool, arguments)

    async def pod(self, prefix: str) -> str:
        pods = await self.cluster.list("Pod", "shop")
        return next(pod.ref.name for pod in pods if pod.ref.name.startswith(prefix))

    def requested(self, since: int) -> set[tuple[str, str]]:
        """Namespace and resource of each request of the administrator, who is the tools' user, from a point on."""
        return {
            (event.namespace, event.resource) for event in self.sandbox.audit[since:] if event.verb in ("get", "list")
        }


def incident(root: ObjectRef | None, **fields: Any) -> Incident:
    base: dict[str, Any] = {"id": "inc-1", "key": root.key if root else "alert/shop/X", "root": root, "opened_at": NOW}
    return Incident(
        **base | {"namespace": "shop", "updated_at": NOW, "labels": {"alertname": "KubePodCrashLooping"}} | fields
    )


def toolbox(cluster: Any, scope: Scope, **fields: Any) -> Toolbox:
    options = {"datasource": None, "store": None, "secrets": Placeholders(), "options": ToolOptions()}
    return Toolbox(cluster=cluster, scope=scope, now=lambda: datetime.now(UTC), **options | fields)


async def until(condition: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            if found := await condition():
                return found
            await asyncio.sleep(0.05)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop() -> AsyncIterator[Shop]:
    async with Sandbox(namespaces=("shop", "bank"), speed=10.0) as sandbox:
        cluster = KubernetesCluster(Client.from_token(url=sandbox.url, token=sandbox.token))
        try:
            await sandbox.apply_yaml(OBJECTS)
            await sandbox.apply_yaml(web_deployment("1.26"))
            speaking = f"{{name: main, image: 'busybox:1.36', command: [sh, -c, '{SPEAKING}']}}"
            await sandbox.apply_yaml(deployment("crash", speaking))
            await until(lambda: _restarted(cluster))
            await sandbox.apply_yaml(web_deployment("1.27"))
            await until(lambda: _rolled_out(cluster))
            yield await _shop(sandbox, cluster)
        finally:
            await cluster.close()


async def _shop(sandbox: Sandbox, cluster: KubernetesCluster) -> Shop:
    root = await resolve_root(cluster, ObjectRef(kind="Deployment", namespace="shop", name="crash"))
    snapshot = await collect(cluster, root, now=NOW, namespaces=("shop",))
    secrets = Placeholders()
    assignment = Assignment(
        id="inv-1", number=1, incident=incident(root), snapshot=snapshot, seconds=60.0, secrets=secrets
    )
    tools = toolbox(cluster, Scope.of(assignment), secrets=secrets)
    return Shop(sandbox, cluster, tools, secrets, assignment)


async def _restarted(cluster: KubernetesCluster) -> bool:
    pods = await cluster.list("Pod", "shop", label_selector="app=crash")
    return any(
        one.get("restartCount", 0) > 1 for pod in pods for one in pod.body["status"].get("containerStatuses", [])
    )


async def _rolled_out(cluster: KubernetesCluster) -> bool:
    pods = await cluster.list("Pod", "shop", label_selector="app=web")
    ready = [c for pod in pods for c in pod.body["status"].get("conditions", []) if c["type"] == "Ready"]
    images = {pod.body["spec"]["containers"][0]["image"] for pod in pods}
    return images == {"nginx:1.27"} and all(one["status"] == "True" for one in ready) and bool(ready)


def told(found: Observation) -> str:
    """The text of what was seen, in which no planted secret may stand."""
    assert GITHUB_TOKEN not in found.text
    assert PASSWORD not in found.text
    assert found.given is Given.SEEN, found.text
    return found.text


async def test_an_object_is_told_as_yaml_without_bookkeeping_and_secrets(shop: Shop) -> None:
    found = await shop.look("get_object", kind="ConfigMap", name="app-config")
    text = told(found)
    assert (found.kind, found.source) == (EvidenceKind.OBJECT, "ConfigMap/shop/app-config")
    assert "LEVEL: info" in text
    assert "    worker_processes 2;\n" in text
    assert "managedFields" not in text
    assert "last-applied" not in text
    assert "[redacted:" in text
    assert found.subject is not None
    assert found.subject.uid


async def test_a_value_of_an_environment_is_redacted(shop: Shop) -> None:
    assert "API_TOKEN" in told(await shop.look("get_object", kind="Deployment", name="web"))
    assert "API_TOKEN=" in told(await shop.look("describe", kind="Deployment", name="web"))


async def test_objects_are_listed_with_their_state(shop: Shop) -> None:
    text = told(await shop.look("list_objects", kind="Pod", label_selector="app in (crash)"))
    assert text.startswith("1 Pod in namespace shop with labels app in (crash):\n- crash-")
    assert "not ready on node-1; container main" in text


async def test_an_empty_list_says_that_the_list_succeeded(shop: Shop) -> None:
    text = told(await shop.look("list_objects", kind="StatefulSet"))
    assert text == "no StatefulSet in namespace shop (list succeeded)"


async def test_a_long_list_says_how_many_are_missing(shop: Shop) -> None:
    found = await shop.look("list_objects", kind="ConfigMap", limit=1)
    assert "(and 1 more, by name" in told(found)
    assert found.truncated


@pytest.mark.parametrize("kind", ["Pod", "ConfigMap", "Deployment"])
async def test_an_object_that_is_not_there_is_told_as_such(shop: Shop, kind: str) -> None:
    found = await shop.look("get_object", kind=kind, name="nowhere")
    assert (found.given, found.text) == (Given.SEEN, f"{kind}/shop/nowhere does not exist (404)")


async def test_a_description_tells_containers_conditions_and_events(shop: Shop) -> None:
    found = await shop.look("describe", kind="Pod", name=await shop.pod("crash"))
    text = told(found)
    assert found.kind is EvidenceKind.STATUS
    assert "controlled by ReplicaSet/shop/crash-" in text
    assert "- Ready False since" in text
    assert "Error, exit code 3" in text
    assert "BackOff Pod/crash-" in text


async def test_the_description_of_a_service_says_that_no_event_is_about_it(shop: Shop) -> None:
    text = told(await shop.look("describe", kind="Service", name="web"))
    assert "state ClusterIP, ports 80->80, selector app=web" in text
    assert text.endswith("events:\nnone about it (list succeeded)")


async def test_events_are_narrowed_by_kind_and_type(shop: Shop) -> None:
    found = await shop.look("events", kind="Pod", type="Warning", limit=3)
    assert found.kind is EvidenceKind.EVENT
    assert all("Warning" in line for line in told(found).splitlines()[1:] if line.startswith("- "))
    none = await shop.look("events", name="nobody")
    assert told(none) == "no event nobody in namespace shop (list succeeded)"


async def test_a_log_is_told_redacted(shop: Shop) -> None:
    found = await shop.look("logs", pod=await shop.pod("crash"), previous=True)
    text = told(found)
    assert found.kind is EvidenceKind.LOG
    assert found.source.endswith("container main, previous log")
    assert "first line" in text
    assert "password=[redacted:" in text
    assert text.endswith("boom")


async def test_a_log_is_searched_by_pattern(shop: Shop) -> None:
    pod = await shop.pod("crash")
    text = told(await shop.look("logs", pod=pod, previous=True, grep="^b[o]+m$"))
    assert text.splitlines()[1:] == ["boom"]
    text = told(await shop.look("logs", pod=pod, previous=True, grep="nothing like it"))
    assert text.endswith("no line matches (the log was read)")


async def test_the_last_hits_of_a_search_are_told(shop: Shop) -> None:
    text = told(await shop.look("logs", pod=await shop.pod("crash"), previous=True, grep=".", tail_lines=1))
    assert text.splitlines()[1:] == ["boom"]


@pytest.mark.inv(47)
async def test_a_search_does_not_tell_a_secret_letter_by_letter(shop: Shop) -> None:
    text = told(await shop.look("logs", pod=await shop.pod("crash"), previous=True, grep="word.cor"))
    assert text.endswith("no line matches (the log was read)")


@pytest.mark.inv(47)
async def test_a_secret_is_searched_for_by_its_placeholder(shop: Shop) -> None:
    pod = await shop.pod("crash")
    seen = told(await shop.look("logs", pod=pod, previous=True))
    placeholder = seen[seen.index("[redacted:github") :].partition("]")[0] + "]"
    text = told(await shop.look("logs", pod=pod, previous=True, grep=f"^token {placeholder}$"))
    assert text.splitlines()[1:] == [f"token {placeholder}"]


@pytest.mark.parametrize("pattern", ["(", "a(?=b)", r"(a)\1", "((a{1000}){1000})"])
async def test_a_pattern_that_is_none_is_refused(shop: Shop, pattern: str) -> None:
    found = await shop.look("logs", pod=await shop.pod("crash"), grep=pattern)
    assert found.given is Given.REFUSED
    assert "no RE2 pattern" in found.text


async def test_a_log_that_is_not_there_is_an_error(shop: Shop) -> None:
    found = await shop.look("logs", pod=await shop.pod("web"), previous=True)
    assert found.given is Given.ERROR
    assert "there is no such log" in found.text
    found = await shop.look("logs", pod=await shop.pod("web"), container="sidecar")
    assert found.given is Given.ERROR
    assert "sidecar" in found.text


async def test_of_several_containers_one_has_to_be_named(shop: Shop) -> None:
    two = "{name: one, image: 'nginx:1.27'}, {name: two, image: 'busybox:1.36', command: [sleep, infinity]}"
    await shop.sandbox.apply_yaml(deployment("pair", two, "initContainers: [{name: zero, image: 'busybox:1.36'}], "))
    await until(lambda: shop.cluster.list("Pod", "shop", label_selector="app=pair"))
    found = await shop.look("logs", pod=await shop.pod("pair"))
    assert found.given is Given.REFUSED
    assert "has one, two, zero" in found.text


async def test_revisions_are_told_and_compared(shop: Shop) -> None:
    text = told(await shop.look("rollout_history", kind="Deployment", name="web"))
    assert "2 revisions of Deployment/shop/web, newest first:\n- 2 (web-" in text
    assert "current, 1 pods ready" in text
    found = await shop.look("rollout_diff", kind="Deployment", name="web", from_revision=1, to_revision=2)
    assert found.kind is EvidenceKind.ROLLOUT
    assert "-    image: nginx:1.26\n+    image: nginx:1.27" in told(found)
    assert "pod-template-hash" not in found.text
    same = await shop.look("rollout_diff", kind="Deployment", name="web", from_revision=2, to_revision=2)
    assert "are the same" in told(same)


async def test_a_revision_that_is_gone_is_refused_with_those_that_are_kept(shop: Shop) -> None:
    found = await shop.look("rollout_diff", kind="Deployment", name="web", from_revision=1, to_revision=7)
    assert found.given is Given.REFUSED
    assert "no revision 7 any more. Those that are kept: 2, 1" in found.text


async def test_owners_are_told_up_and_down(shop: Shop) -> None:
    text = told(await shop.look("owners", kind="Pod", name=await shop.pod("web")))
    assert text.index("- ReplicaSet/shop/web-") < text.index("- Deployment/shop/web") < text.index("controls:\nnothing")
    text = told(await shop.look("owners", kind="Deployment", name="web"))
    assert "nearest first:\nnothing\ncontrols:\n- ReplicaSet/shop/web-" in text
    assert "- Pod/shop/web-" in text


async def test_endpoints_lead_from_a_service_to_its_pods(shop: Shop) -> None:
    text = told(await shop.look("endpoints", service="web"))
    assert " ready Pod/web-" in text
    assert "pods that match the selector, 1:\n- web-" in text
    text = told(await shop.look("endpoints", service="lost"))
    assert "0 addresses" in text
    assert "pods that match the selector, 0:" in text


async def test_quotas_and_limits_are_told(shop: Shop) -> None:
    text = told(await shop.look("quota"))
    assert "ResourceQuota compute, used of hard:\n- pods | " in text
    assert text.endswith("no LimitRange in namespace shop (list succeeded)")


async def test_usage_that_the_cluster_does_not_serve_is_not_known(shop: Shop) -> None:
    found = await shop.look("top")
    assert found.given is Given.ERROR
    assert found.text == "error: not known: this cluster does not serve pods.metrics.k8s.io (404)"


async def test_without_prometheus_a_metric_is_not_known(shop: Shop) -> None:
    for tool in ("metric_now", "metric_range"):
        found = await shop.look(tool, metric="up")
        assert (found.given, "no Prometheus is configured" in found.text) == (Given.ERROR, True)


async def test_without_a_record_nothing_of_it_is_known(shop: Shop) -> None:
    for tool in ("changes", "history"):
        found = await shop.look(tool)
        assert (found.given, "there is no record" in found.text) == (Given.ERROR, True)


async def test_the_node_of_the_incidents_pods_is_read_and_no_other(shop: Shop) -> None:
    assert "node-1" in told(await shop.look("describe", kind="Node", name="node-1"))
    before = len(shop.sandbox.audit)
    found = await shop.look("get_object", kind="Node", name="node-2")
    assert (found.given, "Nodes that may be read: node-1" in found.text) == (Given.REFUSED, True)
    assert ("", "nodes") not in {(e.namespace, e.resource) for e in shop.sandbox.audit[before:] if e.name == "node-2"}


async def test_the_incidents_own_namespace_is_read_and_no_other(shop: Shop) -> None:
    assert "name: shop" in told(await shop.look("get_object", kind="Namespace", name="shop"))
    assert (await shop.look("get_object", kind="Namespace", name="bank")).given is Given.REFUSED


@pytest.mark.inv(48)
@pytest.mark.parametrize("kind", ["Secret", "secret", "secrets", "Secrets"])
async def test_a_secret_is_refused_before_any_request(shop: Shop, kind: str) -> None:
    for tool in ("get_object", "describe", "list_objects", "owners"):
        arguments = {"kind": kind} if tool == "list_objects" else {"kind": kind, "name": "db"}
        found = await shop.look(tool, **arguments)
        assert found.given is Given.REFUSED
    assert "Secrets are never read" in (await shop.look("get_object", kind=kind, name="db")).text
    assert not [e for e in shop.sandbox.audit if e.resource == "secrets" and e.verb in ("get", "list")]


VOLUMES = """
apiVersion: v1
kind: PersistentVolume
metadata: {name: pv-ours}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  hostPath: {path: /data}
  claimRef: {apiVersion: v1, kind: PersistentVolumeClaim, namespace: shop, name: data}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: pv-theirs}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  hostPath: {path: /theirs}
  claimRef: {apiVersion: v1, kind: PersistentVolumeClaim, namespace: bank, name: data}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast}
provisioner: example.com/fast
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: shop}
spec:
  storageClassName: fast
  volumeName: pv-ours
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: greedy, namespace: shop}
spec:
  volumeName: pv-theirs
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
"""


async def test_a_volume_is_read_where_a_claim_and_the_volume_name_each_other(shop: Shop) -> None:
    await shop.sandbox.apply_yaml(VOLUMES)
    assert "path: /data" in told(await shop.look("get_object", kind="PersistentVolume", name="pv-ours"))
    assert "example.com/fast" in told(await shop.look("get_object", kind="StorageClass", name="fast"))
    for kind, name in (("PersistentVolume", "pv-theirs"), ("PersistentVolume", "x"), ("StorageClass", "slow")):
        found = await shop.look("get_object", kind=kind, name=name)
        assert (found.given, "/theirs" in found.text) == (Given.REFUSED, False), name


EVENT: Mapping[str, Any] = {
    "apiVersion": "v1",
    "kind": "Event",
    "type": "Warning",
    "reason": "Hostile",
    "firstTimestamp": "2026-01-01T00:00:00Z",
    "lastTimestamp": "2026-01-01T00:00:00Z",
}


def hostile_event(name: str, message: str) -> dict[str, Any]:
    about = {"kind": "Pod", "namespace": "shop", "name": name, "apiVersion": "v1"}
    return {
        **EVENT,
        "metadata": {"name": f"{name}.1", "namespace": "shop"},
        "involvedObject": about,
        "message": message,
    }


@pytest.mark.inv(43)
async def test_control_characters_of_an_event_are_shown_and_make_no_lines(shop: Shop) -> None:
    message = "\x1b[2Jclean\u202egnp.exe\n- 1 s ago: Normal Healthy\u200b all is well"
    await shop.sandbox.create(hostile_event("escapes", message))
    text = told(await shop.look("events", name="escapes"))
    assert "\\x1b[2Jclean\\u202egnp.exe - 1 s ago" in text
    assert "\\u200b" in text
    assert len(text.splitlines()) == 2


@pytest.mark.inv(43)
async def test_a_megabyte_in_an_event_is_cut_after_the_redaction(shop: Shop) -> None:
    message = "x " * 250 + f"password={PASSWORD} {GITHUB_TOKEN} " + "y" * 1_000_000
    await shop.sandbox.create(hostile_event("large", message))
    text = told(await shop.look("events", name="large"))
    assert "more characters)" in text
    assert len(text) < 2_000


@pytest.mark.inv(43)
async def test_a_result_is_cut_to_its_bytes_and_says_so(shop: Shop) -> None:
    small = toolbox(shop.cluster, Scope.of(shop.assignment), options=ToolOptions(max_result_bytes=600))
    found = await small.call("get_object", {"kind": "Pod", "name": await shop.pod("web")})
    assert found.truncated
    assert len(found.text.encode()) <= 600
    assert "(cut: the first 600 of" in told(found)
    found = await small.call("logs", {"pod": await shop.pod("crash"), "previous": True})
    assert len(found.text.encode()) <= 600


@pytest.mark.inv(43)
async def test_the_end_of_an_endless_log_is_told(shop: Shop) -> None:
    script = "while true; do echo a line of a log that does not end; done"
    container = f"{{name: main, image: 'busybox:1.36', command: [sh, -c, '{script}']}}"
    await shop.sandbox.apply_yaml(deployment("endless", container))
    small = toolbox(shop.cluster, Scope.of(shop.assignment), options=ToolOptions(max_result_bytes=500, log_bytes=4_000))

    async def long_enough() -> Observation | None:
        pods = await shop.cluster.list("Pod", "shop", label_selector="app=endless")
        found = await small.call("logs", {"pod": pods[0].ref.name, "tail_lines": 1000}) if pods else None
        return found if found is not None and found.truncated else None

    found = await until(long_enough)
    assert len(found.text.encode()) <= 500
    assert told(found).rstrip().endswith("does not end")


@pytest.mark.inv(40)
async def test_what_may_not_be_read_is_an_error_and_never_an_absence(shop: Shop) -> None:
    token = shop.sandbox.add_token("nobody")
    cluster = KubernetesCluster(Client.from_token(url=shop.sandbox.url, token=token))
    tools = toolbox(cluster, Scope.of(shop.assignment))
    calls: list[tuple[str, dict[str, Any]]] = [
        ("get_object", {"kind": "Pod", "name": "x"}),
        ("list_objects", {"kind": "Pod"}),
        ("describe", {"kind": "Deployment", "name": "web"}),
        ("events", {}),
        ("logs", {"pod": "x"}),
        ("rollout_history", {"kind": "Deployment", "name": "web"}),
        ("owners", {"kind": "Deployment", "name": "web"}),
        ("endpoints", {"service": "web"}),
        ("quota", {}),
    ]
    for name, arguments in calls:
        found = await tools.call(name, arguments)
        assert found.given is Given.ERROR, name
        assert found.text.startswith("error: not known: Clopus may not read it"), name
    await cluster.close()


async def test_a_part_that_may_not_be_read_is_said_within_the_rest(shop: Shop) -> None:
    role = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]}
    subject = {"kind": "User", "name": "half", "apiGroup": "rbac.authorization.k8s.io"}
    about = {"name": "half", "namespace": "shop"}
    api = "rbac.authorization.k8s.io/v1"
    await shop.sandbox.create({"apiVersion": api, "kind": "Role", "metadata": about, "rules": [role]})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "half"}
    await shop.sandbox.create(
        {"apiVersion": api, "kind": "RoleBinding", "metadata": about, "roleRef": reference, "subjects": [subject]}
    )
    cluster = KubernetesCluster(Client.from_token(url=shop.sandbox.url, token=shop.sandbox.add_token("half")))
    found = await toolbox(cluster, Scope.of(shop.assignment)).call("describe", {"kind": "Deployment", "name": "web"})
    await cluster.close()
    assert "events: not known: Clopus may not read it" in told(found)
    assert "none about it" not in found.text


async def test_a_server_that_is_away_is_an_error(shop: Shop) -> None:
    cluster = KubernetesCluster(Client.from_token(url="http://127.0.0.1:1", token="x"))
    tools = toolbox(cluster, Scope.of(shop.assignment), options=ToolOptions(seconds=1.0))
    found = await tools.call("list_objects", {"kind": "Pod"})
    await cluster.close()
    assert found.given is Given.ERROR
    assert found.text.startswith("error: not known:")


async def test_a_server_that_hangs_is_given_up(shop: Shop) -> None:
    released = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        await released.wait()
        return web.json_response({})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hang)
    async with TestServer(app) as server:
        cluster = KubernetesCluster(Client.from_token(url=str(server.make_url("")).rstrip("/"), token="x"))
        tools = toolbox(cluster, Scope.of(shop.assignment), options=ToolOptions(seconds=0.2))
        found = await tools.call("list_objects", {"kind": "Pod"})
        released.set()
        await cluster.close()
    assert (found.given, found.text) == (Given.ERROR, "error: not known: no answer within 0.2 s")


MEASURED = {
    "kind": "PodMetricsList",
    "apiVersion": "metrics.k8s.io/v1beta1",
    "metadata": {},
    "items": [
        {
            "metadata": {"name": "web-1", "namespace": "shop"},
            "containers": [{"name": "web", "usage": {"cpu": "250m", "memory": "120Mi"}}],
        }
    ],
}


async def test_usage_is_told_beside_requests_and_limits(shop: Shop) -> None:
    limits = {"requests": {"cpu": "100m"}, "limits": {"memory": "128Mi"}}
    spec = {"containers": [{"name": "web", "image": "nginx", "resources": limits}]}
    pods = {"metadata": {}, "items": [{"metadata": {"name": "web-1", "namespace": "shop"}, "spec": spec}]}

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(MEASURED if "metrics.k8s.io" in request.path else pods)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app) as server:
        cluster = KubernetesCluster(Client.from_token(url=str(server.make_url("")).rstrip("/"), token="x"))
        tools = toolbox(cluster, Scope.of(shop.assignment))
        found, other = await tools.call("top", {}), await tools.call("top", {"pod": "web-2"})
        await cluster.close()
    expected = "- web-1 container web | cpu 250m (request 100m, limit none), memory 120Mi (request none, limit 128Mi)"
    assert (told(found), found.kind) == (expected, EvidenceKind.METRIC)
    assert (other.given, "no measurement of Pod/shop/web-2" in other.text) == (Given.ERROR, True)


async def test_metrics_are_asked_for_in_the_incidents_namespace(shop: Shop) -> None:
    asked: list[dict[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append({key: str(value) for key, value in (await request.post()).items()})
        metric = {"__name__": "up", "namespace": "shop", "pod": "web-1", "note": f"x {GITHUB_TOKEN}\x1b"}
        if request.path.endswith("query_range"):
            series = {"metric": metric, "values": [[NOW.timestamp(), "1"], [NOW.timestamp() + 60, "3"]]}
            return web.json_response({"status": "success", "data": {"resultType": "matrix", "result": [series]}})
        vector = [{"metric": metric, "value": [NOW.timestamp(), "1"]}]
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": vector}})

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    async with TestServer(app) as server:
        source = Prometheus(str(server.make_url("")).rstrip("/"))
        tools = toolbox(shop.cluster, Scope.of(shop.assignment), datasource=source)
        at_once = await tools.call("metric_now", {"metric": "up"})
        over = await tools.call("metric_range", {"metric": "up", "minutes": 60})
        await source.close()
    assert [form["query"] for form in asked] == ['up{namespace="shop"}'] * 2
    assert float(asked[1]["end"]) - float(asked[1]["start"]) == pytest.approx(3600)
    assert asked[1]["step"] == "120"
    assert '="web-1"' in told(at_once)
    assert "\\x1b" in at_once.text
    assert "min 1, max 3, first 1, last 3" in told(over)


@pytest.mark.parametrize("depth", [50, 900, 1000])
async def test_what_is_nested_too_deeply_is_an_error_and_does_not_get_out(shop: Shop, depth: int) -> None:
    deep = f'{{"x":"{GITHUB_TOKEN}"}}'
    for _ in range(depth):
        deep = f'{{"x":{deep}}}'
    name = '{"name":"web-1","namespace":"shop"}'
    body = f'{{"kind":"ControllerRevision","metadata":{name},"data":{deep}}}'

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=body, content_type="application/json")

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app) as server:
        cluster = KubernetesCluster(Client.from_token(url=str(server.make_url("")).rstrip("/"), token="x"))
        tools = toolbox(cluster, Scope.of(shop.assignment), options=ToolOptions(seconds=3.0))
        found = await tools.call("get_object", {"kind": "ControllerRevision", "name": "web-1"})
        await cluster.close()
    assert GITHUB_TOKEN not in found.text
    assert found.given is (Given.SEEN if depth == 50 else Given.ERROR)


async def test_an_incident_of_a_node_sees_that_node_alone(shop: Shop) -> None:
    root = ObjectRef(kind="Node", name="node-1")
    assignment = replace(shop.assignment, incident=incident(root, namespace=""), snapshot=None)
    tools = toolbox(shop.cluster, Scope.of(assignment))
    text = told(await tools.call("describe", {"kind": "Node", "name": "node-1"}))
    assert "events about cluster objects are kept in another namespace" in text
    for name, arguments in (("list_objects", {"kind": "Pod"}), ("events", {}), ("quota", {})):
        assert (await tools.call(name, arguments)).given is Given.REFUSED
    assert (await tools.call("get_object", {"kind": "Node", "name": "node-2"})).given is Given.REFUSED
