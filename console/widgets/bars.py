"""One-line bars: where one is and how the connection stands; and plain text that nothing reads as markup."""

from __future__ import annotations

from datetime import datetime

from rich.text import Text
from textual.widgets import Static

from console.formatting import Tone, fit
from console.link import Link

_STYLES = {Tone.GOOD: "green", Tone.WAITS: "bold yellow", Tone.BAD: "bold red", Tone.BUSY: "cyan"}


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
        told = told if len(told) <= width // 2 else fit(told, width // 2).rstrip()
        left = fit(f"clopus › {place}", width - len(told) - 3)
        self.said = f"{left} ● {told}"
        self.update(Text.assemble((left, "bold"), " ", (f"● {told}", _STYLES.get(tone, ""))))
