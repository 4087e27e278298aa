"""A program in a terminal of its own, from its start to a text on its screen, and what it does in between."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

PATIENCE_SECONDS = 60.0
_ESCAPES = re.compile(rb"\x1b\[[0-9;?<>=]*[A-Za-z]")


@dataclass(kw_only=True)
class Terminal:
    pid: int
    descriptor: int
    started: float
    """`time.perf_counter`."""
    drawn: bytes = b""

    def until(self, text: str) -> float:
        """Seconds from the start to the moment at which `text` had been drawn. Raises RuntimeError."""
        wanted = text.encode()
        while time.perf_counter() < self.started + PATIENCE_SECONDS:
            if not self._read(0.5):
                break
            if wanted in _ESCAPES.sub(b"", self.drawn):
                return time.perf_counter() - self.started
        raise RuntimeError(f"{text!r} was not drawn: {self.drawn[-500:]!r}")

    def run_for(self, seconds: float) -> None:
        """Take what it draws, as a terminal does."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._read(0.1):
            self.drawn = b""

    def _read(self, seconds: float) -> bool:
        """False at the end."""
        readable, _, _ = select.select([self.descriptor], [], [], seconds)
        if not readable:
            return True
        try:
            data = os.read(self.descriptor, 65_536)
        except OSError:  # Linux says so where the other end is closed
            return False
        self.drawn += data
        return bool(data)


@contextmanager
def terminal(*arguments: str, size: tuple[int, int], environment: Mapping[str, str]) -> Iterator[Terminal]:
    """`python arguments` in a terminal of `size` (columns, rows), until the end of the block."""
    started = time.perf_counter()
    pid, descriptor = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, *arguments], {**os.environ, "TERM": "xterm-256color", **environment})
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    try:
        yield Terminal(pid=pid, descriptor=descriptor, started=started)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(descriptor)
