"""The end of a byte stream in bounded memory, whatever the stream does: no newline, no end, no text."""

from __future__ import annotations

from typing import Protocol

from responder.cluster.protocol import LogTail

_CHUNK = 64 * 1024  # bytes


class Stream(Protocol):
    async def read(self, n: int) -> bytes:
        """Up to `n` bytes; none at the end."""


class LogWindow:
    """Keeps the last `keep` bytes of at most `allowance` that are read."""

    def __init__(self, *, keep: int, allowance: int) -> None:
        self._keep = keep
        self._allowance = allowance
        self._bytes = bytearray()
        self.received = 0
        self.interrupted = False
        """Set by whoever gave up on the stream before its end."""

    @property
    def full(self) -> bool:
        """The allowance is used up: what came after it, if anything, is missing."""
        return self.received >= self._allowance

    async def fill(self, stream: Stream) -> None:
        while not self.full and (chunk := await stream.read(_CHUNK)):
            self.received += len(chunk)
            self._bytes += chunk
            del self._bytes[: max(0, len(self._bytes) - self._keep)]

    def tail(self) -> LogTail:
        """What was kept, as text; bytes that are no UTF-8 become replacement characters."""
        text = self._bytes.decode("utf-8", "replace")
        return LogTail(text=text, truncated=self.received > self._keep or self.full or self.interrupted)
