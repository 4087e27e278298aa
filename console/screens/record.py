"""One record of the audit chain, whole."""

from __future__ import annotations

import json

from textual.app import ComposeResult
from textual.widgets import Footer

from console import ledger
from console.messages import Chosen, CursorMoved
from console.remote.client import path_of
from console.screens.polled import PolledScreen
from console.widgets.bars import Answer, TopBar
from console.widgets.lineview import Document
from responder.domain.audit import AuditRecord
from responder.domain.views import AuditState
from responder.wire import dumps


class RecordScreen(PolledScreen[None]):
    """A record never changes: what is read meanwhile only keeps the connection bar true."""

    def __init__(self, record: AuditRecord) -> None:
        super().__init__()
        self.record = record
        self.place = f"audit › {record.seq}"

    @property
    def spot(self) -> str:
        return "audit"

    def compose(self) -> ComposeResult:
        yield TopBar()
        yield Document(id="record-whole")
        yield Answer()
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        document = self.query_one(Document)
        document.show(lambda width: ledger.tell(self.record, width))
        document.focus()

    async def read(self) -> None:
        await self.console_app.ask(lambda client: client.get(AuditState, path_of("audit", "state")))

    def copied(self) -> tuple[str, str]:
        return json.dumps(json.loads(dumps(self.record)), indent=2), f"record {self.record.seq}"

    def on_chosen(self, message: Chosen) -> None:
        message.stop()
        if self.query_one(Document).lines[message.index].key:
            self.console_app.open_incident(self.record.incident_id)

    def on_cursor_moved(self, message: CursorMoved) -> None:
        message.stop()
