"""The rights that Clopus asks for."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from responder.domain.action import Permission
from responder.domain.errors import PolicyViolation
from responder.rbac import READ_PERMISSIONS, manifest, to_yaml

PATCH = Permission(group="apps", resource="deployments", verbs=("patch",))
EVICT = Permission(resource="pods/eviction", verbs=("create",))


def of(
    *permissions: Permission, namespaces: tuple[str, ...] = ("shop",), kinds: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    return manifest(
        kinds=kinds,
        namespaces=namespaces,
        service_account="clopus",
        own_namespace="clopus-system",
        permissions=permissions,
    )


def rules(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [rule for document in documents for rule in document.get("rules", [])]


def test_without_actions_there_is_only_a_reader() -> None:
    assert [(d["kind"], d["metadata"]["name"]) for d in of()] == [
        ("Role", "clopus-reader"),
        ("RoleBinding", "clopus-reader"),
    ]
    assert {verb for rule in rules(of()) for verb in rule["verbs"]} == {"get", "list", "watch"}


def test_each_namespace_gets_its_own_roles_and_nothing_is_cluster_wide() -> None:
    documents = of(PATCH, namespaces=("shop", "bank", "shop"))
    assert [d["metadata"]["namespace"] for d in documents] == ["bank"] * 4 + ["shop"] * 4
    assert {d["kind"] for d in documents} == {"Role", "RoleBinding"}


def test_the_only_namespace_that_may_be_read_is_the_roles_own() -> None:
    (rule,) = [rule for rule in rules(of()) if "namespaces" in rule["resources"]]
    assert rule == {"apiGroups": [""], "resources": ["namespaces"], "resourceNames": ["shop"], "verbs": ["get"]}


def test_the_fixer_has_exactly_the_rights_of_its_actions() -> None:
    documents = of(PATCH, EVICT, PATCH, kinds=("set_image", "delete_pod"))
    (fixer,) = [d for d in documents if d["kind"] == "Role" and d["metadata"]["name"] == "clopus-fixer"]
    assert fixer["metadata"]["annotations"] == {"clopus.dev/actions": "delete_pod,set_image"}
    assert fixer["rules"] == [
        {"apiGroups": [""], "resources": ["pods/eviction"], "verbs": ["create"]},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["patch"]},
    ]


def test_the_cluster_is_read_only_where_that_is_asked_for() -> None:
    documents = manifest(
        kinds=("set_image",),
        namespaces=("shop",),
        service_account="clopus",
        own_namespace="clopus-system",
        permissions=(PATCH,),
        cluster=True,
    )
    wide = [d for d in documents if d["kind"].startswith("Cluster")]
    assert [(d["kind"], d["metadata"]["name"]) for d in wide] == [
        ("ClusterRole", "clopus-reader"),
        ("ClusterRoleBinding", "clopus-reader"),
    ]
    assert rules(wide) == [
        {"apiGroups": [""], "resources": ["persistentvolumes"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["namespaces", "nodes"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["storage.k8s.io"], "resources": ["storageclasses"], "verbs": ["get"]},
    ]


def test_every_namespace_is_read_by_one_cluster_role_and_written_by_roles_alone() -> None:
    documents = manifest(
        kinds=("set_image",),
        namespaces=("shop",),
        service_account="clopus",
        own_namespace="clopus-system",
        permissions=(PATCH,),
        everywhere=True,
    )
    assert [(d["kind"], d["metadata"]["name"]) for d in documents] == [
        ("ClusterRole", "clopus-reader"),
        ("ClusterRoleBinding", "clopus-reader"),
        ("Role", "clopus-fixer"),
        ("RoleBinding", "clopus-fixer"),
    ]
    assert {verb for rule in documents[0]["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}


def test_a_binding_names_the_service_account_of_clopus() -> None:
    binding = of()[1]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "clopus", "namespace": "clopus-system"}]
    assert binding["roleRef"]["name"] == "clopus-reader"


@pytest.mark.inv(48)
def test_no_right_on_secrets_exec_or_the_making_of_pods() -> None:
    granted = {resource for rule in rules(of(PATCH, EVICT)) for resource in rule["resources"]}
    assert granted.isdisjoint({"*", "secrets", "pods/exec", "pods/attach", "serviceaccounts/token"})
    assert not any("*" in rule["apiGroups"] + rule["verbs"] for rule in rules(of(PATCH, EVICT)))


@pytest.mark.inv(48)
@pytest.mark.parametrize(
    "permission",
    [
        Permission(resource="secrets", verbs=("get",)),
        Permission(resource="pods/exec", verbs=("create",)),
        Permission(resource="pods", verbs=("create",)),
        Permission(resource="*", verbs=("get",)),
        Permission(group="apps", resource="deployments", verbs=("*",)),
        Permission(group="rbac.authorization.k8s.io", resource="roles", verbs=("patch",)),
        Permission(resource="configmaps", verbs=("deletecollection",)),
    ],
)
def test_a_right_that_no_action_may_have_is_refused(permission: Permission) -> None:
    with pytest.raises(PolicyViolation):
        of(permission)


def test_the_same_input_gives_the_same_bytes_in_any_order() -> None:
    first = to_yaml(of(PATCH, EVICT, namespaces=("a", "b"), kinds=("x", "y")))
    assert first == to_yaml(of(EVICT, PATCH, namespaces=("b", "a"), kinds=("y", "x")))
    assert list(yaml.safe_load_all(first)) == of(PATCH, EVICT, namespaces=("a", "b"), kinds=("x", "y"))


def test_reading_is_all_that_the_reading_permissions_hold() -> None:
    assert {verb for permission in READ_PERMISSIONS for verb in permission.verbs} == {"get", "list", "watch"}
