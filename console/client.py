"""The HTTP API from the operator's side. Standard library only, so that the console starts within a blink.

One connection per call: the calls are few, and a port-forward that died between two of them must not matter.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from responder import wire

T = TypeVar("T")


class ApiError(Exception):
    """The server refused, or could not be reached (`status` 0). The text is for the operator."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        self.status = status
        super().__init__(message)


class Client:
    """Calls one responder. `token_file` is read at every call, so that a rotated token needs no restart."""

    def __init__(
        self, url: str, *, token_file: Path | None = None, token: str = "", ca_file: Path | None = None,
        timeout_seconds: float = 15.0,
    ) -> None:  # fmt: skip
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ApiError(f"{url!r} is no http or https URL; use --url or CLOPUS_URL")
        self._https = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port or (443 if self._https else 80)
        self._base = parts.path.rstrip("/")
        self._token_file = token_file
        self._token = token
        self._ca_file = ca_file
        self._timeout = timeout_seconds
        self.url = url.rstrip("/")

    def get(self, as_type: type[T], path: str, **query: str | int | None) -> T:
        """GET `path` and decode the answer. Query values of None are left out.

        Raises:
            ApiError: refused, unreachable, or an answer that is not what the API describes.
        """
        asked = {name: str(value) for name, value in query.items() if value not in (None, "")}
        return self._decode(as_type, self._call("GET", path + (f"?{urlencode(asked)}" if asked else "")))

    def send(self, as_type: type[T], method: str, path: str, body: Mapping[str, Any] | None = None) -> T:
        """POST, PUT or DELETE with a JSON body, and decode the answer. Raises ApiError as `get` does."""
        return self._decode(as_type, self._call(method, path, json.dumps(body or {}).encode()))

    def raw(self, path: str) -> bytes:
        return self._call("GET", path)

    def _decode(self, as_type: type[T], answer: bytes) -> T:
        try:
            result: T = wire.loads(as_type, answer)
        except ValueError as exc:
            raise ApiError(f"{self.url} answered something else than the API describes: {exc}") from exc
        return result

    def _call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        connection = self._connection()
        try:
            connection.request(method, self._base + path, body=body, headers=self._headers(body))
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as exc:
            raise ApiError(f"{self.url} cannot be reached: {exc or type(exc).__name__}") from exc
        finally:
            connection.close()
        if response.status >= 300:
            raise ApiError(_problem(response.status, answer), status=response.status)
        return answer

    def _connection(self) -> http.client.HTTPConnection:
        if not self._https:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        context = ssl.create_default_context(cafile=str(self._ca_file) if self._ca_file else None)
        return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=context)

    def _headers(self, body: bytes | None) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": "clopus"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        token = self._read_token()
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def _read_token(self) -> str:
        if self._token_file is None:
            return self._token
        try:
            return self._token_file.read_text(encoding="utf-8").strip()
        except OSError as exc:
            raise ApiError(f"the token file {self._token_file} cannot be read: {exc.strerror}") from exc


def path_of(*segments: str) -> str:
    """An API path from segments, each quoted: an id can never become a path of its own."""
    return "/api/v1/" + "/".join(quote(segment, safe="") for segment in segments)


def _problem(status: int, answer: bytes) -> str:
    """The sentence of a problem document (RFC 9457), or what stands in for one."""
    try:
        document = json.loads(answer)
        detail = document.get("detail") or document.get("title")
    except (ValueError, AttributeError):
        detail = ""
    if status == http.HTTPStatus.UNAUTHORIZED:
        detail = f"{detail or 'no valid credential'}: give --token-file or CLOPUS_TOKEN_FILE"
    return f"{detail or http.HTTPStatus(status).phrase} (HTTP {status})"
