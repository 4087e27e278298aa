"""What a Service lacks: endpoints behind its selector, an address of its load balancer.

Whoever asks collects the EndpointSlices of the Service. Pods that are not ready tell
themselves why; that a Service selects no pod at all is told by nobody else.
Fields: https://kubernetes.io/docs/reference/kubernetes-api/service-resources/service-v1/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from responder.conditions.model import Condition, Endpoints, Surroundings
from responder.conditions.statusconditions import is_deleted
from responder.domain.manifest import Manifest, dig, items, mapping, ref_of, text

NAMES: Mapping[str, str] = {
    "LoadBalancerPending": "A Service of type LoadBalancer has been given no address",
    "ServiceWithoutEndpoints": "A Service has no ready endpoint: it selects no pod, or none of them is ready",
}

EMPTY_SECONDS = 120.0
PENDING_SECONDS = 600.0


def conditions(body: Manifest, around: Surroundings) -> tuple[Condition, ...]:
    if text(body, "kind") != "Service" or is_deleted(body):
        return ()
    return (*_without_endpoints(body, around), *_without_address(body))


def endpoints_in(slices: Iterable[Manifest]) -> Endpoints:
    """The addresses of all EndpointSlices of one Service, counted."""
    # Absent means ready: https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/
    ready = [dig(one, "conditions", "ready") is not False for found in slices for one in items(found, "endpoints")]
    return Endpoints(ready=sum(ready), not_ready=len(ready) - sum(ready))


def _without_endpoints(body: Manifest, around: Surroundings) -> Iterator[Condition]:
    selector = mapping(body, "spec", "selector")
    if not selector or text(body, "spec", "type") == "ExternalName":
        return
    if around.endpoints is None or around.endpoints.ready > 0:
        return
    name, waiting = text(body, "metadata", "name"), around.endpoints.not_ready
    wanted = ",".join(f"{key}={value}" for key, value in sorted(selector.items(), key=lambda pair: str(pair[0])))
    yield Condition(
        name="ServiceWithoutEndpoints",
        about=ref_of(body),
        summary=f"Service {name} has no ready endpoint: none of its addresses is ready ({waiting})"
        if waiting > 0
        else f"Service {name} has no endpoint: no running pod matches its selector {wanted}",
        age_seconds=EMPTY_SECONDS,
    )


def _without_address(body: Manifest) -> Iterator[Condition]:
    if text(body, "spec", "type") != "LoadBalancer" or any(items(body, "status", "loadBalancer", "ingress")):
        return
    yield Condition(
        name="LoadBalancerPending",
        about=ref_of(body),
        summary=f"The load balancer of Service {text(body, 'metadata', 'name')} has been given no address",
        age_seconds=PENDING_SECONDS,
    )
