"""Which analyzers a rule has asked, and what the decision tells of it."""

from __future__ import annotations

from typing import Any

import pytest

from responder.domain.incident import Outcome
from responder.domain.investigation import Conclusion
from responder.domain.views import IncidentDetail
from responder.sandbox.providers.script import Turn, turns

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROTOCOLS = ("claude", "openai_compatible")


def consulted(detail: IncidentDetail) -> list[tuple[str, bool, str]]:
    return [(one.analyzer, one.answered, one.why) for one in detail.decisions[-1].consulted]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_sure_detectors_ask_nobody(
    house: Any, provider: Any, rule: Any, ailing: str, conclusion: Any, protocol: str
) -> None:
    model = await provider(protocol, turns(conclusion()))
    clopus = await house(rule("heuristic", protocol), **{protocol: model})
    detail = await clopus.ended(await clopus.alert(ailing, "typo"))
    assert model.requests == []
    assert [run.analyzer for run in detail.investigations] == ["heuristic"]
    assert consulted(detail) == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_unsure_detectors_have_the_model_asked(
    house: Any, provider: Any, rule: Any, ailing: str, conclusion: Any, protocol: str
) -> None:
    model = await provider(protocol, turns(conclusion()))
    clopus = await house(rule("heuristic", protocol), **{protocol: model})
    detail = await clopus.ended(await clopus.alert(ailing, "silent"))
    assert len(model.requests) == 1
    assert [run.analyzer for run in detail.investigations] == ["heuristic", protocol]
    ((name, answered, why),) = consulted(detail)
    assert (name, answered) == (protocol, True)
    assert why.startswith("the detectors are unsure: crash.unfixable at ")
    assert f"{protocol} says: a flag is wrong" in detail.incident.summary


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("analyzers", [(), ("heuristic",)])
async def test_a_model_named_first_or_alone_is_always_asked(
    house: Any, provider: Any, rule: Any, ailing: str, conclusion: Any, protocol: str, analyzers: tuple[str, ...]
) -> None:
    model = await provider(protocol, turns(conclusion()))
    clopus = await house(rule(protocol, *analyzers), **{protocol: model})
    detail = await clopus.ended(await clopus.alert(ailing, "typo"))
    assert len(model.requests) == 1
    assert consulted(detail) == [(protocol, True, "the rule asks it always")]


async def test_the_second_answers_where_the_first_is_dead(
    house: Any, provider: Any, rule: Any, ailing: str, conclusion: Any
) -> None:
    dead = await provider("claude", turns(Turn(status=500, text="no")))
    model = await provider("openai_compatible", turns(conclusion()))
    clopus = await house(
        rule("claude", "openai_compatible"), claude=dead, openai_compatible=model, analysis={"retry_seconds": 0}
    )
    detail = await clopus.ended(await clopus.alert(ailing, "silent"))
    first, second = consulted(detail)
    assert first[:2] == ("claude", False)
    assert first[2].startswith("claude did not answer: ")
    assert second == ("openai_compatible", True, "the rule asks it always")
    assert [run.analyzer for run in detail.investigations] == ["heuristic", "claude", "openai_compatible"]
    assert detail.investigations[1].conclusion is Conclusion.NO_ANSWER
    assert len(model.requests) == 1


async def test_none_after_the_first_answer_is_asked(
    house: Any, provider: Any, rule: Any, ailing: str, conclusion: Any
) -> None:
    first = await provider("claude", turns(conclusion()))
    second = await provider("openai_compatible", turns(conclusion()))
    clopus = await house(rule("claude", "openai_compatible"), claude=first, openai_compatible=second)
    await clopus.ended(await clopus.alert(ailing, "silent"))
    assert (len(first.requests), len(second.requests)) == (1, 0)


async def test_where_none_is_set_up_the_decision_says_so(house: Any, rule: Any, ailing: str) -> None:
    clopus = await house(rule("heuristic", "claude", "openai_compatible"))
    detail = await clopus.ended(await clopus.alert(ailing, "silent"))
    assert consulted(detail) == [
        (name, False, f"no analyzer {name} is set up here") for name in ("claude", "openai_compatible")
    ]
    assert detail.incident.outcome is Outcome.UNFIXABLE
