"""What is on record of a model's run, and when; and what never is."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest

from responder.analyzer.kept import unpack
from responder.domain.investigation import StepKind
from responder.sandbox.providers.script import Call, Turn, turns

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROTOCOLS = ("claude", "openai_compatible")
SECRETS = ("ghp_" + "a1B2c3D4e5" * 4, "correct-horse-battery-staple-7", "AKIA" + "Q7RTYPLM2X9ZVB4K")
LOOKS = Turn(
    text="Two looks.",
    calls=(
        Call(name="describe", arguments={"kind": "Deployment", "name": "silent"}),
        Call(name="rollout_history", arguments={"kind": "Deployment", "name": "silent"}),
    ),
)
STALLS = Turn(delay_seconds=540.0)


@pytest.mark.inv(11, 42)
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_all_of_a_turn_is_committed_before_the_next_request_is_sent(
    house: Any, provider: Any, rule: Any, ailing: str, until: Any, protocol: str
) -> None:
    model = await provider(protocol, turns(LOOKS, STALLS))
    clopus = await house(rule(protocol, deadline=300), **{protocol: model})
    key = await clopus.alert(ailing, "silent")
    await until(lambda: len(model.requests) == 2, "the model is not asked twice")

    # The second request waits for its answer: whatever is on record now was committed before it was sent.
    (run,) = await clopus.rows("SELECT id, ended_at, conclusion FROM investigations WHERE analyzer = ?", protocol)
    assert run[1:] == (None, "unfinished")
    steps = await clopus.rows("SELECT kind, turn, tool, call, evidence FROM v_reasoning WHERE investigation_id = ? ORDER BY step", run[0])  # fmt: skip # noqa: E501
    assert [step[0] for step in steps] == [
        *("prompt", "text", "tool_call", "tool_call", "turn", "tool_result", "tool_result")
    ]
    assert [step[1] for step in steps] == [1] * 7
    results = {step[3]: json.loads(step[4])[0] for step in steps if step[0] == StepKind.TOOL_RESULT}
    kept = dict(await clopus.rows("SELECT id, text FROM evidence WHERE investigation_id = ?", run[0]))
    told = model.requests[1].conversation.told
    assert set(results) == {"c1", "c2"}
    assert all(kept[name] in told for name in results.values())
    assert await clopus.rows("SELECT settled FROM model_spending ORDER BY recorded_at") == [(True,), (False,)]

    incident = await clopus.find(key)
    live = (await clopus.reasoning(incident.id)).investigations[-1]
    assert (live.id, live.ended_at, len(live.steps)) == (run[0], None, 7)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_the_run_costs_what_its_provider_counted(
    house: Any, provider: Any, rule: Any, ailing: str, conclusion: Any, protocol: str
) -> None:
    model = await provider(protocol, turns(LOOKS, Turn(text="One more.", calls=(Call(name="quota", arguments={}),)), conclusion()))  # fmt: skip # noqa: E501
    prices = {"usd_per_million_input": 3.0, "usd_per_million_output": 15.0, "usd_per_million_cache_read": 0.3}
    prices |= {"usd_per_million_cache_write": 3.75} if protocol == "claude" else {}
    section = {"model": "stand-in", "base_url": model.url if protocol == "claude" else f"{model.url}/v1", **prices}
    clopus = await house(rule(protocol), **{protocol: section})
    detail = await clopus.ended(await clopus.alert(ailing, "silent"))
    run, counted = detail.investigations[-1], model.accounting.total
    assert len(model.requests) == model.accounting.requests == 3
    usage = run.usage
    assert (usage.input_tokens, usage.cache_read_tokens, usage.cache_write_tokens, usage.output_tokens) == (
        *(counted.input, counted.cache_read, counted.cache_write, counted.output),
    )
    cost = (
        counted.input * 3.0 + counted.cache_read * 0.3 + counted.cache_write * 3.75 + counted.output * 15.0
    ) / 1_000_000
    assert run.cost_usd == pytest.approx(cost)
    ((spent, tokens, settled),) = await clopus.rows(
        "SELECT sum(cost_usd), sum(tokens), bool_and(settled) FROM model_spending"
    )
    assert (spent, tokens, settled) == (pytest.approx(cost), usage.all_tokens, True)
    reasoning = (await clopus.reasoning(detail.incident.id)).investigations[-1]
    assert sum(step.cost_usd for step in reasoning.steps) == pytest.approx(cost)
    ((requests, of_view),) = await clopus.rows("SELECT requests, cost_usd FROM v_cost WHERE analyzer = ?", protocol)
    assert (requests, of_view) == (3, pytest.approx(cost))


@pytest.mark.inv(47)
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_no_planted_secret_is_anywhere(
    house: Any, provider: Any, rule: Any, shop: Any, conclusion: Any, capfd: Any, protocol: str
) -> None:
    token, password, access = SECRETS
    speaking = f"echo login with {token}; echo password={password}; echo FATAL licence of {access} expired; exit 3"
    env = f"{{name: API_TOKEN, value: {token}}}, {{name: DB_PASSWORD, value: {password}}}"
    container = f"image: 'busybox:1.36', command: [sh, -c, '{speaking}'], env: [{env}]"
    settings = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings, namespace: {namespace}}}\n"
        f"data: {{{{DB_PASSWORD: {password}, key: {access}}}}}"
    )
    namespace = await shop.deploy(speaker=container, more=settings)
    looks = Turn(
        text=f"I repeat {token}.",
        calls=(
            Call(name="get_object", arguments={"kind": "Deployment", "name": "speaker"}),
            Call(name="get_object", arguments={"kind": "ConfigMap", "name": "settings"}),
            Call(name="describe", arguments={"kind": "Deployment", "name": "speaker"}),
        ),
    )
    model = await provider(protocol, turns(looks, conclusion(summary=f"the licence of {access} is over")))
    clopus = await house(rule(protocol), **{protocol: model})
    detail = await clopus.ended(
        await clopus.alert(namespace, "speaker", annotations={"description": f"seen with {token}"})
    )
    packed = await clopus.rows("SELECT body FROM snapshots")
    assert packed
    plain = [zlib.decompress(bytes(body)).decode() for (body,) in packed]
    assert all(unpack(bytes(body)).root.name == "speaker" for (body,) in packed)
    answers = [str(await clopus.reasoning(detail.incident.id)), str(detail)]
    texts = await everything(clopus)
    said = capfd.readouterr()
    told = [json.dumps(request.body) for request in model.requests]
    places = {"snapshot": plain, "api": answers, "database": texts, "log": [said.out, said.err], "prompt": told}
    # What the model says first is the stub's own doing, and comes back to it in the conversation.
    found = [
        (place, secret)
        for place, several in places.items()
        for text in several
        for secret in SECRETS
        if secret in text.replace(f"I repeat {token}.", "")
    ]
    assert found == []


@pytest.mark.inv(47)
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_key_that_is_rotated_is_taken_up_and_neither_is_ever_told(
    house: Any, provider: Any, rule: Any, ailing: str, conclusion: Any, tmp_path: Any, capfd: Any, protocol: str
) -> None:
    first, second = "first-key-4f6a8c", "second-key-9b2d1e"
    model = await provider(protocol, turns(conclusion()), key=first)
    file = tmp_path / "key"
    file.write_text(first)
    section = {"model": "stand-in", "base_url": model.url, "api_key_file": str(file)}
    if protocol == "openai_compatible":
        section |= {"base_url": f"{model.url}/v1", "usd_per_million_input": 0.0, "usd_per_million_output": 0.0}
    clopus = await house(rule(protocol), **{protocol: section})
    one = await clopus.ended(await clopus.alert(ailing, "silent"))
    model.key = second
    file.write_text(f"{second}\n")
    two = await clopus.ended(await clopus.alert(ailing, "typo"))
    assert [d.decisions[-1].consulted[0].answered for d in (one, two)] == [True, True]

    model.key = "a third one that the file does not hold"
    await clopus.investigate(two.incident.id)
    three = await clopus.until(
        f"Deployment/{ailing}/typo", lambda i: i.state == "escalated" and i.updated_at > two.incident.updated_at
    )
    refused = three.decisions[-1].consulted[0]
    assert not refused.answered
    said = capfd.readouterr()
    texts = [*await everything(clopus), said.out, said.err, str(three), refused.why]
    texts.append(str(await clopus.reasoning(three.incident.id)))
    assert [text[:200] for text in texts if first in text or second in text] == []


async def everything(clopus: Any) -> list[str]:
    """Each text in each table of the database."""
    columns = await clopus.rows(
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = 'main' AND data_type IN ('VARCHAR', 'BLOB', 'JSON')"
    )
    found: list[str] = []
    for table, column in columns:
        rows = await clopus.rows(f'SELECT "{column}" FROM "{table}" WHERE "{column}" IS NOT NULL')
        found += [value if isinstance(value, str) else bytes(value).decode("latin-1") for (value,) in rows]
    return found
