"""Did an applied change help? Pure: one look, what the earlier looks saw, and the time since the write.

Only positive signs count, and only when they hold: missing data, an unanswered read, time over are `unknown`, which is
not passed. A change that someone took back is not judged by its effect. What a verdict means for the incident is the
pipeline's decision; undoings are judged there too, by whether the object is as it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from responder.domain.action import DeletePod
from responder.domain.execution import Baseline, Execution, Verdict, VerdictKind, Verification
from responder.domain.investigation import Finding
from responder.domain.plan import Plan
from responder.domain.rule import VerifyPolicy
from responder.domain.snapshot import Snapshot
from responder.domain.workload import ContainerStatus, Pod
from responder.fixer.actions import handler_for
from responder.fixer.ownership import last_writer_of

_STARTING = frozenset({"", "ContainerCreating", "PodInitializing"})
"""Waiting for these is how every container begins; any other reason is an error."""


@dataclass(frozen=True, kw_only=True)
class _Look:
    plan: Plan
    execution: Execution
    snapshot: Snapshot
    findings: tuple[Finding, ...]
    has_next: bool
    answered: frozenset[str]
    alerts_firing: int
    policy: VerifyPolicy
    history: tuple[Verification, ...]
    elapsed: float
    state: Baseline

    @property
    def late(self) -> bool:
        return self.elapsed >= self.policy.within_seconds

    @property
    def settled(self) -> bool:
        return self.elapsed >= self.policy.settle_seconds


def baseline_of(snapshot: Snapshot) -> Baseline:
    """Ready and desired pods by the workload's own count; by the pods themselves where the root is no workload."""
    living = tuple(pod for pod in snapshot.pods if pod.deleted_at is None)
    workload = snapshot.workload
    return Baseline(
        ready=workload.ready if workload else sum(pod.ready for pod in living),
        desired=workload.desired if workload else len(living),
        restarts=sum(status.restarts for pod in living for status in pod.statuses),
    )


def judge(
    *,
    plan: Plan,
    execution: Execution,
    snapshot: Snapshot,
    findings: tuple[Finding, ...],
    has_next: bool,
    answered: frozenset[str],
    alerts_firing: int,
    policy: VerifyPolicy,
    history: tuple[Verification, ...],
    elapsed_seconds: float,
) -> Verdict:
    """The verdict at this look.

    `findings` are of a fresh diagnosis and `has_next` says whether it proposes something for another finding;
    `answered` holds the faults (`Finding.fault`) that this incident's changes have answered; `history` is oldest first.
    """
    look = _Look(
        plan=plan,
        execution=execution,
        snapshot=snapshot,
        findings=findings,
        has_next=has_next,
        answered=answered,
        alerts_firing=alerts_firing,
        policy=policy,
        history=tuple(sorted(history, key=lambda verification: verification.number)),
        elapsed=elapsed_seconds,
        state=baseline_of(snapshot),
    )
    return _lost(look) or _blind(look) or _reverted(look) or _settling(look) or _helped(look) or _not_helped(look)


def _lost(look: _Look) -> Verdict | None:
    """Worse than any fault: the object is gone, is another one, or asks for no pods any more."""
    target, root = look.execution.change.target, look.snapshot.root
    if look.snapshot.gone:
        return _worse(f"{root} does not exist any more")
    if target.same_name(root) and root.uid and target.uid != root.uid:
        return _worse(f"{root} was deleted and made anew")
    if look.execution.baseline.desired > 0 and look.state.desired == 0 and look.snapshot.workload is not None:
        return _worse(f"{root} is scaled to zero")
    return None


def _blind(look: _Look) -> Verdict | None:
    holes = tuple(_holes(look.snapshot))
    return _wait(look, f"not verified: {'; '.join(holes)}") if holes else None


def _holes(snapshot: Snapshot) -> Iterable[str]:
    """What a verdict needs and this look does not have."""
    if snapshot.live is None:
        yield f"{snapshot.root} was not read"
    for unchecked in snapshot.unchecked:
        if _matters(unchecked.what, snapshot):
            yield f"{unchecked.what}: {unchecked.why}"


def _matters(what: str, snapshot: Snapshot) -> bool:
    """`Pod objects of namespace shop` matters to what lives in `shop`; a log, or another namespace, does not."""
    words = what.split()
    needed = {"pod", "replicaset", "controllerrevision", snapshot.root.kind.lower()}
    if not words or words[0].lower().removesuffix("s") not in needed or {"log", "logs"} & set(words):
        return False
    return "namespace" not in words or snapshot.root.namespace in words


def _reverted(look: _Look) -> Verdict | None:
    live, change = look.snapshot.live, look.execution.change
    if live is None or handler_for(look.plan.action).in_place(look.plan.action, change, live.body):
        return None
    manager = last_writer_of(live, change)
    return Verdict(
        kind=VerdictKind.REVERTED,
        reason=f"{look.plan.action.kind} does not stand in {live.ref} any more" + (f": {manager}" if manager else ""),
        other_manager=manager,
    )


def _settling(look: _Look) -> Verdict | None:
    if look.settled:
        return None
    return _wait(look, f"{look.elapsed:.0f} s of {look.policy.settle_seconds:g} s until the first look counts")


def _helped(look: _Look) -> Verdict | None:
    problem = _problem(look)
    if problem:
        return None
    since = _healthy_since(look)
    state = f"{look.state.ready} of {look.state.desired} pods ready"
    if since is None or look.elapsed - since < look.policy.settle_seconds:
        held = look.elapsed - since if since is not None else 0.0
        return _wait(look, f"{state}, for {held:.0f} s of {look.policy.settle_seconds:g} s", healthy=True)
    if look.policy.alert_resolved and look.alerts_firing > 0:
        return _wait(look, f"{state} and steady, but {look.alerts_firing} alerts are still firing", healthy=True)
    return Verdict(kind=VerdictKind.PASSED, reason=f"{state} and steady for {look.elapsed - since:.0f} s", healthy=True)


