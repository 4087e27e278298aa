"""Kubernetes as a source, at 10,000 pods: memory, the relist, from event to incident, silence, the record of changes.

The API server is `bigcluster`, a process of its own, so that what the responder uses is its own. Two responders run on
it: one watches, the other one does everything but that. Minimum ages are off, so that what is measured is the latency
of the program and not its patience.
"""

from __future__ import annotations

import http.client
import random
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import orjson

from benchmarks import bigobjects, podcache
from benchmarks.bigcluster import big_cluster
from benchmarks.bigobjects import DEPLOYMENTS, NODES, PODS, Body
from benchmarks.clusters import Access
from benchmarks.responder_process import Running, responder
from benchmarks.result import Figure, Result, Spread, percentile
from benchmarks.usage import PATIENCE_SECONDS, cpu_seconds, forget_highest, highest, resident, wait_until_quiet
from console.remote.client import path_of
from responder.detector.watcher import TICK_SECONDS
from responder.domain.views import WatchPage, WatchView

RELISTS = 4
INCIDENTS = 50
ROUND_TRIPS = 200
SILENCES = 3
SILENCE_SECONDS = 10.0
HEARTBEATS = 20
RECORDS = 2
POLL_SECONDS = 0.01
STALL_SECONDS = 0.1
CALM_SECONDS = 3.0
PAGE = 500

RULES = """
rules:
  - name: look
    match: {alerts: [CrashLoopBackOff]}
    mode: report
"""
_WATCHING: Mapping[str, Mapping[str, object]] = {
    "watch": {"enabled": True, "age_factor": 0},
    # Every pod here fails for itself: none is to be folded into the incident of another.
    "intake": {"shared_cause_workloads": 0, "storm_workloads": 0},
    "log": {"level": "error"},  # a watch that expired is worth a warning
}


def run() -> Result:
    cache = podcache.measured()
    note = f"{cache.body / 1024:.1f} KiB of it the JSON that is kept; {cache.sent / 1024:.1f} KiB as sent"
    figures = [_figure("cache, each further pod", [cache.resident / 1024], "KiB", note)]
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="clopus-bench-")))
        url = stack.enter_context(big_cluster())
        figures += _on(_Stub(url), Access(url=url, token="none"), directory)
    return Result(benchmark="watch", figures=tuple(figures))


def _on(stub: _Stub, access: Access, directory: Path) -> Iterator[Figure]:
    homes = [directory / name for name in ("watching", "idle")]
    for home in homes:
        home.mkdir()
    with responder(homes[0], access, RULES, sections=_WATCHING) as watching:
        slowest, start_cpu = _slowest_of_start(watching), cpu_seconds(watching.pid)
        with responder(homes[1], access, RULES) as idle:
            wait_until_quiet(idle.pid)
            yield from _memory(watching.pid, idle.pid)
            yield _figure("start and first lists, CPU", [start_cpu], "s")
            yield _figure("  longest answer of the API meanwhile", [slowest], "ms")
            yield from _silence(watching.pid, idle.pid)
        yield from _heartbeats(stub, watching.pid)
        yield from _relist(stub, watching)
        updates, status_updates = _updates(stub, watching.pid, homes[0])
        yield from _to_incident(stub, watching)
        at_the_end = resident(watching.pid)
    yield from _record(homes[0] / "clopus.duckdb", updates, status_updates)
    yield _figure("responder at the end", [at_the_end], "MiB")


# -- memory and silence ---------------------------------------------------------------------------------------------


def _memory(watching: int, idle: int) -> Iterator[Figure]:
    now, without = resident(watching), resident(idle)
    per_pod = 1024 * (now - without) / PODS
    yield _figure("responder, no watch", [without], "MiB")
    note = f"{now / without:.1f} x without; {per_pod:.1f} KiB per pod, all other objects included"
    yield _figure("responder, 10,000 pods", [now], "MiB", note)
    yield _figure("  highest until then", [highest(watching)], "MiB")


def _silence(watching: int, idle: int) -> Iterator[Figure]:
    """Bookmarks and nothing else."""
    shares: dict[int, list[float]] = {watching: [], idle: []}
    for _ in range(SILENCES):
        before = {pid: cpu_seconds(pid) for pid in shares}
        time.sleep(SILENCE_SECONDS)
        for pid, values in shares.items():
            values.append(100 * (cpu_seconds(pid) - before[pid]) / SILENCE_SECONDS)
    without = _mean(shares[idle])
    note = f"mean {_mean(shares[watching]):.2f} over {SILENCES * SILENCE_SECONDS:.0f} s; {without:.2f} without a watch"
    yield _figure("silence, share of a core", shares[watching], "%", note)


