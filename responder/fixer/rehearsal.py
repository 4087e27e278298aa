"""A change tried on the server before it is shown or made: read, compute, dry run. Nothing is written.

Both reading and dry run may be repeated, so a status report in between is waited out; a change of what anyone decided
about the object is not: `compute` sees the object afresh each time and raises.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from responder.cluster.protocol import Cluster
from responder.domain.errors import ObjectGone, PlanInvalid, PlanStale
from responder.domain.manifest import LiveObject, base_hash
from responder.domain.plan import Change, Verb
from responder.domain.refs import ObjectRef
from responder.fixer.actions.delete_pod import controller_ref
from responder.fixer.diff import render_diff, render_eviction

_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)  # seconds; a rollout sends a flurry of status reports in its first second


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """The change at the object's present version, and what the server would make of it."""

    change: Change
    live: LiveObject
    answer: LiveObject

    @property
    def hash_after(self) -> str:
        """`base_hash` of the object after the write: the real one, at the same version, gives the same."""
        return "" if self.change.verb is Verb.EVICT else base_hash(self.answer.body)

    def diff(self) -> str:
        """What people are shown. Raises PlanInvalid where the server's answer differs in nothing."""
        if self.change.verb is Verb.EVICT:
            return render_eviction(self.live.ref, controller=controller_ref(self.live))
        diff = render_diff(self.live.body, self.answer.body, self.live.ref)
        if not diff:
            raise PlanInvalid(f"the API server would change nothing about {self.live.ref}")
        return diff


async def rehearse(
    cluster: Cluster, target: ObjectRef, compute: Callable[[LiveObject], Change], *, execution_id: str
) -> Rehearsal:
    """
    Raises:
        ObjectGone: the object is not there, or another one has its name.
        PlanStale: the object did not stand still, or `compute` says so.
        PlanInvalid, FieldConflict, Forbidden, ClusterUnavailable: as the cluster says.
    """
    pauses = iter(_PAUSES)
    while True:
        live = await cluster.get(target)
        if not target.uid or live.ref.uid != target.uid:
            raise ObjectGone(f"{target} is another object by now")
        change = compute(live)
        try:
            answer = await cluster.apply(change, execution_id=execution_id, dry_run=True)
            return Rehearsal(change=change, live=live, answer=answer)
        except PlanStale:
            pause = next(pauses, None)
            if pause is None:
                raise
            await asyncio.sleep(pause)
