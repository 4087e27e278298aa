"""The load generator of `ingest`, a process of its own: N keep-alive connections, one request in flight on each.

One epoll loop over plain sockets, because it has to cost less than the server it measures: its own share of a core is
part of its answer, and at 1.0 the figures are about this program. Every request has three alerts that nobody has sent
before, in an Alertmanager body of 3.0 KB.

    python -m benchmarks.load --port 8080 --path /webhook --token T --connections 64 --seconds 3 --first 0
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

WARM_UP_SECONDS = 0.5
BODY_BYTES = 3_000
ALERTS_PER_BODY = 3


@dataclass(frozen=True, kw_only=True)
class Load:
    """What one measurement saw."""

    requests: int
    seconds: float
    not_ok: int
    """Answers other than 200; they are not among `requests`."""
    p50_ms: float
    p99_ms: float
    client_core: float
    """CPU time of the load generator per wall time."""
    next_number: int
    """Where the numbers of the next measurement may begin without repeating an alert."""

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def request_template(port: int, path: str, token: str, starts_at: str) -> bytes:
    """A whole request with nine places for a number: each alert's pod name, description and fingerprint."""
    body = _body(starts_at, padding=0)
    body = _body(starts_at, padding=(BODY_BYTES - len(_filled(body))) // ALERTS_PER_BODY)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: Alertmanager/0.31.1\r\n"
        f"Content-Length: {len(_filled(body))}\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: application/json\r\n\r\n"
    )
    return head.encode() + body


def _body(starts_at: str, *, padding: int) -> bytes:
    labels = {"alertname": "KubePodCrashLooping", "namespace": "shop", "severity": "warning", "container": "web"}
    alert = {
        "status": "firing",
        "labels": {**labels, "job": "kube-state-metrics", "pod": "web-@"},
        "annotations": {
            "description": "Pod shop/web-@ (web) is in waiting state (reason: CrashLoopBackOff)." + "." * padding,
            "summary": "Pod is crash looping.",
        },
        "startsAt": starts_at,
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.monitoring:9090/graph?g0.expr=increase",
        "fingerprint": "@",
    }
    document = {
        "receiver": "clopus",
        "status": "firing",
        "alerts": [alert] * ALERTS_PER_BODY,
        "groupLabels": {"alertname": "KubePodCrashLooping"},
        "commonLabels": labels,
        "commonAnnotations": {"summary": "Pod is crash looping."},
        "externalURL": "http://alertmanager.monitoring:9093",
        "version": "4",
        "groupKey": '{}:{alertname="KubePodCrashLooping"}',
        "truncatedAlerts": 0,
    }
    return json.dumps(document, separators=(",", ":")).encode().replace(b"@", b"%016x")


def _filled(template: bytes) -> bytes:
    return template % numbers(0)


def numbers(request: int) -> tuple[int, ...]:
    first = request * ALERTS_PER_BODY
    return tuple(number for n in range(ALERTS_PER_BODY) for number in [first + n] * 3)


class _Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.sent_at = 0.0

    def send(self, request: bytes) -> None:
        self.received = b""
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def complete(self) -> int:
        """Read what is there: the status once the whole answer has come, until then 0."""
        data = self.socket.recv(65_536)
        if not data:
            raise ConnectionError("the server closed a connection")
        self.received += data
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator:
            return 0
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        return int(head[9:12]) if len(body) >= length else 0


def measure(*, port: int, path: str, token: str, connections: int, seconds: float, first: int) -> Load:
    template = request_template(port, path, token, datetime.now(UTC).isoformat().replace("+00:00", "Z"))
    number = first
    latencies: list[float] = []
    not_ok = 0
    poll = select.epoll()
    by_descriptor = {}
    for _ in range(connections):
        connection = _Connection(port)
        by_descriptor[connection.socket.fileno()] = connection
        poll.register(connection.socket, select.EPOLLIN)
        connection.send(template % numbers(number))
        number += 1
    begins = time.perf_counter() + WARM_UP_SECONDS
    ends = begins + seconds
    cpu = 0.0
    while (now := time.perf_counter()) < ends:
        if not cpu and now >= begins:
            cpu = time.process_time()
        for descriptor, _ in poll.poll(0.1):
            connection = by_descriptor[descriptor]
            status = connection.complete()
            if not status:
                continue
            answered_at = time.perf_counter()
            if answered_at >= begins:
                if status == 200:
                    latencies.append(answered_at - connection.sent_at)
                else:
                    not_ok += 1
            connection.send(template % numbers(number))
            number += 1
    cpu = time.process_time() - cpu
    for connection in by_descriptor.values():
        connection.socket.close()
    if not latencies:
        sys.exit(f"no request was answered with 200, {not_ok} with another status")
    latencies.sort()
    return Load(
        requests=len(latencies),
        seconds=seconds,
        not_ok=not_ok,
        p50_ms=1000 * latencies[len(latencies) // 2],
        p99_ms=1000 * latencies[len(latencies) * 99 // 100],
        client_core=cpu / seconds,
        next_number=number,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--first", type=int, required=True)
    json.dump(asdict(measure(**vars(parser.parse_args()))), sys.stdout)


if __name__ == "__main__":
    main()
