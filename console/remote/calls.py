"""Blocking calls off the event loop, in daemon threads: quitting never waits for a server that hangs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


async def in_thread(call: Callable[[], T]) -> T:
    """The result of `call`, made in a thread of its own. Raises what the call raises."""
    promise: Future[T] = Future()

    def run() -> None:
        try:
            promise.set_result(call())
        except BaseException as exc:  # noqa: BLE001 - handed on whole to whoever awaits
            promise.set_exception(exc)

    promise.set_running_or_notify_cancel()
    threading.Thread(target=run, name="api-call", daemon=True).start()
    return await asyncio.wrap_future(promise)
