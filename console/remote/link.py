"""The truth about the connection: what was heard when, from calls and from the stream. Pure; time is an argument.

Calls and the stream use connections of their own, so either may fail alone. Only a stream that was heard of lately
makes the screen live: while none is up the screens poll, and while nothing answers at all, what they show is stale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from console.lines.formatting import Tone, clock, flat

STALE_AFTER_SECONDS = 10.0
"""Several refreshes missed: what the screen shows may no longer be so."""
SILENCE_SECONDS = 35.0
"""Two heartbeats of the stream missed, and some."""


class LinkState(StrEnum):
    CONNECTING = "connecting"
    LIVE = "live"
    POLLING = "polling"
    RECONNECTING = "reconnecting"
    REFUSED = "refused"
    STALE = "stale"


class Phase(StrEnum):
    """Where the stream stands."""

    OPENING = "opening"
    UP = "up"
    WAITING = "waiting"
    """For the next attempt."""
    REFUSED = "refused"
    """The credential is not good, or not good for this."""
    ABSENT = "absent"
    """The server is older than the stream."""


@dataclass(frozen=True, kw_only=True)
class Feed:
    """The stream, as its reader left it last."""

    phase: Phase = Phase.OPENING
    heard_at: datetime | None = None
    """When the last byte came, heartbeats included."""
    attempt: int = 0
    """Number of the attempt that comes next or is under way; 0 before the first one has failed."""
    next_at: datetime | None = None
    problem: str = ""
    silence_seconds: float = SILENCE_SECONDS
    """After so long without a byte, an open connection proves nothing."""

    def is_live(self, now: datetime) -> bool:
        if self.phase is not Phase.UP or self.heard_at is None:
            return False
        return (now - self.heard_at).total_seconds() <= self.silence_seconds

    def told(self, now: datetime) -> str:
        """What is being done about it; '' where nothing has failed."""
        if self.phase is Phase.UP and not self.is_live(now):
            return "the stream is silent"
        if self.phase not in (Phase.OPENING, Phase.WAITING) or not self.attempt:
            return ""
        left = math.ceil((self.next_at - now).total_seconds()) if self.next_at else 0
        return f"attempt {self.attempt}" + (f", next in {left}s" if left > 0 else "")


@dataclass(frozen=True, kw_only=True)
class Link:
    good_at: datetime | None = None
    """When the server last answered a call."""
    problem: str = ""
    """Of the last call; empty when it was answered."""
    refused: bool = False
    """The problem is the credential."""
    feed: Feed = field(default_factory=Feed)

    def answered(self, now: datetime) -> Link:
        return Link(good_at=now, feed=self.feed)

    def failed(self, problem: str, *, refused: bool = False) -> Link:
        return replace(self, problem=problem, refused=refused)

    def fed(self, feed: Feed) -> Link:
        return replace(self, feed=feed)

    @property
    def fresh_at(self) -> datetime | None:
        """Until when the screen was surely right. A stream is worth nothing where what it tells of cannot be read."""
        heard_at = None if self.problem and self.feed.phase is Phase.UP else self.feed.heard_at
        return max((at for at in (self.good_at, heard_at) if at is not None), default=None)

    def state(self, now: datetime) -> LinkState:
        if self.feed.is_live(now) and not self.problem:
            return LinkState.LIVE
        fresh_at = self.fresh_at
        if fresh_at is not None and (now - fresh_at).total_seconds() > STALE_AFTER_SECONDS:
            return LinkState.STALE
        if self._is_refused:
            return LinkState.REFUSED
        if self.problem:
            return LinkState.RECONNECTING
        if self.feed.phase is Phase.ABSENT:
            return LinkState.POLLING
        return LinkState.RECONNECTING if self.feed.attempt or self.feed.phase is Phase.UP else LinkState.CONNECTING

    def told(self, now: datetime) -> tuple[str, Tone]:
        """One line, and its tone."""
        match self.state(now):
            case LinkState.CONNECTING:
                return "connecting", Tone.BUSY
            case LinkState.LIVE:
                return "live", Tone.GOOD
            case LinkState.POLLING:
                return "polling: this server has no stream", Tone.GOOD
            case LinkState.RECONNECTING:
                return self._trouble(now), Tone.WAITS
            case LinkState.REFUSED:
                return self._trouble(now), Tone.BAD
            case LinkState.STALE:
                return f"stale since {clock(self.fresh_at or now)}, {self._trouble(now)}", Tone.BAD

    @property
    def _is_refused(self) -> bool:
        return self.refused or self.feed.phase is Phase.REFUSED

    def _trouble(self, now: datetime) -> str:
        word = "refused" if self._is_refused else "reconnecting"
        doing = "" if self._is_refused else self.feed.told(now)
        problem = flat(self.problem or self.feed.problem)
        return f"{word}{f' ({doing})' if doing else ''}{f': {problem}' if problem else ''}"
