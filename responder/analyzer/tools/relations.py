"""What belongs together: owners and what they own, a Service and the pods behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from responder.analyzer.tools.arguments import Name, OneOf, argument
from responder.analyzer.tools.look import Found, Look, Unseen, reason
from responder.analyzer.tools.scope import NAMESPACED_KINDS
from responder.analyzer.tools.states import state
from responder.domain.errors import ResponderError
from responder.domain.investigation import EvidenceKind
from responder.domain.manifest import LiveObject, Manifest, controller_of, dig, items, mapping, strings, text
from responder.domain.refs import is_object_name
from responder.domain.selector import picks

MAX_OWNERS = 5
MAX_OWNED = 50
_OWNED: Mapping[str, tuple[str, ...]] = {
    "CronJob": ("Job", "Pod"),
    "DaemonSet": ("Pod",),
    "Deployment": ("ReplicaSet", "Pod"),
    "Job": ("Pod",),
    "ReplicaSet": ("Pod",),
    "StatefulSet": ("Pod",),
}


@dataclass(frozen=True, kw_only=True)
class Owners:
    kind: str = argument(OneOf(values=NAMESPACED_KINDS), "Kind of the object")
    name: str = argument(Name(), "Its name")


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    service: str = argument(Name(), "Name of the Service")


async def owners(look: Look, wanted: Owners) -> Found:
    live = await look.get(look.scope.ref(wanted.kind, wanted.name))
    above, below = await asyncio.gather(_above(look, live), _below(look, live))
    lines = ["controlled by, nearest first:", *(above or ["nothing"]), "controls:", *(below or ["nothing"])]
    return Found(
        text="\n".join([live.ref.key, *lines]),
        kind=EvidenceKind.OBJECT,
        source=f"owners of {live.ref.key}",
        subject=live.ref,
    )


async def endpoints(look: Look, wanted: Endpoints) -> Found:
    live = await look.get(look.scope.ref("Service", wanted.service))
    selector = f"kubernetes.io/service-name={live.ref.name}"
    listing = asyncio.gather(look.list("EndpointSlice", label_selector=selector), look.list("Pod"))
    slices, pods = await listing
    chosen = [pod for pod in pods if _selected(live, pod)]
    (service, *bodies) = await look.clean([live.body, *(pod.body for pod in chosen[:MAX_OWNED])])
    lines = [f"{live.ref.key} | {state('Service', service)}", *_addresses(slices)]
    lines.append(f"pods that match the selector, {len(chosen)}:")
    lines += [f"- {pod.ref.name} | {state('Pod', body)}" for pod, body in zip(chosen, bodies, strict=False)]
    if not mapping(live.body, "spec", "selector"):
        lines.append("it has no selector, so its addresses are kept by someone else")
    return Found(
        text="\n".join(lines),
        kind=EvidenceKind.REFERENCE,
        source=f"endpoints of {live.ref.key}",
        subject=live.ref,
        truncated=len(chosen) > MAX_OWNED,
    )


async def _above(look: Look, live: LiveObject) -> list[str]:
    lines: list[str] = []
    for _ in range(MAX_OWNERS):
        owner = controller_of(live.body)
        if owner is None:
            break
        if owner.kind not in NAMESPACED_KINDS or not is_object_name(owner.name):
            lines.append(f"- {owner.key}, of a kind that is not looked at")
            break
        try:
            live = await look.get(replace(look.scope.ref(owner.kind, owner.name), uid=owner.uid))
        except (Unseen, ResponderError) as exc:
            lines.append(f"- {owner.key} | {reason(exc)}")
            break
        lines.append(f"- {await _told(look, live)}")
    return lines


async def _below(look: Look, live: LiveObject) -> list[str]:
    lines: list[str] = []
    uids = {live.ref.uid} - {""}
    for kind in _OWNED.get(live.ref.kind, ()):
        listed, problem = await look.attempt(f"{kind} list", look.list(kind), ())
        if problem:
            return [*lines, problem]
        owned = [one for one in listed if owner_uid(one) in uids]
        lines += [f"- {await _told(look, one)}" for one in owned[:MAX_OWNED]]
        if len(owned) > MAX_OWNED:
            lines.append(f"(and {len(owned) - MAX_OWNED} more {kind})")
        uids = {one.ref.uid for one in owned}
    return lines


async def _told(look: Look, live: LiveObject) -> str:
    (body,) = await look.clean([live.body])
    owner = controller_of(live.body)
    of = f" of {owner.name}" if owner is not None else ""
    return f"{live.ref.key}{of} | {state(live.ref.kind, body)}"


def owner_uid(live: LiveObject) -> str:
    """'' where nothing controls it."""
    owner = controller_of(live.body)
    return owner.uid if owner is not None else ""


def _selected(service: LiveObject, pod: LiveObject) -> bool:
    selector = mapping(service.body, "spec", "selector")
    return bool(selector) and picks({"matchLabels": selector}, pod.labels)


def _addresses(slices: Sequence[LiveObject]) -> list[str]:
    if not slices:
        return ["no EndpointSlice (list succeeded)"]
    return [line for found in slices for line in _of_slice(found)]


def _of_slice(found: LiveObject) -> list[str]:
    ports = ", ".join(f"{text(port, 'name') or 'port'} {dig(port, 'port')}" for port in items(found.body, "ports"))
    endpoints = list(items(found.body, "endpoints"))
    lines = [f"- {_address(endpoint)}" for endpoint in endpoints[:MAX_OWNED]]
    more = [f"(and {len(endpoints) - MAX_OWNED} more addresses)"] if len(endpoints) > MAX_OWNED else []
    return [f"EndpointSlice {found.ref.name}, ports {ports or 'none'}, {len(endpoints)} addresses:", *lines, *more]


def _address(endpoint: Manifest) -> str:
    ready = "not ready" if dig(endpoint, "conditions", "ready") is False else "ready"
    target = f"{text(endpoint, 'targetRef', 'kind')}/{text(endpoint, 'targetRef', 'name')}"
    return f"{', '.join(strings(endpoint, 'addresses'))} {ready} {target}"
