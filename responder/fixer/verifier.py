"""Did an applied change help? Pure: one look, what the earlier looks saw, and the time since the write.

Only positive signs count, and only when they hold: missing data, an unanswered read, time over are `unknown`, which is
not passed. A change that someone took back is not judged by its effect. An undo is judged by whether the object is as
it was and serves as it did. What a verdict means for the incident is the pipeline's decision.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from responder.domain.action import DeletePod, SetResources
from responder.domain.execution import Baseline, Execution, Verdict, VerdictKind, Verification
from responder.domain.investigation import MODEL_PREFIX, Finding
from responder.domain.manifest import base_hash, dig
from responder.domain.plan import Plan
from responder.domain.rule import VerifyPolicy
from responder.domain.snapshot import Snapshot
from responder.domain.workload import ContainerStatus, Pod
from responder.fixer.actions import handler_for
from responder.fixer.ownership import last_other_writer, last_writer_of

_STARTING = frozenset({"", "ContainerCreating", "PodInitializing"})
"""Waiting for these is how every container begins; any other reason is an error."""

_CRASH_FORGOTTEN = timedelta(minutes=10)
"""After so long without another crash the kubelet takes a container for a running one.
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy"""


@dataclass(frozen=True, kw_only=True)
class _Wait:
    """How long looks have gone on, and how long they may."""

    policy: VerifyPolicy
    history: tuple[Verification, ...]
    elapsed: float

    def more(self, reason: str, *, healthy: bool = False) -> Verdict:
        """Look again; or, when the time is over, what has not been verified is not verified."""
        within = self.policy.within_seconds
        if self.elapsed >= within:
            over = f"not verified within {within:g} s: {reason}"
            return Verdict(kind=VerdictKind.UNKNOWN, reason=over, healthy=healthy)
        return Verdict(kind=VerdictKind.PENDING, reason=reason, healthy=healthy)

    def until_held(self, state: str) -> Verdict:
        """All is well at this look: passed once it has been so for the settle time without a break."""
        since, settle = self._healthy_since(), self.policy.settle_seconds
        held = self.elapsed - since if since is not None else 0.0
        if since is None or held < settle:
            return self.more(f"{state}, for {held:.0f} s of {settle:g} s", healthy=True)
        return Verdict(kind=VerdictKind.PASSED, reason=f"{state} and steady for {held:.0f} s", healthy=True)

    def _healthy_since(self) -> float | None:
        """When the unbroken run of healthy looks before this one began; None where this look is the first of it."""
        since = None
        for earlier in sorted(self.history, key=lambda verification: verification.number, reverse=True):
            if not earlier.verdict.healthy:
                break
            since = earlier.elapsed_seconds
        return since


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
    def floor(self) -> int:
        return _floor(self.snapshot, self.execution.baseline, self.state)

    @property
    def wait(self) -> _Wait:
        return _Wait(policy=self.policy, history=self.history, elapsed=self.elapsed)

    @property
    def settled(self) -> bool:
        return self.elapsed >= self.policy.settle_seconds


def baseline_of(snapshot: Snapshot) -> Baseline:
    """Ready and desired pods by the workload's own count; where the root is no workload, by its `spec.replicas` or, for
    want of these, by the pods themselves.
    """
    living = tuple(pod for pod in snapshot.pods if pod.deleted_at is None)
    workload, asked = snapshot.workload, _asked_for(snapshot)
    return Baseline(
        ready=workload.ready if workload else sum(pod.ready for pod in living),
        desired=len(living) if asked is None else asked,
        restarts=sum(status.restarts for pod in living for status in pod.statuses),
    )


def baseline_before(snapshot: Snapshot) -> Baseline:
    """What a change must not make worse. A pod that crashes over and over is ready for moments, and nothing is lost
    with it: it does not count as ready."""
    state = baseline_of(snapshot)
    flapping = sum(pod.ready and _crashes(pod, snapshot.taken_at) for pod in snapshot.pods if pod.deleted_at is None)
    return replace(state, ready=max(state.ready - flapping, 0))


def _crashes(pod: Pod, now: datetime) -> bool:
    ends = [status.last_terminated for status in pod.statuses if not status.init and status.last_terminated is not None]
    return any(
        end.exit_code != 0 and end.finished_at is not None and now - end.finished_at < _CRASH_FORGOTTEN for end in ends
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


def judge_rollback(
    *,
    plan: Plan,
    execution: Execution,
    undo: Execution,
    snapshot: Snapshot | None,
    history: tuple[Verification, ...],
    elapsed_seconds: float,
    policy: VerifyPolicy,
) -> Verdict:
    """Is the object what it was before `execution`, and does it serve as it did? `undo` took that change back.

    `snapshot` is None where the object could not be read; `history` and `elapsed_seconds` are the undo's.
    """
    wait = _Wait(policy=policy, history=history, elapsed=elapsed_seconds)
    if snapshot is None:
        return wait.more("the object could not be read")
    if lost := _not_restored(plan, execution, undo, snapshot):
        return lost
    problem = "; ".join(_holes(snapshot)) or _not_as_before(execution, undo, snapshot)
    if problem:
        return wait.more(f"the undo is not verified: {problem}")
    state = baseline_of(snapshot)
    return wait.until_held(f"the object is as it was, {state.ready} of {state.desired} pods are ready")


def _not_restored(plan: Plan, execution: Execution, undo: Execution, snapshot: Snapshot) -> Verdict | None:
    """What no further look can mend."""
    target, live = execution.change.target, snapshot.live
    if snapshot.gone:
        return _worse(f"{target} does not exist any more")
    if live is None:
        return None
    if live.ref.uid != target.uid:
        return _worse(f"{target} was deleted and made anew")
    if execution.baseline.desired > 0 and _asked_for(snapshot) == 0:
        return _worse(f"{target} is scaled to zero")
    found = base_hash(live.body)
    if found == execution.change.base_hash:
        return None
    if found == undo.base_hash_after:
        reason = f"the API server made something else of {target} than what it was before {plan.action.kind}"
        return Verdict(kind=VerdictKind.FAILED, reason=reason)
    manager = last_other_writer(live)
    reason = f"{target} was changed by {manager or 'someone else'} after {plan.action.kind} was taken back"
    return Verdict(kind=VerdictKind.FAILED, reason=reason, other_manager=manager)


def _not_as_before(execution: Execution, undo: Execution, snapshot: Snapshot) -> str:
    workload, state = snapshot.workload, baseline_of(snapshot)
    if workload is not None and workload.observed_generation < max(workload.generation, undo.generation_after):
        return "its controller has not seen it yet"
    floor = _floor(snapshot, execution.baseline, state)
    return f"{state.ready} pods are ready, {floor} are to be" if state.ready < floor else ""


def _asked_for(snapshot: Snapshot) -> int | None:
    """How many pods the root object itself asks for; None where it does not say."""
    if snapshot.workload is not None:
        return snapshot.workload.desired
    replicas = dig(snapshot.live.body, "spec", "replicas") if snapshot.live is not None else None
    return replicas if isinstance(replicas, int) else None


def _floor(snapshot: Snapshot, before: Baseline, state: Baseline) -> int:
    """Ready pods below which it is worse than before. Whoever asks for fewer pods, as an autoscaler does, lowers it; a
    workload that asks for none is lost, and pods that are merely missing lower nothing.
    """
    return min(before.ready, state.desired) if _asked_for(snapshot) else before.ready


def _lost(look: _Look) -> Verdict | None:
    """Worse than any fault: the object is gone, is another one, or asks for no pods any more."""
    target, root = look.execution.change.target, look.snapshot.root
    if look.snapshot.gone:
        return _worse(f"{root} does not exist any more")
    if target.same_name(root) and root.uid and target.uid != root.uid:
        return _worse(f"{root} was deleted and made anew")
    if look.execution.baseline.desired > 0 and _asked_for(look.snapshot) == 0:
        return _worse(f"{root} is scaled to zero")
    return None


def _blind(look: _Look) -> Verdict | None:
    holes = tuple(_holes(look.snapshot))
    return look.wait.more(f"not verified: {'; '.join(holes)}") if holes else None


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
    return look.wait.more(f"{look.elapsed:.0f} s of {look.policy.settle_seconds:g} s until the first look counts")


def _helped(look: _Look) -> Verdict | None:
    problem = _problem(look)
    if problem:
        return None
    state = f"{look.state.ready} of {look.state.desired} pods ready"
    held = look.wait.until_held(state)
    if held.kind is VerdictKind.PASSED and look.policy.alert_resolved and look.alerts_firing > 0:
        return look.wait.more(f"{state} and steady, but {look.alerts_firing} alerts are still firing", healthy=True)
    return held


def _problem(look: _Look) -> str:
    """Why the workload is not well at this look; '' when it is."""
    snapshot, state = look.snapshot, look.state
    pods = snapshot.current_pods
    if look.execution.change.target.uid in {pod.ref.uid for pod in snapshot.pods}:
        return f"{look.execution.change.target} is still there"
    if snapshot.workload is not None and not _rolled_out(look):
        return "the rollout is not complete"
    if not pods and (state.desired > 0 or snapshot.workload is None):
        return "no pod of the current revision was seen"
    if unready := [pod for pod in pods if not pod.ready]:
        return f"{len(unready)} pods are not ready"
    if failing := [pod for pod in pods if _failing(pod)]:
        return f"{failing[0].ref} has a container that does not run"
    if state.ready < look.floor:
        return f"{state.ready} pods are ready, {look.execution.baseline.ready} were before"
    if snapshot.workload is None and state.ready < state.desired:
        return f"{state.ready} of {state.desired} pods are ready"
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
    if any(_old_enough(look, pod) for pod in failing):
        if any(_answered_by(look, finding) for finding in look.findings):
            return Verdict(kind=VerdictKind.FAILED, reason=f"{look.plan.finding} is still there after the change")
        if short := next((f for f in look.findings if _too_little(look, f)), None):
            return Verdict(kind=VerdictKind.FAILED, reason=short.cause)
    if _deadline_exceeded(look):
        return Verdict(kind=VerdictKind.FAILED, reason="the rollout exceeded its progress deadline")
    return look.wait.more(_problem(look))


def _progressed(look: _Look, failing: tuple[Pod, ...]) -> bool:
    """The fault that was answered no longer shows and another one does: a fix of one layer, not of the whole."""
    if not look.has_next or not _observed(look) or not _can_be_gone(look.plan):
        return False
    if any(_answered_by(look, finding) for finding in look.findings) or not _next_faults(look):
        return False
    # A container that is merely slow to become ready looks like a probe fault at first.
    certain = bool(failing) or look.elapsed >= 2 * look.policy.settle_seconds
    return certain and look.state.ready >= look.floor


def _can_be_gone(plan: Plan) -> bool:
    """A fault that a language model named and no detector knows is found by none afterwards: that proves nothing."""
    return not plan.finding.startswith(MODEL_PREFIX)


def _next_faults(look: _Look) -> frozenset[str]:
    known = look.answered | {look.plan.finding}
    return frozenset(f.fault for f in look.findings if f.fixable and f.fault not in known)


def _answered_by(look: _Look, finding: Finding) -> bool:
    container = getattr(look.plan.action, "container", "")
    same_place = not container or not finding.container or finding.container == container
    return finding.fault == look.plan.finding and same_place


def _too_little(look: _Look, finding: Finding) -> bool:
    """Resources were raised, the container still wants more, and no further step is proposed."""
    raised = isinstance(look.plan.action, SetResources) and finding.container == look.plan.action.container
    return raised and not look.has_next and finding.signature == look.plan.finding.partition(":")[0]


def _fewer_ready(look: _Look) -> bool:
    """Fewer pods ready than before the change, at every look for longer than the settle time."""
    floor = look.floor
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


def _worse(reason: str) -> Verdict:
    return Verdict(kind=VerdictKind.FAILED, reason=reason, regression=True)
