"""The brakes: kill switch, ceilings, breakers; who set them, and the keys that change them."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer

from console import brakes
from console.lines.formatting import Line, text_of
from console.modechange import (
    Ceiling,
    KillSwitch,
    Known,
    NamespaceCeiling,
    ResetBreakers,
    Wish,
    ceiling_typed,
    mode_change,
    namespace_typed,
)
from console.remote.client import Client, path_of
from console.screens.change import ChangeScreen
from console.screens.confirm import ConfirmScreen
from console.screens.polled import PolledScreen, now
from console.widgets.bars import Answer, TopBar
from console.widgets.lineview import Document
from responder.domain.views import AuditPage, RulePage, Status


class ModeScreen(PolledScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("K", "kill", "kill switch", id="mode.kill"),
        Binding("C", "ceiling", "ceiling", id="mode.ceiling"),
        Binding("N", "namespace", "namespace", id="mode.namespace"),
        Binding("B", "reset", "reset breakers", id="mode.reset"),
        Binding("r,ctrl+r", "refresh", "refresh", show=False, id="mode.refresh"),
    ]
    place = "mode"

    def __init__(self) -> None:
        super().__init__()
        self.known: Known | None = None

    def compose(self) -> ComposeResult:
        yield TopBar()
        yield Document(has_cursor=False, id="mode")
        yield Answer()
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#mode").focus()

    async def read(self) -> None:
        self.known = await self.console_app.ask(_known)
        self._document.show(self._lines)
        self.refresh_bindings()

    @property
    def _document(self) -> Document:
        return self.query_one("#mode", Document)

    def _lines(self, width: int) -> tuple[Line, ...]:
        return brakes.tell(self.known, width=width, now=now()) if self.known is not None else ()

    def copied(self) -> tuple[str, str]:
        return text_of(self._lines(120)), "the brakes"

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key that can do nothing now is grey and does nothing."""
        match action:
            case "kill" | "ceiling" | "namespace":
                return self.known is not None or None
            case "reset":
                return bool(self.known and self.known.mode.breakers) or None
            case _:
                return True

    def action_kill(self) -> None:
        if self.known is not None:
            self._change(KillSwitch(on=not self.known.mode.kill_switch))

    def action_reset(self) -> None:
        self._change(ResetBreakers())

    def action_ceiling(self) -> None:
        self._choose("the highest mode of the whole process", "type report, dry-run or autonomous", ceiling_typed)

    def action_namespace(self) -> None:
        self._choose(
            "the highest mode of one namespace",
            "type a namespace and its mode, as `shop report`, or `shop -` for none of its own",
            namespace_typed,
        )

    def _choose(self, title: str, prompt: str, read: Callable[[str], Ceiling | NamespaceCeiling]) -> None:
        def chosen(typed: str | None) -> None:
            if typed is None:
                return
            try:
                self._change(read(typed))
            except ValueError as exc:
                self.say(f"nothing was done: {exc}", bad=True)

        self.app.push_screen(ConfirmScreen(title=title, build=self._brief, prompt=prompt), chosen)

    def _brief(self, width: int) -> tuple[Line, ...]:
        """The brakes without their history."""
        lines = self._lines(width)
        end = next((index for index, line in enumerate(lines) if not line.text), len(lines))
        return lines[:end]

    def _change(self, wish: Wish) -> None:
        known = self.known
        if known is None:
            return
        asked = mode_change(wish, known.mode)
        if asked.changes_nothing:
            self.say(f"nothing to do: {asked.title}, it is so already")
        else:
            self.app.push_screen(ChangeScreen(asked, known), self._changed)

    def _changed(self, done: str | None) -> None:
        if done is not None:
            self.say(done)
        self.read_now()

    def action_refresh(self) -> None:
        self.read_now()


def _known(client: Client) -> Known:
    """Raises ApiError."""
    status = client.get(Status, path_of("status"))
    records = [
        record
        for event in (brakes.CHANGED, brakes.BREAKER_OPENED)
        for record in client.get(AuditPage, path_of("audit"), event=event, limit=brakes.MOST_RECORDS).records
    ]
    return Known(
        mode=status.mode,
        limit=status.mode_limit,
        states=status.states,
        rules=client.get(RulePage, path_of("rules")).rules,
        records=tuple(sorted(records, key=lambda record: record.seq, reverse=True)),
    )
