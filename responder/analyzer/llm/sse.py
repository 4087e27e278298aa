"""Server-sent events, in which both providers stream: bytes in, the data of whole events out, and nothing unbounded.

The SDKs' own readers hold an event of any size. Names and ids of events are passed over: the data says what it is.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator

from responder.analyzer.llm.turn import MAX_REPLY_BYTES, ProviderError, Refusal, malformed

_MAX_EVENT_BYTES = 2 * MAX_REPLY_BYTES
_MAX_STREAM_BYTES = 32 * 1024 * 1024
"""Of one reply with all that the protocol puts around each of its pieces."""


class Events:
    """What follows the last blank line is no event."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Raises ProviderError for an event that is larger than any reply may be."""
        self._rest += piece
        *lines, rest = self._rest.split(b"\n")
        self._rest = bytearray(rest)
        for line in lines:
            yield from self._line(bytes(line).removesuffix(b"\r"))
        if len(self._rest) + self._size > _MAX_EVENT_BYTES:
            raise malformed(f"an event of more than {_MAX_EVENT_BYTES} bytes")

    def _line(self, line: bytes) -> Iterator[bytes]:
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
            self._size += len(line)
        elif not line and self._data:
            yield b"\n".join(self._data)
            self._data, self._size = [], 0


async def data_of(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Raises ProviderError for a stream without a byte, and for a stream or an event above its bound."""
    events, size = Events(), 0
    async for piece in pieces:
        size += len(piece)
        if size > _MAX_STREAM_BYTES:
            raise malformed(f"a stream of more than {_MAX_STREAM_BYTES} bytes")
        for data in events.feed(piece):
            yield data
    if not size:
        raise ProviderError(Refusal.UNREACHABLE, "the connection was closed before anything came")
