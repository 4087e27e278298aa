"""Lists, paged at one resource version, and watches that resume from one.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

import asyncio
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from responder.sandbox.failures import ApiFailure, bad_request, expired
from responder.sandbox.objects import EventType, HistoryLost, Object, Store, StoreEvent
from responder.sandbox.resources import Resource
from responder.sandbox.selectors import Predicate, object_predicate

_CONTINUE_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)
BOOKMARK_SECONDS = 10.0
DEFAULT_WATCH_SECONDS = 1800.0


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of a list: its objects and the metadata of the list."""

    items: tuple[Object, ...]
    metadata: Object


def list_page(store: Store, resource: Resource, namespace: str, query: Mapping[str, str]) -> Page:
    """Raises `ApiFailure`: 400 for a bad selector or token, 410 for a token whose version is forgotten."""
    selectors = (query.get("labelSelector", ""), query.get("fieldSelector", ""))
    wanted = object_predicate(resource, *selectors)
    version, after = _position(store, query)
    try:
        objects = _snapshot(store, resource, namespace, version)
    except HistoryLost as exc:
        token = _token(store.version, after)
        raise expired(_CONTINUE_EXPIRED, continue_token=token) from exc
    rest = [(key, obj) for key, obj in objects if key > after and wanted(obj)]
    limit = _limit(query)
    page = rest[:limit] if limit else rest
    metadata: Object = {"resourceVersion": str(version)}
    if len(page) < len(rest):
        metadata["continue"] = _token(version, page[-1][0])
        if not any(selectors):
            metadata["remainingItemCount"] = len(rest) - len(page)
    return Page(items=tuple(obj for _, obj in page), metadata=metadata)


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("limit") or "0"
    if not text.isdigit():
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


def _position(store: Store, query: Mapping[str, str]) -> tuple[int, tuple[str, str]]:
    token = query.get("continue")
    if token:
        try:
            version, namespace, name = orjson.loads(urlsafe_b64decode(token))
        except ValueError as exc:
            raise bad_request("invalid continue token: continue key is not valid: illegal base64 data") from exc
        return (store.version if version < 0 else version), (namespace, name)
    asked = parse_version(query)
    if asked > store.version:
        raise _too_large(asked, store.version)
    exact = query.get("resourceVersionMatch") == "Exact" and asked
    return (asked if exact else store.version), ("", "")


def _token(version: int, after: tuple[str, str]) -> str:
    return urlsafe_b64encode(orjson.dumps([version, *after])).decode()


