"""What a person sees is what is there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.domain.visible import visible

pytestmark = pytest.mark.inv(39)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("plain text", "plain text", id="plain"),
        pytest.param("a\x1b[31mred", r"a\x1b[31mred", id="escape sequence"),
        pytest.param("\x1b]8;;http://x\x07y", r"\x1b]8;;http://x\x07y", id="terminal link"),
        pytest.param("a\u202egnp.exe", r"a\u202egnp.exe", id="right-to-left override"),
        pytest.param("a\u2066b\u2067c\u2068d\u2069", r"a\u2066b\u2067c\u2068d\u2069", id="bidi isolates"),
        pytest.param("a\u200eb\u200f", r"a\u200eb\u200f", id="direction marks"),
        pytest.param("a\u200bb\u200cc\u200dd\ufeffe", r"a\u200bb\u200cc\u200dd\ufeffe", id="zero width"),
        pytest.param("a\U000e0000\U000e0041", r"a\U000e0000\U000e0041", id="tag characters"),
        pytest.param("a\rb", r"a\x0db", id="carriage return"),
        pytest.param("a\x7fb", r"a\x7fb", id="delete"),
        pytest.param("a\x9bb\x85", r"a\x9bb\x85", id="C1 controls"),
        pytest.param("a\x00b", r"a\x00b", id="null"),
        pytest.param("a\xadb", r"a\xadb", id="soft hyphen"),
        pytest.param("a\u2028b\u2029c", r"a\u2028b\u2029c", id="line separators"),
        pytest.param("a\u00a0b\u3000c", r"a\xa0b\u3000c", id="unusual spaces"),
        pytest.param("a\ufe0fb\U000e0100", r"a\ufe0fb\U000e0100", id="variation selectors"),
        pytest.param("a\u3164b\u115fc", r"a\u3164b\u115fc", id="blank letters"),
        pytest.param("a\ue000b", r"a\ue000b", id="private use"),
        pytest.param("a\ud800b", r"a\ud800b", id="lone surrogate"),
        pytest.param("one\n\ttwo", "one\n\ttwo", id="line feed and tab stay"),
        pytest.param("größe 数 данные", "größe 数 данные", id="letters of other scripts stay"),
    ],
)
def test_hidden_characters_are_shown_as_escapes(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_showing_twice_changes_nothing(text: str) -> None:
    assert visible(visible(text)) == visible(text)


@given(st.text())
def test_every_line_of_the_result_can_be_printed(text: str) -> None:
    assert all(character.isprintable() or character in "\n\t" for character in visible(text))


def test_marks_that_no_writing_piles_up_are_shown_as_escapes() -> None:
    assert visible("a" + "\u0301" * 8) == "a" + "\u0301" * 8
    assert visible("a" + "\u0301" * 10 + "b") == "a" + "\u0301" * 8 + "\\u0301" * 2 + "b"
