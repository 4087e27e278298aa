"""The console on a real responder over the embedded cluster, driven by keys."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from console.app import ConsoleApp
from console.decision import TOO_SOON_SECONDS
from console.remote.client import Client, path_of
from console.widgets.bars import Plain, TopBar
from console.widgets.lineview import LineView
from responder.app import Responder
from responder.cluster.client import Client as ClusterClient
from responder.cluster.kubernetes import KubernetesCluster
from responder.domain.incident import Incident
from responder.domain.plan import Plan
from responder.domain.views import IncidentDetail, IncidentPage
from responder.sandbox import Sandbox
from responder.settings import load_settings

DEADLINE = 30.0
TOKENS = {
    "alertmanager": "webhook-token-of-the-tests",
    "ann": "operator-token-of-the-tests",
    "ben": "another-operator-token-of-the-tests",
    "vera": "viewer-token-of-the-tests",
}

SHOP = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: storefront, namespace: shop}
spec:
  replicas: 1
  selector: {matchLabels: {app: storefront}}
  template:
    metadata: {labels: {app: storefront}}
    spec:
      containers:
        - {name: web, image: 'nignx:1.27', ports: [{containerPort: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: assets, namespace: shop}
spec:
  replicas: 1
  selector: {matchLabels: {app: assets}}
  template:
    metadata: {labels: {app: assets}}
    spec:
      containers:
        - {name: nginx, image: 'nginx:1.27', ports: [{containerPort: 80}]}
"""
RULES = """
rules:
  - name: images
    match: {alerts: [KubeContainerWaiting]}
    mode: MODE
    actions: [set_image, undo_rollout]
    max_risk: medium
    verify: {settle: 1s, within: 20s}
"""


