"""Where the operator has been."""

from __future__ import annotations

from console.shell.trail import MOST_SPOTS, Trail


def walked(*spots):
    trail = Trail()
    for spot in spots:
        trail = trail.visited(spot)
    return trail


def test_to_stay_is_no_visit():
    trail = walked("incidents", "health")
    assert trail.visited("health") is trail


def test_the_last_view_goes_to_and_fro():
    trail = walked("incidents", "health")
    there = trail.visited(trail.last)
    assert (there.here, there.last) == ("incidents", "health")


def test_back_and_ahead_end_at_the_ends():
    trail = walked("incidents", "health", "mode")
    back = trail.moved(-1).moved(-1)
    assert back.here == "incidents"
    assert back.moved(-1) is None
    assert back.moved(1).here == "health"
    assert trail.moved(1) is None


def test_what_was_ahead_is_forgotten_when_one_goes_elsewhere():
    trail = walked("incidents", "health", "mode").moved(-1).visited("audit")
    assert trail.spots == ("incidents", "health", "audit")


def test_it_does_not_grow_without_end():
    trail = walked(*(f"inc-{number}" for number in range(MOST_SPOTS + 7)))
    assert len(trail.spots) == MOST_SPOTS
    assert trail.here == f"inc-{MOST_SPOTS + 6}"


def test_nothing_is_here_before_the_first_visit():
    assert Trail().here == ""
    assert Trail().moved(-1) is None
