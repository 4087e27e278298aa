"""One-line bars: where one is and how the connection stands; and plain text that nothing reads as markup."""

from __future__ import annotations

from datetime import datetime

from rich.cells import cell_len
from rich.text import Text
from textual.widgets import Static

from console.lines.formatting import Tone, fit, flat, shown
from console.remote.link import Link

_STYLES = {Tone.GOOD: "green", Tone.WAITS: "bold yellow", Tone.BAD: "bold red", Tone.BUSY: "cyan"}
_LEAST_PLACE = 12
"""Cells that are left to it whatever is told."""


class Plain(Static):
    """Shows text as it is, and what cannot be seen as its escape, wherever it came from."""

    def __init__(
        self,
        text: str = "",
        *,
        id: str | None = None,  # noqa: A002 - Textual's name for it
        classes: str | None = None,
    ) -> None:
        self.said = shown(text)
        super().__init__(Text(self.said), id=id, classes=classes, markup=False)

    def say(self, text: str) -> None:
        text = shown(text)
        if text != self.said:
            self.said = text
            height = self.styles.height
            self.update(Text(text), layout=height is None or not height.is_cells)


class Answer(Plain):
    """What came of the last thing that was done here. It stays until the next one: a refusal must not fade away."""

    def __init__(self, *, id: str | None = "answer") -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self.display = False

    def tell(self, text: str, *, bad: bool = False) -> None:
        """`text` may come from anywhere; '' takes the line away."""
        self.set_class(bad, "bad")
        self.say(text)
        self.display = bool(text)


class TopBar(Static):
    """Breadcrumbs on the left, what holds rules back, and the truth about the connection on the right."""

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self.said = ""

    def tell(self, place: str, link: Link, now: datetime, *, held: str = "") -> None:
        told, tone = link.told(now)
        width = max(self.size.width, 20)
        free = width - 4 - cell_len(f"clopus › {flat(place)}") - cell_len(told)
        held = fit(held, min(cell_len(held), max(free, width // 3))).rstrip()
        left, told = _share(flat(place), told, width - 3 - (cell_len(held) + 1 if held else 0))
        self.said = f"{left}{f' {held}' if held else ''} ● {told}"
        text = Text.assemble((left, "bold"))
        if held:
            text.append(" ").append(held, "bold reverse")
        self.update(text.append(f" ● {told}", _STYLES.get(tone, "")))


def _share(place: str, told: str, width: int) -> tuple[str, str]:
    """Both on one line. What is told comes first, its reason last."""
    crumbs = f"clopus › {place}"
    if cell_len(crumbs) + cell_len(told) > width:
        crumbs = place
    essence = cell_len(told.partition(": ")[0])
    room = max(width - min(cell_len(crumbs), width // 3), min(essence, width - _LEAST_PLACE))
    told = told if cell_len(told) <= room else fit(told, room).rstrip()
    return fit(crumbs, width - cell_len(told)), told
