"""Runs that are on record while they go on: begun, added to, finished or cut."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from responder.domain.errors import IllegalTransition, NotFound
from responder.domain.execution import ExecutionOutcome, VerdictKind
from responder.domain.investigation import (
    Conclusion,
    Evidence,
    EvidenceKind,
    Investigation,
    Step,
    StepKind,
    Usage,
)
from responder.domain.plan import PlanState
from responder.store import attempts, executions, investigations, plans, spending
from responder.store.connection import Connection
from responder.store.spending import Caps, Reservation

USAGE = Usage(input_tokens=10, cache_read_tokens=20, cache_write_tokens=5, output_tokens=7)


def running(make: Any, **fields: Any) -> Investigation:
    base = {"analyzer": "claude", "ended_at": None, "conclusion": Conclusion.UNFINISHED, "summary": "goes on"}
    empty = dict.fromkeys(("evidence", "steps", "findings", "ruled_out", "unchecked", "proposals"), ())
    found: Investigation = make.investigation(**base | empty | {"cost_usd": 0.0} | fields)
    return found


def turn(make: Any, number: int, **fields: Any) -> Step:
    base = {"kind": StepKind.TURN, "text": "", "turn": number, "usage": USAGE, "cost_usd": 0.25, "seconds": 1.5}
    return Step(**{"number": number, "at": make.at(number)} | base | fields)


def seen(make: Any, name: str) -> Evidence:
    return Evidence(id=name, kind=EvidenceKind.LOG, source="Pod/shop/web-1", observed_at=make.t0, text=name)


def test_a_run_that_goes_on_has_no_end(con: Connection, make: Any) -> None:
    investigations.begin(con, running(make))
    assert investigations.get(con, "inv-1") == running(make)


def test_a_run_begins_once(con: Connection, make: Any) -> None:
    investigations.begin(con, running(make))
    with pytest.raises(IllegalTransition, match="inv-1 exists already"):
        investigations.begin(con, running(make))


def test_what_is_added_twice_is_there_once_and_in_order(con: Connection, make: Any) -> None:
    investigations.begin(con, running(make))
    investigations.add(con, "inv-1", [turn(make, 1)], [seen(make, "e2"), seen(make, "e10")])
    investigations.add(con, "inv-1", [turn(make, 1), turn(make, 2)], [seen(make, "e10"), seen(make, "e11")])
    run = investigations.get(con, "inv-1")
    assert [step.number for step in run.steps] == [1, 2]
    assert [item.id for item in run.evidence] == ["e2", "e10", "e11"]


def test_a_step_comes_back_with_all_that_a_model_took(con: Connection, make: Any) -> None:
    step = turn(make, 1, tool="logs", call="c1", stop_reason="tool_use", evidence=("e1",))
    investigations.insert(con, make.investigation(steps=(step,), usage=USAGE, model="m", provider_seconds=2.5))
    run = investigations.get(con, "inv-1")
    assert (run.steps, run.usage, run.model, run.provider_seconds) == ((step,), USAGE, "m", 2.5)


def test_a_finding_without_support_stays_without(con: Connection, make: Any) -> None:
    first, *_ = make.investigation().findings
    investigations.insert(con, make.investigation(findings=(replace(first, unsupported=True),)))
    assert investigations.get(con, "inv-1").findings[0].unsupported


def test_finishing_adds_what_is_missing(con: Connection, make: Any) -> None:
    investigations.begin(con, running(make))
    whole = make.investigation(analyzer="claude", usage=USAGE)
    investigations.add(con, "inv-1", whole.steps[:1], whole.evidence[:1])
    investigations.finish(con, whole)
    assert investigations.get(con, "inv-1") == whole


def test_the_first_end_of_a_run_stands(con: Connection, make: Any) -> None:
    investigations.begin(con, running(make))
    whole = make.investigation(analyzer="claude", usage=USAGE)
    investigations.finish(con, whole)
    investigations.finish(con, replace(whole, summary="another", findings=()))
    assert investigations.get(con, "inv-1") == whole


def test_what_was_never_begun_cannot_be_finished(con: Connection, make: Any) -> None:
    with pytest.raises(NotFound):
        investigations.finish(con, make.investigation())


def test_a_run_that_came_to_nothing_costs_what_its_turns_did(con: Connection, make: Any) -> None:
    investigations.begin(con, running(make))
    investigations.add(con, "inv-1", [turn(make, 1), turn(make, 2)], [])
    investigations.finish(con, running(make, ended_at=make.at(9), summary="no answer: 529"))
    run = investigations.get(con, "inv-1")
    assert (run.usage, run.cost_usd, run.provider_seconds) == (USAGE + USAGE, 0.5, 3.0)


def test_a_run_whose_process_ended_keeps_what_it_had(con: Connection, make: Any) -> None:
    investigations.begin(con, running(make))
    investigations.add(con, "inv-1", [turn(make, 1)], [seen(make, "e1")])
    reservation = Reservation(
        id="r1",
        investigation_id="inv-1",
        analyzer="claude",
        model="m-1",
        namespace="shop",
        at=make.t0,
        tokens=9,
        cost_usd=1.0,
    )
    spending.reserve(con, reservation, Caps(hour_usd=9, day_usd=9, namespace_day_usd=9, day_tokens=99))
    investigations.insert(con, make.investigation(id="inv-2", number=2))
    assert investigations.cut_short(con, make.at(60)) == 1
    run = investigations.get(con, "inv-1")
    assert (run.ended_at, run.conclusion, run.summary) == (make.at(60), Conclusion.UNFINISHED, investigations.CUT)
    assert (len(run.steps), len(run.evidence)) == (1, 1)
    assert (run.usage, run.cost_usd, run.model) == (USAGE, 0.25, "m-1")
    assert investigations.cut_short(con, make.at(61)) == 0


def test_a_run_is_not_cut_before_it_began(con: Connection, make: Any) -> None:
    investigations.begin(con, running(make))
    investigations.cut_short(con, make.at(-60))
    assert investigations.get(con, "inv-1").ended_at == make.t0


def test_runs_are_counted_with_those_that_go_on(con: Connection, make: Any) -> None:
    investigations.insert(con, make.investigation())
    investigations.begin(con, running(make, id="inv-2", number=2))
    assert investigations.count(con, "inc-1") == 2


def test_an_outline_has_the_findings_and_counts_the_rest(con: Connection, make: Any) -> None:
    whole = make.investigation()
    investigations.insert(con, whole)
    (outline,) = investigations.summaries_of_incident(con, "inc-1")
    assert outline.investigation == replace(whole, evidence=(), steps=())
    assert (outline.evidence_count, outline.step_count) == (2, 1)


def test_steps_are_numbered_over_all_runs_in_the_order_in_which_they_came(con: Connection, make: Any) -> None:
    for number in (1, 2):
        investigations.begin(con, running(make, id=f"inv-{number}", incident_id=f"inc-{number}"))
    for number, run in enumerate(("inv-1", "inv-2", "inv-1", "inv-2"), start=1):
        investigations.add(con, run, [turn(make, number)], [])
    found = investigations.steps_after(con, 1)
    assert [(seq, event.investigation_id, event.step.number) for seq, event in found] == [
        (2, "inv-2", 2),
        (3, "inv-1", 3),
        (4, "inv-2", 4),
    ]
    assert [seq for seq, _ in investigations.steps_after(con, 0, incident_id="inc-1")] == [1, 3]
    assert [seq for seq, _ in investigations.steps_after(con, 0, limit=3)] == [1, 2, 3]
    assert found[0][1].step == turn(make, 2)


def test_an_attempt_is_a_plan_with_what_came_of_it(con: Connection, make: Any) -> None:
    plans.insert(con, make.plan())
    plans.insert(con, make.plan(id="pln-2", created_at=make.at(300), state=PlanState.REJECTED))
    intent = make.execution()
    executions.insert_intent(con, intent)
    executions.record_outcome(con, replace(intent, outcome=ExecutionOutcome.APPLIED))
    executions.add_verification(con, make.verification(VerdictKind.PROGRESSED))
    executions.add_verification(con, make.verification(VerdictKind.PENDING, number=2))
    first, second = attempts.of_incident(con, "inc-1")
    assert (first.plan_id, first.outcome, first.verdict, first.reason) == (
        "pln-1",
        "applied",
        "progressed",
        "3 of 3 ready",
    )
    assert first.diff == make.plan().diff
    assert (second.state, second.outcome, second.verdict) == ("rejected", "", "")
