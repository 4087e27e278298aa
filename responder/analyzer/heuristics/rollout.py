"""Workloads as a whole: a rollout that does not get on, an old pod in its way, unready pods that say nothing.

Most of these are symptoms: they say that something is wrong, and a container's own fault, if found, says what.
https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#failed-deployment
"""

from __future__ import annotations

from collections.abc import Iterator

from responder.analyzer.heuristics.case import Case, Claim, Remedy, Stage, Step
from responder.analyzer.heuristics.evidence import of_pod, of_status, of_workload
from responder.analyzer.heuristics.steady import seconds_between
from responder.domain.action import DeletePod
from responder.domain.manifest import items, text
from responder.domain.workload import Pod, Workload

_INIT_PATIENCE_SECONDS = 300.0
_UNREADY_PATIENCE_SECONDS = 60.0


def detect(case: Case) -> Iterator[Claim]:
    workload = case.snapshot.workload
    if workload is None:
        yield from _job_failed(case)
    else:
        yield from _not_wanted(case, workload)
        yield from _behind(case, workload)
        yield from _blocked_by_old_pod(case, workload)
    yield from _waiting_init(case)
    yield from _silent(case)


def _not_wanted(case: Case, workload: Workload) -> Iterator[Claim]:
    if workload.desired == 0:
        what = "no replica is asked for" if workload.ref.kind != "DaemonSet" else "no node is eligible for it"
        yield Claim(
            signature="rollout.scaled_to_zero",
            stage=Stage.ROLLOUT,
            subject=case.root,
            cause=f"{what}; whoever wants it to serve has to ask for some",
            confidence=0.8,
            exhibits=(of_workload(workload),),
        )
    elif workload.paused and workload.updated < workload.desired:
        yield Claim(
            signature="rollout.paused",
            stage=Stage.ROLLOUT,
            subject=case.root,
            cause="the rollout is paused: changes to the template wait until somebody resumes it",
            confidence=0.8,
            exhibits=(of_workload(workload),),
            undo=False,
        )


def _behind(case: Case, workload: Workload) -> Iterator[Claim]:
    progressing = workload.condition("Progressing")
    overdue = progressing is not None and progressing.reason == "ProgressDeadlineExceeded"
    behind = workload.updated < workload.desired or workload.total > workload.updated
    if overdue:
        signature, what = "rollout.deadline_exceeded", "the rollout is past its deadline"
    elif behind and workload.desired and not workload.paused and case.earlier:
        signature, what = "rollout.stuck", "the rollout is not finished"
    else:
        return
    yield Claim(
        signature=signature,
        stage=Stage.ROLLOUT,
        subject=case.root,
        cause=f"{what}: {workload.updated} of {workload.desired} replicas are of the current revision, "
        f"{workload.ready} ready",
        confidence=0.4 if overdue else 0.3,
        exhibits=(of_workload(workload),),
        undo=overdue,
        symptom=True,
    )


def _blocked_by_old_pod(case: Case, workload: Workload) -> Iterator[Claim]:
    """A StatefulSet waits for a pod of an earlier revision to become ready before it replaces it, and it never does.

    https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback
    """
    if workload.ref.kind != "StatefulSet" or workload.strategy == "OnDelete" or case.current is None:
        return
    if not all(pod.ready for pod in case.pods):
        return
    for pod in case.snapshot.pods:
        old = pod.revision_hash != case.current.hash and pod.deleted_at is None
        if old and not pod.ready and _is_stuck(pod):
            yield Claim(
                signature="rollout.blocked_by_old_pod",
                stage=Stage.ROLLOUT,
                subject=pod.ref,
                cause=f"pod {pod.ref.name} is of an earlier revision and not ready, and the rollout waits for it",
                confidence=0.8,
                exhibits=(of_workload(workload), of_pod(pod), *(of_status(pod, status) for status in pod.statuses)),
                remedies=(
                    Remedy(
                        action=DeletePod(target=pod.ref),
                        reason="the controller makes it anew from the current revision",
                    ),
                ),
                undo=False,
            )
            return


def _is_stuck(pod: Pod) -> bool:
    return any(
        status.waiting_reason not in ("", "ContainerCreating", "PodInitializing") or status.terminated is not None
        for status in pod.statuses
        if not (status.init and status.terminated is not None and status.terminated.exit_code == 0)
    )


def _waiting_init(case: Case) -> Iterator[Claim]:
    for pod in case.pods:
        for index, container in enumerate(pod.template.containers):
            status = pod.status(container.name)
            if not container.init or container.sidecar or status is None or status.running_since is None:
                continue
            age = seconds_between(status.running_since, case.now)
            if age >= _INIT_PATIENCE_SECONDS:
                yield Claim(
                    signature="init.waiting",
                    stage=Stage.INIT,
                    index=index,
                    step=Step.RUN,
                    subject=case.root,
                    container=container.name,
                    cause=f"init container {container.name} runs for {age:.0f} s and does not finish; the pod waits "
                    "for it, and it most likely waits for something else",
                    confidence=0.6,
                    exhibits=(of_status(pod, status),),
                    undo=case.ready_before is not None,
                )


def _silent(case: Case) -> Iterator[Claim]:
    """Runs, is not ready, and no event tells of a probe that fails."""
    for trouble in case.troubles:
        status = trouble.status
        if status.running_since is None or status.ready or (trouble.container.init and not trouble.container.sidecar):
            continue
        if seconds_between(status.running_since, case.now) < _UNREADY_PATIENCE_SECONDS:
            continue
        yield Claim(
            signature="pod.not_ready",
            stage=trouble.stage,
            index=trouble.index,
            step=Step.SERVE,
            subject=case.root,
            container=trouble.container.name,
            cause=f"container {trouble.container.name} runs and is not ready, and no event tells why",
            confidence=0.3,
            exhibits=case.exhibits_of(trouble),
            undo=case.sibling_ready(trouble) is None,
            general=True,
            symptom=True,
        )


def _job_failed(case: Case) -> Iterator[Claim]:
    live = case.snapshot.live
    if live is None or case.root.kind != "Job":
        return
    for condition in items(live.body, "status", "conditions"):
        if text(condition, "type") == "Failed" and text(condition, "status") == "True":
            reason = text(condition, "reason")
            yield Claim(
                signature="job.failed",
                stage=Stage.ROLLOUT,
                subject=case.root,
                cause=f"the Job has failed for good ({reason}); it is not run again by itself",
                confidence=0.4,
                exhibits=(*(of_pod(pod) for pod in case.pods[:2]),),
                symptom=reason != "DeadlineExceeded",
            )
