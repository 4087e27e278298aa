"""A tree of texts that opens and shuts in place, with a search through all of it.

Only the rows that are looked at are drawn, and a text is cut into lines when it is first opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input

from console.folding import MOST_HITS, Hits, Sheet, Shelf, lay, revealed, search, walk, whole
from console.formatting import Line, flat
from console.messages import Chosen, CursorMoved, EndSeen
from console.reasoning import Node
from console.widgets.bars import Plain
from console.widgets.lineview import LineView
from responder.domain.investigation import Evidence


@dataclass
class EvidenceAsked(Message):
    """Enter on what cites evidence."""

    found: tuple[Evidence, ...]


class ChainView(LineView):
    """The rows. The cursor stays on its node, at its height on the screen, whatever opens or grows around it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "unfold", "open", show=False),
        Binding("left,h", "fold", "shut", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(id="chain")
        self.nodes: tuple[Node, ...] = ()
        self.hits = Hits()
        self.shelf = Shelf()
        self.choices: dict[str, bool] = {}
        self.sheet = Sheet(())

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
        self.choices = choices
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

    def find(self, needle: str) -> int:
        """Opens every place of `needle` and goes to the first from the cursor on. Which one that is, from 0."""
        self.hits = search(self.nodes, needle, self.shelf)
        self.choose(revealed(self.nodes, self.hits.places, self.choices))
        rows = [self.sheet.row_of(hit) or 0 for hit in self.hits.places]
        current = next((number for number, row in enumerate(rows) if row >= self.cursor), 0)
        if rows:
            self._go(rows[current])
        return current

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


class Chain(Vertical):
    """The rows, what is typed to search them, and where one is in them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "search", key_display="/"),
        Binding("n", "next(1)", "next"),
        Binding("N", "next(-1)", "previous", show=False),
        Binding("e", "everything", "open all"),
        Binding("c", "copy", "copy"),
        Binding("escape", "leave_search", "leave the search", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._current = 0
        self._about = "reading"
        self._is_live = False
        self._copied = ""

    def compose(self) -> ComposeResult:
        yield ChainView()
        yield Input(placeholder="search", id="search", compact=True)
        yield Plain(self._about, id="where")

    def on_mount(self) -> None:
        self.query_one("#search").display = False
        self.view.focus()

    @property
    def view(self) -> ChainView:
        return self.query_one(ChainView)

    def show(self, nodes: Sequence[Node], *, about: str, is_live: bool = False) -> None:
        """`about` is told on the last line. What is live is followed while the cursor stands at its end."""
        follow = is_live and self.is_at_end
        self._about, self._is_live = about, is_live
        self.view.show(tuple(nodes), follow=follow)
        self.tell()

    @property
    def is_at_end(self) -> bool:
        return 0 < self.view.count() <= self.view.cursor + 1

    def tell(self) -> None:
        view = self.view
        place = f"{view.cursor + 1} of {view.count()}" if view.count() else ""
        live = ("goes on, followed" if self.is_at_end else "goes on, G follows") if self._is_live else ""
        told = [self._copied, self._told_search(), place, live, self._about]
        self.query_one("#where", Plain).say("  ·  ".join(part for part in told if part))

    def _told_search(self) -> str:
        hits = self.view.hits
        if not hits.needle:
            return ""
        if not hits.places:
            return f"/{flat(hits.needle)}: not found"
        number = min(self._current, len(hits.places) - 1) + 1
        return f"/{flat(hits.needle)}: {number} of {f'the first {MOST_HITS:,}' if hits.more else len(hits.places)}"

    def on_cursor_moved(self, message: CursorMoved) -> None:
        message.stop()
        self.tell()

    def on_end_seen(self, message: EndSeen) -> None:
        message.stop()

    def on_chosen(self, message: Chosen) -> None:
        message.stop()
        node = self.view.node
        if node is not None and node.cites:
            self.post_message(EvidenceAsked(node.cites))
        else:
            self.view.toggle()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._copied = ""
        self._current = self.view.find(event.value)
        self._shut_search()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key that can do nothing is left to the screen."""
        match action:
            case "leave_search":
                return bool(self.view.hits.needle) or self.query_one("#search").display
            case "next":
                return bool(self.view.hits.places) or None
            case _:
                return True

    def action_search(self) -> None:
        box = self.query_one("#search", Input)
        box.display = True
        box.value = ""
        box.focus()

    def action_leave_search(self) -> None:
        """First what is typed, then what is marked."""
        if not self.query_one("#search").display:
            self.view.find("")
        self._shut_search()

    def _shut_search(self) -> None:
        self.query_one("#search").display = False
        self.view.focus()
        self.tell()
        self.refresh_bindings()

    def action_next(self, by: int) -> None:
        count = len(self.view.hits.places)
        for _ in range(count):
            self._current = (self._current + by) % count
            if self.view.go_to(self._current):
                break
        self.tell()

    def action_everything(self) -> None:
        """Opens all; where all is open, back to how it was at first."""
        view = self.view
        view.choose({} if view.is_all_open else {node.key: True for node, _ in walk(view.nodes) if node.folds})
        self.tell()

    def action_copy(self) -> None:
        """By OSC 52, which the terminal may ignore: https://invisible-island.net/xterm/ctlseqs/ctlseqs.html"""
        node = self.view.node
        if node is None:
            return
        text = whole(node, self.view.shelf)
        self.app.copy_to_clipboard(text)
        self._copied = f"copied {len(text):,} characters"
        self.tell()
