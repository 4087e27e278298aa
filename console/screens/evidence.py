"""Observations in full, searchable, as they were made."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer

from console.lines.formatting import flat, moment
from console.reasoning import observations
from console.screens.polled import PolledScreen
from console.widgets.bars import Answer, TopBar
from console.widgets.chain import Chain
from responder.domain.investigation import Evidence


class EvidenceScreen(PolledScreen[None]):
    """Observations do not change, so nothing is read again."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "app.pop_screen", "back")]

    def __init__(self, found: tuple[Evidence, ...], *, place: str, incident_id: str = "") -> None:
        super().__init__()
        self.place = f"{place} › {', '.join(flat(item.id) for item in found)}"
        self.incident_id = incident_id
        self._found = found

    def compose(self) -> ComposeResult:
        yield TopBar()
        yield Chain()
        yield Answer()
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        seen = ", ".join(f"{flat(item.id)} seen at {moment(item.observed_at)}" for item in self._found)
        self.query_one(Chain).show(observations(self._found), about=seen)

    async def read(self) -> None:
        return

    def copied(self) -> tuple[str, str]:
        return self.query_one(Chain).copied()
