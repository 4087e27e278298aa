"""What became of a write whose answer is not on record: the object is read, and nothing is sent.

A write carries the resourceVersion that it was made for, so an object tells three things. Our mark: the write took
effect. Another version without our mark: it did not, and it cannot any more. The version of before: it has not yet; it
may still wait in the server, behind an admission webhook say, so the answer stays open until the server must have given
it up. The time for that is kube-apiserver's `--request-timeout`, 60 s by default:
https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from responder.cluster.protocol import Cluster
from responder.domain.errors import Forbidden, ObjectGone
from responder.domain.execution import Execution, ExecutionOutcome
from responder.domain.manifest import EXECUTION_ANNOTATION, LiveObject, base_hash, text
from responder.domain.plan import Verb

LATE_WRITE_SECONDS = 60.0


async def recover(cluster: Cluster, execution: Execution, *, now: datetime, late_write_seconds: float) -> Execution:
    """The execution with its outcome; still pending where the write may yet take effect: then ask again.

    `late_write_seconds` are counted from the intent. The caller stores the result.

    Raises:
        ClusterUnavailable: the object cannot be read now; ask again.
    """
    try:
        live = await cluster.get(execution.change.target)
    except ObjectGone as exc:
        return settled(execution, ExecutionOutcome.UNKNOWN, f"the object is not there any more: {exc}")
    except Forbidden as exc:
        return settled(execution, ExecutionOutcome.UNKNOWN, f"the object may not be read: {exc}")
    late = (now - execution.intent_at).total_seconds() >= late_write_seconds
    if execution.change.verb is Verb.EVICT:
        return _eviction(execution, live, late=late)
    if live.annotations.get(EXECUTION_ANNOTATION) == execution.id:
        found = applied(execution, live, "the object carries this execution's mark")
        # What we wrote is known from the dry run; what stands there now may be someone else's on top of it.
        return replace(found, base_hash_after=execution.base_hash_after or found.base_hash_after)
    return _unmarked(execution, live, late=late)


def applied(execution: Execution, answer: LiveObject, detail: str) -> Execution:
    """`answer` is the object after the write."""
    evicted = execution.change.verb is Verb.EVICT
    return replace(
        execution,
        outcome=ExecutionOutcome.APPLIED,
        detail=detail,
        resource_version_after=answer.resource_version,
        generation_after=answer.generation,
        base_hash_after="" if evicted else base_hash(answer.body),
    )


def settled(execution: Execution, outcome: ExecutionOutcome, detail: str) -> Execution:
    return replace(execution, outcome=outcome, detail=detail)


def _unmarked(execution: Execution, live: LiveObject, *, late: bool) -> Execution:
    if live.resource_version == execution.change.resource_version:
        return _untouched(execution, "the object is as it was before the write", late=late)
    if base_hash(live.body) == execution.change.base_hash:
        detail = "the object has another version without our mark, so the write can take no effect any more"
        return settled(execution, ExecutionOutcome.NOT_APPLIED, detail)
    # A generation never goes back: the one that our write would have made has not been reached.
    if live.generation < execution.generation_after:
        detail = "the object changed, but has never had the generation that the write would have made"
        return settled(execution, ExecutionOutcome.NOT_APPLIED, detail)
    # Either it came before our write and kept it out, or it came after and replaced the object, our mark included.
    return settled(execution, ExecutionOutcome.UNKNOWN, "the object changed, and not by a write with our mark")


def _eviction(execution: Execution, live: LiveObject, *, late: bool) -> Execution:
    if text(live.body, "metadata", "deletionTimestamp"):
        return settled(execution, ExecutionOutcome.UNKNOWN, "the pod is being deleted; by whom is not on record")
    if live.resource_version == execution.change.resource_version:
        return _untouched(execution, "the pod is there and is not being deleted", late=late)
    detail = "the pod is there at another version, so the eviction can take no effect any more"
    return settled(execution, ExecutionOutcome.NOT_APPLIED, detail)


def _untouched(execution: Execution, detail: str, *, late: bool) -> Execution:
    if late:
        return settled(execution, ExecutionOutcome.NOT_APPLIED, detail)
    return settled(execution, ExecutionOutcome.PENDING, f"{detail}, but it may still take effect")
