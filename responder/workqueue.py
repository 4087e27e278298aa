"""The queue of incident ids: fair, stingy, level-based.

The semantics are those of the Kubernetes controllers' work queue
(https://pkg.go.dev/k8s.io/client-go/util/workqueue): an id that is added several times before it is processed is
processed once; an id is never processed by two workers at the same time; one that is added while it is being processed
is processed again afterwards. The queue holds no state of an incident: losing it loses nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque


class WorkQueue:
    """For one event loop. `get` and `done` belong together, as in `queue.Queue`."""

    def __init__(self, *, backoff_base_seconds: float = 0.2, backoff_cap_seconds: float = 60.0) -> None:
        self._ready: deque[str] = deque()
        self._dirty: set[str] = set()
        self._processing: set[str] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._failures: dict[str, int] = {}
        self._wakeup = asyncio.Event()
        self._base = backoff_base_seconds
        self._cap = backoff_cap_seconds

    def add(self, key: str) -> None:
        """Process `key` as soon as a worker is free. An earlier timer for it is overtaken."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._processing:
            self._ready.append(key)
            self._wakeup.set()

    def add_after(self, key: str, seconds: float) -> None:
        """Process `key` in `seconds`, or sooner if something else asks for it. The sooner of two timers wins."""
        if seconds <= 0:
            self.add(key)
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= due:
                return
            timer.cancel()
        self._timers[key] = loop.call_at(due, self.add, key)

    def add_failed(self, key: str, *, at_least_seconds: float = 0.0) -> float:
        """Process `key` again after an exponential back-off; the seconds until then."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = max(at_least_seconds, min(self._cap, self._base * 2.0**failures))
        self.add_after(key, delay)
        return delay

    def failures(self, key: str) -> int:
        """How many steps of `key` have failed in a row."""
        return self._failures.get(key, 0)

    def forget(self, key: str) -> None:
        """A step of `key` went well: the next failure starts from the shortest back-off."""
        self._failures.pop(key, None)

    async def get(self) -> str:
        """The next id; it is this worker's until `done`."""
        while not self._ready:
            self._wakeup.clear()
            await self._wakeup.wait()
        key = self._ready.popleft()
        self._dirty.discard(key)
        self._processing.add(key)
        return key

    def done(self, key: str) -> None:
        self._processing.discard(key)
        if key in self._dirty:
            self._ready.append(key)
            self._wakeup.set()

    def close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def __len__(self) -> int:
        return len(self._dirty)

    def knows(self, key: str) -> bool:
        """True when `key` waits, is being processed, or has a timer."""
        return key in self._dirty or key in self._processing or key in self._timers

    @property
    def processing(self) -> int:
        """How many ids workers hold now."""
        return len(self._processing)

    @property
    def timed(self) -> int:
        """How many ids wait for their time."""
        return len(self._timers)

    @property
    def idle(self) -> bool:
        """True when nothing waits, nothing is processed and no timer runs."""
        return not (self._dirty or self._processing or self._timers)
