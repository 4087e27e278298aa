"""`Cluster` on a Kubernetes API server, with raw JSON trimmed to frozen values. HTTP itself is `client`'s work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from responder.cluster.changes import eviction_body, patch_body, write_parameters
from responder.cluster.client import JSON_PATCH, Client, decoded
from responder.cluster.errors import Call, from_answer
from responder.cluster.logtail import LogWindow
from responder.cluster.owners import live_object
from responder.cluster.protocol import LogTail
from responder.cluster.resources import collection_path, object_path
from responder.domain.action import Permission
from responder.domain.errors import ClusterUnavailable, ObjectGone, PlanStale
from responder.domain.manifest import Json, LiveObject, flag, items, text
from responder.domain.plan import Change, Verb
from responder.domain.refs import ObjectRef

PAGE = 500  # objects per page of a list; a page of pods is about 3 MB
LOG_SECONDS = 10.0  # a log that takes longer is cut where it is
LOG_SURPLUS = 4 * 1024 * 1024  # bytes that may be read, beyond those asked for, to get to the end of a log
ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class KubernetesCluster:
    """Implements `responder.cluster.protocol.Cluster`. Owns the client."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def get(self, ref: ObjectRef) -> LiveObject:
        return _identified(ref, await self._client.read(object_path(ref), about=f"get {ref}"))

    async def list(
        self, kind: str, namespace: str, *, label_selector: str = "", field_selector: str = ""
    ) -> tuple[LiveObject, ...]:
        wanted = {"labelSelector": label_selector, "fieldSelector": field_selector}
        parameters = {"limit": str(PAGE), **{key: value for key, value in wanted.items() if value}}
        path = collection_path(kind, namespace)
        about = f"list {kind} in {namespace}" if namespace else f"list {kind}"
        try:
            return await self._all_pages(kind, path, parameters, about)
        except _ListExpired:
            # The server has forgotten the version the list began at: begin once more, and only once.
            try:
                return await self._all_pages(kind, path, parameters, about)
            except _ListExpired as exc:
                raise ClusterUnavailable(f"{about}: the list expired twice before its last page") from exc

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

    async def _all_pages(self, kind: str, path: str, parameters: dict[str, str], about: str) -> tuple[LiveObject, ...]:
        return tuple([live async for live in self._pages(kind, path, parameters, about)])

    async def _pages(self, kind: str, path: str, parameters: dict[str, str], about: str) -> AsyncIterator[LiveObject]:
        position = ""
        while True:
            page_parameters = {**parameters, "continue": position} if position else parameters
            answer = await self._client.read_answer("GET", path, page_parameters, about=about)
            if answer.status == 410 and position:
                raise _ListExpired
            page = decoded(Call.READ, answer, about=about)
            for item in items(page, "items"):
                yield live_object(item, kind=kind)
            position = text(page, "metadata", "continue")
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


_LOG = frozenset({200, 204, 400})


class _ListExpired(Exception):
    """410 on a `continue` token."""
