"""What Clopus asks of a cluster. Everything above this package knows no HTTP, no patch media type, no status code."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from responder.domain.action import Permission
from responder.domain.manifest import LiveObject, Manifest
from responder.domain.plan import Change
from responder.domain.refs import ObjectRef


@dataclass(frozen=True, kw_only=True)
class LogTail:
    """The end of one container's log, cut to the byte cap."""

    text: str
    truncated: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ListPage:
    """One page of a collection."""

    version: str
    """resourceVersion of the list: a watch goes on from here."""
    objects: tuple[Manifest, ...]
    """As the server sent them, managedFields included; `kind` and `apiVersion` filled in."""


class WatchEventType(StrEnum):
    OPENED = "OPENED"
    """The server has taken the watch. Said first and once, without an object, so that silence can be told from none."""
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


@dataclass(frozen=True, kw_only=True, slots=True)
class WatchEvent:
    type: WatchEventType
    object: Manifest
    """As the server sent it; of a bookmark only the version is filled."""


class Cluster(Protocol):
    """Raises of every method: ClusterUnavailable (nothing is known), Forbidden, ObjectGone (404)."""

    async def get(self, ref: ObjectRef) -> LiveObject:
        """Read one object afresh, never from a cache.

        Raises:
            ObjectGone: it does not exist, or `ref` has a uid and another object lives under the name.
        """

    async def list(
        self, kind: str, namespace: str, *, label_selector: str = "", field_selector: str = ""
    ) -> tuple[LiveObject, ...]:
        """All objects of a kind in a namespace, read in pages. '' for cluster-scoped kinds, and for all namespaces."""

    async def logs(
        self, pod: ObjectRef, container: str, *, previous: bool, tail_lines: int, limit_bytes: int
    ) -> LogTail:
        """The end of a container's log. An empty text means that the log is empty, never that it could not be read.

        Raises:
            ObjectGone: also where the pod is there but no such log: never scheduled, not started, no earlier instance.
        """

    async def apply(
        self, change: Change, *, execution_id: str, dry_run: bool, before_write: Callable[[], None] | None = None
    ) -> LiveObject:
        """Send one change, with strict field validation, as field manager `clopus`, never forced, never retried.

        `before_write` is called when the write is about to go out, never for a dry run; what it raises stops the write.

        The patch is sent byte for byte, with preconditions on uid and resourceVersion, plus the execution annotation.
        Returns the object as the server answered.

        Raises:
            PlanStale: uid or resourceVersion moved, or a `test` operation failed.
            PlanInvalid: validation or admission refused it; the text is the server's.
            FieldConflict: another manager owns a field.
            WriteOutcomeUnknown: sent, and the answer was lost (never raised for a dry run).
        """

    def pages(self, kind: str, namespace: str) -> AsyncIterator[ListPage]:
        """All objects of a kind in pages of 500, at one version. '' for cluster-scoped kinds and for all namespaces.

        Raises:
            VersionExpired: the server forgot the list's version before its last page.
        """

    def watch(self, kind: str, namespace: str, *, version: str, seconds: float) -> AsyncGenerator[WatchEvent, None]:
        """Changes after `version`, for about `seconds`; then it ends, and the caller watches on from the last version.

        It holds a connection: whoever leaves it before its end closes it.

        Raises:
            VersionExpired: the version is too old; list again.
            ClusterUnavailable: also where the connection was cut, or was silent for longer than the server may be.
        """

    async def permitted(self, namespace: str, permission: Permission) -> bool:
        """Whether every verb of the right is granted, asked by SelfSubjectAccessReview."""

    async def certificate_ends(self) -> tuple[str, datetime] | None:
        """Host of the API server and when its certificate ends; None where it shows none."""

    async def close(self) -> None: ...
