"""Going back to the revision before: when that is the answer, whatever the fault.

Only to a revision that serves right now or did until it was replaced, only while nothing of the current revision is
well, and only where the two differ in more than their metadata: a restart of the same spec is not what broke it, so
taking it back mends nothing.
"""

from __future__ import annotations

from responder.analyzer.heuristics.case import Case, Remedy, standing
from responder.analyzer.heuristics.evidence import of_revision
from responder.domain.action import UndoRollout


def undo(case: Case) -> Remedy | None:
    workload, current, before = case.snapshot.workload, case.current, case.ready_before
    if case.target is None or workload is None or current is None or before is None or workload.paused:
        return None
    if _serves(case) or not case.changed_since(before):
        return None
    return Remedy(
        action=UndoRollout(target=case.target, to_revision=before.number),
        reason=f"the fault came with revision {current.number}, of which no pod is well; revision {before.number} "
        + (f"is ready now ({before.ready} pods)" if before.ready else standing(before)),
        exhibits=(of_revision(current), of_revision(before)),
    )


def _serves(case: Case) -> bool:
    """A pod of the current revision is ready and none of its containers has ended a moment ago."""
    unwell = {trouble.pod.ref for trouble in case.troubles}
    return any(pod.ready and pod.ref not in unwell for pod in case.pods)
