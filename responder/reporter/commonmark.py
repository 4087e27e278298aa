"""Markdown out of text that comes from outside: it stays text, whatever it says. Pure.

Every character that could mean something to a renderer is escaped, so that a pod's log line makes no heading, link,
image, mention or tag; what cannot be seen for what it is becomes its escape. Whole texts stand in fences that they
cannot close. Formats: https://spec.commonmark.org/0.31.2/, tables as in https://github.github.com/gfm/#tables-extension-
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from responder.domain.visible import visible

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "`": "&#96;"}
"""Readers that know no backslash escapes know these, and a table knows no other way for a bar."""
_ESCAPED = frozenset("\\*_{}[]#!~$=")
_AT = re.compile(r"@+")
_BACKTICKS = re.compile(r"`+")
_LEAD = re.compile(r"(\d{1,9})([.)])|([-+:])")
"""What begins a list or a rule where a line begins with it."""
_LEAST_FENCE = 3


def inline(text: str) -> str:
    """On one line, and nothing but text."""
    flat = " ".join(visible(text).replace("\t", "\\t").split())
    told = "".join(_character(character) for character in flat)
    told = told.replace("://", "\\://").replace("www.", "www\\.")
    told = _AT.sub(lambda found: f"`{found[0]}`", told)  # apart from the name behind it, so that it calls nobody
    lead = _LEAD.match(told)
    if lead is None:
        return told
    return f"{lead[1]}\\{told[len(lead[1]) :]}" if lead[1] else f"\\{told}"


def _character(character: str) -> str:
    return _ENTITIES.get(character, f"\\{character}" if character in _ESCAPED else character)


def heading(level: int, text: str) -> str:
    """`text` from outside."""
    return f"{'#' * level} {inline(text) or '(empty)'}"


def item(label: str, text: str, *, depth: int = 0) -> str:
    """A list item. Both from outside."""
    return f"{'  ' * depth}- **{inline(label)}:** {inline(text)}".rstrip()


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Cells from outside, as many in each row as there are heads."""
    lines = [_row(heads), f"|{' --- |' * len(heads)}"]
    return [*lines, *(_row(row) for row in rows)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(inline(cell) for cell in cells)} |"


def fenced(text: str, language: str = "text") -> list[str]:
    """The text as it is, in a fence longer than any run of backticks in it."""
    told = visible(text).removesuffix("\n")
    fence = "`" * max(_LEAST_FENCE, *(len(run) + 1 for run in _BACKTICKS.findall(told)), _LEAST_FENCE)
    return [f"{fence}{language}", *told.split("\n"), fence]
