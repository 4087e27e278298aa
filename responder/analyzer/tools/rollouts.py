"""The rollout history of a workload, and how two revisions of it differ."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from responder.analyzer.apart import apart
from responder.analyzer.history import revisions_of
from responder.analyzer.tools.arguments import Name, OneOf, Refused, Whole, argument
from responder.analyzer.tools.look import Found, Look, Unseen
from responder.analyzer.tools.relations import owner_uid
from responder.analyzer.tools.showing import ago, as_yaml
from responder.domain.investigation import EvidenceKind
from responder.domain.manifest import LiveObject, Manifest, mapping
from responder.domain.refs import WORKLOAD_KINDS
from responder.domain.workload import Revision, parse_pod

MAX_REVISIONS = 20
_CONTEXT_LINES = 3
_HASH = "pod-template-hash"
"""Differs between any two revisions and says nothing."""
_WORKLOAD = OneOf(values=WORKLOAD_KINDS)
_MOST_LINES = 4_000
"""Of a pod template that is compared. Anybody may write one of a hundred thousand, and each doubling of repeated lines
takes four times as long, in a thread that nothing can stop."""


@dataclass(frozen=True, kw_only=True)
class RolloutHistory:
    kind: str = argument(_WORKLOAD, "Kind of the workload")
    name: str = argument(Name(), "Its name")


@dataclass(frozen=True, kw_only=True)
class RolloutDiff:
    kind: str = argument(_WORKLOAD, "Kind of the workload")
    name: str = argument(Name(), "Its name")
    from_revision: int = argument(Whole(least=1, most=2**31), "Number of the older revision, from rollout_history")
    to_revision: int = argument(Whole(least=1, most=2**31), "Number of the newer revision")


async def rollout_history(look: Look, wanted: RolloutHistory) -> Found:
    live, revisions = await _revisions(look, wanted.kind, wanted.name)
    source = f"rollout history of {live.ref.key}"
    if not revisions:
        words = f"no revision of {live.ref.key} (list succeeded)"
        return Found(text=words, kind=EvidenceKind.ROLLOUT, source=source, subject=live.ref)
    lines = [_line(look, revision) for revision in revisions[:MAX_REVISIONS]]
    more = len(revisions) - len(lines)
    lines += [f"(and {more} older ones)"] if more else []
    head = f"{len(revisions)} revisions of {live.ref.key}, newest first:"
    return Found(
        text="\n".join([head, *lines]),
        kind=EvidenceKind.ROLLOUT,
        source=source,
        subject=live.ref,
        truncated=bool(more),
    )


async def rollout_diff(look: Look, wanted: RolloutDiff) -> Found:
    live, revisions = await _revisions(look, wanted.kind, wanted.name)
    numbers = (wanted.from_revision, wanted.to_revision)
    before, after = (_numbered(live, revisions, number) for number in numbers)
    bodies = await look.clean([_as_pod(before), _as_pod(after)])
    old, new = (f"{live.ref.key} revision {number}" for number in numbers)
    diff = await apart(partial(_diff, bodies, old, new))
    return Found(
        text=diff or f"the pod templates of revisions {numbers[0]} and {numbers[1]} are the same",
        kind=EvidenceKind.ROLLOUT,
        source=f"rollout of {live.ref.key}, revisions {numbers[0]} to {numbers[1]}",
        subject=live.ref,
        redacted=True,
    )


async def _revisions(look: Look, kind: str, name: str) -> tuple[LiveObject, tuple[Revision, ...]]:
    entries_kind = "ReplicaSet" if kind == "Deployment" else "ControllerRevision"
    live = await look.get(look.scope.ref(kind, name))
    listed, pods = await asyncio.gather(look.list(entries_kind), look.list("Pod"))
    entries = [entry for entry in listed if _controls(live, entry)]
    owners = {live.ref.uid, *(entry.ref.uid for entry in entries)}
    own = tuple(parse_pod(pod.body) for pod in pods if owner_uid(pod) in owners)
    return live, revisions_of(live, entries, own)


def _controls(live: LiveObject, entry: LiveObject) -> bool:
    return bool(live.ref.uid) and owner_uid(entry) == live.ref.uid


def _line(look: Look, revision: Revision) -> str:
    images = ", ".join(f"{one.name}={one.image}" for one in revision.template.containers)
    current = "current, " if revision.current else ""
    born = ago(revision.created_at, look.now())
    return f"- {revision.number} ({revision.ref.name}) | {current}{revision.ready} pods ready, created {born}, {images}"


def _numbered(live: LiveObject, revisions: Sequence[Revision], number: int) -> Revision:
    found = next((revision for revision in revisions if revision.number == number), None)
    if found is None:
        known = ", ".join(str(revision.number) for revision in revisions) or "none"
        raise Refused(f"{live.ref.key} has no revision {number} any more. Those that are kept: {known}")
    return found


def _as_pod(revision: Revision) -> Manifest:
    """In a form in which the redaction knows where secrets stand."""
    metadata = mapping(revision.raw_template, "metadata")
    labels = {key: value for key, value in mapping(metadata, "labels").items() if key != _HASH}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**metadata, "labels": labels},
        "spec": mapping(revision.raw_template, "spec"),
    }


def _diff(bodies: Sequence[Manifest], old: str, new: str) -> str:
    """Raises Unseen where the templates are too long to be compared."""
    before, after = (as_yaml({key: body.get(key) for key in ("metadata", "spec")}).splitlines() for body in bodies)
    if max(len(before), len(after)) > _MOST_LINES:
        lengths = f"{len(before)} and {len(after)} lines"
        raise Unseen(f"not told: the pod templates have {lengths}, and at most {_MOST_LINES} are compared")
    return "\n".join(difflib.unified_diff(before, after, old, new, n=_CONTEXT_LINES, lineterm=""))
