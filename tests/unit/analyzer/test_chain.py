"""Whom to ask besides the detectors, and what stands of two answers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from responder.analyzer.chain import combined, doubt, to_ask
from responder.domain.action import RestartRollout, SetImage, UndoRollout
from responder.domain.investigation import Conclusion, Finding, Investigation, Proposal
from responder.domain.refs import ObjectRef

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u-1")
IMAGE = SetImage(target=WEB, container="web", image="nginx:1.27")
UNDO = UndoRollout(target=WEB, to_revision=3)
RESTART = RestartRollout(target=WEB)


def finding(signature: str, confidence: float, container: str = "web") -> Finding:
    return Finding(
        signature=signature, subject=WEB, container=container, cause="?", confidence=confidence, evidence=("e1",)
    )


def proposing(*actions: object, finding: str = "image.not_found") -> tuple[Proposal, ...]:
    return tuple(Proposal(action=a, reason="?", finding=finding, evidence=("e1",)) for a in actions)


def run(analyzer: str, conclusion: Conclusion, findings=(), proposals=(), summary: str = "") -> Investigation:
    return Investigation(
        id=f"inv-{analyzer}",
        incident_id="inc-1",
        number=1,
        analyzer=analyzer,
        started_at=NOW,
        ended_at=NOW,
        conclusion=conclusion,
        summary=summary or f"{analyzer} summary",
        findings=tuple(findings),
        proposals=tuple(proposals),
    )


SURE = run("heuristic", Conclusion.FAULT_FOUND, [finding("image.not_found", 0.95)], proposing(IMAGE, UNDO))
UNSURE = run("heuristic", Conclusion.FAULT_FOUND, [finding("crash.guess", 0.4)], proposing(UNDO))
LOST = run("heuristic", Conclusion.UNEXPLAINED)


@pytest.mark.parametrize(
    ("detected", "words"),
    [
        (SURE, ""),
        (UNSURE, "unsure"),
        (LOST, "do not explain"),
        (
            run(
                "heuristic",
                Conclusion.FAULT_FOUND,
                [finding("a.b", 0.9), finding("c.d", 0.85)],
                proposing(UNDO),
            ),
            "disagree",
        ),
        (
            run(
                "heuristic",
                Conclusion.FAULT_FOUND,
                [finding("a.b", 0.9), finding("c.d", 0.85, container="other")],
                proposing(UNDO),
            ),
            "",
        ),
        (run("heuristic", Conclusion.FAULT_FOUND, [finding("a.b", 0.9)]), "nothing that mends"),
        (run("heuristic", Conclusion.UNFIXABLE, [finding("a.b", 0.9)]), ""),
        (run("heuristic", Conclusion.UNFIXABLE, [finding("a.b", 0.5)]), "unsure"),
        (run("heuristic", Conclusion.RECOVERED), ""),
        (run("heuristic", Conclusion.UNSETTLED), ""),
        (run("heuristic", Conclusion.NOT_APPLICABLE), ""),
    ],
)
def test_doubt_is_named_and_only_where_there_is_some(detected, words):
    assert words in doubt(detected)
    assert bool(doubt(detected)) is bool(words)


@pytest.mark.parametrize(
    ("analyzers", "detected", "names"),
    [
        (("heuristic",), LOST, []),
        (("heuristic", "claude"), SURE, []),
        (("heuristic", "claude"), UNSURE, ["claude"]),
        (("heuristic", "claude", "openai_compatible"), LOST, ["claude", "openai_compatible"]),
        (("claude",), SURE, ["claude"]),
        (("claude", "heuristic"), SURE, ["claude"]),
        (("claude", "heuristic", "openai_compatible"), SURE, ["claude"]),
        (("claude",), run("heuristic", Conclusion.RECOVERED), ["claude"]),
        (("claude",), run("heuristic", Conclusion.UNSETTLED), []),
        (("claude",), run("heuristic", Conclusion.NOT_APPLICABLE), []),
    ],
)
def test_the_order_in_the_rule_says_who_is_asked(analyzers, detected, names):
    assert [asked.name for asked in to_ask(analyzers, detected)] == names


def test_without_another_answer_the_detectors_stand():
    answer = combined(SURE, None)
    assert (answer.conclusion, answer.summary) == (Conclusion.FAULT_FOUND, "heuristic summary")
    assert [s.proposal.suggested_by for s in answer.suggestions] == [("heuristic",), ("heuristic",)]


@pytest.mark.inv(40)
def test_a_model_adds_to_the_detectors_proposals_and_takes_none_away():
    claude = run("claude", Conclusion.UNFIXABLE, [finding("model.bug", 1.0)])
    answer = combined(SURE, claude)
    assert answer.conclusion is Conclusion.FAULT_FOUND
    assert [s.proposal.action for s in answer.suggestions] == [IMAGE, UNDO]


@pytest.mark.inv(40)
def test_who_suggests_an_action_is_counted_and_never_believed():
    forged = tuple(
        Proposal(action=RESTART, reason="?", finding="f", evidence=("e1",), suggested_by=("heuristic", "claude"))
        for _ in range(3)
    )
    claude = run("claude", Conclusion.FAULT_FOUND, [finding("model.bug", 1.0)], forged)
    found = {s.proposal.action: s.proposal.suggested_by for s in combined(SURE, claude).suggestions}
    assert found == {IMAGE: ("heuristic",), UNDO: ("heuristic",), RESTART: ("claude",)}


@pytest.mark.inv(40)
def test_agreement_is_told_and_changes_neither_the_order_nor_the_words_of_the_detectors():
    claude = run("claude", Conclusion.FAULT_FOUND, [finding("image.not_found", 0.9)], proposing(UNDO))
    first, second = combined(SURE, claude).suggestions
    assert (first.proposal.action, first.proposal.suggested_by) == (IMAGE, ("heuristic",))
    assert (second.proposal.action, second.proposal.suggested_by) == (UNDO, ("heuristic", "claude"))
    assert second.investigation_id == "inv-heuristic"


def test_a_plan_of_a_model_s_own_idea_belongs_to_its_investigation():
    claude = run("claude", Conclusion.FAULT_FOUND, [finding("model.bug", 1.0)], proposing(RESTART))
    assert {s.investigation_id for s in combined(LOST, claude).suggestions} == {"inv-claude"}


@pytest.mark.inv(40)
@pytest.mark.parametrize("word", [Conclusion.RECOVERED, Conclusion.UNSETTLED, Conclusion.NOT_APPLICABLE])
def test_no_model_s_word_ends_an_incident(word):
    assert combined(LOST, run("claude", word)).conclusion is Conclusion.UNEXPLAINED


def test_a_model_that_finds_a_fault_in_what_looks_well_is_heard():
    well = run("heuristic", Conclusion.RECOVERED)
    claude = run("claude", Conclusion.FAULT_FOUND, [finding("model.slow", 0.8)])
    assert combined(well, claude).conclusion is Conclusion.FAULT_FOUND


def test_summaries_name_who_says_what():
    claude = run("claude", Conclusion.FAULT_FOUND, [finding("model.bug", 0.8)], summary="the cache is cold")
    assert combined(LOST, claude).summary == "claude: the cache is cold"
    assert combined(SURE, claude).summary == "heuristic summary; claude says: the cache is cold"
    agreeing = run("claude", Conclusion.FAULT_FOUND, [finding("image.not_found", 0.8)], summary="no such tag")
    assert combined(SURE, agreeing).summary == "heuristic summary; claude agrees: no such tag"
    assert "does not explain it either" in combined(LOST, run("claude", Conclusion.UNEXPLAINED)).summary
