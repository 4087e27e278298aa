"""The cache of one watch, alone in a process, filled with all pods of the large cluster.

    python -m benchmarks.podcache

Prints `CacheSize` as JSON. Pages come in as JSON, as from an API server.
"""

from __future__ import annotations

import gc
import json
import os
from dataclasses import asdict, dataclass

import orjson

from benchmarks import bigobjects
from benchmarks.processes import child, ready
from benchmarks.usage import resident
from responder.cluster.cache import ObjectCache
from responder.cluster.trim import trim

PAGE = 500
WARM_UP = 2000
"""Pods, after which the room that reading a page takes is there."""


@dataclass(frozen=True, kw_only=True)
class CacheSize:
    """Bytes per pod."""

    sent: float
    """As JSON from the API server."""
    body: float
    """JSON of what is kept."""
    resident: float
    """Memory by which the process grows; of those after `WARM_UP`."""


def measured() -> CacheSize:
    with child("benchmarks.podcache") as process:
        return CacheSize(**json.loads(process.said))


def _fill(cache: ObjectCache, page: bytes) -> None:
    for raw in orjson.loads(page):
        metadata = raw["metadata"]
        version = int(metadata["resourceVersion"])
        body = trim("Pod", raw)
        cache.put(metadata["namespace"], metadata["name"], uid=metadata["uid"], version=version, body=body)


def _page(first: int) -> bytes:
    pods = [bigobjects.pod(number) for number in range(first, first + PAGE)]
    for number, pod in enumerate(pods, start=1_000_000 + first):
        pod["metadata"]["resourceVersion"] = str(number)
    return orjson.dumps(pods)


def _measure() -> CacheSize:
    cache, sent, before = ObjectCache(), 0, 0.0
    for first in range(0, bigobjects.PODS, PAGE):
        if first == WARM_UP:
            before = resident(os.getpid())
        page = _page(first)
        sent += len(page)
        _fill(cache, page)
        del page
        gc.collect()
    used = (resident(os.getpid()) - before) * 1024 * 1024
    return CacheSize(sent=sent / len(cache), body=cache.body_bytes / len(cache), resident=used / (len(cache) - WARM_UP))


if __name__ == "__main__":
    ready(json.dumps(asdict(_measure())))
