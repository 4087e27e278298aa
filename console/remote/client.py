"""The HTTP API from the operator's side. Standard library only, so that the console starts within a blink.

One connection per call: the calls are few, and a port-forward that died between two of them must not matter.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from responder import wire

T = TypeVar("T")

_TOKEN = re.compile(r"[!-~]+")
"""What a header can carry."""
_MAX_PROBLEM_BYTES = 64 * 1024
_PIECE_BYTES = 64 * 1024


class ApiError(Exception):
    """The server refused (`status` is that of HTTP), or nothing came of the call (0). The text is for the operator."""

    def __init__(self, message: str, *, status: int = 0, delay_seconds: float = 0.0) -> None:
        self.status = status
        self.delay_seconds = delay_seconds
        """The server wants to be left alone for so long (`Retry-After`)."""
        super().__init__(message)

    @property
    def is_refusal(self) -> bool:
        """The server said no, as against an answer that never came or that came from something in between: then nobody
        knows whether what was asked for was done."""
        return 400 <= self.status < 500


class Unreachable(ApiError):
    """No answer came."""


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
        self._port = parts.port if parts.port is not None else (443 if self._https else 80)
        self._base = parts.path.rstrip("/")
        self._token_file = token_file
        self._token = token
        self._ca_file = ca_file
        self._timeout = timeout_seconds
        self.url = url.rstrip("/")

    def moved_to(self, port: int) -> None:
        """What follows goes to this port of the same host. 0, where nothing can listen: nowhere, for now."""
        self._port = port
        self.url = f"{'https' if self._https else 'http'}://{self._host}:{port}{self._base}"

    def get(self, as_type: type[T], path: str, **query: str | int | None) -> T:
        """GET `path` and decode the answer. Query values of None are left out.

        Raises:
            ApiError: refused, unreachable, or an answer that is not what the API describes.
        """
        asked = {name: str(value) for name, value in query.items() if value not in (None, "")}
        return self._decode(as_type, self._call("GET", path + (f"?{urlencode(asked)}" if asked else "")))

    def send(
        self, as_type: type[T], method: str, path: str, body: Mapping[str, Any] | None = None, *,
        call: LongCall | None = None,
    ) -> T:  # fmt: skip
        """POST, PUT or DELETE with a JSON body, and decode the answer. Raises ApiError as `get` does."""
        return self._decode(as_type, self._call(method, path, json.dumps(body or {}).encode(), call=call))

    def raw(self, path: str) -> bytes:
        return self._call("GET", path)

    def incoming(self, path: str, *, timeout_seconds: float) -> Incoming:
        """An answer that goes on, not asked for yet. Once it has begun, silence of `timeout_seconds` ends it."""
        return Incoming(self.url, self._base + path, self._connection(), self._headers(None), timeout_seconds)

    def _decode(self, as_type: type[T], answer: bytes) -> T:
        try:
            result: T = wire.loads(as_type, answer)
        except ValueError as exc:
            raise ApiError(f"{self.url} answered something else than the API describes: {exc}") from exc
        return result

    def _call(self, method: str, path: str, body: bytes | None = None, *, call: LongCall | None = None) -> bytes:
        connection = self._connection()
        try:
            if call is not None:
                call.over(connection)
            connection.request(method, self._base + path, body=body, headers=self._headers(body))
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as exc:
            raise Unreachable(f"{self.url} cannot be reached: {exc or type(exc).__name__}") from exc
        finally:
            connection.close()
        if response.status >= 300:
            raise _refusal(response, answer)
        return answer

    def _connection(self) -> http.client.HTTPConnection:
        if not self._https:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        try:
            context = ssl.create_default_context(cafile=str(self._ca_file) if self._ca_file else None)
        except OSError as exc:
            raise ApiError(f"the CA file {self._ca_file} cannot be used: {exc.strerror or exc}") from exc
        return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=context)

    def _headers(self, body: bytes | None) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": "clopus"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        token = self._read_token()
        if token:
            if not _TOKEN.fullmatch(token):
                raise ApiError("the token has characters that no header can carry: is its file the right one?")
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def _read_token(self) -> str:
        if self._token_file is None:
            return self._token
        try:
            return self._token_file.read_text(encoding="utf-8").strip()
        except OSError as exc:
            raise ApiError(f"the token file {self._token_file} cannot be read: {exc.strerror}") from exc
        except UnicodeDecodeError as exc:
            raise ApiError(f"the token file {self._token_file} holds no text") from exc


PATIENCE_SECONDS = 180.0
"""For the turn, the copy and the run of a query; how long it may really take is the server's to say."""


