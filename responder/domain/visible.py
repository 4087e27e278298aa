"""Text from outside made safe to look at: what is displayed is what is there.

Terminal escapes, bidirectional overrides, zero-width and tag characters can make a reader see another text than the
one that is hashed and sent. They are shown as Python would write them: `\\x1b`, `\\u202e`, `\\U000e0041`.
Categories: https://www.unicode.org/reports/tr44/#General_Category_Values
"""

from __future__ import annotations

import unicodedata

_KEPT = frozenset("\n\t")

_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Controls, format characters (bidi, zero width, tags), surrogates, private, unassigned, line separators."""

_HIDDEN_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks by category, blank on the screen."""


_MARKS = frozenset({"Mn", "Me"})
_MOST_MARKS = 8
"""On one letter. More are no writing: they cover what stands around them, and take no room of their own."""


def visible(text: str) -> str:
    """The text with every character that cannot be seen for what it is replaced by its escape.

    Line feed and tab stay; letters of any script stay, with the marks that writing puts on them.
    """
    if text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    marks = 0
    for character in text:
        marks = marks + 1 if character > "~" and unicodedata.category(character) in _MARKS else 0
        is_hidden = marks > _MOST_MARKS or _is_hidden(character)
        shown.append(_escaped(character) if is_hidden else character)
    return "".join(shown)


def _is_hidden(character: str) -> bool:
    if character in _KEPT or " " <= character <= "~":
        return False
    return (
        unicodedata.category(character) in _HIDDEN_CATEGORIES
        or character in _HIDDEN_LETTERS
        or _is_unusual_space(character)
        or _is_variation_selector(ord(character))
    )


def _is_unusual_space(character: str) -> bool:
    return unicodedata.category(character) == "Zs"


def _is_variation_selector(code: int) -> bool:
    return 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF or 0x180B <= code <= 0x180F


def _escaped(character: str) -> str:
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
