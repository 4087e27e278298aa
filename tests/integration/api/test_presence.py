"""Who looks at a plan, over a real socket."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from responder import wire
from responder.domain.action import SetImage
from responder.domain.plan import Plan
from responder.domain.refs import ObjectRef
from responder.domain.rule import Risk
from responder.domain.views import PlanView, Presence
from responder.store import plans

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u-1")
PLAN = Plan(
    id="pln-000000000001",
    incident_id="inc-000000000001",
    investigation_id="inv-000000000001",
    finding="image.not_found",
    action=SetImage(target=WEB, container="web", image="nginx:1.27"),
    reason="a typing error",
    changes=(),
    diff="-nignx\n+nginx",
    risk=Risk.LOW,
    reversible=True,
    digest="d" * 64,
    created_at=NOW,
    expires_at=NOW + timedelta(minutes=15),
)
PATH = f"/api/v1/plans/{PLAN.id}/presence"


@pytest.fixture(autouse=True)
async def _plan(api) -> None:
    await api.services.store.write(lambda con: plans.insert(con, PLAN))


async def look(api, session="session-1", by="olga", **more) -> Presence:
    answer = await api("PUT", PATH, by=by, json={"session": session, **more})
    assert answer.status == 200, answer.body
    return wire.loads(Presence, answer.body)


async def test_whoever_looks_sees_himself_and_the_others(api):
    await look(api, "session-1", by="olga")
    told = await look(api, "session-2", by="vera")
    assert [viewer.name for viewer in told.viewers] == ["olga", "vera"]


async def test_the_plan_tells_who_looks_at_it(api):
    await look(api, deciding=True)
    answer = await api("GET", f"/api/v1/plans/{PLAN.id}", by="vera")
    (viewer,) = wire.loads(PlanView, answer.body).viewers
    assert (viewer.name, viewer.session, viewer.deciding) == ("olga", "session-1", True)


async def test_a_viewer_is_told_that_he_may_not_decide_and_is_never_deciding(api):
    told = await look(api, by="vera", deciding=True)
    assert not told.may_decide
    assert not told.viewers[0].deciding
    assert (await look(api, by="olga")).may_decide


async def test_the_name_is_the_credentials_whatever_the_body_says(api):
    answer = await api("PUT", PATH, by="vera", json={"session": "session-1", "name": "olga"})
    assert answer.status == 422
    assert "name" in answer.json["errors"]


@pytest.mark.parametrize("session", ["", "short", "with space 1", "x" * 65, "esc\x1b[31m-red", "line\nfeed-1"])
async def test_a_session_that_could_be_anything_else_is_refused(api, session):
    answer = await api("PUT", PATH, json={"session": session})
    assert (answer.status, list(answer.json["errors"])) == (422, ["session"])


async def test_a_plan_that_nobody_knows_has_no_viewers(api):
    answer = await api("PUT", "/api/v1/plans/pln-none/presence", json={"session": "session-1"})
    assert answer.status == 404


@pytest.mark.parametrize("by", ["", "alertmanager"])
async def test_it_takes_a_persons_credential(api, by):
    answer = await api("PUT", PATH, by=by, json={"session": "session-1"})
    assert answer.status in (401, 403)


async def test_many_who_look_at_once_ask_the_cluster_once(api, monkeypatch):
    monkeypatch.setattr("responder.api.presence.DRIFT_KEPT_SECONDS", 60.0)
    await asyncio.gather(*(look(api, f"session-{number}", by="vera") for number in range(10)))
    assert api.pipeline.drift_asked == 1
    monkeypatch.setattr("responder.api.presence.DRIFT_KEPT_SECONDS", 0.0)
    await look(api)
    assert api.pipeline.drift_asked == 2


async def test_what_has_drifted_is_told(api):
    api.pipeline.drifted = "Deployment/shop/web changed since it was planned"
    assert (await look(api)).drift == api.pipeline.drifted
