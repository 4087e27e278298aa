"""The reasoning of an incident as a tree, and the tree as rows."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.cells import cell_len

from console.lines.folding import HEAD, MOST_HITS, Hits, Shelf, cut, fitted, lay, revealed, search, walk, whole
from console.lines.formatting import Tone
from console.reasoning import Body, Form, Node, chain, goes_on, observations, pretty, told_total
from responder.domain.action import SetImage
from responder.domain.investigation import (
    HEURISTIC,
    Attempt,
    Conclusion,
    Consulted,
    Evidence,
    EvidenceKind,
    Finding,
    Investigation,
    RuledOut,
    Step,
    StepKind,
    Unchecked,
    Usage,
)
from responder.domain.refs import ObjectRef
from responder.domain.views import DecisionView, Reasoning

AT = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u1")
USAGE = Usage(input_tokens=1000, cache_read_tokens=9000, cache_write_tokens=0, output_tokens=1234)
LONG = "the container is killed by the kernel because its limit is lower than what it needs at the start " * 3
HOSTILE = "\x1b[2J\x1b]52;c;eA==\x07[red]gone[/red] \u202egnp.exe\u200b \ud800\tend"
LOG = Evidence(id="e7", kind=EvidenceKind.LOG, source="Pod/shop/web-1, previous log", observed_at=AT, text=LONG)


def step(number: int, kind: StepKind, text: str = "", **fields: Any) -> Step:
    return Step(number=number, kind=kind, at=AT, text=text, **fields)


STEPS = (
    step(1, StepKind.PROMPT, LONG, turn=1),
    step(2, StepKind.THINKING, "perhaps memory", turn=1),
    step(3, StepKind.TOOL_CALL, '{"pod":"web-1","lines":[1,2]}', turn=1, tool="logs", call="c1"),
    step(4, StepKind.TURN, "", turn=1, usage=USAGE, cost_usd=0.0312, seconds=4.1, stop_reason="tool_use"),
    step(5, StepKind.TOOL_RESULT, "e7: log", turn=1, tool="logs", call="c1", seconds=0.2, evidence=("e7",)),
    step(6, StepKind.FAILURE, "529 overloaded; again in 1.0 s", turn=2, usage=USAGE, cost_usd=0.01),
    step(7, StepKind.TEXT, "a limit too low\nsecond line", turn=2),
    step(8, StepKind.VERDICT, "fault_found: memory", turn=2, evidence=("e7", "e9")),
)


def finding(**fields: Any) -> Finding:
    base: dict[str, Any] = {
        "signature": "memory.limit",
        "subject": WEB,
        "container": "web",
        "cause": "its limit is too low",
        "confidence": 0.93,
        "evidence": ("e7",),
    }
    return Finding(**base | fields)


def run(**fields: Any) -> Investigation:
    base: dict[str, Any] = {
        "id": "inv-2",
        "incident_id": "inc-1",
        "number": 2,
        "analyzer": "claude",
        "model": "model-1",
        "started_at": AT,
        "ended_at": AT + timedelta(seconds=14),
        "conclusion": Conclusion.FAULT_FOUND,
        "summary": "too little memory",
        "usage": USAGE,
        "cost_usd": 0.12345,
        "provider_seconds": 12.04,
        "evidence": (LOG,),
        "steps": STEPS,
        "findings": (finding(),),
    }
    return Investigation(**base | fields)


DETECTED = run(id="inv-1", number=1, analyzer=HEURISTIC, model="", usage=None, cost_usd=0.0, steps=(), findings=())
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


def tree(*runs: Investigation, attempts: tuple[Attempt, ...] = (), decisions: tuple[DecisionView, ...] = ()):
    return chain(Reasoning(incident_id="inc-1", investigations=runs, attempts=attempts), decisions)


def rows(nodes, choices=None, width=80, hits=None) -> list[str]:
    sheet = lay(nodes, choices or {}, width, Shelf())
    return [sheet.line(row, hits or Hits()).text.rstrip() for row in range(sheet.count)]


def all_open(nodes) -> dict[str, bool]:
    return {node.key: True for node, _ in walk(nodes)}


def test_a_turn_is_one_line_that_says_what_it_did_and_took() -> None:
    told = rows(tree(run()), width=160)
    assert [line.strip() for line in told if "TURN" in line] == [
        "▸ TURN 1   calls logs; 10,000 tokens in (90% from cache), 1,234 out, 0.0312 USD, 4.1 s, stopped: tool_use",
        "▸ TURN 2   FAILED, verdict: fault_found: memory; came to no end",
    ]


def test_runs_and_changes_stand_in_their_order() -> None:
    told = rows(tree(DETECTED, run(), run(id="inv-3", number=3), attempts=(ATTEMPT,)))
    heads = [line.split(":")[0][2:] for line in told if "INVESTIGATION" in line or "CHANGE" in line]
    assert heads == [
        "INVESTIGATION 1 by heuristic",
        "INVESTIGATION 2 by claude (model-1)",
        "CHANGE pln-1 applied",
        "INVESTIGATION 3 by claude (model-1)",
    ]


def test_a_change_says_what_it_changed_and_what_came_of_it() -> None:
    told = rows(tree(run(), attempts=(ATTEMPT,)))
    assert "▾ CHANGE pln-1 applied: set_image: container web, image nginx:1" in told
    assert "    came of it applied progressed: another fault came to light" in told
    assert "    │ -image: nignx:1" in told


def test_a_diff_keeps_every_character_and_its_colour_where_it_is_continued() -> None:
    nodes = tree(run(), attempts=(ATTEMPT,))
    sheet = lay(nodes, {}, 60, Shelf())
    spans = [sheet.line(row, Hits()).spans for row in range(sheet.count)]
    told = ["".join(span.text for span in line if span.tone in (Tone.ADDED, Tone.ADDED_WORD)) for line in spans]
    first, *others = filter(None, told)
    assert all(other.startswith("+") for other in others)
    assert first + "".join(other[1:] for other in others) == ATTEMPT.diff.split("\n")[1]


def test_a_run_says_what_it_cost_and_whose_time_it_was() -> None:
    told = " ".join(" ".join(rows(tree(run()))).split())
    assert (
        "cost 10,000 tokens in (90% from cache), 1,234 out; 0.1235 USD; 14.0 s, 12.0 s of them the provider's" in told
    )


def decided(seconds: float, analyzer: str) -> DecisionView:
    return DecisionView(
        at=AT + timedelta(seconds=seconds),
        rule="r",
        rule_mode="observe",
        mode="observe",
        rule_set="d",
        consulted=(Consulted(analyzer=analyzer, answered=False, why="no time was left for it"),),
    )


def test_who_was_asked_and_why_not_stands_in_the_look_that_was_decided_on() -> None:
    looks = [replace(DETECTED, id=f"inv-{number}", started_at=AT + timedelta(minutes=number)) for number in (1, 2)]
    told = rows(tree(*looks, decisions=(decided(59, "first"), decided(119, "second"))))
    asked = [line for line in told if "INVESTIGATION" in line or "asked" in line]
    assert asked == [
        "▾ INVESTIGATION 1 by heuristic: fault found",
        "    asked      first did not answer: no time was left for it",
        "▾ INVESTIGATION 1 by heuristic: fault found",
        "    asked      second did not answer: no time was left for it",
    ]


def test_a_decision_without_a_look_after_it_stands_in_the_last_one() -> None:
    assert any(
        "asked      late did not answer" in line for line in rows(tree(DETECTED, decisions=(decided(9, "late"),)))
    )


def test_thinking_is_marked_as_its_providers_summary() -> None:
    nodes = tree(run())
    assert any(
        "2 thinking (the provider's summary, no proof)" in " ".join(line.split())
        for line in rows(nodes, all_open(nodes))
    )


def test_arguments_have_a_line_for_every_value() -> None:
    nodes = tree(run())
    assert any(line.endswith('│   "pod": "web-1",') for line in rows(nodes, all_open(nodes)))


@pytest.mark.parametrize(
    "text",
    ["", "no json", "7", '{"a":1,"a":2}', '{"a":1e999}', "[" * 100_000, '{"a":  1}', '{"a":1.0000000000000000001}'],
)
def test_what_would_not_come_out_the_same_is_not_made_pretty(text: str) -> None:
    assert pretty(text) == text


def test_a_finding_that_cites_nothing_real_is_marked() -> None:
    told = rows(tree(run(findings=(finding(evidence=("e9",), unsupported=True),))))
    assert "  ▾ 93%        container web: its limit is too low [UNSUPPORTED: e9]" in told
    assert "      [e9] there is no such observation" in told


def test_a_finding_and_its_citation_lead_to_the_evidence() -> None:
    cites = {node.key: node.cites for node, _ in walk(tree(run()))}
    assert cites["finding:inv-2:0"] == cites["finding:inv-2:0:e7"] == cites["step:inv-2:5:e7"] == (LOG,)


def test_observations_are_listed_where_they_were_made_first() -> None:
    told = rows(tree(run(id="inv-1", number=1), run()))
    assert "  ▸ observations 1" in told
    assert "    observations 0 (1 of its 1 observations stand above)" in told


def test_what_was_ruled_out_and_not_checked_is_told() -> None:
    holes = {
        "ruled_out": (RuledOut(hypothesis="network", because="it answers"),),
        "unchecked": (Unchecked(what="logs", why="forbidden"),),
    }
    told = rows(tree(run(**holes)))
    assert "    ruled out  network: it answers" in told
    assert "    unchecked  logs: forbidden" in told


def test_a_run_without_steps_says_so() -> None:
    assert "    steps      none on record" in rows(tree(DETECTED))
    assert "    steps      none yet" in rows(tree(replace(DETECTED, ended_at=None)))


def test_no_run_is_no_row() -> None:
    sheet = lay(tree(), {}, 80, Shelf())
    assert sheet.count == 0
    assert told_total(Reasoning(incident_id="inc-1", investigations=())) == "0 investigations"


def test_the_last_turn_of_a_run_that_goes_on_is_open() -> None:
    going = run(ended_at=None, steps=STEPS[:3], summary="")
    told = rows(tree(going))
    assert goes_on(Reasoning(incident_id="inc-1", investigations=(going,)))
    assert "▾ INVESTIGATION 2 by claude (model-1): has not ended" in told
    assert any(line.strip().startswith("▾ TURN 1") for line in told)
    assert any("3 call c1 logs" in " ".join(line.split()) for line in told)
    assert not any(line.startswith("    summary") for line in told)


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_no_row_is_wider_than_the_screen(width: int) -> None:
    wide = run(steps=(*STEPS, step(9, StepKind.TEXT, "漢字" * 300 + " " + HOSTILE, turn=3)), summary=LONG)
    nodes = tree(wide, attempts=(ATTEMPT,))
    least = 2 * 3 + 16 + 8 + 2
    assert max(map(cell_len, rows(nodes, all_open(nodes), width=width))) <= max(width, least)


def test_hostile_text_is_shown_for_what_it_is_wherever_it_stands() -> None:
    hostile = run(
        analyzer=HOSTILE,
        model=HOSTILE,
        summary=HOSTILE,
        evidence=(replace(LOG, id=HOSTILE, source=HOSTILE, text=HOSTILE),),
        steps=tuple(replace(item, text=HOSTILE, tool=HOSTILE, call=HOSTILE, evidence=(HOSTILE,)) for item in STEPS),
        findings=(finding(cause=HOSTILE, container=HOSTILE, evidence=(HOSTILE,)),),
        ruled_out=(RuledOut(hypothesis=HOSTILE, because=HOSTILE),),
        unchecked=(Unchecked(what=HOSTILE, why=HOSTILE),),
    )
    nodes = tree(hostile, attempts=(replace(ATTEMPT, diff=HOSTILE, reason=HOSTILE, state=HOSTILE),))
    seen = "".join([*rows(nodes, all_open(nodes)), *(whole(node, Shelf()) for node in nodes)])
    assert not set("\x1b\x07\u202e\u200b\ud800\t") & set(seen)
    assert "\\x1b[2J" in seen
    assert "[red]gone[/red]" in seen


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("", 20, [""]),
        ("a\n\nb", 20, ["a", "", "b"]),
        ("one two three four", 10, ["one two", "three four"]),
        ("x" * 25, 10, ["x" * 10, "x" * 10, "x" * 5]),
        ("a " + "x" * 12, 10, ["a xxxxxxxx", "xxxx"]),
        ("漢字漢字漢字漢", 10, ["漢字漢字漢", "字漢"]),
        ("exactly ten", 11, ["exactly ten"]),
    ],
)
def test_a_text_is_cut_at_blanks_and_at_the_width(text: str, width: int, lines: list[str]) -> None:
    assert [text[start:end] for start, end in cut(text, width)] == lines


@pytest.mark.parametrize(
    ("text", "told"), [("short", "short"), ("a longer text", "a longer .."), ("漢字漢字漢字", "漢字漢字..")]
)
def test_a_line_that_is_too_long_ends_in_dots(text: str, told: str) -> None:
    assert fitted(text, 11) == told


LEAF = Node(key="leaf", note="needle", bodies=(Body(text="hay Needle hay\nneedle"),))
TOP = Node(key="top", note="top", children=(Node(key="middle", note="mid", children=(LEAF,)),))


def test_a_search_finds_what_is_shut_and_opens_the_way_to_it() -> None:
    hits = search([TOP], "NEEDLE", Shelf())
    assert [(hit.key, hit.piece, hit.start) for hit in hits.places] == [
        ("leaf", HEAD, 0),
        ("leaf", 0, 4),
        ("leaf", 0, 15),
    ]
    assert revealed([TOP], hits.places, {}) == {"top": True, "middle": True, "leaf": True}


def test_a_hit_on_a_line_of_its_own_needs_no_body() -> None:
    hits = search([TOP], "mid", Shelf())
    assert revealed([TOP], hits.places, {}) == {"top": True}


def test_what_is_found_is_marked_also_across_the_end_of_a_line() -> None:
    node = Node(key="k", is_open=True, bodies=(Body(text="x" * 15 + "needle"),))
    shelf = Shelf()
    hits = search([node], "needle", shelf)
    sheet = lay([node], {}, 22, shelf)
    marked = [[span.text for span in sheet.line(row, hits).spans if span.tone is Tone.MATCH] for row in range(3)]
    assert marked == [[], ["nee"], ["dle"]]
    assert sheet.row_of(hits.places[0]) == 1


def test_a_needle_is_text_and_no_pattern() -> None:
    assert not search([TOP], "n.edle", Shelf()).places
    assert not search([TOP], "", Shelf()).places


def test_a_hit_within_what_is_shut_has_no_row() -> None:
    hits = search([LEAF], "hay", Shelf())
    assert lay([LEAF], {}, 80, Shelf()).row_of(hits.places[0]) is None


def test_more_hits_than_are_kept_are_told() -> None:
    hits = search([Node(key="k", bodies=(Body(text="a" * (MOST_HITS + 5)),))], "a", Shelf())
    assert len(hits.places) == MOST_HITS
    assert hits.more


def test_a_text_that_changed_is_laid_anew() -> None:
    shelf = Shelf()
    nodes = [Node(key="k", is_open=True, bodies=(Body(text="one"),))]
    lay(nodes, {}, 80, shelf)
    changed = [Node(key="k", is_open=True, bodies=(Body(text="two", form=Form.OWN),))]
    sheet = lay(changed, {}, 80, shelf)
    assert [sheet.line(row, Hits()).text.strip() for row in range(sheet.count)][-1] == "two"


def test_evidence_in_full_is_open() -> None:
    told = rows(observations([LOG]))
    assert told[0] == "▾ [e7] log: Pod/shop/web-1, previous log"
    assert " ".join(line[4:] for line in told[1:]).split() == LONG.split()


def test_a_thousand_steps_of_16_kb_are_quick() -> None:
    text = ("2026-11-23T03:00:00Z web-1 error: the connection was refused by the other side\n" * 210)[: 16 * 1024]
    steps = tuple(step(number, StepKind.TEXT, text, turn=number // 4 + 1) for number in range(1, 1001))
    nodes, shelf = tree(run(steps=steps)), Shelf()
    begin = time.perf_counter()
    shut = lay(nodes, {}, 80, shelf)
    assert shut.count < 300
    assert time.perf_counter() - begin < 1
    begin = time.perf_counter()
    opened = lay(nodes, all_open(nodes), 80, shelf)
    assert opened.count > 200_000
    assert time.perf_counter() - begin < 8
    begin = time.perf_counter()
    lay(nodes, all_open(nodes), 80, shelf)
    opened.line(opened.count - 1, Hits())
    assert time.perf_counter() - begin < 1
