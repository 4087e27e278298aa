"""What the connection bar says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from console.lines.formatting import clock
from console.remote.link import Feed, Link, LinkState, Phase

T0 = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def later(seconds):
    return T0 + timedelta(seconds=seconds)


UP = Feed(phase=Phase.UP, heard_at=T0)
ABSENT = Feed(phase=Phase.ABSENT, attempt=1, problem="no such path (HTTP 404)")
WAITING = Feed(phase=Phase.WAITING, attempt=3, next_at=later(7), problem="broke off")


def test_nothing_was_tried_yet():
    assert Link().state(T0) is LinkState.CONNECTING


def test_an_answer_alone_is_not_live_while_the_stream_opens():
    assert Link().answered(T0).told(later(1))[0] == "connecting"


def test_without_a_stream_an_answer_is_polling_until_it_is_old():
    link = Link().answered(T0).fed(ABSENT)
    assert link.state(later(3)) is LinkState.POLLING
    assert link.state(later(60)) is LinkState.STALE, "a call that hangs must not look fresh"


@pytest.mark.parametrize(("silence", "state"), [(0, LinkState.LIVE), (35, LinkState.LIVE), (36, LinkState.STALE)])
def test_a_stream_is_live_until_it_has_been_silent_for_two_heartbeats(silence, state):
    assert Link().answered(T0).fed(UP).state(later(silence)) is state


def test_a_silent_stream_beside_answered_calls_is_not_live():
    link = Link().fed(UP).answered(later(38))
    assert link.told(later(40))[0] == "reconnecting (the stream is silent)"


def test_a_heartbeat_keeps_an_old_answer_live():
    link = Link().answered(T0).fed(replace(UP, heard_at=later(590)))
    assert link.told(later(600))[0] == "live"


def test_a_stream_is_not_live_while_calls_fail():
    link = Link().answered(T0).failed("refused").fed(replace(UP, heard_at=later(29)))
    assert link.state(later(3)) is LinkState.RECONNECTING
    assert link.told(later(30))[0] == f"stale since {clock(T0)}, reconnecting: refused"


def test_the_number_of_the_attempt_and_the_wait_are_told():
    link = Link().answered(T0).fed(WAITING)
    assert link.told(later(3))[0] == "reconnecting (attempt 3, next in 4s): broke off"
    assert link.told(later(8))[0] == "reconnecting (attempt 3): broke off"


def test_stale_tells_since_when_and_what_is_done():
    link = Link().answered(T0).failed("refused").fed(WAITING)
    assert link.told(later(90))[0] == f"stale since {clock(T0)}, reconnecting (attempt 3): refused"


def test_what_was_heard_later_than_the_last_answer_counts():
    link = Link().answered(T0).fed(replace(WAITING, heard_at=later(80)))
    assert link.state(later(85)) is LinkState.RECONNECTING
    assert link.told(later(95))[0].startswith(f"stale since {clock(later(80))}")


def test_a_refused_credential_is_told_as_such_and_later_with_the_time():
    link = Link().answered(T0).failed("no valid credential", refused=True)
    assert link.told(later(3))[0] == "refused: no valid credential"
    assert link.told(later(30))[0] == f"stale since {clock(T0)}, refused: no valid credential"


def test_a_failure_is_told_with_its_reason_and_then_since_when():
    link = Link().answered(T0).failed("refused")
    assert link.told(later(3))[0] == "reconnecting: refused"
    assert link.told(later(90))[0] == f"stale since {clock(T0)}, reconnecting: refused"


def test_a_server_that_never_answered_is_not_called_stale():
    assert Link().failed("refused").told(later(900))[0] == "reconnecting: refused"


def test_an_answer_ends_the_trouble():
    link = Link().fed(replace(UP, heard_at=later(50))).answered(T0).failed("refused").answered(later(60))
    assert link.told(later(61))[0] == "live"


def test_a_hostile_reason_is_shown_as_what_it_is():
    assert Link().failed("a\x1b[2J\nb").told(T0)[0] == "reconnecting: a\\x1b[2J b"
