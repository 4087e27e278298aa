"""One connection to an API server: credentials, TLS, time limits, retries of reads. Bodies stay bytes.

kubernetes_asyncio reads kubeconfigs and service account files and sets up the TLS session. Its request methods are not
used: they follow redirects with the body, have no time limit, and raise one class for all. A token that was refused is
read afresh before the next request: whoever renewed it need not restart anything.

Reads are repeated with jittered backoff while the server is busy or away, as long as it asks for within limits. A
write is sent once: what became of a lost one is for the caller to find out.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import aiohttp
import orjson
from kubernetes_asyncio import config as kube_config
from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.client.rest import RESTClientObject
from kubernetes_asyncio.config.config_exception import ConfigException
from kubernetes_asyncio.config.incluster_config import SERVICE_TOKEN_FILENAME
from kubernetes_asyncio.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION
from tenacity import AsyncRetrying, RetryCallState, retry_any, retry_if_exception, retry_if_result, stop_after_delay
from tenacity.stop import stop_after_attempt
from tenacity.wait import wait_random_exponential
from yaml import YAMLError

from responder.cluster.credentials import CredentialMissing, Renewal, TokenFile
from responder.cluster.errors import RETRIED_STATUSES, Call, from_answer, from_exception
from responder.domain.errors import ConfigError, ResponderError
from responder.domain.manifest import Json

JSON = "application/json"
JSON_PATCH = "application/json-patch+json"

# What an exchange with the server or the session can raise. Cancellation is not among them: it belongs to the caller.
_TRANSPORT = (aiohttp.ClientError, TimeoutError, OSError)
# The library walks through a kubeconfig without checking its shape first.
_MALFORMED = (ConfigException, OSError, YAMLError, AttributeError, LookupError, TypeError, ValueError)
# A certificate that does not check out now will not check out in a second.
_HOPELESS = (aiohttp.ClientConnectorCertificateError, aiohttp.InvalidURL)
# Seconds of silence, seconds between probes, probes without an answer. Not every system knows all of them.
_KEEP_ALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """All in seconds, except where they say otherwise."""

    connect: float = 5.0
    request: float = 15.0
    """One attempt, from the first byte sent to the last byte read."""
    glance: float = 5.0
    """A read between the decision to write and the write."""
    write: float = 30.0
    """A write waits longer: giving up on it early leaves its outcome unknown."""
    retry_for: float = 30.0
    """No further attempt at a read begins after this."""
    attempts: int = 5
    backoff: float = 0.25
    longest_backoff: float = 4.0
    longest_retry_after: float = 10.0
    """A server that asks for more patience than this is left to whoever called."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    body: bytes
    retry_after: float | None = None
    """Seconds, where the server named them."""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


class _Session(Protocol):
    """What is used of the library's session object."""

    pool_manager: aiohttp.ClientSession
    proxy: str | None
    proxy_headers: Mapping[str, str] | None
    server_hostname: str | None

    async def close(self) -> None: ...


