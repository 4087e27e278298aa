"""What the pipeline asks of an analyzer, whichever way it thinks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from responder.domain.incident import Incident
from responder.domain.investigation import Attempt, Evidence, Investigation, Step
from responder.domain.snapshot import Snapshot
from responder.redact.placeholders import Placeholders

Record: TypeAlias = Callable[[tuple[Step, ...], tuple[Evidence, ...]], Awaitable[None]]
"""Commits links of the chain, and evidence that came with them, before the call returns. Raises StoreUnavailable."""


async def unrecorded(steps: tuple[Step, ...], evidence: tuple[Evidence, ...]) -> None:
    """Where nobody keeps a run while it goes on."""


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """One run that an analyzer is asked for."""

    id: str
    """Of the investigation to be."""
    number: int
    """Counts the incident's runs from 1."""
    incident: Incident
    snapshot: Snapshot | None
    """None where the alert names no object."""
    seconds: float
    """After which the answer is of no use any more."""
    detected: Investigation | None = None
    """What the detectors found on the same snapshot; their evidence keeps its ids. None: they are who is asked."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Of the alert that came last: what its author wrote for people. Text from outside."""
    attempts: tuple[Attempt, ...] = ()
    """Changes that the incident has had already, oldest first."""
    secrets: Placeholders
    """The incident's names for secrets, so that one secret has one name in everything that is told of it."""
    record: Record = unrecorded


class Analyzer(Protocol):
    name: str
    """As rules name it: `heuristic`, `claude` ..."""

    async def investigate(self, assignment: Assignment) -> Investigation:
        """One run on one incident.

        What happens on the way goes to `assignment.record` as it happens, so that a run which is cut keeps what it had.
        Steps and evidence of the answer are all of the run, recorded ones included.

        Raises:
            AnalyzerUnavailable: it could not run, or not to the end; the text says why. The next of the chain answers.
            ReplyInvalid: a model answered outside of what it may answer, twice.
        """
