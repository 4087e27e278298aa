"""`GET /api/v1/changes`, and the changes in an incident's detail."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest

from responder.domain.incident import Incident
from responder.domain.refs import ObjectRef
from responder.domain.versions import ObjectVersion, VersionEvent
from responder.domain.views import ChangePage, IncidentDetail
from responder.store import incidents, versions
from responder.wire import loads

WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u-1")
CONFIG = ObjectRef(kind="ConfigMap", namespace="shop", name="app", uid="u-2")
OTHER = ObjectRef(kind="ConfigMap", namespace="shop", name="other", uid="u-3")
NODE = ObjectRef(kind="Node", name="n1", uid="u-4")


def new(ref: ObjectRef, event: VersionEvent, value: str, at: Any) -> versions.NewVersion:
    version = ObjectVersion(seq=0, ref=ref, event=event, seen_at=at, manager="kubectl-edit")
    return versions.NewVersion(version=version, digest="d", body=orjson.dumps({"spec": {"image": value}}))


@pytest.fixture
async def recorded(api: Any) -> Any:
    """web changed 3 h ago, app 20 min ago, other 10 min ago, n1 5 min ago; an incident that weighed the one of app."""
    now = api.services.now()
    incident = Incident(
        id="inc-000000000001", key=WEB.key, root=WEB, namespace="shop", opened_at=now, updated_at=now
    )  # fmt: skip

    def job(con: Any) -> None:
        incidents.insert(con, incident)
        for number, (ref, minutes) in enumerate(((WEB, 180), (CONFIG, 20), (OTHER, 10), (NODE, 5))):
            at = now - timedelta(minutes=minutes)
            versions.append(con, [new(ref, VersionEvent.SEEN, "a", at - timedelta(days=30 - number))])
            versions.append(con, [new(ref, VersionEvent.CHANGED, "b", at)])
        weighed, _ = versions.page(con, name="app")
        versions.link(con, incident.id, weighed)

    await api.services.store.write(job)
    return api


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["n1", "other", "app", "web"]),
        ("?object=Deployment/shop/web", ["web"]),
        ("?object=Node/n1", ["n1"]),
        ("?namespace=shop", ["other", "app", "web"]),
        ("?kind=ConfigMap", ["other", "app"]),
        ("?since=2h", ["n1", "other", "app"]),
        ("?since=15m&namespace=shop", ["other"]),
        ("?since=2026-11-23T11:54:00Z", ["n1"]),
        ("?incident=inc-000000000001", ["app", "web"]),
        ("?incident=inc-000000000001&since=1h", ["app"]),
        ("?incident=inc-000000000001&kind=Deployment", ["web"]),
        ("?object=ConfigMap/shop/none", []),
    ],
)
async def test_changes_are_asked_for_by_what_they_touch(recorded: Any, query: str, names: list[str]) -> None:
    got = await recorded("GET", f"/api/v1/changes{query}", by="vera")
    assert got.status == 200, got.body
    page = loads(ChangePage, got.body)
    assert [version.ref.name for version in page.changes] == names
    assert all(version.differences[0].path == "spec.image" for version in page.changes)


async def test_pages_follow_each_other(recorded: Any) -> None:
    names, cursor = [], ""
    while True:
        got = await recorded("GET", f"/api/v1/changes?limit=2{f'&cursor={cursor}' if cursor else ''}", by="vera")
        page = loads(ChangePage, got.body)
        names += [version.ref.name for version in page.changes]
        cursor = page.next_cursor
        if not cursor:
            break
    assert names == ["n1", "other", "app", "web"]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("object=web", "object"),
        ("object=Secret/shop/web", "object"),
        ("object=Deployment/web", "object"),
        ("object=Deployment/shop/../web", "object"),
        ("object=Deployment/Shop/web", "object"),
        ("kind=Secret", "kind"),
        ("since=yesterday", "since"),
        ("since=2026-11-23T11:54:00", "since"),
        ("since=0001-01-01T00:00:00%2B14:00", "since"),
        ("limit=0", "limit"),
        ("cursor=abc", "cursor"),
        ("objekt=x", "objekt"),
    ],
)
async def test_a_parameter_that_is_wrong_is_named(recorded: Any, query: str, parameter: str) -> None:
    got = await recorded("GET", f"/api/v1/changes?{query}", by="vera")
    assert got.status == 422
    assert list(got.json["errors"]) == [parameter]


async def test_an_unknown_incident_is_not_found(recorded: Any) -> None:
    assert (await recorded("GET", "/api/v1/changes?incident=inc-000000000009", by="vera")).status == 404


async def test_changes_are_for_those_who_may_look(recorded: Any) -> None:
    assert (await recorded("GET", "/api/v1/changes", by="")).status == 401
    assert (await recorded("GET", "/api/v1/changes", by="alertmanager")).status == 403


async def test_the_detail_of_an_incident_holds_its_changes(recorded: Any) -> None:
    got = await recorded("GET", "/api/v1/incidents/inc-000000000001", by="vera")
    detail = loads(IncidentDetail, got.body)
    assert [(version.ref.name, version.manager) for version in detail.changes] == [
        ("app", "kubectl-edit"),
        ("web", "kubectl-edit"),
    ]
