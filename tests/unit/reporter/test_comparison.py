"""Runs side by side: what is told of them, and how it fits a terminal of 80 and of 200 columns."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from responder import wire
from responder.domain.action import SetImage, UndoRollout
from responder.domain.incident import Incident
from responder.domain.investigation import (
    Attempt,
    Conclusion,
    Evidence,
    EvidenceKind,
    Finding,
    Investigation,
    Proposal,
    RuledOut,
    Step,
    StepKind,
    Unchecked,
    Usage,
)
from responder.domain.refs import ObjectRef
from responder.domain.snapshot import Snapshot
from responder.domain.views import Recording
from responder.reporter.comparison import Comparison, Judged, compare, render_comparison

AT = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u1")
MENDS = SetImage(target=WEB, container="web", image="nginx:1.27")
UNDOES = UndoRollout(target=WEB, to_revision=2)
USAGE = Usage(input_tokens=1000, cache_read_tokens=9000, output_tokens=1234)
SEEN = Evidence(id="e1", kind=EvidenceKind.EVENT, source="event", observed_at=AT, text="Failed")
LONG = "the registry does not know the image, because its name was mistyped when it was deployed " * 3


def finding(signature: str = "image.unknown", **changes: Any) -> Finding:
    base = {"subject": WEB, "container": "web", "cause": "a typo", "confidence": 0.9, "evidence": ("e1",)}
    return Finding(signature=signature, **base | changes)


def proposal(action: Any = MENDS, **changes: Any) -> Proposal:
    base = {"reason": "mends it", "finding": "image.unknown", "evidence": ("e1",)}
    return Proposal(action=action, **base | changes)


def run(analyzer: str, id: str, **changes: Any) -> Investigation:  # noqa: A002 - the field is called so
    base = {
        "incident_id": "inc-1",
        "number": 1,
        "started_at": AT,
        "ended_at": AT + timedelta(seconds=3),
        "conclusion": Conclusion.FAULT_FOUND,
        "summary": LONG,
        "evidence": (SEEN,),
        "findings": (finding(),),
        "proposals": (proposal(),),
    }
    return Investigation(analyzer=analyzer, id=id, **base | changes)


def step(number: int, kind: StepKind, text: str = "", **fields: Any) -> Step:
    return Step(number=number, kind=kind, at=AT, text=text, turn=1, **fields)


DETECTED = run("heuristic", "inv-1")
ASKED = run(
    "claude",
    "inv-2",
    model="model-1",
    usage=USAGE,
    cost_usd=0.0312,
    provider_seconds=2.5,
    steps=(
        step(0, StepKind.PROMPT, "system prompt investigate-1 (sha256 ab12), 16 tools\n\nInvestigate, please."),
        step(1, StepKind.TOOL_CALL, tool="logs", call="c1"),
        step(2, StepKind.TURN, usage=USAGE),
        step(3, StepKind.TOOL_RESULT, tool="logs", call="c1", evidence=("e1",)),
        step(4, StepKind.TOOL_RESULT, tool="quota", call="c2"),
        step(5, StepKind.TOOL_RESULT, tool="top", call="c3"),
        step(6, StepKind.TURN, usage=USAGE),
    ),
    ruled_out=(RuledOut(hypothesis="a full disk", because="it is not"),),
    unchecked=(Unchecked(what="metrics", why="none"),) * 2,
)
REPLAYED = run("openai_compatible", "inv-3", model="model-2", steps=ASKED.steps, usage=USAGE, cost_usd=0.01)


def attempt(action: Any = MENDS, **changes: Any) -> Attempt:
    base = {"plan_id": "pln-1", "investigation_id": "inv-1", "diff": "", "at": AT, "state": "applied"}
    return Attempt(action=action, **base | {"outcome": "applied", "verdict": "passed"} | changes)


def compared(replayed: Investigation = REPLAYED, *, attempts: tuple[Attempt, ...] = (), **said: Any) -> Comparison:
    incident = Incident(id="inc-1", key=WEB.key, root=WEB, opened_at=AT, updated_at=AT)
    recording = Recording(
        incident=incident,
        snapshot=Snapshot(taken_at=AT, root=WEB),
        snapshot_of="inv-1",
        investigations=(run("heuristic", "inv-0"), DETECTED, ASKED),
        attempts=attempts,
    )
    return compare(recording, replayed, **said)


def flat(text: str) -> str:
    return " ".join(text.split())


def test_only_the_runs_on_the_snapshot_that_was_replayed_are_compared() -> None:
    comparison = compared()
    assert [one.run.id for one in comparison.runs] == ["inv-1", "inv-2", "inv-3"]
    assert [one.replayed for one in comparison.runs] == [False, False, True]
    assert comparison.other_looks == 1


@pytest.mark.parametrize(
    ("own", "same"),
    [
        (finding(cause="other words", confidence=0.1), True),
        (finding("image.forbidden"), False),
        (finding(container="sidecar"), False),
        (finding(about="port"), False),
        (finding(subject=ObjectRef(kind="Pod", namespace="shop", name="web-1")), False),
    ],
)
def test_the_same_fault_at_the_same_place_is_marked(own: Finding, same: bool) -> None:
    assert compared(run("claude", "inv-3", findings=(own,))).runs[-1].same_faults == (same,)


def test_the_detectors_on_record_are_not_held_against_themselves() -> None:
    detected = compared().runs[0]
    assert detected.same_faults == (False,)
    assert [judged.as_detectors for judged in detected.judged] == [False]


@pytest.mark.parametrize(
    ("own", "attempts", "judged"),
    [
        (proposal(), (), Judged(supported=True, as_detectors=True, tried="")),
        (proposal(UNDOES), (), Judged(supported=True, as_detectors=False, tried="")),
        (proposal(), (attempt(),), Judged(supported=True, as_detectors=True, tried="applied, passed")),
        (proposal(), (attempt(UNDOES),), Judged(supported=True, as_detectors=True, tried="")),
        (
            proposal(),
            (attempt(state="rejected", outcome="", verdict=""),),
            Judged(supported=True, as_detectors=True, tried="plan rejected"),
        ),
        (proposal(), (attempt(verdict=""),), Judged(supported=True, as_detectors=True, tried="applied, no verdict")),
        (proposal(evidence=()), (), Judged(supported=False, as_detectors=True, tried="")),
        (proposal(evidence=("e1", "e9")), (), Judged(supported=False, as_detectors=True, tried="")),
    ],
)
def test_a_proposal_is_held_against_evidence_detectors_and_what_was_tried(
    own: Proposal, attempts: tuple[Attempt, ...], judged: Judged
) -> None:
    assert compared(run("claude", "inv-3", proposals=(own,)), attempts=attempts).runs[-1].judged == (judged,)


def test_a_proposal_for_a_claim_without_evidence_is_unsupported() -> None:
    replayed = run("claude", "inv-3", findings=(finding(unsupported=True, evidence=()),))
    assert not compared(replayed).runs[-1].judged[0].supported


def test_looks_and_turns_are_counted_from_the_steps() -> None:
    one = compared(missing=("quota {}",)).runs[-1]
    assert (one.turns, one.looks_answered, one.looks_unanswered, one.looks_missing) == (2, 1, 2, ("quota {}",))


def test_it_is_plain_json() -> None:
    document = json.loads(wire.dumps(compared(attempts=(attempt(),))))
    replayed = document["runs"][-1]
    assert replayed["run"]["proposals"][0]["action"]["image"] == "nginx:1.27"
    assert replayed["judged"] == [{"supported": True, "as_detectors": True, "tried": "applied, passed"}]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    replayed = run("claude", "inv-3", summary="x" * 500, findings=(finding(cause=LONG),))
    screen = render_comparison(compared(replayed, attempts=(attempt(),), missing=("y" * 300,)), width=width)
    assert max(map(len, screen.splitlines())) <= width


def test_on_a_wide_terminal_runs_stand_side_by_side() -> None:
    heads = [line for line in render_comparison(compared(), width=200).splitlines() if "RECORD" in line]
    assert [flat(line) for line in heads] == [
        "ON RECORD: heuristic ON RECORD: claude (model-1) REPLAY: openai_compatible (model-2)"
    ]


def test_on_a_narrow_terminal_runs_stand_one_below_the_other() -> None:
    lines = [line.strip() for line in render_comparison(compared(), width=80).splitlines()]
    heads = [line for line in lines if line.startswith(("ON RECORD", "REPLAY:"))]
    assert heads == ["ON RECORD: heuristic", "ON RECORD: claude (model-1)", "REPLAY: openai_compatible (model-2)"]


@pytest.mark.parametrize(
    "told",
    [
        "- 90% image.unknown in container web [e1] [= detectors]: a typo",
        "- set_image: container web, image nginx:1.27 [= detectors] [= applied, passed]",
        "looks 1 answered, 1 not in the record, 1 refused or failed",
        "- missing: quota {}",
        "tokens 10,000 tokens in (90% from cache), 1,234 out",
        "cost 0.0312 USD",
        "prompt investigate-1 (sha256 ab12) conclusion",
        "time 3.0 s, 2.5 s of them the provider's",
        "ruled out - a full disk",
        "unchecked 2",
        "incident inc-1, as it was looked at 2026-11-23 03:00:00; 1 run about other looks left out",
        "changes set_image: container web, image nginx:1.27: applied, passed",
        "nothing was looked at, written or proposed",
    ],
)
def test_the_screen_tells(told: str) -> None:
    screen = render_comparison(compared(attempts=(attempt(),), missing=("quota {}",)), width=80)
    assert told in flat(screen)


def test_a_run_without_an_answer_says_why() -> None:
    replayed = run("claude", "inv-3", conclusion=Conclusion.UNFINISHED, findings=(), proposals=())
    screen = render_comparison(compared(replayed, problem="claude did not answer"), width=80)
    assert "conclusion  NO ANSWER: claude did not answer" in screen


def test_what_a_claim_rests_on_that_does_not_exist_is_marked() -> None:
    replayed = run("claude", "inv-3", findings=(finding(unsupported=True, evidence=()),))
    screen = flat(render_comparison(compared(replayed), width=80))
    assert "container web [no evidence] [UNSUPPORTED] [= detectors]: a typo" in screen
    assert "image nginx:1.27 [UNSUPPORTED] [= detectors]" in screen


@pytest.mark.parametrize("width", [80, 200])
def test_text_cannot_drive_the_terminal(width: int) -> None:
    bad = "\x1b[2J\u202eevil"
    replayed = run(
        "claude",
        "inv-3",
        model=bad,
        summary=bad,
        findings=(finding(cause=bad, about=bad),),
        proposals=(proposal(SetImage(target=WEB, container="web", image=bad)),),
        ruled_out=(RuledOut(hypothesis=bad, because=bad),),
    )
    screen = render_comparison(compared(replayed, missing=(bad,), problem=bad, attempts=(attempt(),)), width=width)
    assert "\x1b" not in screen
    assert "\u202e" not in screen
    assert "\\x1b[2J\\u202eevil" in screen
