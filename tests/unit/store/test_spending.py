"""Budgets of language models over sliding windows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from responder.domain.errors import IllegalTransition, NotFound
from responder.domain.investigation import Usage
from responder.store import spending
from responder.store.connection import Connection
from responder.store.spending import Caps, Reservation

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
WIDE = Caps(hour_usd=100, day_usd=100, namespace_day_usd=100, day_tokens=10**9)


def wanted(number: int, **fields: Any) -> Reservation:
    base = {"id": f"r{number}", "investigation_id": "inv-1", "analyzer": "claude", "model": "m", "namespace": "shop"}
    return Reservation(**base | {"at": T0, "tokens": 1000, "cost_usd": 1.0} | fields)


@pytest.mark.inv(42)
@pytest.mark.parametrize(
    ("caps", "key"),
    [
        (Caps(hour_usd=1.5, day_usd=9, namespace_day_usd=9, day_tokens=10**6), "analysis.max_usd_per_hour"),
        (Caps(hour_usd=9, day_usd=1.5, namespace_day_usd=9, day_tokens=10**6), "analysis.max_usd_per_day"),
        (Caps(hour_usd=9, day_usd=9, namespace_day_usd=1.5, day_tokens=10**6), "analysis.max_usd_per_namespace_day"),
        (Caps(hour_usd=9, day_usd=9, namespace_day_usd=9, day_tokens=1500), "analysis.max_tokens_per_day"),
    ],
)
def test_a_request_over_a_limit_is_refused_with_the_setting_that_says_so(con: Connection, caps: Caps, key: str) -> None:
    assert spending.reserve(con, wanted(1), caps) == ""
    assert key in spending.reserve(con, wanted(2), caps)
    assert spending.spent(con, T0).day_usd == 1.0


def test_what_reaches_a_limit_exactly_is_admitted(con: Connection) -> None:
    caps = Caps(hour_usd=0.3, day_usd=9, namespace_day_usd=9, day_tokens=10**6)
    assert [spending.reserve(con, wanted(n, cost_usd=0.1), caps) for n in range(3)] == ["", "", ""]
    assert spending.reserve(con, wanted(3, cost_usd=0.1), caps)


def test_a_limit_of_nothing_admits_what_costs_nothing(con: Connection) -> None:
    caps = Caps(hour_usd=0, day_usd=0, namespace_day_usd=0, day_tokens=1000)
    assert spending.reserve(con, wanted(1, cost_usd=0), caps) == ""
    assert spending.reserve(con, wanted(2, cost_usd=0.001, tokens=0), caps)


def test_another_namespace_has_its_own_share(con: Connection) -> None:
    caps = Caps(hour_usd=9, day_usd=9, namespace_day_usd=1, day_tokens=10**6)
    assert spending.reserve(con, wanted(1), caps) == ""
    assert spending.reserve(con, wanted(2), caps)
    assert spending.reserve(con, wanted(3, namespace="bank"), caps) == ""


def test_a_settled_request_counts_at_what_it_used(con: Connection) -> None:
    spending.reserve(con, wanted(1), WIDE)
    usage = Usage(input_tokens=10, cache_read_tokens=20, cache_write_tokens=30, output_tokens=40)
    assert spending.settle(con, "r1", usage=usage, cost_usd=0.25)
    spent = spending.spent(con, T0, "shop")
    assert (spent.hour_usd, spent.day_usd, spent.namespace_day_usd, spent.day_tokens) == (0.25, 0.25, 0.25, 100)


def test_a_request_is_settled_once(con: Connection) -> None:
    spending.reserve(con, wanted(1), WIDE)
    assert spending.settle(con, "r1", usage=Usage(output_tokens=10), cost_usd=0.5)
    assert not spending.settle(con, "r1", usage=Usage(), cost_usd=0.0)
    assert spending.spent(con, T0).day_usd == 0.5


@pytest.mark.inv(42)
def test_what_was_never_settled_counts_at_its_worst_case_for_its_whole_window(con: Connection) -> None:
    spending.reserve(con, wanted(1), WIDE)
    assert spending.spent(con, T0 + timedelta(minutes=59, seconds=59)).hour_usd == 1.0
    assert spending.spent(con, T0 + timedelta(hours=1)).hour_usd == 0.0
    assert spending.spent(con, T0 + timedelta(hours=23, minutes=59)).day_usd == 1.0
    assert spending.spent(con, T0 + timedelta(hours=24)).day_usd == 0.0


@pytest.mark.inv(42)
def test_a_clock_that_is_set_back_frees_nothing(con: Connection) -> None:
    caps = Caps(hour_usd=1, day_usd=9, namespace_day_usd=9, day_tokens=10**6)
    spending.reserve(con, wanted(1), caps)
    assert spending.reserve(con, wanted(2, at=T0 - timedelta(days=3)), caps)


@pytest.mark.parametrize("cost", [float("nan"), float("inf"), -1.0])
def test_a_cost_that_cannot_be_is_refused(con: Connection, cost: float) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        wanted(1, cost_usd=cost)
    spending.reserve(con, wanted(2), WIDE)
    with pytest.raises(ValueError, match="cannot be"):
        spending.settle(con, "r2", usage=Usage(), cost_usd=cost)
    assert spending.spent(con, T0).day_usd == 1.0


def test_negative_tokens_leave_the_worst_case_in_force(con: Connection) -> None:
    spending.reserve(con, wanted(1), WIDE)
    with pytest.raises(ValueError, match="cannot be"):
        spending.settle(con, "r1", usage=Usage(cache_read_tokens=-5, output_tokens=5), cost_usd=0)
    assert spending.spent(con, T0).day_tokens == 1000


def test_an_id_is_reserved_once(con: Connection) -> None:
    spending.reserve(con, wanted(1), WIDE)
    with pytest.raises(IllegalTransition):
        spending.reserve(con, wanted(1), WIDE)


def test_settling_what_nobody_reserved_is_an_error(con: Connection) -> None:
    with pytest.raises(NotFound):
        spending.settle(con, "r1", usage=Usage(), cost_usd=0)
