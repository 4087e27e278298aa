"""Ending when told to, also where the terminal is gone and nothing can be drawn any more.

A loop that waits for a terminal which nobody reads never comes round to its own signal handlers; those of the
interpreter run nevertheless. https://docs.python.org/3/library/signal.html#execution-of-python-signal-handlers
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

GRACE_SECONDS = 5.0


def end_when_told(leave: Callable[[], None], clean_up: Callable[[], None], *, grace: float = GRACE_SECONDS) -> None:
    """SIGTERM and SIGHUP make the running loop call `leave`. Where the process still lives `grace` seconds later,
    `clean_up` runs in a thread and the process ends. Call it in the main thread, on the loop."""
    loop = asyncio.get_running_loop()

    def over(number: int) -> None:
        with suppress(Exception):  # whatever is left to go wrong, nobody is there to see it
            clean_up()
        os._exit(128 + number)

    def told(number: int, _: FrameType | None) -> None:
        loop.call_soon_threadsafe(leave)
        late = threading.Timer(grace, over, (number,))
        late.daemon = True
        late.start()

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, told)
