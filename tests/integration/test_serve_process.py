"""`clopus serve` as its operators meet it: what it says when it cannot start, and how it ends."""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

WEBHOOK = "/webhook/alertmanager"
TOKEN = "webhook-token-0123456789"
BODY = {"alerts": [{"labels": {"alertname": "Watchful", "severity": "warning"}, "startsAt": "2026-11-23T11:00:00Z"}]}
ASKS = "rules: [{{name: {name}, match: {{}}, analyzers: [heuristic, {analyzer}]}}]\n"

_HOLD = """
import sys, duckdb
con = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
con.close()
"""


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


@pytest.mark.parametrize(
    ("section", "key", "value", "said"),
    [
        ("server", "prot", 8080, "unknown key 'prot'"),
        ("server", "port", 70000, "server.port: "),
        ("store", "memory_limit", "lots", "store.memory_limit: "),
        ("mode", "ceiling", "autonmous", "autonomous"),
    ],
)
async def test_a_wrong_setting_ends_it_with_status_2_and_the_place(
    clopus: Any, section: str, key: str, value: object, said: str
) -> None:
    clopus.sections.setdefault(section, {})[key] = value
    clopus.launch()
    assert await clopus.ended() == 2
    line = next(n for n, text in enumerate(clopus.config.read_text().splitlines(), start=1) if f'"{key}"' in text)
    assert f"{clopus.config}:{line}:" in clopus.log
    assert said in clopus.log
    assert "Traceback" not in clopus.log


async def test_a_wrong_rule_file_ends_it_with_status_2_and_the_place(clopus: Any) -> None:
    rules = clopus.directory / "rules.yaml"
    rules.write_text("rules:\n  - name: a\n    match: {alerts: [A]}\n    mode: autonmous\n")
    clopus.launch()
    assert await clopus.ended() == 2
    assert f"{rules}:4:" in clopus.log
    assert "Traceback" not in clopus.log


async def test_a_rule_that_names_an_analyzer_that_is_not_set_up_is_told_at_the_start(clopus: Any) -> None:
    (clopus.directory / "rules.yaml").write_text(ASKS.format(name="a", analyzer="claude"))
    await clopus.start()
    (told,) = _absent(clopus.log)
    assert (told["level"], told["analyzer"], told["rules"], told["first"]) == ("warning", "claude", 1, "a")


async def test_a_rule_that_names_one_is_told_when_it_comes_into_force(clopus: Any, until: Callable[..., Any]) -> None:
    await clopus.start()
    assert _absent(clopus.log) == []
    (clopus.directory / "rules.yaml").write_text(ASKS.format(name="b", analyzer="openai_compatible"))
    (told,) = await until(lambda: _absent(clopus.log), "nothing is told")
    assert (told["analyzer"], told["first"]) == ("openai_compatible", "b")


async def test_without_any_credential_it_does_not_start(clopus: Any) -> None:
    clopus.sections["auth"] = {}
    clopus.launch()
    assert await clopus.ended() == 2
    assert "auth.webhook_token_file" in clopus.log


async def test_a_port_in_use_ends_it_with_status_2(clopus: Any, taken_port: int) -> None:
    clopus.sections["server"]["port"] = taken_port
    clopus.launch()
    assert await clopus.ended() == 2
    assert "address already in use" in clopus.log
    assert str(taken_port) in clopus.log
    assert "Traceback" not in clopus.log


async def test_a_database_in_use_ends_it_with_status_2_and_is_not_touched(clopus: Any) -> None:
    await clopus.start()
    clopus.send(signal.SIGTERM)
    assert await clopus.ended() == 0
    before = _digests(clopus.directory)
    with _held(clopus.database):
        clopus.launch()
        assert await clopus.ended() == 2
    assert "the database is in use" in clopus.log
    assert "Traceback" not in clopus.log
    assert _digests(clopus.directory) == before


@pytest.mark.inv(53)
async def test_sigterm_ends_it_with_status_0_and_once_not_ready_it_stays_so(clopus: Any) -> None:
    await clopus.start()
    clopus.send(signal.SIGTERM)
    answers: list[int] = []

    async def probe() -> None:
        while True:
            try:
                answers.append((await clopus.call("GET", "/readyz"))[0])
            except aiohttp.ClientError:
                answers.append(503)  # nobody listens: for whoever probes, the same

    async with asyncio.timeout(25):
        probing = asyncio.create_task(probe())
        assert await clopus.ended() == 0
        probing.cancel()
    assert answers == sorted(answers)
    assert answers[-1] == 503


