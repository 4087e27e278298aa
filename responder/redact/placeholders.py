"""One name for one secret: within an incident, the same secret is told by the same placeholder everywhere.

`[redacted:github-token:1]` in a log and in an event is the same token, so a report can say that two pods use the same
one without saying which. What a secret looks like is `walk`'s and `objects`'s. The way back stays in memory, is never
stored, logged or sent, and serves to search a text for a secret that was named by its placeholder.

Anybody who writes a log can write a placeholder into it. One whose number has not been given loses it; one that has
been given passes for the secret it names, and says no more than that the log claims so. What is restored must therefore
not leave the process, not even to where the text came from. After a restart the numbers begin anew.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import NoReturn

from responder.domain.manifest import Manifest
from responder.patterns import Hit, Pattern
from responder.redact.marks import plain
from responder.redact.objects import redacted
from responder.redact.walk import marked

MAX_SECRETS = 1_000
MAX_SECRET = 4_096  # characters of one secret; longer ones get no number
MAX_KEPT = 262_144  # characters of all secrets of an incident
MAX_INCIDENTS = 256

_NUMBERED = Pattern(r"\[redacted:([a-z0-9\-]+):([0-9]+)\]")


class Placeholders:
    """Of one incident. Bounded: after 1,000 secrets further ones are `[redacted:kind]`, without a number.

    Cannot be copied or pickled, and shows no secret of its own accord. May be used from several threads.
    """

    __slots__ = ("_kept", "_lock", "_markers", "_secrets")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._markers: dict[str, str] = {}
        self._secrets: dict[str, str] = {}
        self._kept = 0

    def redact(self, text: str) -> str:
        """The text with each secret replaced by its placeholder. What is redacted already stays as it is."""
        return _NUMBERED.replace(marked(text, self._mark), self._known)

    def redact_object(self, body: Manifest) -> Manifest:
        """A Kubernetes object without the values that its names and forms give away for secrets; Secrets wholly.

        Raises:
            RecursionError: nested too deeply.
        """
        return redacted(body, salt="", mark=self._mark).body

    def restore(self, text: str) -> str:
        """The text with placeholders of this incident turned back. For comparisons inside the process, nothing else."""
        return _NUMBERED.replace(text, lambda hit: self._secrets.get(hit.text, hit.text))

    def _mark(self, kind: str, secret: str) -> str:
        with self._lock:
            marker = self._markers.get(secret)
            return marker if marker is not None else self._new(kind, secret)

    def _new(self, kind: str, secret: str) -> str:
        kept = self._kept + len(secret)
        if len(self._markers) >= MAX_SECRETS or len(secret) > MAX_SECRET or kept > MAX_KEPT:
            return plain(kind, secret)
        marker = f"[redacted:{kind}:{len(self._markers) + 1}]"
        self._markers[secret] = marker
        self._secrets[marker] = secret
        self._kept = kept
        return marker

    def _known(self, hit: Hit) -> str:
        return hit.text if hit.text in self._secrets else plain(hit[1], "")

    def __repr__(self) -> str:
        return f"<{len(self._markers)} placeholders>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("placeholders hold secrets and are neither copied nor pickled")


class PlaceholderBook:
    """The placeholders of the incidents at work; of more than 256, those asked for longest ago are forgotten."""

    __slots__ = ("_by_incident", "_lock")

    def __init__(self) -> None:
        self._by_incident: OrderedDict[str, Placeholders] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, incident_id: str) -> Placeholders:
        with self._lock:
            found = self._by_incident.setdefault(incident_id, Placeholders())
            self._by_incident.move_to_end(incident_id)
            if len(self._by_incident) > MAX_INCIDENTS:
                self._by_incident.popitem(last=False)
            return found

    def __repr__(self) -> str:
        return f"<placeholders of {len(self._by_incident)} incidents>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("placeholders hold secrets and are neither copied nor pickled")
