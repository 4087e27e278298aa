"""`set_ports`: moves one container port to where the program listens, and the probes that name it by number."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import ClassVar

from responder.domain.action import Permission, ProbeKind, SetPorts
from responder.domain.errors import PlanInvalid
from responder.domain.manifest import LiveObject, Manifest, dig, items, number, text
from responder.domain.plan import Change, Check
from responder.domain.rule import Risk
from responder.domain.snapshot import Snapshot
from responder.domain.workload import Container
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

_MECHANISMS = ("httpGet", "tcpSocket", "grpc")


class SetPortsHandler:
    kind: ClassVar[str] = SetPorts.kind
    reversible: ClassVar[bool] = True
    permissions: ClassVar[tuple[Permission, ...]] = PATCH_WORKLOADS

    def risk(self, action: SetPorts, snapshot: Snapshot) -> Risk:
        return Risk.MEDIUM

    def check(self, action: SetPorts, snapshot: Snapshot) -> tuple[Check, ...]:
        container = container_of(snapshot, action.container)
        declared = container is not None and action.from_port in container.ports
        holder = _holder(action.to_port, snapshot)
        return (
            *check_workload(snapshot),
            check_container(snapshot, action.container),
            Check(
                name="port_declared",
                passed=declared,
                detail=f"{action.container} declares {'' if declared else 'no '}port {action.from_port}",
            ),
            Check(
                name="port_valid",
                passed=1 <= action.to_port <= 65535 and action.to_port != action.from_port,
                detail=f"port {action.from_port} -> {action.to_port}",
            ),
            Check(
                name="port_free",
                passed=holder is None,
                detail=f"{action.to_port} belongs to container {holder.name}" if holder else "no container has it",
            ),
        )

    def change(self, action: SetPorts, live: LiveObject, snapshot: Snapshot, *, now: datetime) -> Change:
        edit = TemplateEdit(live)
        container = edit.container(action.container)
        moved = False
        for index, port in enumerate(items(live.body, *container, "ports")):
            if number(port, "containerPort") != action.from_port:
                continue
            moved = True
            edit.put((*container, "ports", index, "containerPort"), action.to_port)
            if number(port, "hostPort"):
                raise PlanInvalid(f"port {action.from_port} is bound on the node too: that is not moved")
        if not moved:
            raise PlanInvalid(f"{action.container} declares no port {action.from_port}")
        for path in _probes_at(live.body, container, action.from_port):
            edit.put(path, action.to_port)
        return edit.change(replicas_at_risk=replicas_of(snapshot))

    def warnings(self, action: SetPorts, snapshot: Snapshot) -> tuple[str, ...]:
        return tuple(
            f"{service.ref} sends port {port} to {action.from_port} by number: it has to be moved as well"
            for service in snapshot.services
            for port, target in service.ports.items()
            if target == action.from_port
        )

    def restores_not(self, action: SetPorts, snapshot: Snapshot) -> tuple[str, ...]:
        return ()

    def in_place(self, action: SetPorts, change: Change, body: Manifest) -> bool:
        declared = {number(port, "containerPort") for port in items(raw_container(body, action.container), "ports")}
        return action.to_port in declared and action.from_port not in declared


def _holder(port: int, snapshot: Snapshot) -> Container | None:
    """The container of the pod that declares `port`: they share one network."""
    containers = snapshot.workload.template.containers if snapshot.workload else ()
    return next((container for container in containers if port in container.ports), None)


def _probes_at(body: Manifest, container: Path, port: int) -> Iterator[Path]:
    for kind in ProbeKind:
        for mechanism in _MECHANISMS:
            path = (*container, kind.value, mechanism, "port")
            if dig(body, *path) == port and not text(body, *path):
                yield path
