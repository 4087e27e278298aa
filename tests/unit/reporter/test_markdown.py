"""One incident as Markdown, read back with a CommonMark parser: text from the cluster stays text."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from responder.domain.action import SetImage
from responder.domain.alert import Alert, AlertStatus
from responder.domain.audit import AuditRecord
from responder.domain.execution import Execution, ExecutionKind, ExecutionOutcome, Verdict, VerdictKind, Verification
from responder.domain.incident import Incident, Outcome, State
from responder.domain.investigation import (
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
)
from responder.reporter.commonmark import fenced, heading, inline, item, table
from responder.reporter.markdown import render_markdown

AT = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u1")
PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])

HOSTILE = (
    "# head",
    "a\n# head",
    "a\n\n---\n\nb",
    "<script>alert(1)</script>",
    "<!-- hidden",
    "<http://evil.example>",
    "[text](http://evil.example)",
    "![image](http://evil.example/x.png)",
    "[ref]: http://evil.example",
    "&lt;b&gt; &#35;",
    "a | b | c",
    "a \\| b \\\\| c",
    "`code` ``more`` ```fence",
    "```\nout of the fence\n```",
    "~~~~\nout\n~~~~~~",
    "**bold** __bold__ *it* _it_ ~~gone~~",
    "1. one",
    "12) twelve",
    "- item",
    "+ item",
    "> quote",
    "    code",
    "a\n=====",
    "back\\slash at the end\\",
    "$math$",
    "@everyone a@b.example www.evil.example",
    "\x1b[31mred\x07 \u202egnp.exe\u200b \x00\t\r end",
    "`@`",
    "a@@b `@@` @@",
    "\\`@everyone`",
    "|---|",
    "",
    " ",
)


def inside(tokens: list[Token]) -> list[Token]:
    return [child for token in tokens for child in (token, *inside(token.children or []))]


def text_of(markdown: str) -> str:
    """What a reader sees of a paragraph or cell."""
    return "".join(token.content for token in inside(PARSER.parse(markdown)) if token.type in ("text", "code_inline"))


PLAIN = {"text", "inline", "paragraph_open", "paragraph_close", "code_inline"}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_text_in_a_line_is_nothing_but_text(hostile: str) -> None:
    for lead in ("", "so: "):
        tokens = inside(PARSER.parse(lead + inline(hostile)))
        assert {token.type for token in tokens} <= PLAIN
        assert {token.content for token in tokens if token.type == "code_inline"} <= {"@", "@@"}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_reader_sees_the_text_that_was_there(hostile: str) -> None:
    seen = text_of(inline(hostile))
    assert set("\x1b\x07\u202e\u200b\x00\t\r") & set(seen) == set()
    plain = hostile.isprintable() or not set(hostile) - set(map(chr, range(32, 127))) - {"\n"}
    if plain:
        assert seen == " ".join(hostile.split())


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_heading_holds_its_text_and_no_more(hostile: str) -> None:
    tokens = PARSER.parse(heading(2, hostile))
    assert [token.type for token in tokens] == ["heading_open", "inline", "heading_close"]
    assert {token.type for token in inside(tokens)} <= PLAIN | {"heading_open", "heading_close"}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_list_item_holds_its_text_and_no_more(hostile: str) -> None:
    tokens = PARSER.parse("\n".join([item(hostile, hostile), item("b", hostile, depth=1)]))
    assert sum(token.type == "list_item_open" for token in tokens) == 2
    kinds = {token.type for token in inside(tokens)}
    assert kinds <= PLAIN | {
        "bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close", "strong_open", "strong_close",
    }  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_table_keeps_its_cells(hostile: str) -> None:
    tokens = PARSER.parse("\n".join(table(("A", hostile), [(hostile, "x"), ("y", hostile)])))
    assert sum(token.type in ("td_open", "th_open") for token in tokens) == 6
    assert tokens[0].type == "table_open"
    assert tokens[-1].type == "table_close"


@pytest.mark.parametrize("hostile", [*HOSTILE, "`" * 40, "a\n" + "`" * 7 + "\nb"])
def test_a_fence_cannot_be_closed_from_within(hostile: str) -> None:
    (token,) = PARSER.parse("\n".join(fenced(hostile)))
    assert token.type == "fence"
    assert token.info == "text"
    assert set("\x1b\x07\u202e\u200b\x00\r") & set(token.content) == set()


def test_texts_at_random_stay_texts() -> None:
    parts = [*"`*_[]()<>!#|~$\\@&;:-+=.1 \n\tab\"'^{}/", "http://", "www.", "```", "<!--", "&lt;", "\u202e", "\r"]
    dice = random.Random(20261123)
    for _ in range(1500):
        text = "".join(dice.choices(parts, k=dice.randint(1, 25)))
        tokens = inside(PARSER.parse(inline(text)))
        assert {token.type for token in tokens} <= PLAIN, text
        assert all(set(token.content) == {"@"} for token in tokens if token.type == "code_inline"), text
        cells = PARSER.parse("\n".join(table(("A", "B"), [(text, text)])))
        assert sum(token.type in ("td_open", "th_open") for token in cells) == 4, text
        assert [token.type for token in PARSER.parse("\n".join(fenced(text)))] == ["fence"], text


def test_a_fence_keeps_every_line_as_it_is() -> None:
    (token,) = PARSER.parse("\n".join(fenced("  a\n\n\tb  \n# c\n")))
    assert token.content == "  a\n\n\tb  \n# c\n"


def incident_of(text: str) -> tuple[IncidentDetail, Reasoning]:
    """Everything that can come from outside is `text`."""
    change = Change(target=WEB, resource_version="1", base_hash="h",
                    inverse=(PatchOp(op="replace", path="/x", value=text),))  # fmt: skip
    plan = Plan(
        id="pln-1", incident_id="inc-1", investigation_id="inv-1", finding=text,
        action=SetImage(target=WEB, container=text, image=text), reason=text, changes=(change,), diff=text,
        risk=Risk.MEDIUM, reversible=True, warnings=(text,), restores_not=(text,),
        checks=(Check(name="risk_ceiling", passed=False, detail=text), Check(name="a", passed=True, detail=text)),
        state=PlanState.APPLIED, digest="d" * 64, created_at=AT, expires_at=AT + timedelta(minutes=15),
    )  # fmt: skip
    finding = Finding(signature="s", subject=WEB, container=text, cause=text, confidence=0.93, evidence=("e1",))
    seen = Evidence(id="e1", kind=EvidenceKind.LOG, source=text, observed_at=AT, text=text)
    common: dict[str, Any] = {
        "id": "inv-1", "number": 1, "analyzer": "claude", "model": text, "started_at": AT, "ended_at": AT,
        "conclusion": Conclusion.FAULT_FOUND, "summary": text, "findings": (finding,),
        "usage": Usage(input_tokens=1000, output_tokens=10), "cost_usd": 0.25,
    }  # fmt: skip
    alert = Alert(fingerprint="f", status=AlertStatus.FIRING, labels={"alertname": text, "x": text},
                  annotations={text: text}, starts_at=AT)  # fmt: skip
    version = ObjectVersion(seq=1, ref=WEB, event=VersionEvent.CHANGED, seen_at=AT, manager=text,
                            differences=(Difference(path=text, before=text, after="2"),))  # fmt: skip
    execution = Execution(id="exe-1", plan_id="pln-1", incident_id="inc-1", kind=ExecutionKind.APPLY, change=change,
                          requested_by=text, intent_at=AT, outcome=ExecutionOutcome.APPLIED, detail=text)  # fmt: skip
    look = Verification(execution_id="exe-1", number=1, at=AT, elapsed_seconds=2.0,
                        verdict=Verdict(kind=VerdictKind.PASSED, reason=text), ready=1, desired=1,
                        restarts=0)  # fmt: skip
    detail = IncidentDetail(
        incident=Incident(id="inc-1", key=f"Deployment/shop/{text}", root=WEB, state=State.RESOLVED,
                          outcome=Outcome.FIXED, summary=text, severity=text, rule=text, opened_at=AT, updated_at=AT),
        alerts=(AlertView(alert=alert, received_at=AT),),
        timeline=(AuditRecord(seq=1, at=AT, actor=text, event="approved", previous="", digest="", detail={"y": text}),),
        decisions=(
            DecisionView(at=AT, rule=text, rule_mode="report", mode="report", rule_set="r", why=(text,),
                         consulted=(Consulted(analyzer=text, answered=False, why=text),)),
        ),
        investigations=(
            InvestigationSummary(**common, ruled_out=(RuledOut(hypothesis=text, because=text),),
                                 unchecked=(Unchecked(what=text, why=text),), evidence_count=9, step_count=4),
        ),
        plans=(
            PlanView(plan=plan, approvals=(
                Approval(id="a", plan_id="pln-1", digest="d" * 64, approver=text, kind="human", decided_at=AT,
                         expires_at=AT),
            )),
        ),
        executions=(ExecutionView(execution=execution, verifications=(look,)),),
        changes=(version,),
    )  # fmt: skip
    reasoning = Reasoning(
        incident_id="inc-1", investigations=(Investigation(incident_id="inc-1", evidence=(seen,), **common),)
    )
    return detail, reasoning


def skeleton(markdown: str) -> list[tuple[str, str, int]]:
    """The structure without the words; a code span round an at sign is one of them."""
    return [(token.type, token.tag, token.nesting) for token in PARSER.parse(markdown)]


@pytest.mark.parametrize("hostile", [text for text in HOSTILE if text.strip()])
def test_the_structure_is_the_same_whatever_the_texts_say(hostile: str) -> None:
    assert skeleton(render_markdown(*incident_of(hostile))) == skeleton(render_markdown(*incident_of("harmless")))


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_text_becomes_a_link_an_image_a_tag_or_emphasis(hostile: str) -> None:
    tokens = inside(PARSER.parse(render_markdown(*incident_of(hostile))))
    kinds = {token.type for token in tokens}
    assert not kinds & {"link_open", "image", "html_inline", "html_block", "em_open", "s_open", "code_block", "hr"}
    strong = {tokens[place + 1].content for place, token in enumerate(tokens) if token.type == "strong_open"}
    assert strong


def test_the_report_answers_in_the_order_of_the_questions() -> None:
    report = render_markdown(*incident_of("words"))
    heads = [line for line in report.split("\n") if line.startswith("#")]
    assert heads == [
        "# Deployment/shop/words: resolved, fixed",
        "## Why",
        "### Run 1 by claude (words): fault found",
        "## Alerts",
        "## What others changed around it",
        "## Rule",
        "## Change 1 of 1: pln-1, applied",
        "### Checks",
        "### Approvals",
        "### Applied: exe-1, outcome applied",
        "## Rollback",
        "## Timeline",
        "## Reasoning and cost",
    ]


@pytest.mark.parametrize(
    "part",
    [
        "| Opened | 2026-11-23 03:00:00 UTC |",
        "- **93%:** container words: words (e1)",
        "```text\nwords\n```",
        "8 observations that no finding cites",
        "- **words did not answer:** words",
        "```diff\nwords\n```",
        "| risk\\_ceiling | NOT PASSED | words |",
        "- **approved:** by words (human) at 2026-11-23 03:00:00 UTC, digest " + "d" * 64,
        "| 2.0 s | PASSED | 1 of 1 | 0 | words |",
        "- **take it back:** clopus rollback exe-1",
        "0.2500 USD",
    ],
)
def test_the_report_has_it_all(part: str) -> None:
    assert part in render_markdown(*incident_of("words")).replace("\\.", ".")


def test_why_a_change_stays_is_said() -> None:
    detail, reasoning = incident_of("words")
    view = detail.executions[0]
    unknown = replace(view, execution=replace(view.execution, outcome=ExecutionOutcome.UNKNOWN))
    assert "a person has to look" in render_markdown(replace(detail, executions=(unknown,)), reasoning)
    lasting = replace(view, execution=replace(view.execution, change=replace(view.execution.change, inverse=())))
    assert "the change has no inverse" in render_markdown(replace(detail, executions=(lasting,)), reasoning)
    assert "nothing was written" in render_markdown(replace(detail, executions=()), reasoning)


def test_an_incident_that_nobody_looked_at_yet_is_a_report_as_well() -> None:
    incident = Incident(id="inc-1", key="alert/shop/Odd", root=None, opened_at=AT, updated_at=AT)
    report = render_markdown(IncidentDetail(incident=incident), Reasoning(incident_id="inc-1", investigations=()))
    assert report.startswith("# alert/shop/Odd: open\n")
    assert "Not investigated yet." in report
    assert report.endswith("\n")
