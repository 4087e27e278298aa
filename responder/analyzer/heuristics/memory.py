"""Containers that the kernel killed for memory: the limit, and how far it may be raised.

Only `OOMKilled` counts. Exit code 137 alone is any SIGKILL: a failed liveness probe, an eviction, a lost node.
https://kubernetes.io/docs/tasks/configure-pod-container/assign-memory-resource/#exceed-a-container-s-memory-limit
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from responder.analyzer.heuristics.case import Case, Claim, Remedy, Step, Trouble
from responder.analyzer.heuristics.evidence import of_revision
from responder.domain.action import SetResources
from responder.domain.workload import Revision

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(Ki|Mi|Gi|Ti|k|M|G|T|m|)\Z")
_FACTORS = {
    "": 1.0,
    "m": 0.001,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
}
_STEP = 2
_MOST_TIMES = 4
_MOST_BYTES = 4 * 2**30


def detect(case: Case) -> Iterator[Claim]:
    for trouble in case.troubles:
        if trouble.crashed and trouble.ended is not None and trouble.ended.reason == "OOMKilled":
            yield _claim(case, trouble)


def bytes_of(quantity: str) -> int:
    """Bytes of a Kubernetes quantity; 0 where there is none or it cannot be read."""
    found = _QUANTITY.match(quantity)
    return int(float(found[1]) * _FACTORS[found[2]]) if found else 0


def quantity_of(size: int, like: str) -> str:
    """A quantity in the unit family of `like`: whole Mi, else whole M, else bytes."""
    for unit, factor in (("Gi", 2**30), ("Mi", 2**20)) if like.endswith("i") else (("G", 10**9), ("M", 10**6)):
        if size % factor == 0 and size >= factor:
            return f"{size // factor}{unit}"
    return f"{-(-size // 2**20)}Mi" if like.endswith("i") else str(size)


def _claim(case: Case, trouble: Trouble) -> Claim:
    limit = trouble.container.memory_limit
    remedies, why_not = _remedies(case, trouble) if bytes_of(limit) else ((), "it has no limit of its own")
    held = f"of {limit}" if limit else "of the node"
    return Claim(
        signature="memory.oom_killed",
        stage=trouble.stage,
        index=trouble.index,
        step=Step.RUN,
        subject=case.root,
        container=trouble.container.name,
        about=limit,  # each step of a raise answers a fault of its own: the next one is no failure of the last
        cause=f"the kernel killed the container because it needs more memory than its limit {held}"
        + (f"; {why_not}" if why_not else ""),
        confidence=0.93 if trouble.status.restarts > 1 or not trouble.running else 0.8,
        exhibits=case.exhibits_of(trouble),
        remedies=remedies,
    )


def _remedies(case: Case, trouble: Trouble) -> tuple[tuple[Remedy, ...], str]:
    if case.target is None:
        return (), ""
    name, limit = trouble.container.name, trouble.container.memory_limit
    larger = _larger_before(case, trouble)
    if larger is not None:
        before = larger.template.container(name)
        value = before.memory_limit if before is not None else ""
        action = SetResources(target=case.target, container=name, memory_limit=value)
        why = f"revision {larger.number} of the same workload had this limit"
        return (Remedy(action=action, reason=why, exhibits=(of_revision(larger),)),), ""
    value, why = _next_step(case, trouble)
    if not value:
        return (), why
    action = SetResources(target=case.target, container=name, memory_limit=value)
    reason = f"one step up from {limit}; {why}"
    return (Remedy(action=action, reason=reason),), ""


def _larger_before(case: Case, trouble: Trouble) -> Revision | None:
    """The newest earlier revision that gave this container more."""
    mine = bytes_of(trouble.container.memory_limit)
    for revision in case.earlier:
        before = revision.template.container(trouble.container.name)
        if before is not None and mine < bytes_of(before.memory_limit) <= 4 * _MOST_BYTES:
            return revision
    return None


def _next_step(case: Case, trouble: Trouble) -> tuple[str, str]:
    """Twice the limit, but never over four times the smallest limit of its history, and never over 4Gi.

    The history counts, because each step makes a new revision and so the steps would have no end.
    """
    limit = trouble.container.memory_limit
    mine = bytes_of(limit)
    history = [
        container.memory_limit
        for r in case.earlier
        for container in r.template.containers
        if container.name == trouble.container.name
    ]
    smallest = min([mine, *(size for size in map(bytes_of, history) if size)])
    most = min(_MOST_TIMES * smallest, _MOST_BYTES)
    proposed = min(_STEP * mine, most)
    if proposed <= mine:
        return "", "it stands at the most that is raised without a human: look for a leak or size it by hand"
    return quantity_of(proposed, limit), f"at most {quantity_of(most, limit)} without a human"
