"""What an object that runs no pods says of itself: claims, autoscalers, budgets, Services, nodes, namespaces, quotas.

The same judgement that the watch makes of them (`responder.conditions`), made again on the object as it was read just
now. Their causes lie elsewhere, so nothing is proposed; the controller's newest words are told beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from responder.analyzer.heuristics.case import Case, Claim, Stage
from responder.analyzer.heuristics.evidence import exhibit, of_event
from responder.conditions import STATUS_NAMES, conditions_of
from responder.conditions.model import Condition, Surroundings
from responder.domain.investigation import EvidenceKind
from responder.domain.snapshot import Snapshot
from responder.redact import redact

JUDGED_KINDS = frozenset(
    {
        "HorizontalPodAutoscaler",
        "Namespace",
        "Node",
        "PersistentVolumeClaim",
        "PodDisruptionBudget",
        "ResourceQuota",
        "Service",
    }
)
"""Kinds that only their own status tells of; the others have pods, and signatures of their own."""

_LONGEST_QUOTE = 300


def detect(case: Case) -> Iterator[Claim]:
    for condition in stated(case.snapshot):
        events = [event for event in case.recent_events() if event.type == "Warning" and event.subject == case.root][:3]
        cause = redact(condition.summary)
        if events and events[0].message not in condition.summary:
            cause = f"{cause} ({events[0].reason}: {redact(events[0].message)[:_LONGEST_QUOTE]})"
        words = exhibit(EvidenceKind.OBJECT, f"{case.root} status", condition.summary, subject=case.root)
        yield Claim(
            signature=f"stated.{condition.name}",
            stage=Stage.ADMISSION,
            subject=case.root,
            cause=cause,
            confidence=0.9,
            exhibits=(words, *(of_event(event) for event in events)),
            undo=False,
        )


def stated(snapshot: Snapshot) -> tuple[Condition, ...]:
    """What is wrong with the root by its own status."""
    if snapshot.live is None or snapshot.root.kind not in JUDGED_KINDS:
        return ()
    around = Surroundings(now=snapshot.taken_at, endpoints=snapshot.endpoints)
    return conditions_of(snapshot.root.kind, snapshot.live.body, around)


def is_settled_by_status(snapshot: Snapshot, alert_labels: Mapping[str, str]) -> bool:
    """Whether an alert of this name is about the status alone, so that a clean status ends it; one that an event or a
    metrics source told of may be about more."""
    known = snapshot.root.kind != "Service" or snapshot.endpoints is not None
    return known and snapshot.root.kind in JUDGED_KINDS and alert_labels.get("alertname", "") in STATUS_NAMES
