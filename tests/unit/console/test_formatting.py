"""Text for the screen."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from console.lines.formatting import age, chop, fit, flat, short_key, shown, wrap


@pytest.mark.parametrize(
    ("seconds", "told"), [(-3, "0s"), (0, "0s"), (59.9, "59s"), (60, "1m"), (3599, "59m"), (7200, "2h"), (200000, "2d")]
)
def test_an_age_is_told_in_its_largest_unit(seconds, told):
    assert age(seconds) == told


@pytest.mark.parametrize(
    ("text", "width", "fitted"),
    [
        ("ab", 4, "ab  "),
        ("abcd", 4, "abcd"),
        ("abcdef", 4, "ab.."),
        ("日本語", 5, "日 .."),
        ("abc", 1, "a"),
        ("a", 0, ""),
    ],
)
def test_a_cell_is_exactly_as_wide_as_asked(text, width, fitted):
    assert fit(text, width) == fitted
    assert cell_len(fitted) == width


def test_wrapping_keeps_words_whole_and_chops_what_is_longer_than_a_line():
    assert wrap("one two three", 9) == ["one two", "three"]
    assert wrap("x" * 20, 8) == ["x" * 8, "x" * 8, "x" * 4]
    assert wrap("one\ntwo", 20) == ["one", "two"]
    assert wrap("", 20) == [""]


@pytest.mark.parametrize("text", ["x" * 50, "日本" * 20, "a  b" * 20, "", "\tindented", "two\nlines"])
def test_chopping_loses_no_character(text):
    pieces = chop(text, 20)
    assert all(cell_len(piece) <= 20 for piece in pieces)
    assert "".join(piece.removesuffix("\\") for piece in pieces) == shown(text).replace("\n", "")


@pytest.mark.parametrize("hidden", ["\x1b", "\x07", "\x9b", "\u202e", "\u200b", "\u2028", "\U000e0041", "\r"])
def test_what_cannot_be_seen_is_shown_as_its_escape(hidden):
    for told in (shown, flat, short_key):
        assert hidden not in told(f"a{hidden}b")
        assert "\\" in told(f"a{hidden}b")


def test_kinds_are_shortened_as_kubectl_does():
    assert short_key("Deployment/shop/web") == "deploy/shop/web"
    assert short_key("Widget/shop/web") == "Widget/shop/web"
    assert short_key("alert/shop/Watchdog") == "alert/shop/Watchdog"