@dataclass(kw_only=True)
class Stage:
    """A shop with a mistyped image, and a responder that may be stopped and started on its port."""

    sandbox: Sandbox
    folder: Path
    mode: str
    rules: str = RULES
    port: int = 0
    responder: Responder | None = None
    cluster: KubernetesCluster | None = None

    @property
    def client(self) -> Client:
        return Client(f"http://127.0.0.1:{self.port}", token=TOKENS["ann"], timeout_seconds=5.0)

    async def start(self) -> None:
        (self.folder / "webhook").write_text(f"alertmanager:{TOKENS['alertmanager']}\n", encoding="utf-8")
        operators = "".join(f"{name}:{TOKENS[name]}\n" for name in ("ann", "ben"))
        (self.folder / "operators").write_text(operators, encoding="utf-8")
        (self.folder / "viewers").write_text(f"vera:{TOKENS['vera']}\n", encoding="utf-8")
        (self.folder / "rules.yaml").write_text(self.rules.replace("MODE", self.mode), encoding="utf-8")
        config = {
            "server": {"host": "127.0.0.1", "port": self.port},
            "auth": {
                "webhook_token_file": str(self.folder / "webhook"),
                "operator_tokens_file": str(self.folder / "operators"),
                "viewer_tokens_file": str(self.folder / "viewers"),
            },
            "store": {"path": str(self.folder / "clopus.duckdb")},
            "cluster": {"namespaces": ["shop"], "own_namespace": "clopus"},
            "rules": {"paths": [str(self.folder / "rules.yaml")]},
            "watch": {"enabled": False},
        }
        path = self.folder / "clopus.yaml"
        path.write_text(json.dumps(config), encoding="utf-8")
        token = self.sandbox.add_token("system:serviceaccount:clopus:clopus", groups=("system:masters",))
        self.cluster = KubernetesCluster(ClusterClient.from_token(url=self.sandbox.url, token=token))
        self.responder = await Responder.start(load_settings(path, {}), cluster=self.cluster)
        self.port = self.responder.port

    async def stop(self) -> None:
        if self.responder is not None:
            await self.responder.stop()
            self.responder = None

    async def post(self, *labels: Mapping[str, str]) -> None:
        starts_at = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
        everything = [
            {"status": "firing", "labels": {"namespace": "shop", **each}, "annotations": {}, "startsAt": starts_at}
            for each in labels
        ]
        body = {"version": "4", "status": "firing", "receiver": "clopus", "alerts": everything}
        sender = Client(self.client.url, token=TOKENS["alertmanager"])
        await asyncio.to_thread(sender.send, dict, "POST", "/webhook/alertmanager", body)

    async def image_alert(self) -> None:
        """About the pod that cannot pull, once the cluster says so."""

        async def waiting_pods() -> list[Any]:
            assert self.cluster is not None
            pods = await self.cluster.list("Pod", "shop", label_selector="app=storefront")
            return [pod.ref.name for pod in pods if _cannot_pull(pod.body)]

        (pod, *_) = await until(waiting_pods, "no pod fails to pull")
        await self.post(
            {
                "alertname": "KubeContainerWaiting",
                "pod": pod,
                "container": "web",
                "reason": "ImagePullBackOff",
                "severity": "warning",
            }
        )

    async def incidents(self) -> tuple[Incident, ...]:
        page = await asyncio.to_thread(self.client.get, IncidentPage, path_of("incidents"), limit=500)
        return page.incidents

    async def incident(self, holds: Callable[[Incident], bool], key: str = "Deployment/shop/storefront") -> Incident:
        async def found() -> list[Incident]:
            return [item for item in await self.incidents() if item.key == key and holds(item)]

        (incident, *_) = await until(found, f"{key} did not get there")
        return incident

    async def detail(self, incident_id: str) -> IncidentDetail:
        return await asyncio.to_thread(self.client.get, IncidentDetail, path_of("incidents", incident_id))

    async def approve(self, plan: Plan, by: str = "ann") -> None:
        """As another session would."""
        path = path_of("plans", plan.id, "approve")
        sender = Client(self.client.url, token=TOKENS[by], timeout_seconds=5.0)
        await asyncio.to_thread(sender.send, Plan, "POST", path, {"digest": plan.digest})

    async def reject(self, plan: Plan, reason: str) -> None:
        await asyncio.to_thread(self.client.send, Plan, "POST", path_of("plans", plan.id, "reject"), {"reason": reason})

    @asynccontextmanager
    async def console(
        self, size: tuple[int, int] = (100, 30), token: str = TOKENS["ann"], poll_seconds: float = 0.15, **more: Any
    ) -> AsyncIterator[Driver]:
        """`more` are settings of the app."""
        client = Client(f"http://127.0.0.1:{self.port}", token=token, timeout_seconds=5.0)
        app = ConsoleApp(client, poll_seconds=poll_seconds, **more)
        async with app.run_test(size=size) as pilot:
            yield Driver(app=app, pilot=pilot)


@dataclass(kw_only=True)
class Driver:
    """Presses keys and reads what stands on the screen."""

    app: ConsoleApp
    pilot: Pilot[None]

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        names = {" ": "space", ":": "colon", "-": "minus", "/": "slash", ".": "full_stop"}
        await self.pilot.press(*(names.get(character, character) for character in text))

    @property
    def text(self) -> str:
        """Everything that is drawn, row by row, toasts included."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip if not segment.control) for strip in strips)

    def said(self, selector: str) -> str:
        return self.app.screen.query_one(selector, Plain).said

    @property
    def bar(self) -> str:
        return self.app.screen.query_one(TopBar).said

    def lines(self, selector: str) -> list[str]:
        """All lines of a view, also those that are not on the screen."""
        view = self.app.screen.query_one(selector, LineView)
        return [view.line_at(index).text for index in range(view.count())]

    async def sees(self, text: str) -> None:
        await until(lambda: text in self.text, lambda: f"{text!r} is not on the screen:\n{self.text}")

    async def reads(self) -> None:
        """For as long as the first key of an approval has to be old before a second one counts."""
        await asyncio.sleep(TOO_SOON_SECONDS + 0.05)

    async def until(self, holds: Callable[[], Any], otherwise: str) -> Any:
        return await until(holds, lambda: f"{otherwise}:\n{self.text}")


async def until(holds: Callable[[], Any], otherwise: str | Callable[[], str]) -> Any:
    """Wait until `holds`, which may be asynchronous, gives something true, and return that."""
    deadline = time.monotonic() + DEADLINE
    while True:
        found = holds()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        if time.monotonic() > deadline:
            pytest.fail(otherwise if isinstance(otherwise, str) else otherwise())
        await asyncio.sleep(0.03)


def _cannot_pull(pod: Mapping[str, Any]) -> bool:
    statuses: Iterable[Any] = pod.get("status", {}).get("containerStatuses", ())
    return any(each.get("state", {}).get("waiting", {}).get("reason") == "ImagePullBackOff" for each in statuses)


@pytest.fixture
async def stage(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """Rules are in dry-run mode, or in the one of a `mode` mark's argument."""
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox(namespaces=("shop",), speed=20.0))
        await sandbox.apply_yaml(SHOP)
        stage = Stage(sandbox=sandbox, folder=tmp_path, mode=getattr(request, "param", "dry-run"))
        stack.push_async_callback(stage.stop)
        await stage.start()
        yield stage