class LongCall:
    """A call whose answer takes its time. Any thread may hang up, and the server then gives it up as well."""

    def __init__(self, *, timeout_seconds: float = PATIENCE_SECONDS) -> None:
        self._timeout = timeout_seconds
        self._socket: socket.socket | None = None
        self._hung_up = False

    def over(self, connection: http.client.HTTPConnection) -> None:
        """Connect. Raises OSError."""
        connection.connect()
        # Kept here: the connection lets go of its socket where the server means to close it after the answer.
        self._socket = connection.sock
        self._socket.settimeout(self._timeout)
        if self._hung_up:
            raise ConnectionAbortedError("hung up")

    def hang_up(self) -> None:
        """The thread that waits for the server returns at once, with an ApiError."""
        self._hung_up = True
        if self._socket is not None:
            with suppress(OSError):
                # Not the TLS way of it, which belongs to the thread that reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class Incoming:
    """An answer read as it comes, on a connection of its own. One thread opens and reads; any may hang up."""

    def __init__(
        self, url: str, path: str, connection: http.client.HTTPConnection, headers: Mapping[str, str],
        timeout_seconds: float,
    ) -> None:  # fmt: skip
        self._url = url
        self._path = path
        self._connection = connection
        self._headers = headers
        self._timeout = timeout_seconds
        self._socket: socket.socket | None = None
        self._response: http.client.HTTPResponse | None = None
        self._hung_up = False

    def open(self, content_type: str, headers: Mapping[str, str]) -> None:
        """Ask, and return once the answer begins.

        Raises:
            ApiError: refused, unreachable, another type of content, or hung up.
        """
        try:
            self._connection.connect()
            # Kept here: the connection lets go of its socket where the server means to close it after the answer.
            self._socket = self._connection.sock
            if self._hung_up:
                raise ApiError("hung up")
            sent = {**self._headers, "Accept": content_type, "Cache-Control": "no-store", **headers}
            self._connection.request("GET", self._path, headers=sent)
            self._response = self._connection.getresponse()
            if self._response.status >= 300:
                raise _refusal(self._response, self._response.read(_MAX_PROBLEM_BYTES))
            self._socket.settimeout(self._timeout)
        except (OSError, http.client.HTTPException) as exc:
            raise self._lost(exc) from exc
        given = self._response.headers.get_content_type()
        if given != content_type:
            raise ApiError(f"{self._url} answered {given}, not {content_type}: is something in between?")

    def read(self) -> bytes:
        """What has come, as soon as anything has; nothing at the end. Raises ApiError where the connection breaks."""
        assert self._response is not None, "open it first"
        try:
            return self._response.read1(_PIECE_BYTES)
        except (OSError, http.client.HTTPException, ValueError) as exc:  # ValueError: no chunk of HTTP
            raise self._lost(exc) from exc

    def hang_up(self) -> None:
        """A thread that waits for the server returns at once."""
        self._hung_up = True
        if self._socket is not None:
            with suppress(OSError):
                # Not the TLS way of it, which belongs to the thread that reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """By the thread that read."""
        if self._response is not None:
            self._response.close()
        self._connection.close()

    def _lost(self, exc: Exception) -> ApiError:
        if isinstance(exc, TimeoutError):
            return ApiError(f"{self._url} is silent")
        if isinstance(exc, http.client.IncompleteRead | http.client.RemoteDisconnected):
            return ApiError(f"{self._url} broke off")
        return ApiError(f"{self._url} cannot be reached: {exc or type(exc).__name__}")


def path_of(*segments: str) -> str:
    """An API path from segments, each quoted: an id can never become a path of its own."""
    return "/api/v1/" + "/".join(quote(segment, safe="") for segment in segments)


def _refusal(response: http.client.HTTPResponse, answer: bytes) -> ApiError:
    wait = response.headers.get("Retry-After", "")
    delay_seconds = float(wait) if wait.isdecimal() and len(wait) < 6 else 0.0
    return ApiError(_problem(response.status, answer), status=response.status, delay_seconds=delay_seconds)


def _problem(status: int, answer: bytes) -> str:
    """The sentence of a problem document (RFC 9457), or what stands in for one."""
    try:
        document = json.loads(answer)
        detail = document.get("detail") or document.get("title")
    except (ValueError, AttributeError, RecursionError):
        detail = ""
    if status == http.HTTPStatus.UNAUTHORIZED:
        detail = f"{detail or 'no valid credential'}: give --token-file or CLOPUS_TOKEN_FILE"
    return f"{detail or http.client.responses.get(status, 'refused')} (HTTP {status})"
