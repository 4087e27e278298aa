"""What every tool looks with: the sources, the scope, and the only way from what was read to what may be told.

A tool gets bodies from `clean` alone, so that nothing is written down before it was redacted. What could not be read is
`Unseen`: an error in words, never an empty answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from responder.analyzer.apart import apart
from responder.analyzer.tools.scope import Scope
from responder.analyzer.tools.showing import trimmed
from responder.cluster.protocol import Cluster
from responder.cluster.resources import resource_of
from responder.datasource.protocol import Datasource
from responder.domain.errors import (
    DatasourceUnavailable,
    Forbidden,
    ObjectGone,
    ResponderError,
    StoreUnavailable,
)
from responder.domain.investigation import EvidenceKind
from responder.domain.manifest import LiveObject, Manifest
from responder.domain.refs import ObjectRef
from responder.redact.placeholders import Placeholders
from responder.store.store import Store

T = TypeVar("T")
S = TypeVar("S")


class Unseen(Exception):
    """It could not be looked at. The text says why, and whether that is all that is known."""


class Absent(Unseen):
    """The API server says that there is no such object: that is known, and no error."""

    def __init__(self, ref: ObjectRef) -> None:
        super().__init__(f"{ref.key} does not exist (404)")
        self.ref = ref


@dataclass(frozen=True, kw_only=True)
class ToolOptions:
    max_result_bytes: int = 16_384
    """Told of one look."""
    log_bytes: int = 65_536
    """Read of one log, from its end, before it is searched."""
    seconds: float = 15.0
    """One look."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a tool says, before it is cut."""

    text: str
    kind: EvidenceKind
    source: str
    subject: ObjectRef | None = None
    redacted: bool = False
    """Every text in it went through the redaction where it stood: once more would only take names for secrets."""
    keep_end: bool = False
    """Where it is too long, the end tells most."""
    truncated: bool = False


@dataclass(frozen=True, kw_only=True)
class Look:
    cluster: Cluster
    datasource: Datasource | None
    store: Store | None
    scope: Scope
    secrets: Placeholders
    options: ToolOptions
    now: Callable[[], datetime]

    async def get(self, ref: ObjectRef) -> LiveObject:
        """Raises Absent."""
        try:
            return await self.cluster.get(ref)
        except ObjectGone as exc:
            raise Absent(ref) from exc

    async def list(
        self, kind: str, *, label_selector: str = "", field_selector: str = "", namespace: str = ""
    ) -> tuple[LiveObject, ...]:
        """In the incident's namespace. Raises Unseen where the cluster does not serve the kind."""
        home = namespace or self.scope.home()
        try:
            return await self.cluster.list(kind, home, label_selector=label_selector, field_selector=field_selector)
        except ObjectGone as exc:
            resource = resource_of(kind)
            served = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
            raise Unseen(f"not known: this cluster does not serve {served} (404)") from exc

    async def attempt(self, what: str, read: Awaitable[T], otherwise: S) -> tuple[T | S, str]:
        """For a part of an answer: what was read, or `otherwise` and a line that says why not."""
        try:
            return await read, ""
        except (Unseen, ResponderError) as exc:
            return otherwise, f"{what}: {reason(exc)}"

    async def clean(self, bodies: Sequence[Manifest]) -> tuple[Manifest, ...]:
        """The bodies without bookkeeping and without secrets. Raises Unseen where that fails."""
        redact_object = self.secrets.redact_object
        return await self.redacting(lambda: tuple(redact_object(trimmed(body)) for body in bodies))

    async def text(self, text: str) -> str:
        """The text without secrets. Raises Unseen where that fails."""
        return await self.redacting(lambda: self.secrets.redact(text))

    async def redacting(self, work: Callable[[], T]) -> T:
        """A megabyte takes its time, so it is done off the event loop."""
        try:
            return await apart(work)
        except Exception as exc:  # whatever goes wrong here, what was read must not go out
            raise Unseen(f"not told: what was read could not be redacted ({type(exc).__name__})") from exc


def reason(exc: Unseen | ResponderError) -> str:
    """Why something is not known, for who asked."""
    match exc:
        case Unseen():
            return str(exc)
        case Forbidden():
            return f"not known: Clopus may not read it ({exc})"
        case ObjectGone() | DatasourceUnavailable() | StoreUnavailable():
            return f"not known: {exc}"
        case _:
            return f"not known: the cluster gave no answer ({exc})"
