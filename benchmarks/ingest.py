"""Durable ingest against a handler that only reads the body: what the promise behind a 2xx costs.

Both servers run all the time, each in its own process; the load goes to one, then to the other, and so on, so that
whatever else the machine does hits both. The ratio is taken within each round.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.load import Load
from benchmarks.processes import Child, child
from benchmarks.result import Figure, Result, Spread
from responder.api.routes import WEBHOOK_PATH

CONNECTIONS = (64, 256)


def run(*, rounds: int = 6, seconds: float = 3.0) -> Result:
    token = secrets.token_urlsafe(24)
    figures: list[Figure] = []
    for connections in CONNECTIONS:
        with ExitStack() as stack:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="clopus-bench-"))
            bare = _Target(stack.enter_context(child("benchmarks.servers", "bare")), token)
            durable = _Target(stack.enter_context(child("benchmarks.servers", "durable", directory, token)), token)
            pairs = [(bare.measure(connections, seconds), durable.measure(connections, seconds)) for _ in range(rounds)]
        figures.extend(_figures(connections, pairs))
    return Result(benchmark="ingest", figures=tuple(figures))


class _Target:
    def __init__(self, server: Child, token: str) -> None:
        self._port, self._token, self._next = server.said, token, 0

    def measure(self, connections: int, seconds: float) -> Load:
        command = [sys.executable, "-m", "benchmarks.load", "--path", WEBHOOK_PATH, "--token", self._token]
        command += ["--port", self._port, "--connections", str(connections), "--seconds", str(seconds)]
        done = subprocess.run([*command, "--first", str(self._next)], stdout=subprocess.PIPE, check=True)
        load = Load(**json.loads(done.stdout))
        if load.not_ok:
            raise RuntimeError(f"{load.not_ok} requests were not answered with 200")
        self._next = load.next_number
        return load


def _figures(connections: int, pairs: list[tuple[Load, Load]]) -> Iterator[Figure]:
    ratios = [100 * durable.per_second / bare.per_second for bare, durable in pairs]
    yield Figure(name=f"durable / bare, {connections} connections", spread=Spread.of(ratios), unit="%")
    for name, loads in (("bare", [bare for bare, _ in pairs]), ("durable", [durable for _, durable in pairs])):
        latency = f"p50 {Spread.of([load.p50_ms for load in loads]).median:.1f} ms"
        latency += f", p99 {Spread.of([load.p99_ms for load in loads]).median:.1f} ms"
        busy = Spread.of([load.client_core for load in loads]).median
        yield Figure(
            name=f"  {name}",
            spread=Spread.of([load.per_second for load in loads]),
            unit="/s",
            note=f"{latency}; load generator {busy:.2f} of a core",
        )
