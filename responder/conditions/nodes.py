"""What a Node says about itself, and whether a cordon is worth a word.

Condition types that are not listed here belong to add-ons (`EtcdIsVoter`, node-problem-detector), whose `True` may mean
either; they are passed over. A pressure that is Unknown says only that the kubelet is silent, which Ready says already.
Fields: https://kubernetes.io/docs/reference/node/node-status/#condition
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from responder.conditions.model import Condition, Severity, Surroundings
from responder.conditions.statusconditions import sentence, status_condition
from responder.domain.manifest import Manifest, flag, ref_of, text

NAMES: Mapping[str, str] = {
    "CordonedWithPendingPods": "A node is cordoned while pods wait for a node",
    "NodeNetworkUnavailable": "A node's network is not set up",
    "NodeNotReady": "A node is not ready, or its kubelet has stopped reporting",
    "NodePressure": "A node runs short of memory, disk or process ids",
}

NOT_READY_SECONDS = 45.0
PRESSURE_SECONDS = 60.0
NETWORK_SECONDS = 300.0
CORDONED_SECONDS = 300.0

_PRESSURES = {"MemoryPressure": "memory", "DiskPressure": "disk", "PIDPressure": "process ids"}


def conditions(body: Manifest, around: Surroundings) -> tuple[Condition, ...]:
    if text(body, "kind") != "Node":
        return ()
    return (*_not_ready(body), *_pressure(body), *_network(body), *_cordoned(body, around))


def _not_ready(body: Manifest) -> Iterator[Condition]:
    ready = status_condition(body, "Ready")
    # Without the condition nobody has spoken for the node yet: its kubelet or the node controller will.
    if not ready.status or ready.holds:
        return
    fact = "is not ready" if ready.denied else "has stopped reporting"
    yield Condition(
        name="NodeNotReady",
        about=ref_of(body),
        severity=Severity.CRITICAL,
        summary=sentence(f"{_title(body)} {fact}", ready.words),
        since=ready.since,
        age_seconds=NOT_READY_SECONDS,
        causes=(ref_of(body).key,),
    )


def _pressure(body: Manifest) -> Iterator[Condition]:
    found = {word: status_condition(body, kind) for kind, word in _PRESSURES.items()}
    pressing = {word: condition for word, condition in found.items() if condition.holds}
    if not pressing:
        return
    yield Condition(
        name="NodePressure",
        about=ref_of(body),
        summary=sentence(
            f"{_title(body)} runs short of {' and '.join(pressing)}", *(each.words for each in pressing.values())
        ),
        since=min((each.since for each in pressing.values() if each.since is not None), default=None),
        age_seconds=PRESSURE_SECONDS,
        causes=(ref_of(body).key,),
    )


def _network(body: Manifest) -> Iterator[Condition]:
    network = status_condition(body, "NetworkUnavailable")
    if not network.holds:
        return
    yield Condition(
        name="NodeNetworkUnavailable",
        about=ref_of(body),
        summary=sentence(f"The network of {_title(body)} is not set up", network.words),
        since=network.since,
        age_seconds=NETWORK_SECONDS,
        causes=(ref_of(body).key,),
    )


def _cordoned(body: Manifest, around: Surroundings) -> Iterator[Condition]:
    waiting = around.unschedulable_pods or 0
    if not flag(body, "spec", "unschedulable") or waiting <= 0:
        return
    yield Condition(
        name="CordonedWithPendingPods",
        about=ref_of(body),
        summary=f"{_title(body)} is cordoned while pods wait for a node ({waiting})",
        age_seconds=CORDONED_SECONDS,
        causes=(ref_of(body).key,),
    )


def _title(body: Manifest) -> str:
    return f"Node {text(body, 'metadata', 'name')}"
