"""Names become paths only when they cannot change what the path means."""

import pytest

from responder.cluster.resources import RESOURCES, collection_path, object_path, resource_of
from responder.domain.errors import ObjectGone, PermanentError
from responder.domain.refs import ObjectRef


@pytest.mark.parametrize(
    ("ref", "path"),
    [
        (ObjectRef(kind="Pod", namespace="shop", name="web-1"), "/api/v1/namespaces/shop/pods/web-1"),
        (
            ObjectRef(kind="Deployment", namespace="shop", name="web"),
            "/apis/apps/v1/namespaces/shop/deployments/web",
        ),
        (
            ObjectRef(kind="RoleBinding", namespace="shop", name="web"),
            "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings/web",
        ),
        (
            ObjectRef(kind="Certificate", namespace="shop", name="tls"),
            "/apis/cert-manager.io/v1/namespaces/shop/certificates/tls",
        ),
        (ObjectRef(kind="Node", name="node-1"), "/api/v1/nodes/node-1"),
        (ObjectRef(kind="Namespace", name="shop"), "/api/v1/namespaces/shop"),
    ],
)
def test_an_object_has_its_path(ref: ObjectRef, path: str) -> None:
    assert object_path(ref) == path


def test_an_empty_namespace_lists_all_of_them() -> None:
    assert collection_path("Pod", "") == "/api/v1/pods"


@pytest.mark.parametrize(
    "name", ["../secrets", "a/b", "", ".", "..", "a?x=1", "a%2fb", "UPPER", "a b", "a\n", "x" * 254]
)
def test_a_name_that_no_object_can_have_never_becomes_a_path(name: str) -> None:
    with pytest.raises(ObjectGone):
        object_path(ObjectRef(kind="Pod", namespace="shop", name=name))


@pytest.mark.parametrize("namespace", ["", "../kube-system", "a/b", "a.b", "A", "x" * 64])
def test_a_namespace_that_cannot_exist_never_becomes_a_path(namespace: str) -> None:
    with pytest.raises(ObjectGone):
        object_path(ObjectRef(kind="Pod", namespace=namespace, name="web"))


@pytest.mark.inv(48)
@pytest.mark.parametrize(
    "kind", ["Secret", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "Rollout", ""]
)
def test_secrets_and_kinds_that_are_not_known_are_not_read(kind: str) -> None:
    with pytest.raises(PermanentError):
        resource_of(kind)


def test_every_kind_has_a_plural_of_its_own() -> None:
    assert len({(resource.group, resource.plural) for resource in RESOURCES.values()}) == len(RESOURCES)
