"""May this proposal be planned, and may policy approve it alone? Pure: every answer is a named check.

Two kinds of no. A refusal (`_refusals`) ends the proposal: no rule, mode or person gets past it. An objection
(`_objections`) leaves the plan to a human. Nothing an analyzer wrote is believed: target and scalars are judged against
the snapshot and the facts of the store.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from responder.domain.action import Action, DeletePod, SetImage
from responder.domain.errors import PermanentError
from responder.domain.investigation import HEURISTIC, Proposal
from responder.domain.manifest import LiveObject
from responder.domain.plan import OPT_OUT_ANNOTATION, Change, Check, PolicyVerdict
from responder.domain.refs import (
    CLUSTER_SCOPED,
    WORKLOAD_KINDS,
    ObjectRef,
    is_namespace_name,
    is_object_name,
)
from responder.domain.rule import Mode, Rate, Rule
from responder.domain.snapshot import Snapshot
from responder.fixer.actions import handler_for
from responder.fixer.ownership import reverting_owner

ALWAYS_PROTECTED = frozenset({"kube-system", "kube-public", "kube-node-lease"})

_OWN_LABELS = ("app.kubernetes.io/name", "app.kubernetes.io/part-of")
_OWN_NAME = "clopus"


_DRILL = "drill"


@dataclass(frozen=True, kw_only=True)
class PolicyFacts:
    """What the guard has to be told, because it is neither in the rule nor in the snapshot."""

    workload_actions: int
    """Changes applied to this workload within the rule's window; likewise below."""
    namespace_actions: int
    cluster_actions: int
    workload_in_flight: bool
    rule_in_flight: int
    breaker: str = ""
    """Why a breaker is open; '' when none is."""
    kill_switch: bool = False
    protected_namespaces: frozenset[str] = ALWAYS_PROTECTED
    """With Clopus's own namespace."""
    alert_namespace: str
    root: ObjectRef
    """Of the incident."""
    truncated_alerts: int = 0
    shared_cause: str = ""
    """What several workloads suffer from; '' where the incident is about one."""


def judge(proposal: Proposal, *, rule: Rule, mode: Mode, snapshot: Snapshot, facts: PolicyFacts) -> PolicyVerdict:
    """`mode` is the effective one, after ceilings."""
    action = proposal.action
    refusals = tuple(_refusals(action, mode, snapshot, facts))
    admitted = all(check.passed for check in refusals)
    if not admitted:
        return PolicyVerdict(admitted=False, autonomous=False, checks=refusals)
    objections = tuple(_objections(proposal, rule, mode, snapshot, facts))
    return PolicyVerdict(
        admitted=True, autonomous=all(check.passed for check in objections), checks=(*refusals, *objections)
    )


def opted_out(annotations: Mapping[str, str]) -> bool:
    return annotations.get(OPT_OUT_ANNOTATION) == "true"


def _refusals(action: Action, mode: Mode, snapshot: Snapshot, facts: PolicyFacts) -> Iterator[Check]:
    target = action.target
    yield _mode_plans(mode)
    yield _target_named(target)
    yield _target_kind(action)
    yield _namespace_allowed(target, facts)
    yield _target_in_incident(action, snapshot, facts)
    yield _not_own(snapshot.live)
    yield _not_opted_out(snapshot)
    yield from handler_for(action).check(action, snapshot)


def _mode_plans(mode: Mode) -> Check:
    return _check("mode_plans", mode is not Mode.REPORT, f"the effective mode is {mode}")


def _target_named(target: ObjectRef) -> Check:
    named = (
        is_object_name(target.name)
        and is_namespace_name(target.namespace)
        and bool(target.uid)
        and target.uid.isascii()
        and target.uid.replace("-", "").isalnum()
    )
    return _check(
        "target_named",
        named,
        f"{target} uid {target.uid}" if named else "the target is not one object by kind, namespace, name and uid",
    )


