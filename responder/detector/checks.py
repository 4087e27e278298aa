"""The proactive checks of what no watch shows: how full volumes are, and when the API server's certificate ends.

What could not be asked is left as it was last seen: no answer is not a good one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from responder.cluster.protocol import Cluster
from responder.conditions.model import Condition
from responder.conditions.proactive import (
    VOLUMES_QUERY,
    certificate_of_server,
    volume_conditions,
    volume_sample,
)
from responder.datasource.protocol import Datasource
from responder.domain.errors import ResponderError
from responder.domain.refs import ObjectRef
from responder.telemetry import get_logger

log = get_logger("checks")

PERIOD_SECONDS = 60.0
_VOLUMES = "PersistentVolumeClaim"
_CERTIFICATE = "APIServer"


class OutsideChecks:
    """Asked once a period; remembers what it said, so that it can say when it is over."""

    def __init__(self, *, cluster: Cluster, datasource: Datasource | None, enabled: frozenset[str]) -> None:
        self._cluster = cluster
        self._datasource = datasource
        self._enabled = enabled
        self._volumes: set[ObjectRef] = set()
        self._silent: set[str] = set()

    def answers(self, kind: str) -> bool:
        """Whether what is asked about objects of a kind was answered the last time; yes where nothing is asked."""
        return kind not in self._silent

    async def look(self, now: datetime) -> Mapping[ObjectRef, tuple[Condition, ...]]:
        """What is to be said now, by object; empty for one of which something was said before and nothing is now."""
        found: dict[ObjectRef, tuple[Condition, ...]] = {}
        if "volume_nearly_full" in self._enabled and self._datasource is not None:
            found |= await self._nearly_full(self._datasource, now)
        if "certificate_expiry" in self._enabled:
            found |= await self._certificate(now)
        return found

    async def _nearly_full(self, source: Datasource, now: datetime) -> Mapping[ObjectRef, tuple[Condition, ...]]:
        try:
            samples = await source.instant(VOLUMES_QUERY)
        except ResponderError as exc:
            log.warning("volumes are not checked", problem=str(exc))
            self._silent.add(_VOLUMES)
            return {}
        self._silent.discard(_VOLUMES)
        volumes = [volume_sample(sample.labels, sample.value, sample.at) for sample in samples]
        found = {one.about: (one,) for one in volume_conditions([v for v in volumes if v is not None], now)}
        over = self._volumes - found.keys()
        self._volumes = set(found)
        return {**found, **dict.fromkeys(over, ())}

    async def _certificate(self, now: datetime) -> Mapping[ObjectRef, tuple[Condition, ...]]:
        try:
            shown = await self._cluster.certificate_ends()
        except ResponderError as exc:
            log.warning("the API server's certificate is not checked", problem=str(exc))
            self._silent.add(_CERTIFICATE)
            return {}
        self._silent.discard(_CERTIFICATE)
        if shown is None:
            return {}
        host, ends = shown
        return {ObjectRef(kind="APIServer", name=host): certificate_of_server(ends, host, now)}
