"""A tree of foldable texts as rows of a screen: what is open, where a line begins, where something is found. Pure.

A text is made safe and cut into lines once, when it is first looked at, and kept by a `Shelf`: what is on record does
not change. A row is a slice of its text, so that what is found can be marked across the end of a line.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate

from rich.cells import cell_len

from console.lines import diffs
from console.lines.formatting import Line, Span, Tone, flat, shown
from console.lines.slices import LEAST, Slice, cut, fitted
from console.reasoning import Body, Form, Node, pretty

MOST_HITS = 10_000
HEAD = -1
"""The piece of a node that is its own line; its bodies are counted from 0."""

_STEP = 2
"""Cells by which a level is set in."""
_BAR = "│ "
_SHUT, _OPEN, _LEADS, _LEAF = "▸ ", "▾ ", "→ ", "  "

_UNUSUAL = re.compile(r"[^ -~\n]+")
"""Alone worth a look at each character: the rest of a text stays as it is."""

Choices = Mapping[str, bool]
"""By key, what a person opened (True) or shut."""


@dataclass(frozen=True)
class Laid:
    """One text on the screen: its slices row by row, or the rows of a diff."""

    text: str
    slices: tuple[Slice, ...]
    form: Form = Form.OWN
    rows: tuple[diffs.Row, ...] = ()
    width: int = 0

    @property
    def count(self) -> int:
        return len(self.rows) or len(self.slices)

    def row_of(self, place: int) -> int:
        """The first row in which the character at `place` stands."""
        if self.rows:
            return next((number for number, row in enumerate(self.rows) if row.shows(place)), 0)
        return max(bisect_right(self.slices, place, key=lambda item: item[0]) - 1, 0)


class Shelf:
    """Safe texts and their lines, kept from one look to the next."""

    def __init__(self) -> None:
        self._texts: dict[tuple[str, int], tuple[Body, str]] = {}
        self._laid: dict[tuple[str, int], tuple[int, Laid]] = {}

    def text(self, key: str, piece: int, body: Body) -> str:
        known = self._texts.get((key, piece))
        if known is not None and known[0] == body:
            return known[1]
        raw = pretty(body.text) if body.form is Form.JSON else body.text
        text = _UNUSUAL.sub(lambda found: shown(found[0]), raw)
        self._texts[key, piece] = body, text
        return text

    def laid(self, key: str, piece: int, body: Body, width: int) -> Laid:
        text = self.text(key, piece, body)
        known = self._laid.get((key, piece))
        if known is not None and known[0] == width and known[1].text == text and known[1].form is body.form:
            return known[1]
        laid = _laid(text, width, body.form)
        self._laid[key, piece] = width, laid
        return laid


def _laid(text: str, width: int, form: Form) -> Laid:
    if form in (Form.DIFF, Form.SIDES):
        return Laid(text, (), form, diffs.rows(text, max(width, LEAST), sides=form is Form.SIDES), max(width, LEAST))
    return Laid(text, cut(text, width), form)


@dataclass(frozen=True)
class Hit:
    key: str
    piece: int
    start: int
    end: int


@dataclass(frozen=True)
class Hits:
    """All places of what was looked for, in the order of the tree."""

    needle: str = ""
    places: tuple[Hit, ...] = ()
    more: bool = False
    """There are others behind the last one."""
    by_piece: Mapping[tuple[str, int], Sequence[Slice]] = field(default_factory=dict)

    def within(self, key: str, piece: int, start: int, end: int) -> Iterator[Slice]:
        """Those that touch a slice, cut to it."""
        found = self.by_piece.get((key, piece), ())
        first = bisect_right(found, start, key=lambda hit: hit[1])
        for place in range(first, len(found)):
            if found[place][0] >= end:
                return
            yield max(found[place][0], start), min(found[place][1], end)


def search(nodes: Sequence[Node], needle: str, shelf: Shelf) -> Hits:
    """Upper and lower case are the same. What is shut is looked through as well."""
    if not needle:
        return Hits()
    pattern = re.compile(re.escape(needle), re.IGNORECASE)
    places: list[Hit] = []
    for node, _ in walk(nodes):
        pieces = [(HEAD, f"{node.label}{flat(node.note)}")]
        pieces += [(number, shelf.text(node.key, number, body)) for number, body in enumerate(node.bodies)]
        for piece, text in pieces:
            places += (Hit(node.key, piece, *found.span()) for found in pattern.finditer(text))
        if len(places) > MOST_HITS:
            break
    kept = tuple(places[:MOST_HITS])
    by_piece: dict[tuple[str, int], list[Slice]] = {}
    for hit in kept:
        by_piece.setdefault((hit.key, hit.piece), []).append((hit.start, hit.end))
    return Hits(needle, kept, len(places) > MOST_HITS, by_piece)


def walk(nodes: Iterable[Node], above: tuple[str, ...] = ()) -> Iterator[tuple[Node, tuple[str, ...]]]:
    """Every node, with the keys of those that it stands in."""
    for node in nodes:
        yield node, above
        yield from walk(node.children, (*above, node.key))


def revealed(nodes: Iterable[Node], hits: Iterable[Hit], choices: Choices) -> dict[str, bool]:
    """With everything open that is needed to see the hits."""
    heads = {hit.key for hit in hits}
    inside = {hit.key for hit in hits if hit.piece != HEAD}
    opened = dict(choices)
    for node, above in walk(nodes):
        if node.key in heads:
            opened |= dict.fromkeys(above, True)
        if node.key in inside:
            opened[node.key] = True
    return opened


def whole(node: Node, shelf: Shelf) -> str:
    """A node and all that is in it as text, safe for any terminal that it is pasted into."""
    parts = [flat(f"{node.label}{node.note}").strip()]
    parts += [shelf.text(node.key, number, body) for number, body in enumerate(node.bodies)]
    return "\n".join(part for part in (*parts, *(whole(child, shelf) for child in node.children)) if part)


@dataclass(frozen=True, kw_only=True)
class Block:
    """The rows of one node that can be seen."""

    node: Node
    parent: str
    depth: int
    is_open: bool
    blank: int
    """Empty rows before it."""
    head: Laid
    bodies: tuple[Laid, ...]

    @property
    def count(self) -> int:
        return self.blank + len(self.head.slices) + sum(laid.count for laid in self.bodies)


class Sheet:
    """All rows at one width."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.blocks = tuple(blocks)
        self._starts = (0, *accumulate(block.count for block in blocks))
        self._numbers = {block.node.key: number for number, block in enumerate(blocks)}

    @property
    def count(self) -> int:
        return self._starts[-1]

    def place(self, row: int) -> tuple[Block, int]:
        """The block that a row belongs to, and its row in there. Raises IndexError where there are none."""
        number = min(bisect_right(self._starts, row), len(self.blocks)) - 1
        return self.blocks[number], row - self._starts[number]

    def row(self, key: str, inside: int = 0) -> int | None:
        """The row of a node; None while it cannot be seen. `inside` counts from its first one."""
        number = self._numbers.get(key)
        if number is None:
            return None
        return self._starts[number] + min(inside, self.blocks[number].count - 1)

    def row_of(self, hit: Hit) -> int | None:
        number = self._numbers.get(hit.key)
        if number is None:
            return None
        block = self.blocks[number]
        row = block.blank
        if hit.piece != HEAD:
            if not block.is_open:
                return None
            row += len(block.head.slices) + sum(laid.count for laid in block.bodies[: hit.piece])
        laid = block.head if hit.piece == HEAD else block.bodies[hit.piece]
        return self._starts[number] + row + laid.row_of(hit.start)

    def line(self, row: int, hits: Hits) -> Line:
        block, inside = self.place(row)
        inside -= block.blank
        if inside < 0:
            return Line()
        if inside < len(block.head.slices):
            return _head_line(block, inside, hits)
        inside -= len(block.head.slices)
        for piece, laid in enumerate(block.bodies):
            if inside < laid.count:
                return _body_line(block, piece, inside, hits)
            inside -= laid.count
        return Line()


