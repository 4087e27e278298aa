"""Where the lines of a text begin and end on a screen of some width. Pure.

A row is a slice of its text, so that what is found in the text can be marked across the end of a row.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len, chop_cells

LEAST = 8
"""Cells that a row gets at least."""

Slice = tuple[int, int]


def cut(text: str, width: int, *, words: bool = True) -> tuple[Slice, ...]:
    """Where the lines of a safe text begin and end: at its line feeds, and at `width` cells.

    With `words` a line ends at a blank, which is not drawn, unless that would leave most of it empty.
    """
    slices: list[Slice] = []
    width = max(width, LEAST)
    place = 0
    for part in text.split("\n"):
        end = place + len(part)
        slices += cut_line(text, place, end, width, words=words)
        place = end + 1
    return tuple(slices)


def cut_line(text: str, place: int, end: int, width: int, *, words: bool) -> Iterator[Slice]:
    """As `cut`, of the part of the text from `place` to `end`, which has no line feed."""
    while True:
        room = _room(text, place, end, width)
        if room >= end:
            yield place, end
            return
        blank = text.rfind(" ", place + width // 3, room + 1) if words else -1
        if blank > place:
            yield place, blank
            place = blank + 1
        else:
            yield place, room
            place = room


def fitted(text: str, width: int) -> str:
    """Cut with dots where it is longer than `width` cells."""
    if len(cut(text, width, words=False)) == 1:
        return text
    _, end = cut(text, width - 2, words=False)[0]
    return f"{text[:end]}.."


def _room(text: str, place: int, end: int, width: int) -> int:
    """The end of what fits into `width` cells."""
    piece = text[place : min(end, place + width)]
    if piece.isascii() or cell_len(piece) <= width:
        return place + len(piece)
    return place + max(len(chop_cells(piece, width)[0]), 1)
