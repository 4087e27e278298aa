"""What a request may cost, and what of a provider's count is believed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder import analyzers
from responder.analyzer.llm.budget import (
    LEAST_OUTPUT_TOKENS,
    OVERHEAD_TOKENS,
    Charge,
    Limit,
    Prices,
    Room,
    RunLimits,
    Size,
    Spent,
    believable,
    bytes_left,
    charge,
    room,
    worst,
)
from responder.analyzer.llm.loop import limits_of
from responder.domain.investigation import Usage
from responder.settings import Analysis, Claude, Settings

PRICES = Prices(input=3.0, cache_read=0.3, cache_write=3.75, output=15.0)
FREE = Prices(input=0.0, cache_read=0.0, cache_write=0.0, output=0.0)
LIMITS = RunLimits(
    turns=12, tool_calls=40, evidence_bytes=262_144, tokens=600_000, usd=1.0, output_tokens=8192, retry_seconds=60
)
SIZE = Size(new_tokens=8_000, request_bytes=8_000)


def _usage(**counts: Any) -> Usage:
    return Usage(**{"input_tokens": 2_000, "output_tokens": 100, **counts})


@pytest.mark.inv(42)
@pytest.mark.parametrize(
    ("usage", "believed"),
    [
        (_usage(), True),
        (_usage(input_tokens=0, cache_read_tokens=2_000), True),
        (_usage(input_tokens=8_000 + OVERHEAD_TOKENS), True),
        (_usage(input_tokens=8_001 + OVERHEAD_TOKENS), False),
        (_usage(input_tokens=500), True),
        (_usage(input_tokens=499), False),
        (_usage(input_tokens=0), False),
        (_usage(output_tokens=7), True),
        (_usage(output_tokens=6), False),
        (_usage(output_tokens=0), False),
        (_usage(output_tokens=8192), True),
        (_usage(output_tokens=8193), False),
        (_usage(output_tokens=-1), False),
        (_usage(cache_read_tokens=-1), False),
        (_usage(input_tokens=10**15), False),
        (_usage(input_tokens=True), False),
        (_usage(output_tokens=100.0), False),
        (_usage(output_tokens=float("nan")), False),
        (_usage(input_tokens="2000"), False),
        (_usage(cache_write_tokens=None), False),
    ],
)
def test_a_count_is_believed_where_it_can_be(usage: Usage, believed: bool) -> None:
    assert believable(usage, SIZE, output_tokens=8192, reply_bytes=400) is believed


@pytest.mark.inv(42)
@pytest.mark.parametrize("usage", [None, _usage(input_tokens=-5), _usage(output_tokens=10**9)])
def test_what_is_not_believed_is_taken_at_its_most(usage: Usage | None) -> None:
    taken = charge(usage, SIZE, PRICES, output_tokens=8192, reply_bytes=400)
    assert taken == worst(SIZE, PRICES, output_tokens=8192)
    assert taken.usd == pytest.approx((SIZE.tokens * 3.75 + 8192 * 15) / 1e6)


def test_what_is_believed_costs_what_each_kind_of_token_costs() -> None:
    usage = Usage(input_tokens=1_000, cache_read_tokens=1_000, cache_write_tokens=1_000, output_tokens=100)
    taken = charge(usage, SIZE, PRICES, output_tokens=8192, reply_bytes=400)
    assert taken == Charge(usage=usage, usd=pytest.approx(0.00855), believed=True)


def test_what_the_provider_has_counted_is_not_counted_by_bytes_again() -> None:
    later = Size(known_tokens=2_100, new_tokens=500, request_bytes=9_000)
    assert later.tokens == 2_100 + 500


@pytest.mark.inv(42)
@pytest.mark.parametrize(
    ("limits", "spent", "found"),
    [
        ({}, {}, Room(output_tokens=8192, last=False)),
        ({"turns": 1}, {}, Room(output_tokens=8192, last=True)),
        ({}, {"turns": 11}, Room(output_tokens=8192, last=True)),
        ({}, {"turns": 12}, Limit.TURNS),
        ({"tool_calls": 0}, {}, Room(output_tokens=8192, last=True)),
        ({}, {"tool_calls": 40}, Room(output_tokens=8192, last=True)),
        ({}, {"told_bytes": 262_000}, Room(output_tokens=8192, last=True)),
        ({}, {"usage": Usage(input_tokens=590_000)}, Limit.TOKENS),
        ({}, {"usage": Usage(input_tokens=588_000)}, Room(output_tokens=1_952, last=True)),
        ({"usd": 0.0}, {}, Limit.USD),
        ({}, {"usd": 0.99}, Limit.USD),
        ({}, {"usd": 0.93}, Room(output_tokens=2_154, last=True)),
        ({"output_tokens": 256}, {}, Room(output_tokens=256, last=False)),
    ],
)
def test_what_is_left_decides_what_the_next_request_may_be(
    limits: dict[str, Any], spent: dict[str, Any], found: Room | Limit
) -> None:
    assert room(replace(LIMITS, **limits), Spent(**spent), SIZE, PRICES, hurry=False) == found


def test_a_model_without_a_price_needs_no_money() -> None:
    found = room(replace(LIMITS, usd=0.0), Spent(), SIZE, FREE, hurry=False)
    assert found == Room(output_tokens=8192, last=False)


def test_when_time_runs_out_the_next_request_is_the_last() -> None:
    assert room(LIMITS, Spent(), SIZE, PRICES, hurry=True) == Room(output_tokens=8192, last=True)


@pytest.mark.inv(42)
@given(
    usd=st.floats(0, 2),
    tokens=st.integers(1_000, 100_000),
    new_tokens=st.integers(0, 100_000),
    known=st.integers(0, 100_000),
    evidence=st.integers(0, 100_000),
)
def test_no_run_spends_more_than_it_may_and_each_look_leaves_room_for_a_conclusion(
    usd: float, tokens: int, new_tokens: int, known: int, evidence: int
) -> None:
    limits = replace(LIMITS, usd=usd, tokens=tokens, evidence_bytes=evidence)
    size = Size(known_tokens=known, new_tokens=new_tokens, request_bytes=known + new_tokens)
    spent = Spent()
    for _ in range(30):
        found = room(limits, spent, size, PRICES, hurry=False)
        if isinstance(found, Limit):
            assert spent.turns == 0 or found is Limit.TURNS
            return
        spent = replace(spent, turns=spent.turns + 1).charged(worst(size, PRICES, output_tokens=found.output_tokens))
        assert spent.usd <= usd + 1e-9
        assert spent.usage.all_tokens <= tokens
        if found.last:
            return
        known = size.tokens + found.output_tokens
        looked = bytes_left(limits, spent, Size(known_tokens=known, new_tokens=0, request_bytes=known), PRICES)
        spent = replace(spent, told_bytes=spent.told_bytes + looked)
        size = Size(known_tokens=known, new_tokens=looked, request_bytes=known + looked)


def test_a_conclusion_has_the_least_that_it_needs() -> None:
    found = room(LIMITS, Spent(usd=0.94), SIZE, PRICES, hurry=False)
    assert isinstance(found, Room)
    assert found.output_tokens >= LEAST_OUTPUT_TOKENS


@pytest.mark.parametrize("look_bytes", [8_000, 12_000, 16_000])
def test_the_default_limits_let_an_ordinary_run_look_until_its_evidence_is_full(look_bytes: int) -> None:
    """Three looks a turn and 3.3 bytes a token, after 40 kB of question and 30 kB of system prompt and tools."""
    limits = limits_of(Analysis(), output_tokens=Claude().max_output_tokens)
    prices = analyzers.prices(Settings(), "claude")
    question, own, spent, cached = 40_000, 30_000, Spent(), 0
    size = Size(new_tokens=question + own // 2, request_bytes=question + own)
    while not (found := _found(room(limits, spent, size, prices, hurry=False))).last:
        tokens = int(size.request_bytes / 3.3)
        usage = Usage(cache_read_tokens=cached, cache_write_tokens=tokens - cached, output_tokens=1_500)
        spent = spent.charged(Charge(usage=usage, usd=prices.cost(usage), believed=True))
        size = Size(known_tokens=usage.all_tokens, new_tokens=0, request_bytes=size.request_bytes + 5_000)
        told = min(3 * look_bytes, bytes_left(limits, spent, size, prices))
        spent = replace(
            spent, turns=spent.turns + 1, tool_calls=spent.tool_calls + 3, told_bytes=spent.told_bytes + told
        )
        size = replace(size, new_tokens=told, request_bytes=size.request_bytes + told)
        cached = tokens

    assert found.output_tokens == limits.output_tokens
    assert spent.turns >= 10 or spent.told_bytes > 0.9 * limits.evidence_bytes


def _found(told: Room | Limit) -> Room:
    assert isinstance(told, Room)
    return told
