"""Startup, readiness and liveness probes: the answer of one probe, and what a row of answers means.

Decides: whether a probe of a live process succeeds, the kubelet's words when it does not, and the counting against
the thresholds. Leaves restarting a container to `podmachine`.

Source of the sentences: pkg/kubelet/prober and pkg/probe of Kubernetes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from responder.sandbox.commands import answers
from responder.sandbox.process import Process, StartFailure

Json = dict[str, Any]
_FIRST_PROBE: Final = 1.0
"""Seconds that pass at least between the start and the first probe, in which a quick program begins to listen."""


class ProbeKind(StrEnum):
    STARTUP = "Startup"
    READINESS = "Readiness"
    LIVENESS = "Liveness"

    @property
    def key(self) -> str:
        """The field of the container's spec."""
        return f"{self.value.lower()}Probe"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One probe's result; `message` is what the Unhealthy event carries."""

    ok: bool
    message: str = ""


@dataclass(kw_only=True)
class ProbeTimer:
    """The row of answers of one probe since the container started. Times are simulated seconds."""

    kind: ProbeKind
    spec: Json
    next_at: float
    successes: int = 0
    failures: int = 0
    passed: bool = False

    def record(self, answer: Answer, now: float) -> bool:
        """Counts an answer; True when a threshold is reached for the first time or the verdict changes."""
        self.next_at = now + self.period
        before = self.passed, self.exhausted
        if answer.ok:
            self.successes, self.failures = self.successes + 1, 0
            self.passed = self.passed or self.successes >= self.spec.get("successThreshold", 1)
        else:
            self.successes, self.failures = 0, self.failures + 1
            self.passed = self.passed and not self.exhausted
        return before != (self.passed, self.exhausted)

    @property
    def period(self) -> float:
        return float(self.spec.get("periodSeconds", 10))

    @property
    def exhausted(self) -> bool:
        return self.failures >= int(self.spec.get("failureThreshold", 3))


def timers(container: Json, started: float) -> dict[ProbeKind, ProbeTimer]:
    """The timers of a container that starts now."""
    return {
        kind: ProbeTimer(
            kind=kind, spec=spec, next_at=started + max(_FIRST_PROBE, float(spec.get("initialDelaySeconds", 0)))
        )
        for kind in ProbeKind
        if (spec := container.get(kind.key))
    }


def probe(kind: ProbeKind, spec: Json, container: Json, process: Process, pod_ip: str) -> Answer:
    """Asks a process that has been advanced to the present."""
    if "exec" in spec:
        return _exec(kind, spec["exec"].get("command") or (), process)
    if "httpGet" in spec:
        return _http(kind, spec, container, process, pod_ip)
    if "tcpSocket" in spec:
        return _tcp(kind, spec["tcpSocket"], container, process, pod_ip)
    port = _port((spec.get("grpc") or {}).get("port", 0), container)
    ok = port in process.box.listening
    refusal = f'timeout: failed to connect service "{pod_ip}:{port}" within {spec.get("timeoutSeconds", 1)}s: '
    return Answer(ok=ok, message="" if ok else f"{kind} probe failed: {refusal}context deadline exceeded")


def _port(port: int | str, container: Json) -> int:
    """A port number, or the containerPort of that name; 0 when the container declares none of that name."""
    if isinstance(port, int) or str(port).isdecimal():
        return int(port)
    return next((int(p["containerPort"]) for p in container.get("ports") or () if p.get("name") == port), 0)


def _errored(kind: ProbeKind, reason: str) -> Answer:
    return Answer(ok=False, message=f"{kind} probe errored and resulted in unknown state: {reason}")


def _http(kind: ProbeKind, spec: Json, container: Json, process: Process, pod_ip: str) -> Answer:
    get = spec["httpGet"]
    port = _port(get["port"], container)
    if not port:
        return _errored(kind, f"couldn't find port: {get['port']}")
    scheme, host, path = get.get("scheme", "HTTP").lower(), get.get("host") or pod_ip, get.get("path") or "/"
    url = f"{scheme}://{host}:{port}/{path.removeprefix('/')}"
    listener = process.box.listening.get(port)
    if listener is None:
        return Answer(ok=False, message=f'{kind} probe failed: Get "{url}": {_refused(host, port)}')
    if scheme == "https":
        reason = "http: server gave HTTP response to HTTPS client"
        return Answer(ok=False, message=f'{kind} probe failed: Get "{url}": {reason}')
    if listener.answer_seconds > float(spec.get("timeoutSeconds", 1)):
        reason = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return Answer(ok=False, message=f'{kind} probe failed: Get "{url}": {reason}')
    if answers(listener, path):
        return Answer(ok=True)
    return Answer(ok=False, message=f"{kind} probe failed: HTTP probe failed with statuscode: 404")


def _tcp(kind: ProbeKind, socket: Json, container: Json, process: Process, pod_ip: str) -> Answer:
    port = _port(socket["port"], container)
    if not port:
        return _errored(kind, f"couldn't find port: {socket['port']}")
    if port in process.box.listening:
        return Answer(ok=True)
    return Answer(ok=False, message=f"{kind} probe failed: {_refused(socket.get('host') or pod_ip, port)}")


def _refused(host: str, port: int) -> str:
    return f"dial tcp {host}:{port}: connect: connection refused"


def _exec(kind: ProbeKind, command: tuple[str, ...] | list[str], process: Process) -> Answer:
    try:
        code, output = process.run_inside(tuple(command))
    except StartFailure as failure:
        return _errored(
            kind,
            "rpc error: code = Unknown desc = failed to exec in container: failed to start exec: OCI runtime exec "
            f"failed: exec failed: unable to start container process: {failure}",
        )
    return Answer(ok=True) if code == 0 else Answer(ok=False, message=f"{kind} probe failed: {output}")
