"""The views answer what they promise, on a small history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from importlib.resources import files
from typing import Any

import pytest

from responder.domain.alert import Delivery
from responder.domain.execution import ExecutionKind, ExecutionOutcome, VerdictKind
from responder.domain.incident import State
from responder.domain.investigation import Step, StepKind, Usage
from responder.store import arrivals, decisions, executions, incidents, investigations, plans, spending
from responder.store.connection import Connection
from responder.store.spending import Caps, Reservation

VIEWS = {
    "v_approval_latency",
    "v_changes",
    "v_cost",
    "v_fix_success",
    "v_incidents",
    "v_mttr",
    "v_reasoning",
    "v_rule_activity",
    "v_storms",
    "v_verdicts",
}


@pytest.fixture
def history(con: Connection, make: Any) -> Connection:
    """One incident fixed in 100 s, one whose fix was rolled back, one that no rule spoke for."""
    fixed = make.incident(rule="image", mode="dry-run", state=State.RESOLVED, resolved_at=make.at(100))
    incidents.insert(con, fixed)
    incidents.insert(con, make.incident(id="inc-2", key="Deployment/shop/api", rule="image", state=State.ESCALATED))
    incidents.insert(con, make.incident(id="inc-3", key="alert/shop/B", root=None))
    for number in (1, 2):
        incident_id, plan_id, execution_id = f"inc-{number}", f"pln-{number}", f"exe-{number}"
        decisions.insert(con, incident_id=incident_id, at=make.t0, rule="image", mode="dry-run", rule_set="d")
        investigations.insert(con, make.investigation(id=f"inv-{number}", incident_id=incident_id))
        plans.insert(con, make.plan(id=plan_id, incident_id=incident_id, investigation_id=f"inv-{number}"))
        plans.add_approval(con, make.approval(id=f"app-{number}", plan_id=plan_id))
        intent = make.execution(id=execution_id, plan_id=plan_id, incident_id=incident_id)
        executions.insert_intent(con, intent)
        executions.record_outcome(con, replace(intent, outcome=ExecutionOutcome.APPLIED))
        verdict = VerdictKind.PASSED if number == 1 else VerdictKind.FAILED
        executions.add_verification(con, make.verification(VerdictKind.PENDING, execution_id=execution_id))
        executions.add_verification(con, make.verification(verdict, execution_id=execution_id, number=2))
    undo = make.execution(id="exe-3", plan_id="pln-2", incident_id="inc-2", kind=ExecutionKind.ROLLBACK)
    executions.insert_intent(con, undo)
    executions.record_outcome(con, replace(undo, outcome=ExecutionOutcome.APPLIED))
    decisions.insert(con, incident_id="inc-3", at=make.at(7), rule="", mode="report", rule_set="d")
    two = (make.alert(), make.alert(fingerprint="f2"))
    arrivals.insert(con, arrivals.incoming(Delivery(alerts=two), make.t0), 1)
    make.join(con, [1, 2], "inc-1", "opens")
    return con


def rows(con: Connection, query: str) -> list[tuple[Any, ...]]:
    return con.execute(query).fetchall()


def test_every_view_says_what_its_columns_are(con: Connection, columns_of: Callable[[str], set[str]]) -> None:
    found = dict(rows(con, "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal"))
    assert set(found) == VIEWS
    for view, comment in found.items():
        unmentioned = {
            c for c in columns_of(view) if c not in comment and c not in ("day", "rule", "action", "analyzer")
        }
        assert not unmentioned, f"{view}: {unmentioned}"


def test_incidents_view_counts_what_belongs_to_each(history: Connection) -> None:
    query = "SELECT id, seconds_open, alerts, investigations, plans, executions FROM v_incidents ORDER BY id"
    assert rows(history, query) == [
        ("inc-1", 100.0, 2, 1, 1, 1),
        ("inc-2", None, 0, 1, 1, 2),
        ("inc-3", None, 0, 0, 0, 0),
    ]


def test_mttr_view_is_per_day_namespace_and_rule(history: Connection) -> None:
    assert rows(history, "FROM v_mttr") == [(date(2026, 3, 1), "shop", "image", 1, 100.0, 100.0, 100.0)]


def test_approval_latency_runs_from_plan_to_decision(history: Connection) -> None:
    query = "SELECT plan_id, rule, action, risk, approver, approval, seconds FROM v_approval_latency ORDER BY plan_id"
    assert rows(history, query) == [
        ("pln-1", "image", "set_image", "medium", "ada", "human", 30.0),
        ("pln-2", "image", "set_image", "medium", "ada", "human", 30.0),
    ]


def test_fix_success_counts_verdicts_and_rollbacks(history: Connection) -> None:
    assert rows(history, "FROM v_fix_success") == [("set_image", "image", "heuristic", 2, 1, 1, 1, 0.5, "")]


def test_cost_view_sums_money_and_time(history: Connection) -> None:
    query = "SELECT day, analyzer, model, investigations, requests, cost_usd, seconds, cached_share FROM v_cost"
    assert rows(history, query) == [(date(2026, 3, 1), "heuristic", "", 2, 0, 0.5, 4.0, None)]


def test_cost_view_tells_models_apart_and_counts_their_requests_and_tokens(history: Connection, make: Any) -> None:
    usage = Usage(input_tokens=100, cache_read_tokens=300, cache_write_tokens=0, output_tokens=50)
    for number, model in ((3, "m-1"), (4, "m-1"), (5, "m-2")):
        run = make.investigation(id=f"inv-{number}", analyzer="claude", model=model, usage=usage, provider_seconds=1.5)
        investigations.insert(history, run)
        for request in range(number):
            reservation = Reservation(
                id=f"{number}.{request}",
                investigation_id=run.id,
                analyzer="claude",
                model=model,
                namespace="shop",
                at=make.t0,
                tokens=1,
                cost_usd=0.0,
            )
            spending.reserve(history, reservation, Caps(hour_usd=1, day_usd=1, namespace_day_usd=1, day_tokens=100))
    query = (
        "SELECT model, investigations, requests, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, "
        "cached_share, cost_usd, seconds, provider_seconds FROM v_cost WHERE analyzer = 'claude' ORDER BY model"
    )
    assert rows(history, query) == [
        ("m-1", 2, 7, 200, 600, 0, 100, 0.75, 0.5, 4.0, 3.0),
        ("m-2", 1, 5, 100, 300, 0, 50, 0.75, 0.25, 2.0, 1.5),
    ]


def test_cost_view_takes_a_run_that_goes_on(con: Connection, make: Any) -> None:
    investigations.begin(con, make.investigation(ended_at=None, cost_usd=0.0))
    assert rows(con, "SELECT investigations, cost_usd, seconds FROM v_cost") == [(1, 0.0, 0.0)]


def test_reasoning_view_has_each_step(history: Connection) -> None:
    query = "SELECT incident_id, investigation, step, kind, text, evidence FROM v_reasoning ORDER BY incident_id"
    assert rows(history, query) == [
        ("inc-1", 1, 1, "verdict", "because", '["e1","e2"]'),
        ("inc-2", 1, 1, "verdict", "because", '["e1","e2"]'),
    ]


def test_reasoning_view_tells_what_a_turn_took(con: Connection, make: Any) -> None:
    step = Step(
        number=1,
        kind=StepKind.TURN,
        at=make.t0,
        text="",
        turn=2,
        tool="logs",
        call="c1",
        usage=Usage(input_tokens=1, cache_read_tokens=2, cache_write_tokens=3, output_tokens=4),
        cost_usd=0.5,
        seconds=1.25,
        stop_reason="tool_use",
    )
    investigations.insert(con, make.investigation(analyzer="claude", model="m", steps=(step,)))
    query = (
        "SELECT model, turn, tool, call, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, cost_usd, "
        "seconds, stop_reason FROM v_reasoning"
    )
    assert rows(con, query) == [("m", 2, "logs", "c1", 1, 2, 3, 4, 0.5, 1.25, "tool_use")]


def test_rule_activity_view_has_the_unmatched_too(history: Connection, make: Any) -> None:
    query = "SELECT rule, decisions, incidents, plans, executions FROM v_rule_activity ORDER BY rule"
    assert rows(history, query) == [("", 1, 1, 0, 0), ("image", 2, 2, 2, 2)]


def test_storms_view_has_shared_incidents_only(history: Connection, make: Any) -> None:
    shared = make.incident(id="inc-9", key="cause/image/shop/web:1.9", cause="image/shop/web:1.9", root=None)
    incidents.insert(history, shared)
    query = "SELECT incident_id, day, cause_kind, cause, members, seconds_open FROM v_storms"
    assert rows(history, query) == [("inc-9", make.t0.date(), "image", "image/shop/web:1.9", 0, None)]


def test_views_are_documented_where_they_are_written() -> None:
    sql = files("responder.store").joinpath("sql")
    text = "".join(entry.read_text(encoding="utf-8") for entry in sql.iterdir() if entry.name.endswith(".sql"))
    assert all(f"COMMENT ON VIEW {view} IS" in text for view in VIEWS)