FAKE_KUBECTL = """#!{python} -I
import json, os, pathlib, signal, socket, sys, threading

folder = pathlib.Path({folder!r})
count = len(list(folder.glob("argv-*")))
(folder / f"argv-{{count}}").write_text(json.dumps([sys.argv[1:], sorted(os.environ)]))
if (folder / "refuse").exists():
    sys.exit("error: " + (folder / "refuse").read_text())


def drop(number, frame):
    print("error: lost connection to pod \\x1b[31m", file=sys.stderr, flush=True)
    os._exit(1)


def pour(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve(near):
    far = socket.create_connection(("127.0.0.1", int((folder / "target").read_text())))
    threading.Thread(target=pour, args=(far, near), daemon=True).start()
    pour(near, far)


signal.signal(signal.SIGUSR1, drop)
if (folder / "stubborn").exists():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
listener = socket.create_server(("127.0.0.1", 0))
(folder / "pid").write_text(str(os.getpid()))
print(f"Forwarding from 127.0.0.1:{{listener.getsockname()[1]}} -> 8080", flush=True)
print("Forwarding from [::1]:1 -> 8080", flush=True)
while True:
    near, _ = listener.accept()
    print("Handling connection for 8080", flush=True)
    threading.Thread(target=serve, args=(near,), daemon=True).start()
"""


@dataclass(frozen=True, kw_only=True)
class FakeKubectl:
    """Forwards connections as the real one does, drops them when told, and remembers how it was called."""

    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / "bin" / "kubectl"

    def leads_to(self, port: int) -> None:
        (self.folder / "target").write_text(str(port))

    def refuses(self, why: str) -> None:
        (self.folder / "refuse").write_text(why)

    def accepts(self) -> None:
        (self.folder / "refuse").unlink()

    def ignores_sigterm(self) -> None:
        (self.folder / "stubborn").touch()

    def drop(self) -> None:
        os.kill(self.pid, signal.SIGUSR1)

    @property
    def pid(self) -> int:
        return int((self.folder / "pid").read_text())

    @property
    def is_running(self) -> bool:
        return (self.folder / "pid").exists() and Path(f"/proc/{self.pid}").exists()

    @property
    def calls(self) -> list[tuple[list[str], list[str]]]:
        """Arguments, and names in the environment."""
        paths = sorted(self.folder.glob("argv-*"), key=lambda path: int(path.name.partition("-")[2]))
        return [tuple(json.loads(path.read_text())) for path in paths]


@pytest.fixture
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> FakeKubectl:
    fake = FakeKubectl(folder=tmp_path_factory.mktemp("kubectl"))
    fake.path.parent.mkdir()
    fake.path.write_text(FAKE_KUBECTL.format(python=sys.executable, folder=str(fake.folder)))
    fake.path.chmod(0o755)
    return fake


@pytest.fixture
def hanging_port() -> Iterator[int]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        yield port


@pytest.fixture
def viewer() -> str:
    """The token of somebody who may look and decide nothing."""
    return TOKENS["vera"]
