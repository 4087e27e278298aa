"""What a Service lacks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from responder.conditions.model import Endpoints, Surroundings
from responder.conditions.services import NAMES, conditions

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
NONE = Endpoints()
WAITING = Endpoints(not_ready=2)
SOME = Endpoints(ready=1, not_ready=2)


def service(*, ingress: list[Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u-1"},
        "spec": {"type": "ClusterIP", "selector": {"tier": "front", "app": "web"}, **spec},
        "status": {"loadBalancer": {"ingress": ingress} if ingress is not None else {}},
    }


def around(endpoints: Endpoints | None) -> Surroundings:
    return Surroundings(now=NOW, endpoints=endpoints)


@pytest.mark.parametrize(
    ("body", "endpoints", "told"),
    [
        pytest.param(service(), NONE, ["ServiceWithoutEndpoints"], id="selects nothing"),
        pytest.param(service(), WAITING, ["ServiceWithoutEndpoints"], id="none is ready"),
        pytest.param(service(clusterIP="None"), NONE, ["ServiceWithoutEndpoints"], id="headless"),
        pytest.param(service(), SOME, [], id="one is ready"),
        pytest.param(service(), None, [], id="not known"),
        pytest.param(service(selector=None), NONE, [], id="no selector"),
        pytest.param(service(selector={}), NONE, [], id="empty selector"),
        pytest.param(service(type="ExternalName", externalName="db.example.com"), NONE, [], id="ExternalName"),
        pytest.param(service(type="LoadBalancer"), SOME, ["LoadBalancerPending"], id="no address"),
        pytest.param(service(type="LoadBalancer", ingress=[]), SOME, ["LoadBalancerPending"], id="empty list"),
        pytest.param(service(type="LoadBalancer", ingress=[{"ip": "192.0.2.7"}]), SOME, [], id="an address"),
        pytest.param(service(type="NodePort"), SOME, [], id="NodePort"),
        pytest.param({**service(), "metadata": {"deletionTimestamp": "x"}}, NONE, [], id="being deleted"),
        pytest.param({**service(), "kind": "Pod"}, NONE, [], id="another kind"),
        pytest.param({}, NONE, [], id="nothing"),
    ],
)
def test_what_is_missing_is_told(body: dict[str, Any], endpoints: Endpoints | None, told: list[str]) -> None:
    assert [found.name for found in conditions(body, around(endpoints))] == told
    assert set(told) <= set(NAMES)


@pytest.mark.parametrize(
    ("endpoints", "summary"),
    [
        (NONE, "Service web has no endpoint: no running pod matches its selector app=web,tier=front"),
        (WAITING, "Service web has no ready endpoint: none of its addresses is ready (2)"),
    ],
    ids=["no pod", "pods not ready"],
)
def test_no_pod_is_told_apart_from_pods_that_are_not_ready(endpoints: Endpoints, summary: str) -> None:
    (found,) = conditions(service(), around(endpoints))
    assert found.summary == summary


def test_the_two_faults_have_their_ages() -> None:
    found = conditions(service(type="LoadBalancer"), around(NONE))
    assert {each.name: each.age_seconds for each in found} == {
        "ServiceWithoutEndpoints": 120,
        "LoadBalancerPending": 600,
    }
