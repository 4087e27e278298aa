"""`kubectl port-forward`, kept up for as long as the console runs.

kubectl listens on a port of its own choice, tells it on its first lines, and ends when the pod behind it goes; a new
one is then begun, with growing gaps. While none is up nobody may be called: the port that was ours may by then be
another program's, which must not be shown the operator's token. Who calls is told through `Forward.told`.
https://kubernetes.io/docs/reference/kubectl/generated/kubectl_port-forward/
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from console.lines.formatting import flat

_LISTENS = re.compile(r"Forwarding from 127\.0\.0\.1:(\d{1,5}) -> ")
_CHATTER = ("Forwarding from ", "Handling connection for ")
_MOST_CHARACTERS = 200
"""Of what kubectl complains about; the first line of it is the reason."""
_DOUBTS = 3
"""Calls in a row that got no answer: kubectl may hold on to a pod that is gone."""


class Phase(StrEnum):
    STARTING = "starting"
    UP = "up"
    DOWN = "down"
    ENDED = "ended"


@dataclass(frozen=True, kw_only=True)
class Stand:
    """Where the forward stands."""

    phase: Phase = Phase.STARTING
    port: int = 0
    """On 127.0.0.1; 0 while it is not up."""
    complaint: str = ""
    """kubectl's own words, safe to draw."""
    attempt: int = 1

    @property
    def told(self) -> str:
        match self.phase:
            case Phase.STARTING:
                again = f" (attempt {self.attempt})" if self.attempt > 1 else ""
                return f"kubectl port-forward is starting{again}{f': {self.complaint}' if self.complaint else ''}"
            case Phase.UP:
                return f"kubectl port-forward on 127.0.0.1:{self.port}"
            case Phase.DOWN:
                return f"kubectl port-forward ended: {self.complaint or 'it said nothing'}"
            case Phase.ENDED:
                return "kubectl port-forward was ended"


@dataclass(frozen=True, kw_only=True)
class Target:
    """What to forward to. Empty: what kubectl is set to."""

    resource: str = "svc/clopus"
    port: int = 8080
    context: str = ""
    namespace: str = ""

    @classmethod
    def parsed(cls, text: str, *, context: str = "", namespace: str = "") -> Target:
        """`svc/clopus`, `pod/clopus-0:8080`. Raises ValueError."""
        resource, colon, port = text.partition(":")
        if not re.fullmatch(r"[a-z]+/[a-z0-9][a-z0-9.-]*", resource):
            raise ValueError(f"{text!r} is nothing to forward to: svc/clopus, deploy/clopus, pod/clopus-0:8080")
        if colon and not (port.isdecimal() and 0 < int(port) < 65536):
            raise ValueError(f"{port!r} is no port")
        return cls(resource=resource, port=int(port or 8080), context=context, namespace=namespace)

    def command(self, kubectl: str) -> tuple[str, ...]:
        """The port before the colon is left to kubectl. Values stand in one word with their option."""
        options = [f"--context={self.context}"] * bool(self.context)
        options += [f"--namespace={self.namespace}"] * bool(self.namespace)
        return (kubectl, *options, "port-forward", "--address=127.0.0.1", self.resource, f":{self.port}")


@dataclass(frozen=True, kw_only=True)
class Pauses:
    """Seconds."""

    first: float = 0.5
    longest: float = 15.0
    settled: float = 10.0
    """After so long up, the next gap is the first again."""
    grace: float = 2.0
    """Between asking kubectl to end and ending it."""


class Forward:
    """`told` is called in the forward's own thread whenever it stands elsewhere than before."""

    def __init__(self, command: Sequence[str], *, pauses: Pauses | None = None) -> None:
        self._command = tuple(command)
        self._pauses = pauses or Pauses()
        self.stand = Stand()
        """Replaced as a whole: any thread may look."""
        self._told: Callable[[Stand], None] = lambda stand: None
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._doubts = 0
        self._thread = threading.Thread(target=self._run, name="port-forward", daemon=True)

    def start(self, told: Callable[[Stand], None]) -> None:
        self._told = told
        self._thread.start()

    def stop(self) -> None:
        """kubectl has ended when this returns."""
        self._stopping.set()
        self._end()
        if self._thread.ident is not None:
            self._thread.join(self._pauses.grace + 1.0)

    def doubt(self) -> None:
        """A call got no answer although the forward says that it is up. Enough of them end it, and begin another."""
        self._doubts += 1
        if self.stand.phase is Phase.UP and self._doubts >= _DOUBTS:
            self._doubts = 0
            self._signal(signal.SIGTERM)

    def trust(self) -> None:
        """A call was answered."""
        self._doubts = 0

    def _run(self) -> None:
        attempt, gap = 1, self._pauses.first
        while not self._stopping.is_set():
            self._stands(Stand(attempt=attempt, complaint=self.stand.complaint))
            began_at = time.monotonic()
            complaint = self._once(attempt)
            self._stands(Stand(phase=Phase.DOWN, complaint=complaint, attempt=attempt))
            if time.monotonic() - began_at > self._pauses.settled:
                attempt, gap = 1, self._pauses.first
            self._stopping.wait(gap)
            attempt, gap = attempt + 1, min(gap * 2, self._pauses.longest)
        self._stands(Stand(phase=Phase.ENDED))

    def _once(self, attempt: int) -> str:
        """One kubectl from its beginning to its end. What it complained about."""
        try:
            process = self._begin()
        except OSError as exc:
            return f"{self._command[0]}: {exc.strerror or exc}"
        if process is None:
            return ""
        complaint = ""
        assert process.stdout is not None, "it was asked for"
        with process.stdout:
            for text in process.stdout:
                found = _LISTENS.match(text)
                if found:
                    self._stands(Stand(phase=Phase.UP, port=int(found[1]), attempt=attempt))
                elif not text.startswith(_CHATTER) and text.strip():
                    complaint = flat(text.strip())[:_MOST_CHARACTERS]
        code = process.wait()
        return complaint or f"exit code {code}"

    def _begin(self) -> subprocess.Popen[str] | None:
        """None where the console is ending. In a group of its own: ctrl+c in the terminal is not for it."""
        with self._lock:
            if self._stopping.is_set():
                return None
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, errors="replace", bufsize=1, process_group=0,
            )  # fmt: skip
            return self._process

    def _end(self) -> None:
        for word in (signal.SIGTERM, signal.SIGKILL):
            process = self._signal(word)
            if process is None:
                return
            with suppress(subprocess.TimeoutExpired):
                process.wait(self._pauses.grace)
                return

    def _signal(self, word: signal.Signals) -> subprocess.Popen[str] | None:
        """To kubectl and whatever it has begun; None where it has ended."""
        with self._lock:
            process = self._process
        if process is None or process.poll() is not None:
            return None
        with suppress(ProcessLookupError):
            os.killpg(process.pid, word)
        return process

    def _stands(self, stand: Stand) -> None:
        self.stand = stand
        self._told(stand)
