"""Where reports go."""

from __future__ import annotations

from typing import Protocol

from responder.reporter.report import Report


class Notifier(Protocol):
    """One destination. The pipeline logs and counts a failure and goes on: a report that is lost stops no repair."""

    name: str
    """As rules name it under `notify`."""

    async def notify(self, report: Report) -> None: ...