class Client:
    """Owns one HTTP session; `close` it. Made by `from_token`, `from_kubeconfig` or `in_cluster`."""

    def __init__(self, configuration: Configuration, *, limits: Limits | None = None) -> None:
        configuration.connection_pool_maxsize = 0  # no limit: every watch holds a connection for good
        self._configuration = configuration
        self._limits = limits or Limits()
        self._session = cast("_Session", RESTClientObject(configuration))

    @classmethod
    def from_token(
        cls,
        *,
        url: str,
        token: str = "",
        token_file: Path | None = None,
        ca_file: Path | None = None,
        limits: Limits | None = None,
    ) -> Client:
        """A `token_file` goes before `token`, and is read again whenever it changed or its token was refused."""
        configuration = Configuration(host=url.rstrip("/"))
        configuration.api_key["BearerToken"] = f"Bearer {token}" if token else ""
        if token_file is not None:
            configuration.refresh_api_key_hook = TokenFile(token_file)
        configuration.ssl_ca_cert = str(ca_file) if ca_file else None
        return cls(configuration, limits=limits)

    @classmethod
    async def from_kubeconfig(
        cls, path: Path | None = None, *, context: str | None = None, limits: Limits | None = None
    ) -> Client:
        """Without a path: `KUBECONFIG`, else `~/.kube/config`.

        Raises:
            ConfigError: the file is absent, or names no usable cluster or user.
        """
        origin = str(path or KUBE_CONFIG_DEFAULT_LOCATION)
        configuration = Configuration()
        try:
            loader = await kube_config.load_kube_config(
                config_file=str(path) if path else None,
                context=context,
                client_configuration=configuration,
                persist_config=False,
            )
        except _MALFORMED as exc:
            raise ConfigError(path=origin, problem=f"no usable cluster credentials: {exc}") from exc
        configuration.refresh_api_key_hook = Renewal(loader.load_and_set)
        return cls(configuration, limits=limits)

    @classmethod
    def in_cluster(cls, *, limits: Limits | None = None) -> Client:
        """With the pod's service account; its token file is watched as that of `from_token`.

        Raises:
            ConfigError: this process does not run in a pod, or the pod mounts no token.
        """
        configuration = Configuration()
        try:
            kube_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        except (ConfigException, OSError) as exc:
            raise ConfigError(path="service account", problem=f"no usable cluster credentials: {exc}") from exc
        configuration.refresh_api_key_hook = TokenFile(Path(SERVICE_TOKEN_FILENAME))
        return cls(configuration, limits=limits)

    @property
    def url(self) -> str:
        return str(self._configuration.host)

    @property
    def ca_file(self) -> str | None:
        """Certificates that the server's is checked against; None: those of the system."""
        return self._configuration.ssl_ca_cert

    async def close(self) -> None:
        await self._session.close()

    async def read(self, path: str, parameters: Mapping[str, str] | None = None, *, about: str) -> Json:
        """GET one JSON document, again and again within the limits.

        Raises:
            ClusterUnavailable, Forbidden, ObjectGone, PermanentError: as `errors.from_answer` maps them.
        """
        return decoded(Call.READ, await self.read_answer("GET", path, parameters, about=about), about=about)

    async def read_once(self, path: str, *, about: str) -> Json:
        """As `read`, in one attempt and at most `Limits.glance` seconds: for who has something urgent to do next."""
        try:
            answer = await self._exchange("GET", path, None, None, JSON, self._limits.glance)
        except _TRANSPORT as exc:
            raise from_exception(Call.READ, exc, about=about) from exc
        return decoded(Call.READ, answer, about=about)

    async def review(self, path: str, body: Json, *, about: str) -> Json:
        """POST a review: a question in the form of an object that is never stored, and so is asked like a read."""
        return decoded(Call.READ, await self.read_answer("POST", path, body=body, about=about), about=about)

    async def read_answer(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str] | None = None,
        *,
        about: str,
        body: Json = None,
    ) -> Answer:
        """As `read`, but the caller judges the status. Only transport failures raise."""
        attempts = AsyncRetrying(
            retry=retry_any(retry_if_result(_is_busy), retry_if_exception(_may_pass)),
            stop=self._stop_reading,
            wait=self._pause,
            retry_error_callback=_last_outcome,
        )
        try:
            return await attempts(self._exchange, method, path, parameters, body, JSON, self._limits.request)
        except _TRANSPORT as exc:
            raise from_exception(Call.READ, exc, about=about) from exc

    async def write(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str],
        body: Json,
        *,
        about: str,
        content_type: str = JSON,
        dry_run: bool,
        before_send: Callable[[], None] | None = None,
    ) -> Json:
        """Send once; the decoded answer. `before_send` is called when nothing is left to wait for but the connection.

        Raises:
            PlanStale, PlanInvalid, FieldConflict, Forbidden, ObjectGone, ClusterUnavailable: nothing was written.
            WriteOutcomeUnknown: sent, and no usable answer came back. Never for a dry run.
        """
        call = Call.DRY_RUN if dry_run else Call.WRITE
        try:
            answer = await self._exchange(
                method, path, parameters, body, content_type, self._limits.write, before_send=before_send
            )
        except CredentialMissing as exc:
            raise from_exception(Call.READ, exc, about=about) from exc
        except _TRANSPORT as exc:
            raise from_exception(call, exc, about=about) from exc
        return decoded(call, answer, about=about)

    @contextlib.asynccontextmanager
    async def stream(
        self,
        path: str,
        parameters: Mapping[str, str],
        *,
        about: str,
        idle: float,
        expected: frozenset[int] = frozenset({200}),
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """GET a body of unknown length; not repeated. `idle` is the longest wait for the next byte.

        A status that is not `expected` is raised as `errors.from_answer` maps it. Transport failures while the body is
        read are translated too, when they leave the `async with` block.
        """
        timeout = aiohttp.ClientTimeout(sock_connect=self._limits.connect, sock_read=idle)
        try:
            async with await self._open("GET", path, parameters, None, JSON, timeout) as response:
                if response.status not in expected:
                    raise _refusal(Call.READ, await _whole_answer(response), about)
                _keep_alive(response)
                yield response
        except _TRANSPORT as exc:
            raise from_exception(Call.READ, exc, about=about) from exc

    async def _exchange(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str] | None,
        body: Json,
        content_type: str,
        seconds: float,
        *,
        before_send: Callable[[], None] | None = None,
    ) -> Answer:
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=self._limits.connect)
        opened = self._open(method, path, parameters, body, content_type, timeout, before_send=before_send)
        async with await opened as response:
            return await _whole_answer(response)

    async def _open(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str] | None,
        body: Json,
        content_type: str,
        timeout: aiohttp.ClientTimeout,
        *,
        before_send: Callable[[], None] | None = None,
    ) -> aiohttp.ClientResponse:
        # A kubeconfig's plugin may take its time to renew the token.
        credentials = await self._credentials()
        if before_send is not None:
            before_send()
        response = await self._session.pool_manager.request(
            method,
            self.url + path,
            params=parameters,
            data=None if body is None else orjson.dumps(body),
            headers={**credentials, "Content-Type": content_type, "Accept": JSON},
            timeout=timeout,
            allow_redirects=False,
            proxy=self._session.proxy,
            proxy_headers=self._session.proxy_headers,
            server_hostname=self._session.server_hostname,
        )
        if response.status == 401 and isinstance(self._configuration.refresh_api_key_hook, Renewal | TokenFile):
            self._configuration.refresh_api_key_hook.refused()
        return response

    async def _credentials(self) -> dict[str, str]:
        try:
            key = await self._configuration.get_api_key_with_prefix("BearerToken")
        except (ConfigException, OSError) as exc:
            raise CredentialMissing(str(exc)) from exc
        headers = {"User-Agent": "clopus"}
        return {**headers, "Authorization": str(key).strip()} if key else headers

    def _stop_reading(self, state: RetryCallState) -> bool:
        impatient = (_asked_for(state) or 0.0) > self._limits.longest_retry_after
        out_of_time = stop_after_delay(self._limits.retry_for)(state)
        return impatient or out_of_time or stop_after_attempt(self._limits.attempts)(state)

    def _pause(self, state: RetryCallState) -> float:
        backoff = wait_random_exponential(multiplier=self._limits.backoff, max=self._limits.longest_backoff)(state)
        return max(_asked_for(state) or 0.0, backoff)


