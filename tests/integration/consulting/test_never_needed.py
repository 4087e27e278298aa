"""Whatever becomes of a language model, the detectors' answer stands within the rule's deadline."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from responder.domain.incident import Outcome, State
from responder.domain.investigation import Conclusion
from responder.sandbox.providers.script import Script, Turn, turns

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.inv(41, 42)]

DEADLINE = 3.0
SLACK_SECONDS = 4.0
"""For what surrounds a run on a busy machine: the webhook, the look, commits, polling."""
PROTOCOLS = ("claude", "openai_compatible")
FAULTS: Mapping[str, Script] = {
    "401": turns(Turn(status=401, text="invalid key")),
    "429 with retry-after 3600": turns(Turn(status=429, text="slow down", headers={"retry-after": "3600"})),
    "529 for ever": turns(Turn(status=529, text="overloaded")),
    "500 for ever": turns(Turn(status=500, text="broken")),
    "a stall of nine minutes": turns(Turn(delay_seconds=540.0)),
    "a stream that stalls": turns(Turn(text="well, " * 50, stall_after_events=3)),
    "cut for ever": turns(Turn(text="well, " * 50, cut_after_events=3)),
    "garbage": turns(Turn(raw_body=b"\x00\xff<html>" * 100)),
    "text for ever": turns(Turn(text="All is well; nothing to do.")),
    "nothing at all": turns(Turn()),
}
NO_BUDGET: Mapping[str, tuple[Mapping[str, float], str]] = {
    "run": ({"max_usd": 0.0}, "no further request fits under"),
    "hour": ({"max_usd_per_hour": 0.0}, "analysis.max_usd_per_hour"),
    "day": ({"max_usd_per_day": 0.0}, "analysis.max_usd_per_day"),
    "namespace": ({"max_usd_per_namespace_day": 0.0}, "analysis.max_usd_per_namespace_day"),
    "tokens": ({"max_tokens_per_day": 1000}, "analysis.max_tokens_per_day"),
}


@pytest.fixture
def nobody() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    return f"http://127.0.0.1:{port}"


async def decided(clopus: Any, namespace: str) -> tuple[Any, str]:
    """The incident about `typo` once the detectors' answer stands, in time, and why the model's does not."""
    began = time.monotonic()
    detail = await clopus.ended(await clopus.alert(namespace, "typo"))
    assert time.monotonic() - began < DEADLINE + SLACK_SECONDS
    assert (detail.incident.state, detail.incident.outcome) == (State.ESCALATED, Outcome.REPORTED)
    assert detail.incident.summary.startswith(detail.investigations[0].summary)
    ((one),) = detail.decisions[-1].consulted
    assert not one.answered
    return detail, one.why


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_faulty_provider_takes_nothing_away(
    house: Any, provider: Any, rule: Any, ailing: str, protocol: str, fault: str
) -> None:
    model = await provider(protocol, FAULTS[fault])
    clopus = await house(rule(protocol, deadline=DEADLINE), **{protocol: model})
    detail, why = await decided(clopus, ailing)
    assert why
    run = detail.investigations[-1]
    assert (run.analyzer, run.conclusion) == (protocol, Conclusion.NO_ANSWER)
    assert run.ended_at is not None
    assert run.summary == why


async def test_a_call_that_is_cut_in_the_middle_for_ever_takes_nothing_away(
    house: Any, provider: Any, rule: Any, ailing: str, conclusion: Any
) -> None:
    model = await provider("claude", turns(replace(conclusion(), cut_after_events=4)))
    clopus = await house(rule("claude", deadline=DEADLINE), claude=model)
    await decided(clopus, ailing)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_provider_that_nobody_runs_takes_nothing_away(
    house: Any, rule: Any, ailing: str, nobody: str, protocol: str
) -> None:
    clopus = await house(rule(protocol, deadline=DEADLINE), **{protocol: nobody})
    _, why = await decided(clopus, ailing)
    assert "did not answer" in why or "did not conclude" in why


@pytest.mark.parametrize("limit", NO_BUDGET)
async def test_without_budget_nothing_is_sent(
    house: Any, provider: Any, rule: Any, ailing: str, conclusion: Any, limit: str
) -> None:
    settings, told = NO_BUDGET[limit]
    model = await provider("claude", turns(conclusion()))
    clopus = await house(rule("claude", deadline=DEADLINE), claude=model, analysis=settings)
    _, why = await decided(clopus, ailing)
    assert told in why
    assert model.requests == []


@pytest.mark.parametrize("text", ["", "two\nlines"])
async def test_a_key_file_without_a_key_takes_nothing_away(
    house: Any, provider: Any, rule: Any, ailing: str, tmp_path: Any, conclusion: Any, text: str
) -> None:
    model = await provider("claude", turns(conclusion()))
    key = tmp_path / "key"
    key.write_text("a-key-for-the-start")
    section = {"model": "stand-in", "base_url": model.url, "api_key_file": str(key)}
    clopus = await house(rule("claude", deadline=DEADLINE), claude=section)
    key.write_text(text)
    _, why = await decided(clopus, ailing)
    assert str(key) in why or "key" in why
    assert model.requests == []


async def test_while_the_breaker_is_open_the_next_incident_asks_nobody(
    house: Any, provider: Any, rule: Any, ailing: str
) -> None:
    model = await provider("claude", turns(Turn(status=401, text="invalid key")))
    clopus = await house(rule("claude", deadline=DEADLINE), claude=model)
    await decided(clopus, ailing)
    asked = len(model.requests)
    detail = await clopus.ended(await clopus.alert(ailing, "silent"))
    assert len(model.requests) == asked == 1
    ((one),) = detail.decisions[-1].consulted
    assert "refused too often (unauthorized)" in one.why


async def test_an_alert_waits_for_no_place(house: Any, provider: Any, rule: Any, shop: Any, until: Any) -> None:
    """One model, stalled, with the one place there is: what needs no model is decided meanwhile, what waits for a
    place is decided in time too."""
    namespace = await shop.deploy("healthy", "typo", "silent", mute=_silent(4))
    model = await provider("claude", turns(Turn(delay_seconds=540.0)))
    clopus = await house(rule("heuristic", "claude", deadline=8), claude=model, analysis={"concurrent": 1})
    stalled = await clopus.alert(namespace, "silent")
    await until(lambda: model.requests, "the model is not asked")
    began = time.monotonic()
    waiting = await clopus.alert(namespace, "mute")
    await clopus.ended(await clopus.alert(namespace, "typo"))
    assert time.monotonic() - began < SLACK_SECONDS
    assert (await clopus.find(stalled)).state is State.INVESTIGATING
    detail = await clopus.ended(waiting)
    assert time.monotonic() - began < 8 + SLACK_SECONDS
    assert not detail.decisions[-1].consulted[0].answered
    assert (await clopus.ended(stalled)).incident.outcome is Outcome.UNFIXABLE


def _silent(code: int) -> str:
    return f"image: 'busybox:1.36', command: [sh, -c, 'exit {code}']"


@pytest.mark.parametrize("fault", ["401", "529 for ever", "a stall of nine minutes", "garbage"])
async def test_a_fix_that_the_detectors_know_is_made_even_so(
    house: Any, provider: Any, rule: Any, shop: Any, fault: str
) -> None:
    namespace = await shop.deploy("healthy", "typo")
    model = await provider("claude", FAULTS[fault])
    clopus = await house(rule("claude", mode="autonomous", deadline=2), claude=model)
    detail = await clopus.ended(await clopus.alert(namespace, "typo"))
    assert (detail.incident.state, detail.incident.outcome) == (State.RESOLVED, Outcome.FIXED)
    assert shop.image(namespace, "typo") == "nginx:1.27"
    assert len(shop.writes(namespace)) == 1


async def test_a_responder_stops_in_time_while_a_model_stalls(
    house: Any, provider: Any, rule: Any, ailing: str, until: Any
) -> None:
    model = await provider("claude", turns(Turn(delay_seconds=540.0)))
    clopus = await house(rule("claude", deadline=300), claude=model)
    await clopus.alert(ailing, "typo")
    await until(lambda: model.requests, "the model is not asked")
    async with asyncio.timeout(10):
        await clopus.stop()


async def test_a_dead_model_is_not_asked_again_because_an_alert_joined_meanwhile(
    house: Any, provider: Any, rule: Any, ailing: str, until: Any
) -> None:
    """Else alerts that keep joining would keep the incident undecided for as long as they come."""
    model = await provider("claude", turns(Turn(delay_seconds=540.0)))
    clopus = await house(rule("claude", deadline=DEADLINE), claude=model)
    began = time.monotonic()
    key = await clopus.alert(ailing, "typo")
    await until(lambda: model.requests, "the model is not asked")
    await clopus.alert(ailing, "typo", name="KubeDeploymentReplicasMismatch")
    detail = await clopus.ended(key)
    assert time.monotonic() - began < DEADLINE + SLACK_SECONDS
    assert len(model.requests) == 1
    assert [(c.analyzer, c.answered) for c in detail.decisions[-1].consulted] == [("claude", False)]
