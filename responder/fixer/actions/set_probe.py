"""`set_probe`: corrects an HTTP or TCP probe that exists. None is ever added or taken away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import ClassVar

from responder.domain.action import Permission, SetProbe
from responder.domain.errors import PlanInvalid
from responder.domain.manifest import LiveObject, Manifest, dig
from responder.domain.plan import Change, Check
from responder.domain.rule import Risk
from responder.domain.snapshot import Snapshot
from responder.domain.workload import Probe
from responder.fixer.actions.template import (
    PATCH_WORKLOADS,
    Path,
    TemplateEdit,
    check_container,
    check_workload,
    container_of,
    raw_container,
    replicas_of,
)

_PATH = re.compile(r"/[!-~]{0,511}\Z")
"""Printable ASCII without blanks; anything else is written with percent signs."""

_RANGES = {
    "initialDelaySeconds": (0, 3600),
    "timeoutSeconds": (1, 300),
    "failureThreshold": (1, 120),
}
"""Wider ones would make the probe one that never fails."""


class SetProbeHandler:
    kind: ClassVar[str] = SetProbe.kind
    reversible: ClassVar[bool] = True
    permissions: ClassVar[tuple[Permission, ...]] = PATCH_WORKLOADS

    def risk(self, action: SetProbe, snapshot: Snapshot) -> Risk:
        return Risk.MEDIUM

    def check(self, action: SetProbe, snapshot: Snapshot) -> tuple[Check, ...]:
        container = container_of(snapshot, action.container)
        probe = container.probe(action.probe) if container else None
        problems = _problems(action, probe)
        return (
            *check_workload(snapshot),
            check_container(snapshot, action.container),
            Check(
                name="probe_exists",
                passed=probe is not None,
                detail=f"{action.probe} of {action.container}" + (f": {probe.mechanism}" if probe else " is not there"),
            ),
            Check(
                name="probe_values_valid",
                passed=not problems,
                detail="; ".join(problems) or ", ".join(f"{'.'.join(p)}={v}" for p, v in _values(action, probe)),
            ),
        )

    def change(self, action: SetProbe, live: LiveObject, snapshot: Snapshot, *, now: datetime) -> Change:
        container = container_of(snapshot, action.container)
        probe = container.probe(action.probe) if container else None
        if probe is None or _problems(action, probe):
            raise PlanInvalid(f"{action.container} has no {action.probe} that could be set so")
        edit = TemplateEdit(live)
        path: Path = (*edit.container(action.container), action.probe.value)
        for place, value in _values(action, probe):
            if len(place) > 1 and dig(live.body, *path, place[0]) is None:
                raise PlanInvalid(f"{action.probe} of {action.container} has no {place[0]}")
            edit.put((*path, *place), value)
        return edit.change(replicas_at_risk=replicas_of(snapshot))

    def warnings(self, action: SetProbe, snapshot: Snapshot) -> tuple[str, ...]:
        return ()

    def restores_not(self, action: SetProbe, snapshot: Snapshot) -> tuple[str, ...]:
        return ()

    def in_place(self, action: SetProbe, change: Change, body: Manifest) -> bool:
        raw = dig(raw_container(body, action.container), action.probe.value)
        mechanism = next((name for name in ("httpGet", "tcpSocket") if dig(raw, name) is not None), "")
        return all(
            dig(raw, *place) == value for place, value in _values(action, Probe(kind=action.probe, mechanism=mechanism))
        )


def _values(action: SetProbe, probe: Probe | None) -> Iterator[tuple[tuple[str, ...], str | int]]:
    """What is set, and where below the probe."""
    mechanism = probe.mechanism if probe else ""
    if action.path:
        yield (mechanism, "path"), action.path
    if action.port:
        yield (mechanism, "port"), action.port
    for name, value in _numbers(action):
        yield (name,), value


def _numbers(action: SetProbe) -> Iterator[tuple[str, int]]:
    for name, value in (
        ("initialDelaySeconds", action.initial_delay_seconds),
        ("timeoutSeconds", action.timeout_seconds),
        ("failureThreshold", action.failure_threshold),
    ):
        if value != -1:
            yield name, value


def _problems(action: SetProbe, probe: Probe | None) -> list[str]:
    if probe is None:
        return ["there is no probe to correct"]
    problems = []
    if probe.mechanism not in ("httpGet", "tcpSocket"):
        problems.append(f"a probe by {probe.mechanism} is not corrected")
    if action.path and probe.mechanism != "httpGet":
        problems.append("only an HTTP probe has a path")
    if action.path and _PATH.match(action.path) is None:
        problems.append(f"{action.path[:512]!a} is no absolute URL path")
    if action.port and not 1 <= action.port <= 65535:
        problems.append(f"{action.port} is no port")
    for name, value in _numbers(action):
        low, high = _RANGES[name]
        if not low <= value <= high:
            problems.append(f"{name} {value} is outside {low} to {high}")
    if not any(True for _ in _values(action, probe)):
        problems.append("it names no value")
    return problems
