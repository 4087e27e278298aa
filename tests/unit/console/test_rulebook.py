"""Rules as lines."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from console import rulebook
from console.lines.formatting import Tone
from responder.domain.incident import Incident, State
from responder.domain.mode import ModeSettings
from responder.domain.rule import ApprovalPolicy, Match, Mode
from responder.domain.views import Explanation, RuleAnswer, RuleRecord, RuleView

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RECORD = RuleRecord(
    incidents=1340, proposed=900, incidents_day=12, last_at=NOW - timedelta(hours=3), last_incident="inc-1",
    last_outcome="escalated rolled_back", plans=40, approved_by_people=30, rejected=4, applied=31, passed=28, failed=3,
    taken_back=2, passed_in_a_row=7, recent=5,
)  # fmt: skip
RULE = RuleView(
    name="image-pull", mode="autonomous", actions=("set_image",), alerts=("ImagePullBackOff",),
    matchers=('namespace=~"shop-.*"',), max_risk="medium", file="rules/20.yaml", line=7, record=RECORD,
    trust="too little is known", exclude=Match(alerts=("Watchdog",)), approval=ApprovalPolicy(approvers=2),
    analyzers=("heuristic", "claude"), deadline_seconds=300.0, notify=("slack",),
)  # fmt: skip


def text_of(lines: object) -> str:
    return "\n".join(line.text.rstrip() for line in lines)


@pytest.mark.parametrize("width", [78, 120, 198])
def test_a_row_fills_the_screen_and_is_no_wider(width: int) -> None:
    line = rulebook.row(RULE, ModeSettings(), width=width, now=NOW)
    assert width - 1 <= len(line.text) <= width
    assert line.key == "image-pull"


def test_a_row_tells_hits_last_decision_and_record() -> None:
    words = rulebook.row(RULE, ModeSettings(), width=78, now=NOW).text.split()
    assert words == ["image-pull", "autonomous", "12", "1,340", "3h", "rolled", "back", "28", "3", "2"]


def test_a_wide_screen_has_room_for_what_the_record_is_worth() -> None:
    assert "too little is known" in rulebook.row(RULE, None, width=198, now=NOW).text
    assert "too little is known" not in rulebook.row(RULE, None, width=78, now=NOW).text


@pytest.mark.parametrize(
    ("says", "settings", "told", "tone"),
    [
        ("report", ModeSettings(), "report", Tone.PLAIN),
        ("autonomous", ModeSettings(), "autonomous", Tone.BUSY),
        ("autonomous", ModeSettings(ceiling=Mode.REPORT), "report (auto)", Tone.WAITS),
        ("dry-run", ModeSettings(ceiling=Mode.REPORT), "report (dry)", Tone.WAITS),
        ("autonomous", ModeSettings(breakers={"*": "two failed"}), "dry-run (auto)", Tone.WAITS),
        ("autonomous", ModeSettings(namespaces={"shop": Mode.REPORT}), "autonomous", Tone.BUSY),
        ("autonomous", None, "autonomous", Tone.BUSY),
    ],
)
def test_the_mode_is_what_is_left_of_it_and_what_the_rule_says(
    says: str, settings: ModeSettings | None, told: str, tone: Tone
) -> None:
    cell = rulebook.mode_cell(says, settings)
    assert (cell.text, cell.tone) == (told, tone)
    assert len(cell.text) <= 14


def test_the_preview_tells_the_whole_sentence_or_what_lowers_the_mode() -> None:
    told = rulebook.preview(RULE, ModeSettings(ceiling=Mode.DRY_RUN), 78)
    assert (
        told
        == "too little is known\nimage-pull: autonomous, lowered to dry-run by the ceiling, dry-run; rules/20.yaml:7"
    )


def test_a_rule_is_told_with_everything_its_file_says() -> None:
    settings = ModeSettings(
        ceiling=Mode.DRY_RUN, namespaces={"shop-eu": Mode.REPORT}, breakers={"shop-us": "two failed"}, kill_switch=True
    )
    text = text_of(rulebook.tell(RULE, settings, (), width=100, now=NOW))
    for part in (
        "image-pull  rules/20.yaml:7",
        "in effect         dry-run, held down by the ceiling, dry-run",
        "in shop-eu        report (ceiling of the namespace)",
        "pressed: nothing is written",
        "alert in Watchdog",
        "by 2 different people, within 15m",
        "1/30m per workload, 3/1h per namespace, 10/1h in all; 1 at a time",
        "heuristic, claude, within 5m",
        "1,340, 12 within the last day; a change was proposed for 900",
        "31 written: 28 passed, 3 did not, 2 taken back",
        "(3h ago), inc-1: escalated rolled back",
        "it has spoken for none",
    ):
        assert part in text
    assert "in shop-us" not in text  # its breaker lowers to what the ceiling leaves anyway


def test_incidents_of_a_rule_can_be_opened() -> None:
    incident = Incident(id="inc-1", key="Deployment/shop/web", root=None, opened_at=NOW, updated_at=NOW)
    incident = replace(incident, state=State.ESCALATED)
    lines = rulebook.tell(RULE, None, (incident,), width=78, now=NOW)
    assert [line.key for line in lines if line.key] == ["inc-1"]


def test_the_way_through_the_rules_names_what_did_not_hold() -> None:
    bank = RuleAnswer(rule="bank", mode="report", file="a", line=1, matches=False, reason="team is \u202e")
    last = RuleAnswer(rule="rest", mode="autonomous", file="a", line=9, matches=True, reason="matches every alert")
    answer = Explanation(
        rule="rest", mode="autonomous", effective_mode="dry-run", why=("matches every alert",), asked=(bank, last)
    )
    lines = rulebook.tell_explanation(answer, [("alertname", "X")], width=60)
    text = text_of(lines)
    assert "no     bank  a:1\n         team is \\u202e\nspeaks rest  a:9\n         matches every alert" in text
    assert "in effect         dry-run, lowered by a ceiling or breaker" in text
    assert {line.key for line in lines if line.key} == {"bank", "rest"}


def test_an_alert_that_no_rule_speaks_for_is_only_reported() -> None:
    answer = Explanation(rule="", mode="report", effective_mode="report", why=("no rule matches",))
    assert "none speaks for it: it is reported" in text_of(rulebook.tell_explanation(answer, [], width=60))
