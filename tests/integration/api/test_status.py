"""GET /api/v1/status over a real socket, with the real parts behind it; and while the store fails."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from responder import wire
from responder.analyzer.llm.breaker import REFUSALS_IN_A_ROW, Breaker
from responder.analyzer.llm.turn import Refusal
from responder.analyzer.llm.wallet import Wallet, caps_of
from responder.analyzers import Analyzers, Model
from responder.domain.alert import Alert, AlertSource, AlertStatus, Delivery, QuarantinedAlert
from responder.domain.incident import Incident, Outcome, State
from responder.domain.rule import Budget, Mode, Rate
from responder.domain.views import Status, WatchPage, WatchView
from responder.settings import Settings
from responder.status import Vitals
from responder.store import incidents, spending
from responder.store.spending import Reservation
from responder.store.store import Store
from responder.workqueue import WorkQueue

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
WATCHES = WatchPage(
    enabled=True, watches=(WatchView(kind="Node", namespace="", state="forbidden", problem="nodes is forbidden"),)
)


@dataclass(kw_only=True)
class Ground:
    """A server whose status comes from the real parts."""

    api: Any
    parts: Vitals
    breaker: Breaker

    async def told(self, *, by: str = "vera", **changes: Any) -> Status:
        """`changes` replace parts."""
        self.parts = replace(self.parts, **changes)
        answer = await self.api("GET", "/api/v1/status", by=by)
        assert answer.status == 200, answer.body
        status: Status = wire.loads(Status, answer.body)
        return status

    def set_up_a_model(self) -> None:
        backend = SimpleNamespace(name="claude", model="opus")
        model = Model(analyzer=cast(Any, None), backend=cast(Any, backend), breaker=self.breaker)
        self.parts = replace(self.parts, analyzers=replace(self.parts.analyzers, models=(model,)))


@pytest.fixture
async def ground(serve: Callable[..., Any], store: Store) -> Ground:
    settings = Settings()
    wallet = Wallet(store, caps_of(settings.analysis), now=lambda: NOW, mint=lambda prefix: f"{prefix}-1")
    api = await serve(status=lambda: made.parts.read())
    parts = Vitals(
        store=store,
        queue=WorkQueue(),
        pipeline=api.pipeline,
        analyzers=Analyzers(by_name={}, wallet=wallet),
        watches=lambda: WATCHES,
        not_ready=tuple,
        settings=settings,
        started_at=NOW - timedelta(hours=3),
        now=lambda: NOW,
        monotonic=lambda: 1000.0,
    )
    made = Ground(api=api, parts=parts, breaker=Breaker())
    return made


def incident(number: int, state: State) -> Incident:
    return Incident(
        id=f"inc-{number}",
        key=f"Deployment/shop/web-{number}",
        root=None,
        state=state,
        outcome=Outcome.NONE,
        summary="",
        severity="warning",
        labels={},
        opened_at=NOW,
        updated_at=NOW,
    )


async def test_incidents_are_counted_per_state_and_a_state_without_any_is_0(store: Store, ground: Ground) -> None:
    for number, state in enumerate((State.OPEN, State.OPEN, State.ESCALATED)):
        await store.write(partial(incidents.insert, incident=incident(number, state)))
    states = (await ground.told()).states
    assert (states["open"], states["escalated"], states["resolved"]) == (2, 1, 0)
    assert set(states) == {state.value for state in State}


async def test_pending_and_quarantined_alerts_are_counted_as_they_are_now(store: Store, ground: Ground) -> None:
    alert = Alert(
        fingerprint="f",
        source=AlertSource.ALERTMANAGER,
        status=AlertStatus.FIRING,
        starts_at=NOW,
        ends_at=None,
        labels={"alertname": "A"},
    )
    bad = QuarantinedAlert(reason="no labels", raw="{}")
    await store.ingest(Delivery(alerts=(alert,), quarantined=(bad,), receiver="", group_key=""), NOW)
    told = await ground.told()
    assert (told.pending_alerts, told.quarantined_alerts) == (1, 1)


async def test_the_queue_tells_what_waits_works_and_has_a_timer(ground: Ground) -> None:
    queue = ground.parts.queue
    queue.add("a")
    queue.add("b")
    await queue.get()
    queue.add_after("c", 3600.0)
    told = await ground.told()
    queue.close()
    assert (told.queued, told.working, told.timed) == (1, 1, 1)


async def test_the_store_tells_its_file_with_the_log_and_its_commits(
    store: Store, tmp_path: Path, ground: Ground
) -> None:  # fmt: skip
    await store.write(lambda con: incidents.insert(con, incident(1, State.OPEN)))
    told = (await ground.told()).store
    assert told.path == str(tmp_path / "clopus.db")
    assert told.bytes == sum(path.stat().st_size for path in (tmp_path / "clopus.db", tmp_path / "clopus.db.wal"))
    assert (told.commits, told.waiting, told.problem) == (store.commits, 0, "")


async def test_a_store_that_is_closed_is_no_reason_not_to_answer_and_nothing_unknown_is_called_0(
    store: Store, ground: Ground
) -> None:
    ground.parts.queue.add("a")
    store.close()
    told = await ground.told()
    assert (told.states, told.pending_alerts, told.quarantined_alerts, told.budgets) == ({}, None, None, ())
    assert set(told.unknown) == {"states", "pending_alerts", "quarantined_alerts", "budgets"}
    assert "closed" in told.unknown["states"]
    assert told.queued == 1


async def test_a_store_that_does_not_answer_is_waited_for_only_a_moment(store: Store, ground: Ground) -> None:
    let_go = threading.Event()
    busy = [asyncio.ensure_future(store.read(lambda con: let_go.wait(30))) for _ in range(4)]
    try:
        told = await ground.told(patience_seconds=0.05)
    finally:
        let_go.set()
        await asyncio.gather(*busy)
    assert told.unknown["pending_alerts"] == "the database has not answered for 0.05 s"
    assert told.pending_alerts is None


async def test_without_a_model_no_backend_and_no_money_is_told(ground: Ground) -> None:
    told = await ground.told()
    assert told.backends == ()
    assert [budget.name for budget in told.budgets] == ["writes_cluster_hour"]


async def test_a_backend_tells_its_breaker_and_why_it_refused_last(ground: Ground) -> None:
    ground.set_up_a_model()
    for _ in range(REFUSALS_IN_A_ROW):
        ground.breaker.refused(Refusal.OVERLOADED, 999.0)
    (backend,) = (await ground.told()).backends
    assert (backend.name, backend.model) == ("claude", "opus")
    assert (backend.breaker, backend.problem) == ("open", "overloaded")


async def test_money_and_tokens_are_told_against_their_caps(store: Store, ground: Ground) -> None:
    reserved = Reservation(
        id="rsv-1", investigation_id="inv-1", analyzer="claude", model="opus", namespace="shop",
        at=NOW - timedelta(minutes=5), tokens=1200, cost_usd=0.25,
    )  # fmt: skip
    ground.set_up_a_model()
    caps = caps_of(Settings().analysis)
    await store.write(lambda con: spending.reserve(con, reserved, caps))
    budgets = {budget.name: budget for budget in (await ground.told()).budgets}
    assert (budgets["money_hour"].used, budgets["money_hour"].limit) == (0.25, caps.hour_usd)
    assert (budgets["money_day"].used, budgets["money_day"].unit) == (0.25, "USD")
    assert (budgets["tokens_day"].used, budgets["tokens_day"].limit) == (1200, caps.day_tokens)


@pytest.mark.parametrize(
    ("rate", "an_hour"),
    [(None, 10), (Rate(count=4, seconds=3600), 4), (Rate(count=1, seconds=1800), 2), (Rate(count=99, seconds=60), 10)],
)
async def test_the_limit_of_writes_is_the_one_of_the_strictest_rule_per_hour(
    ground: Ground, rate: Rate | None, an_hour: int
) -> None:
    rule_set = ground.api.pipeline.rule_set
    if rate is not None:
        other = replace(rule_set.rules[0], budget=Budget(per_cluster=rate))
        ground.api.pipeline.rule_set = replace(rule_set, rules=(*rule_set.rules, other))
    (budget,) = (await ground.told()).budgets
    assert (budget.used, budget.limit, budget.unit) == (0, an_hour, "writes")


async def test_mode_readiness_watches_and_leader_are_told(ground: Ground) -> None:
    told = await ground.told(not_ready=lambda: ("stopping",))
    assert told.mode.kill_switch
    assert told.mode.namespaces == {"shop": Mode.DRY_RUN}
    assert told.mode_limit is Mode.AUTONOMOUS
    assert told.not_ready == ("stopping",)
    assert told.watches == WATCHES
    assert told.leader == "this process (no election)"
    assert told.started_at == NOW - timedelta(hours=3)


async def test_streams_are_counted_while_they_are_open(ground: Ground) -> None:
    assert (await ground.told()).streams == 0
    url = f"http://127.0.0.1:{ground.api.port}/api/v1/stream"
    async with ground.api.session.get(url, headers={"Authorization": "Bearer viewer-token-0123456789"}) as stream:
        await stream.content.readline()
        assert (await ground.told()).streams == 1


@pytest.mark.parametrize(("by", "code"), [("", 401), ("alertmanager", 403), ("vera", 404), ("olga", 404)])
async def test_who_may_look_may_see_it_and_a_part_of_a_responder_says_that_it_has_none(
    serve: Callable[..., Any], by: str, code: int
) -> None:
    api = await serve()
    assert (await api("GET", "/api/v1/status", by=by)).status == code
