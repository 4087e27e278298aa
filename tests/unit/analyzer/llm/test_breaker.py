"""When a provider is left alone, and for how long."""

from __future__ import annotations

import pytest

from responder.analyzer.llm.breaker import Breaker, BreakerState
from responder.analyzer.llm.turn import Refusal


def _refused(breaker: Breaker, *, times: int, now: float = 0.0, refusal: Refusal = Refusal.OVERLOADED) -> None:
    for _ in range(times):
        breaker.refused(refusal, now)


@pytest.mark.parametrize(
    ("refusal", "times", "state"),
    [
        (Refusal.OVERLOADED, 4, BreakerState.CLOSED),
        (Refusal.OVERLOADED, 5, BreakerState.OPEN),
        (Refusal.CUT, 5, BreakerState.OPEN),
        (Refusal.UNREACHABLE, 5, BreakerState.OPEN),
        (Refusal.UNAUTHORIZED, 1, BreakerState.OPEN),
        (Refusal.REJECTED, 50, BreakerState.CLOSED),
    ],
)
def test_it_opens_after_refusals_in_a_row(refusal: Refusal, times: int, state: BreakerState) -> None:
    breaker = Breaker()
    _refused(breaker, times=times, refusal=refusal)
    assert breaker.state(0.0) is state


def test_an_answer_between_refusals_begins_the_row_anew() -> None:
    breaker = Breaker()
    _refused(breaker, times=4)
    breaker.answered()
    _refused(breaker, times=4)
    assert breaker.admit(0.0) == 0.0


def test_an_open_one_says_how_long_it_stays_so() -> None:
    breaker = Breaker()
    _refused(breaker, times=5, now=100.0)
    assert breaker.admit(110.0) == 50.0


def test_after_the_pause_one_request_goes_through() -> None:
    breaker = Breaker()
    _refused(breaker, times=5)
    assert breaker.state(60.0) is BreakerState.HALF_OPEN
    assert breaker.admit(60.0) == 0.0
    assert breaker.admit(60.0) == 60.0


def test_a_probe_that_never_ended_blocks_for_one_pause_only() -> None:
    breaker = Breaker()
    _refused(breaker, times=5)
    breaker.admit(60.0)
    assert breaker.admit(120.0) == 0.0


def test_an_answer_to_the_probe_closes_it() -> None:
    breaker = Breaker()
    _refused(breaker, times=5)
    breaker.admit(60.0)
    breaker.answered()
    assert (breaker.state(60.0), breaker.last) == (BreakerState.CLOSED, None)


def test_requests_that_were_on_their_way_when_it_opened_do_not_make_the_pause_longer() -> None:
    breaker = Breaker()
    _refused(breaker, times=12, now=100.0)
    assert breaker.admit(110.0) == 50.0


def test_each_refused_probe_doubles_the_pause_up_to_a_quarter_of_an_hour() -> None:
    breaker, now, pauses = Breaker(), 0.0, []
    _refused(breaker, times=5)
    for _ in range(6):
        pauses.append(breaker.admit(now))
        now += pauses[-1]
        breaker.admit(now)
        breaker.refused(Refusal.FAILED, now)
    assert pauses == [60.0, 120.0, 240.0, 480.0, 900.0, 900.0]
