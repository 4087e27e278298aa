"""An API server that holds a large cluster and does next to nothing else, so that what watches it can be measured.

    python -m benchmarks.bigcluster

Prints its URL. It serves lists in pages, watches with a bookmark a minute, single objects, and says that everything is
allowed. It writes nothing, knows no history (a watch begins now, whatever version it names), and of selectors only the
equality of labels. Answers of more than 128 KB are compressed as a real API server compresses them. Objects are kept as
JSON, so that a page is put together and not encoded.

    POST /control/{plural}          {"objects": [...]}: store them as newer versions, and tell the watches
    POST /control/{plural}/expire   end the watches with 410, as when etcd has been compacted
"""

from __future__ import annotations

import asyncio
import gzip
import random
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import TypeAlias

import orjson
from aiohttp import web

from benchmarks.bigobjects import Body, everything
from benchmarks.processes import child, ready, wait_for_parent
from responder.api.listener import Listener, ListenerLimits
from responder.cluster.resources import RESOURCES

BOOKMARK_SECONDS = 60.0
COMPRESSED_FROM = 128 * 1024
"""https://kubernetes.io/docs/reference/command-line-tools-reference/feature-gates/: APIResponseCompression"""
OPEN_SECONDS = 10.0
"""How long a control waits for a watch that it could tell."""

_PATH = re.compile(r"/(?:api|apis/[^/]+)/[^/]+(?:/namespaces/(?P<home>[^/]+))?/(?P<plural>[a-z]+)(?:/(?P<name>[^/]+))?")
_KINDS = {resource.plural: kind for kind, resource in RESOURCES.items()}
_VERSIONS = {resource.plural: resource.api_version for resource in RESOURCES.values()}

Place: TypeAlias = tuple[str, str]
"""Namespace and name."""


@contextmanager
def big_cluster() -> Iterator[str]:
    """Its URL, until the end of the block."""
    with child("benchmarks.bigcluster") as process:
        yield process.said


