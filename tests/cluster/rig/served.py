"""A world whose responder is `clopus serve`, a process of its own: it can be killed, ended, and started again."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from responder.domain.audit import AuditHead, AuditReport
from responder.fixer.failpoints import VARIABLE
from responder.store import audit
from responder.store.chainhead import ChainHead
from responder.store.connection import Connection
from responder.store.store import Store
from rig.world import DEADLINE, World

_LISTENS = "clopus listens on "

# A killed test run leaves no responder behind. The signal comes when the thread that started it ends.
_DIE_WITH_PARENT = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []


@dataclass(kw_only=True)
class Served(World):
    """Every start uses the same folder, so the same database; the port is a new one each time."""

    sections: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings over the defaults of the world."""
    _process: subprocess.Popen[bytes] | None = None
    _port: int = 0

    @classmethod
    def over(cls, world: World) -> Self:
        """The same namespace, cluster and folder."""
        given = {f.name: getattr(world, f.name) for f in fields(World) if not f.name.startswith("_")}
        return cls(**given)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def log(self) -> str:
        """Standard error of all starts so far."""
        path = self.folder / "stderr"
        return path.read_text() if path.exists() else ""

    def launch(self, rules: str, *, failpoint: str = "") -> None:
        """Start the process without waiting for anything. It dies where `failpoint` says."""
        self.settings(rules, **self.sections)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CLOPUS_")}
        serve = [sys.executable, "-m", "responder", "serve", "--config", str(self.folder / "clopus.yaml")]
        with (self.folder / "stderr").open("ab") as log:
            self._process = subprocess.Popen(
                [*_DIE_WITH_PARENT, *serve],
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**environment, VARIABLE: failpoint},
            )

    async def serve(self, rules: str, *, failpoint: str = "") -> None:
        """Returns once it takes alerts."""
        before = len(self.log)
        self.launch(rules, failpoint=failpoint)
        line = await until(lambda: self._announced(self.log[before:]), "clopus does not listen")
        self._port = int(line.rpartition(":")[2])

    async def ended(self) -> int:
        """The exit status, once there is one."""
        process = self._process
        assert process is not None
        await until(lambda: process.poll() is not None, "clopus does not end")
        return process.wait()

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def terminate(self) -> tuple[int, float]:
        """SIGTERM: the exit status, and the seconds until it came."""
        started = time.monotonic()
        self.send(signal.SIGTERM)
        return await self.ended(), time.monotonic() - started

    async def kill(self) -> None:
        self.send(signal.SIGKILL)
        await self.ended()

    async def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            await self.kill()
        await super().stop()

    async def command(self, *arguments: str) -> tuple[int, str]:
        """`clopus` as an operator runs it, against this responder: exit status and output."""
        token = self.folder / "own-token"
        token.write_text(self.operator()._token, encoding="utf-8")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "responder", *arguments, "--url", self.url, "--token-file", str(token)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode()

    def on_record(self, query: Callable[[Connection], Any]) -> Any:
        """Ask the database of a responder that has ended."""
        return asyncio.run(self._query(query))

    async def ask_record(self, query: Callable[[Connection], Any]) -> Any:
        return await asyncio.to_thread(self.on_record, query)

    async def _query(self, query: Callable[[Connection], Any]) -> Any:
        store = Store.open(self.folder / "clopus.duckdb")
        try:
            return await store.read(query)
        finally:
            store.close()

    async def chain(self) -> AuditReport:
        """The chain of a responder that has ended, held against the head outside the database."""
        head = self.head()
        assert head is not None
        report: AuditReport = await self.ask_record(lambda con: audit.verify(con, head))
        return report

    def head(self) -> AuditHead | None:
        sidecar = ChainHead.open(self.folder / "clopus.duckdb.head")
        try:
            return sidecar.read()
        finally:
            sidecar.close()

    def _announced(self, log: str) -> str:
        if self._process is not None and self._process.poll() is not None:
            raise AssertionError(f"clopus ended with {self._process.returncode}:\n{log}")
        return next((line for line in log.splitlines() if line.startswith(_LISTENS)), "")


async def until(condition: Callable[[], Any], otherwise: str, *, within_seconds: float = DEADLINE) -> Any:
    """Wait until `condition`, which may be asynchronous, gives something true, and return that."""
    deadline = time.monotonic() + within_seconds
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{otherwise}, after {within_seconds:g} s")
        await asyncio.sleep(0.05)