def _healthy_since(look: _Look) -> float | None:
    """When the unbroken run of healthy looks before this one began; None where this look is the first of it."""
    since = None
    for earlier in reversed(look.history):
        if not earlier.verdict.healthy:
            break
        since = earlier.elapsed_seconds
    return since


def _problem(look: _Look) -> str:
    """Why the workload is not well at this look; '' when it is."""
    snapshot, state = look.snapshot, look.state
    pods = snapshot.current_pods
    if look.execution.change.target.uid in {pod.ref.uid for pod in snapshot.pods}:
        return f"{look.execution.change.target} is still there"
    if snapshot.workload is not None and not _rolled_out(look):
        return "the rollout is not complete"
    if not pods and state.desired > 0:
        return "no pod of the current revision was seen"
    if unready := [pod for pod in pods if not pod.ready]:
        return f"{len(unready)} pods are not ready"
    if failing := [pod for pod in pods if _failing(pod)]:
        return f"{failing[0].ref} has a container that does not run"
    if state.ready < look.execution.baseline.ready:
        return f"{state.ready} pods are ready, {look.execution.baseline.ready} were before"
    if look.history and state.restarts > look.history[-1].restarts:
        return "a container restarted since the last look"
    return ""


def _rolled_out(look: _Look) -> bool:
    workload = look.snapshot.workload
    return workload is not None and workload.rolled_out and _observed(look)


def _observed(look: _Look) -> bool:
    """The controller has seen our change: what its status says is about it."""
    workload, execution = look.snapshot.workload, look.execution
    if workload is None or isinstance(look.plan.action, DeletePod):
        return True
    return workload.observed_generation >= max(workload.generation, execution.generation_after)


def _not_helped(look: _Look) -> Verdict:
    failing = tuple(pod for pod in look.snapshot.current_pods if _failing(pod)) if _observed(look) else ()
    if _progressed(look, failing):
        shows = ", ".join(sorted(_next_faults(look)))
        return Verdict(kind=VerdictKind.PROGRESSED, reason=f"{look.plan.finding} is gone; {shows} shows now")
    if failing and _fewer_ready(look):
        ready = f"{look.state.ready} pods are ready, {look.execution.baseline.ready} were before the change"
        return _worse(f"{ready}, and {failing[0].ref} fails")
    if any(_answered_by(look, finding) for finding in look.findings) and any(_old_enough(look, p) for p in failing):
        return Verdict(kind=VerdictKind.FAILED, reason=f"{look.plan.finding} is still there after the change")
    if _deadline_exceeded(look):
        return Verdict(kind=VerdictKind.FAILED, reason="the rollout exceeded its progress deadline")
    return _wait(look, _problem(look))


def _progressed(look: _Look, failing: tuple[Pod, ...]) -> bool:
    """The fault that was answered no longer shows and another one does: a fix of one layer, not of the whole."""
    if not look.has_next or not _observed(look) or not look.snapshot.current_pods:
        return False
    if any(_answered_by(look, finding) for finding in look.findings) or not _next_faults(look):
        return False
    # A container that is merely slow to become ready looks like a probe fault at first.
    certain = bool(failing) or look.elapsed >= 2 * look.policy.settle_seconds
    return certain and look.state.ready >= look.execution.baseline.ready


def _next_faults(look: _Look) -> frozenset[str]:
    known = look.answered | {look.plan.finding}
    return frozenset(f.fault for f in look.findings if f.fixable and f.fault not in known)


def _answered_by(look: _Look, finding: Finding) -> bool:
    container = getattr(look.plan.action, "container", "")
    same_place = not container or not finding.container or finding.container == container
    return finding.fault == look.plan.finding and same_place


def _fewer_ready(look: _Look) -> bool:
    """Fewer pods ready than before the change, at every look for longer than the settle time."""
    floor = look.execution.baseline.ready
    if look.state.ready >= floor:
        return False
    for earlier in reversed(look.history):
        if earlier.ready >= floor:
            return False
        if look.elapsed - earlier.elapsed_seconds >= look.policy.settle_seconds:
            return True
    return False


def _old_enough(look: _Look, pod: Pod) -> bool:
    if pod.created_at is None:
        return False
    return (look.snapshot.taken_at - pod.created_at).total_seconds() >= look.policy.settle_seconds


def _deadline_exceeded(look: _Look) -> bool:
    workload = look.snapshot.workload
    progressing = workload.condition("Progressing") if workload else None
    if progressing is None or progressing.reason != "ProgressDeadlineExceeded" or not _observed(look):
        return False
    # The rollout before ours may have left the condition behind.
    return progressing.at is not None and progressing.at >= look.execution.intent_at


def _failing(pod: Pod) -> bool:
    return any(_status_failing(status) for status in pod.statuses)


def _status_failing(status: ContainerStatus) -> bool:
    if status.waiting_reason not in _STARTING:
        return True
    return status.terminated is not None and status.terminated.exit_code != 0


def _wait(look: _Look, reason: str, *, healthy: bool = False) -> Verdict:
    """Look again; or, when the time is over, what has not been verified is not verified."""
    if look.late:
        return Verdict(
            kind=VerdictKind.UNKNOWN,
            reason=f"not verified within {look.policy.within_seconds:g} s: {reason}",
            healthy=healthy,
        )
    return Verdict(kind=VerdictKind.PENDING, reason=reason, healthy=healthy)


def _worse(reason: str) -> Verdict:
    return Verdict(kind=VerdictKind.FAILED, reason=reason, regression=True)
