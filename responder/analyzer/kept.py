"""Snapshots as they are kept: without secrets, packed. A kept one serves to try another analyzer, never to act on.

Redaction takes values away that detectors may have compared, so an answer to a kept snapshot can differ from the answer
to the live one.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import orjson

from responder import wire
from responder.domain.manifest import Json
from responder.domain.snapshot import Snapshot
from responder.redact import is_secret_name
from responder.redact.placeholders import Placeholders

MAX_BYTES = 4 * 1024 * 1024
"""Of one snapshot before packing; a larger one is not kept."""

_BY_NAME = frozenset({"env", "data"})
"""Parts of a snapshot that map a name, which can promise a secret, to a value."""

_HIDDEN = "[redacted:name]"


def pack(snapshot: Snapshot, secrets: Placeholders) -> bytes | None:
    """None where it is too large to be kept."""
    plain = _without_named(orjson.loads(wire.dumps(snapshot)))
    assert isinstance(plain, dict)
    body = orjson.dumps(secrets.redact_object(plain))
    return zlib.compress(body, 6) if len(body) <= MAX_BYTES else None


def unpack(body: bytes) -> Snapshot:
    """Raises ValueError where another release kept it in a form that this one cannot read."""
    try:
        found: Snapshot = wire.loads(Snapshot, zlib.decompress(body))
    except (zlib.error, ValueError) as exc:
        raise ValueError(f"the kept snapshot cannot be read: {exc}") from exc
    return found


def _without_named(value: Json) -> Json:
    match value:
        case Mapping():
            return {
                key: _values_by_name(item) if key in _BY_NAME and isinstance(item, Mapping) else _without_named(item)
                for key, item in value.items()
            }
        case list() | tuple():
            return [_without_named(item) for item in value]
        case _:
            return value


def _values_by_name(found: Mapping[str, Json]) -> Json:
    return {
        name: _HIDDEN if isinstance(value, str) and is_secret_name(name) else _without_named(value)
        for name, value in found.items()
    }
