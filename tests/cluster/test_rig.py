"""The rig itself: what the audit log says is what happened, and rights are enforced. Other tests rely on both."""

from __future__ import annotations

import pytest
from rig.audit import AuditEvent
from rig.controlplane import ControlPlane

from responder.cluster.client import Client
from responder.cluster.kubernetes import KubernetesCluster
from responder.domain.action import Permission
from responder.domain.errors import Forbidden
from responder.domain.manifest import base_hash
from responder.domain.plan import Change, PatchOp, Verb
from responder.domain.refs import ObjectRef

pytestmark = pytest.mark.cluster

READ_AND_DRY_RUN = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "patch"]}]
PATCH = (PatchOp(op="replace", path="/data/a", value="2"),)


def grant(control_plane: ControlPlane, namespace: str, rules: list[dict[str, list[str]]]) -> None:
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    control_plane.expect("POST", f"{rbac}/roles", {"metadata": {"name": "clopus"}, "rules": rules})
    binding = {
        "metadata": {"name": "clopus"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "clopus"},
        "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": "clopus"}],
    }
    control_plane.expect("POST", f"{rbac}/rolebindings", binding)


def as_clopus(control_plane: ControlPlane, namespace: str) -> KubernetesCluster:
    token = control_plane.service_account_token(namespace, "clopus")
    return KubernetesCluster(Client.from_token(url=control_plane.url, token=token, ca_file=control_plane.ca_file))


def writes_of_clopus(control_plane: ControlPlane, namespace: str) -> list[AuditEvent]:
    return control_plane.audit(user=f"system:serviceaccount:{namespace}:clopus", mutating=True)


@pytest.mark.inv(32)
async def test_the_audit_log_tells_dry_runs_from_writes(control_plane: ControlPlane, namespace: str) -> None:
    grant(control_plane, namespace, READ_AND_DRY_RUN)
    maps = f"/api/v1/namespaces/{namespace}/configmaps"
    control_plane.expect("POST", maps, {"metadata": {"name": "settings"}, "data": {"a": "1"}})
    cluster = as_clopus(control_plane, namespace)
    live = await cluster.get(ObjectRef(kind="ConfigMap", namespace=namespace, name="settings"))
    change = Change(
        target=live.ref, resource_version=live.resource_version, base_hash=base_hash(live.body), patch=PATCH
    )
    await cluster.apply(change, execution_id="exe-1", dry_run=True)
    await cluster.apply(change, execution_id="exe-1", dry_run=False)
    await cluster.close()
    rehearsal, write = writes_of_clopus(control_plane, namespace)
    assert (rehearsal.verb, rehearsal.dry_run, rehearsal.effective) == ("patch", True, False)
    assert (write.verb, write.dry_run, write.effective) == ("patch", False, True)
    assert rehearsal.request == write.request
    assert rehearsal.completed_at < write.received_at


async def test_a_dry_run_of_an_eviction_counts_as_one(control_plane: ControlPlane, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    spec = {"schedulerName": "nobody", "containers": [{"name": "web", "image": "nginx:1.27"}]}
    control_plane.expect("POST", pods, {"metadata": {"name": "p1"}, "spec": spec})
    client = Client.from_token(url=control_plane.url, token=control_plane.admin_token, ca_file=control_plane.ca_file)
    cluster = KubernetesCluster(client)
    live = await cluster.get(ObjectRef(kind="Pod", namespace=namespace, name="p1"))
    change = Change(target=live.ref, verb=Verb.EVICT, resource_version=live.resource_version, base_hash="")
    await cluster.apply(change, execution_id="exe-1", dry_run=True)
    await cluster.close()
    (eviction,) = [e for e in control_plane.audit(namespace=namespace) if e.subresource == "eviction"]
    assert (eviction.resource, eviction.dry_run, eviction.effective) == ("pods", True, False)


async def test_questions_about_rights_are_no_writes(control_plane: ControlPlane, namespace: str) -> None:
    cluster = as_clopus(control_plane, namespace)
    assert not await cluster.permitted(namespace, Permission(resource="pods/eviction", verbs=("create",)))
    await cluster.close()
    assert writes_of_clopus(control_plane, namespace) == []


async def test_only_what_was_granted_is_permitted(control_plane: ControlPlane, namespace: str) -> None:
    grant(control_plane, namespace, READ_AND_DRY_RUN)
    cluster = as_clopus(control_plane, namespace)
    assert await cluster.permitted(namespace, Permission(resource="configmaps", verbs=("get", "patch")))
    assert not await cluster.permitted(namespace, Permission(resource="configmaps", verbs=("get", "delete")))
    await cluster.close()


async def test_a_read_without_the_right_is_forbidden_and_names_it(control_plane: ControlPlane, namespace: str) -> None:
    cluster = as_clopus(control_plane, namespace)
    with pytest.raises(Forbidden, match='cannot list resource "pods"'):
        await cluster.list("Pod", namespace)
    await cluster.close()


async def test_a_write_without_the_right_is_forbidden(control_plane: ControlPlane, namespace: str) -> None:
    reading = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]
    grant(control_plane, namespace, reading)
    maps = f"/api/v1/namespaces/{namespace}/configmaps"
    control_plane.expect("POST", maps, {"metadata": {"name": "settings"}, "data": {"a": "1"}})
    cluster = as_clopus(control_plane, namespace)
    live = await cluster.get(ObjectRef(kind="ConfigMap", namespace=namespace, name="settings"))
    change = Change(target=live.ref, resource_version=live.resource_version, base_hash="", patch=PATCH)
    with pytest.raises(Forbidden, match='cannot patch resource "configmaps"'):
        await cluster.apply(change, execution_id="exe-1", dry_run=True)
    await cluster.close()


async def test_the_kubeconfig_works(control_plane: ControlPlane, namespace: str) -> None:
    client = await Client.from_kubeconfig(control_plane.kubeconfig)
    cluster = KubernetesCluster(client)
    assert (await cluster.get(ObjectRef(kind="Namespace", name=namespace))).ref.name == namespace
    await cluster.close()


def test_kubectl_speaks_to_the_control_plane(control_plane: ControlPlane, namespace: str) -> None:
    assert namespace in control_plane.kubectl("get", "namespaces", "--output=name")
