"""Where the reading of one collection stands, and what comes next: a list, a watch, or a pause. No I/O, no clock.

The rules: never a watch without a version, never two lists within a second, a pause after every failure that grows
until the server says something again, and a list now and then as a net under events that were lost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from responder.domain.errors import ClusterUnavailable, Forbidden, ResponderError

WATCH_SECONDS = 300.0  # the shortest watch that is asked for; the longest is a quarter more
LIST_PERIOD = 1.0  # seconds from the start of one list to that of the next, at the least
SHORTEST_BACKOFF = 0.5
LONGEST_BACKOFF = 30.0
INSTANT = 1.0  # seconds; a watch that ends sooner, without a word, has failed
PATIENCE = 3  # watches in a row that fail before a list is tried in their place
OLD_LISTS = 3  # older lists in a row, over at least as many seconds as stand below, that make the past the present
OLD_LISTS_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class List:
    """Read the whole collection."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Watch:
    version: str
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Wait:
    seconds: float


Step: TypeAlias = List | Watch | Wait


class Cursor:
    """Where one collection has been read to. Every method that takes `at` wants the monotonic time, in seconds."""

    def __init__(
        self, *, resync_seconds: float, watch_seconds: float = WATCH_SECONDS, random: Callable[[], float]
    ) -> None:
        self._resync_seconds = resync_seconds
        self._watch_seconds = watch_seconds
        self._random = random
        self.version = ""
        """From which a watch may go on; empty: list first."""
        self.failures = 0
        """In a row. The pause after one grows with their number."""
        self._asked = False
        self.listing = False
        self._began = self._list_began = self._quiet_until = float("-inf")
        self._resync_at = float("inf")
        self._watches_failed = 0
        self._told = False
        self._highest = 0
        self._old_lists = 0
        self._old_since = 0.0

    def next(self, at: float) -> Step:
        lists = self.list_due(at)
        earliest = max(self._quiet_until, self._list_began + LIST_PERIOD) if lists else self._quiet_until
        if at < earliest:
            return Wait(seconds=earliest - at)
        if lists:
            self.listing, self._asked = True, False
            self._began = self._list_began = at
            return List()
        self.listing, self._told = False, False
        self._began = at
        jittered = self._watch_seconds * (1 + 0.25 * self._random())
        return Watch(version=self.version, seconds=max(1.0, min(jittered, self._resync_at - at)))

    def list_due(self, at: float) -> bool:
        return self._asked or not self.version or at >= self._resync_at

    def ask(self) -> None:
        """A list comes next, whatever has been read."""
        self._asked = True

    def believes(self, version: str, at: float) -> bool:
        """Whether a list at this version may be taken over. If not, it counts as failed, and another one is due.

        One that is older than what was seen comes from a server that lags behind. Several in a row, over some seconds,
        mean that the cluster itself went back: it was restored from a backup.
        """
        number = version_number(version)
        if version and (number is None or number >= self._highest):
            return True
        if version and number is not None:
            if not self._old_lists:
                self._old_since = at
            self._old_lists += 1
            if self._old_lists >= OLD_LISTS and at - self._old_since >= OLD_LISTS_SECONDS:
                self._highest = number
                return True
        self._asked = True
        self._fail(at)
        return False

    def listed(self, version: str, at: float) -> None:
        """A list that `believes` accepted is complete."""
        self.version = version
        self._highest = max(self._highest, version_number(version) or 0)
        self._old_lists = 0
        self._resync_at = at + self._resync_seconds * (1 + 0.1 * self._random())
        if not self._watches_failed:  # else it is not the lists that are in trouble
            self.failures = 0

    def event(self, version: str) -> None:
        self._advance(version)
        self._recovered()

    def bookmark(self, version: str) -> None:
        self._advance(version)
        self._recovered()

    def ended(self, at: float) -> bool:
        """The watch ended in peace. False where it did so in an instant and without a word, which is a failure."""
        if not self._told and at - self._began < INSTANT:
            self._fail(at)
            return False
        if at - self._began >= LONGEST_BACKOFF:
            self._recovered()
        return True

    def expired(self, at: float) -> None:
        """The server has forgotten the version. The first time in a row another list follows at once."""
        self._fail(at, at_once=not self.failures)
        self.version = ""

    def failed(self, error: ResponderError, at: float) -> None:
        self._fail(at, at_least=error.retry_after if isinstance(error, ClusterUnavailable) else 0.0)
        if isinstance(error, Forbidden):
            self.version = ""  # what happens while nothing may be seen is found by a list only

    def _fail(self, at: float, *, at_least: float = 0.0, at_once: bool = False) -> None:
        if self.listing:
            self._asked = True
        else:
            if at - self._began >= LONGEST_BACKOFF:
                self._recovered()  # it worked for longer than any pause lasts: this is new trouble
            self._watches_failed += 1
            if self._watches_failed % PATIENCE == 0:
                self._asked = True
        self.failures += 1
        pause = 0.0 if at_once else self._backoff()
        self._quiet_until = at + max(at_least, pause)

    def _backoff(self) -> float:
        longest = min(LONGEST_BACKOFF, SHORTEST_BACKOFF * 2.0 ** min(self.failures, 10))
        return longest * (0.5 + 0.5 * self._random())

    def _recovered(self) -> None:
        self._told = True
        self.failures = self._watches_failed = 0

    def _advance(self, version: str) -> None:
        number, reached = version_number(version), version_number(self.version)
        self._highest = max(self._highest, number or 0)
        if version and (number is None or reached is None or number > reached):
            self.version = version


def version_number(version: str) -> int | None:
    """Versions of one collection compare as numbers of 64 bits; None for one that is none."""
    return int(version) if version.isascii() and version.isdigit() and len(version) <= 20 else None
