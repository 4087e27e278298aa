"""The brakes as lines, and what a change of them would do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from console.brakes import BREAKER_OPENED, CHANGED, tell
from console.modechange import (
    Ceiling,
    KillSwitch,
    Known,
    NamespaceCeiling,
    ResetBreakers,
    ceiling_typed,
    mode_change,
    namespace_typed,
    tell_change,
)
from responder.domain.audit import AuditRecord
from responder.domain.mode import ModeSettings
from responder.domain.rule import Mode
from responder.domain.views import RuleView

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
FREE = ModeSettings()
HELD = ModeSettings(
    ceiling=Mode.DRY_RUN, namespaces={"shop": Mode.REPORT}, kill_switch=True, breakers={"*": "2 failed"}, set_by="ann"
)


def rule(mode):
    return RuleView(name=mode, mode=mode, actions=(), alerts=(), matchers=(), max_risk="low", file="f", line=1)


KNOWN = Known(
    mode=FREE, states={"executing": 1, "awaiting_approval": 4}, rules=(rule("autonomous"), rule("dry-run"))
)  # fmt: skip


def record(seq, minutes, event=CHANGED, subject="", actor="ann", **detail):
    at = NOW - timedelta(minutes=minutes)
    return AuditRecord(
        seq=seq, at=at, actor=actor, event=event, subject=subject, detail=detail, previous="", digest=""
    )  # fmt: skip


def texts(lines):
    return [line.text.rstrip() for line in lines]


@pytest.mark.parametrize(
    ("wish", "mode", "word", "body", "raises"),
    [
        (KillSwitch(on=True), FREE, "kill", {"kill_switch": True}, False),
        (KillSwitch(on=False), HELD, "release", {"kill_switch": False}, True),
        (Ceiling(Mode.REPORT), FREE, "report", {"ceiling": "report"}, False),
        (Ceiling(Mode.AUTONOMOUS), HELD, "autonomous", {"ceiling": "autonomous"}, True),
        (NamespaceCeiling("a", Mode.REPORT), FREE, "a", {"namespaces": {"a": "report"}}, False),
        (NamespaceCeiling("a", Mode.REPORT), HELD, "a", {"namespaces": {"shop": "report", "a": "report"}}, False),
        (NamespaceCeiling("shop", None), HELD, "shop", {"namespaces": {}}, True),
        (NamespaceCeiling("a", Mode.AUTONOMOUS), FREE, "a", {"namespaces": {"a": "autonomous"}}, False),
        (ResetBreakers(), HELD, "reset", {"reset_breakers": True}, True),
    ],
)
def test_a_wish_becomes_a_word_a_body_and_a_direction(wish, mode, word, body, raises):
    asked = mode_change(wish, mode)
    assert (asked.word, asked.body, asked.raises) == (word, body, raises)


def test_only_pulling_the_kill_switch_is_urgent():
    assert mode_change(KillSwitch(on=True), FREE).is_urgent
    assert not mode_change(KillSwitch(on=False), HELD).is_urgent
    assert not mode_change(Ceiling(Mode.REPORT), FREE).is_urgent


def test_what_holds_already_changes_nothing():
    assert mode_change(Ceiling(Mode.DRY_RUN), HELD).changes_nothing
    assert mode_change(NamespaceCeiling("other", None), HELD).changes_nothing
    assert not mode_change(Ceiling(Mode.REPORT), HELD).changes_nothing


@pytest.mark.parametrize(
    ("wish", "before", "lines"),
    [
        (Ceiling(Mode.REPORT), FREE, ["ceiling       autonomous → report"]),
        (NamespaceCeiling("shop", None), HELD, ["shop          report → no ceiling"]),
        (ResetBreakers(), HELD, ["breaker       every namespace: open → closed"]),
        (KillSwitch(on=False), HELD, ["kill switch   ON → off"]),
    ],
)
def test_before_and_after_stand_side_by_side(wish, before, lines):
    assert texts(tell_change(mode_change(wish, before), KNOWN, width=80))[: len(lines)] == lines


def test_rules_that_a_ceiling_touches_are_counted_by_what_becomes_of_them():
    lines = texts(tell_change(mode_change(Ceiling(Mode.REPORT), FREE), KNOWN, width=100))
    assert "rules that change: 1 autonomous → report, 1 dry-run → report (of 2)" in lines


def test_what_the_configuration_forbids_anyway_is_not_counted_as_a_change():
    known = replace(KNOWN, limit=Mode.DRY_RUN)
    lines = texts(tell_change(mode_change(Ceiling(Mode.DRY_RUN), FREE), known, width=100))
    assert "rules that change: none (of 2)" in lines


def test_the_kill_switch_tells_how_many_incidents_it_touches_or_that_nobody_knows():
    asked = mode_change(KillSwitch(on=True), FREE)
    assert "incidents now: 1 executing, 0 rolling back, 4 awaiting approval" in texts(
        tell_change(asked, KNOWN, width=80)
    )
    unknown = replace(KNOWN, states={})
    assert "how many incidents that touches is not known" in texts(tell_change(asked, unknown, width=80))


@pytest.mark.parametrize(("typed", "mode"), [("report", Mode.REPORT), ("D", Mode.DRY_RUN), (" auto ", Mode.AUTONOMOUS)])
def test_a_mode_may_be_begun_only(typed, mode):
    assert ceiling_typed(typed) == Ceiling(mode)


@pytest.mark.parametrize("typed", ["", "full", "report!"])
def test_what_is_no_mode_is_refused_with_those_that_are(typed):
    with pytest.raises(ValueError, match="report, dry-run, autonomous"):
        ceiling_typed(typed)


@pytest.mark.parametrize(
    ("typed", "wish"),
    [("shop  report", NamespaceCeiling("shop", Mode.REPORT)), ("shop -", NamespaceCeiling("shop", None))],
)
def test_a_namespace_is_typed_with_its_ceiling(typed, wish):
    assert namespace_typed(typed) == wish


@pytest.mark.parametrize(("typed", "why"), [("", "no name"), ("Shop report", "no name"), ("shop", "say which")])
def test_half_a_namespace_ceiling_is_refused(typed, why):
    with pytest.raises(ValueError, match=why):
        namespace_typed(typed)


def test_the_screen_tells_since_when_the_kill_switch_is_on():
    records = (
        record(9, 1, kill_switch=True, ceiling="report"),
        record(7, 5, kill_switch=True),
        record(3, 30, kill_switch=False),
    )
    first = texts(tell(Known(mode=HELD, records=records), width=100, now=NOW))[0]
    assert first.startswith("KILL SWITCH   ON since ")
    assert "(5m ago): no write starts" in first


def test_a_breaker_tells_why_and_since_when():
    opened = record(4, 90, event=BREAKER_OPENED, subject="*", actor="clopus", reason="2 failed")
    lines = texts(tell(Known(mode=HELD, records=(opened,)), width=120, now=NOW))
    (told,) = [line for line in lines if line.startswith("BREAKERS")]
    assert "every namespace: open since" in told
    assert "(1h ago)" in told
    assert told.endswith("2 failed")


def test_a_ceiling_above_what_the_configuration_allows_says_what_holds():
    lines = texts(tell(Known(mode=FREE, limit=Mode.REPORT), width=100, now=NOW))
    assert lines[1] == "CEILING       report: the configuration allows no more, whatever is set here (autonomous)"


def test_the_last_changes_tell_what_each_one_changed():
    records = (
        record(5, 2, ceiling="report", namespaces={"shop": "report"}, reason="freeze"),
        record(2, 9, actor="bob", ceiling="report", reason=""),
    )
    lines = texts(tell(Known(mode=FREE, records=records), width=100, now=NOW))
    assert lines[-2:] == [
        "  2m  ann: shop no ceiling → report: freeze",
        "  9m  bob: ceiling autonomous → report",
    ]


def test_text_of_others_is_shown_for_what_it_is():
    hostile = "\x1b]52;c;x\x07\u202e"
    mode = replace(HELD, breakers={hostile: hostile}, set_by=hostile, reason=hostile)
    known = Known(mode=mode, records=(record(1, 1, actor=hostile, reason=hostile, breakers={hostile: hostile}),))
    drawn = "".join(
        texts((*tell(known, width=100, now=NOW), *tell_change(mode_change(ResetBreakers(), mode), known, width=90)))
    )
    assert not set(drawn) & {"\x1b", "\x07", "\u202e"}
