"""A real Alertmanager posts to a real `clopus serve`: the oldest supported release and the newest one that installs."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from responder.sandbox import Sandbox

sys.path.insert(0, str(Path(__file__).parents[1] / "cluster"))

from rig import binaries

pytestmark = pytest.mark.alertmanager

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "storefront", "namespace": "shop"},
    "spec": {
        "selector": {"matchLabels": {"app": "storefront"}},
        "template": {
            "metadata": {"labels": {"app": "storefront"}},
            "spec": {"containers": [{"name": "web", "image": "nginx:1.27"}]},
        },
    },
}
KEY = "Deployment/shop/storefront"
LABELS = ("alertname=KubeDeploymentReplicasMismatch", "namespace=shop", "deployment=storefront", "severity=warning")
CONFIG = """
route: {{receiver: clopus, group_by: [alertname, namespace], group_wait: 0s, group_interval: 1s, repeat_interval: 4h}}
receivers:
  - name: clopus
    webhook_configs:
      - url: http://127.0.0.1:{port}/webhook/alertmanager
        http_config: {{authorization: {{type: Bearer, credentials_file: {token_file}}}}}
"""


class Alertmanager:
    def __init__(self, server: Path, amtool: Path, directory: Path, *, clopus_port: int, token: str) -> None:
        directory.mkdir()
        (directory / "token").write_text(token)
        config = directory / "alertmanager.yml"
        config.write_text(CONFIG.format(port=clopus_port, token_file=directory / "token"))
        self._amtool, self._log = amtool, directory / "log"
        command = [str(server), f"--config.file={config}", f"--storage.path={directory / 'data'}"]
        command += ["--web.listen-address=127.0.0.1:0", "--cluster.listen-address="]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=directory)

    @property
    def address(self) -> str:
        """'' until it listens."""
        if self._process.poll() is not None:
            pytest.fail(f"Alertmanager ended:\n{self._log.read_text()}")
        found = re.search(r'msg="Listening on" address=(\S+)', self._log.read_text())
        return found[1] if found else ""

    async def alert(self, *, starts_at: datetime, ends_at: datetime | None = None) -> None:
        """Raise the alert, or resolve it with an end."""
        command = [str(self._amtool), "alert", "add", f"--alertmanager.url=http://{self.address}", *LABELS]
        command += [f"--start={starts_at.isoformat()}", "--annotation=summary=Deployment has not matched its replicas."]
        command += [f"--end={ends_at.isoformat()}"] if ends_at else []
        await asyncio.to_thread(subprocess.run, command, check=True, timeout=30, env=os.environ | {"HOME": "/nowhere"})

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


class Relay:
    """Between Alertmanager and Clopus. Kills Clopus when its first answer is on the way, and passes that on, or not.

    A context: when it is left, nobody listens and every connection is closed.
    """

    def __init__(self, clopus: Any, *, pass_on: bool) -> None:
        self._clopus, self._pass_on = clopus, pass_on
        self._connections: set[asyncio.Task[None]] = set()
        self.answers: list[bytes] = []
        self.killed = asyncio.Event()

    async def __aenter__(self) -> Relay:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(connection)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with _closing(writer):
            with suppress(OSError):
                upstream, to_upstream = await asyncio.open_connection("127.0.0.1", self._clopus.port)
                async with _closing(to_upstream):
                    requests = asyncio.create_task(_copy(reader, to_upstream))
                    try:
                        await self._answer(upstream, writer)
                    finally:
                        requests.cancel()
                        await asyncio.gather(requests, return_exceptions=True)

    async def _answer(self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while answer := await upstream.read(65_536):
            self.answers.append(answer)
            if not self.killed.is_set():
                await self._clopus.kill()
                self.killed.set()
                if not self._pass_on:
                    return
            writer.write(answer)
            await writer.drain()


@asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """Closed once this is left: what was written is sent first."""
    try:
        yield
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)


@pytest.fixture(scope="session", params=["debian", "newest"])
def programs(request: pytest.FixtureRequest) -> tuple[Path, Path]:
    """The server and its amtool."""
    try:
        if request.param == "newest":
            directory = binaries.alertmanager(build=False)
            return directory / "alertmanager", directory / "amtool"
        server, amtool = binaries.debian_alertmanager(), shutil.which("amtool")
    except binaries.Missing as exc:
        if request.param == "newest" and "ALERTMANAGER_ASSETS" in os.environ:
            pytest.fail(str(exc))
        pytest.skip(str(exc))
    if amtool is None:
        pytest.skip("amtool is not installed (Debian: apt-get install prometheus-alertmanager)")
    return server, Path(amtool)


@pytest.fixture
async def running(clopus: Any) -> AsyncIterator[Any]:
    """Clopus, ready, with a cluster that has the deployment the alert is about."""
    async with Sandbox(namespaces=("shop",), kubelet=False) as sandbox:
        await sandbox.create(DEPLOYMENT)
        token = clopus.directory / "cluster-token"
        token.write_text(sandbox.token)
        clopus.sections["cluster"] |= {"api_url": sandbox.url, "token_file": str(token)}
        await clopus.start()
        yield clopus
        clopus.clean_up()


@pytest.fixture
def start_alertmanager(
    programs: tuple[Path, Path], tmp_path: Path, until: Callable[..., Any], clopus: Any
) -> Iterator[Callable[[int], Any]]:
    started: list[Alertmanager] = []

    async def start(clopus_port: int) -> Alertmanager:
        token = (clopus.directory / "webhook-token").read_text().partition(":")[2].strip()
        directory = tmp_path / f"alertmanager-{len(started)}"
        started.append(Alertmanager(*programs, directory, clopus_port=clopus_port, token=token))
        await until(lambda: started[-1].address, "Alertmanager does not listen")
        return started[-1]

    yield start
    for alertmanager in started:
        alertmanager.stop()


@pytest.fixture
def starts_at() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


async def test_an_alert_becomes_an_incident_and_its_resolve_ends_it(
    running: Any, start_alertmanager: Any, until: Callable[..., Any], starts_at: datetime
) -> None:
    alertmanager = await start_alertmanager(running.port)
    await alertmanager.alert(starts_at=starts_at)
    incident = (await until(running.incidents, "no incident"))[0]
    assert (incident["key"], incident["labels"]["alertname"]) == (KEY, "KubeDeploymentReplicasMismatch")

    await alertmanager.alert(starts_at=starts_at, ends_at=datetime.now(UTC))

    async def resolved() -> bool:
        return [found["state"] for found in await running.incidents()] == ["resolved"]

    await until(resolved, "the incident does not end")


@pytest.mark.inv(1)
async def test_a_post_that_a_dying_process_never_read_arrives_after_the_restart(
    running: Any, start_alertmanager: Any, until: Callable[..., Any], starts_at: datetime
) -> None:
    running.send(signal.SIGSTOP)
    alertmanager = await start_alertmanager(running.port)
    await alertmanager.alert(starts_at=starts_at)
    await until(lambda: _unread_bytes(running.port), "Alertmanager does not post")
    await running.kill()
    await running.start()
    await until(running.incidents, "the alert was lost")
    assert [incident["key"] for incident in await running.incidents()] == [KEY]


@pytest.mark.inv(1, 4)
@pytest.mark.parametrize("answer", ["arrives", "is lost"])
async def test_a_kill_right_after_the_commit_loses_nothing_and_doubles_nothing(
    running: Any, start_alertmanager: Any, until: Callable[..., Any], starts_at: datetime, answer: str
) -> None:
    async with Relay(running, pass_on=answer == "arrives") as relay:
        alertmanager = await start_alertmanager(relay.port)
        await alertmanager.alert(starts_at=starts_at)
        async with asyncio.timeout(30):
            await relay.killed.wait()
        await running.start()
        if answer == "is lost":
            await until(lambda: len(relay.answers) > 1, "Alertmanager does not post again")
        await until(running.incidents, "the alert was lost")
        alertmanager.stop()
    assert relay.answers[0].startswith(b"HTTP/1.1 200 ")
    assert all(b'"duplicates":1' in again for again in relay.answers[1:])
    assert [incident["key"] for incident in await running.incidents()] == [KEY]


@pytest.mark.inv(4)
async def test_two_alertmanagers_with_the_same_alert_make_one_incident(
    running: Any, start_alertmanager: Any, until: Callable[..., Any], starts_at: datetime
) -> None:
    for alertmanager in [await start_alertmanager(running.port) for _ in range(2)]:
        await alertmanager.alert(starts_at=starts_at)

    async def received() -> tuple[int, int]:
        _, page, _ = await running.call("GET", "/api/v1/audit?event=alerts_received")
        details = [record["detail"] for record in page["records"]]
        return sum(detail["accepted"] for detail in details), sum(detail["duplicates"] for detail in details)

    async def both() -> bool:
        return sum(await received()) == 2

    await until(both, "two posts do not arrive")
    assert await received() == (1, 1)
    await until(running.incidents, "no incident")
    assert [incident["key"] for incident in await running.incidents()] == [KEY]


def _unread_bytes(port: int) -> int:
    """Bytes that wait in the kernel for the process that listens on `port`, over all its connections."""
    waiting = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, queues, *_ = line.split()
        if state == "01" and int(local.rpartition(":")[2], 16) == port:
            waiting += int(queues.partition(":")[2], 16)
    return waiting
