"""What `kubectl describe` would tell of an object: status, conditions, containers, and the events about it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from responder.analyzer.apart import apart
from responder.analyzer.tools.arguments import Name, OneOf, Whole, argument
from responder.analyzer.tools.look import Found, Look
from responder.analyzer.tools.objects import read
from responder.analyzer.tools.scope import ANY_KIND, NAMESPACED_KINDS
from responder.analyzer.tools.showing import ago, as_yaml, line
from responder.analyzer.tools.states import container_state, pairs, state
from responder.domain.investigation import EvidenceKind
from responder.domain.manifest import LiveObject, Manifest, controller_of, instant, items, mapping, text
from responder.domain.refs import ObjectRef
from responder.domain.workload import (
    Container,
    ContainerStatus,
    EventRecord,
    Pod,
    PodTemplate,
    Probe,
    Terminated,
    parse_event,
    parse_pod,
    parse_template,
)

MAX_OWN_EVENTS = 20
_LONGEST = 4_000
"""Characters of a line about a container: of its environment, for one."""
_EPOCH = datetime.min.replace(tzinfo=UTC)
_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
_TOLD_OR_LONG = frozenset({"conditions", "images"})
_TYPES = OneOf(values=("Warning", "Normal"))


@dataclass(frozen=True, kw_only=True)
class Describe:
    kind: str = argument(ANY_KIND, "Kind of the object")
    name: str = argument(Name(), "Its name")


@dataclass(frozen=True, kw_only=True)
class Events:
    kind: str = argument(OneOf(values=NAMESPACED_KINDS), "Only events about objects of this kind", default="")
    name: str = argument(Name(), "Only events about objects of this name", default="")
    type: str = argument(_TYPES, "Only events of this type", default="")
    limit: int = argument(Whole(least=1, most=100), "At most so many, the newest, count", default=40)


async def describe(look: Look, wanted: Describe) -> Found:
    live = await read(look, wanted.kind, wanted.name)
    (body,), (told, problem) = await asyncio.gather(look.clean([live.body]), _events_about(look, live.ref))
    lines = [*await apart(lambda: list(_description(live, body, look.now()))), "events:", *told]
    if problem:
        lines.append(problem)
    elif not told:
        lines.append("none about it (list succeeded)")
    return Found(text="\n".join(lines), kind=EvidenceKind.STATUS, source=live.ref.key, subject=live.ref)


async def events(look: Look, wanted: Events) -> Found:
    listed = await look.list("Event", field_selector=_about(wanted))
    kept = [one for one in listed if not wanted.type or text(one.body, "type") == wanted.type]
    home = look.scope.home()
    which = "".join(f" {word}" for word in (wanted.type, wanted.kind, wanted.name) if word)
    source = f"Event list of namespace {home}{which}"
    if not kept:
        return Found(
            text=f"no event{which} in namespace {home} (list succeeded)", kind=EvidenceKind.EVENT, source=source
        )
    lines = await _told(look, kept, wanted.limit)
    more = len(kept) - len(lines)
    head = f"{len(kept)} events in namespace {home}{which}, newest first:"
    tail = [f"(and {more} older ones: narrow it, or raise limit)"] if more else []
    return Found(text="\n".join([head, *lines, *tail]), kind=EvidenceKind.EVENT, source=source, truncated=bool(more))


def _about(wanted: Events) -> str:
    """In the API server's own words: https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/"""
    terms = {"involvedObject.kind": wanted.kind, "involvedObject.name": wanted.name}
    return ",".join(f"{field}={value}" for field, value in terms.items() if value)


async def _events_about(look: Look, ref: ObjectRef) -> tuple[Sequence[str], str]:
    """Lines, and why there are none where they could not be read."""
    if not ref.namespace:
        return (), "not looked at: events about cluster objects are kept in another namespace"
    listing = look.list("Event", field_selector=_about(Events(kind=ref.kind, name=ref.name)))
    listed, problem = await look.attempt("events", listing, ())
    own = [one for one in listed if text(one.body, "involvedObject", "uid") in ("", ref.uid)]
    return await _told(look, own, MAX_OWN_EVENTS), problem


async def _told(look: Look, listed: Sequence[LiveObject], limit: int) -> list[str]:
    newest = sorted(listed, key=lambda one: parse_event(one.body).last_at or _EPOCH, reverse=True)[:limit]
    bodies = await look.clean([one.body for one in newest])
    return [_event(parse_event(body), look.now()) for body in bodies]


def _event(event: EventRecord, now: datetime) -> str:
    times = f" x{event.count} since {ago(event.first_at, now)}" if event.count > 1 else ""
    by = f" ({event.component})" if event.component else ""
    subject = f"{event.subject.kind}/{event.subject.name}"
    return f"- {ago(event.last_at, now)}{times}: {event.type} {event.reason} {subject}{by} | {line(event.message)}"


