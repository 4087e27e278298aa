"""The chain of reasoning on a terminal of 80 columns."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from responder.domain.action import SetImage
from responder.domain.incident import Incident
from responder.domain.investigation import (
    Attempt,
    Conclusion,
    Consulted,
    Evidence,
    EvidenceKind,
    Finding,
    Investigation,
    Step,
    StepKind,
    Usage,
)
from responder.domain.refs import ObjectRef
from responder.domain.views import DecisionView, IncidentDetail, InvestigationSummary, Reasoning
from responder.reporter.reasoning import render_reasoning
from responder.reporter.terminal import render_detail

AT = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u1")
USAGE = Usage(input_tokens=1000, cache_read_tokens=9000, cache_write_tokens=0, output_tokens=1234)
LONG = "the container is killed by the kernel because its limit is lower than what it needs at the start " * 3


def step(number: int, kind: StepKind, text: str = "", **fields: Any) -> Step:
    return Step(number=number, kind=kind, at=AT, text=text, **fields)


def run(**fields: Any) -> Investigation:
    base = {
        "id": "inv-2",
        "incident_id": "inc-1",
        "number": 2,
        "analyzer": "claude",
        "model": "model-1",
        "started_at": AT,
        "ended_at": AT + timedelta(seconds=14),
        "conclusion": Conclusion.FAULT_FOUND,
        "summary": LONG,
        "usage": USAGE,
        "cost_usd": 0.12345,
        "provider_seconds": 12.04,
        "evidence": (
            Evidence(id="e7", kind=EvidenceKind.LOG, source="Pod/shop/web-1, previous log", observed_at=AT, text=LONG),
        ),
        "steps": (
            step(1, StepKind.PROMPT, LONG, turn=1),
            step(2, StepKind.FAILURE, "529 overloaded; again in 1.0 s", turn=1, usage=USAGE, cost_usd=0.01),
            step(3, StepKind.THINKING, LONG, turn=1),
            step(4, StepKind.TOOL_CALL, '{"pod":"web-1"}', turn=1, tool="logs", call="c1"),
            step(5, StepKind.TURN, "", turn=1, usage=USAGE, cost_usd=0.0312, seconds=4.1, stop_reason="tool_use"),
            step(6, StepKind.TOOL_RESULT, "e7: log", turn=1, tool="logs", call="c1", seconds=0.2, evidence=("e7",)),
            step(7, StepKind.TEXT, LONG, turn=2),
            step(8, StepKind.VERDICT, "fault_found: memory", turn=2, evidence=("e7",)),
        ),
    }
    return Investigation(**base | fields)


ATTEMPT = Attempt(
    plan_id="pln-1",
    investigation_id="inv-2",
    action=SetImage(target=WEB, container="web", image="nginx:1"),
    diff="-image: nignx:1\n+image: nginx:1" + "0" * 100,
    at=AT,
    state="applied",
    outcome="applied",
    verdict="progressed",
    reason="another fault came to light",
)


@pytest.fixture
def screen() -> str:
    found = (run(), run(id="inv-3", number=3, steps=(), evidence=()))
    return render_reasoning(Reasoning(incident_id="inc-1", investigations=found, attempts=(ATTEMPT,)), width=80)


def test_no_line_but_those_of_a_diff_is_wider_than_the_terminal(screen: str) -> None:
    assert [line.strip() for line in screen.splitlines() if len(line) > 80] == ["+image: nginx:1" + "0" * 100]


def test_a_turn_is_headed_by_what_it_took(screen: str) -> None:
    heading = screen[screen.index("TURN 1") : screen.index("   1 prompt")]
    assert " ".join(heading.split()) == (
        "TURN 1 10,000 tokens in (90% from cache), 1,234 out, 0.0312 USD, 4.1 s, stopped: tool_use"
    )


def test_a_turn_that_was_cut_says_so(screen: str) -> None:
    assert "TURN 2          came to no end" in screen


def test_a_run_says_what_it_cost_and_whose_time_it_was(screen: str) -> None:
    cost = screen[screen.index("cost  ") : screen.index("TURN 1")]
    assert " ".join(cost.split()) == (
        "cost 10,000 tokens in (90% from cache), 1,234 out; 0.1235 USD; 14.0 s, 12.0 s of them the provider's"
    )


@pytest.mark.parametrize(
    "line",
    [
        '   4 call c1    logs {"pod": "web-1"}',
        "   6 result c1  e7: log (0.2 s)",
        "   3 thinking   (the provider's summary, no proof) the container is killed by",
        "   8 verdict    fault_found: memory [e7]",
    ],
)
def test_each_kind_of_step_has_its_line(screen: str, line: str) -> None:
    assert line in screen.splitlines()


def test_a_failure_stands_out_with_what_was_charged_for_it(screen: str) -> None:
    failed = screen[screen.index("   2 FAILED") : screen.index("   3 thinking")]
    assert "529 overloaded; again in 1.0 s [charged: 10,000 tokens in" in " ".join(failed.split())


def test_a_change_stands_between_the_runs_that_it_parts(screen: str) -> None:
    places = [screen.index(part) for part in ("INVESTIGATION 2", "[e7]", "CHANGE pln-1 applied", "INVESTIGATION 3")]
    assert places == sorted(places)
    assert "came of it      applied progressed: another fault came to light" in screen


def test_what_a_run_was_given_to_start_from_is_shown_once() -> None:
    found = (run(), run(id="inv-3", number=3))
    shown = render_reasoning(Reasoning(incident_id="inc-1", investigations=found), width=80)
    assert shown.count("[e7]  log: Pod/shop/web-1, previous log") == 1
    assert "(1 of its 1 observations stand above)" in shown


def test_a_prompt_refers_to_evidence_that_stands_above() -> None:
    observed = "desired 3, updated 3, ready 0, available 0, total 3"
    evidence = (Evidence(id="e2", kind=EvidenceKind.OBJECT, source="s", observed_at=AT, text=observed),)
    prompt = step(1, StepKind.PROMPT, f"<data>\n{observed}\n</data>")
    found = (run(evidence=evidence), run(id="inv-3", number=3, evidence=evidence, steps=(prompt,)))
    shown = render_reasoning(Reasoning(incident_id="inc-1", investigations=found), width=80)
    assert shown.count(observed) == 1
    assert "<data>\n                (e2, as above)\n" in shown


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ('{"a":["b,c",1.0]}', '{"a": ["b,c", 1.0]}'),
        ('{"a":1,"a":2}', '{"a":1,"a":2}'),
        ('{"a":', '{"a":'),
    ],
)
def test_arguments_are_spaced_where_nothing_is_lost(arguments: str, told: str) -> None:
    call = step(1, StepKind.TOOL_CALL, arguments, tool="logs", call="c1")
    shown = render_reasoning(Reasoning(incident_id="inc-1", investigations=(run(steps=(call,)),)), width=80)
    assert f"call c1    logs {told}\n" in shown


def test_a_run_that_goes_on_says_so() -> None:
    going = run(ended_at=None, conclusion=Conclusion.UNFINISHED, usage=None, cost_usd=0.0, summary="goes on")
    shown = render_reasoning(Reasoning(incident_id="inc-1", investigations=(going,)), width=80)
    assert shown.startswith("INVESTIGATION 2 by claude (model-1): has not ended\nsummary         goes on\n")


def test_detectors_have_no_turns_and_no_cost() -> None:
    plain = run(analyzer="heuristic", model="", usage=None, cost_usd=0.0, steps=(step(1, StepKind.VERDICT, "because"),))
    shown = render_reasoning(Reasoning(incident_id="inc-1", investigations=(plain,)), width=80)
    assert "TURN" not in shown
    assert "cost" not in shown
    assert "   1 verdict    because" in shown


def test_text_of_a_model_cannot_drive_the_terminal() -> None:
    hostile = "\x1b[2J\u202e"
    steps = tuple(
        step(number, kind, hostile, turn=1, tool=hostile, call=hostile, stop_reason=hostile)
        for number, kind in enumerate(StepKind, start=1)
    )
    told = replace(ATTEMPT, diff=hostile, reason=hostile)
    chain = Reasoning(
        incident_id="inc-1", investigations=(run(steps=steps, model=hostile, summary=hostile),), attempts=(told,)
    )
    shown = render_reasoning(chain, width=80)
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def summary(number: int, analyzer: str, *causes: str, **fields: Any) -> InvestigationSummary:
    found = tuple(
        Finding(signature="s", subject=WEB, cause=cause, confidence=0.6, evidence=("e1",), unsupported=cause == "wild")
        for cause in causes
    )
    base = {
        "id": f"inv-{number}",
        "number": number,
        "analyzer": analyzer,
        "started_at": AT,
        "ended_at": AT,
        "conclusion": Conclusion.FAULT_FOUND,
        "summary": f"summary of {analyzer}",
        "findings": found,
    }
    return InvestigationSummary(**base | fields)


def detail(*runs: InvestigationSummary, consulted: tuple[Consulted, ...] = ()) -> str:
    decision = DecisionView(at=AT, rule="r", rule_mode="dry-run", mode="dry-run", rule_set="d", consulted=consulted)
    incident = Incident(id="inc-1", key=WEB.key, root=WEB, opened_at=AT, updated_at=AT)
    return render_detail(IncidentDetail(incident=incident, investigations=runs, decisions=(decision,)), width=80)


def test_the_detectors_findings_stay_when_a_model_gives_no_answer() -> None:
    failed = summary(2, "claude", summary="no answer: 529", conclusion=Conclusion.UNFINISHED)
    shown = detail(summary(1, "heuristic", "the image is missing"), failed)
    assert "why      60% the image is missing [e1]" in shown
    assert "opinion  claude: no answer: 529" in shown


def test_a_models_finding_is_marked_as_its_word() -> None:
    shown = detail(summary(1, "heuristic", "the image is missing"), summary(2, "claude", "wild", model="m"))
    assert "opinion  claude (m): 60% wild [UNSUPPORTED: e1]" in shown


def test_a_run_that_goes_on_is_told_with_its_steps() -> None:
    shown = detail(summary(1, "heuristic", "x"), summary(2, "claude", ended_at=None, step_count=7))
    assert "opinion  claude is looking since 2026-11-23 03:00:00: 7 steps so far" in shown


def test_who_was_asked_and_who_did_not_answer_is_told() -> None:
    shown = detail(
        summary(1, "heuristic", "x"),
        summary(2, "claude", "y", usage=USAGE, cost_usd=0.5),
        consulted=(
            Consulted(analyzer="local", answered=False, why="no key"),
            Consulted(analyzer="claude", answered=True, why="the detectors are unsure"),
        ),
    )
    assert "asked    local did not answer: no key\n         claude answered: the detectors are unsure" in shown
    assert "cost     0.5000 USD for 1 run: 10,000 tokens in (90% from cache), 1,234 out" in shown