def _target_kind(action: Action) -> Check:
    kinds = ("Pod",) if isinstance(action, DeletePod) else WORKLOAD_KINDS
    fits = action.target.kind in kinds and action.target.kind not in CLUSTER_SCOPED
    return _check(
        "target_kind", fits, f"{action.kind} acts on {', '.join(kinds)}; the target is {action.target.kind!a}"
    )


def _namespace_allowed(target: ObjectRef, facts: PolicyFacts) -> Check:
    protected = target.namespace in facts.protected_namespaces | ALWAYS_PROTECTED
    return _check(
        "namespace_not_protected",
        not protected,
        f"namespace {target.namespace} is {'protected' if protected else 'not protected'}",
    )


def _target_in_incident(action: Action, snapshot: Snapshot, facts: PolicyFacts) -> Check:
    """The incident's root object as it is now, or one of its pods: an alert never reaches beyond its own namespace."""
    problem = _outside(action, snapshot, facts)
    return _check("target_in_incident", not problem, problem or f"the incident is about {facts.root}")


def _outside(action: Action, snapshot: Snapshot, facts: PolicyFacts) -> str:
    target = action.target
    if target.namespace != facts.alert_namespace:
        return f"the alert speaks of namespace {facts.alert_namespace!a}, the target is in {target.namespace!a}"
    if snapshot.gone or not snapshot.root.same_name(facts.root):
        return f"{facts.root} is not what was looked at"
    if facts.root.uid and snapshot.root.uid != facts.root.uid:
        return f"{facts.root} is another object than the one the incident is about"
    if isinstance(action, DeletePod):
        return "" if any(pod.ref == target for pod in snapshot.pods) else f"{target} is not a pod of {facts.root}"
    if target != snapshot.root or snapshot.live is None or snapshot.live.ref.uid != target.uid:
        return f"{target} is not the incident's object {facts.root}"
    return ""


def _not_own(live: LiveObject | None) -> Check:
    own = live is not None and any(live.labels.get(label) == _OWN_NAME for label in _OWN_LABELS)
    return _check(
        "target_not_own", not own, "the target is part of Clopus" if own else "the target is not Clopus's own"
    )


def _not_opted_out(snapshot: Snapshot) -> Check:
    problem = _opt_out(snapshot)
    return _check("not_opted_out", not problem, problem or "nobody has opted out")


def _opt_out(snapshot: Snapshot) -> str:
    if snapshot.live is not None and opted_out(snapshot.live.annotations):
        return f"the object carries {OPT_OUT_ANNOTATION}"
    if opted_out(snapshot.namespace_annotations):
        return f"the namespace carries {OPT_OUT_ANNOTATION}"
    if snapshot.namespace_labels is None:
        return f"namespace {snapshot.root.namespace} was not read: whether it carries {OPT_OUT_ANNOTATION} is unknown"
    return ""


def _objections(proposal: Proposal, rule: Rule, mode: Mode, snapshot: Snapshot, facts: PolicyFacts) -> Iterator[Check]:
    action, handler = proposal.action, handler_for(proposal.action)
    risk = handler.risk(action, snapshot)
    yield _check("mode_autonomous", mode is Mode.AUTONOMOUS, f"the effective mode is {mode}")
    yield _check("kill_switch_off", not facts.kill_switch, f"the kill switch is {'on' if facts.kill_switch else 'off'}")
    yield _check("breaker_closed", not facts.breaker, facts.breaker or "no breaker is open")
    yield _check(
        "action_allowed", action.kind in rule.actions, f"rule {rule.name} takes {', '.join(rule.actions) or 'none'}"
    )
    yield _check("risk_ceiling", risk.rank <= rule.max_risk.rank, f"risk {risk}, ceiling {rule.max_risk}")
    yield _check("reversible", handler.reversible, f"{action.kind} {'has' if handler.reversible else 'has no'} inverse")
    yield from _budgets(rule, facts)
    yield _evidence_cited(proposal)
    yield _detector_agrees(proposal)
    yield _check(
        "alerts_complete", facts.truncated_alerts == 0, f"{facts.truncated_alerts} alerts of the group were left out"
    )
    yield _check(
        "cause_not_shared",
        not facts.shared_cause,
        f"{facts.shared_cause} fails several workloads" if facts.shared_cause else "the incident is about one object",
    )
    if isinstance(action, SetImage):
        yield _image_vouched(action, rule, snapshot)
    yield _stays(action, snapshot)


