"""The checks of what no watch shows: what they ask, and that no answer ends nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from responder.conditions.proactive import VOLUMES_QUERY
from responder.datasource.protocol import Sample
from responder.detector.checks import OutsideChecks
from responder.domain.errors import ClusterUnavailable, DatasourceUnavailable
from responder.domain.refs import ObjectRef

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
DATA = ObjectRef(kind="PersistentVolumeClaim", namespace="shop", name="data")
LOGS = ObjectRef(kind="PersistentVolumeClaim", namespace="shop", name="logs")
SERVER = ObjectRef(kind="APIServer", name="10.0.0.1")
BOTH = ("volume_nearly_full", "certificate_expiry")


class Metrics:
    """A source of metrics that knows how full each claim of `shop` is."""

    def __init__(self, **used: float) -> None:
        self.used = used
        self.error: Exception | None = None
        self.asked: list[str] = []

    async def instant(self, query: str, at: datetime | None = None) -> tuple[Sample, ...]:
        self.asked.append(query)
        if self.error is not None:
            raise self.error
        return tuple(
            Sample(labels={"namespace": "shop", "persistentvolumeclaim": claim}, value=value, at=NOW)
            for claim, value in self.used.items()
        )


class ApiServer:
    """Of a cluster only its certificate."""

    def __init__(self, days: float | None = None) -> None:
        self.shown = None if days is None else (SERVER.name, NOW + timedelta(days=days))
        self.error: Exception | None = None
        self.asked = 0

    async def certificate_ends(self) -> tuple[str, datetime] | None:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.shown


def checks(metrics: Metrics | None = None, server: ApiServer | None = None, *enabled: str) -> OutsideChecks:
    cluster: Any = server or ApiServer()
    return OutsideChecks(cluster=cluster, datasource=metrics, enabled=frozenset(enabled or BOTH))


async def look(asked: OutsideChecks) -> dict[ObjectRef, list[str]]:
    return {ref: [condition.name for condition in found] for ref, found in (await asked.look(NOW)).items()}


async def test_only_what_is_on_is_asked_for() -> None:
    metrics, server = Metrics(data=0.99), ApiServer(1)
    assert await look(checks(metrics, server, "single_replica")) == {}
    assert (metrics.asked, server.asked) == ([], 0)


async def test_a_volume_that_is_nearly_full_is_told() -> None:
    metrics = Metrics(data=0.97, logs=0.4)
    assert await look(checks(metrics)) == {DATA: ["VolumeNearlyFull"]}
    assert metrics.asked == [VOLUMES_QUERY]


async def test_without_a_source_of_metrics_no_volume_is_checked() -> None:
    assert await look(checks(None)) == {}


async def test_a_volume_that_has_room_again_is_over_and_said_once() -> None:
    metrics = Metrics(data=0.97, logs=0.97)
    asked = checks(metrics)
    await look(asked)
    metrics.used = {"data": 0.5, "logs": 0.97}
    assert await look(asked) == {DATA: [], LOGS: ["VolumeNearlyFull"]}
    assert await look(asked) == {LOGS: ["VolumeNearlyFull"]}


async def test_while_the_metrics_do_not_answer_nothing_is_over() -> None:
    metrics = Metrics(data=0.97)
    asked = checks(metrics)
    await look(asked)
    metrics.error = DatasourceUnavailable("no answer")
    assert await look(asked) == {}
    metrics.error, metrics.used = None, {}
    assert await look(asked) == {DATA: []}


@pytest.mark.parametrize(("days", "expected"), [(300, []), (20, ["CertificateExpiry"]), (-1, ["CertificateExpiry"])])
async def test_the_end_of_the_servers_certificate_is_told_in_time(days: float, expected: list[str]) -> None:
    assert await look(checks(None, ApiServer(days))) == {SERVER: expected}


async def test_a_server_that_shows_no_certificate_has_none_to_end() -> None:
    assert await look(checks(None, ApiServer(None))) == {}


async def test_a_server_that_does_not_answer_ends_nothing() -> None:
    server = ApiServer(20)
    server.error = ClusterUnavailable("no answer")
    metrics = Metrics(data=0.97)
    assert await look(checks(metrics, server)) == {DATA: ["VolumeNearlyFull"]}


@pytest.mark.parametrize(
    ("kind", "error"), [(DATA.kind, DatasourceUnavailable("down")), (SERVER.kind, ClusterUnavailable("down"))]
)
async def test_who_did_not_answer_last_time_ends_nothing(kind: str, error: Exception) -> None:
    metrics, server = Metrics(data=0.97), ApiServer(1)
    asked = checks(metrics, server)
    assert asked.answers(kind)
    metrics.error = server.error = error
    await look(asked)
    assert not asked.answers(kind)
    assert asked.answers("Pod")
    metrics.error = server.error = None
    await look(asked)
    assert asked.answers(kind)
