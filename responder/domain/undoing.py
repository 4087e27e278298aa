"""Which applied change is in force, and whether a human may take one back. Pure.

Changes of one incident are undone newest first. What the record cannot tell is left to the executor, which looks right
before the write: whether somebody else changed the object since is known only when taking it back is tried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_never

from responder.domain.errors import IllegalTransition
from responder.domain.execution import Execution, ExecutionKind, ExecutionOutcome, VerdictKind
from responder.domain.incident import Event, State, transition
from responder.domain.views import ExecutionView, IncidentDetail


def in_force(
    done: Sequence[Execution], verdicts: Mapping[str, VerdictKind], *, reversible_only: bool
) -> Execution | None:
    """The newest applied change of one incident that no completed rollback has undone.

    One that cannot be undone (an evicted pod) does not stand in the way of the others. `done` is oldest first;
    `verdicts` has the kind of the last look at each execution that was looked at.
    """
    ended = {execution.plan_id for execution in done if _is_completed_undo(execution, verdicts)}
    for execution in reversed(done):
        wanted = bool(execution.change.inverse) or not reversible_only
        if is_applied_change(execution) and wanted and execution.plan_id not in ended:
            return execution
    return None


def keeps(execution: Execution, *, done: Sequence[Execution], verdicts: Mapping[str, VerdictKind], state: State) -> str:
    """Why `execution` cannot be taken back, as far as the record tells; '' where it can.

    `done` and `verdicts` are those of its incident, as for `in_force`; `state` is the incident's.
    """
    if not is_applied_change(execution):
        return f"{execution.id} is no applied change: {_what_it_is(execution)}"
    if not execution.change.inverse:
        return f"{execution.id} has no recorded inverse: it cannot be taken back"
    for other in done:
        if other.plan_id == execution.plan_id and _is_completed_undo(other, verdicts):
            return f"{execution.id} was taken back by {other.id}"
    newest = in_force(done, verdicts, reversible_only=True)
    if newest is None or newest.id != execution.id:
        later = f": take back {newest.id} first" if newest else ""
        return f"{execution.id} is not the newest change in force{later}"
    if state is State.ROLLING_BACK:
        return f"{execution.id} is being taken back already"
    try:
        transition(state, Event.ROLL_BACK)
    except IllegalTransition as exc:
        return str(exc)
    return ""


def kept(detail: IncidentDetail) -> Mapping[str, str]:
    """Id of each of its executions -> why it cannot be taken back, as `keeps` says it."""
    done = tuple(view.execution for view in detail.executions)
    looks = {view.execution.id: view.verifications for view in detail.executions if view.verifications}
    verdicts = {execution_id: made[-1].verdict.kind for execution_id, made in looks.items()}
    state = detail.incident.state
    return {each.id: keeps(each, done=done, verdicts=verdicts, state=state) for each in done}


def newest_undoable(detail: IncidentDetail) -> ExecutionView | None:
    """The change that can be taken back now; None where there is none."""
    why = kept(detail)
    return next((view for view in reversed(detail.executions) if not why[view.execution.id]), None)


def is_applied_change(execution: Execution) -> bool:
    return execution.kind is ExecutionKind.APPLY and execution.outcome is ExecutionOutcome.APPLIED


def _what_it_is(execution: Execution) -> str:
    match execution.outcome:
        case ExecutionOutcome.APPLIED:
            return "it took a change back itself"
        case ExecutionOutcome.PENDING:
            return "it is still being written"
        case ExecutionOutcome.NOT_APPLIED:
            return "nothing was written"
        case ExecutionOutcome.UNKNOWN:
            return "whether it was written is not known, a person has to look"
        case _:
            assert_never(execution.outcome)


def _is_completed_undo(execution: Execution, verdicts: Mapping[str, VerdictKind]) -> bool:
    applied = execution.kind is ExecutionKind.ROLLBACK and execution.outcome is ExecutionOutcome.APPLIED
    return applied and verdicts.get(execution.id, VerdictKind.PENDING) is not VerdictKind.PENDING
