"""Threads for work on texts from outside that takes seconds, apart from those that take in alerts.

Anybody may fill a ConfigMap or a log with what is slow to redact, and a model that was talked into it reads eight of
them at once. Work that nobody waits for any more and that has not begun is never begun.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

AT_ONCE = 2
_THREADS = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="analyzer")


async def apart(work: Callable[[], T]) -> T:
    """What `work` returns or raises."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, work)
