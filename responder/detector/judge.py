"""One object, seen in its surroundings: whose trouble it shows, and which. Decides what is left out by the scope."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from responder.conditions import condition_of_event, conditions_of, proactive_conditions_of
from responder.conditions.model import Condition, Surroundings
from responder.detector.kinds import is_namespaced
from responder.detector.scope import Scope
from responder.detector.view import ClusterView, is_well
from responder.domain.manifest import Manifest, mapping, text
from responder.domain.refs import ObjectRef


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    root: ObjectRef
    """Whose trouble it is."""
    conditions: tuple[Condition, ...] = ()
    """All that the object shows now."""
    open: bool = False
    """Time alone may change it: judge again soon."""


class Judge:
    """Works on the view as it is at the moment of the call."""

    def __init__(
        self,
        view: ClusterView,
        *,
        scope: Scope,
        checks: frozenset[str],
        suffering: Callable[[str], frozenset[ObjectRef]],
    ) -> None:
        """`suffering`: the roots that name a cause, by its key."""
        self._view = view
        self._scope = scope
        self._by_name = replace(scope, namespace_selector=None)
        self._checks = checks
        self._suffering = suffering

    def __call__(self, source: ObjectRef, body: Manifest, *, now: datetime, complete: bool) -> Judgement:
        """`complete`: the watches that could contradict a judgement about this kind are up to date."""
        if source.kind == "Event":
            return self._of_event(source, body, now)
        root = self._view.root_of(source, body)
        around = self._view.surroundings(source.kind, body, now=now, live=complete)
        if self._left_out(source, root, body):
            may_return = self._by_owners_labels(source, root) and bool(conditions_of(source.kind, body, around))
            return Judgement(root=root, open=may_return)
        found = conditions_of(source.kind, body, around)
        if found:
            root = self._answers(source, body, around, root)
        if self._checks:
            found = (*found, *proactive_conditions_of(source.kind, body, around, self._checks))
        return Judgement(root=root, conditions=found, open=bool(found))

    def selects(self, kind: str, namespace: str) -> bool:
        """Whether objects of this namespace are in scope, by what is known of its labels now. What is in none is."""
        if not namespace or not is_namespaced(kind):
            return True
        found = self._view.find("Namespace", "", namespace)
        return self._scope.selects(namespace, None if found is None else mapping(found, "metadata", "labels"))

    def may_select(self, kind: str, namespace: str) -> bool:
        """As `selects`, but yes while the labels that would decide it are not known."""
        known = not namespace or not is_namespaced(kind) or self._view.find("Namespace", "", namespace) is not None
        return self.selects(kind, namespace) if known else self._by_name.selects(namespace, None)

    def takes(self, about: ObjectRef) -> bool:
        """Whether an object of which something else than the watches tells is in scope, by what they know of it."""
        return not self._left_out(about, about, self._view.find(about.kind, about.namespace, about.name) or {})

    def _by_owners_labels(self, source: ObjectRef, root: ObjectRef) -> bool:
        """Whether an object may be left out for its owner's labels alone: of their change its own watch tells nothing.
        Those of a namespace are looked after by whoever watches namespaces."""
        owned = root != source and self.selects(source.kind, source.namespace)
        return owned and not self._scope.excludes(source.kind, source.namespace, source.name, {}, root)

    def _answers(self, source: ObjectRef, body: Manifest, around: Surroundings, root: ObjectRef) -> ObjectRef:
        """Who has to be looked at: a Service without endpoints is the trouble of the one workload behind it, a claim
        or a quota that of the one workload that waits for it. With none, or several, it speaks for itself."""
        match source.kind:
            case "Service" if around.endpoints is not None and around.endpoints.not_ready:
                behind = self._view.unready_roots(source.namespace, mapping(body, "spec", "selector"))
            case "PodDisruptionBudget":
                behind = self._view.unready_roots(source.namespace, mapping(body, "spec", "selector", "matchLabels"))
            case "PersistentVolumeClaim" | "ResourceQuota":
                # What it was told of as its own so far does not count among those that wait for it.
                behind = self._suffering(source.key) - {root.without_uid()}
            case _:
                return root
        if len(behind) != 1:
            return root
        (only,) = behind
        labels = mapping(self._view.find(only.kind, only.namespace, only.name), "metadata", "labels")
        return root if self._scope.excludes(only.kind, only.namespace, only.name, labels, only) else only

    def _of_event(self, source: ObjectRef, body: Manifest, now: datetime) -> Judgement:
        condition = condition_of_event(body, now)
        if condition is None or not _may_speak_of(source, condition.about):
            return Judgement(root=source)
        subject = condition.about
        about = self._view.find(subject.kind, subject.namespace, subject.name)
        if about is None or (subject.uid and text(about, "metadata", "uid") != subject.uid):
            return Judgement(root=subject, open=True)  # gone, and its trouble with it; or its own watch is behind
        root = self._view.root_of(subject, about)
        around = self._view.surroundings(subject.kind, about, now=now, live=False)
        passed_over = condition.container in around.excluded_containers or self._left_out(subject, root, about)
        if passed_over or is_well(subject.kind, about):
            return Judgement(root=root, open=not passed_over)
        root = self._answers(subject, about, around, root)
        return Judgement(root=root, conditions=(_without_other_nodes(condition, about),), open=True)

    def _left_out(self, source: ObjectRef, root: ObjectRef, body: Manifest) -> bool:
        if source.kind == "Namespace":
            selected = self._scope.selects(source.name, mapping(body, "metadata", "labels"))
        else:
            selected = self.selects(source.kind, source.namespace)
        if not selected:
            return True
        owner = self._view.find(root.kind, root.namespace, root.name) if root != source else None
        return self._scope.excludes(
            source.kind,
            source.namespace,
            source.name,
            mapping(body, "metadata", "labels"),
            root,
            root_labels=mapping(owner, "metadata", "labels"),
        )


def _may_speak_of(event: ObjectRef, subject: ObjectRef) -> bool:
    """As the API server has it: events live beside what they are about, those of cluster-wide objects in `default`."""
    return event.namespace == (subject.namespace or "default") and is_namespaced(subject.kind) == bool(
        subject.namespace
    )


def _without_other_nodes(condition: Condition, about: Manifest) -> Condition:
    """Whoever writes an event chooses the node that it names: only the pod's own can be behind the pod's trouble."""
    own = f"Node/{condition.about.name if condition.about.kind == 'Node' else text(about, 'spec', 'nodeName')}"
    causes = tuple(cause for cause in condition.causes if not cause.startswith("Node/") or cause == own)
    return replace(condition, causes=causes)