def _heartbeats(stub: _Stub, pid: int) -> Iterator[Figure]:
    """What a node's kubelet sends every five minutes, and oftener when it has something to tell."""
    wait_until_quiet(pid)
    forget_highest(pid)
    level, before = resident(pid), cpu_seconds(pid)
    for number in range(HEARTBEATS):
        stub.put("nodes", [bigobjects.node(number % NODES, heartbeat=f"2026-01-12T10:00:{number:02}Z")])
        time.sleep(0.2)
    wait_until_quiet(pid)
    spent = 1000 * (cpu_seconds(pid) - before) / HEARTBEATS
    note = f"peak {highest(pid) - level:.0f} MiB over the level before"
    yield _figure("a node's status, CPU", [spent], "ms", note)


# -- the relist -----------------------------------------------------------------------------------------------------


def _relist(stub: _Stub, running: Running) -> Iterator[Figure]:
    pages = stub.pages("/api/v1/pods")
    bare, cpu, extra = [], [], []
    for _ in range(RELISTS):
        bare.append(_decoding(pages))
        wait_until_quiet(running.pid)
        forget_highest(running.pid)
        level, before, relists = resident(running.pid), cpu_seconds(running.pid), _relists(running)
        stub.expire("pods")
        _wait_for_relist(running, relists + 1)
        cpu.append(cpu_seconds(running.pid) - before)
        extra.append(highest(running.pid) - level)
    size = sum(map(len, pages)) / 1024 / 1024
    yield _figure("orjson.loads of all pods", bare, "s", f"{size:.0f} MiB in {len(pages)} pages")
    note = f"{_median(cpu) / _median(bare):.1f} x the bare decoding"
    yield _figure("relist of all pods, CPU", cpu, "s", note)
    yield _figure("  peak over the level before", extra, "MiB")


def _decoding(pages: list[bytes]) -> float:
    started = time.process_time()
    for page in pages:
        orjson.loads(page)
    return time.process_time() - started


# -- from event to incident -----------------------------------------------------------------------------------------


