"""Lines drawn only where they are looked at: a list of a hundred thousand is as quick as one of a hundred.

Text is drawn as it is, never read as markup. `formatting.shown` has made it safe before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from console.lines.formatting import Line, Tone
from console.messages import Chosen, CursorMoved, NotMeant

_MARK = ">"
"""Before the line under the cursor, so that colour is not the only sign of it."""
SURPRISE_SECONDS = 0.3
"""A key that comes sooner after another line came under the cursor was meant for the one before."""


class LineView(ScrollView, can_focus=True):
    """Scrolls over `count` lines. With `has_cursor` one line is the current one; without it keys only scroll."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"lines--cursor", *(f"lines--{tone}" for tone in Tone)}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False),
        Binding("down,j", "move(1)", "down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "page up", show=False),
        Binding("pagedown,space,ctrl+f", "page(1)", "page down", show=False),
        Binding("home,g", "edge(-1)", "first", show=False),
        Binding("end,G", "edge(1)", "last", show=False),
        Binding("enter", "choose", "open"),
    ]

    def __init__(self, *, has_cursor: bool = True, id: str | None = None) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self.cursor = 0
        self._has_cursor = has_cursor
        self._surprised_at = float("-inf")

    def count(self) -> int:
        raise NotImplementedError

    def line_at(self, index: int) -> Line:
        raise NotImplementedError

    @property
    def columns(self) -> int:
        """Cells that a line may use."""
        return max(self.scrollable_content_region.width - self._margin, 0)

    @property
    def _margin(self) -> int:
        return 2 if self._has_cursor else 0

    def redraw(self) -> None:
        """After the lines have changed."""
        self.virtual_size = Size(self.scrollable_content_region.width, self.count())
        self.move_to(self.cursor, scroll=False)
        self.refresh()

    def move_to(self, index: int, *, scroll: bool = True) -> None:
        before = self.cursor
        self.cursor = max(0, min(index, self.count() - 1))
        if scroll:
            self._follow()
        if before != self.cursor:
            self.refresh_line(before)
            self.refresh_line(self.cursor)
        self.post_message(CursorMoved(self.cursor))

    def _follow(self) -> None:
        top, height = self.scroll_offset.y, self.scrollable_content_region.height
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False)

    def action_move(self, by: int) -> None:
        if self._has_cursor:
            self.move_to(self.cursor + by)
        else:
            self.scroll_relative(y=by, animate=False)

    def action_page(self, by: int) -> None:
        height = max(self.scrollable_content_region.height - 1, 1)
        if self._has_cursor:
            self.scroll_relative(y=by * height, animate=False)
            self.move_to(self.cursor + by * height)
        else:
            self.scroll_relative(y=by * height, animate=False)

    def action_edge(self, side: int) -> None:
        if self._has_cursor:
            self.move_to(0 if side < 0 else self.count() - 1)
        else:
            self.scroll_to(y=0 if side < 0 else self.count(), animate=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self._has_cursor if action == "choose" else True

    def action_choose(self) -> None:
        if time.monotonic() - self._surprised_at < SURPRISE_SECONDS:
            self.post_message(NotMeant())
        elif self.count():
            self.post_message(Chosen(self.cursor))

    def came_instead(self, now_key: str, before: str) -> None:
        """By itself, another line has come under the cursor; '' is a line that nothing can be meant by."""
        if before and now_key != before:
            self._surprised_at = time.monotonic()

    def on_click(self, event: events.Click) -> None:
        index = event.y + self.scroll_offset.y
        if not self._has_cursor or index >= self.count():
            return
        if index == self.cursor or event.chain > 1:
            self.move_to(index)
            self.action_choose()
        else:
            self.move_to(index)

    def on_resize(self) -> None:
        self.redraw()

    def render_line(self, y: int) -> Strip:
        index = y + self.scroll_offset.y
        width = self.scrollable_content_region.width
        base = self.rich_style
        if index >= self.count():
            return Strip.blank(width, base)
        current = self._has_cursor and index == self.cursor
        over = self.get_component_rich_style("lines--cursor") if current and self.has_focus else Style()
        mark = f"{_MARK if current else '':<{self._margin}}"
        segments = [Segment(mark, base + over)] if mark else []
        for span in self.line_at(index).spans:
            style = base if span.tone is Tone.PLAIN else self.get_component_rich_style(f"lines--{span.tone}")
            segments.append(Segment(span.text, style + over))
        return Strip(segments).adjust_cell_length(width, base + over)


class Document(LineView):
    """Lines built for the width at hand, and built anew when it changes. The cursor stays on what it stood on."""

    def __init__(self, *, has_cursor: bool = True, id: str | None = None) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(has_cursor=has_cursor, id=id)
        self.lines: tuple[Line, ...] = ()
        self._build: Callable[[int], Sequence[Line]] = lambda width: ()

    def show(self, build: Callable[[int], Sequence[Line]]) -> None:
        """`build` gives the lines for a width in cells."""
        self._build = build
        self.redraw()

    def count(self) -> int:
        return len(self.lines)

    def line_at(self, index: int) -> Line:
        return self.lines[index]

    def redraw(self) -> None:
        key = self.lines[self.cursor].key if self.cursor < len(self.lines) else ""
        self.lines = tuple(self._build(self.columns)) if self.columns else ()
        if key:
            self.cursor = next((index for index, line in enumerate(self.lines) if line.key == key), self.cursor)
        super().redraw()
        self.came_instead(self.lines[self.cursor].key if self.lines else "", key)