def _budgets(rule: Rule, facts: PolicyFacts) -> Iterator[Check]:
    budget = rule.budget
    yield _within("budget_workload", facts.workload_actions, budget.per_workload)
    yield _within("budget_namespace", facts.namespace_actions, budget.per_namespace)
    yield _within("budget_cluster", facts.cluster_actions, budget.per_cluster)
    yield _check(
        "concurrent_workload",
        not facts.workload_in_flight,
        "another change of it is in flight" if facts.workload_in_flight else "no other change of it is in flight",
    )
    yield _check(
        "concurrent_rule",
        facts.rule_in_flight < budget.concurrent,
        f"{facts.rule_in_flight} changes of the rule in flight, at most {budget.concurrent}",
    )


def _within(name: str, used: int, rate: Rate) -> Check:
    return _check(name, used < rate.count, f"{used} used of {rate}")


def _evidence_cited(proposal: Proposal) -> Check:
    cited = bool(proposal.evidence) and bool(proposal.finding)
    told = (
        f"{proposal.finding}: {', '.join(proposal.evidence)}" if cited else "the proposal cites no evidence or finding"
    )
    return _check("evidence_cited", cited, told)


def _detector_agrees(proposal: Proposal) -> Check:
    problem = lone_suggestion(proposal)
    return _check("detector_agrees", not problem, problem or "the detectors suggest it")


def lone_suggestion(proposal: Proposal) -> str:
    """Who suggests what no detector does, for the check and for whoever decides; '' where a detector does."""
    if HEURISTIC in proposal.suggested_by:
        return ""
    names = [f"{'an exercise' if name == _DRILL else 'a language model'} ({name})" for name in proposal.suggested_by]
    whom = f"{' and '.join(names)} alone" if names else "nobody on record"
    return f"suggested by {whom}: no detector supports it"


def _image_vouched(action: SetImage, rule: Rule, snapshot: Snapshot) -> Check:
    """An image that nobody has seen at work here is a human's choice."""
    for revision in snapshot.revisions:
        container = revision.template.container(action.container)
        if not revision.current and container is not None and container.image == action.image:
            return _check("image_vouched", passed=True, detail=f"revision {revision.number} had it")
    if action.image in snapshot.healthy_images:
        return _check("image_vouched", passed=True, detail=f"{snapshot.healthy_images[action.image]} runs it")
    for pattern in rule.images:
        if fnmatch.fnmatchcase(action.image, pattern):
            return _check("image_vouched", passed=True, detail=f"rule {rule.name} allows {pattern}")
    return _check("image_vouched", passed=False, detail=f"nothing here has run {action.image}, and no rule names it")


def _stays(action: Action, snapshot: Snapshot) -> Check:
    """An owner that sets the field back by itself makes the change pointless, and a fight of two machines."""
    owner = ""
    if snapshot.live is not None and not isinstance(action, DeletePod):
        owner = reverting_owner(snapshot.live, _touched(action, snapshot, snapshot.live))
    return _check("owner_will_revert", not owner, f"{owner} will set it back" if owner else "no owner is known to")


def _touched(action: Action, snapshot: Snapshot, live: LiveObject) -> Change:
    """The change as it would be now, for the fields that it touches; without any where it makes no sense."""
    try:
        return handler_for(action).change(action, live, snapshot, now=snapshot.taken_at)
    except PermanentError:
        return Change(target=live.ref, resource_version=live.resource_version, base_hash="")


def _check(name: str, passed: bool, detail: str) -> Check:  # noqa: FBT001 - three words of one row of a table
    return Check(name=name, passed=passed, detail=detail)
