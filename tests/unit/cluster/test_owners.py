"""managedFields become owners with paths; the body that is kept has none of them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from responder.cluster.owners import live_object

DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "web",
        "namespace": "shop",
        "uid": "u-1",
        "resourceVersion": "42",
        "generation": 3,
        "managedFields": [
            {
                "manager": "helm",
                "operation": "Apply",
                "time": "2026-11-01T10:00:00Z",
                "fieldsV1": {
                    "f:metadata": {"f:annotations": {".": {}, "f:meta.helm.sh/release-name": {}}},
                    "f:spec": {
                        "f:replicas": {},
                        "f:template": {
                            "f:spec": {
                                "f:containers": {
                                    'k:{"name":"web"}': {
                                        ".": {},
                                        "f:image": {},
                                        "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {"f:name": {}}},
                                    }
                                }
                            }
                        },
                    },
                },
            },
            {
                "manager": "kube-controller-manager",
                "operation": "Update",
                "subresource": "status",
                "fieldsV1": {"f:status": {"f:replicas": {}}},
            },
        ],
    },
    "spec": {"replicas": 2},
}


def test_the_body_loses_managed_fields_and_nothing_else() -> None:
    live = live_object(DEPLOYMENT)
    assert live.body["metadata"] == {k: v for k, v in DEPLOYMENT["metadata"].items() if k != "managedFields"}
    assert live.body["spec"] == {"replicas": 2}


def test_identity_and_version_are_read_from_metadata() -> None:
    live = live_object(DEPLOYMENT)
    assert (live.ref.key, live.ref.uid, live.resource_version, live.generation) == (
        "Deployment/shop/web",
        "u-1",
        "42",
        3,
    )


def test_a_list_item_takes_the_kind_of_its_list() -> None:
    assert live_object({"metadata": {"name": "a"}}, kind="ConfigMap").ref.kind == "ConfigMap"


def test_an_owner_has_its_name_time_and_paths() -> None:
    helm = live_object(DEPLOYMENT).owners[0]
    assert (helm.manager, helm.operation, helm.at) == ("helm", "Apply", datetime(2026, 11, 1, 10, tzinfo=UTC))
    assert helm.paths == {
        "/metadata/annotations",
        "/metadata/annotations/meta.helm.sh~1release-name",
        "/spec/replicas",
        "/spec/template/spec/containers[web]",
        "/spec/template/spec/containers[web]/image",
        "/spec/template/spec/containers[web]/ports[80,TCP]/name",
    }


def test_who_reports_status_owns_no_path() -> None:
    controller = live_object(DEPLOYMENT).owners[1]
    assert (controller.subresource, controller.paths) == ("status", frozenset())


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ('v:"example.com/finalizer"', '/metadata/finalizers[="example.com/finalizer"]'),
        ("i:2", "/metadata/finalizers[2]"),
        ("k:no json", "/metadata/finalizers[no json]"),
        ("unheard-of", "/metadata/finalizers[]"),
    ],
)
def test_other_forms_of_list_items_have_a_path_too(key: str, path: str) -> None:
    fields = {"f:metadata": {"f:finalizers": {key: {}}}}
    body = {"metadata": {"managedFields": [{"manager": "m", "fieldsV1": fields}]}}
    assert live_object(body).owners[0].paths == {path}
