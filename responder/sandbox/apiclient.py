"""A thin client of the Kubernetes HTTP API for the simulated kubelet: the same one for sandbox and real server.

Decides: how requests are written and which failures are told apart. Leaves retrying to its callers.
API conventions: https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import aiohttp
import orjson

Json = dict[str, Any]
_MERGE_PATCH: Final = "application/merge-patch+json"
_REQUEST_SECONDS: Final = 15.0
_WATCH_SECONDS: Final = 300
_LONGEST_EVENT: Final = 4 << 20


class ApiFailure(Exception):
    """The API server refused a request or could not be reached."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status
        """HTTP status; 0 when there was no answer."""


class Expired(ApiFailure):
    """410: the resource version is too old to watch from; list again."""


class ApiClient:
    def __init__(self, api_url: str, token: str, *, tls: ssl.SSLContext | bool) -> None:
        """`tls`: a context, True for the system's trust store, False to accept any certificate."""
        self._base = api_url.rstrip("/")
        self._token = token
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        headers["User-Agent"] = "clopus-simulated-kubelet"
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=0)
        self._session = aiohttp.ClientSession(connector=connector, headers=headers, read_bufsize=_LONGEST_EVENT)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Json:
        """Raises ApiFailure."""
        return await self._call("GET", path, query=query)

    async def find(self, path: str) -> Json | None:
        """The object, or None when it does not exist. Raises ApiFailure for everything else."""
        try:
            return await self.get(path)
        except ApiFailure as failure:
            if failure.status == 404:
                return None
            raise

    async def create(self, path: str, body: Json) -> Json:
        """Raises ApiFailure."""
        return await self._call("POST", path, body=body)

    async def merge(self, path: str, body: Json) -> Json:
        """A JSON merge patch. Raises ApiFailure."""
        return await self._call("PATCH", path, body=body, content_type=_MERGE_PATCH)

    async def delete(self, path: str, body: Json) -> Json:
        """Raises ApiFailure."""
        return await self._call("DELETE", path, body=body)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
    ) -> Json:
        headers = {"Content-Type": content_type} if body is not None else {}
        data = None if body is None else orjson.dumps(body)
        timeout = aiohttp.ClientTimeout(total=_REQUEST_SECONDS)
        try:
            async with self._opened.request(
                method, self._base + path, params=query, data=data, headers=headers, timeout=timeout
            ) as response:
                answer = await response.read()
                _check(response.status, answer)
                return _decoded(answer)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiFailure(f"{method} {path}: {error!r}") from error

    async def watch(self, path: str, version: str, query: Mapping[str, str]) -> AsyncIterator[Json]:
        """Watch events until the server ends the stream. Raises ApiFailure, Expired."""
        params = {**query, "watch": "1", "resourceVersion": version, "allowWatchBookmarks": "true"}
        params["timeoutSeconds"] = str(_WATCH_SECONDS)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_REQUEST_SECONDS, sock_read=2 * _WATCH_SECONDS)
        try:
            async with self._opened.get(self._base + path, params=params, timeout=timeout) as response:
                if response.status != 200:
                    _check(response.status, await response.read())
                buffer = b""
                async for chunk in response.content.iter_any():
                    *lines, buffer = (buffer + chunk).split(b"\n")
                    for line in lines:
                        if line.strip():
                            yield _event(line)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiFailure(f"watch {path}: {error!r}") from error

    @property
    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise ApiFailure("the client is closed")
        return self._session


def _decoded(answer: bytes) -> Json:
    decoded: Json = orjson.loads(answer)
    return decoded


def _check(status: int, answer: bytes) -> None:
    if status < 400:
        return
    message = answer[:500].decode(errors="replace")
    raise (Expired if status == 410 else ApiFailure)(f"{status}: {message}", status=status)


def _event(line: bytes) -> Json:
    event = _decoded(line)
    if event.get("type") == "ERROR":
        code = event["object"].get("code", 0)
        raise (Expired if code == 410 else ApiFailure)(str(event["object"].get("message")), status=code)
    return event
