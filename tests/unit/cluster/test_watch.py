"""The cursor decides by rules alone: tables for each rule, and random histories for what must hold in all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.cluster.cursor import (
    INSTANT,
    LIST_PERIOD,
    LONGEST_BACKOFF,
    SHORTEST_BACKOFF,
    WATCH_SECONDS,
    Cursor,
    List,
    Wait,
    Watch,
)
from responder.domain.errors import ClusterUnavailable, Forbidden, ObjectGone, ResponderError

CUT = ClusterUnavailable("cut")


def cursor(*, random: float = 1.0, resync_seconds: float = 900.0) -> Cursor:
    return Cursor(resync_seconds=resync_seconds, random=lambda: random)


def watching(at: float = 0.0, version: str = "10", **options: float) -> Cursor:
    """Listed and now watching, both since `at`."""
    made = cursor(**options)
    assert made.next(at) == List()
    assert made.believes(version, at)
    made.listed(version, at)
    assert isinstance(made.next(at), Watch)
    return made


def pause(cursor: Cursor, at: float) -> float:
    step = cursor.next(at)
    return step.seconds if isinstance(step, Wait) else 0.0


class TestOrder:
    def test_the_first_step_is_a_list(self) -> None:
        assert cursor().next(0.0) == List()

    def test_a_watch_goes_on_from_the_lists_version(self) -> None:
        made = watching(version="10")
        assert made.ended(500.0)
        step = made.next(500.0)
        assert isinstance(step, Watch)
        assert step.version == "10"

    @pytest.mark.parametrize("tell", [Cursor.event, Cursor.bookmark])
    @pytest.mark.parametrize(
        ("told", "reached"),
        [
            (("11", "12"), "12"),
            (("12", "11"), "12"),
            (("9",), "10"),
            (("",), "10"),
            (("abc",), "abc"),
        ],
    )
    def test_events_and_bookmarks_move_the_version_forward_only(
        self, tell: Callable[[Cursor, str], None], told: tuple[str, ...], reached: str
    ) -> None:
        made = watching(version="10")
        for version in told:
            tell(made, version)
        assert made.version == reached

    @pytest.mark.parametrize(("random", "seconds"), [(0.0, WATCH_SECONDS), (1.0, 1.25 * WATCH_SECONDS)])
    def test_the_length_of_a_watch_is_jittered(self, random: float, seconds: float) -> None:
        made = watching(random=random)
        made.ended(100.0)
        assert made.next(100.0) == Watch(version="10", seconds=seconds)

    def test_a_watch_is_no_longer_than_the_time_to_the_next_list(self) -> None:
        made = watching(resync_seconds=900.0, random=0.0)
        made.ended(700.0)
        assert made.next(700.0) == Watch(version="10", seconds=200.0)

    def test_a_list_is_due_after_the_resync_time(self) -> None:
        made = watching(resync_seconds=900.0, random=0.0)
        made.ended(900.0)
        assert made.next(900.0) == List()

    def test_a_list_asked_for_comes_next(self) -> None:
        made = watching()
        made.ask()
        assert made.list_due(5.0)
        assert made.next(5.0) == List()

    def test_a_list_asked_for_while_one_runs_is_another_one(self) -> None:
        made = cursor()
        assert made.next(0.0) == List()
        made.ask()
        made.listed("10", 0.2)
        assert made.next(0.2) == Wait(seconds=LIST_PERIOD - 0.2)
        assert made.next(LIST_PERIOD) == List()


class TestFailures:
    @pytest.mark.parametrize("random", [0.0, 1.0])
    def test_pauses_grow_to_a_bound(self, random: float) -> None:
        made = cursor(random=random)
        at, pauses = 0.0, []
        for _ in range(12):
            assert made.next(at) == List()
            made.failed(CUT, at)
            pauses.append(pause(made, at))
            at += max(pauses[-1], LIST_PERIOD)
        assert pauses[0] <= 1.0
        assert pauses == sorted(pauses)
        assert all(SHORTEST_BACKOFF <= seconds <= LONGEST_BACKOFF for seconds in pauses)
        assert pauses[-1] >= LONGEST_BACKOFF / 2

    def test_the_servers_wish_is_the_least_pause(self) -> None:
        made = watching()
        made.failed(ClusterUnavailable("busy", retry_after=20.0), 1.0)
        assert pause(made, 1.0) == 20.0

    @pytest.mark.parametrize(
        ("heal", "healed"),
        [
            pytest.param(lambda made: made.event("11"), True, id="event"),
            pytest.param(lambda made: made.bookmark("11"), True, id="bookmark"),
            pytest.param(lambda made: None, False, id="nothing"),
        ],
    )
    def test_only_a_word_from_the_server_ends_a_row_of_failures(
        self, heal: Callable[[Cursor], None], healed: bool
    ) -> None:
        made = watching()
        made.failed(CUT, 1.0)
        assert isinstance(made.next(3.0), Watch)
        heal(made)
        assert (made.failures == 0) is healed

    def test_a_list_after_failed_lists_ends_their_row(self) -> None:
        made = cursor()
        made.next(0.0)
        made.failed(CUT, 0.0)
        assert made.next(5.0) == List()
        made.listed("10", 5.0)
        assert made.failures == 0

    def test_a_list_does_not_hide_that_watches_fail(self) -> None:
        made = watching()
        at = 1.0
        for _ in range(3):
            made.failed(CUT, at)
            at += pause(made, at)
            step = made.next(at)
        assert step == List()
        made.listed("10", at)
        assert made.failures == 3

    def test_a_failure_after_long_service_is_the_first_of_a_new_row(self) -> None:
        made = watching()
        made.failed(CUT, 1.0)
        assert isinstance(made.next(3.0), Watch)
        made.failed(CUT, 3.0 + LONGEST_BACKOFF)
        assert made.failures == 1

    def test_a_watch_that_ends_in_an_instant_without_a_word_has_failed(self) -> None:
        made = watching()
        assert not made.ended(INSTANT / 2)
        assert pause(made, INSTANT / 2) >= SHORTEST_BACKOFF

    def test_a_short_watch_that_said_something_has_not_failed(self) -> None:
        made = watching()
        made.event("11")
        assert made.ended(INSTANT / 2)
        assert isinstance(made.next(INSTANT / 2), Watch)

    @pytest.mark.parametrize(
        ("error", "lists"), [(Forbidden("no"), True), (CUT, False), (ObjectGone("no such kind"), False)]
    )
    def test_only_lost_rights_make_the_version_useless(self, error: ResponderError, lists: bool) -> None:
        made = watching()
        made.failed(error, 1.0)
        assert isinstance(made.next(50.0), List) is lists


class TestVersions:
    def test_the_first_expiry_leads_to_a_list_at_once(self) -> None:
        made = watching()
        made.expired(5.0)
        assert made.next(5.0) == List()

    def test_expiry_after_expiry_is_slowed_down(self) -> None:
        made = watching()
        made.expired(5.0)
        made.next(5.0)
        made.listed("20", 5.0)
        made.next(5.0)
        made.expired(6.0)
        assert pause(made, 6.0) >= SHORTEST_BACKOFF

    @pytest.mark.parametrize(
        ("version", "believed"), [("9", False), ("10", True), ("11", True), ("", False), ("abc", True)]
    )
    def test_a_list_older_than_what_was_seen_is_not_believed(self, version: str, believed: bool) -> None:
        made = watching(version="10")
        made.ask()
        made.next(5.0)
        assert made.believes(version, 5.0) is believed

    def test_an_older_list_is_followed_by_another_after_a_pause(self) -> None:
        made = watching(version="10")
        made.ask()
        made.next(5.0)
        made.believes("9", 5.0)
        assert pause(made, 5.0) >= SHORTEST_BACKOFF
        assert made.next(7.0) == List()

    @pytest.mark.parametrize(
        ("times", "believed"),
        [
            ((5.0, 7.0, 9.0), [False, False, False]),
            ((5.0, 7.0, 10.0), [False, False, True]),
            ((5.0, 20.0), [False, False]),
        ],
    )
    def test_older_lists_are_believed_when_they_go_on(self, times: tuple[float, ...], believed: list[bool]) -> None:
        made = watching(version="10")
        made.ask()
        made.next(5.0)
        assert [made.believes("9", at) for at in times] == believed

    def test_after_a_restored_history_newer_lists_of_it_are_believed(self) -> None:
        made = watching(version="100")
        made.ask()
        made.next(5.0)
        for at in (5.0, 8.0, 11.0):
            made.believes("9", at)
        made.listed("9", 11.0)
        made.ask()
        assert made.next(12.0) == List()
        assert made.believes("12", 12.0)
        assert made.version == "9"


def outcomes() -> Any:
    version = st.one_of(st.integers(0, 50).map(str), st.just(""), st.just("x"))
    return st.one_of(
        st.tuples(st.just("good"), version),
        st.tuples(st.just("event"), version),
        st.tuples(st.just("bookmark"), version),
        st.tuples(st.just("ended"), version),
        st.tuples(st.just("expired"), version),
        st.tuples(st.just("cut"), version),
        st.tuples(st.just("forbidden"), version),
        st.tuples(st.just("asked"), version),
    )


@given(history=st.lists(st.tuples(outcomes(), st.floats(0.0, 400.0)), max_size=60), random=st.floats(0.0, 1.0))
def test_in_every_history_lists_keep_their_distance_and_watches_have_a_version(
    history: list[tuple[tuple[str, str], float]], random: float
) -> None:
    made, at, lists = cursor(random=random), 0.0, []
    for (outcome, version), seconds in history:
        step = made.next(at)
        if isinstance(step, Wait):
            assert 0.0 < step.seconds <= LONGEST_BACKOFF
            at += step.seconds + 1e-6
            step = made.next(at)
        assert not isinstance(step, Wait)
        if isinstance(step, List):
            assert not lists or at - lists[-1] >= LIST_PERIOD - 1e-9
            lists.append(at)
        else:
            assert step.version
            assert 1.0 <= step.seconds <= 1.25 * WATCH_SECONDS
        at += seconds
        play(made, step, outcome, version, at)


def play(made: Cursor, step: List | Watch, outcome: str, version: str, at: float) -> None:
    match outcome:
        case "expired":
            made.expired(at)
        case "cut":
            made.failed(CUT, at)
        case "forbidden":
            made.failed(Forbidden("no"), at)
        case "asked":
            made.ask()
        case _ if isinstance(step, List):
            if made.believes(version, at):
                made.listed(version, at)
        case "event":
            made.event(version)
        case "bookmark":
            made.bookmark(version)
        case _:
            made.ended(at)