def _keep_alive(response: aiohttp.ClientResponse) -> None:
    """A peer that vanished without a word ends the stream after a minute, not after the longest silence allowed."""
    transport = response.connection.transport if response.connection is not None else None
    used = transport.get_extra_info("socket") if transport is not None else None
    if used is None:
        return  # the whole body is here already
    used.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE.items():
        if (option := getattr(socket, name, None)) is not None:
            used.setsockopt(socket.IPPROTO_TCP, option, value)


def decoded(call: Call, answer: Answer, *, about: str) -> Json:
    """The JSON of a good answer; every other answer is raised as `errors.from_answer` maps it."""
    if not answer.ok:
        raise _refusal(call, answer, about)
    try:
        return orjson.loads(answer.body)
    except orjson.JSONDecodeError as exc:
        raise from_exception(call, exc, about=about) from exc


def _refusal(call: Call, answer: Answer, about: str) -> ResponderError:
    return from_answer(call, answer.status, answer.body, about=about, retry_after=answer.retry_after)


async def _whole_answer(response: aiohttp.ClientResponse) -> Answer:
    return Answer(status=response.status, body=await response.read(), retry_after=_patience(response))


def _patience(response: aiohttp.ClientResponse) -> float | None:
    """Retry-After in seconds. Its other form, a date, is not sent by API servers and counts as absent."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdecimal() and len(value) < 8 else None


def _is_busy(answer: Answer) -> bool:
    return answer.status in RETRIED_STATUSES


def _may_pass(exc: BaseException) -> bool:
    return isinstance(exc, _TRANSPORT) and not isinstance(exc, _HOPELESS)


def _asked_for(state: RetryCallState) -> float | None:
    outcome = state.outcome
    if outcome is None or outcome.failed:
        return None
    return cast("Answer", outcome.result()).retry_after


def _last_outcome(state: RetryCallState) -> Answer:
    """The last answer, whatever its status; the last failure as it was raised."""
    assert state.outcome is not None
    return cast("Answer", state.outcome.result())
