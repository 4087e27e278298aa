"""Collection: whose pods they are, what could not be read, and what is not kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from responder.analyzer.collect import collect, resolve_root
from responder.cluster.protocol import LogTail
from responder.domain.action import Permission
from responder.domain.errors import ClusterUnavailable, Forbidden, ObjectGone, ResponderError
from responder.domain.manifest import LiveObject, text
from responder.domain.plan import Change
from responder.domain.refs import ObjectRef

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NS = "shop"


@dataclass
class MemoryCluster:
    """Objects by key, and errors by what is asked: enough of a cluster to read from."""

    objects: dict[str, LiveObject] = field(default_factory=dict)
    errors: dict[str, ResponderError] = field(default_factory=dict)
    texts: dict[tuple[str, str, bool], str] = field(default_factory=dict)

    async def get(self, ref: ObjectRef) -> LiveObject:
        self._refuse(f"get {ref.kind}")
        live = self.objects.get(ref.key)
        if live is None or (ref.uid and live.ref.uid != ref.uid):
            raise ObjectGone(ref.key)
        return live

    async def list(
        self, kind: str, namespace: str, *, label_selector: str = "", field_selector: str = ""
    ) -> tuple[LiveObject, ...]:
        self._refuse(f"list {kind}")
        wanted = [term.split("=", 1) for term in label_selector.split(",") if "=" in term]
        return tuple(
            live
            for live in self.objects.values()
            if live.ref.kind == kind
            and live.ref.namespace == namespace
            and all(live.labels.get(name) == value for name, value in wanted)
        )

    async def logs(
        self, pod: ObjectRef, container: str, *, previous: bool, tail_lines: int, limit_bytes: int
    ) -> LogTail:
        self._refuse("logs")
        return LogTail(text=self.texts[pod.name, container, previous])

    async def apply(self, change: Change, *, execution_id: str, dry_run: bool) -> LiveObject:
        raise AssertionError("collection writes nothing")

    async def permitted(self, namespace: str, permission: Permission) -> bool:
        return True

    async def close(self) -> None: ...

    def _refuse(self, what: str) -> None:
        if what in self.errors:
            raise self.errors[what]

    def add(self, kind: str, name: str, *, owner: tuple[str, str, str] | None = None, **body: Any) -> ObjectRef:
        """`owner` is kind, name and uid."""
        namespace = body.pop("namespace", "" if kind in ("Namespace", "Node") else NS)
        ref = ObjectRef(kind=kind, namespace=namespace, name=name, uid=f"u-{kind}-{name}")
        metadata: dict[str, Any] = {
            "name": name,
            "namespace": namespace,
            "uid": ref.uid,
            "labels": body.pop("labels", {}),
            "annotations": body.pop("annotations", {}),
        }
        if owner is not None:
            api = body.pop("owner_api", "batch/v1" if "Job" in owner[0] else "apps/v1")
            metadata["ownerReferences"] = [
                {"apiVersion": api, "kind": owner[0], "name": owner[1], "uid": owner[2], "controller": True}
            ]
        manifest = {"kind": kind, "metadata": metadata, **body}
        self.objects[ref.key] = LiveObject(ref=ref, resource_version="1", generation=1, body=manifest)
        return ref


TEMPLATE: Mapping[str, Any] = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "web", "image": "nignx:1"}]},
}
SELECTOR = {"matchLabels": {"app": "web"}}


def pod_body(image: str = "nignx:1", *, ready: bool = False, **status: Any) -> dict[str, Any]:
    state = {"running": {"startedAt": "2026-03-01T11:00:00Z"}} if ready else {}
    return {
        "spec": {"containers": [{"name": "web", "image": image}]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [{"name": "web", "ready": ready, "state": state, **status}],
        },
    }


@pytest.fixture
def cluster() -> MemoryCluster:
    """Deployment web with an old ready ReplicaSet and a new one whose pod crashes."""
    cluster = MemoryCluster()
    cluster.add("Namespace", NS, labels={"pod-security.kubernetes.io/enforce": "restricted"})
    web = cluster.add("Deployment", "web", spec={"replicas": 1, "selector": SELECTOR, "template": TEMPLATE})
    for number, image in ((1, "nginx:1"), (2, "nignx:1")):
        labels = {"app": "web", "pod-template-hash": f"h{number}"}
        template = {
            "metadata": {"labels": labels, "creationTimestamp": None},
            "spec": {"containers": [{"name": "web", "image": image}]},
        }
        cluster.add(
            "ReplicaSet",
            f"web-h{number}",
            owner=("Deployment", "web", web.uid),
            labels=labels,
            annotations={"deployment.kubernetes.io/revision": str(number)},
            spec={"selector": {"matchLabels": labels}, "template": template},
        )
        cluster.add(
            "Pod",
            f"web-h{number}-x",
            owner=("ReplicaSet", f"web-h{number}", f"u-ReplicaSet-web-h{number}"),
            labels=labels,
            **(
                pod_body(image, ready=True)
                if number == 1
                else pod_body(
                    image,
                    restartCount=3,
                    state={"waiting": {"reason": "CrashLoopBackOff"}},
                    lastState={"terminated": {"exitCode": 1}},
                )
            ),
        )
    cluster.add("ConfigMap", "app", data={"URL": "http://secret-value", "LEVEL": "x"})
    cluster.add("Service", "front", spec={"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]})
    cluster.add("Service", "other", spec={"selector": {"app": "db"}, "ports": [{"port": 80}]})
    subject = {"kind": "Pod", "namespace": NS, "name": "web-h2-x", "uid": "u-Pod-web-h2-x"}
    cluster.add(
        "Event", "e1", involvedObject=subject, reason="BackOff", message="m", lastTimestamp="2026-03-01T11:59:00Z"
    )
    cluster.add("Event", "e2", regarding={**subject, "uid": "another"}, reason="BackOff", note="of another")
    cluster.texts["web-h2-x", "web", True] = "boom password=hunter2"
    return cluster


def ref(kind: str, name: str) -> ObjectRef:
    return ObjectRef(kind=kind, namespace=NS, name=name)


async def test_a_pod_is_traced_to_its_deployment(cluster):
    root = await resolve_root(cluster, ref("Pod", "web-h2-x"))
    assert root == ObjectRef(kind="Deployment", namespace=NS, name="web", uid="u-Deployment-web")


async def test_a_pod_that_is_gone_is_traced_by_its_name(cluster):
    assert (await resolve_root(cluster, ref("Pod", "web-h2-gone"))).name == "web"
    assert (await resolve_root(cluster, ref("Pod", "web-h7-gone"))).kind == "Deployment"


async def test_an_ordinal_of_a_gone_pod_names_its_stateful_set(cluster):
    cluster.add("StatefulSet", "db", spec={"replicas": 2})
    assert (await resolve_root(cluster, ref("Pod", "db-1"))).kind == "StatefulSet"


async def test_a_gone_pod_without_a_maker_stays_what_it_is(cluster):
    assert await resolve_root(cluster, ref("Pod", "nobody-0")) == ref("Pod", "nobody-0")


@pytest.mark.parametrize(
    "owner",
    [
        ("Deployment", "web", "u-forged"),
        ("Deployment", "absent", "u-absent"),
        ("StatefulSet", "web", "u-Deployment-web"),
    ],
    ids=["another uid", "absent", "another kind"],
)
async def test_a_forged_owner_is_not_followed(cluster, owner):
    cluster.add("Pod", "loose", owner=owner, labels={"app": "web"}, **pod_body())
    assert (await resolve_root(cluster, ref("Pod", "loose"))).name == "loose"


async def test_an_owner_that_does_not_select_the_pod_is_not_followed(cluster):
    owner = ("ReplicaSet", "web-h1", "u-ReplicaSet-web-h1")
    cluster.add("Pod", "loose", owner=owner, labels={"app": "evil"}, **pod_body())
    assert (await resolve_root(cluster, ref("Pod", "loose"))).name == "loose"


async def test_a_custom_resource_ends_the_way(cluster):
    cluster.add("ReplicaSet", "canary", owner=("Rollout", "canary", "u-r"), owner_api="argoproj.io/v1alpha1", spec={})
    cluster.add("Pod", "canary-x", owner=("ReplicaSet", "canary", "u-ReplicaSet-canary"), **pod_body())
    assert (await resolve_root(cluster, ref("Pod", "canary-x"))).kind == "ReplicaSet"


async def test_owners_in_a_circle_come_to_an_end(cluster):
    cluster.add("Job", "a", owner=("Job", "b", "u-Job-b"))
    cluster.add("Job", "b", owner=("Job", "a", "u-Job-a"))
    assert (await resolve_root(cluster, ref("Job", "a"))).kind == "Job"


async def test_a_cluster_that_does_not_answer_is_not_guessed_about(cluster):
    cluster.errors["get Pod"] = ClusterUnavailable("away")
    with pytest.raises(ClusterUnavailable):
        await resolve_root(cluster, ref("Pod", "web-h2-x"))


async def look(cluster, *, root=None, namespaces=(NS,)):
    return await collect(cluster, root or ref("Deployment", "web"), now=NOW, namespaces=namespaces)


async def test_revisions_are_numbered_and_the_current_one_is_known(cluster):
    snapshot = await look(cluster)
    assert [(r.number, r.current, r.ready) for r in snapshot.revisions] == [(2, True, 0), (1, False, 1)]
    assert [pod.ref.name for pod in snapshot.current_pods] == ["web-h2-x"]


async def test_pods_that_only_carry_the_labels_are_not_taken(cluster):
    cluster.add("Pod", "impostor", labels={"app": "web"}, **pod_body(ready=True))
    cluster.add("Pod", "forged", owner=("ReplicaSet", "web-h2", "u-forged"), labels={"app": "web"}, **pod_body())
    names = {pod.ref.name for pod in (await look(cluster)).pods}
    assert names == {"web-h1-x", "web-h2-x"}


async def test_events_are_those_of_the_object_and_its_pods(cluster):
    assert [event.message for event in (await look(cluster)).events] == ["m"]


async def test_logs_of_unhappy_containers_are_read_and_redacted(cluster):
    logs = (await look(cluster)).logs
    assert [(log.pod.name, log.previous) for log in logs] == [("web-h2-x", True)]
    assert "hunter2" not in logs[0].text


async def test_config_maps_keep_their_keys_only(cluster):
    snapshot = await look(cluster)
    assert snapshot.config_maps == {"app": ("LEVEL", "URL")}
    assert "secret-value" not in repr(snapshot)


async def test_services_are_those_that_select_the_pods(cluster):
    assert [(s.ref.name, dict(s.ports)) for s in (await look(cluster)).services] == [("front", {80: 8080})]


async def test_images_of_ready_pods_are_healthy_in_all_namespaces(cluster):
    cluster.add("Pod", "far", namespace="ops", **pod_body("redis:7", ready=True))
    cluster.add("Pod", "sick", namespace="ops", **pod_body("evil:1"))
    snapshot = await look(cluster, namespaces=(NS, "ops"))
    assert set(snapshot.healthy_images) == {"nginx:1", "redis:7"}


async def test_secrets_are_known_by_the_ready_pods_that_use_them(cluster):
    body = pod_body("x:1", ready=True)
    reference = {"name": "PW", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}
    optional = {"name": "O", "valueFrom": {"secretKeyRef": {"name": "maybe", "key": "x", "optional": True}}}
    body["spec"]["containers"][0]["env"] = [reference, optional]
    cluster.add("Pod", "uses", **body)
    assert (await look(cluster)).secrets_in_use == {"db": ("password",)}


@pytest.mark.parametrize(
    ("denied", "what"),
    [
        ("list ConfigMap", "ConfigMap"),
        ("list Event", "Event"),
        ("list Pod", "Pod"),
        ("list ReplicaSet", "ReplicaSet"),
        ("list Service", "Service"),
        ("get Namespace", "namespace"),
        ("logs", "log"),
    ],
)
@pytest.mark.parametrize("error", [Forbidden("no"), ClusterUnavailable("away")], ids=["forbidden", "away"])
async def test_a_read_that_fails_is_listed_and_never_silent(cluster, denied, what, error):
    cluster.errors[denied] = error
    snapshot = await look(cluster)
    assert any(what in item.what and type(error).__name__ in item.why for item in snapshot.unchecked)


async def test_config_maps_that_may_not_be_read_are_unknown_not_absent(cluster):
    cluster.errors["list ConfigMap"] = Forbidden("no")
    assert (await look(cluster)).config_maps is None


async def test_a_root_that_is_gone_is_said_to_be(cluster):
    assert (await look(cluster, root=ref("Deployment", "absent"))).gone


@pytest.mark.parametrize("error", [Forbidden("no"), ClusterUnavailable("away")], ids=["forbidden", "away"])
async def test_a_root_that_cannot_be_read_ends_the_look(cluster, error):
    cluster.errors["get Deployment"] = error
    with pytest.raises(type(error)):
        await look(cluster)


async def test_a_bare_pod_is_its_own_root(cluster):
    cluster.add("Pod", "bare", **pod_body())
    snapshot = await look(cluster, root=ref("Pod", "bare"))
    assert (snapshot.workload, [pod.ref.name for pod in snapshot.pods]) == (None, ["bare"])


async def test_a_stateful_set_names_its_current_revision_itself(cluster):
    db = cluster.add(
        "StatefulSet",
        "db",
        spec={"replicas": 1, "selector": {"matchLabels": {"app": "db"}}, "template": TEMPLATE},
        status={"updateRevision": "db-2"},
    )
    for number in (1, 2):
        cluster.add(
            "ControllerRevision",
            f"db-{number}",
            owner=("StatefulSet", "db", db.uid),
            labels={"app": "db"},
            revision=number,
            data={"spec": {"template": {**TEMPLATE, "$patch": "replace"}}},
        )
    labels = {"app": "db", "controller-revision-hash": "db-2"}
    cluster.add("Pod", "db-0", owner=("StatefulSet", "db", db.uid), labels=labels, **pod_body(ready=True))
    snapshot = await look(cluster, root=db)
    assert [(r.number, r.current, r.ready) for r in snapshot.revisions] == [(2, True, 1), (1, False, 0)]
    assert "$patch" not in snapshot.revisions[0].raw_template


async def test_the_pods_of_a_cron_job_are_those_of_its_jobs(cluster):
    cron = cluster.add("CronJob", "nightly", spec={})
    job = cluster.add("Job", "nightly-1", owner=("CronJob", "nightly", cron.uid))
    cluster.add("Pod", "nightly-1-x", owner=("Job", "nightly-1", job.uid), **pod_body())
    snapshot = await look(cluster, root=cron)
    assert [pod.ref.name for pod in snapshot.pods] == ["nightly-1-x"]
    assert text(snapshot.live.body, "kind") == "CronJob"