def _description(live: LiveObject, body: Manifest, now: datetime) -> Iterator[str]:
    yield live.ref.key
    yield f"created {ago(instant(body, 'metadata', 'creationTimestamp'), now)}"
    deleted = instant(body, "metadata", "deletionTimestamp")
    if deleted is not None:
        waits = ", ".join(str(name) for name in mapping(body, "metadata").get("finalizers") or ())
        yield f"being deleted since {ago(deleted, now)}{f', held by finalizers {waits}' if waits else ''}"
    yield f"labels {pairs(mapping(body, 'metadata', 'labels')) or 'none'}"
    if (owner := controller_of(body)) is not None:
        yield f"controlled by {owner.key}"
    if told := state(live.ref.kind, body):
        yield f"state {told}"
    yield from _conditions(body, now)
    template = _template(live.ref.kind, body)
    if template is not None:
        yield from _containers(template, parse_pod(body) if live.ref.kind == "Pod" else None, now)
        return
    for section in ("spec", "status"):
        rest = {key: value for key, value in mapping(body, section).items() if key not in _TOLD_OR_LONG}
        if rest:
            yield f"{section}:\n{as_yaml(rest)}".rstrip()


def _template(kind: str, body: Manifest) -> PodTemplate | None:
    if kind == "Pod":
        return parse_pod(body).template
    return parse_template(mapping(body, *_TEMPLATES[kind])) if kind in _TEMPLATES else None


def _conditions(body: Manifest, now: datetime) -> Iterator[str]:
    conditions = list(items(body, "status", "conditions"))
    if conditions:
        yield "conditions:"
    for one in conditions:
        at = ago(instant(one, "lastTransitionTime"), now)
        why = f" {text(one, 'reason')} | {line(text(one, 'message'))}".rstrip("| ")
        yield f"- {text(one, 'type')} {text(one, 'status')} since {at}{why}"


def _containers(template: PodTemplate, pod: Pod | None, now: datetime) -> Iterator[str]:
    yield "containers:"
    for container in template.containers:
        yield f"- {container.name}{' (init)' if container.init else ''}, image {container.image}"
        status = pod.status(container.name) if pod is not None else None
        states = _status(status, now) if status is not None else ()
        yield from (f"  {line(told, _LONGEST)}" for told in (*states, *_spec(container)))
    if template.volumes:
        yield "volumes " + ", ".join(f"{name} from {source}" for name, source in template.volumes.items())


def _status(status: ContainerStatus, now: datetime) -> Iterator[str]:
    ready = "ready" if status.ready else "not ready"
    yield f"{container_state(status)}, {ready}, {status.restarts} restarts"
    for when, ended in (("ended", status.terminated), ("before that", status.last_terminated)):
        if ended is not None:
            yield f"{when}: {_ended(ended, now)}"


def _ended(ended: Terminated, now: datetime) -> str:
    said = f" | {line(ended.message)}" if ended.message else ""
    return f"{ended.reason or 'terminated'}, exit code {ended.exit_code}, {ago(ended.finished_at, now)}{said}"


def _spec(container: Container) -> Iterator[str]:
    if container.command or container.args:
        yield f"command {line(' '.join((*container.command, *container.args)))}"
    limits = (
        ("cpu", container.cpu_request, container.cpu_limit),
        ("memory", container.memory_request, container.memory_limit),
    )
    yield ", ".join(f"{name} request {low or 'none'} limit {high or 'none'}" for name, low, high in limits)
    if container.ports:
        yield "ports " + ", ".join(f"{port}{f' ({name})' if name else ''}" for port, name in container.ports.items())
    yield from map(_probe, container.probes)
    if container.env:
        yield "env " + ", ".join(_variable(container, name, value) for name, value in container.env.items())
    for reference in container.references:
        if reference.place == "envFrom":
            yield f"envFrom {reference.kind.value}/{reference.name}{' (optional)' if reference.optional else ''}"
    if container.mounts:
        yield "mounts " + ", ".join(f"{path} from {volume}" for path, volume in container.mounts.items())


def _probe(probe: Probe) -> str:
    executed = probe.mechanism == "exec"
    where = " ".join(probe.command) if executed else f"{probe.path} port {probe.port or probe.port_name}"
    often = f"every {probe.period_seconds} s after {probe.initial_delay_seconds} s, {probe.failure_threshold} failures"
    return f"{probe.kind.value} {probe.mechanism} {line(where, 200)}, {often}"


def _variable(container: Container, name: str, value: str | None) -> str:
    if value is not None:
        return f"{name}={line(value, 100)}"
    source = next((one for one in container.references if one.place == f"env {name}"), None)
    if source is None:
        return f"{name} from a field"
    optional = " (optional)" if source.optional else ""
    return f"{name} from {source.kind.value}/{source.name} key {source.key}{optional}"
