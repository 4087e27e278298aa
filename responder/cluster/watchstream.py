"""The body of a watch: one JSON document per line, in chunks that end anywhere.

Format: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable

import orjson

from responder.cluster.errors import Call, from_answer
from responder.cluster.protocol import WatchEvent, WatchEventType
from responder.domain.errors import ClusterUnavailable, ResponderError
from responder.domain.manifest import Manifest, mapping, number, text
from responder.telemetry import get_logger

LONGEST_LINE = 8 * 1024 * 1024  # bytes; an object as etcd takes it is 1.5 MiB at most

_OBJECT_TYPES = frozenset(WatchEventType) - {WatchEventType.OPENED}

log = get_logger("cluster.watch")


async def lines(chunks: AsyncIterable[bytes], *, about: str) -> AsyncGenerator[bytes, None]:
    """Whole lines, without their ends.

    Raises:
        ClusterUnavailable: the body ended within a line, or a line is longer than `LONGEST_LINE`.
    """
    rest = bytearray()
    async for chunk in chunks:
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            rest += chunk[start:end]
            yield bytes(rest)
            rest.clear()
            start = end + 1
        rest += chunk[start:]
        if len(rest) > LONGEST_LINE:
            raise ClusterUnavailable(f"{about}: an event is longer than {LONGEST_LINE} bytes")
    if rest:
        raise ClusterUnavailable(f"{about}: the connection was cut within an event")


def decoded_event(line: bytes, *, about: str) -> WatchEvent | None:
    """None for a type of event that is not known.

    Raises:
        VersionExpired: the server has forgotten the version that was asked for.
        ClusterUnavailable, Forbidden, PermanentError: any other ERROR event, or a line that is no JSON.
    """
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError as exc:
        raise ClusterUnavailable(f"{about}: an event is no JSON: {exc}") from exc
    kind, body = text(document, "type"), mapping(document, "object")
    if kind == "ERROR":
        raise _refusal(body, about)
    if kind not in _OBJECT_TYPES:
        log.debug("unknown watch event", about=about, type=kind[:40])
        return None
    return WatchEvent(type=WatchEventType(kind), object=body)


def _refusal(status: Manifest, about: str) -> ResponderError:
    code = number(status, "code", default=410 if text(status, "reason") in ("Expired", "Gone") else 500)
    patience = number(status, "details", "retryAfterSeconds")
    return from_answer(Call.READ, code, orjson.dumps(status), about=about, retry_after=float(patience) or None)
