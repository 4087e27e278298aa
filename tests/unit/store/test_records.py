"""Every record comes back from its table as it went in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from responder.domain.errors import IllegalTransition, NotFound
from responder.domain.execution import ExecutionKind, ExecutionOutcome, Verdict, VerdictKind
from responder.domain.incident import ACTIVE_STATES, Outcome, State
from responder.domain.investigation import Consulted
from responder.domain.mode import ModeSettings
from responder.domain.plan import PlanState
from responder.domain.rule import Matcher, MatchOp, Mode
from responder.domain.silence import Silence
from responder.store import (
    audit,
    decisions,
    executions,
    incidents,
    investigations,
    modes,
    plans,
    rule_sets,
    silences,
)
from responder.store.connection import Connection


@pytest.mark.parametrize(
    "table",
    [
        audit._TABLE,
        decisions._TABLE,
        executions._TABLE,
        executions._VERIFICATIONS,
        incidents._TABLE,
        investigations._TABLE,
        investigations._EVIDENCE,
        investigations._STEPS,
        investigations._FINDINGS,
        modes._TABLE,
        plans._TABLE,
        plans._CHANGES,
        plans._APPROVALS,
        rule_sets._TABLE,
        silences._TABLE,
    ],
    ids=lambda table: table.name,
)
def test_columns_of_a_record_are_the_columns_of_its_table(table: Any, columns_of: Callable[[str], set[str]]) -> None:
    assert set(table.columns) == columns_of(table.name)


def test_incident_comes_back_as_stored(con: Connection, make: Any) -> None:
    incident = make.incident(state=State.ESCALATED, outcome=Outcome.UNFIXABLE, resolved_at=make.at(5), attempts=2)
    incidents.insert(con, incident)
    assert incidents.get(con, "inc-1") == incident


def test_incident_without_object_comes_back_without_object(con: Connection, make: Any) -> None:
    incidents.insert(con, make.incident(root=None))
    assert incidents.get(con, "inc-1").root is None


def test_updated_incident_replaces_the_stored_one(con: Connection, make: Any) -> None:
    incidents.insert(con, make.incident())
    moved = make.incident(state=State.INVESTIGATING, updated_at=make.at(9))
    incidents.update(con, moved)
    assert incidents.get(con, "inc-1") == moved


def test_update_of_an_unknown_incident_is_refused(con: Connection, make: Any) -> None:
    with pytest.raises(NotFound, match="inc-1"):
        incidents.update(con, make.incident())


def test_second_unresolved_incident_of_a_key_is_refused(con: Connection, make: Any) -> None:
    incidents.insert(con, make.incident())
    with pytest.raises(IllegalTransition, match="inc-1 is still open"):
        incidents.insert(con, make.incident(id="inc-2"))


def test_key_is_free_again_once_its_incident_is_resolved(con: Connection, make: Any) -> None:
    incidents.insert(con, make.incident(state=State.RESOLVED, resolved_at=make.at(3)))
    incidents.insert(con, make.incident(id="inc-2"))
    found = incidents.find_open(con, make.web.key)
    assert found is not None
    assert found.id == "inc-2"
    ended = incidents.resolved_at(con, [make.web.key, "Deployment/shop/other"])
    assert {key: at.replace(tzinfo=UTC) for key, at in ended.items()} == {make.web.key: make.at(3)}


def test_investigation_comes_back_with_its_evidence_steps_and_findings(con: Connection, make: Any) -> None:
    investigation = make.investigation()
    investigations.insert(con, investigation)
    assert investigations.get(con, "inv-1") == investigation


def test_investigations_of_an_incident_come_oldest_first(con: Connection, make: Any) -> None:
    for number in (2, 1, 3):
        investigations.insert(con, make.investigation(id=f"inv-{number}", number=number))
    assert [i.number for i in investigations.of_incident(con, "inc-1")] == [1, 2, 3]
    latest = investigations.latest(con, "inc-1")
    assert latest is not None
    assert latest.number == 3


def test_plan_comes_back_with_its_changes(con: Connection, make: Any) -> None:
    plan = make.plan()
    plans.insert(con, plan)
    assert plans.get(con, "pln-1") == plan


def test_only_a_proposed_plan_is_open(con: Connection, make: Any) -> None:
    plans.insert(con, make.plan())
    plans.insert(con, make.plan(id="pln-2", created_at=make.at(1)))
    plans.set_state(con, "pln-2", PlanState.REJECTED)
    latest = plans.latest_open(con, "inc-1")
    assert latest is not None
    assert latest.id == "pln-1"


def test_state_of_an_unknown_plan_is_refused(con: Connection) -> None:
    with pytest.raises(NotFound):
        plans.set_state(con, "pln-9", PlanState.STALE)


@pytest.mark.inv(38)
def test_same_person_on_two_sessions_counts_once(con: Connection, make: Any) -> None:
    first = plans.add_approval(con, make.approval())
    second = plans.add_approval(con, make.approval(id="app-2"))
    assert (second, plans.approvals(con, "pln-1")) == (first, (first,))


@pytest.mark.inv(37)
def test_consumed_approvals_count_no_more_but_stay_on_record(con: Connection, make: Any) -> None:
    plans.add_approval(con, make.approval())
    plans.consume_approvals(con, "pln-1")
    assert plans.approvals(con, "pln-1") == ()
    assert plans.approvals(con, "pln-1", consumed=True) == (make.approval(),)


def test_execution_comes_back_byte_for_byte(con: Connection, make: Any) -> None:
    execution = make.execution()
    executions.insert_intent(con, execution)
    assert executions.get(con, "exe-1") == execution
    assert executions.pending(con) == (execution,)


def test_outcome_completes_the_intent(con: Connection, make: Any) -> None:
    executions.insert_intent(con, make.execution())
    done = make.execution(
        outcome=ExecutionOutcome.APPLIED, outcome_at=make.at(1), base_hash_after="c" * 64, generation_after=7
    )
    executions.record_outcome(con, done)
    assert (executions.get(con, "exe-1"), executions.pending(con)) == (done, ())


@pytest.mark.inv(13)
def test_recorded_outcome_does_not_turn_into_another(con: Connection, make: Any) -> None:
    executions.insert_intent(con, make.execution())
    executions.record_outcome(con, make.execution(outcome=ExecutionOutcome.APPLIED))
    with pytest.raises(IllegalTransition, match="applied already"):
        executions.record_outcome(con, make.execution(outcome=ExecutionOutcome.NOT_APPLIED))


@pytest.mark.inv(12)
def test_execution_id_is_taken_once(con: Connection, make: Any) -> None:
    executions.insert_intent(con, make.execution())
    with pytest.raises(IllegalTransition, match="exists already"):
        executions.insert_intent(con, make.execution())


def test_verification_comes_back_as_stored(con: Connection, make: Any) -> None:
    look = make.verification(verdict=VerdictKind.REVERTED)
    look = replace(look, verdict=Verdict(kind=VerdictKind.REVERTED, reason="r", other_manager="helm", regression=True))
    executions.add_verification(con, look)
    assert executions.verifications(con, "exe-1") == (look,)


def test_modes_are_the_defaults_until_someone_sets_them(con: Connection) -> None:
    assert modes.get(con) == ModeSettings()


def test_last_mode_setting_holds(con: Connection, make: Any) -> None:
    settings = ModeSettings(
        ceiling=Mode.DRY_RUN,
        namespaces={"shop": Mode.REPORT},
        kill_switch=True,
        breakers={"*": "two in a row"},
        breakers_reset_at=make.t0,
        reason="deploy freeze",
        set_by="ada",
    )
    modes.put(con, ModeSettings(ceiling=Mode.REPORT))
    modes.put(con, settings)
    assert modes.get(con) == settings


def test_decision_comes_back_with_its_reasons(con: Connection, make: Any) -> None:
    asked = (Consulted(analyzer="claude", answered=False, why="no key"),)
    decisions.insert(
        con, incident_id="inc-1", at=make.t0, rule="r", mode="report", rule_set="d", why=("a", "b"), consulted=asked
    )
    (found,) = decisions.of_incident(con, "inc-1")
    assert (found.why, found.consulted) == (("a", "b"), asked)


def test_time_without_zone_is_refused(con: Connection, make: Any) -> None:
    with pytest.raises(ValueError, match="without zone"):
        incidents.insert(con, make.incident(opened_at=datetime(2026, 1, 1)))  # noqa: DTZ001 - the point of the test


def test_times_are_stored_in_utc(con: Connection, make: Any) -> None:
    east = datetime.fromisoformat("2026-03-01T14:00:00+05:30")
    incidents.insert(con, make.incident(opened_at=east))
    assert con.execute("SELECT opened_at FROM incidents").fetchone() == (datetime(2026, 3, 1, 8, 30),)  # noqa: DTZ001
    assert incidents.get(con, "inc-1").opened_at == east.astimezone(UTC)


# Budgets, breakers, silences.


@pytest.mark.inv(27)
@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, 3),
        ({"namespace": "shop"}, 2),
        ({"workload_key": "Deployment/shop/web"}, 2),
        ({"workload_key": "Deployment/shop/api"}, 0),
        ({"workload_key": "Node/n1"}, 1),
    ],
)
def test_budget_counts_changes_of_the_workload_and_of_its_pods(
    con: Connection, make: Any, where: dict[str, str], expected: int
) -> None:
    incidents.insert(con, make.incident())
    pod = replace(make.web, kind="Pod", name="web-1")
    node = replace(make.web, kind="Node", namespace="", name="n1")
    outcomes = ExecutionOutcome
    for number, (target, incident_id, outcome, kind, seconds) in enumerate(
        [
            (make.web, "inc-1", outcomes.APPLIED, ExecutionKind.APPLY, 0),
            (pod, "inc-1", outcomes.UNKNOWN, ExecutionKind.APPLY, 1),
            (node, "inc-2", outcomes.PENDING, ExecutionKind.APPLY, 2),
            (make.web, "inc-1", outcomes.NOT_APPLIED, ExecutionKind.APPLY, 3),
            (make.web, "inc-1", outcomes.APPLIED, ExecutionKind.ROLLBACK, 4),
            (make.web, "inc-1", outcomes.APPLIED, ExecutionKind.APPLY, -100),
        ]
    ):
        intent = make.execution(
            id=f"exe-{number}",
            incident_id=incident_id,
            kind=kind,
            change=make.change(target=target),
            intent_at=make.at(seconds),
        )
        executions.insert_intent(con, intent)
        executions.record_outcome(con, replace(intent, outcome=outcome))
    assert executions.count_since(con, make.t0, **where) == expected
    assert len(executions.recent(con, since=make.t0, **where)) == expected


def test_applied_change_is_in_flight_until_its_incident_is_done(con: Connection, make: Any) -> None:
    incidents.insert(con, make.incident(state=State.VERIFYING))
    executions.insert_intent(con, make.execution())
    executions.record_outcome(con, make.execution(outcome=ExecutionOutcome.APPLIED))
    assert [e.id for e in executions.in_flight(con)] == ["exe-1"]
    incidents.update(con, make.incident(state=State.RESOLVED))
    assert executions.in_flight(con) == ()


def test_verdicts_come_newest_first_and_only_the_last_of_each_change(con: Connection, make: Any) -> None:
    for number, verdict in enumerate([VerdictKind.PASSED, VerdictKind.FAILED, VerdictKind.UNKNOWN]):
        executions.insert_intent(con, make.execution(id=f"exe-{number}"))
        look = make.verification(VerdictKind.PENDING, execution_id=f"exe-{number}")
        executions.add_verification(con, look)
        judged = make.verification(verdict, execution_id=f"exe-{number}", number=2, at=make.at(100 + number))
        executions.add_verification(con, judged)
    assert executions.recent_verdicts(con, 2) == (VerdictKind.UNKNOWN, VerdictKind.FAILED)
    assert executions.recent_verdicts(con, 9, since=make.at(102)) == (VerdictKind.UNKNOWN,)


@pytest.mark.parametrize(
    ("key", "matchers", "covered"),
    [
        ("Deployment/shop/web", (), True),
        ("Deployment/shop/api", (), False),
        ("", (Matcher(label="alertname", op=MatchOp.EQUAL, value="A"),), True),
        ("", (Matcher(label="alertname", op=MatchOp.NOT_EQUAL, value="A"),), False),
        ("", (Matcher(label="alertname", op=MatchOp.MATCHES, value="A|B"),), True),
        ("", (Matcher(label="quote", op=MatchOp.MATCHES, value="o"),), False),
        ("", (Matcher(label="absent", op=MatchOp.NOT_MATCHES, value=".+"),), True),
    ],
)
def test_silence_covers_by_key_or_by_every_matcher(
    con: Connection, make: Any, key: str, matchers: tuple[Matcher, ...], covered: bool
) -> None:
    silence = Silence(
        id="sil-1", incident_key=key, matchers=matchers, author="ada", created_at=make.t0, expires_at=make.at(60)
    )
    silences.insert(con, silence)
    assert (silences.matching(con, make.incident(), make.at(1)) == silence) is covered
    assert silences.matching(con, make.incident(), make.at(61)) is None


def test_silence_that_would_cover_everything_is_refused(con: Connection, make: Any) -> None:
    with pytest.raises(IllegalTransition, match="cover everything"):
        silences.insert(con, Silence(id="s", author="ada", created_at=make.t0, expires_at=make.at(9)))


def test_silence_with_a_broken_pattern_is_refused(con: Connection, make: Any) -> None:
    broken = (Matcher(label="a", op=MatchOp.MATCHES, value="("),)
    with pytest.raises(ValueError, match="no valid pattern"):
        silences.insert(con, Silence(id="s", matchers=broken, author="ada", created_at=make.t0, expires_at=make.at(9)))


def test_expired_silence_covers_nothing(con: Connection, make: Any) -> None:
    silence = Silence(id="s", incident_key="k", author="ada", created_at=make.t0, expires_at=make.at(60))
    silences.insert(con, silence)
    silences.expire(con, "s", make.at(5))
    assert silences.in_force(con, make.at(6)) == ()
    with pytest.raises(NotFound):
        silences.expire(con, "s", make.at(7))


@pytest.mark.inv(13)
@pytest.mark.parametrize(
    ("state", "outcome", "has_work"),
    [
        *((state, None, True) for state in (*sorted(ACTIVE_STATES), State.SUPPRESSED)),
        (State.ESCALATED, None, False),
        (State.ESCALATED, ExecutionOutcome.PENDING, True),
        (State.ESCALATED, ExecutionOutcome.APPLIED, False),
        (State.RESOLVED, ExecutionOutcome.PENDING, False),
    ],
)
def test_incident_has_work_while_a_step_or_an_outcome_is_due(
    con: Connection, make: Any, state: State, outcome: ExecutionOutcome | None, has_work: bool
) -> None:
    incidents.insert(con, make.incident(state=state))
    if outcome is not None:
        executions.insert_intent(con, make.execution())
        executions.record_outcome(con, make.execution(outcome=outcome))
    assert incidents.with_work(con) == (("inc-1",) if has_work else ())