@pytest.mark.inv(1, 53)
async def test_a_post_that_sigterm_cuts_off_is_not_acknowledged(clopus: Any) -> None:
    """Its sender finds the connection closed and sends again."""
    await clopus.start()
    data = json.dumps(BODY).encode()
    reader, writer = await _begin_post(clopus.port, len(data))
    clopus.send(signal.SIGTERM)
    async with asyncio.timeout(25):
        answer = await reader.read()
    writer.close()
    assert answer == b"" or answer.startswith(b"HTTP/1.1 503 ")
    assert await clopus.ended() == 0
    await clopus.start()
    assert await clopus.incidents() == []


@pytest.mark.inv(2)
async def test_no_alert_is_taken_after_sigterm(clopus: Any) -> None:
    """503, or nobody listens: Alertmanager sends again after either."""
    await clopus.start()
    _, writer = await _begin_post(clopus.port, 1_000)  # keeps it busy stopping for some seconds
    clopus.send(signal.SIGTERM)
    statuses: list[int] = []

    async def post() -> None:
        for number in range(1_000_000):
            alert = {"labels": {"alertname": f"A{number}"}, "startsAt": "2026-11-23T11:00:00Z"}
            try:
                statuses.append((await clopus.call("POST", WEBHOOK, token=TOKEN, body={"alerts": [alert]}))[0])
            except aiohttp.ClientError:
                statuses.append(503)

    posting = asyncio.create_task(post())
    assert await clopus.ended() == 0
    posting.cancel()
    writer.close()
    assert set(statuses) <= {200, 503}
    assert statuses == sorted(statuses)
    await clopus.start()
    _, page, _ = await clopus.call("GET", "/api/v1/audit?event=alerts_received&limit=500")
    assert sum(record["detail"]["accepted"] for record in page["records"]) == statuses.count(200)


@pytest.mark.inv(15)
async def test_a_damaged_database_leads_to_report_mode_and_a_loud_incident_and_is_kept(
    clopus: Any, until: Callable[..., Any]
) -> None:
    await clopus.start()
    await clopus.call("POST", WEBHOOK, token=TOKEN, body=BODY)
    await until(clopus.incidents, "no incident")
    clopus.send(signal.SIGTERM)
    assert await clopus.ended() == 0
    damaged = bytearray(clopus.database.read_bytes())
    for place in range(12_288, len(damaged), 1_000):
        damaged[place] ^= 0xFF
    clopus.database.write_bytes(damaged)

    await clopus.start()
    assert (await clopus.call("GET", "/api/v1/mode"))[1]["ceiling"] == "report"
    (incident,) = await clopus.incidents()
    assert (incident["key"], incident["severity"], incident["state"]) == ("clopus/store", "critical", "escalated")
    kept = [path for path in clopus.directory.glob("*.damaged-*") if path.suffix != ".head"]
    assert [path.read_bytes() for path in kept] == [bytes(damaged)]
    assert str(kept[0]) in incident["summary"]


@pytest.mark.inv(50)
@pytest.mark.parametrize(
    ("method", "path", "token"),
    [
        ("POST", WEBHOOK, ""),
        ("POST", WEBHOOK, "webhook-token-9876543210"),
        ("GET", "/api/v1/incidents", ""),
        ("GET", "/api/v1/incidents", "operator-token-9876543210"),
        ("GET", "/metrics", ""),
    ],
)
async def test_a_wrong_token_gets_401(clopus: Any, method: str, path: str, token: str) -> None:
    await clopus.start()
    status, _, headers = await clopus.call(method, path, token=token, body=BODY if method == "POST" else None)
    assert (status, headers["Content-Type"].partition(";")[0]) == (401, "application/problem+json")


async def _begin_post(port: int, announced: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A webhook request whose body is still to come; returns once the server asks for it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"POST {WEBHOOK} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
        f"Authorization: Bearer {TOKEN}\r\nContent-Length: {announced}\r\n\r\n".encode()
    )
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    return reader, writer


@contextmanager
def _held(database: Path) -> Iterator[None]:
    """Another program has the database open."""
    command = [sys.executable, "-c", _HOLD, str(database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        yield
        holder.communicate()


def _absent(log: str) -> list[dict[str, Any]]:
    """Warnings about analyzers that rules name in vain."""
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{") and line.endswith("}")]
    return [line for line in lines if "analyzer that is not set up" in line.get("event", "")]


def _digests(directory: Path) -> dict[str, str]:
    """Of the database and what stands beside it."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.glob("clopus.duckdb*")}
