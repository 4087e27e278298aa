"""What a node remembers about one container of a pod, and the small vocabulary around it.

Decides: how back-off grows and how the kubelet writes dates and durations. Leaves every change of state to
`podmachine`. Times are simulated seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from responder.sandbox.containerlog import ContainerLog
from responder.sandbox.images import KnownImage
from responder.sandbox.podstatus import ContainerKind, State, Terminated, Waiting
from responder.sandbox.probes import ProbeKind, ProbeTimer
from responder.sandbox.process import Process

Json = dict[str, Any]
_FIRST_BACKOFF: Final = 10.0
_LONGEST_BACKOFF: Final = 300.0


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, kw_only=True)
class PodEvent:
    reason: str
    message: str
    warning: bool = False
    field_path: str = ""


@dataclass(kw_only=True)
class Container:
    """What the node knows about one container of the pod."""

    spec: Json
    kind: ContainerKind
    state: State
    last: Terminated | None = None
    created: int = 0
    image: KnownImage | None = None
    process: Process | None = None
    probes: dict[ProbeKind, ProbeTimer] = field(default_factory=dict)
    started: bool = False
    ready: bool = False
    retry_at: float = 0.0
    """When the next start is tried; infinity = never."""
    turns_at: float = math.inf
    """When the fresh failure shown now becomes `turns_to`."""
    turns_to: Waiting | None = None
    crash_delay: float = 0.0
    pull_delay: float = 0.0
    log: ContainerLog = field(default_factory=ContainerLog)

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def field_path(self) -> str:
        return f"spec.{'containers' if self.kind is ContainerKind.MAIN else 'initContainers'}{{{self.name}}}"

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.ended is None

    @property
    def completed(self) -> bool:
        return isinstance(self.state, Terminated) and self.state.exit_code == 0 and self.retry_at == math.inf


def go_duration(seconds: float) -> str:
    """`80` as Go prints it: `1m20s`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def next_backoff(delay: float) -> float:
    return min(delay * 2, _LONGEST_BACKOFF) if delay else _FIRST_BACKOFF
