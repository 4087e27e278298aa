"""What is typed after `:`."""

from __future__ import annotations

import pytest

from console.places import PLACES
from console.shell.commands import ChooseTheme, Export, Go, Help, Narrow, Open, Quit, completions, parse, usages

THEMES = ("nord", "textual-dark", "textual-light")


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_every_place_is_reached_by_its_name_and_its_short_forms(place):
    for word in (place.name, *place.short):
        assert parse(word, themes=THEMES) == Go(place=place)


def test_no_word_leads_to_two_places_or_hides_a_command():
    words = [word for place in PLACES for word in (place.name, *place.short)]
    assert len(words) == len(set(words))
    assert not set(words) & {"ns", "theme", "export", "help", "h", "q", "quit"}


@pytest.mark.parametrize(
    ("typed", "command"),
    [
        (":inc state:awaiting ns:shop", Go(place=PLACES[0], typed="state:awaiting ns:shop")),
        ("inc-01k3mw8ah4z7", Open(kind="inc", id="inc-01k3mw8ah4z7")),
        (" pln-01k3mw8ah4z7 ", Open(kind="pln", id="pln-01k3mw8ah4z7")),
        ("exe-01k3mw8ah4z7", Open(kind="exe", id="exe-01k3mw8ah4z7")),
        ("ns shop", Narrow(typed="ns:shop")),
        ("ns", Narrow(typed="")),
        ("ns all", Narrow(typed="")),
        ("theme nord", ChooseTheme(name="nord")),
        ("export", Export(file="")),
        ("export /tmp/a report.md", Export(file="/tmp/a report.md")),
    ],
)
def test_a_line_becomes_a_command(typed, command):
    assert parse(typed, themes=THEMES) == command


@pytest.mark.parametrize(("typed", "kind"), [("help", Help), ("?", Help), ("q", Quit), ("q!", Quit), ("quit", Quit)])
def test_help_and_quit_stand_alone(typed, kind):
    assert isinstance(parse(typed, themes=THEMES), kind)
    with pytest.raises(ValueError, match="stands alone"):
        parse(f"{typed} now", themes=THEMES)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("aprovals", "did you mean approvals?"),
        ("xyzzyplugh", "there are incidents, approvals"),
        ("theme nrod", "did you mean nord?"),
        ("theme", "a theme is missing"),
        ("inc-", "no whole id"),
        ("inc-../../mode", "no whole id"),
        ("pln-01k3 now", "no whole id"),
        ("ns shop web", "one namespace"),
    ],
)
def test_a_mistake_is_a_sentence_that_says_what_it_might_have_been(typed, sentence):
    with pytest.raises(ValueError, match=sentence.replace("?", "[?]")):
        parse(typed, themes=THEMES)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", ()),
        ("ap", ("approvals",)),
        ("a", ("approvals", "audit", "analytics")),
        ("approvals", ()),
        ("theme te", ("theme textual-dark", "theme textual-light")),
        ("ns s", ("ns shop", "ns staging")),
        ("ns shop", ()),
        ("incidents ns", ()),
    ],
)
def test_completions_are_whole_lines_that_go_on_from_what_was_typed(typed, expected):
    assert completions(typed, themes=THEMES, namespaces=("shop", "staging", "web")) == expected


def test_help_tells_every_place_and_command():
    told = " ".join(left for left, _ in usages())
    assert all(place.name in told for place in PLACES)
    assert all(word in told for word in ("inc-", "ns", "theme", "export", "quit"))
