"""What was written lately, newest first, and how to take it back: the inverse is shown before it is asked for."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer

from console import executions
from console.lines.formatting import Line
from console.messages import Chosen, CursorMoved
from console.remote.client import ApiError, path_of
from console.remote.stream import Anew, Event
from console.screens.polled import PolledScreen
from console.screens.questions import whether_undone
from console.screens.rows import RowsScreen
from console.widgets.bars import Answer, Plain, TopBar
from console.widgets.lineview import Document
from responder.domain.incident import Incident
from responder.domain.views import ExecutionDetail, ExecutionPage, ExecutionRow

PAGE = 100
MOST = 500
"""As many as the server gives at once; older ones are in the record (`:sql`)."""


class ExecutionsScreen(RowsScreen[ExecutionRow]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "incident", "incident", id="executions.incident"),
        Binding("r,ctrl+r", "refresh", "refresh", id="executions.refresh"),
    ]
    place = "executions"
    none = "nothing was written yet"

    def __init__(self) -> None:
        super().__init__()
        self._limit = PAGE
        self._more = False

    async def read(self) -> None:
        limit = self._limit
        page = await self.console_app.ask(lambda client: client.get(ExecutionPage, path_of("executions"), limit=limit))
        self._more = bool(page.next_cursor)
        self.show(page.executions)

    def head(self, width: int) -> Line:
        return executions.head(width)

    def line_of(self, row: ExecutionRow, width: int, at: datetime) -> Line:
        return executions.execution_row(row, width, at)

    def preview_of(self, row: ExecutionRow, width: int) -> str:
        return executions.preview(row, width)

    def hint(self) -> str:
        older = " and older ones" if self._more else ""
        return f"{older}  ·  Enter shows it, and its way back"

    def on_cursor_moved(self, message: CursorMoved) -> None:
        near_the_end = self.found is not None and message.index + PAGE // 4 >= len(self.found)
        if self._more and near_the_end and self._limit < MOST:
            self._limit = min(self._limit + PAGE, MOST)
            self.read_now()

    def on_chosen(self, message: Chosen) -> None:
        message.stop()
        if self.current is not None:
            self.app.push_screen(ExecutionScreen(self.current.execution_id))

    def action_incident(self) -> None:
        if self.current is not None:
            self.console_app.open_incident(self.current.incident_id)


class ExecutionScreen(PolledScreen[None]):
    """One write."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("u", "undo", "take back", id="execution.undo"),
        Binding("i", "incident", "incident", id="execution.incident"),
        Binding("r,ctrl+r", "refresh", "refresh", show=False, id="execution.refresh"),
    ]

    def __init__(self, execution_id: str) -> None:
        super().__init__()
        self.execution_id = execution_id
        self.place = f"executions › {execution_id}"
        self.detail: ExecutionDetail | None = None
        self._sending = False

    def compose(self) -> ComposeResult:
        yield TopBar()
        yield Document(has_cursor=False, id="write")
        yield Plain("reading", id="status")
        yield Answer()
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#write", Document).show(self._lines)
        self.query_one("#write").focus()

    @property
    def spot(self) -> str:
        """That of the list, by which one comes here."""
        return ExecutionsScreen.place

    def concerns(self, event: Event) -> bool:
        if self.detail is None or isinstance(event, Anew):
            return True
        return event.incident_id == self.detail.incident.id

    async def read(self) -> None:
        path = path_of("executions", self.execution_id)
        detail = await self.console_app.ask(lambda client: client.get(ExecutionDetail, path))
        if detail != self.detail:
            self.detail = detail
            self.query_one("#write", Document).redraw()
        self._tell()

    def _lines(self, width: int) -> tuple[Line, ...]:
        return executions.tell_execution(self.detail, width=width) if self.detail else ()

    def _tell(self) -> None:
        if self.detail is not None:
            kept = self.detail.keeps
            told = f"cannot be taken back: {kept}" if kept else "u takes it back, after a word that is typed"
            self.query_one("#status", Plain).say(told)
            self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key that can do nothing now is grey and does nothing."""
        if action == "undo":
            return (self.detail is not None and not self.detail.keeps and not self._sending) or None
        return True

    def action_incident(self) -> None:
        if self.detail is not None:
            self.console_app.open_incident(self.detail.incident.id)

    def action_refresh(self) -> None:
        self.read_now()

    def action_undo(self) -> None:
        detail = self.detail
        if detail is None:
            return

        def confirmed(word: str | None) -> None:
            if word and not self._sending:
                self._sending = True
                self.run_worker(self._undo(), group="decision")

        question = whether_undone(detail.view, detail.plan, is_killed=self.console_app.is_killed)
        self.app.push_screen(question, confirmed)

    async def _undo(self) -> None:
        """Sent once, never again by itself. Whatever comes, the screen reads afresh."""
        path = path_of("executions", self.execution_id, "rollback")
        try:
            await self.console_app.ask(lambda client: client.send(Incident, "POST", path))
        except ApiError as exc:
            unknown = f"no answer: {exc}. Whether it was taken is not known: read on here"
            self.say(f"not taken back: {exc}" if exc.is_refusal else unknown, bad=True)
        else:
            self.say(f"taking {self.execution_id} back")
        finally:
            self._sending = False
        self.read_now()
