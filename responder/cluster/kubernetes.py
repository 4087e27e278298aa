"""`Cluster` on a Kubernetes API server, with raw JSON trimmed to frozen values. HTTP itself is `client`'s work."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from datetime import datetime
from urllib.parse import urlsplit

from responder.cluster.certificate import certificate_ends
from responder.cluster.changes import eviction_body, patch_body, write_parameters
from responder.cluster.client import JSON_PATCH, Client
from responder.cluster.errors import Call, from_answer
from responder.cluster.logtail import LogWindow
from responder.cluster.owners import live_object
from responder.cluster.protocol import ListPage, LogTail, WatchEvent, WatchEventType
from responder.cluster.resources import collection_path, object_path, resource_of
from responder.cluster.watchstream import decoded_event, lines
from responder.domain.action import Permission
from responder.domain.errors import ClusterUnavailable, ObjectGone, PlanStale, VersionExpired
from responder.domain.manifest import Json, LiveObject, flag, items, text
from responder.domain.plan import Change, Verb
from responder.domain.refs import ObjectRef

PAGE = 500  # objects per page of a list; a page of pods is about 3 MB
WATCH_GRACE = 30.0  # seconds beyond a watch's own length after which its silence means that nobody is there
SILENCE_SECONDS = 90.0  # the same within its length: bookmarks come every minute
BURST = 50  # events after which others get the loop: about 5 ms of work
LOG_SECONDS = 10.0  # a log that takes longer is cut where it is
LOG_SURPLUS = 4 * 1024 * 1024  # bytes that may be read, beyond those asked for, to get to the end of a log
ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class KubernetesCluster:
    """Implements `responder.cluster.protocol.Cluster`. Owns the client."""

    def __init__(self, client: Client, *, watch_grace: float = WATCH_GRACE) -> None:
        self._client = client
        self._watch_grace = watch_grace

    async def get(self, ref: ObjectRef) -> LiveObject:
        return _identified(ref, await self._client.read(object_path(ref), about=f"get {ref}"))

    async def list(
        self, kind: str, namespace: str, *, label_selector: str = "", field_selector: str = ""
    ) -> tuple[LiveObject, ...]:
        wanted = {"labelSelector": label_selector, "fieldSelector": field_selector}
        selectors = {key: value for key, value in wanted.items() if value}
        try:
            return await self._all_pages(kind, namespace, selectors)
        except VersionExpired:
            # The server has forgotten the version the list began at: begin once more, and only once.
            try:
                return await self._all_pages(kind, namespace, selectors)
            except VersionExpired as exc:
                about = _about("list", kind, namespace)
                raise ClusterUnavailable(f"{about}: the list expired twice before its last page") from exc

    def pages(self, kind: str, namespace: str) -> AsyncIterator[ListPage]:
        return self._pages(kind, namespace, {})

    async def watch(
        self, kind: str, namespace: str, *, version: str, seconds: float
    ) -> AsyncGenerator[WatchEvent, None]:
        path, about = collection_path(kind, namespace), _about("watch", kind, namespace)
        parameters = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(math.ceil(seconds)),
        }
        idle = min(seconds + self._watch_grace, SILENCE_SECONDS)
        async with self._client.stream(path, parameters, about=about, idle=idle) as response:
            yield WatchEvent(type=WatchEventType.OPENED, object={})
            count = 0
            async with aclosing(lines(response.content.iter_any(), about=about)) as received:
                async for line in received:
                    if (event := decoded_event(line, about=about)) is not None:
                        yield event
                    count += 1
                    if count % BURST == 0:
                        await asyncio.sleep(0)

    async def logs(
        self, pod: ObjectRef, container: str, *, previous: bool, tail_lines: int, limit_bytes: int
    ) -> LogTail:
        about = f"log of {container} in {pod}"
        allowance = limit_bytes + LOG_SURPLUS
        parameters = {
            "container": container,
            "previous": "true" if previous else "false",
            "limitBytes": str(allowance),
        }
        while True:
            window = LogWindow(keep=limit_bytes, allowance=allowance)
            await self._read_log(f"{object_path(pod)}/log", {**parameters, "tailLines": str(tail_lines)}, about, window)
            # The server counts its limit from the start of the tail, so a full answer lacks the end: ask for fewer
            # lines until the end is in it.
            if not window.full or tail_lines <= 1:
                return window.tail()
            tail_lines = max(1, tail_lines // 8)

    async def apply(
        self, change: Change, *, execution_id: str, dry_run: bool, before_write: Callable[[], None] | None = None
    ) -> LiveObject:
        target = change.target
        live = await self._at_version(change, dry_run=dry_run)
        gate = None if dry_run else before_write
        about = f"{'dry run of ' if dry_run else ''}{change.verb} {target}"
        parameters = write_parameters(dry_run=dry_run)
        match change.verb:
            case Verb.PATCH:
                body = patch_body(change, live, execution_id=execution_id)
                answer = await self._client.write(
                    "PATCH",
                    object_path(target),
                    parameters,
                    body,
                    about=about,
                    content_type=JSON_PATCH,
                    dry_run=dry_run,
                    before_send=gate,
                )
                return live_object(answer, kind=target.kind)
            case Verb.EVICT:
                path, body = f"{object_path(target)}/eviction", eviction_body(change)
                await self._client.write("POST", path, parameters, body, about=about, dry_run=dry_run, before_send=gate)
                return live

    async def permitted(self, namespace: str, permission: Permission) -> bool:
        resource, _, subresource = permission.resource.partition("/")
        for verb in permission.verbs:
            attributes = {
                "namespace": namespace,
                "verb": verb,
                "group": permission.group,
                "resource": resource,
                "subresource": subresource,
            }
            question = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": attributes},
            }
            about = f"whether {verb} {permission.resource} is allowed in {namespace or 'all namespaces'}"
            answer = await self._client.review(ACCESS_REVIEWS, question, about=about)
            if not flag(answer, "status", "allowed"):
                return False
        return True

    async def certificate_ends(self) -> tuple[str, datetime] | None:
        ends = await certificate_ends(self._client.url, self._client.ca_file)
        return None if ends is None else (urlsplit(self._client.url).hostname or "", ends)

    async def close(self) -> None:
        await self._client.close()

    async def _at_version(self, change: Change, *, dry_run: bool) -> LiveObject:
        """The object, of which the change is made. A write is not kept waiting for a server that is busy."""
        target, about = change.target, f"get {change.target}"
        read = self._client.read if dry_run else self._client.read_once
        live = _identified(target, await read(object_path(target), about=about))
        if live.resource_version != change.resource_version:
            raise PlanStale(
                f"{target} is at version {live.resource_version}, the change was made for {change.resource_version}"
            )
        return live

    async def _all_pages(self, kind: str, namespace: str, selectors: Mapping[str, str]) -> tuple[LiveObject, ...]:
        pages = self._pages(kind, namespace, selectors)
        return tuple([live_object(body, kind=kind) async for page in pages for body in page.objects])

    async def _pages(self, kind: str, namespace: str, selectors: Mapping[str, str]) -> AsyncIterator[ListPage]:
        path, about = collection_path(kind, namespace), _about("list", kind, namespace)
        identity = {"apiVersion": resource_of(kind).api_version, "kind": kind}  # list items carry neither
        position = ""
        while True:
            parameters = {"limit": str(PAGE), **selectors, **({"continue": position} if position else {})}
            page = await self._client.read(path, parameters, about=about)
            yield ListPage(
                version=text(page, "metadata", "resourceVersion"),
                objects=tuple({**identity, **item} for item in items(page, "items")),
            )
            position = text(page, "metadata", "continue")
            del page  # so that only one is held while the next is read
            if not position:
                return

    async def _read_log(self, path: str, parameters: dict[str, str], about: str, window: LogWindow) -> None:
        async with self._client.stream(path, parameters, about=about, idle=LOG_SECONDS, expected=_LOG) as response:
            if response.status == 204:
                raise ObjectGone(f"{about}: the pod has no node yet, so there is no log")
            if response.status == 400:
                # Not started yet, no earlier instance, no such container: said in words only.
                raise ObjectGone(str(from_answer(Call.READ, 400, await response.read(), about=about)))
            try:
                async with asyncio.timeout(LOG_SECONDS):
                    await window.fill(response.content)
            except TimeoutError:
                if not window.received:
                    raise
                window.interrupted = True


def _identified(ref: ObjectRef, body: Json) -> LiveObject:
    live = live_object(body, kind=ref.kind)
    if ref.uid and live.ref.uid != ref.uid:
        raise ObjectGone(f"{ref} has the uid {live.ref.uid} now, not {ref.uid}: another object under the same name")
    return live


def _about(verb: str, kind: str, namespace: str) -> str:
    return f"{verb} {kind} in {namespace}" if namespace else f"{verb} {kind}"


_LOG = frozenset({200, 204, 400})
