"""One tree of texts that opens and shuts in place.

Only the rows that are looked at are drawn, and a text is cut into lines when it is first opened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from textual.binding import Binding, BindingType

from console.lines.folding import Hits, Sheet, Shelf, lay, revealed, search, walk
from console.lines.formatting import Line
from console.reasoning import Node
from console.widgets.lineview import LineView


@dataclass
class Folds:
    """What a person opened (True) or shut, by key: one for all trees of a screen, whichever of them a node is in."""

    choices: dict[str, bool] = field(default_factory=dict)


class ChainView(LineView):
    """The rows. The cursor stays on its node, at its height on the screen, whatever opens or grows around it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "unfold", "open", show=False),
        Binding("left,h", "fold", "shut", show=False),
    ]

    def __init__(self, folds: Folds, *, id: str = "chain") -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self.nodes: tuple[Node, ...] = ()
        self.hits = Hits()
        self.shelf = Shelf()
        self.sheet = Sheet(())
        self._folds = folds

    @property
    def choices(self) -> dict[str, bool]:
        return self._folds.choices

    def count(self) -> int:
        return self.sheet.count

    def line_at(self, index: int) -> Line:
        return self.sheet.line(index, self.hits)

    @property
    def node(self) -> Node | None:
        return self.sheet.place(self.cursor)[0].node if self.count() else None

    def show(self, nodes: tuple[Node, ...], *, follow: bool = False) -> None:
        """With `follow` the cursor goes to the end, where what is new stands."""
        self.nodes = nodes
        if self.hits.needle:
            self.hits = search(nodes, self.hits.needle, self.shelf)
        self.redraw()
        if follow:
            self.move_to(self.count() - 1)

    def choose(self, choices: dict[str, bool]) -> None:
        self._folds.choices = choices
        self.redraw()

    def redraw(self) -> None:
        height = self.cursor - self.scroll_offset.y
        keys, inside = self._stands_on()
        self.sheet = lay(self.nodes, self.choices, self.columns, self.shelf) if self.columns else Sheet(())
        found = next((row for row in (self.sheet.row(key, inside) for key in keys) if row is not None), None)
        moved = found is not None and found != self.cursor
        if found is not None:
            self.cursor = found
        super().redraw()
        if moved and 0 <= height < self.scrollable_content_region.height:
            self.scroll_to(y=max(self.cursor - height, 0), animate=False)

    def _stands_on(self) -> tuple[list[str], int]:
        """The node under the cursor, then those that it stands in, for when it is shut away; and the row in it."""
        if not self.count():
            return [], 0
        block, inside = self.sheet.place(self.cursor)
        above = next((above for node, above in walk(self.nodes) if node.key == block.node.key), ())
        return [block.node.key, *reversed(above)], inside

    def action_unfold(self) -> None:
        node = self.node
        if node is None:
            return
        if node.folds and not self.sheet.place(self.cursor)[0].is_open:
            self.choose({**self.choices, node.key: True})
        else:
            self.move_to(self.cursor + 1)

    def action_fold(self) -> None:
        """Shuts what the cursor stands in: the node itself, else the one around it."""
        if not self.count():
            return
        block, _ = self.sheet.place(self.cursor)
        key = block.node.key if block.is_open else block.parent
        if key and not block.is_open:
            self._stand_on(key)
        elif key:
            self._stand_on(key)
            self.choose({**self.choices, key: False})

    def toggle(self) -> None:
        if self.count():
            block, _ = self.sheet.place(self.cursor)
            if block.node.folds:
                self._stand_on(block.node.key)
                self.choose({**self.choices, block.node.key: not block.is_open})

    def _stand_on(self, key: str) -> None:
        row = self.sheet.row(key)
        if row is not None:
            block, _ = self.sheet.place(row)
            self.move_to(row + block.blank)

    @property
    def is_all_open(self) -> bool:
        return all(self.choices.get(node.key, node.is_open) for node, _ in walk(self.nodes) if node.folds)

    def look_for(self, needle: str) -> None:
        """Opens every place of `needle`, and stays where it is."""
        self.hits = search(self.nodes, needle, self.shelf)
        self.choose(revealed(self.nodes, self.hits.places, self.choices))

    @property
    def next_hit(self) -> int:
        """Number of the first place from the cursor on; behind the last one, the first."""
        rows = [self.sheet.row_of(hit) or 0 for hit in self.hits.places]
        return next((number for number, row in enumerate(rows) if row >= self.cursor), 0)

    def stand_at_top(self, key: str) -> None:
        """The cursor on a node, and the node at the top of the screen."""
        self._stand_on(key)
        self.scroll_to(y=self.cursor, animate=False)

    def go_to(self, number: int) -> bool:
        """To a place of what was looked for. False where the cursor was there already."""
        hit = self.hits.places[number]
        row = self.sheet.row_of(hit)
        if row is None:
            self.choose(revealed(self.nodes, [hit], self.choices))
            row = self.sheet.row_of(hit)
        before = self.cursor
        if row is not None:
            self._go(row)
        return before != self.cursor

    def _go(self, row: int) -> None:
        """With lines around it: what stands at the edge of the screen is hard to read."""
        height = self.scrollable_content_region.height
        was_seen = self.scroll_offset.y <= row < self.scroll_offset.y + height
        self.move_to(row)
        if not was_seen:
            self.scroll_to(y=max(row - height // 3, 0), animate=False)
