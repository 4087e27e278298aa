"""The keys that do something on the screen one came from, read from that screen: what stands here is always so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import ScrollableContainer, Vertical
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen

from console.lines.formatting import Line, Span, Tone, line, wrap
from console.shell.commands import usages
from console.widgets.bars import Plain
from console.widgets.lineview import Document, LineView

_KEYS_WIDTH = 16
_COMMANDS_WIDTH = 26
_OVERHEAD = 4
"""Lines of the frame, the title and the way out."""


class HelpScreen(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q", "dismiss", "back")]

    def __init__(self, told: Screen[Any], about: str = "") -> None:
        super().__init__()
        self._place = getattr(told, "place", "")
        self._about = about
        self._groups = tuple(groups(told))

    def compose(self) -> ComposeResult:
        with Vertical(id="question"):
            yield Plain(f"Keys: {self._place}", classes="header")
            yield Document(has_cursor=False, id="keys")
            yield Plain("up, down, pgup, pgdn scroll; esc back", id="prompt")

    def on_mount(self) -> None:
        keys = self.query_one("#keys", Document)
        keys.show(self._lines)
        keys.focus()

    def on_resize(self) -> None:
        keys = self.query_one("#keys", Document)
        room = max(self.size.height * 9 // 10 - _OVERHEAD, 3)
        keys.styles.height = min(len(self._lines(max(self.size.width * 9 // 10 - 5, 20))), room)

    def _lines(self, width: int) -> Sequence[Line]:
        return tuple(_told(self._groups, self._about, width))


def groups(screen: Screen[Any]) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    """Titles, and what each key does below: the screen's own first, then what moves, then what is everywhere."""
    titles = ("on this screen", "in the list or the text", "moving", "everywhere")
    found: dict[str, dict[str, tuple[list[str], str]]] = {title: {} for title in titles}
    for active in screen.active_bindings.values():
        binding = active.binding
        if not binding.description or binding.system or binding.action in _actions(ScrollableContainer):
            continue
        keys, _ = found[_title(active)].setdefault(binding.action, ([], _does(active)))
        keys.append(screen.app.get_key_display(binding))
    for title in titles:
        rows = tuple((" ".join(dict.fromkeys(keys)), does) for keys, does in found[title].values())
        if rows:
            yield title, rows


def _does(active: ActiveBinding) -> str:
    """In more words than the footer has room for, where there are some; what Textual binds, in our spelling."""
    said = active.binding.tooltip or active.binding.description
    return said.lower() if active.binding.action in _actions(Screen) else said


def _title(active: ActiveBinding) -> str:
    node = active.node
    if isinstance(node, App):
        return "everywhere"
    if isinstance(node, Screen):
        # What Textual binds on every screen: tab, and the copying of a selection.
        return "everywhere" if active.binding.action in _actions(Screen) else "on this screen"
    return "moving" if active.binding.action in _actions(LineView) else "in the list or the text"


def _actions(node: type[DOMNode]) -> set[str]:
    return {binding.action for binding in Binding.make_bindings(vars(node)["BINDINGS"])}


def _told(found: Sequence[tuple[str, Sequence[tuple[str, str]]]], about: str, width: int) -> Iterator[Line]:
    if about:
        yield from (line(text) for text in wrap(about, width))
        yield Line()
    for title, rows in found:
        yield line(title.upper(), Tone.SECTION)
        yield from _rows(rows, _KEYS_WIDTH, width)
        yield Line()
    yield line("AFTER :", Tone.SECTION)
    yield from _rows(tuple(usages()), _COMMANDS_WIDTH, width)


def _rows(rows: Sequence[tuple[str, str]], left: int, width: int) -> Iterator[Line]:
    for keys, does in rows:
        pad = max(left, len(keys) + 2)
        first, *rest = wrap(does, width - pad)
        yield Line((Span(keys.ljust(pad), Tone.STRONG), Span(first)))
        yield from (line(" " * pad + text) for text in rest)
