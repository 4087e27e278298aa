"""Which watches there are, and what may be concluded from them.

A watch that is not complete and up to date says nothing. How a watch comes to be live is left to the reflector, what is
told of a gap to `blindness`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from responder.cluster.watch import Reflector, WatchState, WatchStatus
from responder.detector.kinds import OPTIONAL_KINDS
from responder.domain.refs import ObjectRef
from responder.domain.views import WatchView
from responder.redact import redact
from responder.telemetry import Metrics

_JUDGED_WITH: Mapping[str, tuple[str, ...]] = {
    "Service": ("EndpointSlice",),
    "Node": ("Pod",),
    "Deployment": ("PodDisruptionBudget",),
    "StatefulSet": ("PodDisruptionBudget",),
}
"""Kinds of objects that are judged by the absence of others, and the kinds of these."""

_SILENT_WITHOUT_OTHERS = frozenset({"Service"})
"""Of these, the kinds that show next to nothing without the others. A Node's own word counts all the same."""


class Coverage:
    """The watches by kind and namespace; the namespace is empty where one watch covers all, or the kind has none."""

    def __init__(self, *, needs_namespace_labels: bool) -> None:
        self._needs_namespace_labels = needs_namespace_labels
        self._reflectors: dict[tuple[str, str], Reflector] = {}

    def add(self, kind: str, namespace: str, reflector: Reflector) -> None:
        self._reflectors[kind, namespace] = reflector

    def reflectors(self) -> Iterator[tuple[str, str, Reflector]]:
        """Kind, namespace and reflector of each watch, in the order in which they were added."""
        return ((kind, namespace, reflector) for (kind, namespace), reflector in self._reflectors.items())

    def all_listed(self) -> bool:
        """What may not be watched is not waited for: its alerts are held, as those of any watch that is not live."""
        return all(
            status.synced_once
            or status.state is WatchState.FORBIDDEN
            or (status.kind in OPTIONAL_KINDS and status.failures > 0)
            for status in self._statuses()
        )

    def complete(self, source: ObjectRef) -> bool:
        """Whether the watches that could contradict a judgement about `source` are complete and up to date."""
        return all(self._speaks(kind, source.namespace) for kind in _JUDGED_WITH.get(source.kind, ()))

    def is_live(self, source: ObjectRef) -> bool:
        """Whether the silence of `source` counts. True where nobody watches it any more: that has to end too."""
        if self._needs_namespace_labels and source.namespace and not self._speaks("Namespace", ""):
            return False
        if source.kind in _SILENT_WITHOUT_OTHERS and not self.complete(source):
            return False
        reflector = self._reflectors.get((source.kind, source.namespace), self._reflectors.get((source.kind, "")))
        return reflector is None or _is_current(reflector.status)

    def gaps(self) -> Iterator[WatchStatus]:
        """The watches that ought to be live and are not."""
        for status in self._statuses():
            if not _is_current(status) and status.kind not in OPTIONAL_KINDS:
                yield status

    def views(self, at: float) -> tuple[WatchView, ...]:
        """The watches as the API shows them. `at` is monotonic."""
        return tuple(
            WatchView(
                kind=status.kind,
                namespace=status.namespace,
                state=status.state.value,
                optional=status.kind in OPTIONAL_KINDS,
                problem=redact(status.problem),
                objects=status.objects,
                relists=status.relists,
                last_event_seconds=None if status.last_event is None else at - status.last_event,
            )
            for status in self._statuses()
        )

    def measure(self, metrics: Metrics, at: float) -> None:
        """Set the gauges of each kind. `at` is monotonic."""
        by_kind: dict[str, list[WatchStatus]] = {}
        for status in self._statuses():
            by_kind.setdefault(status.kind, []).append(status)
        for kind, statuses in by_kind.items():
            labels = {"kind": kind}
            metrics.watch_live.labels(**labels).set(sum(_is_current(status) for status in statuses))
            metrics.watches.labels(**labels).set(len(statuses))
            metrics.watch_objects.labels(**labels).set(sum(status.objects for status in statuses))
            metrics.watch_relists.labels(**labels).set(sum(status.relists for status in statuses))
            metrics.watch_failures.labels(**labels).set(sum(status.failures for status in statuses))
            metrics.watch_undelivered.labels(**labels).set(sum(status.undelivered for status in statuses))
            ages = [at - status.last_event for status in statuses if status.last_event is not None]
            metrics.watch_last_event_age.labels(**labels).set(min(ages) if ages else float("nan"))

    def _statuses(self) -> tuple[WatchStatus, ...]:
        return tuple(reflector.status for reflector in self._reflectors.values())

    def _speaks(self, kind: str, namespace: str) -> bool:
        reflectors = [
            reflector
            for (watched, where), reflector in self._reflectors.items()
            if watched == kind and (where in ("", namespace) or not namespace)
        ]
        return bool(reflectors) and all(_is_current(reflector.status) for reflector in reflectors)


def _is_current(status: WatchStatus) -> bool:
    return status.synced_once and status.state is WatchState.LIVE
