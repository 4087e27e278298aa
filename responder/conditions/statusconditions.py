"""The `status.conditions` list that most kinds carry, and how a condition's words become part of a sentence.

Format: https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#typical-status-properties
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from responder.conditions.messages import moment, one_line
from responder.domain.manifest import Manifest, dig, items, number, text


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusCondition:
    """One entry of the list. All empty for a type that is not in it."""

    status: str = ""
    """True, False or Unknown."""
    reason: str = ""
    message: str = ""
    since: datetime | None = None
    """When `status` last changed."""

    @property
    def holds(self) -> bool:
        return self.status == "True"

    @property
    def denied(self) -> bool:
        return self.status == "False"

    @property
    def words(self) -> str:
        """The message, or the reason where there is none."""
        return self.message or self.reason


def status_condition(body: Manifest, kind: str) -> StatusCondition:
    """The condition of type `kind`; the first where a writer listed it twice."""
    for entry in items(body, "status", "conditions"):
        if text(entry, "type") == kind:
            return StatusCondition(
                status=text(entry, "status"),
                reason=text(entry, "reason"),
                message=text(entry, "message"),
                since=moment(entry, "lastTransitionTime"),
            )
    return StatusCondition()


def sentence(fact: str, *words: str) -> str:
    """The fact, then the server's own words in one line and within bounds."""
    said = one_line("; ".join(word for word in words if word))
    return f"{fact}: {said}" if said else fact


def is_observed(body: Manifest) -> bool:
    """True where the controller has seen the newest spec: before that, the status speaks of an older one."""
    return number(body, "status", "observedGeneration") >= number(body, "metadata", "generation")


def is_deleted(body: Manifest) -> bool:
    """True once somebody asked for the deletion: what is missing then is meant to go."""
    return dig(body, "metadata", "deletionTimestamp") is not None
