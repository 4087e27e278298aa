"""Pods that are never created, because the API server refuses them: told with the server's own words.

There is no pod to look at then; the words are in the workload's `ReplicaFailure` condition and in `FailedCreate`
events. Quotas, Pod Security, limits and webhooks are somebody's decision, so nothing is proposed against them.
"""

from __future__ import annotations

from collections.abc import Iterator

from responder.analyzer.heuristics.case import Case, Claim, Stage
from responder.analyzer.heuristics.evidence import Exhibit, of_event, of_workload
from responder.patterns import Pattern
from responder.redact import redact

_KINDS: tuple[tuple[str, str, Pattern], ...] = (
    (
        "admission.quota",
        "a quota of the namespace is used up",
        Pattern(r"(?i)exceeded quota|failed quota|must specify [^\n]* for"),
    ),
    (
        "admission.pod_security",
        "the namespace does not admit what the pod asks for",
        Pattern(
            r"(?i)violates PodSecurity|PodSecurityPolicy|unable to validate against any security context constraint"
        ),
    ),
    (
        "admission.service_account",
        "its service account does not exist",
        Pattern(r"(?i)serviceaccount \"?[^\"\n]*\"? not found|error looking up service account"),
    ),
    (
        "admission.limit_range",
        "a limit range of the namespace forbids its resources",
        Pattern(r"(?i)(?:maximum|minimum) [\w.\-]+ usage per|limit to request ratio"),
    ),
    (
        "admission.webhook",
        "an admission webhook refuses it or does not answer",
        Pattern(r"(?i)admission webhook|failed calling webhook"),
    ),
    ("admission.priority_class", "its priority class does not exist", Pattern(r"(?i)no PriorityClass")),
)


def detect(case: Case) -> Iterator[Claim]:
    workload = case.snapshot.workload
    if workload is None or len(case.pods) >= workload.desired:
        return
    told: list[tuple[str, Exhibit]] = []
    failure = workload.condition("ReplicaFailure")
    if failure is not None and failure.status == "True":
        told.append((failure.message, of_workload(workload)))
    elif workload.ref.kind == "Deployment":
        return  # its condition is taken back when creation works again; events stay for an hour
    told += [(event.message, of_event(event)) for event in case.recent_events("FailedCreate")[:3]]
    if told:
        yield _claim(case, *told[0], tuple(exhibit for _, exhibit in told))


def _claim(case: Case, words: str, _: Exhibit, exhibits: tuple[Exhibit, ...]) -> Claim:
    signature, what = next(
        ((signature, what) for signature, what, pattern in _KINDS if pattern.found(words)),
        ("admission.refused", "the API server refuses it"),
    )
    return Claim(
        signature=signature,
        stage=Stage.ADMISSION,
        subject=case.root,
        cause=f"pods cannot be created: {what}: {' '.join(redact(words).split())[:500]}",
        confidence=0.93,
        exhibits=exhibits,
        undo=False,
    )
