"""`restart_rollout`: new pods from the same template, as `kubectl rollout restart` does it.

The time in the annotation is frozen in the plan: a replayed write is the same write, and no second rollout.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from responder.domain.action import Permission, RestartRollout
from responder.domain.manifest import Json, LiveObject, Manifest, dig, text
from responder.domain.plan import Change, Check
from responder.domain.rule import Risk
from responder.domain.snapshot import Snapshot
from responder.fixer.actions.template import PATCH_WORKLOADS, TEMPLATE, TemplateEdit, check_workload, replicas_of

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
_ANNOTATION = (*TEMPLATE, "metadata", "annotations", RESTARTED_AT)


class RestartRolloutHandler:
    kind: ClassVar[str] = RestartRollout.kind
    reversible: ClassVar[bool] = True
    permissions: ClassVar[tuple[Permission, ...]] = PATCH_WORKLOADS

    def risk(self, action: RestartRollout, snapshot: Snapshot) -> Risk:
        return Risk.LOW

    def check(self, action: RestartRollout, snapshot: Snapshot) -> tuple[Check, ...]:
        return check_workload(snapshot)

    def change(self, action: RestartRollout, live: LiveObject, snapshot: Snapshot, *, now: datetime) -> Change:
        edit = TemplateEdit(live)
        edit.put(_ANNOTATION, now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"))
        return edit.change(replicas_at_risk=replicas_of(snapshot))

    def warnings(self, action: RestartRollout, snapshot: Snapshot) -> tuple[str, ...]:
        return ("every pod is replaced, those that are well included",)

    def restores_not(self, action: RestartRollout, snapshot: Snapshot) -> tuple[str, ...]:
        return ("the pods of before: taking the restart back is one more rollout",)

    def in_place(self, action: RestartRollout, change: Change, body: Manifest) -> bool:
        stamp = text(body, *_ANNOTATION)
        return bool(stamp) and any(stamp in _stamps(op.value) for op in change.patch)


def _stamps(value: Json) -> tuple[Json, ...]:
    """The times a patch value may hold: it adds the annotation, the annotations, or the metadata above them."""
    return (value, dig(value, RESTARTED_AT), dig(value, "annotations", RESTARTED_AT))
