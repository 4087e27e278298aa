"""What `GET /api/v1/rules` tells of each rule's past, and how `POST /api/v1/rules/explain` tells the way to a rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from responder.api import rules
from responder.domain.action import SetImage
from responder.domain.execution import (
    Baseline,
    Execution,
    ExecutionKind,
    ExecutionOutcome,
    Verdict,
    VerdictKind,
    Verification,
)
from responder.domain.incident import Incident, Outcome, State
from responder.domain.investigation import Conclusion, Investigation, Proposal
from responder.domain.plan import Approval, Change, Plan, PlanState
from responder.domain.refs import ObjectRef
from responder.domain.rule import ApprovalPolicy, Match, Matcher, MatchOp, Mode, Risk, Rule, RuleSet
from responder.domain.views import Explanation, RulePage, RuleRecord, RuleView
from responder.store import decisions, executions, incidents, investigations, plans
from responder.wire import loads

NOW = datetime.fromisoformat("2026-11-23T12:00:00+00:00")
WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u-1")
IMAGE = SetImage(target=WEB, container="web", image="shop/web:1.4.1")
CHANGE = Change(target=WEB, resource_version="41", base_hash="b" * 64)


def decided(con: Any, number: int, *, ago: timedelta, rule: str = "shop", proposed: bool = True) -> str:
    """An incident that the rule spoke for, and its investigation."""
    at, incident_id = NOW - ago, f"inc-{number:012}"
    incident = Incident(
        id=incident_id, key=WEB.key, root=WEB, namespace="shop", rule=rule, opened_at=at, updated_at=at,
        state=State.RESOLVED, outcome=Outcome.FIXED,
    )  # fmt: skip
    incidents.insert(con, incident)
    decisions.insert(con, incident_id=incident_id, at=at, rule=rule, mode="dry-run", rule_set="d")
    proposal = Proposal(action=IMAGE, reason="was well", finding="image.not_found", evidence=())
    run = Investigation(
        id=f"inv-{number}", incident_id=incident_id, number=1, analyzer="heuristic", started_at=at, ended_at=at,
        conclusion=Conclusion.FAULT_FOUND, summary="no image", proposals=(proposal,) if proposed else (),
    )  # fmt: skip
    investigations.insert(con, run)
    return incident_id


def planned(con: Any, number: int, incident_id: str, *, ago: timedelta, state: PlanState = PlanState.APPLIED) -> str:
    at, plan_id = NOW - ago, f"pln-{number}"
    plan = Plan(
        id=plan_id, incident_id=incident_id, investigation_id=f"inv-{number}", finding="image.not_found", action=IMAGE,
        reason="was well", changes=(CHANGE,), diff="", risk=Risk.LOW, reversible=True, state=state, digest="d" * 64,
        created_at=at, expires_at=at,
    )  # fmt: skip
    plans.insert(con, plan)
    return plan_id


def written(
    con: Any, number: int, plan_id: str, *, ago: timedelta, verdict: VerdictKind | None = VerdictKind.PASSED,
    kind: ExecutionKind = ExecutionKind.APPLY, outcome: ExecutionOutcome = ExecutionOutcome.APPLIED,
) -> None:  # fmt: skip
    intent = Execution(
        id=f"exe-{number}{'r' if kind is ExecutionKind.ROLLBACK else ''}", plan_id=plan_id, incident_id="inc",
        kind=kind, change=CHANGE, requested_by="ann", intent_at=NOW - ago, baseline=Baseline(),
    )  # fmt: skip
    executions.insert_intent(con, intent)
    executions.record_outcome(con, replace(intent, outcome=outcome))
    for look, seen in enumerate((VerdictKind.PENDING, verdict) if verdict else (), start=1):
        at = NOW - ago + timedelta(seconds=look)
        verification = Verification(
            execution_id=intent.id, number=look, at=at, elapsed_seconds=look, ready=1, desired=1, restarts=0,
            verdict=Verdict(kind=seen, reason=""),
        )  # fmt: skip
        executions.add_verification(con, verification)


def changed(con: Any, number: int, verdict: VerdictKind | None = VerdictKind.PASSED, **of_write: Any) -> str:
    """A whole way, `number` hours ago, from the decision to the verdict."""
    ago = timedelta(hours=number)
    plan_id = planned(con, number, decided(con, number, ago=ago), ago=ago)
    written(con, number, plan_id, ago=ago, verdict=verdict, **of_write)
    return plan_id


@pytest.fixture
def rule_of(api: Any) -> Callable[..., Any]:
    """Commit what a job writes, then read the rule named `shop`."""

    async def read(job: Callable[[Any], object]) -> RuleView:
        await api.services.store.write(job)
        got = await api("GET", "/api/v1/rules", by="vera")
        assert got.status == 200, got.body
        (view,) = loads(RulePage, got.body).rules
        return view

    return read


async def test_a_rule_that_never_spoke_has_an_empty_record(rule_of: Any) -> None:
    view = await rule_of(lambda con: decided(con, 1, ago=timedelta(hours=1), rule="another"))
    assert view.record == RuleRecord()
    assert "not earned yet: no change is judged" in view.trust


async def test_incidents_are_counted_for_the_rule_that_spoke_for_them(rule_of: Any) -> None:
    def job(con: Any) -> None:
        decided(con, 1, ago=timedelta(hours=30))
        decided(con, 2, ago=timedelta(hours=2), proposed=False)
        decided(con, 3, ago=timedelta(hours=1), rule="another")

    record = (await rule_of(job)).record
    assert (record.incidents, record.incidents_day, record.proposed) == (2, 1, 1)
    assert (record.last_incident, record.last_outcome) == ("inc-000000000002", "resolved fixed")
    assert record.last_at == NOW - timedelta(hours=2)


async def test_a_plan_counts_for_the_rule_that_had_spoken_when_it_was_made(rule_of: Any) -> None:
    def job(con: Any) -> None:
        incident_id = decided(con, 1, ago=timedelta(hours=3), rule="another")
        planned(con, 1, incident_id, ago=timedelta(hours=2.5))
        decisions.insert(
            con, incident_id=incident_id, at=NOW - timedelta(hours=2), rule="shop", mode="report", rule_set="d"
        )
        planned(con, 2, incident_id, ago=timedelta(hours=1))

    assert (await rule_of(job)).record.plans == 1


async def test_approvals_by_people_and_rejections_are_counted_by_plan(rule_of: Any) -> None:
    def job(con: Any) -> None:
        incident_id = decided(con, 1, ago=timedelta(hours=9))
        for number, kind in enumerate(("human", "policy"), start=1):
            plan_id = planned(con, number, incident_id, ago=timedelta(hours=8))
            for name in ("ann", "bob"):
                plans.add_approval(
                    con,
                    Approval(
                        id=f"app-{number}{name}", plan_id=plan_id, digest="d" * 64, approver=name, kind=kind,
                        decided_at=NOW, expires_at=NOW,
                    ),
                )  # fmt: skip
        planned(con, 3, incident_id, ago=timedelta(hours=7), state=PlanState.REJECTED)

    record = (await rule_of(job)).record
    assert (record.plans, record.approved_by_people, record.rejected, record.rejected_since) == (3, 1, 1, 1)


@pytest.mark.parametrize(
    ("verdict", "outcome", "passed", "failed", "in_a_row", "bad"),
    [
        (VerdictKind.PASSED, ExecutionOutcome.APPLIED, 2, 0, 2, 0),
        (VerdictKind.PROGRESSED, ExecutionOutcome.APPLIED, 2, 0, 2, 0),
        (VerdictKind.FAILED, ExecutionOutcome.APPLIED, 1, 1, 0, 1),
        (VerdictKind.UNKNOWN, ExecutionOutcome.APPLIED, 1, 1, 0, 1),
        (VerdictKind.REVERTED, ExecutionOutcome.APPLIED, 1, 1, 0, 1),
        (None, ExecutionOutcome.APPLIED, 1, 0, 1, 0),
        (None, ExecutionOutcome.NOT_APPLIED, 1, 0, 1, 0),
        (None, ExecutionOutcome.UNKNOWN, 1, 0, 0, 1),
    ],
)
async def test_the_newest_change_goes_on_with_the_row_or_ends_it(
    rule_of: Any, verdict: Any, outcome: ExecutionOutcome, passed: int, failed: int, in_a_row: int, bad: int
) -> None:
    def job(con: Any) -> None:
        changed(con, 5)
        changed(con, 1, verdict, outcome=outcome)

    record = (await rule_of(job)).record
    assert record.applied == 1 + (outcome is ExecutionOutcome.APPLIED)
    assert (record.passed, record.failed) == (passed, failed)
    assert (record.passed_in_a_row, record.recent_bad) == (in_a_row, bad)


async def test_a_change_that_was_taken_back_ends_the_row_though_it_had_passed(rule_of: Any) -> None:
    def job(con: Any) -> None:
        plan_id = changed(con, 3)
        written(con, 3, plan_id, ago=timedelta(hours=2), verdict=None, kind=ExecutionKind.ROLLBACK)
        changed(con, 1)

    record = (await rule_of(job)).record
    assert (record.applied, record.passed, record.taken_back) == (2, 2, 1)
    assert (record.passed_in_a_row, record.recent, record.recent_bad) == (1, 2, 1)


async def test_ten_good_changes_in_a_row_earn_autonomy_and_a_rejection_among_them_spoils_it(rule_of: Any) -> None:
    def good(con: Any) -> None:
        changed(con, 20, VerdictKind.FAILED)
        for number in range(1, 11):
            changed(con, number)
        planned(con, 99, f"inc-{20:012}", ago=timedelta(hours=19), state=PlanState.REJECTED)

    view = await rule_of(good)
    assert (view.record.passed_in_a_row, view.record.rejected_since, view.record.recent_bad) == (10, 0, 0)
    assert view.trust == "the last 10 changes all passed, none rejected or taken back: its autonomy is earned"


async def test_a_rejection_since_the_row_began_is_told(rule_of: Any) -> None:
    def job(con: Any) -> None:
        for number in range(1, 11):
            changed(con, number)
        planned(con, 99, f"inc-{5:012}", ago=timedelta(hours=2), state=PlanState.REJECTED)

    view = await rule_of(job)
    assert view.record.rejected_since == 1
    assert "a plan was rejected meanwhile" in view.trust


async def test_a_rule_says_everything_that_its_file_says(api: Any) -> None:
    rule = Rule(
        name="careful",
        match=Match(sources=("kubernetes",)),
        exclude=Match(alerts=("Watchdog",), matchers=(Matcher(label="team", op=MatchOp.MATCHES, value="x.*"),)),
        approval=ApprovalPolicy(approvers=2),
        analyzers=("heuristic", "claude"),
        notify=("slack",),
    )
    api.pipeline.rule_set = RuleSet(rules=(rule,), digest="d" * 64)
    (view,) = loads(RulePage, (await api("GET", "/api/v1/rules")).body).rules
    assert (view.sources, view.exclude, view.analyzers) == (("kubernetes",), rule.exclude, ("heuristic", "claude"))
    assert (view.approval, view.budget, view.verify, view.notify) == (
        rule.approval,
        rule.budget,
        rule.verify,
        ("slack",),
    )


async def test_an_explanation_tells_why_the_earlier_rules_do_not_speak(api: Any) -> None:
    name = Matcher(label="namespace", op=MatchOp.EQUAL, value="bank")
    first = Rule(name="bank", match=Match(matchers=(name,)), file="a.yaml", line=3)
    last = Rule(name="rest", mode=Mode.DRY_RUN, file="a.yaml", line=9)
    api.pipeline.rule_set = RuleSet(rules=(first, last, replace(last, name="never")), digest="d" * 64)
    got = await api("POST", "/api/v1/rules/explain", json={"labels": {"alertname": "A", "namespace": "shop"}})
    answer = loads(Explanation, got.body)
    assert answer.rule == "rest"
    assert [(one.rule, one.matches, one.line) for one in answer.asked] == [("bank", False, 3), ("rest", True, 9)]
    assert answer.asked[0].reason == 'namespace="bank" does not hold: namespace is "shop"'


async def test_where_no_rule_speaks_every_one_tells_why(api: Any) -> None:
    got = await api("POST", "/api/v1/rules/explain", json={"labels": {"alertname": "B"}})
    answer = loads(Explanation, got.body)
    assert (answer.rule, [one.matches for one in answer.asked]) == ("", [False])
    assert answer.asked[0].reason == "alert B is not listed"


async def test_records_are_counted_once_for_all_who_ask_within_a_moment(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "KEPT_SECONDS", 60.0)
    await api("GET", "/api/v1/rules")
    await api.services.store.write(lambda con: decided(con, 1, ago=timedelta(hours=1)))
    got = await api("GET", "/api/v1/rules")
    assert loads(RulePage, got.body).rules[0].record == RuleRecord()