def parse_version(query: Mapping[str, str]) -> int:
    """The resourceVersion of a request, 0 where there is none. Raises `ApiFailure` 400."""
    text = query.get("resourceVersion") or "0"
    if not text.isdigit():
        prefix = "invalid resource version: resourceVersion: Invalid value"
        raise bad_request(f'{prefix}: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text)


def _too_large(asked: int, current: int) -> ApiFailure:
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    message = f"Timeout: Too large resource version: {asked}, current: {current}"
    return ApiFailure(504, "Timeout", message, details={"causes": [cause], "retryAfterSeconds": 1})


def _snapshot(store: Store, resource: Resource, namespace: str, version: int) -> list[tuple[tuple[str, str], Object]]:
    """The objects as they were at a version: today's, with later changes taken back. Raises `HistoryLost`."""
    objects = {_key(obj): obj for obj in store.list(resource, namespace)}
    for event in reversed(store.since(version)):
        if event.resource is not resource or (namespace and _key(event.obj)[0] != namespace):
            continue
        if event.before is None:
            objects.pop(_key(event.obj), None)
        else:
            objects[_key(event.obj)] = event.before
    return sorted(objects.items(), key=lambda entry: entry[0])


def _key(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


@dataclass(frozen=True, kw_only=True)
class WatchRequest:
    """What one watch wants to see."""

    resource: Resource
    namespace: str
    wanted: Predicate
    version: int
    """0: first the present objects, as ADDED."""
    initial_events: bool
    """`sendInitialEvents`: mark the end of those with a bookmark."""
    bookmarks: bool
    seconds: float


def parse_watch(resource: Resource, namespace: str, query: Mapping[str, str], seconds: float | None) -> WatchRequest:
    """Raises `ApiFailure` 400."""
    return WatchRequest(
        resource=resource,
        namespace=namespace,
        wanted=object_predicate(resource, query.get("labelSelector", ""), query.get("fieldSelector", "")),
        version=parse_version(query),
        initial_events=query.get("sendInitialEvents") in ("1", "true"),
        bookmarks=query.get("allowWatchBookmarks") in ("1", "true"),
        seconds=seconds or DEFAULT_WATCH_SECONDS,
    )


def visible(event: StoreEvent, watch: WatchRequest) -> Object | None:
    """What the watcher sees of a change: an object that leaves the selection looks deleted to it."""
    if event.resource is not watch.resource or watch.namespace not in ("", _key(event.obj)[0]):
        return None
    now = event.type is not EventType.DELETED and watch.wanted(event.obj)
    before = event.before is not None and watch.wanted(event.before)
    match before, now:
        case False, False:
            return None
        case True, False:
            return {"type": "DELETED", "object": _gone(event)}
        case False, True:
            return {"type": "ADDED", "object": event.obj}
        case _:
            return {"type": "MODIFIED", "object": event.obj}


def _gone(event: StoreEvent) -> Object:
    if event.type is EventType.DELETED or event.before is None:
        return event.obj
    return {
        **event.before,
        "metadata": {**event.before["metadata"], "resourceVersion": str(event.version)},
    }


def bookmark(resource: Resource, version: int, *, initial_events_end: bool = False) -> Object:
    metadata: Object = {"resourceVersion": str(version), "creationTimestamp": None}
    if initial_events_end:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    obj = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
    return {"type": "BOOKMARK", "object": obj}


def _initial(store: Store, watch: WatchRequest) -> Iterator[Object]:
    for obj in store.list(watch.resource, watch.namespace):
        if watch.wanted(obj):
            yield {"type": "ADDED", "object": obj}
    if watch.initial_events and watch.bookmarks:
        yield bookmark(watch.resource, store.version, initial_events_end=True)


async def watch_events(
    store: Store, watch: WatchRequest, wake: asyncio.Event, *, stopped: Callable[[], bool]
) -> AsyncIterator[Object]:
    """Events until the time is up, the server stops or the history is lost.

    `wake` is set by whoever changes the store or stops the server.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + watch.seconds
    version = watch.version
    if version == 0 or watch.initial_events:
        version = store.version
        for line in list(_initial(store, watch)):
            yield line
    while True:
        wake.clear()
        try:
            changes = store.since(version)
        except HistoryLost as exc:
            yield {"type": "ERROR", "object": expired(str(exc)).status()}
            return
        version = max(version, store.version)
        for change in changes:
            if (line_or_none := visible(change, watch)) is not None:
                yield line_or_none
        remaining = deadline - loop.time()
        if remaining <= 0 or stopped():
            return
        if not await _woken(wake, min(remaining, BOOKMARK_SECONDS)) and watch.bookmarks:
            yield bookmark(watch.resource, max(version, store.version))


async def _woken(wake: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await wake.wait()
    except TimeoutError:
        return False
    return True


def as_list(resource: Resource, page: Page) -> dict[str, Any]:
    """The list document. Its items do not repeat their kind, as on a real server."""
    items = [{k: v for k, v in obj.items() if k not in ("kind", "apiVersion")} for obj in page.items]
    return {
        "kind": f"{resource.kind}List",
        "apiVersion": resource.api_version,
        "metadata": page.metadata,
        "items": items,
    }


def metadata_only(document: dict[str, Any]) -> dict[str, Any]:
    """A document as `PartialObjectMetadata` or its list."""
    if "items" in document:
        items = [_partial(item) for item in document["items"]]
        shape = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1"}
        return {**shape, "metadata": document["metadata"], "items": items}
    return _partial(document) if "metadata" in document and document.get("kind") != "Status" else document


def _partial(obj: Object) -> Object:
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": obj.get("metadata", {}),
    }
