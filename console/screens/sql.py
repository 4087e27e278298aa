"""A SELECT on a copy of the record: written, run, looked at, saved."""

from __future__ import annotations

import time
from datetime import datetime
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer
from textual.worker import Worker

from console.exports import save
from console.lines.formatting import clock, fit, flat
from console.messages import Chosen, CursorMoved
from console.remote.client import ApiError, Client, LongCall, path_of
from console.screens.polled import PolledScreen, now
from console.screens.sqlrow import RowScreen
from console.sheets import cell_text, csv_of
from console.sqlwords import Completion, complete
from console.widgets.bars import Answer, Plain, TopBar
from console.widgets.prompt import Choices, Prompt, Run
from console.widgets.rowgrid import RowGrid, Scrolled
from responder.domain.views import QueryAnswer, QueryCatalogue

HISTORY = "sql"
_EXAMPLE = "SELECT opened_at, namespace, rule, state, summary\nFROM v_incidents\nORDER BY opened_at DESC LIMIT 100;"
_LEAST_LINES = 5
_HINT = "F5 or Enter after ; runs · tab completes · up and down recall"


class SqlScreen(PolledScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5", "run", "run", key_display="F5", id="sql.again"),
        Binding("w", "export", "save as CSV", id="sql.export"),
        Binding("i", "write", "edit", id="sql.write"),
        Binding("escape", "give_up", "give up"),
    ]
    place = "sql"
    about = (
        "A SELECT over the views and tables of the record. It runs on a copy that is a few seconds old, in a process "
        "of its own, and can change nothing. Times are UTC. DESCRIBE v_incidents lists a view's columns."
    )

    def __init__(self) -> None:
        super().__init__()
        self.catalogue: QueryCatalogue | None = None
        self.found: QueryAnswer | None = None
        self._put = ""
        """Asked for before there was a prompt."""
        self._asking: Worker[None] | None = None
        self._line: LongCall | None = None
        self._since = 0.0
        self._said = ""
        self._draft = ""

    def compose(self) -> ComposeResult:
        head = Plain(classes="header", id="names")
        yield TopBar()
        yield Prompt(completed=self._complete)
        yield Plain(_HINT, id="status")
        yield head
        yield RowGrid(head)
        yield Answer()
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.set_interval(0.5, self._tell)
        history = self.console_app.memory.history(HISTORY)
        self.prompt.remember(history)
        self.prompt.put(self._put or (history[-1] if history else _EXAMPLE))
        self.prompt.focus()
        if self._put:
            self._start(self._put)
        else:
            self.prompt.select_all()  # what is typed takes its place

    def on_resize(self) -> None:
        # A height that follows the text would wrap it anew, and that the height: on some widths for ever.
        self.prompt.styles.height = max(self.size.height // 5, _LEAST_LINES)

    @property
    def prompt(self) -> Prompt:
        return self.query_one(Prompt)

    @property
    def rows(self) -> RowGrid:
        return self.query_one(RowGrid)

    def put(self, sql: str) -> None:
        """Show this statement and run it."""
        if self.query(Prompt):
            self.prompt.put(sql)
            self._start(sql)
        else:
            self._put = sql

    async def read(self) -> None:
        """Only what can be selected from: a statement runs when somebody says so."""
        if self.catalogue is None:
            self.catalogue = await self.console_app.ask(
                lambda client: client.get(QueryCatalogue, path_of("query", "catalogue"))
            )

    def on_run(self, message: Run) -> None:
        message.stop()
        self._start(message.sql)

    def action_run(self) -> None:
        self._start(self.prompt.text)

    def _start(self, sql: str) -> None:
        if not sql.strip():
            self.say("write a SELECT first", bad=True)
            return
        self._give_up()
        memory = self.console_app.memory
        memory.add_history(HISTORY, sql.strip())
        self.prompt.remember(memory.history(HISTORY))
        self.say("")
        self._since, self._said = time.monotonic(), ""
        self._line = LongCall()
        self._asking = self._ask(sql, self._line)
        self._tell()

    @work(exclusive=True, group="sql")
    async def _ask(self, sql: str, call: LongCall) -> None:
        def send(client: Client) -> QueryAnswer:
            return client.send(QueryAnswer, "POST", path_of("query"), {"sql": sql}, call=call)

        try:
            found = await self.console_app.ask(send)
        except ApiError as exc:
            self._ended()
            self.say(str(exc), bad=True)
        else:
            self._ended()
            self.found = found
            self.rows.show(found)
            if found.truncated:
                self.say(found.truncated, bad=True)
            if found.rows and self.is_active:
                self.rows.focus()
        self._tell()

    def _ended(self) -> None:
        self._asking = self._line = None
        self.refresh_bindings()

    def _give_up(self) -> None:
        if self._line is not None:
            self._line.hang_up()
        if self._asking is not None:
            self._asking.cancel()
        self._ended()

    def action_give_up(self) -> None:
        self._give_up()
        self.say("given up")
        self._tell()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """With nothing that runs, esc goes back."""
        if action == "give_up":
            return self._asking is not None
        if action == "export":
            return self.found is not None
        return True

    def on_unmount(self) -> None:
        """What was begun and never run is not lost: it is recalled like the rest."""
        self._give_up()
        if self._draft not in ("", _EXAMPLE):
            self.console_app.memory.add_history(HISTORY, self._draft)

    def action_write(self) -> None:
        self.prompt.focus()

    def action_export(self) -> None:
        self.export("")

    def export(self, file: str) -> None:
        """The rows as CSV, to `file`, or to one named after the moment in the folder where one is."""
        if self.found is None:
            self.say("there are no rows to save: run a statement first", bad=True)
            return
        name = f"clopus-sql-{now():%Y%m%d-%H%M%S}.csv"
        try:
            written = save(csv_of(self.found).encode(), file, name=name)
        except OSError as exc:
            self.say(f"not saved: {file or name}: {exc.strerror or exc}", bad=True)
        else:
            count = len(self.found.rows)
            self.say(f"{count} row{'' if count == 1 else 's'} written to {written}")

    def on_chosen(self, message: Chosen) -> None:
        message.stop()
        if self.found is not None:
            self.app.push_screen(RowScreen(self.found, message.index))

    def on_cursor_moved(self, message: CursorMoved) -> None:
        message.stop()
        self._tell()

    def on_scrolled(self, message: Scrolled) -> None:
        message.stop()
        self._tell()

    def on_choices(self, message: Choices) -> None:
        message.stop()
        self._said = "  ".join(message.words)
        self._tell()

    def on_text_area_changed(self) -> None:
        self._said, self._draft = "", self.prompt.text.strip()
        self._tell()

    def copied(self) -> tuple[str, str]:
        if self.rows.has_focus and self.found is not None and self.found.rows:
            return "\t".join(cell_text(cell) for cell in self.found.rows[self.rows.cursor]), "the row"
        return self.prompt.text, "the statement"

    def _complete(self, before: str, whole: str) -> Completion:
        return complete(before, whole, self.catalogue)

    def _tell(self) -> None:
        self.query_one("#status", Plain).say(fit(self._status(), max(self.size.width - 2, 1)).rstrip())

    def _status(self) -> str:
        if self._asking is not None:
            return f"running for {time.monotonic() - self._since:.0f} s · esc gives up"
        if self._said:
            return flat(self._said)
        found = self.found
        if found is None:
            return _HINT
        count = len(found.rows)
        place = f"row {self.rows.cursor + 1} of {count}" if count else "no rows"
        parts = (place, "cut off" if found.truncated else "", self.rows.seen_columns, _as_of(found.as_of))
        return " · ".join(part for part in (*parts, f"{found.seconds:.2f} s") if part)


def _as_of(at: datetime) -> str:
    return f"as of {clock(at)}"
