"""The HTTP face of the sandbox: authentication, authorization, routing, answers, audit.

What a request means is decided by `requests`, what it does by `registry`, `deletion`, `listing` and `subresources`.
"""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

import orjson
import structlog
import yaml
from aiohttp import ClientSession, ClientTimeout, web

from responder.sandbox import access, deletion, discovery, listing, podlogs, subresources
from responder.sandbox.access import MASTERS, User
from responder.sandbox.audit import AuditEvent
from responder.sandbox.failures import (
    ApiFailure,
    bad_request,
    no_such_route,
    too_large,
    unauthorized,
    unsupported_media_type,
)
from responder.sandbox.objects import Object
from responder.sandbox.registry import Outcome, PatchType, Registry, Write
from responder.sandbox.requests import ApiRequest, parse_dry_run, parse_request, parse_timeout, parse_validation
from responder.serving import Server

BODY_LIMIT = 3145728  # bytes
_log = structlog.get_logger(__name__)
_HEALTH = frozenset({"/healthz", "/readyz", "/livez"})
_LOG_TIMEOUT = ClientTimeout(total=30)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One authenticated request with its body read."""

    request: web.Request
    api: ApiRequest
    user: User
    body: Any
    received: datetime

    @property
    def query(self) -> Mapping[str, str]:
        return self.request.query

    def write(self, *, options: Mapping[str, Any] | None = None) -> Write:
        """How this request wants to write. Raises `ApiFailure` 422 for bad parameters."""
        in_body = "All" in ((options or {}).get("dryRun") or ())
        agent = self.request.headers.get("User-Agent", "").partition("/")[0]
        return Write(
            user=self.user,
            manager=self.query.get("fieldManager") or ("" if self._is_apply() else agent or "unknown"),
            dry_run=in_body or parse_dry_run(self.api.verb, self.query),
            validation=parse_validation(self.api.verb, self.query),
            force=self.query.get("force") in ("1", "true"),
            subresource=self.api.subresource if self.api.subresource in ("status", "scale") else "",
        )

    def _is_apply(self) -> bool:
        return self.request.content_type == PatchType.APPLY

    def patch_type(self) -> PatchType:
        """Raises `ApiFailure` 415."""
        try:
            return PatchType(self.request.content_type)
        except ValueError as exc:
            raise unsupported_media_type() from exc


class ApiServer:
    """Serves a registry on loopback until it is stopped."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.token = secrets.token_urlsafe(24)
        self.audit: list[AuditEvent] = []
        self.url = ""
        self._users = {self.token: User(name="sandbox-admin", groups=frozenset({MASTERS}))}
        self._watchers: set[asyncio.Event] = set()
        self._stopping = False
        self._server: Server | None = None
        self._session: ClientSession | None = None

    def add_token(self, user: str, groups: tuple[str, ...] = ()) -> str:
        """A bearer token for a user, who may do what Roles and bindings say."""
        token = secrets.token_urlsafe(24)
        self._users[token] = User(name=user, groups=frozenset({*groups, "system:authenticated"}))
        return token

    async def start(self) -> None:
        application = web.Application(client_max_size=BODY_LIMIT + 1)
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._server = Server(web.AppRunner(application, access_log=None, shutdown_timeout=1.0))
        self.url = f"http://127.0.0.1:{await self._server.open('127.0.0.1', 0)}"
        self._session = ClientSession(timeout=_LOG_TIMEOUT)

    async def stop(self) -> None:
        self._stopping = True
        for wake in self._watchers:
            wake.set()
        if self._session is not None:
            await self._session.close()
        if self._server is not None:
            await self._server.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except ApiFailure as failure:
            return _json(failure.status(), failure.code)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.path in _HEALTH:
            return web.Response(text="ok")
        user = self._authenticate(request)
        if (document := discovery.document(request.path)) is not None:
            return _json(document, 200)
        api = parse_request(request.method, request.path, request.query)
        call = Call(
            request=request,
            api=api,
            user=user,
            body=await _read_body(request) if request.method != "GET" else None,
            received=self.registry.now(),
        )
        return await self._audited(call)

    def _authenticate(self, request: web.Request) -> User:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        user = self._users.get(token) if scheme.lower() == "bearer" else None
        if user is None:
            raise unauthorized()
        return user

    async def _audited(self, call: Call) -> web.StreamResponse:
        if call.api.verb == "watch":
            # A watch is recorded when it starts; it may never end.
            self._record(call, code=200, changed=False)
        try:
            if call.api.resource.group != "authorization.k8s.io":
                access.require(self.registry.store, call.user, call.api.attributes)
            response, changed = await self._dispatch(call)
        except ApiFailure as failure:
            self._record(call, code=failure.code, changed=False)
            raise
        if call.api.verb != "watch":
            self._record(call, code=response.status, changed=changed)
        return response

    def _record(self, call: Call, *, code: int, changed: bool) -> None:
        in_body = isinstance(call.body, dict) and "All" in (call.body.get("dryRun") or ())
        self.audit.append(
            AuditEvent(
                user=call.user.name,
                verb=call.api.verb,
                group=call.api.resource.group,
                resource=call.api.resource.plural,
                subresource=call.api.subresource,
                namespace=call.api.namespace,
                name=call.api.name,
                dry_run=call.query.get("dryRun") == "All" or in_body,
                code=code,
                received=call.received,
                answered=self.registry.now(),
                body=call.body,
                changed=changed,
            )
        )

    async def _dispatch(self, call: Call) -> tuple[web.StreamResponse, bool]:
        match call.api.verb, call.api.subresource:
            case "watch", _:
                return await self._watch(call), False
            case "get", "log":
                return await self._log(call), False
            case "get", _:
                return self._shaped(call, self._get(call)), False
            case "list", _:
                page = listing.list_page(self.registry.store, call.api.resource, _namespace(call), call.query)
                return self._shaped(call, listing.as_list(call.api.resource, page)), False
            case _:
                outcome = self._write(call)
                response = _json(outcome.obj, 201 if outcome.created else 200)
                for warning in outcome.warnings:
                    response.headers.add("Warning", f'299 - "{_escaped(warning)}"')
                return response, outcome.changed

    def _get(self, call: Call) -> Object:
        obj = self.registry.get(call.api.resource, _namespace(call), call.api.name)
        return subresources.scale_of(obj) if call.api.subresource == "scale" else obj

    def _shaped(self, call: Call, document: Object) -> web.Response:
        partial = "as=PartialObjectMetadata" in call.request.headers.get("Accept", "")
        return _json(listing.metadata_only(document) if partial else document, 200)

    def _write(self, call: Call) -> Outcome:
        api, registry, namespace = call.api, self.registry, _namespace(call)
        match api.verb, api.subresource:
            case "create", "":
                return self._create(call)
            case "create", _:
                return self._create_subresource(call)
            case "update", "scale":
                return subresources.write_scale(registry, api.resource, namespace, api.name, call.body, call.write())
            case "update", _:
                return registry.update(api.resource, namespace, api.name, call.body, call.write())
            case "patch", "scale":
                kind = call.patch_type()
                return subresources.patch_scale(
                    registry, api.resource, namespace, api.name, kind, call.body, call.write()
                )
            case "patch", _:
                kind = call.patch_type()
                return registry.patch(api.resource, namespace, api.name, kind, call.body, call.write())
            case "delete", _:
                options = _delete_options(call)
                write = call.write(options=options)
                return deletion.delete(registry, api.resource, namespace, api.name, options, write)
            case _:
                return self._delete_collection(call)

    def _create(self, call: Call) -> Outcome:
        match call.api.resource.kind:
            case "SelfSubjectAccessReview":
                review = subresources.review_access(self.registry, call.user, call.body)
            case "SelfSubjectRulesReview":
                review = subresources.review_rules(self.registry, call.user, call.body)
            case _:
                return self.registry.create(call.api.resource, _namespace(call), call.body, call.write())
        return Outcome(obj=review, changed=False, created=True)

    def _create_subresource(self, call: Call) -> Outcome:
        api, body = call.api, call.body if isinstance(call.body, dict) else {}
        match api.subresource:
            case "eviction":
                write = call.write(options=body.get("deleteOptions"))
                return deletion.evict(self.registry, api.namespace, api.name, body, write)
            case "binding":
                return subresources.bind(self.registry, api.namespace, api.name, body, call.write())
            case "token":
                self.registry.get(api.resource, api.namespace, api.name)
                token, answer = subresources.issue_token(self.registry, api.namespace, api.name, body)
                self._users[token] = access.service_account(api.namespace, api.name)
                return Outcome(obj=answer, changed=False, created=True)
            case _:
                raise no_such_route()

    def _delete_collection(self, call: Call) -> Outcome:
        options = _delete_options(call)
        write = call.write(options=options)
        page = listing.list_page(self.registry.store, call.api.resource, _namespace(call), call.query)
        for obj in page.items:
            namespace, name = obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
            deletion.delete(self.registry, call.api.resource, namespace, name, options, write)
        changed = bool(page.items) and not write.dry_run
        return Outcome(obj=listing.as_list(call.api.resource, page), changed=changed)

    async def _log(self, call: Call) -> web.Response:
        location = podlogs.log_location(self.registry, call.api.namespace, call.api.name, call.query)
        if location is None or self._session is None:
            return web.Response(status=HTTPStatus.NO_CONTENT)
        return web.Response(body=await podlogs.fetch_log(self._session, location), content_type="text/plain")

    async def _watch(self, call: Call) -> web.StreamResponse:
        store = self.registry.store
        seconds = parse_timeout(call.query)
        watch = listing.parse_watch(call.api.resource, _namespace(call), call.query, seconds)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(call.request)
        wake = asyncio.Event()
        self._watchers.add(wake)
        unsubscribe = store.subscribe(lambda event: wake.set() if event.resource is watch.resource else None)
        try:
            events = listing.watch_events(store, watch, wake, stopped=lambda: self._stopping)
            async for event in events:
                await response.write(orjson.dumps(event) + b"\n")
            await response.write_eof()
        except ConnectionResetError:
            _log.debug("watch_client_gone", path=call.request.path)
        finally:
            unsubscribe()
            self._watchers.discard(wake)
        return response


def _namespace(call: Call) -> str:
    """The namespace of the store key: none for cluster-wide types."""
    return call.api.namespace if call.api.resource.namespaced else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _json(document: Object, code: int) -> web.Response:
    return web.Response(body=orjson.dumps(document), status=code, content_type="application/json")


async def _read_body(request: web.Request) -> Any:
    try:
        data = await request.read()
    except web.HTTPRequestEntityTooLarge as exc:
        raise too_large(BODY_LIMIT) from exc
    if len(data) > BODY_LIMIT:
        raise too_large(BODY_LIMIT)
    if not data:
        return None
    try:
        if "yaml" in request.content_type:
            return yaml.load(data, Loader=yaml.CSafeLoader)
        return orjson.loads(data)
    except (ValueError, yaml.YAMLError) as exc:
        raise bad_request(f"error decoding the request body: {exc}") from exc


def _delete_options(call: Call) -> Mapping[str, Any]:
    options: dict[str, Any] = dict(call.body) if isinstance(call.body, dict) else {}
    if "gracePeriodSeconds" in call.query:
        options["gracePeriodSeconds"] = int(call.query["gracePeriodSeconds"])
    if "propagationPolicy" in call.query:
        options["propagationPolicy"] = call.query["propagationPolicy"]
    return options
