"""A unified diff as rows: one under the other, or what is now beside what is planned. Pure.

Nothing is cut away: a line that is too long goes on in the next row of its half, after a `\\`, with its sign again,
which says what the colour says. Where one line stands for another, what differs within them is marked.
Format: https://www.gnu.org/software/diffutils/manual/html_node/Detailed-Unified.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import pairwise, zip_longest

from rich.cells import cell_len

from console.lines.formatting import Line, Span, Tone, shown
from console.lines.slices import Slice, cut_line

LEAST_SIDES = 100
"""Columns below which two halves cannot be read."""

_GUTTER = " │ "
_GOES_ON = "\\"
_TOKENS = re.compile(r"\w+|\s+|.", re.DOTALL)
_LONGEST = 2_000
"""Characters of a line that is looked at word by word."""
_ALIKE = 0.4
"""Below this, two lines have nothing to do with each other."""

_WORDS = {Tone.ADDED: Tone.ADDED_WORD, Tone.REMOVED: Tone.REMOVED_WORD}


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one half of a row shows of the text."""

    sign: str
    text: Slice
    tone: Tone
    marked: tuple[Slice, ...] = ()
    """What differs from the line that this one stands for."""
    goes_on: bool = False


@dataclass(frozen=True, kw_only=True)
class Row:
    left: Part | None
    right: Part | None = None
    is_whole: bool = True
    """The left part takes the whole width."""

    def shows(self, place: int) -> bool:
        """True where the character at `place` of the text stands in it."""
        return any(part.text[0] <= place < max(part.text[1], part.text[0] + 1) for part in self.parts)

    @property
    def parts(self) -> tuple[Part, ...]:
        return tuple(part for part in (self.left, self.right) if part is not None)


@dataclass(frozen=True, kw_only=True)
class _DiffLine:
    """`text` is behind the sign."""

    sign: str
    text: Slice
    tone: Tone
    marked: tuple[Slice, ...] = ()


def rows(text: str, width: int, *, sides: bool = False) -> tuple[Row, ...]:
    """The rows of a safe text for `width` cells; `sides` puts what is planned beside what is now."""
    found = list[Row]()
    for old, new in _paired(text):
        if sides:
            found += _beside(text, old, new, width)
        else:
            found += [Row(left=part) for line in (*old, *new) for part in _cut(text, line, width)]
    return tuple(found)


def spans(row: Row, text: str, width: int, hits: Callable[[int, int], Iterable[Slice]]) -> Iterator[Span]:
    """`hits` gives what was searched for within a slice of the text."""
    if row.is_whole:
        if row.left is not None:
            yield from _part(row.left, text, hits)
        return
    half = _half(width)
    left = tuple(_part(row.left, text, hits)) if row.left is not None else ()
    used = sum(cell_len(span.text) for span in left)
    yield from left
    yield Span(" " * max(half - used, 0))
    yield Span(_GUTTER, Tone.DIM)
    if row.right is not None:
        yield from _part(row.right, text, hits)


def lines(diff: str, width: int, *, sides: bool = False, indent: int = 0) -> tuple[Line, ...]:
    """A diff as it came, made safe, for a document without a search."""
    text, room = shown(diff), width - indent
    return tuple(Line((Span(" " * indent), *spans(row, text, room, _no_hits))) for row in rows(text, room, sides=sides))


def _no_hits(start: int, end: int) -> Iterable[Slice]:
    return ()


