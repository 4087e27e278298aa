"""How many times the store has committed, for those who wait for news: any number of them, on any event loop.

Whoever reads the count before it reads the tables, and waits for a higher one afterwards, misses nothing.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress


class Commits:
    def __init__(self) -> None:
        self._count = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        return self._count

    def tell(self) -> None:
        """One more; called on the writer's thread."""
        with self._lock:
            self._count += 1
            woken, self._waiting = self._waiting, set()
        for future in woken:
            with suppress(RuntimeError):  # its loop is closed: nobody waits there any more
                future.get_loop().call_soon_threadsafe(_wake, future)

    async def wait(self, after: int, seconds: float) -> int:
        """The count once it is above `after`, or as it is when the time is over."""
        future = asyncio.get_running_loop().create_future()
        with self._lock:
            if self._count > after:
                return self._count
            self._waiting.add(future)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await future
        finally:
            with self._lock:
                self._waiting.discard(future)
        return self._count


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
