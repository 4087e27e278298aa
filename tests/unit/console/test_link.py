"""What the connection bar says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from console.link import Link, LinkState

T0 = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def later(seconds):
    return T0 + timedelta(seconds=seconds)


def test_nothing_was_tried_yet():
    assert Link().state(T0) is LinkState.CONNECTING


def test_an_answer_is_live_until_it_is_old():
    link = Link().answered(T0)
    assert link.state(later(3)) is LinkState.LIVE
    assert link.state(later(60)) is LinkState.STALE, "a call that hangs must not look live"


def test_a_failure_is_told_with_its_reason_and_then_since_when():
    link = Link().answered(T0).failed("refused")
    assert link.told(later(3))[0] == "reconnecting: refused"
    assert link.told(later(90))[0].startswith("stale since ")
    assert "(1m), reconnecting: refused" in link.told(later(90))[0]


def test_a_server_that_never_answered_is_not_called_stale():
    assert Link().failed("refused").told(later(900))[0] == "reconnecting: refused"


def test_an_answer_ends_the_trouble():
    assert Link().answered(T0).failed("refused").answered(later(60)).told(later(61))[0] == "live"


def test_a_hostile_reason_is_shown_as_what_it_is():
    assert Link().failed("a\x1b[2J\nb").told(T0)[0] == "reconnecting: a\\x1b[2J b"
