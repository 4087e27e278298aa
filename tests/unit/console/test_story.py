"""One incident as lines."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.cells import cell_len

from console.lines.folding import Hits, Shelf, lay, walk
from console.story import (
    Known,
    plan_that_waits,
    tell,
    tell_plan,
    tell_undo,
    what_next,
)
from responder.domain.action import SetImage
from responder.domain.alert import Alert, AlertStatus
from responder.domain.audit import AuditRecord
from responder.domain.execution import (
    Baseline,
    Execution,
    ExecutionKind,
    ExecutionOutcome,
    Verdict,
    VerdictKind,
    Verification,
)
from responder.domain.incident import Incident, State
from responder.domain.investigation import (
    HEURISTIC,
    Conclusion,
    Consulted,
    Evidence,
    EvidenceKind,
    Finding,
    Investigation,
    RuledOut,
    Unchecked,
    Usage,
)
from responder.domain.plan import Approval, Change, Check, PatchOp, Plan, PlanState
from responder.domain.refs import ObjectRef
from responder.domain.rule import Risk
from responder.domain.versions import Difference, ObjectVersion, VersionEvent
from responder.domain.views import (
    AlertView,
    DecisionView,
    ExecutionView,
    IncidentDetail,
    InvestigationSummary,
    PlanView,
    Reasoning,
    Viewer,
)

AT = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u1")
CHANGE = Change(
    target=WEB,
    resource_version="1",
    base_hash="h",
    patch=(PatchOp(op="replace", path="/spec/image", value="web:2"),),
    inverse=(
        PatchOp(op="test", path="/spec/name", value="web"),
        PatchOp(op="replace", path="/metadata/annotations/a~1b", value="web:1\u202e"),
        PatchOp(op="remove", path="/spec/extra"),
    ),
)
PLAN = Plan(
    id="pln-1",
    incident_id="inc-1",
    investigation_id="inv-1",
    finding="image.not_found",
    action=SetImage(target=WEB, container="web", image="web:2"),
    reason="a slip",
    changes=(CHANGE,),
    diff="--- now\n+++ planned\n-web:1\n+web:2" + "z" * 300,
    risk=Risk.MEDIUM,
    reversible=True,
    checks=(Check(name="risk_ceiling", passed=False, detail="medium is over low"),),
    digest="d" * 64,
    created_at=AT,
    expires_at=AT + timedelta(minutes=15),
)
INCIDENT = Incident(id="inc-1", key=WEB.key, root=WEB, state=State.AWAITING_APPROVAL, opened_at=AT, updated_at=AT)


def execution(number, kind=ExecutionKind.APPLY, outcome=ExecutionOutcome.APPLIED, change=CHANGE, plan_id="pln-1"):
    return ExecutionView(
        execution=Execution(
            id=f"exe-{number}",
            plan_id=plan_id,
            incident_id="inc-1",
            kind=kind,
            change=change,
            requested_by="ann",
            intent_at=AT,
            outcome=outcome,
        )
    )


def looked_at(view, kind):
    """With a last look that came to this."""
    look = Verification(
        execution_id=view.execution.id,
        number=1,
        at=AT,
        elapsed_seconds=30.0,
        verdict=Verdict(kind=kind, reason="as before"),
        ready=1,
        desired=1,
        restarts=0,
    )
    return replace(view, verifications=(look,))


def detail(plan=PLAN, incident=INCIDENT, executions=()):
    return IncidentDetail(incident=incident, plans=(PlanView(plan=plan),), executions=tuple(executions))


def text(lines):
    return "\n".join(line.text for line in lines)


def rows(known, *, width=100, opened=(), everything=False, sides=False):
    """Every row of the story and of the record below it."""
    told = tell(known, now=AT + timedelta(minutes=5), sides=sides)
    nodes = (*told.story, *told.record)
    choices = {node.key: True for node, _ in walk(nodes)} if everything else dict.fromkeys(opened, True)
    sheet = lay(nodes, choices, width, Shelf())
    return [sheet.line(row, Hits()).text.rstrip() for row in range(sheet.count)]


def page(known, **more):
    return "\n".join(rows(known, **more))


HOSTILE = "\x1b[2J\x07[red]gone[/red] \u202egnp.exe\u200b\tend\nsecond"
LOG = Evidence(id="e7", kind=EvidenceKind.LOG, source="Pod/shop/web-1", observed_at=AT, text="no such image")
FOUND = Finding(
    signature="image.not_found", subject=WEB, container="web", cause="image web:1 is not there", confidence=0.93,
    evidence=("e7",),
)  # fmt: skip


def run(number=1, analyzer=HEURISTIC, **fields):
    base = {
        "id": f"inv-{number}",
        "number": number,
        "analyzer": analyzer,
        "started_at": AT,
        "ended_at": AT + timedelta(seconds=9),
        "conclusion": Conclusion.FAULT_FOUND,
        "summary": "it cannot be pulled",
        "findings": (FOUND,),
        "ruled_out": (RuledOut(hypothesis="node is full", because="other pods start"),),
        "unchecked": (Unchecked(what="metrics", why="no Prometheus is set up"),),
        "evidence_count": 1,
        "step_count": 14,
    }
    return InvestigationSummary(**base | fields)


def reasoning(*runs):
    return Reasoning(
        incident_id="inc-1",
        investigations=tuple(
            Investigation(
                id=item.id, incident_id="inc-1", number=item.number, analyzer=item.analyzer, started_at=AT,
                ended_at=item.ended_at, conclusion=item.conclusion, summary=item.summary, evidence=(LOG,),
                findings=item.findings,
            )
            for item in runs
        ),
    )  # fmt: skip


def look(number, kind, ready=1, **fields):
    return Verification(
        execution_id="exe-1", number=number, at=AT, elapsed_seconds=number * 2.0,
        verdict=Verdict(kind=kind, reason=f"look {number}", **fields), ready=ready, desired=2, restarts=3,
    )  # fmt: skip


def judged(*looks, **fields):
    view = execution(1)
    return replace(
        view,
        execution=replace(view.execution, baseline=Baseline(ready=0, desired=2, restarts=1), **fields),
        verifications=looks,
    )


@pytest.mark.parametrize("width", [60, 78, 180])
@pytest.mark.inv(24)
def test_the_approval_shows_the_whole_diff_the_digest_and_what_speaks_against_it(width):
    lines = tell_plan(PlanView(plan=PLAN), width=width)
    told = text(lines)
    assert sum(line.text.count("z") for line in lines) == 300
    assert told.count("d" * 30) or told.count("d") > 64
    assert "medium is over low" in told
    assert "can be taken back" in told


def test_what_waits_is_the_newest_proposed_plan_of_an_incident_that_waits():
    assert plan_that_waits(detail()) == PlanView(plan=PLAN)
    assert plan_that_waits(detail(plan=replace(PLAN, state=PlanState.EXPIRED))) is None
    assert plan_that_waits(detail(incident=replace(INCIDENT, state=State.VERIFYING))) is None


def test_taking_back_is_told_field_by_field_and_safely():
    told = text(tell_undo(execution(1), PLAN, width=80))
    assert 'while     /spec/name is "web"' in told
    assert 'sets      /metadata/annotations/a/b to "web:1\\u202e"' in told
    assert "removes   /spec/extra" in told


def test_the_keys_that_can_do_something_are_named():
    assert what_next(detail(), AT) == "waits for you, 15m left: a approves, x rejects"
    over = detail(plan=replace(PLAN, state=PlanState.APPLIED), incident=replace(INCIDENT, state=State.ESCALATED),
                  executions=[execution(1)])  # fmt: skip
    assert what_next(over, AT) == "u takes the change back  ·  nothing more is done by itself: i looks again"
    assert what_next(detail(incident=replace(INCIDENT, state=State.VERIFYING)), AT) == "nothing to decide"


def test_a_change_that_was_taken_back_is_not_told_as_standing():
    known = Known(
        detail=detail(
            plan=replace(PLAN, state=PlanState.APPLIED), executions=[execution(1), execution(2, ExecutionKind.ROLLBACK)]
        )
    )
    assert "change    applied, then taken back: set_image" in page(known)


def test_the_first_screenful_says_what_why_what_changes_and_whether_it_can_be_taken_back():
    checks = (*PLAN.checks, Check(name="owner_will_revert", passed=False, detail="Argo CD will set it back"))
    summary = "container web: image web:1 is not there"
    incident = replace(INCIDENT, summary=f"KubePod: {summary}", severity="critical")
    known = Known(detail=replace(detail(replace(PLAN, checks=checks), incident), investigations=(run(),)))
    first = "\n".join(rows(known, width=78)[:18])
    for part in (
        "AWAITING APPROVAL  inc-1",
        "object    Deployment/shop/web",
        "93% sure of that (heuristic, 1 observation)",
        "change    proposed: set_image: container web, image web:2",
        "terms     medium risk, can be taken back",
        "reverts   Argo CD will set it back",
        "severity critical",
    ):
        assert part in first


def test_a_summary_of_any_length_leaves_room_for_the_rest_and_stands_below_in_full():
    incident = replace(INCIDENT, summary="word " * 300 + "end")
    known = Known(detail=replace(detail(incident=incident), investigations=(run(),)))
    first = "\n".join(rows(known, width=78)[:18])
    assert "terms     medium risk" in first
    assert "end" in page(known).split("1 WHY")[1]


def test_who_looks_at_the_plan_is_told():
    viewer = Viewer(name="bob", session="s", since=AT, deciding=True)
    known = Known(detail=replace(detail(), plans=(PlanView(plan=PLAN, viewers=(viewer,)),)))
    assert "looked at by bob (deciding)" in page(known)


@pytest.mark.parametrize("width", [40, 78, 180])
@pytest.mark.parametrize("sides", [False, True])
def test_no_row_is_wider_than_the_screen(width, sides):
    known = Known(detail=detail(incident=replace(INCIDENT, summary="word " * 100 + "x" * 300 + "漢字" * 80)))
    assert max(map(cell_len, rows(known, width=width, everything=True, sides=sides))) <= width


def test_the_sections_stand_at_their_numbers():
    told = tell(Known(detail=detail()), now=AT)
    heads = [node for node in (*told.story, *told.record) if not node.is_tight][1:]
    assert [node.key for node in heads] == [f"section:{number}" for number in range(1, 9)]
    assert [node.label.split()[1] for node in heads] == [
        "WHY", "CHANGE", "UNDO", "ALERTS", "OTHERS", "RULE", "TIMELINE", "REASONING",
    ]  # fmt: skip


def test_a_finding_leads_to_its_evidence_once_that_is_read():
    summary = run()
    unread = Known(detail=replace(detail(), investigations=(summary,)))
    assert "e7: not read yet" in page(unread)
    read = replace(unread, reasoning=reasoning(summary))
    assert "→ [e7] log: Pod/shop/web-1" in page(read)
    nodes = [node for node, _ in walk(tell(read, now=AT).story)]
    assert next(node for node in nodes if "93%" in node.label).cites == (LOG,)


def test_what_was_ruled_out_what_could_not_be_checked_and_who_was_asked_is_told():
    asked = (
        Consulted(analyzer="claude", answered=False, why="the day's budget is spent"),
        Consulted(analyzer="local", answered=True, why="the rule asks it always"),
    )
    decision = DecisionView(at=AT, rule="images", rule_mode="autonomous", mode="dry-run", rule_set="ab" * 32,
                            why=("alert in X", "namespace lowered to dry-run"), consulted=asked)  # fmt: skip
    told = page(Known(detail=replace(detail(), investigations=(run(),), decisions=(decision,))))
    assert "ruled out node is full: other pods start" in told
    assert "unchecked metrics: no Prometheus is set up" in told
    assert "consulted claude did not answer: the day's budget is spent" in told
    assert "consulted local answered: the rule asks it always" in told
    assert "6 RULE      images, mode dry-run (the rule says autonomous)" in told
    assert "namespace lowered to dry-run" in told


def test_of_several_runs_of_one_look_each_says_who_found_what():
    model = run(2, "claude", model="model-1", ended_at=None, findings=(), summary="", conclusion=Conclusion.UNFINISHED)
    told = page(Known(detail=replace(detail(), investigations=(run(), model))))
    assert "run 1     heuristic: fault found" in told
    assert "run 2     claude (model-1): goes on" in told


def test_every_check_is_told_in_words_and_what_failed_without_being_opened():
    plan = replace(PLAN, checks=(*PLAN.checks, Check(name="kill_switch_off", passed=True, detail="it is off")))
    known = Known(detail=detail(plan))
    shut = page(known)
    assert "policy NO risk_ceiling: medium is over low" in shut
    assert "checks    1 of 2 passed" in shut
    opened = page(known, opened=("change:pln-1:checks",))
    assert "NOT       risk_ceiling: medium is over low" in opened
    assert "passed    kill_switch_off: it is off" in opened


def test_the_state_before_stands_against_the_newest_look():
    passed = judged(look(1, VerdictKind.PENDING), look(2, VerdictKind.PASSED, ready=2))
    known = Known(detail=detail(replace(PLAN, state=PlanState.APPLIED), executions=[passed]))
    told = page(known)
    assert "before    0 of 2 ready, 1 restart" in told
    assert "after     2 of 2 ready, 3 restarts, 4.0 s after the write" in told
    assert "verified  passed: look 2" in told


def test_looks_stand_open_line_by_line_while_the_verdict_is_pending():
    pending = judged(look(1, VerdictKind.PENDING, ready=0), look(2, VerdictKind.PENDING))
    told = page(Known(detail=detail(executions=[pending])))
    assert "2.0 s  pending: look 1, 0 of 2 ready, 3 restarts" in told
    assert "4.0 s  pending: look 2, 1 of 2 ready, 3 restarts" in told
    over = judged(look(1, VerdictKind.PENDING), look(2, VerdictKind.PASSED))
    assert "pending: look 1" not in page(Known(detail=detail(executions=[over])))


def test_who_set_a_change_back_is_named():
    reverted = judged(look(1, VerdictKind.REVERTED, other_manager="argocd-controller"))
    assert "reverted: look 1, by argocd-controller" in page(Known(detail=detail(executions=[reverted])))


def test_attempts_stand_in_order_and_only_the_newest_is_open():
    second = replace(PLAN, id="pln-2", action=replace(PLAN.action, image="web:3"))
    views = (PlanView(plan=replace(PLAN, state=PlanState.APPLIED)), PlanView(plan=second))
    progressed = judged(look(1, VerdictKind.PROGRESSED))
    told = page(Known(detail=replace(detail(executions=[progressed]), plans=views)), width=140)
    assert "2 CHANGE    2 attempts" in told
    assert "▸ attempt 1 pln-1: applied, progressed  set_image: container web, image web:2" in told
    assert "▾ attempt 2 pln-2: proposed" in told
    assert "action    set_image: container web, image web:3" in told


def test_approvals_are_named_and_the_missing_ones_counted():
    plan = replace(PLAN, approvers_needed=2)
    approval = Approval(id="a", plan_id="pln-1", digest="d", approver="bob", kind="human", decided_at=AT,
                        expires_at=AT)  # fmt: skip
    told = page(Known(detail=replace(detail(), plans=(PlanView(plan=plan, approvals=(approval,)),))))
    assert "approved  by bob (human) at" in told
    assert "approvals 2 needed, 1 so far" in told
    assert "needs 2 people" in told


def test_the_undo_is_shown_before_and_after_the_change():
    assert "3 UNDO      once applied, u takes it back by writing this" in page(Known(detail=detail()))
    over = replace(INCIDENT, state=State.RESOLVED)
    told = page(Known(detail=detail(replace(PLAN, state=PlanState.APPLIED), over, executions=[execution(1)])))
    assert "3 UNDO      u takes exe-1 back by writing this" in told
    assert "removes   /spec/extra" in told


@pytest.mark.parametrize(
    ("first", "more", "why"),
    [
        (execution(1, change=replace(CHANGE, inverse=())), (), "exe-1 has no recorded inverse"),
        (execution(1, outcome=ExecutionOutcome.UNKNOWN), (), "a person has to look"),
        (
            execution(1),
            (looked_at(execution(2, ExecutionKind.ROLLBACK), VerdictKind.PASSED),),
            "exe-1 was taken back by exe-2",
        ),
    ],
)
def test_why_a_change_cannot_be_taken_back_is_said(first, more, why):
    over = replace(INCIDENT, state=State.RESOLVED)
    told = page(Known(detail=detail(incident=over, executions=(first, *more))), everything=True)
    assert "3 UNDO      nothing to take back" in told
    assert why in told


def test_a_write_whose_undoing_failed_can_be_taken_back_again():
    failed = execution(2, ExecutionKind.ROLLBACK, ExecutionOutcome.NOT_APPLIED)
    over = replace(INCIDENT, state=State.ESCALATED)
    known = Known(detail=detail(incident=over, executions=(execution(1), failed)))
    assert "3 UNDO      u takes exe-1 back by writing this" in page(known)


def test_an_alert_opens_to_its_labels_and_annotations():
    alert = Alert(fingerprint="f1", status=AlertStatus.FIRING, labels={"alertname": "Down", "pod": "web-1"},
                  annotations={"summary": "it is down"}, starts_at=AT)  # fmt: skip
    known = Known(detail=replace(detail(), alerts=(AlertView(alert=alert, received_at=AT),)))
    assert "Down since" in page(known)
    assert "label pod = web-1" not in page(known)
    opened = page(known, opened=("alert:f1:0",))
    assert "label pod = web-1" in opened
    assert "annotation summary = it is down" in opened


def test_what_others_changed_is_told_newest_first_and_opens_to_its_fields():
    changes = tuple(
        ObjectVersion(
            seq=seq,
            ref=WEB,
            event=VersionEvent.CHANGED,
            seen_at=AT - timedelta(minutes=seq),
            manager="kubectl-edit\u202e",
            differences=(Difference(path="spec.x", before='"1"', after='"2"'),),
        )
        for seq in range(-1, 7)
    )
    known = Known(detail=replace(detail(), changes=changes))
    shut = page(known)
    assert "5 OTHERS    changed 7 before it, 1 since, newest first" in shut
    assert "Deployment/shop/web changed 1 min before the alert by kubectl-edit" in shut
    assert shut.count("before the alert") == 5
    assert "\u202e" not in shut
    assert "│ spec.x: " in page(known, opened=("version:1",))
    assert "after the alert" in page(known, opened=("others:since",))


def test_the_timeline_and_the_runs_with_their_cost_are_the_record():
    entry = AuditRecord(seq=1, at=AT, actor="ann", event="approved", previous="", digest="",
                        detail={"plan": "pln-1", "digest": "left out"})  # fmt: skip
    usage = Usage(input_tokens=1000, output_tokens=50)
    model = run(2, "claude", model="model-1", usage=usage, cost_usd=0.1234)
    known = Known(detail=replace(detail(), timeline=(entry,), investigations=(run(), model)),
                  reasoning=reasoning(run(), model))  # fmt: skip
    told = page(known, width=160)
    assert "ann: approved, plan pln-1" in told
    assert "run 2 by claude (model-1): fault found, 14 steps, 1 observation, 9.0 s, 1,000 tokens in" in told
    assert "0.1234 USD" in told


def test_hostile_text_is_shown_for_what_it_is_in_every_section():
    alert = Alert(fingerprint="f", status=AlertStatus.FIRING, labels={HOSTILE: HOSTILE}, annotations={"a": HOSTILE},
                  starts_at=AT, generator_url=HOSTILE)  # fmt: skip
    plan = replace(PLAN, reason=HOSTILE, diff=f"-{HOSTILE}\n+{HOSTILE}", warnings=(HOSTILE,), restores_not=(HOSTILE,),
                   checks=(Check(name=HOSTILE, passed=False, detail=HOSTILE),))  # fmt: skip
    summary = run(summary=HOSTILE, findings=(replace(FOUND, cause=HOSTILE, container=HOSTILE),),
                  ruled_out=(RuledOut(hypothesis=HOSTILE, because=HOSTILE),))  # fmt: skip
    record = AuditRecord(seq=1, at=AT, actor=HOSTILE, event=HOSTILE, previous="", digest="", detail={"x": HOSTILE})
    rule = DecisionView(at=AT, rule=HOSTILE, rule_mode=HOSTILE, mode=HOSTILE, rule_set=HOSTILE, why=(HOSTILE,))
    known = Known(
        detail=IncidentDetail(
            incident=replace(INCIDENT, summary=HOSTILE, severity=HOSTILE, key=HOSTILE),
            alerts=(AlertView(alert=alert, received_at=AT),),
            timeline=(record,),
            decisions=(rule,),
            investigations=(summary,),
            plans=(PlanView(plan=plan),),
            executions=(replace(execution(1), execution=replace(execution(1).execution, detail=HOSTILE)),),
        ),
        reasoning=reasoning(summary),
    )
    for sides in (False, True):
        seen = page(known, everything=True, sides=sides, width=120)
        assert not set("\x1b\x07\u202e\u200b\t") & set(seen)
        assert "\\x1b[2J" in seen
        assert "[red]gone[/red]" in seen
