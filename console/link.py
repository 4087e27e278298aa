"""The truth about the connection: what was answered when, and what fails since. Pure; time is an argument."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from console.formatting import Tone, age, clock, flat

STALE_AFTER_SECONDS = 10.0
"""Several refreshes missed: what the screen shows may no longer be so."""


class LinkState(StrEnum):
    CONNECTING = "connecting"
    LIVE = "live"
    RECONNECTING = "reconnecting"
    STALE = "stale"


@dataclass(frozen=True, kw_only=True)
class Link:
    good_at: datetime | None = None
    """When the server last answered."""
    problem: str = ""
    """Of the last call; empty when it was answered."""

    def answered(self, now: datetime) -> Link:
        return Link(good_at=now)

    def failed(self, problem: str) -> Link:
        return replace(self, problem=problem)

    def state(self, now: datetime) -> LinkState:
        if self.good_at is None:
            return LinkState.RECONNECTING if self.problem else LinkState.CONNECTING
        if (now - self.good_at).total_seconds() > STALE_AFTER_SECONDS:
            return LinkState.STALE
        return LinkState.RECONNECTING if self.problem else LinkState.LIVE

    def told(self, now: datetime) -> tuple[str, Tone]:
        """One line, and its tone."""
        why = f": {flat(self.problem)}" if self.problem else ""
        match self.state(now):
            case LinkState.CONNECTING:
                return "connecting", Tone.BUSY
            case LinkState.LIVE:
                return "live", Tone.GOOD
            case LinkState.RECONNECTING:
                return f"reconnecting{why}", Tone.WAITS
            case LinkState.STALE:
                since = self.good_at or now
                waited = age((now - since).total_seconds())
                return f"stale since {clock(since)} ({waited}), reconnecting{why}", Tone.BAD
