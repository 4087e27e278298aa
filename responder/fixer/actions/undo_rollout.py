"""`undo_rollout`: the pod template of an earlier revision that has served, in place of one that is broken.

Only the fields that differ are written and kept on record: see `template_diff`.
"""

from __future__ import annotations

import copy
from datetime import datetime
from typing import ClassVar

from responder.domain.action import Permission, UndoRollout
from responder.domain.errors import PlanInvalid
from responder.domain.manifest import Json, LiveObject, Manifest, dig, mapping
from responder.domain.plan import Change, Check
from responder.domain.rule import Risk
from responder.domain.snapshot import Snapshot
from responder.domain.workload import Pod, Revision
from responder.fixer.actions.template import (
    PATCH_WORKLOADS,
    TEMPLATE,
    TemplateEdit,
    check_workload,
    replicas_of,
)
from responder.fixer.actions.template_diff import bring_to, stands

_REVISION_LABELS = frozenset({"pod-template-hash", "controller-revision-hash", "pod-template-generation"})
"""Labels that controllers put on a revision's pods; in a workload's own template they would pin the revision."""


_CRASH_LOOP_SECONDS = 900.0
"""The kubelet restarts a container every five minutes at the least."""


class UndoRolloutHandler:
    kind: ClassVar[str] = UndoRollout.kind
    reversible: ClassVar[bool] = True
    permissions: ClassVar[tuple[Permission, ...]] = PATCH_WORKLOADS

    def risk(self, action: UndoRollout, snapshot: Snapshot) -> Risk:
        return Risk.MEDIUM

    def check(self, action: UndoRollout, snapshot: Snapshot) -> tuple[Check, ...]:
        return (
            *check_workload(snapshot),
            _revision_exists(action, snapshot),
            _revision_ready(action, snapshot),
            _current_broken(snapshot),
        )

    def change(self, action: UndoRollout, live: LiveObject, snapshot: Snapshot, *, now: datetime) -> Change:
        revision = _revision(action, snapshot)
        if revision is None or revision.current:
            raise PlanInvalid(f"{live.ref} has no earlier revision {action.to_revision}")
        template = _own_template(revision.raw_template)
        if not list(dig(template, "spec", "containers") or ()):
            raise PlanInvalid(f"the stored template of revision {action.to_revision} names no container")
        edit = TemplateEdit(live)
        bring_to(edit, TEMPLATE, template)
        return edit.change(replicas_at_risk=replicas_of(snapshot))

    def warnings(self, action: UndoRollout, snapshot: Snapshot) -> tuple[str, ...]:
        found = []
        if snapshot.pod_security != "privileged":
            found.append("Pod Security judges pods, not workloads: the dry run does not tell whether they are admitted")
        if snapshot.workload and snapshot.workload.ref.kind == "StatefulSet":
            found.append("a pod of the broken revision that never became ready has to be deleted by hand afterwards")
        return tuple(found)

    def restores_not(self, action: UndoRollout, snapshot: Snapshot) -> tuple[str, ...]:
        return (
            "strategy, replicas and every other field outside the pod template",
            "the content of ConfigMaps, Secrets, volumes and other objects that the template refers to",
        )

    def in_place(self, action: UndoRollout, change: Change, body: Manifest) -> bool:
        return stands(change, body)


def _own_template(raw: Json) -> Json:
    """The revision's template as the workload had it: without the marks of the revision itself."""
    template = copy.deepcopy(dict(mapping(raw)))
    template.pop("$patch", None)  # a ControllerRevision is stored as a patch
    labels = mapping(template, "metadata", "labels")
    if labels:
        metadata = dict(mapping(template, "metadata"))
        metadata["labels"] = {key: value for key, value in labels.items() if key not in _REVISION_LABELS}
        template["metadata"] = metadata
    return template


def _revision(action: UndoRollout, snapshot: Snapshot) -> Revision | None:
    return next((r for r in snapshot.revisions if r.number == action.to_revision), None)


def _revision_exists(action: UndoRollout, snapshot: Snapshot) -> Check:
    revision = _revision(action, snapshot)
    if revision is None:
        detail = f"there is no revision {action.to_revision} in the history"
    elif revision.current:
        detail = f"revision {action.to_revision} is the one that is asked for now"
    else:
        detail = f"revision {action.to_revision} is {revision.ref}"
    return Check(name="revision_exists", passed=revision is not None and not revision.current, detail=detail)


def _revision_ready(action: UndoRollout, snapshot: Snapshot) -> Check:
    revision = _revision(action, snapshot)
    if revision is not None and revision.served_until is not None:
        told = f"the pods of revision {action.to_revision} were well until {revision.served_until:%H:%M:%S} UTC"
        return Check(name="revision_ready", passed=True, detail=told)
    ready = revision.ready if revision else 0
    return Check(
        name="revision_ready", passed=ready > 0, detail=f"revision {action.to_revision} has {ready} ready pods"
    )


def _current_broken(snapshot: Snapshot) -> Check:
    current = next((r for r in snapshot.revisions if r.current), None)
    desired = snapshot.workload.desired if snapshot.workload else 0
    restless = sum(pod.ready and _ended_lately(pod, snapshot.taken_at) for pod in snapshot.current_pods)
    ready = current.ready - restless if current else 0
    return Check(
        name="current_revision_broken",
        passed=current is not None and ready < desired,
        detail=f"the current revision has {ready} of {desired} pods ready"
        + (f", and {restless} that were restarted a moment ago" if restless else ""),
    )


def _ended_lately(pod: Pod, now: datetime) -> bool:
    """In a crash loop the pod is ready whenever the program runs; that is no proof that it serves."""
    ends = (status.last_terminated.finished_at for status in pod.statuses if status.last_terminated is not None)
    return any(end is not None and (now - end).total_seconds() < _CRASH_LOOP_SECONDS for end in ends)
