"""A real control plane on loopback for tests: etcd, kube-apiserver, kube-controller-manager, kube-scheduler.

RBAC is on, service accounts are issued, every request is in an audit log, and no node runs a container: pods get
their status from whoever plays the kubelet. The programs belong to this object alone; it ends them by their process
ids and removes their data. If the test process is killed they are killed with it.

Standard library only, and synchronous: it outlives the event loops of single tests. Start it from the main thread.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .audit import POLICY, AuditEvent, read_events, written_since

START_DEADLINE = 60.0  # seconds; a start takes about 3 on two idle cores
STOP_DEADLINE = 10.0
NODE_GRACE = "12s"  # a node that stops reporting is NotReady after this; the default of 50 s only slows tests

# A killed test run leaves no servers behind. The signal comes when the thread that started them ends.
_DIE_WITH_PARENT = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []

_ETCD = "etcd"
_API_SERVER = "kube-apiserver"
_CONTROLLERS = "kube-controller-manager"
_SCHEDULER = "kube-scheduler"


class StartFailed(Exception):
    """A program ended or did not answer in time; the message carries the end of its log."""


class ControlPlane:
    """Use as a context manager, or call `start` and `stop`. Nothing is started by the constructor."""

    def __init__(self, assets: Path) -> None:
        self._assets = assets
        self._directory = Path(tempfile.mkdtemp(prefix=f"clopus-control-plane-{os.getpid()}-"))
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        client_port, peer_port, self._port = _free_ports(3)
        self._etcd_url = f"http://127.0.0.1:{client_port}"
        self._etcd_peer_url = f"http://127.0.0.1:{peer_port}"
        self._tokens = {name: secrets.token_hex(16) for name in ("admin", _CONTROLLERS, _SCHEDULER)}

    # -- what tests use ---------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._port}"

    @property
    def ca_file(self) -> Path:
        return self._directory / "tls" / "apiserver.crt"

    @property
    def admin_token(self) -> str:
        """Bearer token of the user `admin`, who is in system:masters."""
        return self._tokens["admin"]

    @property
    def kubeconfig(self) -> Path:
        return self._directory / "admin.kubeconfig"

    @property
    def audit_file(self) -> Path:
        return self._directory / "audit.log"

    def audit(
        self, *, user: str | None = None, namespace: str | None = None, mutating: bool | None = None
    ) -> list[AuditEvent]:
        """The requests that the server has finished so far, oldest first, narrowed to what is asked for."""
        self._flush_audit_log()
        return [
            event
            for event in read_events(self.audit_file, *(word for word in (user, namespace) if word))
            if (user is None or event.user == user)
            and (namespace is None or event.namespace == namespace)
            and (mutating is None or event.mutating == mutating)
        ]

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        content_type: str = "application/json",
    ) -> tuple[int, Any]:
        """One request as `admin`, or with the given token: the status and the decoded body (text if not JSON)."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {token or self.admin_token}", "Content-Type": content_type}
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        context = ssl.create_default_context(cafile=str(self.ca_file))
        try:
            with urllib.request.urlopen(request, context=context, timeout=30) as response:
                return response.status, _decoded(response.read())
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code, _decoded(exc.read())

    def expect(self, method: str, path: str, body: Any = None, *, content_type: str = "application/json") -> Any:
        """As `request`, for set-up that must succeed: the decoded body, or an error with the server's answer."""
        status, answer = self.request(method, path, body, content_type=content_type)
        if not 200 <= status < 300:
            raise AssertionError(f"{method} {path} was answered with {status}: {answer}")
        return answer

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Runs kubectl as `admin`; its output. Raises `CalledProcessError` when it fails."""
        command = [str(self._assets / "kubectl"), f"--kubeconfig={self.kubeconfig}", *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout

    def create_namespace(self, prefix: str = "test", *, labels: dict[str, str] | None = None) -> str:
        """A new namespace with a unique name, usable for pods when this returns."""
        name = f"{prefix}-{uuid.uuid4().hex[:8]}"
        self.expect("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels or {}}})
        self._await_default_service_account(name)
        return name

    def service_account_token(self, namespace: str, name: str) -> str:
        """A token of the named service account, which is created if need be; valid for an hour."""
        collection = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        status, answer = self.request("POST", collection, {"metadata": {"name": name}})
        if status not in (201, 409):
            raise AssertionError(f"creating service account {namespace}/{name}: {status} {answer}")
        token = self.expect("POST", f"{collection}/{name}/token", {"spec": {"expirationSeconds": 3600}})
        return str(token["status"]["token"])

    # -- life -------------------------------------------------------------------------------------------------------

    def __enter__(self) -> ControlPlane:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when the API server is ready and default service accounts are being made.

        Raises:
            StartFailed: a program ended early or was not ready in time. Nothing is left running.
        """
        try:
            self._write_inputs()
            self._launch(_ETCD)
            self._launch(_API_SERVER)
            self._await("the API server to be ready", self._is_ready)
            self._launch(_CONTROLLERS)
            self._launch(_SCHEDULER)
            self._await_default_service_account("default")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        for name in reversed(list(self._processes)):
            self.stop_program(name)
        shutil.rmtree(self._directory, ignore_errors=True)

    def stop_program(self, name: str, *, kill: bool = False) -> None:
        """Ends one program; `kill` gives it no time to say goodbye. `restart_program` brings it back."""
        process = self._processes.pop(name)
        process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            process.wait(1.0 if name == _API_SERVER else STOP_DEADLINE)  # it drains long-lived watches for a minute
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def restart_program(self, name: str) -> None:
        """Starts one program again with its old data and ports; ends it first if it runs."""
        if name in self._processes:
            self.stop_program(name)
        self._launch(name)
        if name in (_ETCD, _API_SERVER):
            self._await("the API server to be ready", self._is_ready)

    def compact_history(self) -> None:
        """Makes etcd forget every version before the present one, as the API server has it do every five minutes."""
        present = self._ask_etcd("range", {"key": base64.b64encode(b"/").decode()})["header"]["revision"]
        self._ask_etcd("compaction", {"revision": present, "physical": True})

    # -- inner workings ---------------------------------------------------------------------------------------------

    def _write_inputs(self) -> None:
        directory = self._directory
        (directory / "audit-policy.yaml").write_text(POLICY)
        (directory / "service-account.key").write_text(_new_ec_key())
        self.audit_file.touch()
        groups = {"admin": "system:masters"}
        users = {name: name if name == "admin" else f"system:{name}" for name in self._tokens}
        lines = [f'{token},{users[name]},{name},"{groups.get(name, "")}"\n' for name, token in self._tokens.items()]
        (directory / "tokens.csv").write_text("".join(lines))
        for name, token in self._tokens.items():
            (directory / f"{name}.kubeconfig").write_text(json.dumps(self._kubeconfig(name, token)))

    def _kubeconfig(self, user: str, token: str) -> dict[str, Any]:
        cluster = {"server": self.url, "certificate-authority": str(self.ca_file)}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
        }

    def _arguments(self, name: str) -> list[str]:
        here = self._directory
        match name:
            case "etcd":
                return [
                    f"--data-dir={here / 'etcd'}",
                    f"--listen-client-urls={self._etcd_url}",
                    f"--advertise-client-urls={self._etcd_url}",
                    f"--listen-peer-urls={self._etcd_peer_url}",
                    "--unsafe-no-fsync",  # the data need not survive the machine
                ]
            case "kube-apiserver":
                return [
                    f"--etcd-servers={self._etcd_url}",
                    "--bind-address=127.0.0.1",
                    "--advertise-address=127.0.0.1",
                    f"--secure-port={self._port}",
                    f"--cert-dir={here / 'tls'}",
                    "--authorization-mode=RBAC",
                    "--allow-privileged=true",
                    f"--token-auth-file={here / 'tokens.csv'}",
                    "--service-account-issuer=https://kubernetes.default.svc",
                    f"--service-account-key-file={here / 'service-account.key'}",
                    f"--service-account-signing-key-file={here / 'service-account.key'}",
                    "--service-cluster-ip-range=10.0.0.0/24",
                    f"--audit-policy-file={here / 'audit-policy.yaml'}",
                    f"--audit-log-path={self.audit_file}",
                    "--audit-log-mode=blocking",
                    "--audit-log-maxsize=10000",  # megabytes; a rotated file would hide events
                    "--endpoint-reconciler-type=none",  # endpoints may not be loopback addresses
                    "--kubelet-preferred-address-types=InternalIP",
                ]
            case "kube-controller-manager":
                return [
                    f"--kubeconfig={here / f'{name}.kubeconfig'}",
                    "--leader-elect=false",
                    "--secure-port=0",
                    "--use-service-account-credentials=true",
                    f"--service-account-private-key-file={here / 'service-account.key'}",
                    f"--root-ca-file={self.ca_file}",
                    f"--node-monitor-grace-period={NODE_GRACE}",
                    "--node-monitor-period=2s",
                ]
            case _:
                return [f"--kubeconfig={here / f'{name}.kubeconfig'}", "--leader-elect=false", "--secure-port=0"]

    def _launch(self, name: str) -> None:
        command = [*_DIE_WITH_PARENT, str(self._assets / name), *self._arguments(name)]
        with (self._directory / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command, cwd=self._directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _await(self, what: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_DEADLINE
        while not condition():
            for name, process in self._processes.items():
                if process.poll() is not None:
                    raise StartFailed(f"{name} ended with {process.returncode}:\n{self._log_tail(name)}")
            if time.monotonic() > deadline:
                raise StartFailed(f"waited {START_DEADLINE:.0f} s for {what}:\n{self._log_tail(_API_SERVER)}")
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        if not self.ca_file.exists():
            return False
        with contextlib.suppress(OSError, ssl.SSLError):
            return self.request("GET", "/readyz")[0] == 200
        return False

    def _await_default_service_account(self, namespace: str) -> None:
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
        self._await(f"the default service account of {namespace}", lambda: self.request("GET", path)[0] == 200)

    def _ask_etcd(self, call: str, body: Any) -> Any:
        """Through its JSON gateway: https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/"""
        request = urllib.request.Request(f"{self._etcd_url}/v3/kv/{call}", data=json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=30) as response:
            return _decoded(response.read())

    def _flush_audit_log(self) -> None:
        # The server may send a long answer before it writes the event; one more request that has been logged shows
        # that the earlier ones have been, too.
        marker, start = uuid.uuid4().hex, self.audit_file.stat().st_size
        self.expect("GET", f"/version?marker={marker}")
        self._await("the audit log", lambda: written_since(self.audit_file, start, marker))

    def _log_tail(self, name: str) -> str:
        return "\n".join((self._directory / f"{name}.log").read_text(errors="replace").splitlines()[-20:])


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def _free_ports(count: int) -> list[int]:
    """Ports below the range from which the kernel serves outgoing connections, so that none of these takes them."""
    with contextlib.ExitStack() as held:
        return [_free_port(held) for _ in range(count)]


def _free_port(held: contextlib.ExitStack) -> int:
    for port in _candidates():
        candidate = held.enter_context(socket.socket())
        with contextlib.suppress(OSError):
            candidate.bind(("127.0.0.1", port))
            return port
    raise AssertionError("unreachable: the candidates do not end")


def _candidates() -> Iterator[int]:
    while True:
        yield 20_000 + secrets.randbelow(12_000)


def _new_ec_key() -> str:
    """A P-256 key in SEC 1 form (RFC 5915) without its public half, which Go computes on reading."""
    der = bytes.fromhex("30310201010420") + secrets.token_bytes(32) + bytes.fromhex("a00a06082a8648ce3d030107")
    return f"-----BEGIN EC PRIVATE KEY-----\n{base64.b64encode(der).decode()}\n-----END EC PRIVATE KEY-----\n"
