"""Which rule would speak for an alert: labels are typed or pasted, and the way through the rules is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Footer, TextArea

from console import labels, rulebook
from console.labels import Asked
from console.lines.formatting import Line, line
from console.messages import Chosen
from console.remote.client import ApiError, path_of
from console.screens.polled import PolledScreen
from console.screens.rule import RuleScreen
from console.widgets.bars import Answer, Plain, TopBar
from console.widgets.lineview import Document
from responder.domain.mode import ModeSettings
from responder.domain.views import Explanation, IncidentDetail

_HINT = " type labels, paste an alert or webhook as JSON, or an incident's id; then Enter"


@dataclass
class Submitted(Message):
    text: str


class LabelsBox(TextArea):
    """Enter asks. What is pasted is made visible first, so that what is asked is what stands there."""

    def __init__(self) -> None:
        super().__init__(
            id="labels",
            soft_wrap=True,
            compact=True,
            show_line_numbers=False,
            tab_behavior="focus",
            placeholder="alertname=X namespace=shop",
        )

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self.post_message(Submitted(self.text))

    async def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self.insert(labels.seen(event.text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "  ")))


class ExplainScreen(PolledScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pageup", "page(-1)", "page up", show=False, priority=True),
        Binding("pagedown", "page(1)", "page down", show=False, priority=True),
        Binding("ctrl+l", "anew", "another alert", id="explain.anew"),
    ]
    place = "rules › explain an alert"

    def __init__(self, given: str = "") -> None:
        """`given` is what one would type."""
        super().__init__()
        self._given = given
        self._asked: Asked | None = None
        self._answer: Explanation | None = None

    @property
    def spot(self) -> str:
        return "rules"

    def compose(self) -> ComposeResult:
        yield TopBar()
        yield Plain(_HINT, classes="header")
        yield LabelsBox()
        yield Document(id="explanation")
        yield Answer()
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self._document.show(self._lines)
        self._box.focus()
        if self._given:
            self._box.text = self._given
            self._ask(self._given)

    @property
    def _box(self) -> LabelsBox:
        return self.query_one(LabelsBox)

    @property
    def _document(self) -> Document:
        return self.query_one("#explanation", Document)

    async def read(self) -> None:
        """What is explained stays true while it is looked at: rules and ceilings change."""
        if self._asked is None:
            await self.console_app.ask(lambda client: client.get(ModeSettings, path_of("mode")))
        else:
            await self._explain(self._asked)

    def on_submitted(self, message: Submitted) -> None:
        message.stop()
        self._ask(message.text)

    def _ask(self, text: str) -> None:
        try:
            asked = labels.parse(text)
        except ValueError as exc:
            self.say(str(exc), bad=True)
            return
        self.run_worker(self._answer_to(asked), group="explain", exclusive=True)

    async def _answer_to(self, asked: Asked) -> None:
        try:
            if asked.incident_id:
                asked = await self._labels_of(asked.incident_id)
            await self._explain(asked)
        except ApiError as exc:
            self.say(f"not explained: {exc}", bad=True)
            return
        except ValueError as exc:
            self.say(str(exc), bad=True)
            return
        self.say(f"explained: {asked.note}" if asked.note else "")
        self._document.action_edge(-1)

    async def _labels_of(self, incident_id: str) -> Asked:
        """They stand in the box afterwards, so that one can change them and ask again."""
        path = path_of("incidents", incident_id)
        detail = await self.console_app.ask(lambda client: client.get(IncidentDetail, path))
        asked = labels.of_incident(detail.incident)
        self._box.text = labels.spelt(asked)
        return asked

    async def _explain(self, asked: Asked) -> None:
        body = {"labels": dict(asked.labels), "source": asked.source.value}
        path = path_of("rules", "explain")
        self._answer = await self.console_app.ask(lambda client: client.send(Explanation, "POST", path, body))
        self._asked = asked
        self._document.redraw()

    def on_chosen(self, message: Chosen) -> None:
        message.stop()
        if key := self._document.lines[message.index].key:
            self.app.push_screen(RuleScreen(key))

    def action_page(self, by: int) -> None:
        self._document.action_page(by)

    def action_anew(self) -> None:
        self._box.text = ""
        self._box.focus()
        self.say("")

    def _lines(self, width: int) -> tuple[Line, ...]:
        if self._answer is None or self._asked is None:
            return (line("nothing is asked yet"),)
        told = sorted(self._asked.labels.items())
        told.append(("source", self._asked.source.value))
        return rulebook.tell_explanation(self._answer, told, width=width)
