"""Verifying the whole audit chain on the operator's side, page by page, in bounded memory. No Textual.

The server only hands out the records: every digest is computed here. What the chain proves is decided in
`responder.domain.audit`; how it goes is read from another thread while `run` is under way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from responder.domain.audit import AuditHead, AuditRecord, AuditReport, verify_chain
from responder.domain.views import AuditPage

Fetch = Callable[[int, int], AuditPage]
"""(after, limit) -> the oldest `limit` records whose number is above `after`."""

PAGE = 500


class Stopped(Exception):
    """Somebody does not want to wait."""


class ChainWalk:
    """One walk from the first record to the last. `head` is the end as remembered outside the database."""

    def __init__(self, fetch: Fetch, head: AuditHead | None) -> None:
        self.checked = 0
        """Records looked at so far."""
        self.end = AuditHead()
        """Where the last of them stands."""
        self._fetch = fetch
        self._head = head
        self._stop = threading.Event()

    def stop(self) -> None:
        """From any thread: `run` ends before its next page."""
        self._stop.set()

    def run(self) -> AuditReport:
        """Raises Stopped, or what `fetch` raises."""
        return verify_chain(self._records(), self._head)

    def _records(self) -> Iterator[AuditRecord]:
        """Each page begins with the last record of the one before, so that two of one number are seen wherever a page
        ends between them."""
        last: AuditRecord | None = None
        while True:
            if self._stop.is_set():
                raise Stopped
            page = self._fetch(last.seq - 1 if last else 0, PAGE)
            following = list(reversed(page.records))
            if last in following:
                following.remove(last)
            for record in following:
                yield record
                self.checked += 1
                self.end = AuditHead(seq=record.seq, digest=record.digest)
                last = record
            if len(page.records) < PAGE or not following:
                return
