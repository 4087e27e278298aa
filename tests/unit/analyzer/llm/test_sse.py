"""How server-sent events are found in the bytes of a stream, and what bounds them."""

from __future__ import annotations

import pytest

from responder.analyzer.llm.sse import Events
from responder.analyzer.llm.turn import ProviderError, Refusal


def test_events_are_found_whatever_the_pieces() -> None:
    raw = b': keep-alive\n\nevent: x\ndata: {"a":1}\r\n\r\ndata:b\ndata: c\n\ndata: cut'
    for size in (1, 2, 7, len(raw)):
        events = Events()
        found = [data for at in range(0, len(raw), size) for data in events.feed(raw[at : at + size])]
        assert found == [b'{"a":1}', b"b\nc"]


def test_an_event_without_end_is_refused_before_it_fills_the_memory() -> None:
    events = Events()
    endless = (data for _ in range(100) for data in events.feed(b"data: " + b"x" * 1_000_000))
    with pytest.raises(ProviderError) as caught:
        list(endless)
    assert caught.value.refusal is Refusal.MALFORMED
