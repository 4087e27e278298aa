"""What taking secrets out of a log costs, beside reading the same log from JSON and copying it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import orjson

from benchmarks.result import Figure, Spread
from responder.redact import may_hold_secret, redact

KIBIBYTES = 128
ROUNDS = 5
_CLEAN = (
    "2026-11-23T10:{minute:02}:{second:02}Z INFO orders served method=GET path=/api/v1/orders/{number} status=200 "
    "took=12.5ms bytes=4096 remote=10.42.3.{last}\n"
)
_SECRET = "2026-11-23T10:00:00Z WARN orders connecting to postgres://orders:hunter2-{number}@db:5432/shop failed\n"
_EVERY = 50
"""One line in so many has a secret, where there are any."""


def figures() -> Iterator[Figure]:
    clean, mixed = _log(secrets=False), _log(secrets=True)
    lines = clean.splitlines()
    encoded = orjson.dumps(clean)
    reading = _per_kib(lambda: orjson.loads(encoded))
    copying = _per_kib(lambda: clean.encode().decode())
    yield _figure("log from JSON, per KiB", reading, "us")
    yield _figure("log copied (encoded, decoded), per KiB", copying, "us")
    for name, text in (("without a secret", clean), (f"a secret in one of {_EVERY} lines", mixed)):
        redacting = _per_kib(lambda text=text: redact(text))
        ratio = Spread.of(redacting).median / Spread.of(reading).median
        note = f"{ratio:,.0f} x reading it from JSON"
        yield _figure(f"redact, {name}, per KiB", redacting, "us", note)
    half = _per_kib(lambda: redact(clean[: len(clean) // 2]), kibibytes=KIBIBYTES / 2)
    growth = Spread.of(_per_kib(lambda: redact(clean))).median / Spread.of(half).median
    yield _figure("  per KiB, twice the log / once", [100 * growth], "%", "100 where it grows with the length only")
    asking = _per_kib(lambda: [may_hold_secret(line) for line in lines])
    ratio = Spread.of(asking).median / Spread.of(reading).median
    yield _figure("may_hold_secret, clean lines, per KiB", asking, "us", f"{ratio:,.0f} x reading it from JSON")


def _log(*, secrets: bool) -> str:
    lines: list[str] = []
    size = number = 0
    while size < KIBIBYTES * 1024:
        number += 1
        form = _SECRET if secrets and number % _EVERY == 0 else _CLEAN
        lines.append(form.format(minute=number // 60 % 60, second=number % 60, number=number, last=number % 250))
        size += len(lines[-1])
    return "".join(lines)


def _per_kib(work: Callable[[], object], *, kibibytes: float = KIBIBYTES) -> list[float]:
    """Microseconds of CPU, the first time left out."""
    work()
    found = []
    for _ in range(ROUNDS):
        started = time.process_time_ns()
        times = 0
        while not times or (time.process_time_ns() - started < 20_000_000 and times < 1000):
            work()
            times += 1
        found.append((time.process_time_ns() - started) / 1000 / times / kibibytes)
    return found


def _figure(name: str, values: list[float], unit: str, note: str = "") -> Figure:
    return Figure(name=name, spread=Spread.of(values), unit=unit, note=note)
