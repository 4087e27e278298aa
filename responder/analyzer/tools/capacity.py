"""What the namespace may use, and what its pods use now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from responder.analyzer.tools.arguments import Name, argument
from responder.analyzer.tools.look import Found, Look, Unseen
from responder.analyzer.tools.showing import as_yaml
from responder.domain.errors import ObjectGone
from responder.domain.investigation import EvidenceKind
from responder.domain.manifest import LiveObject, Manifest, items, mapping, text
from responder.domain.workload import Container, parse_pod

MAX_TOLD = 100


@dataclass(frozen=True, kw_only=True)
class Quota:
    pass


@dataclass(frozen=True, kw_only=True)
class Top:
    pod: str = argument(Name(), "Only this pod", default="")


async def quota(look: Look, _: Quota) -> Found:
    home = look.scope.home()
    listed = await asyncio.gather(look.list("ResourceQuota"), look.list("LimitRange"))
    bodies = await asyncio.gather(*(look.clean([live.body for live in some]) for some in listed))
    lines = [
        *(
            [line for body in bodies[0] for line in _quota(body)]
            or [f"no ResourceQuota in namespace {home} (list succeeded)"]
        ),
        *(
            [line for body in bodies[1] for line in _range(body)]
            or [f"no LimitRange in namespace {home} (list succeeded)"]
        ),
    ]
    return Found(text="\n".join(lines), kind=EvidenceKind.POLICY, source=f"quota of namespace {home}")


async def top(look: Look, wanted: Top) -> Found:
    home = look.scope.home()
    measured = await _measured(look, wanted.pod)
    pods, problem = await look.attempt("requests and limits", _pods(look, wanted.pod), ())
    bounds = {
        (pod.ref.name, container.name): container
        for pod in (parse_pod(live.body) for live in pods)
        for container in pod.template.containers
    }
    lines = [
        _usage(live.ref.name, container, bounds.get((live.ref.name, text(container, "name"))))
        for live in measured
        for container in items(live.body, "containers")
    ]
    if not lines:
        lines = [f"no pod of namespace {home} was measured yet (list succeeded)"]
    more = [f"(and {len(lines) - MAX_TOLD} more containers: name a pod)"] if len(lines) > MAX_TOLD else []
    return Found(
        text="\n".join([*lines[:MAX_TOLD], *more, *([problem] if problem else [])]),
        kind=EvidenceKind.METRIC,
        source=f"PodMetrics of {f'Pod/{home}/{wanted.pod}' if wanted.pod else f'namespace {home}'}",
        truncated=bool(more),
    )


async def _measured(look: Look, pod: str) -> Sequence[LiveObject]:
    if not pod:
        return await look.list("PodMetrics")
    ref = look.scope.ref("Pod", pod)
    every = await look.list("PodMetrics")  # one that is missing is told from an add-on that is missing
    found = [live for live in every if live.ref.name == ref.name]
    if not found:
        raise Unseen(f"not known: metrics.k8s.io has no measurement of {ref.key}: it is new, not running, or not there")
    return found


async def _pods(look: Look, pod: str) -> Sequence[LiveObject]:
    if not pod:
        return await look.list("Pod")
    try:
        return (await look.cluster.get(look.scope.ref("Pod", pod)),)
    except ObjectGone:
        return ()


def _usage(pod: str, measured: Manifest, bounds: Container | None) -> str:
    usage = mapping(measured, "usage")
    told = []
    for resource in ("cpu", "memory"):
        request = getattr(bounds, f"{resource}_request", "") or "none"
        limit = getattr(bounds, f"{resource}_limit", "") or "none"
        told.append(f"{resource} {text(usage, resource) or 'unknown'} (request {request}, limit {limit})")
    return f"- {pod} container {text(measured, 'name')} | {', '.join(told)}"


def _quota(body: Manifest) -> Iterator[str]:
    yield f"ResourceQuota {text(body, 'metadata', 'name')}, used of hard:"
    used = mapping(body, "status", "used")
    for resource, hard in (mapping(body, "status", "hard") or mapping(body, "spec", "hard")).items():
        yield f"- {resource} | {used.get(resource, 'unknown')} of {hard}"
    if scopes := mapping(body, "spec").get("scopes"):
        yield f"  only for {scopes}"


def _range(body: Manifest) -> Iterator[str]:
    yield f"LimitRange {text(body, 'metadata', 'name')}:"
    yield as_yaml(list(items(body, "spec", "limits"))).rstrip()