def _to_incident(stub: _Stub, running: Running) -> Iterator[Figure]:
    wait_until_quiet(running.pid)
    trips, delays = [], []
    for _ in range(ROUND_TRIPS):
        started = time.perf_counter()
        stub.get("/apis/apps/v1/namespaces/team-00/deployments/orders")
        trips.append(1000 * (time.perf_counter() - started))
    for number in range(INCIDENTS):
        time.sleep(TICK_SECONDS * random.random())  # so that it meets the ticks of the watch at any of their moments
        delays.append(1000 * _until_seen(stub, running, number * DEPLOYMENTS // INCIDENTS))
    unit = _median(trips)
    yield _figure("bare GET", trips, "ms")
    for percent in (50, 95):
        value = percentile(delays, percent)
        note = f"= {value / unit:.0f} bare GETs; {len(delays)} incidents, {min(delays):.0f}..{max(delays):.0f} ms"
        yield _figure(f"event to incident, p{percent}", [value], "ms", note)


def _until_seen(stub: _Stub, running: Running, deployment: int) -> float:
    """Seconds from the event to the incident in the API."""
    key = "Deployment/{}/{}".format(*bigobjects.place(deployment))
    crashing = bigobjects.pod(deployment * bigobjects.PODS_EACH, crashing=True)
    started = time.perf_counter()
    stub.put("pods", [crashing])
    while time.perf_counter() < started + PATIENCE_SECONDS:
        if running.incident(key) is not None:
            return time.perf_counter() - started
        time.sleep(POLL_SECONDS)
    raise RuntimeError(f"no incident for {key}")


# -- the record of changes ------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Updates:
    """What a thousand updates cost."""

    first: int
    last: int
    """Their versions."""
    cpu: float
    file_bytes: int
    """Growth of the database file and its write-ahead log."""


def _updates(stub: _Stub, pid: int, home: Path) -> tuple[list[_Updates], list[_Updates]]:
    decided, status_only = [], []
    body: dict[str, str] = {}
    for number in range(RECORDS):
        body |= {"image": f"registry.example.com/team/app:2.{number}"} if number % 2 == 0 else {"level": f"d{number}"}
        decided.append(_update(stub, pid, home, body))
        status_only.append(_update(stub, pid, home, body | {"probed": f"2026-01-13T00:00:{number:02}Z"}))
    return decided, status_only


def _update(stub: _Stub, pid: int, home: Path, fields: Mapping[str, str]) -> _Updates:
    wait_until_quiet(pid)
    size, cpu = _file_bytes(home), cpu_seconds(pid)
    versions = stub.put("deployments", [bigobjects.deployment(number, **fields) for number in range(DEPLOYMENTS)])
    time.sleep(1.0)  # the record waits a little for more
    wait_until_quiet(pid)
    cpu = cpu_seconds(pid) - cpu
    return _Updates(first=versions["first"], last=versions["last"], cpu=cpu, file_bytes=_file_bytes(home) - size)


def _file_bytes(home: Path) -> int:
    return sum(path.stat().st_size for path in home.glob("clopus.duckdb*"))


def _record(database: Path, updates: list[_Updates], status_updates: list[_Updates]) -> Iterator[Figure]:
    """Read when its responder has ended: until then the file is locked."""
    with duckdb.connect(str(database), read_only=True) as con:
        rows = [_rows(con, each) for each in updates]
        status_rows = [_rows(con, each) for each in status_updates]
        total = database.stat().st_size / 1024 / 1024
    note = f"{_median([count for count, _ in rows]):.0f} versions recorded"
    yield _figure("1,000 changes, CPU", [each.cpu for each in updates], "s", note)
    yield _figure("  text in the rows", [size / 1024 for _, size in rows], "KiB")
    grown = [each.file_bytes / 1024 for each in updates]
    yield _figure("  growth of the file and its log", grown, "KiB", f"{total:.0f} MiB at the end, checkpointed")
    note = f"{_median([count for count, _ in status_rows]):.0f} versions recorded"
    yield _figure("1,000 of the status alone, CPU", [each.cpu for each in status_updates], "s", note)


def _rows(con: duckdb.DuckDBPyConnection, updates: _Updates) -> tuple[int, int]:
    found = con.execute(
        "SELECT count(*), coalesce(sum(strlen(body) + strlen(differences) + strlen(hidden)), 0) FROM object_versions "
        "WHERE ref_kind = 'Deployment' AND try_cast(resource_version AS BIGINT) BETWEEN ? AND ?",
        [updates.first, updates.last],
    ).fetchone()
    return (int(found[0]), int(found[1])) if found else (0, 0)


# -- the two ends ---------------------------------------------------------------------------------------------------


class _Stub:
    """The large cluster as the benchmark sees it, on one open connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE_SECONDS)

    def get(self, path: str) -> bytes:
        return self._call("GET", path)

    def pages(self, path: str) -> list[bytes]:
        found, position = [], ""
        while True:
            found.append(self.get(f"{path}?limit={PAGE}&continue={position}"))
            position = orjson.loads(found[-1])["metadata"].get("continue", "")
            if not position:
                return found

    def put(self, plural: str, objects: list[Body]) -> dict[str, int]:
        """The first and the last version that the objects were given."""
        answer: Any = orjson.loads(self._call("POST", f"/control/{plural}", orjson.dumps({"objects": objects})))
        return dict(answer)

    def expire(self, plural: str) -> None:
        self._call("POST", f"/control/{plural}/expire")

    def _call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        try:
            self._connection.request(method, path, body=body)
            response = self._connection.getresponse()
        except (http.client.HTTPException, ConnectionError):
            self._connection.close()  # the server has closed it after a while of silence
            self._connection.request(method, path, body=body)
            response = self._connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise RuntimeError(f"{method} {path}: {response.status} {answer[:200]!r}")
        return answer


def _slowest_of_start(running: Running) -> float:
    """Wait until all is listed and judged. Returns the longest time that the API took to answer meanwhile, ms."""
    slowest, calm_since = 0.0, time.monotonic()
    deadline = calm_since + PATIENCE_SECONDS
    views: tuple[WatchView, ...] = ()
    while not any(_listed(view) for view in views) or time.monotonic() < calm_since + CALM_SECONDS:
        started = time.monotonic()
        views = _watches(running)
        took = time.monotonic() - started
        slowest = max(slowest, took)
        if took > STALL_SECONDS:
            calm_since = time.monotonic()
        if time.monotonic() > deadline:
            raise RuntimeError("the first lists did not come to an end")
        time.sleep(STALL_SECONDS)
    wait_until_quiet(running.pid)
    if silent := [view.kind for view in _watches(running) if view.state != "live"]:
        raise RuntimeError(f"not live: {', '.join(silent)}")
    return 1000 * slowest


def _listed(view: WatchView) -> bool:
    return view.kind == "Pod" and view.objects == PODS


def _wait_for_relist(running: Running, relists: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if _relists(running) >= relists:
            return
        time.sleep(0.1)
    raise RuntimeError("the pods were not listed again")


def _relists(running: Running) -> int:
    return next(view.relists for view in _watches(running) if view.kind == "Pod")


def _watches(running: Running) -> tuple[WatchView, ...]:
    return running.operator.get(WatchPage, path_of("watches")).watches


# -- figures --------------------------------------------------------------------------------------------------------


def _figure(name: str, values: list[float], unit: str, note: str = "") -> Figure:
    return Figure(name=name, spread=Spread.of(values), unit=unit, note=note)


def _median(values: list[float]) -> float:
    return Spread.of(values).median


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