def lay(nodes: Sequence[Node], choices: Choices, width: int, shelf: Shelf) -> Sheet:
    return Sheet(tuple(_blocks(nodes, choices, width, shelf, parent="", depth=0)))


def _blocks(
    nodes: Iterable[Node], choices: Choices, width: int, shelf: Shelf, *, parent: str, depth: int
) -> Iterator[Block]:
    for number, node in enumerate(nodes):
        is_open = node.folds and choices.get(node.key, node.is_open)
        room = width - depth * _STEP - len(_LEAF)
        bodies = node.bodies if is_open else ()
        yield Block(
            node=node,
            parent=parent,
            depth=depth,
            is_open=is_open,
            blank=1 if depth == 0 and number and not node.is_tight else 0,
            head=_head(node, room, is_open=is_open),
            bodies=tuple(
                shelf.laid(node.key, piece, body, room - (0 if body.form is Form.OWN else len(_BAR)))
                for piece, body in enumerate(bodies)
            ),
        )
        if is_open:
            yield from _blocks(node.children, choices, width, shelf, parent=node.key, depth=depth + 1)


def _head(node: Node, room: int, *, is_open: bool) -> Laid:
    """Label and note; the first slice begins with the label."""
    room = max(room - cell_len(node.label), LEAST)
    note = flat(node.note)
    if not node.is_wrapped:
        if not is_open and node.gist:
            note = "  ".join(part for part in (note, flat(node.gist)) if part)
        note = fitted(note, room)
    size = len(node.label)
    (_, end), *rest = cut(note, room) if node.is_wrapped else ((0, len(note)),)
    slices = ((0, size + end), *((size + start, size + end) for start, end in rest))
    return Laid(f"{node.label}{note}", slices)


