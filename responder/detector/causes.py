"""Which of many alerts are one problem: workloads that fail for one cause share an incident. Pure.

A cause is a key that says what workloads have in common: `image/shop/web:1.9`, `ConfigMap/shop/app`, `Node/worker-1`,
and, where nothing better is known, the name of the alert that fires for many at once, `alertname/KubePodNotReady`.
How an incident with members is opened and worked on is the pipeline's affair.

Whoever fails on purpose in one namespace must not draw another's trouble into an incident that only humans act on. So
a namespace shares what enough of its own workloads show; across namespaces only what as many namespaces show.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

from responder.domain.alert import Alert, AlertSource
from responder.domain.refs import ObjectRef, is_object_name

CAUSES_ANNOTATION = "causes"
"""Of alerts from the Kubernetes watch: cause keys, most telling first, separated by spaces."""

_NODE = "Node/"
_ALERT_NAME = "alertname/"
_KEYS_LIMIT = 16
_KEY_LENGTH_LIMIT = 400
_NAMED_LIMIT = 3
"""Workloads that a summary names; the others are counted."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """From how many distinct root objects of one namespace, or namespaces, on they share an incident; 0: never."""

    shared_cause_workloads: int = 3
    storm_workloads: int = 5


@dataclass(frozen=True, kw_only=True)
class Newcomer:
    """A root object whose alerts would open an incident now."""

    key: str
    causes: tuple[str, ...] = ()
    """Most telling first, without those of `alert_names`."""
    alert_names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What is open already."""

    alone: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    """Cause -> keys of the root objects that show it and have an incident of their own, opened within the window."""
    shared: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    """Causes of open shared incidents that take in further members at once -> the namespaces of their members."""


def assign(newcomers: Sequence[Newcomer], standing: Standing, limits: Limits) -> dict[str, str]:
    """Root key -> the cause whose shared incident it joins or opens. Who is absent gets an incident of its own."""
    chosen: dict[str, str] = {}
    if limits.shared_cause_workloads:
        agreed = _agreed([(n.key, n.causes) for n in newcomers], standing, limits.shared_cause_workloads)
        for newcomer in newcomers:
            cause = next((c for c in newcomer.causes if _is_shared(c, newcomer, agreed)), "")
            if cause:
                chosen[newcomer.key] = cause
    if limits.storm_workloads:
        left = [newcomer for newcomer in newcomers if newcomer.key not in chosen]
        chosen |= _storms(left, standing, limits.storm_workloads)
    return chosen


def causes_of(alert: Alert) -> tuple[str, ...]:
    """What the watch says about an alert of its own. Annotations of other senders say nothing about causes."""
    if alert.source is not AlertSource.KUBERNETES:
        return ()
    keys = dict.fromkeys(alert.annotations.get(CAUSES_ANNOTATION, "").split())
    return tuple(key for key in keys if is_cause(key))[:_KEYS_LIMIT]


def is_cause(key: str) -> bool:
    """Whether `key` can be the known cause of several failures. The name of an alert is none."""
    head, _, name = key.partition("/")
    if not (head and name and key.isprintable()) or len(key) > _KEY_LENGTH_LIMIT or key.startswith(_ALERT_NAME):
        return False
    return is_object_name(name) if key.startswith(_NODE) else True


def storm_cause(alert_name: str) -> str:
    return f"{_ALERT_NAME}{alert_name[:_KEY_LENGTH_LIMIT]}"


def is_storm(cause: str) -> bool:
    """Nothing but the name of the alert is common: the incident takes in members only while the storm lasts."""
    return cause.startswith(_ALERT_NAME)


def shared_key(cause: str) -> str:
    """Incident key of a cause; that of a lost node is the node's own."""
    return cause if cause.startswith(_NODE) else f"cause/{cause}"


def root_of_cause(cause: str) -> ObjectRef | None:
    """The object that answers for the cause itself; None where its first member stands for all."""
    return ObjectRef(kind="Node", name=cause.removeprefix(_NODE)) if cause.startswith(_NODE) else None


def headline(cause: str, count: int, first: Sequence[ObjectRef]) -> str:
    """One line for people: what `count` workloads have in common, with the `first` of them by name."""
    workloads = "1 workload" if count == 1 else f"{count} workloads"
    kind, _, name = cause.partition("/")
    match kind:
        case "image":
            told = f"image {name} fails in {workloads}"
        case "alertname":
            told = f"{name or 'an alert without a name'} fires for {workloads}"
        case _:
            told = f"{cause} is behind the failures of {workloads}"
    named = [ref.key for ref in first[:_NAMED_LIMIT]]
    more = f" ({count - len(named)} more)" if count > len(named) else ""
    return f"{told}: {', '.join(named)}{more}"


_Agreed: TypeAlias = Callable[[str, str], bool]
"""Cause, root key: whether the root's namespace shares the cause."""


def _is_shared(cause: str, newcomer: Newcomer, agreed: _Agreed) -> bool:
    """What a lost node took with it is the node's incident, however few; the node itself is no member of it."""
    if cause.startswith(_NODE):
        return newcomer.key != cause
    return agreed(cause, newcomer.key)


def _agreed(shown: Sequence[tuple[str, Sequence[str]]], standing: Standing, enough: int) -> _Agreed:
    """`shown`: the keys of newcomers, each with its causes."""
    seen: dict[str, set[str]] = {}
    for key, causes in shown:
        for cause in causes:
            seen.setdefault(cause, set(standing.alone.get(cause, ()))).add(key)
    counted = {cause: Counter(map(_namespace, keys)) for cause, keys in seen.items()}
    inside = {cause: standing.shared.get(cause, frozenset()) for cause in seen}
    everywhere = {cause for cause in seen if len(inside[cause] | counted[cause].keys()) >= enough}

    def agreed(cause: str, key: str) -> bool:
        namespace = _namespace(key)
        return cause in everywhere or namespace in inside[cause] or counted[cause][namespace] >= enough

    return agreed


def _storms(newcomers: Sequence[Newcomer], standing: Standing, enough: int) -> dict[str, str]:
    raging = _agreed([(n.key, [*map(storm_cause, n.alert_names)]) for n in newcomers], standing, enough)
    found = {n.key: next((c for c in map(storm_cause, n.alert_names) if raging(c, n.key)), "") for n in newcomers}
    return {key: cause for key, cause in found.items() if cause}


def _namespace(key: str) -> str:
    """Of a root's key, `Deployment/shop/web`; '' of `Node/worker-1`."""
    kind_and_place = key.split("/")
    return kind_and_place[1] if len(kind_and_place) > 2 else ""
