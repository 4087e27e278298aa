"""What a model's answer leads to: one run per question, a plan that policy or a person decides on, a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from responder.domain.execution import VerdictKind
from responder.domain.incident import Outcome, State
from responder.domain.plan import PlanState
from responder.sandbox.providers.script import Turn, requests, turns

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROTOCOLS = ("claude", "openai_compatible")
STARTS_AT = "2026-11-23T11:00:00Z"
CRASHES = "image: 'registry.example/shop/ledger:1.0'"
NEVER_READY = "readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}"
"""Without it a crashing container counts as ready for the moment that it runs."""
RUNS = "registry.example/shop/web:1.4"


def set_image(namespace: str, name: str, image: str) -> Mapping[str, Any]:
    target = {"kind": "Deployment", "namespace": namespace, "name": name}
    return {"kind": "set_image", "target": target, "container": "app", "image": image}


async def test_an_alert_that_joins_meanwhile_does_not_have_the_model_asked_twice_and_an_operator_does(
    house: Any, provider: Any, rule: Any, ailing: str, conclusion: Any, until: Any
) -> None:
    slow = Turn(calls=conclusion().calls, delay_seconds=1.5)
    model = await provider("claude", turns(slow))
    clopus = await house(rule("claude"), claude=model)
    key = await clopus.alert(ailing, "silent")
    await until(lambda: model.requests, "the model is not asked")
    await clopus.alert(ailing, "silent", name="KubeDeploymentReplicasMismatch")
    detail = await clopus.ended(key)
    assert len(detail.alerts) == 2
    assert len(model.requests) == 1
    assert [(c.analyzer, c.answered) for c in detail.decisions[-1].consulted] == [("claude", True)]

    await clopus.investigate(detail.incident.id)
    await until(lambda: len(model.requests) == 2, "the model is not asked again")
    again = await clopus.until(
        key, lambda i: i.state is State.ESCALATED and i.updated_at > detail.incident.updated_at, "done again"
    )
    assert len(model.requests) == 2
    assert again.decisions[-1].consulted[0].why == "the rule asks it always"


async def test_an_alert_that_resolves_meanwhile_ends_the_incident_and_nothing_is_proposed(
    house: Any, provider: Any, rule: Any, ailing: str, conclusion: Any, until: Any
) -> None:
    slow = Turn(calls=conclusion(set_image(ailing, "silent", RUNS)).calls, delay_seconds=1.5)
    model = await provider("claude", turns(slow))
    clopus = await house(rule("claude", mode="dry-run"), claude=model)
    key = await clopus.alert(ailing, "silent", startsAt=STARTS_AT)
    await until(lambda: model.requests, "the model is not asked")
    await clopus.alert(ailing, "silent", startsAt=STARTS_AT, status="resolved")
    detail = await clopus.ended(key)
    assert (detail.incident.state, detail.incident.outcome) == (State.RESOLVED, Outcome.ALERT_RESOLVED)
    (run,) = await until(
        lambda: clopus.rows("SELECT ended_at FROM investigations WHERE analyzer = 'claude' AND ended_at IS NOT NULL"),
        "the run does not end",
    )
    assert run
    after = await clopus.detail(detail.incident.id)
    assert (after.incident.state, after.plans) == (State.RESOLVED, ())


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_the_second_run_is_told_what_the_first_change_was(
    house: Any, provider: Any, rule: Any, shop: Any, conclusion: Any, protocol: str
) -> None:
    namespace = await shop.deploy("healthy", "two-faults")
    model = await provider(protocol, turns(conclusion()))
    clopus = await house(rule(protocol, mode="autonomous"), **{protocol: model})
    detail = await clopus.ended(await clopus.alert(namespace, "two-faults"))
    assert detail.incident.outcome is Outcome.FIXED, detail.incident.summary
    first, second = (request.conversation.questions[0] for request in model.requests)
    assert "Changes that this incident has had already" not in first
    assert "Changes that this incident has had already" in second
    assert "set_image(" in second.partition("Changes that this incident has had already")[2]
    assert "verification progressed" in second
    reasoning = await clopus.reasoning(detail.incident.id)
    assert [(a.action.kind, a.verdict) for a in reasoning.attempts] == [
        ("set_image", "progressed"),
        ("set_probe", "passed"),
    ]
    assert "nginx:1.27" in reasoning.attempts[0].diff
    assert [run.analyzer for run in reasoning.investigations] == ["heuristic", protocol] * 2


@pytest.mark.inv(40)
async def test_what_the_detectors_suggest_too_policy_may_approve(
    house: Any, provider: Any, rule: Any, shop: Any, conclusion: Any
) -> None:
    namespace = await shop.deploy("healthy", "typo")
    model = await provider("claude", turns(conclusion(set_image(namespace, "typo", "nginx:1.27"))))
    clopus = await house(rule("claude", mode="autonomous"), claude=model)
    detail = await clopus.ended(await clopus.alert(namespace, "typo"))
    assert detail.incident.outcome is Outcome.FIXED
    (view,) = detail.plans
    assert [approval.kind for approval in view.approvals] == ["policy"]
    assert len(shop.writes(namespace)) == 1


@pytest.mark.inv(40)
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_what_a_model_alone_suggests_waits_for_a_person_and_is_verified_like_anything(
    house: Any, provider: Any, rule: Any, shop: Any, conclusion: Any, protocol: str
) -> None:
    namespace = await shop.deploy("healthy", ledger=CRASHES)
    model = await provider(protocol, turns(conclusion(set_image(namespace, "ledger", RUNS))))
    clopus = await house(rule(protocol, mode="autonomous"), **{protocol: model})
    key = await clopus.alert(namespace, "ledger")
    waiting = await clopus.until(key, lambda i: i.state is State.AWAITING_APPROVAL, "waiting")
    (view,) = waiting.plans
    warned = [check.detail for check in view.plan.checks if not check.passed]
    assert any("detector" in detail for detail in warned), warned
    assert (view.plan.finding, shop.writes(namespace)) == ("model.bad_flag", [])

    await clopus.approve(view.plan)
    detail = await clopus.ended(key)
    assert (detail.incident.state, detail.incident.outcome) == (State.RESOLVED, Outcome.FIXED)
    assert shop.image(namespace, "ledger") == RUNS
    assert [a.approver for a in detail.plans[0].approvals] == ["olga"]


@pytest.mark.parametrize("answers", ["model.bad_flag", "crash.unfixable"])
async def test_a_models_change_that_does_not_help_is_taken_back_even_where_another_fault_shows_now(
    house: Any, provider: Any, rule: Any, shop: Any, conclusion: Any, answers: str
) -> None:
    """The image that it names does not exist: the crash is gone, and nothing is better."""
    namespace = await shop.deploy("healthy", ledger=f"{CRASHES}, {NEVER_READY}")
    answer = conclusion(set_image(namespace, "ledger", "registry.example/shop/web:9.9"))
    (call,) = answer.calls
    (finding,), (proposal,) = call.arguments["findings"], call.arguments["proposals"]
    finding["fault"] = proposal["answers"] = answers
    model = await provider("claude", requests(answer))
    clopus = await house(rule("claude", mode="dry-run", verify="{settle: 1s, within: 6s}"), claude=model)
    key = await clopus.alert(namespace, "ledger")
    waiting = await clopus.until(key, lambda i: i.state is State.AWAITING_APPROVAL, "waiting")
    await clopus.approve(waiting.plans[0].plan)
    detail = await clopus.ended(key)
    assert (detail.incident.state, detail.incident.outcome) == (State.ESCALATED, Outcome.ROLLED_BACK)
    assert shop.image(namespace, "ledger") == "registry.example/shop/ledger:1.0"
    verdicts = {look.verdict.kind for look in detail.executions[0].verifications}
    assert not verdicts & {VerdictKind.PASSED, VerdictKind.PROGRESSED}
    assert [view.plan.state for view in detail.plans] == [PlanState.APPLIED]