def _half(width: int) -> int:
    return max((width - len(_GUTTER)) // 2, 2)


def _paired(text: str) -> Iterator[tuple[list[_DiffLine], list[_DiffLine]]]:
    """What was taken out with what was put in its place; any other line alone, among the first."""
    old, new = list[_DiffLine](), list[_DiffLine]()
    for item in _read(text):
        if item.tone is Tone.ADDED:
            new.append(item)
        elif item.tone is Tone.REMOVED and not new:
            old.append(item)
        else:
            yield from _marked(text, old, new)
            old, new = ([item], []) if item.tone is Tone.REMOVED else ([], [])
            if item.tone is not Tone.REMOVED:
                yield [item], []
    yield from _marked(text, old, new)


def _read(text: str) -> Iterator[_DiffLine]:
    place, parts = 0, text.split("\n")
    for number, part in enumerate(parts):
        following = parts[number + 1] if number + 1 < len(parts) else ""
        before = parts[number - 1] if number else ""
        is_head = part.startswith("@@") or (part.startswith("--- ") and following.startswith("+++ "))
        is_head = is_head or (part.startswith("+++ ") and before.startswith("--- "))
        tone = Tone.PLACE if is_head else {"+": Tone.ADDED, "-": Tone.REMOVED}.get(part[:1], Tone.PLAIN)
        sign = part[:1] if part[:1] in ("+", "-", " ") and not is_head else ""
        yield _DiffLine(sign=sign, text=(place + len(sign), place + len(part)), tone=tone)
        place += len(part) + 1


def _marked(
    text: str, old: Sequence[_DiffLine], new: Sequence[_DiffLine]
) -> Iterator[tuple[list[_DiffLine], list[_DiffLine]]]:
    if not old and not new:
        return
    left, right = list(old), list(new)
    for number in range(min(len(old), len(new))):
        before, after = _words(text, old[number].text, new[number].text)
        left[number] = replace(old[number], marked=before)
        right[number] = replace(new[number], marked=after)
    yield left, right


def _words(text: str, old: Slice, new: Slice) -> tuple[tuple[Slice, ...], tuple[Slice, ...]]:
    """What differs in each, where they are alike at all."""
    if max(old[1] - old[0], new[1] - new[0]) > _LONGEST:
        return (), ()
    before = [found.span() for found in _TOKENS.finditer(text, *old)]
    after = [found.span() for found in _TOKENS.finditer(text, *new)]
    matcher = SequenceMatcher(
        None, [text[slice(*item)] for item in before], [text[slice(*item)] for item in after], autojunk=False
    )
    if matcher.ratio() < _ALIKE:
        return (), ()
    changed = [code for code in matcher.get_opcodes() if code[0] != "equal"]
    left = tuple((before[first][0], before[last - 1][1]) for _, first, last, _, _ in changed if last > first)
    right = tuple((after[first][0], after[last - 1][1]) for _, _, _, first, last in changed if last > first)
    return left, right


def _beside(text: str, old: Sequence[_DiffLine], new: Sequence[_DiffLine], width: int) -> Iterator[Row]:
    half = _half(width)
    for left, right in zip_longest(old, new):
        if right is None and left is not None and left.tone is not Tone.REMOVED:
            yield from _on_both(text, left, width)
            continue
        lefts = _cut(text, left, half) if left is not None else []
        rights = _cut(text, right, half) if right is not None else []
        for one, other in zip_longest(lefts, rights):
            yield Row(left=one, right=other, is_whole=False)


def _on_both(text: str, line: _DiffLine, width: int) -> Iterator[Row]:
    """A line that stays is the same on both sides; a headline or a note stands across."""
    if line.tone is not Tone.PLAIN or not line.sign:
        yield from (Row(left=part) for part in _cut(text, line, width))
        return
    for part in _cut(text, line, _half(width)):
        yield Row(left=part, right=part, is_whole=False)


def _cut(text: str, line: _DiffLine, width: int) -> list[Part]:
    room = max(width - len(line.sign), 2)
    start, end = line.text
    pieces = [line.text]
    if cell_len(text[start:end]) > room:
        pieces = list(cut_line(text, start, end, room - len(_GOES_ON), words=False))
    return [
        Part(sign=line.sign, text=piece, tone=line.tone, marked=line.marked, goes_on=number < len(pieces) - 1)
        for number, piece in enumerate(pieces)
    ]


def _part(part: Part, text: str, hits: Callable[[int, int], Iterable[Slice]]) -> Iterator[Span]:
    start, end = part.text
    found = tuple(hits(start, end))
    edges = {start, end, *(edge for each in (*found, *part.marked) for edge in each if start < edge < end)}
    ordered = sorted(edges)
    if part.sign:
        yield Span(part.sign, part.tone)
    for first, last in pairwise(ordered):
        yield Span(text[first:last], _tone_at(first, part, found))
    if part.goes_on:
        yield Span(_GOES_ON, Tone.DIM)


def _tone_at(place: int, part: Part, found: Iterable[Slice]) -> Tone:
    if any(first <= place < last for first, last in found):
        return Tone.MATCH
    if any(first <= place < last for first, last in part.marked):
        return _WORDS.get(part.tone, part.tone)
    return part.tone
