"""What the adapter promises, on the sandbox and on a real API server alike. Where they differ, the sandbox is wrong."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from rig.api import Api

from responder.cluster import kubernetes
from responder.cluster.client import Client
from responder.cluster.kubernetes import KubernetesCluster
from responder.domain.action import Permission
from responder.domain.errors import (
    ClusterUnavailable,
    Forbidden,
    ObjectGone,
    PermanentError,
    PlanInvalid,
    PlanStale,
    ResponderError,
)
from responder.domain.manifest import EXECUTION_ANNOTATION, LiveObject, base_hash, dig
from responder.domain.plan import Change, PatchOp, Verb
from responder.domain.refs import ObjectRef

IMAGE = "/spec/template/spec/containers/0/image"
DEPLOYMENTS = "apis/apps/v1/deployments"
CONFIG_MAPS = "api/v1/configmaps"
PODS = "api/v1/pods"


def deployment(name: str = "web", *, replicas: int = 0, image: str = "nginx:1.27") -> dict[str, Any]:
    labels = {"app": name}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": image}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pod}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def config_map(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": {"a": "1"}}


def pod(name: str, **labels: str) -> dict[str, Any]:
    """One that no scheduler touches, so that it stays as it was made."""
    spec = {"schedulerName": "nobody", "containers": [{"name": "web", "image": "nginx:1.27"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}


def replace(path: str, value: object) -> PatchOp:
    return PatchOp(op="replace", path=path, value=value)


def change_of(live: LiveObject, *patch: PatchOp, verb: Verb = Verb.PATCH) -> Change:
    return Change(
        target=live.ref,
        verb=verb,
        resource_version=live.resource_version,
        base_hash=base_hash(live.body),
        patch=patch,
    )


async def settled_deployment(api: Api, cluster: KubernetesCluster) -> LiveObject:
    """A Deployment whose controller has said all it has to say, so that its version moves no more."""
    await api.create(DEPLOYMENTS, deployment())
    path = f"/apis/apps/v1/namespaces/{api.namespace}/deployments/web"
    await api.until(
        path,
        lambda body: (
            dig(body, "status", "observedGeneration") == 1 and len(dig(body, "status", "conditions") or ()) > 0
        ),
    )
    return await cluster.get(ObjectRef(kind="Deployment", namespace=api.namespace, name="web"))


class TestGet:
    async def test_an_object_comes_with_uid_version_and_generation(self, api: Api, cluster: KubernetesCluster) -> None:
        made = await api.create(DEPLOYMENTS, deployment())
        live = await cluster.get(ObjectRef(kind="Deployment", namespace=api.namespace, name="web"))
        assert (live.ref.kind, live.ref.uid) == ("Deployment", made["metadata"]["uid"])
        assert live.resource_version
        assert live.generation == 1

    async def test_managed_fields_become_owners(self, api: Api, cluster: KubernetesCluster) -> None:
        await api.create(f"{DEPLOYMENTS}", deployment())
        live = await cluster.get(ObjectRef(kind="Deployment", namespace=api.namespace, name="web"))
        assert "managedFields" not in live.body["metadata"]
        assert any("/spec/template/spec/containers[web]/image" in owner.paths for owner in live.owners)

    async def test_an_object_that_is_not_there_is_gone(self, api: Api, cluster: KubernetesCluster) -> None:
        with pytest.raises(ObjectGone):
            await cluster.get(ObjectRef(kind="Deployment", namespace=api.namespace, name="absent"))

    async def test_another_object_under_the_same_name_is_gone(self, api: Api, cluster: KubernetesCluster) -> None:
        await api.create(CONFIG_MAPS, config_map("settings"))
        live = await cluster.get(ObjectRef(kind="ConfigMap", namespace=api.namespace, name="settings"))
        path = f"/api/v1/namespaces/{api.namespace}/configmaps/settings"
        await api.expect("DELETE", path)
        await api.create(CONFIG_MAPS, config_map("settings"))
        with pytest.raises(ObjectGone, match="another object"):
            await cluster.get(live.ref)

    async def test_a_cluster_scoped_object_is_read(self, api: Api, cluster: KubernetesCluster) -> None:
        live = await cluster.get(ObjectRef(kind="Namespace", name=api.namespace))
        assert live.ref.name == api.namespace


class TestList:
    async def test_every_page_is_followed(
        self, api: Api, cluster: KubernetesCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kubernetes, "PAGE", 2)
        for number in range(5):
            await api.create(CONFIG_MAPS, config_map(f"c{number}", of="test"))
        found = await cluster.list("ConfigMap", api.namespace, label_selector="of=test")
        assert sorted(live.ref.name for live in found) == ["c0", "c1", "c2", "c3", "c4"]

    async def test_items_carry_the_kind_that_was_asked_for(self, api: Api, cluster: KubernetesCluster) -> None:
        await api.create(CONFIG_MAPS, config_map("settings", of="test"))
        (found,) = await cluster.list("ConfigMap", api.namespace, label_selector="of=test")
        assert found.ref.kind == "ConfigMap"

    @pytest.mark.parametrize(
        ("selector", "names"),
        [("tier=a", ["p1"]), ("tier!=a", ["p2"]), ("tier in (a,b)", ["p1", "p2"]), ("tier", ["p1", "p2"])],
    )
    async def test_a_label_selector_narrows(
        self, api: Api, cluster: KubernetesCluster, selector: str, names: list[str]
    ) -> None:
        await api.create(PODS, pod("p1", tier="a"))
        await api.create(PODS, pod("p2", tier="b"))
        found = await cluster.list("Pod", api.namespace, label_selector=selector)
        assert sorted(live.ref.name for live in found) == names

    async def test_a_field_selector_narrows(self, api: Api, cluster: KubernetesCluster) -> None:
        await api.create(PODS, pod("p1"))
        await api.create(PODS, pod("p2"))
        (found,) = await cluster.list("Pod", api.namespace, field_selector="metadata.name=p2")
        assert found.ref.name == "p2"

    async def test_nothing_is_an_empty_list(self, api: Api, cluster: KubernetesCluster) -> None:
        assert await cluster.list("Job", api.namespace) == ()

    async def test_a_selector_that_the_server_refuses_is_an_error(self, api: Api, cluster: KubernetesCluster) -> None:
        with pytest.raises(PermanentError):
            await cluster.list("Pod", api.namespace, field_selector="spec.containers=x")


class TestApply:
    async def test_a_dry_run_answers_with_the_outcome_and_changes_nothing(
        self, api: Api, cluster: KubernetesCluster
    ) -> None:
        live = await settled_deployment(api, cluster)
        change = change_of(live, replace(IMAGE, "nginx:1.28"))
        answer = await cluster.apply(change, execution_id="exe-1", dry_run=True)
        assert dig(answer.body, "spec", "template", "spec", "containers", 0, "image") == "nginx:1.28"
        after = await cluster.get(live.ref)
        assert after.resource_version == live.resource_version

    async def test_a_write_takes_effect_and_carries_the_executions_mark(
        self, api: Api, cluster: KubernetesCluster
    ) -> None:
        live = await settled_deployment(api, cluster)
        answer = await cluster.apply(change_of(live, replace(IMAGE, "nginx:1.28")), execution_id="exe-1", dry_run=False)
        after = await cluster.get(live.ref)
        assert after.annotations[EXECUTION_ANNOTATION] == "exe-1"
        assert dig(after.body, "spec", "template", "spec", "containers", 0, "image") == "nginx:1.28"
        assert base_hash(answer.body) == base_hash(after.body)
        assert answer.generation == 2

    async def test_a_write_is_signed_with_the_field_manager(self, api: Api, cluster: KubernetesCluster) -> None:
        live = await settled_deployment(api, cluster)
        answer = await cluster.apply(change_of(live, replace(IMAGE, "nginx:1.28")), execution_id="exe-1", dry_run=False)
        (ours,) = [owner for owner in answer.owners if owner.manager == "clopus"]
        assert "/spec/template/spec/containers[web]/image" in ours.paths

    async def test_an_object_without_annotations_gets_the_mark(self, api: Api, cluster: KubernetesCluster) -> None:
        await api.create(CONFIG_MAPS, config_map("settings"))
        live = await cluster.get(ObjectRef(kind="ConfigMap", namespace=api.namespace, name="settings"))
        answer = await cluster.apply(change_of(live, replace("/data/a", "2")), execution_id="exe-1", dry_run=False)
        assert answer.annotations == {EXECUTION_ANNOTATION: "exe-1"}

    @pytest.mark.inv(20, 24)
    @pytest.mark.parametrize("dry_run", [True, False])
    async def test_an_object_that_moved_on_makes_the_plan_stale(
        self, api: Api, cluster: KubernetesCluster, dry_run: bool
    ) -> None:
        live = await settled_deployment(api, cluster)
        await cluster.apply(change_of(live, replace(IMAGE, "nginx:1.28")), execution_id="exe-1", dry_run=False)
        with pytest.raises(PlanStale):
            await cluster.apply(change_of(live, replace(IMAGE, "nginx:1.29")), execution_id="exe-2", dry_run=dry_run)

    @pytest.mark.inv(24)
    async def test_a_recreated_object_is_not_written_to(self, api: Api, cluster: KubernetesCluster) -> None:
        await api.create(CONFIG_MAPS, config_map("settings"))
        live = await cluster.get(ObjectRef(kind="ConfigMap", namespace=api.namespace, name="settings"))
        await api.expect("DELETE", f"/api/v1/namespaces/{api.namespace}/configmaps/settings")
        await api.create(CONFIG_MAPS, config_map("settings"))
        with pytest.raises(ObjectGone):
            await cluster.apply(change_of(live, replace("/data/a", "2")), execution_id="exe-1", dry_run=False)

    @pytest.mark.parametrize(
        ("patch", "expected"),
        [
            pytest.param(replace("/spec/replicas", -1), PlanInvalid, id="value out of range"),
            pytest.param(replace("/spec/replicas", "three"), PlanInvalid, id="value of another type"),
            pytest.param(PatchOp(op="add", path="/spec/replcas", value=3), PlanInvalid, id="misspelt field"),
            pytest.param(replace("/spec/selector/matchLabels", {"app": "x"}), PlanInvalid, id="immutable field"),
            pytest.param(PatchOp(op="test", path="/spec/replicas", value=9), PlanStale, id="test that fails"),
            pytest.param(PatchOp(op="remove", path="/spec/paused"), PlanStale, id="path that is not there"),
            pytest.param(replace("/spec/nope/deeper", 1), PlanStale, id="parent that is not there"),
        ],
    )
    @pytest.mark.parametrize("dry_run", [True, False])
    async def test_a_change_that_the_server_refuses_says_why_and_changes_nothing(
        self, api: Api, cluster: KubernetesCluster, patch: PatchOp, expected: type[ResponderError], dry_run: bool
    ) -> None:
        live = await settled_deployment(api, cluster)
        with pytest.raises(expected):
            await cluster.apply(change_of(live, patch), execution_id="exe-1", dry_run=dry_run)
        after = await cluster.get(live.ref)
        assert after.resource_version == live.resource_version

    async def test_the_refusal_is_in_the_servers_words(self, api: Api, cluster: KubernetesCluster) -> None:
        live = await settled_deployment(api, cluster)
        with pytest.raises(PlanInvalid, match="must be greater than or equal to 0"):
            await cluster.apply(change_of(live, replace("/spec/replicas", -1)), execution_id="exe-1", dry_run=True)


class TestServerRefusesStaleWrites:
    """The adapter looks before it writes; these prove the precondition that holds when something slips in between."""

    @pytest.mark.inv(20)
    async def test_a_stale_version_in_the_patch_is_a_conflict_even_when_the_change_is_invalid(
        self, api: Api, cluster: KubernetesCluster
    ) -> None:
        live = await settled_deployment(api, cluster)
        patch = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": "1"},
            {"op": "replace", "path": "/spec/replicas", "value": -1},
        ]
        path = f"/apis/apps/v1/namespaces/{api.namespace}/deployments/{live.ref.name}"
        status, _ = await api.request("PATCH", path, patch, content_type="application/json-patch+json")
        assert status == 409

    @pytest.mark.parametrize(
        "precondition", [{"uid": "00000000-0000-0000-0000-000000000000"}, {"resourceVersion": "1"}]
    )
    async def test_a_stale_precondition_of_an_eviction_is_a_conflict(
        self, api: Api, precondition: dict[str, str]
    ) -> None:
        await api.create(PODS, pod("p1"))
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": "p1", "namespace": api.namespace},
            "deleteOptions": {"preconditions": precondition},
        }
        status, _ = await api.request("POST", f"/api/v1/namespaces/{api.namespace}/pods/p1/eviction", eviction)
        assert status == 409


class TestEvict:
    async def evict(self, api: Api, cluster: KubernetesCluster, *, dry_run: bool) -> LiveObject:
        live = await cluster.get(ObjectRef(kind="Pod", namespace=api.namespace, name="p1"))
        return await cluster.apply(change_of(live, verb=Verb.EVICT), execution_id="exe-1", dry_run=dry_run)

    async def test_an_eviction_removes_the_pod(self, api: Api, cluster: KubernetesCluster) -> None:
        await api.create(PODS, pod("p1"))
        evicted = await self.evict(api, cluster, dry_run=False)
        with pytest.raises(ObjectGone):
            await cluster.get(evicted.ref)

    async def test_a_dry_run_of_an_eviction_leaves_the_pod(self, api: Api, cluster: KubernetesCluster) -> None:
        await api.create(PODS, pod("p1"))
        kept = await self.evict(api, cluster, dry_run=True)
        assert (await cluster.get(kept.ref)).resource_version == kept.resource_version

    @pytest.mark.inv(29)
    @pytest.mark.parametrize("dry_run", [True, False])
    async def test_a_disruption_budget_is_respected(self, api: Api, cluster: KubernetesCluster, dry_run: bool) -> None:
        await api.create(PODS, pod("p1", app="web"))
        path = f"/api/v1/namespaces/{api.namespace}/pods/p1"
        running = await api.expect("GET", path)
        running["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        await api.expect("PUT", f"{path}/status", running)
        budget = {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "keep"},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
        }
        await api.create("apis/policy/v1/poddisruptionbudgets", budget)
        budget_path = f"/apis/policy/v1/namespaces/{api.namespace}/poddisruptionbudgets/keep"
        await api.until(budget_path, lambda body: dig(body, "status", "currentHealthy") == 1)
        with pytest.raises(PlanInvalid, match="disruption budget"):
            await self.evict(api, cluster, dry_run=dry_run)
        assert (await cluster.get(ObjectRef(kind="Pod", namespace=api.namespace, name="p1"))).ref.name == "p1"


class TestLogs:
    async def test_a_pod_without_a_node_has_no_log(self, api: Api, cluster: KubernetesCluster) -> None:
        await api.create(PODS, pod("p1"))
        ref = ObjectRef(kind="Pod", namespace=api.namespace, name="p1")
        with pytest.raises(ObjectGone, match="no log"):
            await cluster.logs(ref, "web", previous=False, tail_lines=10, limit_bytes=1000)

    async def test_a_container_that_the_pod_lacks_has_no_log(self, api: Api, cluster: KubernetesCluster) -> None:
        await api.create(PODS, pod("p1"))
        ref = ObjectRef(kind="Pod", namespace=api.namespace, name="p1")
        with pytest.raises(ObjectGone, match="container wab is not valid"):
            await cluster.logs(ref, "wab", previous=False, tail_lines=10, limit_bytes=1000)

    async def test_a_pod_that_is_not_there_has_no_log(self, api: Api, cluster: KubernetesCluster) -> None:
        ref = ObjectRef(kind="Pod", namespace=api.namespace, name="absent")
        with pytest.raises(ObjectGone):
            await cluster.logs(ref, "web", previous=False, tail_lines=10, limit_bytes=1000)


class TestRights:
    async def test_an_administrator_may_do_what_is_asked(self, api: Api, cluster: KubernetesCluster) -> None:
        right = Permission(group="apps", resource="deployments", verbs=("get", "patch"))
        assert await cluster.permitted(api.namespace, right)

    async def test_a_wrong_credential_is_forbidden(self, api: Api) -> None:
        stranger = KubernetesCluster(Client.from_token(url=api.url, token="wrong", ca_file=api.ca_file))
        with pytest.raises(Forbidden):
            await stranger.get(ObjectRef(kind="Namespace", name=api.namespace))
        await stranger.close()

    async def test_a_server_that_is_not_there_is_unavailable(self) -> None:
        nowhere = KubernetesCluster(Client.from_token(url="http://127.0.0.1:1", token="x"))
        with pytest.raises(ClusterUnavailable):
            await nowhere.get(ObjectRef(kind="Namespace", name="default"))
        await nowhere.close()


async def test_a_change_frozen_earlier_goes_through_at_the_version_of_now(api: Api, cluster: KubernetesCluster) -> None:
    """Status reports move the version; a change is carried over by its new version alone, its bytes stay."""
    live = await settled_deployment(api, cluster)
    change = change_of(live, replace(IMAGE, "nginx:1.28"))
    path = f"/apis/apps/v1/namespaces/{api.namespace}/deployments/web"
    moved = await api.expect("GET", path)
    moved["status"]["replicas"] = 0
    moved["status"]["conditions"][0]["message"] = "reported again"
    await api.expect("PUT", f"{path}/status", moved)
    now = await cluster.get(live.ref)
    assert base_hash(now.body) == change.base_hash
    carried = dataclasses.replace(change, resource_version=now.resource_version)
    answer = await cluster.apply(carried, execution_id="exe-1", dry_run=True)
    assert dig(answer.body, "spec", "template", "spec", "containers", 0, "image") == "nginx:1.28"
