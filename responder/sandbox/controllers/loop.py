"""How a controller runs: a queue of keys fed by store changes, reconciled one at a time.

Level-based: a key says only that something about the object may have changed; reconciling looks at the store.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from responder.sandbox.failures import ApiFailure
from responder.sandbox.objects import StoreEvent
from responder.sandbox.registry import Registry

Key = tuple[str, str]
"""Namespace and name."""

RETRY_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Controller:
    """One control loop."""

    name: str
    keys: Callable[[Registry, StoreEvent], Iterable[Key]]
    """The keys to look at after a change."""
    reconcile: Callable[[Registry, Key], float | None]
    """Take one step. Returns after how many seconds to look again without a change, or None."""


async def run(controller: Controller, registry: Registry) -> None:
    """Run until cancelled. A refused write is tried again later, with the state of then."""
    pending: dict[Key, None] = {}
    wake = asyncio.Event()
    timers: dict[Key, asyncio.TimerHandle] = {}
    loop = asyncio.get_running_loop()

    def enqueue(key: Key) -> None:
        pending[key] = None
        wake.set()

    def observe(event: StoreEvent) -> None:
        for key in controller.keys(registry, event):
            enqueue(key)

    unsubscribe = registry.store.subscribe(observe)
    try:
        while True:
            await wake.wait()
            wake.clear()
            while pending:
                key = next(iter(pending))
                del pending[key]
                delay = _step(controller, registry, key)
                if (timer := timers.pop(key, None)) is not None:
                    timer.cancel()
                if delay is not None:
                    timers[key] = loop.call_later(delay, enqueue, key)
                await asyncio.sleep(0)
    finally:
        unsubscribe()
        for timer in timers.values():
            timer.cancel()


def _step(controller: Controller, registry: Registry, key: Key) -> float | None:
    try:
        return controller.reconcile(registry, key)
    except ApiFailure:
        return RETRY_SECONDS
