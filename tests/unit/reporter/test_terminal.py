"""One incident on a terminal: the order, the width, and nothing that drives the terminal."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from responder.domain.action import SetImage
from responder.domain.execution import Execution, ExecutionKind, ExecutionOutcome
from responder.domain.incident import Incident, Outcome, State
from responder.domain.investigation import Conclusion, Finding, Unchecked
from responder.domain.plan import Change, Check, PatchOp, Plan, PlanState
from responder.domain.refs import ObjectRef
from responder.domain.rule import Risk
from responder.domain.versions import Difference, ObjectVersion, VersionEvent
from responder.domain.views import ExecutionView, IncidentDetail, InvestigationSummary, PlanView
from responder.reporter.terminal import render_detail, render_plan, wrapped

AT = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u1")
DIFF = "--- Deployment/shop/web (now)\n+++ Deployment/shop/web (planned)\n-image: nignx:1\n+image: nginx:1" + "0" * 120
CAUSE = "image nignx:1 cannot be pulled: the repository does not exist, or the registry does not show it to this pod"
OPERATION = PatchOp(op="replace", path="/spec", value="nignx:1")


def execution(number: int, kind: ExecutionKind = ExecutionKind.APPLY) -> ExecutionView:
    return ExecutionView(
        execution=Execution(
            id=f"exe-{number}",
            plan_id="pln-1",
            incident_id="inc-1",
            kind=kind,
            change=Change(target=WEB, resource_version="1", base_hash="", inverse=(OPERATION,)),
            requested_by="ada",
            intent_at=AT,
            outcome=ExecutionOutcome.APPLIED,
        )
    )


@pytest.fixture
def plan() -> Plan:
    return Plan(
        id="pln-1",
        incident_id="inc-1",
        investigation_id="inv-1",
        finding="image.not_found",
        action=SetImage(target=WEB, container="web", image="nginx:1"),
        reason="a slip of the finger",
        changes=(),
        diff=DIFF,
        risk=Risk.MEDIUM,
        reversible=True,
        checks=(
            Check(name="mode_plans", passed=True, detail="dry-run"),
            Check(name="mode_autonomous", passed=False, detail="the effective mode is dry-run"),
        ),
        digest="abcdef0123456789",
        created_at=AT,
        expires_at=AT + timedelta(minutes=15),
    )


@pytest.fixture
def waiting(plan: Plan) -> IncidentDetail:
    incident = Incident(
        id="inc-1",
        key=WEB.key,
        root=WEB,
        state=State.AWAITING_APPROVAL,
        summary="a plan waits",
        opened_at=AT,
        updated_at=AT,
    )
    run = InvestigationSummary(
        id="inv-1",
        number=1,
        analyzer="heuristic",
        started_at=AT,
        ended_at=AT,
        conclusion=Conclusion.FAULT_FOUND,
        summary=CAUSE,
        findings=(
            Finding(signature="image.not_found", subject=WEB, cause=CAUSE, confidence=0.93, evidence=("e1", "e2")),
        ),
        unchecked=(Unchecked(what="metrics", why="none is configured"),),
    )
    return IncidentDetail(incident=incident, investigations=(run,), plans=(PlanView(plan=plan),))


def test_the_screen_says_what_then_why_then_the_change_then_what_to_do(waiting: IncidentDetail) -> None:
    screen = render_detail(waiting, width=80)
    places = [screen.index(part) for part in ("a plan waits", "93% image nignx:1", "+image: nginx:1", "clopus approve")]
    assert places == sorted(places)


def test_a_waiting_plan_fits_on_a_small_terminal(waiting: IncidentDetail) -> None:
    assert len(render_detail(waiting, width=80).splitlines()) <= 28


def test_no_line_but_those_of_the_diff_is_wider_than_the_terminal(waiting: IncidentDetail) -> None:
    wide = [line for line in render_detail(waiting, width=80, full=True).splitlines() if len(line) > 80]
    assert [line.strip() for line in wide] == [DIFF.splitlines()[-1]]


def test_what_was_not_looked_at_is_said(waiting: IncidentDetail) -> None:
    assert "unseen   metrics" in render_detail(waiting, width=80)


def test_the_checks_that_leave_it_to_a_person_are_named(waiting: IncidentDetail) -> None:
    screen = render_detail(waiting, width=80)
    assert "1 of 2 checks leave it to a person" in screen
    assert "mode_autonomous" in screen
    assert "mode_plans" not in screen


def test_the_full_screen_names_every_check(waiting: IncidentDetail) -> None:
    assert "pass mode_plans" in render_detail(waiting, width=80, full=True)


def test_an_irreversible_plan_says_so(plan: Plan) -> None:
    assert "CANNOT be taken back" in render_plan(replace(plan, reversible=False))


def test_text_from_the_cluster_cannot_drive_the_terminal(waiting: IncidentDetail) -> None:
    hostile = replace(waiting, incident=replace(waiting.incident, summary="\x1b[2J gone \u202e"))
    screen = render_detail(hostile, width=80)
    assert "\x1b" not in screen
    assert "\\x1b[2J gone \\u202e" in screen


def test_an_applied_change_says_how_to_take_it_back(waiting: IncidentDetail, plan: Plan) -> None:
    applied = replace(
        waiting,
        incident=replace(waiting.incident, state=State.RESOLVED, outcome=Outcome.FIXED, resolved_at=AT),
        plans=(PlanView(plan=replace(plan, state=PlanState.APPLIED)),),
        executions=(execution(1),),
    )
    screen = render_detail(applied, width=80)
    assert "clopus rollback exe-1" in screen
    assert "clopus approve" not in screen


def test_an_incident_that_nobody_has_looked_at_has_no_empty_sections(waiting: IncidentDetail) -> None:
    fresh = IncidentDetail(incident=replace(waiting.incident, state=State.OPEN))
    screen = render_detail(fresh, width=80)
    assert "why      not investigated yet" in screen
    assert "change" not in screen


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one two three", ["what one two", "     three"]),
        ("one\ntwo", ["what one", "     two"]),
        ("unbreakable-word-of-some-length", ["what unbreakable-word-of-some-length"]),
    ],
)
def test_text_hangs_under_its_label(text: str, expected: list[str]) -> None:
    assert wrapped("what", text, 14, indent=5) == expected


def version(seq: int, minutes: float, **fields: object) -> ObjectVersion:
    at = AT - timedelta(minutes=minutes)
    base: dict[str, Any] = {
        "seq": seq,
        "ref": WEB,
        "event": VersionEvent.CHANGED,
        "seen_at": at,
        "manager": "kubectl-edit",
        "differences": (Difference(path=f"spec.x{seq}", before='"1"', after='"2"'),),
    }
    return ObjectVersion(**base | fields)


def opened(*changes: ObjectVersion) -> IncidentDetail:
    incident = Incident(id="inc-1", key=WEB.key, root=WEB, opened_at=AT, updated_at=AT)
    return IncidentDetail(incident=incident, changes=changes)


def test_what_changed_before_is_told_newest_first_with_its_authors() -> None:
    shown = render_detail(opened(*(version(seq, seq) for seq in range(1, 8))), width=160)
    lines = shown[shown.index("WHAT CHANGED BEFORE") :].split("\n")
    assert lines[1].strip() == 'Deployment/shop/web changed 1 min before the alert by kubectl-edit: spec.x1: "1" -> "2"'
    assert lines[6].strip() == "and 2 more: clopus changes --incident inc-1"


def test_what_came_after_the_incident_was_opened_is_told_in_full_only() -> None:
    detail = opened(version(1, -5))
    assert "WHAT CHANGED" not in render_detail(detail)
    assert "changed 5 min after the alert" in render_detail(detail, full=True)


def test_a_change_cannot_drive_the_terminal() -> None:
    shown = render_detail(opened(version(1, 1, manager="a\x1b[2J\nb\u202e")))
    assert not {"\x1b", "\u202e"} & set(shown)


def test_a_shared_cause_is_told_with_its_members(waiting: IncidentDetail) -> None:
    shared = replace(waiting.incident, cause="image/nignx:1", members=7)
    text = " ".join(render_detail(replace(waiting, incident=shared, members=(WEB,))).split())
    assert "members 7 workloads with image/nignx:1: Deployment/shop/web, and 6 more" in text
    assert "members" not in render_detail(waiting)
