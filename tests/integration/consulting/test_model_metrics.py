"""What models are asked, cost and look at, as an operator reads it from `/metrics`."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from responder.sandbox.providers.script import Call, Turn, requests, turns

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROTOCOLS = ("claude", "openai_compatible")


class Exposed:
    """The metrics of one responder, in the text format and back."""

    def __init__(self, clopus: Any) -> None:
        text = generate_latest(clopus.responder._metrics.registry).decode()
        self._samples = [
            sample
            for family in text_string_to_metric_families(text)
            if family.name.startswith("clopus_model_")
            for sample in family.samples
        ]

    def value(self, name: str, **labels: str) -> float:
        (found,) = [s.value for s in self._samples if s.name == f"clopus_model_{name}" and s.labels == labels]
        return found

    @property
    def analyzers(self) -> set[str]:
        return {sample.labels["analyzer"] for sample in self._samples if "analyzer" in sample.labels}


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_requests_tokens_costs_and_looks_are_counted(
    house: Any, provider: Any, rule: Any, ailing: str, conclusion: Any, protocol: str
) -> None:
    looks = Turn(calls=(Call(name="quota", arguments={}), Call(name="no_such_tool", arguments={})))
    model = await provider(protocol, turns(looks, conclusion()))
    clopus = await house(rule(protocol), **{protocol: model})
    await clopus.ended(await clopus.alert(ailing, "silent"))
    seen = Exposed(clopus)
    counted = model.accounting.total
    assert seen.value("requests_total", analyzer=protocol, outcome="answered") == 2
    assert seen.value("request_seconds_count", analyzer=protocol) == 2
    assert {
        kind: seen.value("tokens_total", analyzer=protocol, kind=kind)
        for kind in ("input", "cache_read", "cache_write", "output")
    } == {
        "input": counted.input,
        "cache_read": counted.cache_read,
        "cache_write": counted.cache_write,
        "output": counted.output,
    }
    ((cost,),) = await clopus.rows("SELECT sum(cost_usd) FROM model_spending")
    assert seen.value("cost_usd_total", analyzer=protocol) == pytest.approx(cost)
    assert seen.value("tool_calls_total", analyzer=protocol, given="seen") == 1
    assert seen.value("tool_calls_total", analyzer=protocol, given="refused") == 1
    assert seen.value("places_taken") == 0


async def test_a_refusal_is_counted_by_its_reason_before_the_answer(
    house: Any, provider: Any, rule: Any, ailing: str, conclusion: Any
) -> None:
    model = await provider("claude", requests(Turn(status=529, text="busy"), conclusion()))
    clopus = await house(rule("claude"), claude=model)
    await clopus.ended(await clopus.alert(ailing, "silent"))
    seen = Exposed(clopus)
    assert seen.value("requests_total", analyzer="claude", outcome="overloaded") == 1
    assert seen.value("requests_total", analyzer="claude", outcome="answered") == 1
    assert seen.value("breaker_open", analyzer="claude") == 0


async def test_a_key_that_is_refused_shows_as_an_open_breaker(
    house: Any, provider: Any, rule: Any, ailing: str
) -> None:
    model = await provider("claude", turns(Turn(status=401, text="no")))
    clopus = await house(rule("claude"), claude=model)
    await clopus.ended(await clopus.alert(ailing, "silent"))
    assert Exposed(clopus).value("breaker_open", analyzer="claude") == 1


async def test_limits_show_from_the_start_and_what_was_spent_against_them(
    house: Any, provider: Any, rule: Any, ailing: str, conclusion: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("responder.app._MEASURE_SECONDS", 0.05)
    model = await provider("claude", turns(conclusion()))
    clopus = await house(rule("claude"), claude=model, analysis={"max_usd_per_hour": 7.5})
    assert Exposed(clopus).value("limit_usd", window="hour") == 7.5
    assert Exposed(clopus).value("spent_usd", window="day") == 0
    await clopus.ended(await clopus.alert(ailing, "silent"))
    ((cost,),) = await clopus.rows("SELECT sum(cost_usd) FROM model_spending")
    await until(
        lambda: [Exposed(clopus).value("spent_usd", window=window) for window in ("hour", "day")] == [cost, cost],
        "what was spent does not show",
    )


async def test_an_analyzer_without_a_model_has_no_series(house: Any, rule: Any, provider: Any, conclusion: Any) -> None:
    without = await house(rule("heuristic"))
    assert Exposed(without).analyzers == set()
    model = await provider("claude", turns(conclusion()))
    assert Exposed(await house(rule("claude"), claude=model)).analyzers == {"claude"}
