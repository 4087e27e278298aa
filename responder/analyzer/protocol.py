"""What the pipeline asks of an analyzer, whichever way it thinks."""

from __future__ import annotations

from typing import Protocol

from responder.domain.incident import Incident
from responder.domain.investigation import Investigation
from responder.domain.snapshot import Snapshot


class Analyzer(Protocol):
    name: str
    """As rules name it: `heuristic`, `claude` ..."""

    async def investigate(
        self, incident: Incident, snapshot: Snapshot | None, *, number: int, deadline: float
    ) -> Investigation:
        """One run on one incident.

        `snapshot` is None where the alert names no object; `number` counts the incident's runs from 1; `deadline` is
        the number of seconds after which the answer is of no use any more.

        Raises:
            AnalyzerUnavailable: this analyzer could not run; the next of the chain answers.
        """
