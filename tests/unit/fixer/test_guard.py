"""Refusals that nothing gets past, and objections that leave a plan to a human."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from responder.domain.action import Action, DeletePod, RestartRollout, SetImage, SetResources
from responder.domain.manifest import FieldOwner
from responder.domain.plan import PolicyVerdict
from responder.domain.refs import ObjectRef
from responder.domain.rule import Budget, Mode, Rate, Risk
from responder.fixer.guard import judge

TARGET = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="uid-web")
SET_IMAGE = SetImage(target=TARGET, container="web", image="registry.local/web:1")
POD = ObjectRef(kind="Pod", namespace="shop", name="web-1", uid="uid-web-1")


def verdict(make: Any, action: Action = SET_IMAGE, **given: Any) -> PolicyVerdict:
    return judge(
        given.get("proposal") or make.proposal(action),
        rule=given.get("rule") or make.rule(),
        mode=given.get("mode", Mode.AUTONOMOUS),
        snapshot=given.get("snapshot") or make.snapshot(),
        facts=given.get("facts") or make.facts(),
    )


def objections(found: PolicyVerdict) -> set[str]:
    return {check.name for check in found.objections}


def at(action: Action, **changes: Any) -> Action:
    return replace(action, target=replace(action.target, **changes))


def test_a_fitting_proposal_with_every_brake_off_is_autonomous(make: Any) -> None:
    found = verdict(make)
    assert found.admitted
    assert found.autonomous
    assert found.objections == ()


@pytest.mark.inv(32)
def test_report_mode_admits_nothing(make: Any) -> None:
    found = verdict(make, mode=Mode.REPORT)
    assert not found.admitted
    assert objections(found) == {"mode_plans"}


REFUSED: list[Any] = [
    pytest.param(at(SET_IMAGE, uid=""), "target_named", id="no uid"),
    pytest.param(at(SET_IMAGE, uid="*"), "target_named", id="wildcard uid"),
    pytest.param(at(SET_IMAGE, name="*"), "target_named", id="wildcard name"),
    pytest.param(at(SET_IMAGE, name=""), "target_named", id="no name"),
    pytest.param(at(SET_IMAGE, name="../web"), "target_named", id="path as name"),
    pytest.param(at(SET_IMAGE, name="wеb"), "target_named", id="homoglyph name"),
    pytest.param(at(SET_IMAGE, namespace=""), "target_named", id="no namespace"),
    pytest.param(at(SET_IMAGE, namespace="../kube-system"), "target_named", id="path as namespace"),
    pytest.param(at(SET_IMAGE, kind="Node"), "target_kind", id="cluster-scoped"),
    pytest.param(at(SET_IMAGE, kind="Secret"), "target_kind", id="Secret"),
    pytest.param(at(SET_IMAGE, kind="Job"), "target_kind", id="Job"),
    pytest.param(at(SET_IMAGE, kind="Pod"), "target_kind", id="workload action on a pod"),
    pytest.param(DeletePod(target=TARGET), "target_kind", id="pod action on a workload"),
    pytest.param(at(SET_IMAGE, namespace="kube-system"), "namespace_not_protected", id="kube-system"),
    pytest.param(at(SET_IMAGE, namespace="payments"), "target_in_incident", id="another namespace"),
    pytest.param(at(SET_IMAGE, name="payments"), "target_in_incident", id="another workload"),
    pytest.param(at(SET_IMAGE, uid="uid-other"), "target_in_incident", id="made-up uid"),
    pytest.param(at(SET_IMAGE, kind="StatefulSet"), "target_in_incident", id="another kind of the name"),
    pytest.param(at(DeletePod(target=POD), name="payments-1"), "target_in_incident", id="pod of another workload"),
    pytest.param(at(DeletePod(target=POD), uid="uid-web-9"), "target_in_incident", id="another pod of the name"),
    pytest.param(replace(SET_IMAGE, container="nope"), "container_exists", id="absent container"),
    pytest.param(replace(SET_IMAGE, image="a b"), "image_well_formed", id="image with a blank"),
]  # fmt: skip


@pytest.mark.inv(23, 26)
@pytest.mark.parametrize(("action", "check"), REFUSED)
def test_a_target_or_value_outside_the_incident_is_refused(make: Any, action: Action, check: str) -> None:
    found = verdict(make, action)
    assert not found.admitted
    assert not found.autonomous
    assert check in objections(found)


SITUATIONS: list[tuple[str, Callable[[Any], dict[str, Any]], str]] = [
    (
        "own namespace",
        lambda m: {"facts": m.facts(protected_namespaces=frozenset({"shop"}))},
        "namespace_not_protected",
    ),
    ("alert of another namespace", lambda m: {"facts": m.facts(alert_namespace="other")}, "target_in_incident"),
    ("alert without namespace", lambda m: {"facts": m.facts(alert_namespace="")}, "target_in_incident"),
    (
        "root of another name",
        lambda m: {"facts": m.facts(root=replace(TARGET, name="api"))},
        "target_in_incident",
    ),
    (
        "root made anew since",
        lambda m: {"facts": m.facts(root=replace(TARGET, uid="uid-before"))},
        "target_in_incident",
    ),
    ("root gone", lambda m: {"snapshot": m.snapshot(gone=True)}, "target_in_incident"),
    ("root not read", lambda m: {"snapshot": m.snapshot(live=None)}, "target_in_incident"),
    (
        "object opted out",
        lambda m: {"snapshot": m.snapshot(m.deployment(metadata__annotations={"clopus.dev/ignore": "true"}))},
        "not_opted_out",
    ),
    (
        "namespace opted out",
        lambda m: {"snapshot": m.snapshot(namespace_annotations={"clopus.dev/ignore": "true"})},
        "not_opted_out",
    ),
    ("namespace not read", lambda m: {"snapshot": m.snapshot(namespace_labels=None)}, "not_opted_out"),
    (
        "own object",
        lambda m: {"snapshot": m.snapshot(m.deployment(metadata__labels={"app.kubernetes.io/name": "clopus"}))},
        "target_not_own",
    ),
]


@pytest.mark.inv(26)
@pytest.mark.parametrize(("given", "check"), [s[1:] for s in SITUATIONS], ids=[s[0] for s in SITUATIONS])
def test_what_is_protected_is_refused_whatever_the_rule_says(
    make: Any, given: Callable[[Any], dict[str, Any]], check: str
) -> None:
    found = verdict(make, **given(make))
    assert not found.admitted
    assert check in objections(found)


def test_a_namespace_that_was_not_read_is_named_as_the_reason(make: Any) -> None:
    found = verdict(make, snapshot=make.snapshot(namespace_labels=None))
    assert "namespace shop was not read" in next(c.detail for c in found.objections if c.name == "not_opted_out")


def test_a_root_known_by_name_only_is_taken_as_it_is_now(make: Any) -> None:
    assert verdict(make, facts=make.facts(root=replace(TARGET, uid=""))).admitted


def test_kube_system_stays_protected_when_the_settings_forget_it(make: Any) -> None:
    facts = make.facts(protected_namespaces=frozenset(), alert_namespace="kube-system")
    found = verdict(make, at(SET_IMAGE, namespace="kube-system"), facts=facts)
    assert "namespace_not_protected" in objections(found)


OBJECTIONS: list[tuple[str, Callable[[Any], dict[str, Any]], str]] = [
    ("dry-run mode", lambda m: {"mode": Mode.DRY_RUN}, "mode_autonomous"),
    ("kill switch", lambda m: {"facts": m.facts(kill_switch=True)}, "kill_switch_off"),
    ("breaker", lambda m: {"facts": m.facts(breaker="two failed verifications")}, "breaker_closed"),
    ("action not in the rule", lambda m: {"rule": m.rule(actions=("undo_rollout",))}, "action_allowed"),
    ("rule without actions", lambda m: {"rule": m.rule(actions=())}, "action_allowed"),
    ("risk over the ceiling", lambda m: {"rule": m.rule(max_risk=Risk.LOW)}, "risk_ceiling"),
    ("workload budget", lambda m: {"facts": m.facts(workload_actions=1)}, "budget_workload"),
    ("namespace budget", lambda m: {"facts": m.facts(namespace_actions=3)}, "budget_namespace"),
    ("cluster budget", lambda m: {"facts": m.facts(cluster_actions=10)}, "budget_cluster"),
    (
        "budget of nothing",
        lambda m: {"rule": m.rule(budget=Budget(per_workload=Rate(count=0, seconds=60)))},
        "budget_workload",
    ),
    ("change in flight", lambda m: {"facts": m.facts(workload_in_flight=True)}, "concurrent_workload"),
    ("rule in flight", lambda m: {"facts": m.facts(rule_in_flight=1)}, "concurrent_rule"),
    ("no evidence", lambda m: {"proposal": m.proposal(evidence=())}, "evidence_cited"),
    ("no finding", lambda m: {"proposal": m.proposal(finding="")}, "evidence_cited"),
    ("a model alone", lambda m: {"proposal": m.proposal(suggested_by=("claude",))}, "detector_agrees"),
    ("nobody on record", lambda m: {"proposal": m.proposal(suggested_by=())}, "detector_agrees"),
    ("a name like the detectors'", lambda m: {"proposal": m.proposal(suggested_by=("heuristiс",))}, "detector_agrees"),
    ("truncated alerts", lambda m: {"facts": m.facts(truncated_alerts=1)}, "alerts_complete"),
    ("shared cause", lambda m: {"facts": m.facts(shared_cause="image/shop/web:1.9")}, "cause_not_shared"),
    (
        "image nobody has run",
        lambda m: {"proposal": m.proposal(replace(SET_IMAGE, image="evil.example/web:1"))},
        "image_vouched",
    ),
    (
        "Argo CD",
        lambda m: {"snapshot": m.snapshot(m.deployment(metadata__labels={"argocd.argoproj.io/instance": "shop"}))},
        "owner_will_revert",
    ),
    (
        "Flux",
        lambda m: {"snapshot": m.snapshot(m.deployment(metadata__labels={"kustomize.toolkit.fluxcd.io/name": "shop"}))},
        "owner_will_revert",
    ),
]


@pytest.mark.inv(27, 28, 40, 44)
@pytest.mark.parametrize(("given", "check"), [o[1:] for o in OBJECTIONS], ids=[o[0] for o in OBJECTIONS])
def test_each_objection_alone_leaves_the_plan_to_a_human(
    make: Any, given: Callable[[Any], dict[str, Any]], check: str
) -> None:
    found = verdict(make, **given(make))
    assert found.admitted
    assert not found.autonomous
    assert objections(found) == {check}


@pytest.mark.inv(40)
def test_policy_may_approve_what_a_detector_and_a_model_suggest(make: Any) -> None:
    assert verdict(make, proposal=make.proposal(suggested_by=("heuristic", "claude"))).autonomous


@pytest.mark.inv(40)
@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("claude",), "suggested by a language model (claude) alone: no detector supports it"),
        (
            ("claude", "openai_compatible"),
            "suggested by a language model (claude) and a language model (openai_compatible) alone: "
            "no detector supports it",
        ),
        (("drill",), "suggested by an exercise (drill) alone: no detector supports it"),
        ((), "suggested by nobody on record: no detector supports it"),
        (("heuristic", "claude"), "the detectors suggest it"),
    ],
)
def test_who_suggests_an_action_is_named(make: Any, names: tuple[str, ...], told: str) -> None:
    found = verdict(make, proposal=make.proposal(suggested_by=names))
    assert next(check.detail for check in found.checks if check.name == "detector_agrees") == told


@pytest.mark.inv(40, 44)
def test_a_model_alone_without_evidence_meets_both_objections(make: Any) -> None:
    found = verdict(make, proposal=make.proposal(suggested_by=("claude",), evidence=()))
    assert objections(found) == {"detector_agrees", "evidence_cited"}


@pytest.mark.inv(33)
def test_an_action_without_an_inverse_always_waits_for_a_human(make: Any) -> None:
    found = verdict(make, DeletePod(target=POD))
    assert found.admitted
    assert objections(found) == {"reversible"}


VOUCHED: list[tuple[str, str, Callable[[Any], dict[str, Any]]]] = [
    ("earlier revision", "registry.local/web:1", lambda m: {}),
    (
        "healthy elsewhere",
        "registry.local/web:3",
        lambda m: {"snapshot": m.snapshot(healthy_images={"registry.local/web:3": POD})},
    ),
    ("rule", "registry.local/web:4", lambda m: {"rule": m.rule(images=("registry.local/*",))}),
]


@pytest.mark.parametrize(("image", "given"), [v[1:] for v in VOUCHED], ids=[v[0] for v in VOUCHED])
def test_an_image_is_vouched_for(make: Any, image: str, given: Callable[[Any], dict[str, Any]]) -> None:
    assert verdict(make, replace(SET_IMAGE, image=image), **given(make)).autonomous


def test_an_image_of_another_container_vouches_for_nothing(make: Any) -> None:
    found = verdict(make, replace(SET_IMAGE, image="registry.local/metrics:1"))
    assert objections(found) == {"image_vouched"}


def test_a_glob_of_the_rule_is_matched_over_the_whole_reference(make: Any) -> None:
    action = replace(SET_IMAGE, image="evil.example/registry.local/web:4")
    assert not verdict(make, action, rule=make.rule(images=("registry.local/*",))).autonomous


def owned(make: Any, manager: str, path: str, *, operation: str = "Apply") -> Any:
    snapshot = make.snapshot()
    owner = FieldOwner(
        manager=manager, operation=operation, at=datetime(2026, 1, 1, tzinfo=UTC), paths=frozenset({path})
    )
    return make.snapshot(live=replace(snapshot.live, owners=(owner,)))


@pytest.mark.inv(30)
@pytest.mark.parametrize(
    ("manager", "operation", "path", "objects"),
    [
        ("platform-sync", "Apply", "/spec/template/spec/containers[web]/image", True),
        ("platform-sync", "Apply", "/spec/template/spec/containers[metrics]/image", False),
        ("platform-sync", "Apply", "/spec/template/spec/containers[web]/imagePullPolicy", False),
        ("platform-sync", "Apply", "/spec/template", True),
        ("platform-sync", "Update", "/spec/template/spec/containers[web]/image", False),
        ("kubectl", "Apply", "/spec/template/spec/containers[web]/image", False),
        ("kubectl-client-side-apply", "Update", "/spec/template/spec/containers[web]/image", False),
        ("clopus", "Apply", "/spec/template/spec/containers[web]/image", False),
        ("helm", "Update", "/spec/template/spec/containers[web]/image", False),
        ("kubectlish", "Apply", "/spec/template/spec/containers[web]/image", True),
        ("argocd-controller", "Apply", "/spec/template/spec/containers[web]/image", True),
    ],
)
def test_a_manager_that_applies_the_touched_field_bars_autonomy(
    make: Any, manager: str, operation: str, path: str, objects: bool
) -> None:
    found = verdict(make, snapshot=owned(make, manager, path, operation=operation))
    assert found.admitted
    assert ("owner_will_revert" in objections(found)) is objects


@pytest.mark.inv(22)
def test_a_resource_proposal_cannot_carry_anything_but_resources(make: Any) -> None:
    action = SetResources(target=TARGET, container="web", memory_limit='1Gi", "image": "evil')
    assert not verdict(make, action).admitted


def test_refusals_come_without_objections_and_say_why(make: Any) -> None:
    found = verdict(make, RestartRollout(target=replace(TARGET, name="payments")), mode=Mode.AUTONOMOUS)
    assert {check.name for check in found.objections} == {"target_in_incident"}
    assert all(check.detail for check in found.checks)


def test_the_names_of_the_checks_are_unique(make: Any) -> None:
    names = [check.name for check in verdict(make).checks]
    assert len(names) == len(set(names))
