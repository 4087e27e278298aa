"""Who is taken to look at a plan, and for how long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from responder.api.presence import FORGOTTEN_SECONDS, MAX_SCREENS, MAX_SCREENS_OF_ONE, Viewers

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def viewers(clock: Clock) -> Viewers:
    return Viewers(monotonic=clock)


def look(viewers, name="ann", session="s-1", plan="pln-1", *, deciding=False, at=NOW):
    viewers.looks(plan, name=name, session=session, deciding=deciding, at=at)


def names(viewers, plan="pln-1"):
    return [viewer.name for viewer in viewers.of(plan)]


def test_who_looks_is_told_for_this_plan_only(viewers):
    look(viewers)
    look(viewers, "ben", "s-2", "pln-2")
    assert names(viewers) == ["ann"]


def test_who_came_first_stays_first_however_often_others_speak(viewers):
    look(viewers)
    look(viewers, "ben", "s-2", at=NOW + timedelta(seconds=1))
    look(viewers, at=NOW + timedelta(seconds=2), deciding=True)
    (ann, ben) = viewers.of("pln-1")
    assert (ann.since, ann.deciding, ben.deciding) == (NOW, True, False)


def test_a_screen_that_is_silent_is_forgotten(viewers, clock):
    look(viewers)
    clock.seconds += FORGOTTEN_SECONDS
    assert names(viewers) == ["ann"]
    clock.seconds += 0.1
    assert names(viewers) == []


def test_a_screen_that_speaks_is_kept(viewers, clock):
    look(viewers)
    clock.seconds += FORGOTTEN_SECONDS - 1
    look(viewers)
    clock.seconds += FORGOTTEN_SECONDS - 1
    assert names(viewers) == ["ann"]


def test_one_session_under_two_names_is_two_screens(viewers):
    look(viewers, "ann", deciding=True)
    look(viewers, "ben")
    assert [(viewer.name, viewer.deciding) for viewer in viewers.of("pln-1")] == [("ann", True), ("ben", False)]


def test_one_person_with_many_screens_pushes_nobody_else_out(viewers):
    look(viewers, "ben", "s-ben")
    for number in range(MAX_SCREENS_OF_ONE * 3):
        look(viewers, "ann", f"s-{number}")
    told = names(viewers)
    assert told.count("ann") == MAX_SCREENS_OF_ONE
    assert told.count("ben") == 1


def test_the_number_of_screens_is_bounded(viewers):
    for number in range(MAX_SCREENS + 10):
        look(viewers, f"name-{number}")
    told = names(viewers)
    assert len(told) == MAX_SCREENS
    assert f"name-{MAX_SCREENS + 9}" in told
