"""Investigation by a language model: what it adds around the model, what the cache saves, what scenarios cost.

The provider is a stub in a process of its own that answers at once, so every time told here is the program's. The bare
side of the ratio sends the same requests with the provider's SDK, reads the replies, and does nothing else.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import redactcost, sdkcost
from benchmarks.clusters import Access, cluster
from benchmarks.modelruns import Bench, Ran, backend, bench
from benchmarks.modelstub import SERVERS, Looks, script, stub
from benchmarks.result import Figure, Result, Spread
from benchmarks.shop import NAMESPACE, Shop, waits
from responder.domain.investigation import StepKind, Usage
from responder.domain.refs import ObjectRef

ROUNDS = 5
PATIENCE_SECONDS = 120.0
ROOT = ObjectRef(kind="Deployment", namespace=NAMESPACE, name="ledger")
_PROBED = {"readinessProbe": {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1}}
SCENARIOS: Mapping[str, tuple[dict[str, Any], str]] = {
    "mistyped image": ({"image": "nignx:1.27", **_PROBED}, "ImagePullBackOff"),
    "image in a private registry": ({"image": "registry.example/private/web:1.0"}, "ImagePullBackOff"),
    "missing variable": ({"image": "registry.example/shop/ledger:1.0"}, "CrashLoopBackOff"),
    "mistyped command": ({"image": "busybox:1.36", "command": ["sleeep", "86400"]}, "CrashLoopBackOff"),
    "crash without a word": ({"image": "busybox:1.36", "command": ["sh", "-c", "exit 3"]}, "CrashLoopBackOff"),
    "missing ConfigMap": (
        {"image": "nginx:1.27", "envFrom": [{"configMapRef": {"name": "ledger-settings"}}]},
        "CreateContainerConfigError",
    ),
}


def run() -> Result:
    figures: list[Figure] = []
    with cluster("sandbox") as access, tempfile.TemporaryDirectory(prefix="clopus-bench-") as directory:
        figures += asyncio.run(_with_models(access, Path(directory)))
        figures += sdkcost.figures(access)
    figures += redactcost.figures()
    return Result(benchmark="models", figures=tuple(figures))


async def _with_models(access: Access, directory: Path) -> list[Figure]:
    shop = Shop(access)
    await shop.open()
    try:
        container, reason = SCENARIOS["missing variable"]
        await shop.deploy(ROOT.name, container)
        looks = _ten_turns(await shop.pod(ROOT.name, waits(reason)))
        async with bench(access, directory) as on, asyncio.timeout(PATIENCE_SECONDS * 4):
            figures = [figure for analyzer in SERVERS async for figure in _around(on, analyzer, looks)]
            return figures + [figure async for figure in _scenarios(on, shop)]
    finally:
        await shop.close()


# -- around the model ---------------------------------------------------------------------------------------------


async def _around(on: Bench, analyzer: str, looks: list[Looks]) -> AsyncIterator[Figure]:
    requests = await _requests(on, analyzer, looks)
    whole: list[Ran] = []
    bare: list[float] = []
    with stub(analyzer, looks) as url:
        async with backend(analyzer, url) as opened:
            await on.run(opened, ROOT)  # imports, pools, caches
            await _bare(analyzer, url, requests)
            for _ in range(ROUNDS):
                bare.append(await _bare(analyzer, url, requests))
                whole.append(await on.run(opened, ROOT))
    turns = len(requests)
    calls = sum(step.kind is StepKind.TOOL_CALL for step in whole[0].investigation.steps) - 1
    ratios = [each.total / alone for each, alone in zip(whole, bare, strict=True)]
    yield _figure(f"{analyzer}, whole / bare SDK", [100 * ratio for ratio in ratios], "%")
    note = f"{turns} turns, {calls} looks, {len(whole[0].investigation.steps)} steps committed one by one"
    yield _per_turn("  around the model, per turn", [each.around for each in whole], turns, note)
    for part in ("tools", "record", "rest"):
        yield _per_turn(f"    {part}", [each.seconds[part] for each in whole], turns)
    size = sum(map(len, map(str, requests))) / 1024
    provider = [each.seconds["provider"] for each in whole]
    yield _per_turn("  in the backend, per turn", provider, turns, f"{size:.0f} KiB sent in all")
    yield _per_turn("  bare SDK, per turn", bare, turns)
    yield _cached(whole[0])


async def _requests(on: Bench, analyzer: str, looks: list[Looks]) -> list[dict[str, Any]]:
    """Bodies of one run, as the provider got them."""
    async with SERVERS[analyzer](script(looks)) as server, backend(analyzer, server.url) as opened:
        await on.run(opened, ROOT)
        return [dict(request.body) for request in server.requests]


async def _bare(analyzer: str, url: str, requests: list[dict[str, Any]]) -> float:
    """Seconds for the same requests with the SDK and nothing else."""
    if analyzer == "claude":
        import anthropic

        async with anthropic.AsyncAnthropic(api_key="none", base_url=url, max_retries=0) as claude:
            started = time.perf_counter()
            for body in requests:
                async for _ in await claude.messages.create(**body):
                    pass
            return time.perf_counter() - started
    import openai

    async with openai.AsyncOpenAI(api_key="none", base_url=f"{url}/v1", max_retries=0) as compatible:
        started = time.perf_counter()
        for body in requests:
            async for _ in await compatible.chat.completions.create(**body):
                pass
        return time.perf_counter() - started


def _cached(ran: Ran) -> Figure:
    usages = [step.usage for step in ran.investigation.steps if step.kind is StepKind.TURN and step.usage is not None]
    shares = [100 * usage.cache_read_tokens / usage.all_input_tokens for usage in usages[1:]]
    later = Usage(
        input_tokens=sum(usage.input_tokens for usage in usages[1:]),
        cache_read_tokens=sum(usage.cache_read_tokens for usage in usages[1:]),
        cache_write_tokens=sum(usage.cache_write_tokens for usage in usages[1:]),
    )
    share = 100 * later.cache_read_tokens / later.all_input_tokens
    note = f"min..max of single turns; {later.all_input_tokens:,} tokens read after the first turn"
    return Figure(
        name="  input from the cache after the first turn",
        spread=Spread(median=share, lowest=min(shares), highest=max(shares)),
        unit="%",
        note=note,
    )


# -- scenarios ----------------------------------------------------------------------------------------------------


async def _scenarios(on: Bench, shop: Shop) -> AsyncIterator[Figure]:
    """Each with a provider of its own, whose cache nothing has filled."""
    dollars = []
    for number, (name, (container, reason)) in enumerate(SCENARIOS.items()):
        workload = f"case-{number}"
        await shop.deploy(workload, container)
        pod = await shop.pod(workload, waits(reason))
        with stub("claude", _five_looks(workload, pod)) as url:
            async with backend("claude", url) as opened:
                done = await on.run(opened, ObjectRef(kind="Deployment", namespace=NAMESPACE, name=workload))
        told = done.investigation
        assert told.usage is not None
        dollars.append(100 * told.cost_usd)
        requests = sum(step.kind is StepKind.TURN for step in told.steps)
        note = (
            f"{requests} requests, {told.usage.all_input_tokens:,} tokens read "
            f"({100 * told.usage.cache_read_tokens / told.usage.all_input_tokens:.0f} % from the cache), "
            f"{told.usage.output_tokens:,} written"
        )
        yield _figure(f"scenario: {name}", [100 * told.cost_usd], "cents", note)
    yield _figure("all scenarios", dollars, "cents", "the detectors alone: 0 requests, 0 tokens, 0 cents")


def _five_looks(workload: str, pod: str) -> list[Looks]:
    return [
        [("describe", {"kind": "Pod", "name": pod}), ("events", {}), ("logs", {"pod": pod, "previous": True})],
        [
            ("rollout_history", {"kind": "Deployment", "name": workload}),
            ("get_object", {"kind": "Deployment", "name": workload}),
        ],
    ]


def _ten_turns(pod: str) -> list[Looks]:
    """Three looks in each but the last, which concludes. None twice."""
    lists = [
        ("list_objects", {"kind": kind})
        for kind in ("Pod", "ReplicaSet", "Service", "ConfigMap", "Deployment", "Ingress", "Job", "EndpointSlice")
    ]
    objects = [
        (tool, {"kind": kind, "name": name})
        for kind, name in (("Pod", pod), ("Deployment", ROOT.name), ("Namespace", NAMESPACE))
        for tool in ("describe", "get_object")
    ]
    logs = [("logs", {"pod": pod, "previous": True, "tail_lines": lines}) for lines in (5, 20, 50, 100, 150)]
    rest: list[tuple[str, dict[str, Any]]] = [
        ("events", {}),
        ("events", {"kind": "Pod", "name": pod}),
        ("rollout_history", {"kind": "Deployment", "name": ROOT.name}),
        ("owners", {"kind": "Pod", "name": pod}),
        ("quota", {}),
        ("changes", {}),
        ("changes", {"kind": "Deployment"}),
        ("history", {}),
    ]
    every = [*objects, *logs, *rest, *lists]
    return [every[at::9] for at in range(9)]


# -- figures ------------------------------------------------------------------------------------------------------


def _per_turn(name: str, seconds: list[float], turns: int, note: str = "") -> Figure:
    return _figure(name, [1000 * each / turns for each in seconds], "ms", note)


def _figure(name: str, values: list[float], unit: str, note: str = "") -> Figure:
    return Figure(name=name, spread=Spread.of(values), unit=unit, note=note)