class BigCluster:
    def __init__(self) -> None:
        self._version = 1_000_000
        self._objects: dict[str, dict[Place, bytes]] = {}
        self._watches: dict[str, set[asyncio.Queue[bytes | None]]] = {}
        self._opened = asyncio.Condition()
        for plural, body in everything():
            self._store(plural, body)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=256 * 1024 * 1024)
        app.router.add_post("/control/{plural}", self._put)
        app.router.add_post("/control/{plural}/expire", self._expire)
        app.router.add_post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", self._review)
        app.router.add_get("/{path:.*}", self._get)
        return app

    def _store(self, plural: str, body: Body) -> bytes:
        self._version += 1
        metadata = {**body["metadata"], "resourceVersion": str(self._version)}
        encoded = orjson.dumps({**body, "metadata": metadata})
        self._objects.setdefault(plural, {})[metadata.get("namespace", ""), metadata["name"]] = encoded
        return encoded

    # -- what a client sees -----------------------------------------------------------------------------------------

    async def _get(self, request: web.Request) -> web.StreamResponse:
        found = _PATH.fullmatch(request.path)
        if found is None:
            raise web.HTTPNotFound
        plural, home, name = found["plural"], found["home"] or "", found["name"]
        if name:
            body = self._objects.get(plural, {}).get((home, name))
            return _status(404, "NotFound") if body is None else _answer(request, _complete(plural, body))
        if request.query.get("watch") in ("1", "true"):
            return await self._watch(request, plural, home)
        return await asyncio.to_thread(self._page, request, plural, home)

    def _page(self, request: web.Request, plural: str, home: str) -> web.Response:
        query = request.query
        begin, limit = int(query.get("continue") or 0), int(query.get("limit") or 0) or None
        rest = list(islice(self._selected(plural, home, query), begin, None))
        page = rest[:limit]
        metadata = {"resourceVersion": str(self._version)}
        if len(page) < len(rest):
            metadata["continue"] = str(begin + len(page))
        head = orjson.dumps({"kind": f"{_KINDS.get(plural, '')}List", "metadata": metadata})
        return _answer(request, head[:-1] + b',"items":[' + b",".join(page) + b"]}")

    def _selected(self, plural: str, home: str, query: Mapping[str, str]) -> Iterator[bytes]:
        wanted = [term.replace("==", "=").partition("=") for term in query.get("labelSelector", "").split(",") if term]
        for (namespace, _), body in self._objects.get(plural, {}).items():
            if home and namespace != home:
                continue
            labels = orjson.loads(body)["metadata"].get("labels", {}) if wanted else {}
            if all(labels.get(key) == value for key, _, value in wanted):
                yield body

    async def _watch(self, request: web.Request, plural: str, home: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        events: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._watches.setdefault(plural, set()).add(events)
        async with self._opened:
            self._opened.notify_all()
        loop = asyncio.get_running_loop()
        ends = loop.time() + float(request.query.get("timeoutSeconds") or 1800)
        bookmark_at = loop.time() + BOOKMARK_SECONDS * random.random()  # not all of them at one moment
        try:
            while (left := ends - loop.time()) > 0:
                try:
                    async with asyncio.timeout(min(left, max(0.0, bookmark_at - loop.time()))):
                        line = await events.get()
                except TimeoutError:
                    line, bookmark_at = self._bookmark(plural), loop.time() + BOOKMARK_SECONDS
                if line is None:
                    break
                await response.write(line)
        except ConnectionResetError:
            pass  # the client has left
        finally:
            self._watches[plural].discard(events)
        return response

    async def _review(self, _request: web.Request) -> web.Response:
        return web.json_response({"kind": "SelfSubjectAccessReview", "status": {"allowed": True}}, status=201)

    # -- what the benchmark commands --------------------------------------------------------------------------------

    async def _put(self, request: web.Request) -> web.Response:
        plural = request.match_info["plural"]
        watches = await self._open_watches(plural)
        first = self._version + 1
        for body in orjson.loads(await request.read())["objects"]:
            line = b'{"type":"MODIFIED","object":' + _complete(plural, self._store(plural, body)) + b"}\n"
            for events in watches:
                events.put_nowait(line)
        return web.json_response({"first": first, "last": self._version})

    async def _expire(self, request: web.Request) -> web.Response:
        plural = request.match_info["plural"]
        status = {"kind": "Status", "status": "Failure", "reason": "Expired", "code": 410}
        error = orjson.dumps({"type": "ERROR", "object": {**status, "message": "too old resource version"}}) + b"\n"
        for events in await self._open_watches(plural):
            for line in (self._bookmark(plural), error, None):  # the bookmark, so that this is no failure after another
                events.put_nowait(line)
        return web.json_response({})

    async def _open_watches(self, plural: str) -> list[asyncio.Queue[bytes | None]]:
        async with asyncio.timeout(OPEN_SECONDS), self._opened:
            await self._opened.wait_for(lambda: self._watches.get(plural))
        return list(self._watches[plural])

    def _bookmark(self, plural: str) -> bytes:
        body = {"kind": _KINDS.get(plural, ""), "metadata": {"resourceVersion": str(self._version)}}
        return orjson.dumps({"type": "BOOKMARK", "object": body}) + b"\n"


def _complete(plural: str, body: bytes) -> bytes:
    """With kind and version, which items of a list do not carry."""
    return orjson.dumps({"kind": _KINDS[plural], "apiVersion": _VERSIONS[plural]})[:-1] + b"," + body[1:]


def _answer(request: web.Request, body: bytes) -> web.Response:
    headers = {"Content-Type": "application/json"}
    if len(body) > COMPRESSED_FROM and "gzip" in request.headers.get("Accept-Encoding", ""):
        body, headers["Content-Encoding"] = gzip.compress(body, compresslevel=1), "gzip"
    return web.Response(body=body, headers=headers)


def _status(code: int, reason: str) -> web.Response:
    return web.json_response({"kind": "Status", "status": "Failure", "reason": reason, "code": code}, status=code)


async def _serve() -> None:
    limits = ListenerLimits(header_timeout_seconds=10.0, max_connections=1024)
    listener = Listener(BigCluster().app(), limits=limits)
    await listener.open("127.0.0.1", 0)
    ready(f"http://127.0.0.1:{listener.port}")
    await asyncio.to_thread(wait_for_parent)
    await listener.close()


if __name__ == "__main__":
    asyncio.run(_serve())
