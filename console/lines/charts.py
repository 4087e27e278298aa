"""Bars and sparklines in block characters, with the number always beside them. Pure.

Blocks: https://www.unicode.org/charts/PDF/U2580.pdf. A bar is never the only carrier of its value: what a terminal
without these characters shows still has the words and the numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rich.cells import cell_len

from console.lines.formatting import Line, Span, Tone, fit, flat

_EIGHTHS = " ▏▎▍▌▋▊▉"
_LEVELS = "▁▂▃▄▅▆▇█"
NOTHING = "·"
"""For a time without a value: not the same as a small one."""
_LEAST_BAR, _LONGEST_BAR = 8, 60
_LABEL_SHARE = 0.4
_GAP = 2


@dataclass(frozen=True, kw_only=True)
class Bar:
    label: str
    value: float
    told: str
    """The value in words, as people read it."""
    note: str = ""
    tone: Tone = Tone.BUSY
    key: str = ""


def bar(share: float, width: int) -> str:
    """`share` of `width` cells, to an eighth of one. Something that is not nothing is always seen."""
    eighths = round(max(0.0, min(share, 1.0)) * width * 8)
    if share > 0 and eighths == 0:
        eighths = 1
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(width)


def bars(items: Sequence[Bar], width: int, *, most: float | None = None) -> list[Line]:
    """One line each: label, value, bar, note. Lengths are shares of `most`; not given: of the greatest value."""
    if not items:
        return []
    top = most or max(item.value for item in items)
    label = min(max(cell_len(flat(item.label)) for item in items), int(width * _LABEL_SHARE))
    told = max(cell_len(item.told) for item in items)
    note = max(cell_len(item.note) for item in items)
    room = width - label - told - 2 * _GAP - (note + _GAP if note else 0)
    length = max(min(room, _LONGEST_BAR), _LEAST_BAR)
    gap = Span(" " * _GAP)
    return [
        Line(
            (
                Span(fit(flat(item.label), label)),
                gap,
                Span(item.told.rjust(told), Tone.STRONG),
                gap,
                Span(bar(item.value / top if top else 0.0, length), item.tone),
                *((gap, Span(item.note, Tone.DIM)) if note else ()),
            ),
            item.key,
        )
        for item in items
    ]


def sparkline(values: Sequence[float | None], *, most: float | None = None) -> str:
    """One character for each value; from nothing to the greatest of them. None is no value at all."""
    known = [value for value in values if value is not None]
    top = most or max(known, default=0.0)
    return "".join(NOTHING if value is None else _level(value, top) for value in values)


def squeezed(values: Sequence[float | None], width: int) -> tuple[float | None, ...]:
    """At most `width` values: each the greatest of those it stands for, so that no peak is lost."""
    if len(values) <= width or width < 1:
        return tuple(values)
    edges = [index * len(values) // width for index in range(width + 1)]
    return tuple(
        max((value for value in values[start:end] if value is not None), default=None) for start, end in pairwise(edges)
    )


def _level(value: float, top: float) -> str:
    if value <= 0 or top <= 0:
        return _LEVELS[0]
    return _LEVELS[min(int(value / top * len(_LEVELS)), len(_LEVELS) - 1)]