def _head_line(block: Block, inside: int, hits: Hits) -> Line:
    node, (start, end) = block.node, block.head.slices[inside]
    pad = " " * (block.depth * _STEP)
    text, size = block.head.text, len(node.label)
    if inside:
        before = [Span(f"{pad}{_LEAF}{' ' * cell_len(node.label)}")]
    else:
        mark = _LEADS if node.cites else _LEAF
        if node.folds:
            mark = _OPEN if block.is_open else _SHUT
        label = _marked(text, node.key, HEAD, (0, size), _label_tone(node), hits)
        before, start = [Span(pad), Span(mark, Tone.BUSY), *label], size
    return Line((*before, *_marked(text, node.key, HEAD, (start, end), node.tone, hits)), node.key)


def _label_tone(node: Node) -> Tone:
    if node.label_tone is not None:
        return node.label_tone
    return node.tone if node.tone in (Tone.BAD, Tone.STRONG) else Tone.DIM


def _body_line(block: Block, piece: int, inside: int, hits: Hits) -> Line:
    laid, key = block.bodies[piece], block.node.key
    pad = " " * (block.depth * _STEP + len(_LEAF))
    bar = () if laid.form is Form.OWN else (Span(_BAR, Tone.DIM),)
    if laid.rows:
        told = diffs.spans(laid.rows[inside], laid.text, laid.width, partial(hits.within, key, piece))
    else:
        tone = Tone.DIM if laid.form is Form.OWN else Tone.PLAIN
        told = _marked(laid.text, key, piece, laid.slices[inside], tone, hits)
    return Line((Span(pad), *bar, *told), key)


def _marked(text: str, key: str, piece: int, part: Slice, tone: Tone, hits: Hits) -> Iterator[Span]:
    """A slice, with what was looked for in another tone."""
    place, end = part
    for first, last in hits.within(key, piece, place, end):
        if first > place:
            yield Span(text[place:first], tone)
        yield Span(text[first:last], Tone.MATCH)
        place = last
    yield Span(text[place:end], tone)
