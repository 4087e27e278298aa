"""What the providers' SDKs cost: memory, time, and how long their import keeps an event loop from turning.

    python -m benchmarks.sdkcost none|claude|openai_compatible loop|thread

Prints one JSON object. Each measurement is a fresh process that has imported the responder, as `clopus serve` has.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.clusters import Access
from benchmarks.result import Figure, Spread
from benchmarks.usage import resident

ROUNDS = 3
PATIENCE_SECONDS = 60.0
_TICK_SECONDS = 0.001
_MODULES = {
    "claude": ("anthropic", "anthropic.resources.messages"),
    "openai_compatible": ("openai", "openai.resources.chat.completions"),
}
_RULES = "rules:\n  - name: look\n    match: {alerts: [KubePodCrashLooping]}\n    mode: report\n"


def figures(access: Access) -> Iterator[Figure]:
    nothing = [_measured("none", "loop") for _ in range(ROUNDS)]
    base = Spread.of([each["resident"] for each in nothing]).median
    yield _figure("responder imported, resident", [each["resident"] for each in nothing], "MiB")
    for analyzer in _MODULES:
        pairs = [(_measured(analyzer, "loop"), _measured(analyzer, "thread")) for _ in range(ROUNDS)]
        yield _figure(f"SDK of {analyzer}, adds", [thread["resident"] - base for _, thread in pairs], "MiB")
        yield _figure("  imported in a thread", [thread["seconds"] for _, thread in pairs], "s")
        ratios = [100 * thread["stall"] / loop["stall"] for loop, thread in pairs]
        stalls = Spread.of([thread["stall"] for _, thread in pairs]).median
        bare = Spread.of([loop["stall"] for loop, _ in pairs]).median
        note = f"{stalls:.0f} ms of {bare:.0f}"
        yield _figure("  longest stall of the loop, thread / on the loop", ratios, "%", note)
    yield from _starts(access)


def _starts(access: Access) -> Iterator[Figure]:
    """From the start of the process to its first line, and its memory then."""
    from benchmarks.responder_process import responder

    variants: Mapping[str, Mapping[str, Mapping[str, object]]] = {
        "without a model": {},
        "with claude": {"claude": {"model": "stand-in", "base_url": "http://127.0.0.1:9"}},
    }
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    memory: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(ROUNDS):
        for name, sections in variants.items():
            with tempfile.TemporaryDirectory(prefix="clopus-bench-") as directory:
                started = time.perf_counter()
                with responder(Path(directory), access, _RULES, sections=sections) as running:
                    seconds[name].append(time.perf_counter() - started)
                    memory[name].append(resident(running.pid))
    for name in variants:
        yield _figure(f"responder {name}, until it listens", seconds[name], "s")
        yield _figure("  resident then", memory[name], "MiB")


def _measured(analyzer: str, where: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.sdkcost", analyzer, where]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=PATIENCE_SECONDS)
    found: dict[str, float] = json.loads(done.stdout)
    return found


async def _import(analyzer: str, where: str) -> dict[str, float]:
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        while True:
            started = time.perf_counter()
            await asyncio.sleep(_TICK_SECONDS)
            longest = max(longest, time.perf_counter() - started - _TICK_SECONDS)

    def load() -> None:
        for module in _MODULES.get(analyzer, ()):
            importlib.import_module(module)

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0.05)
    started = time.perf_counter()
    if where == "thread":
        await asyncio.to_thread(load)
    else:
        load()
    seconds = time.perf_counter() - started
    await asyncio.sleep(0.05)
    ticking.cancel()
    return {"seconds": seconds, "stall": 1000 * longest, "resident": resident(os.getpid())}


def _figure(name: str, values: list[float], unit: str, note: str = "") -> Figure:
    return Figure(name=name, spread=Spread.of(values), unit=unit, note=note)


if __name__ == "__main__":
    import responder.app  # noqa: F401 - what it costs is the point

    print(json.dumps(asyncio.run(_import(sys.argv[1], sys.argv[2]))))
