"""One-line bars: where one is and how the connection stands; and plain text that nothing reads as markup."""

from __future__ import annotations

from datetime import datetime

from rich.cells import cell_len
from rich.text import Text
from textual.widgets import Static

from console.formatting import Tone, fit
from console.link import Link

_STYLES = {Tone.GOOD: "green", Tone.WAITS: "bold yellow", Tone.BAD: "bold red", Tone.BUSY: "cyan"}
_LEAST_PLACE = 12
"""Cells that are left to it whatever is told."""


class Plain(Static):
    """Shows text as it is."""

    def __init__(
        self,
        text: str = "",
        *,
        id: str | None = None,  # noqa: A002 - Textual's name for it
        classes: str | None = None,
    ) -> None:
        super().__init__(Text(text), id=id, classes=classes, markup=False)
        self.said = text

    def say(self, text: str) -> None:
        if text != self.said:
            self.said = text
            self.update(Text(text))


class TopBar(Static):
    """Breadcrumbs on the left, the truth about the connection on the right."""

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self.said = ""

    def tell(self, place: str, link: Link, now: datetime) -> None:
        told, tone = link.told(now)
        width = max(self.size.width, 20)
        left, told = _share(place, told, width - 3)
        self.said = f"{left} ● {told}"
        self.update(Text.assemble((left, "bold"), " ", (f"● {told}", _STYLES.get(tone, ""))))


def _share(place: str, told: str, width: int) -> tuple[str, str]:
    """Both on one line. What is told comes first, its reason last."""
    crumbs = f"clopus › {place}"
    if cell_len(crumbs) + cell_len(told) > width:
        crumbs = place
    essence = cell_len(told.partition(": ")[0])
    room = max(width - min(cell_len(crumbs), width // 3), min(essence, width - _LEAST_PLACE))
    told = told if cell_len(told) <= room else fit(told, room).rstrip()
    return fit(crumbs, width - cell_len(told)), told
