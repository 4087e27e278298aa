"""`clopus serve` as a process, with a directory, credentials and a port of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from responder.domain.manifest import Json

PATIENCE_SECONDS = 30.0
TOKENS = {"alertmanager": "webhook-token-0123456789", "olga": "operator-token-0123456789"}


class ClopusProcess:
    """May be started again after it ended: the directory and, from then on, the port stay the same."""

    def __init__(self, directory: Path, session: aiohttp.ClientSession) -> None:
        self.directory = directory
        self.port = 0
        self.sections: dict[str, dict[str, Json]] = {
            "server": {"host": "127.0.0.1", "port": 0},
            "auth": {
                "webhook_token_file": str(directory / "webhook-token"),
                "operator_tokens_file": str(directory / "operator-tokens"),
            },
            "store": {"path": str(self.database)},
            "cluster": {"api_url": "http://127.0.0.1:1", "own_namespace": "clopus"},
            "rules": {"paths": [str(directory / "rules.yaml")]},
            "watch": {"enabled": False},
        }
        self._session = session
        self._process: subprocess.Popen[bytes] | None = None
        (directory / "webhook-token").write_text(f"alertmanager:{TOKENS['alertmanager']}\n")
        (directory / "operator-tokens").write_text(f"olga:{TOKENS['olga']}\n")
        (directory / "rules.yaml").write_text("rules: [{name: all, match: {matchers: ['alertname=~\".+\"']}}]\n")

    @property
    def database(self) -> Path:
        return self.directory / "clopus.duckdb"

    @property
    def config(self) -> Path:
        return self.directory / "clopus.yaml"

    @property
    def log(self) -> str:
        """Standard error of all starts so far."""
        path = self.directory / "stderr"
        return path.read_text() if path.exists() else ""

    def launch(self) -> None:
        """Start the process without waiting for anything."""
        self.config.write_text(json.dumps(self.sections, indent=1))
        command = [sys.executable, "-m", "responder", "serve", "--config", str(self.config)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CLOPUS_")}
        with (self.directory / "stderr").open("ab") as log:
            self._process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL, env=environment)

    async def start(self) -> None:
        """Returns once it is ready to take alerts."""
        before = len(self.log)
        self.launch()
        await until(lambda: self._listening(self.log[before:]), "clopus does not listen")
        self.sections["server"]["port"] = self.port
        await until(self._ready, "clopus is not ready")

    async def ended(self) -> int:
        """The exit status, once there is one."""
        assert self._process is not None
        await until(lambda: self._process is None or self._process.poll() is not None, "clopus does not end")
        return self._process.wait()

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def kill(self) -> None:
        """SIGKILL: as a power cut."""
        self.send(signal.SIGKILL)
        await self.ended()

    def clean_up(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    async def call(
        self, method: str, path: str, *, token: str = TOKENS["olga"], body: Json = None
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Status, decoded body, headers."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"http://127.0.0.1:{self.port}{path}"
        data = json.dumps(body).encode() if body is not None else None
        async with self._session.request(method, url, headers=headers, data=data) as answer:
            return answer.status, await answer.json(content_type=None), answer.headers

    async def incidents(self) -> list[dict[str, Any]]:
        status, page, _ = await self.call("GET", "/api/v1/incidents")
        assert status == 200, page
        found: list[dict[str, Any]] = page["incidents"]
        return found

    def _listening(self, log: str) -> bool:
        if self._process is not None and self._process.poll() is not None:
            pytest.fail(f"clopus ended with {self._process.returncode}:\n{log}")
        line = next((line for line in log.splitlines() if line.startswith("clopus listens on ")), "")
        self.port = int(line.rpartition(":")[2]) if line else self.port
        return bool(line)

    async def _ready(self) -> bool:
        return (await self.call("GET", "/readyz"))[0] == 200


async def until(condition: Callable[[], Any], otherwise: str, *, within_seconds: float = PATIENCE_SECONDS) -> Any:
    """Wait until `condition`, which may be asynchronous, gives something true, and return that."""
    deadline = asyncio.get_running_loop().time() + within_seconds
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        if asyncio.get_running_loop().time() > deadline:
            pytest.fail(f"{otherwise}, after {within_seconds:g} s")
        await asyncio.sleep(0.05)


@pytest.fixture(name="until")
def _until() -> Callable[..., Any]:
    return until


@pytest.fixture
async def clopus(tmp_path: Path) -> AsyncIterator[ClopusProcess]:
    """Configured, not started. Its cluster does not answer unless the test names another."""
    async with aiohttp.ClientSession() as session:
        directory = tmp_path / "clopus"
        directory.mkdir()
        process = ClopusProcess(directory, session)
        yield process
        process.clean_up()
