"""What others changed: the versions of an object as a watch saw them, and how each differs from the one before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from responder.domain.refs import ObjectRef


class VersionEvent(StrEnum):
    SEEN = "seen"
    """First sight of an object that was there before the watch: no change."""
    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One field. List items are named by their key: `spec.template.spec.containers[web].image`."""

    path: str
    before: str
    """JSON, redacted and cut; empty where the field was not there."""
    after: str
    """As `before`; empty where the field is gone."""


@dataclass(frozen=True, kw_only=True)
class ObjectVersion:
    """One version of one object, without its body."""

    seq: int
    """Order of recording, from 1."""
    ref: ObjectRef
    event: VersionEvent
    seen_at: datetime
    """UTC; when the watch delivered it."""
    changed_at: datetime | None = None
    """UTC; what managedFields or the deletion timestamp say. None: unknown."""
    manager: str = ""
    """Field manager of the newest write that is no status: `kubectl-edit`, `argocd-controller`, `clopus`."""
    resource_version: str = ""
    generation: int = 0
    while_away: bool = False
    """Nobody watched when it happened: several changes may be in one, and the time is only an upper bound."""
    differences: tuple[Difference, ...] = ()
    more_differences: int = 0
    """How many were left out."""
    restorable: bool = False
    """The body is kept whole: nothing redacted, nothing cut."""
    lost: str = ""
    """Why it is not restorable: `redacted: data.DB_PASSWORD`, `larger than 262144 bytes`."""

    @property
    def at(self) -> datetime:
        """When it happened, as well as that is known."""
        return self.changed_at or self.seen_at


HIDDEN = '"[redacted]"'
"""Stands on both sides of a difference whose values may not be seen."""

_MAX_TOLD = 6
_MAX_VALUE = 160


def told(version: ObjectVersion, *, since: datetime | None = None, relative: str = "the alert") -> str:
    """One sentence: `Deployment/shop/web changed 2 min before the alert by kubectl-edit: <fields>`.

    Not made visible: whoever shows it does that.
    """
    fields = fields_told(version)
    return f"{version.ref} {headline(version, since=since, relative=relative)}{f': {fields}' if fields else ''}"


def headline(version: ObjectVersion, *, since: datetime | None = None, relative: str = "the alert") -> str:
    """`changed 2 min before the alert by kubectl-edit`. Without `since`, without the time."""
    when = f" {apart(version.at, since)} {relative}" if since is not None else ""
    by = f" by {version.manager}" if version.manager else ""
    away = " (while nobody watched)" if version.while_away else ""
    return f"{_DONE[version.event]}{when}{by}{away}"


def fields_told(version: ObjectVersion) -> str:
    """`path: before -> after; ...`, the first few of them."""
    shown = [difference_told(difference) for difference in version.differences[:_MAX_TOLD]]
    more = len(version.differences) - len(shown) + version.more_differences
    return "; ".join([*shown, f"and {more} more"] if more else shown)


def difference_told(difference: Difference) -> str:
    """`path: before -> after`."""
    if difference.before == difference.after:
        return f"{difference.path} (a redacted value)"
    return f"{difference.path}: {_short(difference.before) or '(none)'} -> {_short(difference.after) or '(gone)'}"


def apart(at: datetime, since: datetime) -> str:
    """`2 min before`, `30 s after`."""
    seconds = (since - at).total_seconds()
    side = "before" if seconds >= 0 else "after"
    seconds = abs(seconds)
    for unit, size, least in (("d", 86400, 172800), ("h", 3600, 7200), ("min", 60, 60)):
        if seconds >= least:
            return f"{int(seconds // size)} {unit} {side}"
    return f"{int(seconds)} s {side}"


_DONE = {
    VersionEvent.SEEN: "was there",
    VersionEvent.CREATED: "was created",
    VersionEvent.CHANGED: "changed",
    VersionEvent.DELETED: "was deleted",
}


def _short(value: str) -> str:
    return value if len(value) <= _MAX_VALUE else f"{value[: _MAX_VALUE - 3]}..."
