"""Trees of texts side by side where there is room, with one search and one set of headings through all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input

from console.lines.folding import MOST_HITS, walk, whole
from console.lines.formatting import flat
from console.messages import Chosen, CursorMoved
from console.reasoning import Node
from console.widgets.bars import Plain
from console.widgets.chainview import ChainView, Folds
from responder.domain.investigation import Evidence


@dataclass
class EvidenceAsked(Message):
    """Enter on what cites evidence."""

    found: tuple[Evidence, ...]


class Chain(Vertical):
    """The trees, what is typed to search them, and where one is in them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "search", key_display="/"),
        Binding("n", "next(1)", "next", show=False),
        Binding("N", "next(-1)", "previous", show=False),
        Binding("e", "everything", "all", tooltip="open or shut everything"),
        Binding("tab", "section(1)", "section", show=False),
        Binding("shift+tab", "section(-1)", "section before", show=False),
        Binding("escape", "leave_search", "leave the search", show=False),
    ]

    def __init__(self, *panes: str, tells_place: bool = True) -> None:
        """`panes` are the ids of the trees, one beside the other."""
        super().__init__()
        self._folds = Folds()
        self._panes = tuple(ChainView(self._folds, id=pane) for pane in panes or ("chain",))
        self._at = self._panes[0]
        self._tells_place = tells_place
        self._current = 0
        self._about = "reading" if tells_place else ""
        self._is_live = False
        self._box = Input(placeholder="search", id="search", compact=True)
        self._where = Plain(self._about, id="where")

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield from self._panes
        yield self._box
        yield self._where

    def on_mount(self) -> None:
        self._box.display = False
        self._at.focus()

    @property
    def view(self) -> ChainView:
        """The tree that one is in."""
        return self._at

    @property
    def shown(self) -> tuple[ChainView, ...]:
        return tuple(pane for pane in self._panes if pane.display)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if isinstance(event.widget, ChainView):
            self._at = event.widget
            self.tell()

    def show(self, *trees: Sequence[Node], about: str = "", is_live: bool = False) -> None:
        """One tree for each pane; panes without one are not drawn. `about` is told on the last line. What is live is
        followed while the cursor stands at its end."""
        follow = is_live and self.is_at_end
        self._about, self._is_live = about, is_live
        for number, pane in enumerate(self._panes):
            pane.display = number < len(trees)
            pane.show(tuple(trees[number]) if pane.display else (), follow=follow)
        if not self._at.display:
            self._panes[0].focus()
            self._at = self._panes[0]
        self.tell()

    @property
    def is_at_end(self) -> bool:
        return 0 < self.view.count() <= self.view.cursor + 1

    def tell(self) -> None:
        view = self.view
        place = f"{view.cursor + 1} of {view.count()}" if view.count() and self._tells_place else ""
        live = ("goes on, followed" if self.is_at_end else "goes on, G follows") if self._is_live else ""
        told = [self._told_search(), place, live, self._about]
        self._where.say("  ·  ".join(part for part in told if part))
        self._where.display = bool(self._where.said)

    @property
    def _found(self) -> list[tuple[ChainView, int]]:
        """Every place of what was looked for, tree by tree."""
        return [(view, number) for view in self.shown for number in range(len(view.hits.places))]

    def _told_search(self) -> str:
        needle, found = flat(self.view.hits.needle), self._found
        if not needle:
            return ""
        if not found:
            return f"/{needle}: not found"
        number = min(self._current, len(found) - 1) + 1
        more = any(view.hits.more for view in self.shown)
        return f"/{needle}: {number} of {f'the first {MOST_HITS:,}' if more else len(found)}"

    def on_cursor_moved(self, message: CursorMoved) -> None:
        message.stop()
        self.tell()

    def on_chosen(self, message: Chosen) -> None:
        message.stop()
        node = self.view.node
        if node is not None and node.cites:
            self.post_message(EvidenceAsked(node.cites))
        else:
            self.view.toggle()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._look_for(event.value)
        self._shut_search()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key that can do nothing is left to the screen."""
        match action:
            case "leave_search":
                return bool(self.view.hits.needle) or self._box.display
            case "next":
                return bool(self._found) or None
            case _:
                return True

    def action_search(self) -> None:
        self._box.display = True
        self._box.value = ""
        self._box.focus()

    def action_leave_search(self) -> None:
        """First what is typed, then what is marked."""
        if not self._box.display:
            self._look_for("")
        self._shut_search()

    def _shut_search(self) -> None:
        self._box.display = False
        self._at.focus()
        self.tell()
        self.refresh_bindings()

    def _look_for(self, needle: str) -> None:
        """In every tree; then to the first place from the cursor on, and after the last one on from the top."""
        for view in self.shown:
            view.look_for(needle)
        found = self._found
        here = self.shown.index(self._at)
        order = (*self.shown[here:], *self.shown[:here])
        first = next((view for view in order if view.hits.places), None)
        if first is not None:
            self._current = found.index((first, first.next_hit if first is self._at else 0))
            self._go(found[self._current])

    def _go(self, found: tuple[ChainView, int]) -> bool:
        """False where the cursor was there already."""
        view, number = found
        moved = view.go_to(number) or view is not self._at
        self._at = view
        view.focus()
        return moved

    def action_next(self, by: int) -> None:
        found = self._found
        for _ in found:
            self._current = (self._current + by) % len(found)
            if self._go(found[self._current]):
                break
        self.tell()

    def action_everything(self) -> None:
        """Opens all; where all is open, back to how it was at first."""
        is_all_open = all(view.is_all_open for view in self.shown)
        nodes = [node for view in self.shown for node, _ in walk(view.nodes) if node.folds]
        self._folds.choices = {} if is_all_open else {node.key: True for node in nodes}
        for view in self.shown:
            view.redraw()
        self.tell()

    def action_section(self, by: int) -> None:
        """From one heading to the next, through all trees and around."""
        heads = [(view, node.key) for view in self.shown for node in view.nodes if not node.is_tight]
        if not heads:
            return
        tree = self.shown.index(self._at)
        at = (tree, self._at.cursor)
        places = [(self.shown.index(view), _row_of_head(view, key)) for view, key in heads]
        if by > 0:
            number = next((number for number, place in enumerate(places) if place > at), 0)
        else:
            number = next((number for number in reversed(range(len(places))) if places[number] < at), -1)
        self._stand_at(*heads[number])

    def jump(self, key: str) -> bool:
        """To a heading, which opens. False where there is none of this key."""
        view = next((view for view in self.shown if any(node.key == key for node in view.nodes)), None)
        if view is None:
            return False
        view.choose({**view.choices, key: True})
        self._stand_at(view, key)
        return True

    def _stand_at(self, view: ChainView, key: str) -> None:
        self._at = view
        view.focus()
        view.stand_at_top(key)

    def copied(self) -> tuple[str, str]:
        """What stands under the cursor, with all that is in it; of what cites evidence, the evidence."""
        node = self.view.node
        if node is None:
            return "", ""
        if node.cites and not node.bodies:
            return "\n".join(item.text for item in node.cites), "the evidence"
        if not node.folds:
            return flat(node.note), flat(node.label).strip() or "the line"
        return whole(node, self.view.shelf), flat(node.label).strip() or "it with all that is in it"


def _row_of_head(view: ChainView, key: str) -> int:
    """The row that the cursor stands on when it stands on the node."""
    row = view.sheet.row(key)
    if row is None:
        return 0
    block, _ = view.sheet.place(row)
    return row + block.blank
