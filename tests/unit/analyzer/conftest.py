"""Builders of snapshots: one Deployment `shop/web`, its pods, and what is wrong with them, in a few words each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from responder.analyzer.heuristics import Diagnosis, diagnose
from responder.domain.action import ProbeKind, ReferenceKind
from responder.domain.investigation import Unchecked
from responder.domain.manifest import LiveObject
from responder.domain.refs import ObjectRef
from responder.domain.snapshot import LogExcerpt, ServiceView, Snapshot
from responder.domain.workload import (
    Condition,
    ConfigReference,
    Container,
    ContainerStatus,
    EventRecord,
    Pod,
    PodTemplate,
    Probe,
    Revision,
    Terminated,
    Workload,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ROOT = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u-web")


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


@dataclass(frozen=True)
class Build:
    """Everything has a default of a healthy nginx Deployment; a test names what differs."""

    root: ObjectRef = ROOT
    now: datetime = NOW

    def container(self, name: str = "web", image: str = "nginx:1.27", **fields: Any) -> Container:
        return Container(name=name, image=image, **fields)

    def template(
        self,
        *containers: Container,
        volumes: Mapping[str, str] | None = None,
        references: Sequence[ConfigReference] = (),
    ) -> PodTemplate:
        containers = containers or (self.container(),)
        own = tuple(reference for container in containers for reference in container.references)
        return PodTemplate(
            containers=containers, volumes=volumes or {}, references=(*own, *references), labels={"app": "web"}
        )

    def config_map(self, name: str, key: str = "", **fields: Any) -> ConfigReference:
        defaults: dict[str, Any] = {"place": f"env {key}" if key else "volume config", "kind": ReferenceKind.CONFIG_MAP}
        return ConfigReference(name=name, key=key, **{**defaults, **fields})

    def probe(self, kind: ProbeKind = ProbeKind.READINESS, **fields: Any) -> Probe:
        defaults: dict[str, Any] = {"mechanism": "httpGet", "path": "/healthz", "port": 8080}
        return Probe(kind=kind, **{**defaults, **fields})

    def ended(
        self, code: int = 1, reason: str = "Error", message: str = "", *, before: float = 20, lived: float = 5
    ) -> Terminated:
        finished = ago(before)
        started = finished - timedelta(seconds=lived)
        return Terminated(exit_code=code, reason=reason, message=message, started_at=started, finished_at=finished)

    def waiting(self, reason: str, message: str = "", name: str = "web", **fields: Any) -> ContainerStatus:
        return ContainerStatus(name=name, waiting_reason=reason, waiting_message=message, **fields)

    def crashing(
        self, name: str = "web", *, restarts: int = 5, ended: Terminated | None = None, **fields: Any
    ) -> ContainerStatus:
        message = "back-off 5m0s restarting failed container"
        last = ended or self.ended()
        return self.waiting("CrashLoopBackOff", message, name, restarts=restarts, last_terminated=last, **fields)

    def running(
        self, name: str = "web", *, seconds: float = 3600, ready: bool = True, **fields: Any
    ) -> ContainerStatus:
        return ContainerStatus(name=name, ready=ready, running_since=ago(seconds), **fields)

    def done(self, name: str) -> ContainerStatus:
        return ContainerStatus(name=name, init=True, ready=True, terminated=self.ended(0, "Completed", before=3600))

    def pod(
        self,
        *statuses: ContainerStatus,
        name: str = "web-b-1",
        template: PodTemplate | None = None,
        hash_: str = "b",
        phase: str = "Running",
        node: str = "n1",
        conditions: tuple[Condition, ...] | None = None,
        **fields: Any,
    ) -> Pod:
        template = template or self.template()
        statuses = statuses or tuple(self.running(container.name) for container in template.containers)
        ready = bool(statuses) and all(status.ready for status in statuses)
        return Pod(
            ref=ObjectRef(kind="Pod", namespace="shop", name=name, uid=f"u-{name}"),
            phase=phase,
            node=node,
            created_at=ago(7200),
            conditions=(
                conditions
                if conditions is not None
                else (Condition(type="Ready", status="True" if ready else "False"),)
            ),
            statuses=statuses,
            template=template,
            revision_hash=hash_,
            **fields,
        )

    def event(
        self, reason: str, message: str, *, pod: str = "web-b-1", seconds: float = 30, type_: str = "Warning"
    ) -> EventRecord:
        subject = ObjectRef(kind="Pod", namespace="shop", name=pod, uid=f"u-{pod}")
        return EventRecord(type=type_, reason=reason, message=message, subject=subject, count=4, last_at=ago(seconds))

    def log(self, *lines: str, container: str = "web", pod: str = "web-b-1", previous: bool = True) -> LogExcerpt:
        subject = ObjectRef(kind="Pod", namespace="shop", name=pod, uid=f"u-{pod}")
        return LogExcerpt(pod=subject, container=container, previous=previous, text="\n".join(lines))

    def revision(
        self, number: int, template: PodTemplate, *, current: bool = False, ready: int = 0, **spec: Any
    ) -> Revision:
        hash_ = "b" if current else f"a{number}"
        return Revision(
            ref=ObjectRef(kind="ReplicaSet", namespace="shop", name=f"web-{hash_}", uid=f"u-rs-{number}"),
            number=number,
            hash=hash_,
            current=current,
            ready=ready,
            template=template,
            raw_template={"spec": {"containers": [repr(c) for c in template.containers], **spec}},
        )

    def workload(self, template: PodTemplate, *, desired: int = 1, ready: int = 0, **fields: Any) -> Workload:
        defaults: dict[str, Any] = {
            "ref": self.root,
            "resource_version": "7",
            "generation": 2,
            "observed_generation": 2,
            "updated": desired,
            "available": ready,
            "total": desired,
            "strategy": "RollingUpdate",
        }
        return Workload(desired=desired, ready=ready, template=template, **{**defaults, **fields})

    def snapshot(
        self,
        *pods: Pod,
        template: PodTemplate | None = None,
        earlier: Revision | None = None,
        desired: int | None = None,
        workload: Mapping[str, Any] | None = None,
        healthy: Sequence[str] = (),
        **fields: Any,
    ) -> Snapshot:
        template = template or (pods[0].template if pods else self.template())
        current = self.revision(9, template, current=True, ready=sum(pod.ready for pod in pods))
        neighbour = ObjectRef(kind="Pod", namespace="shop", name="other-1", uid="u-other")
        wanted = desired if desired is not None else max(len(pods), 1)
        return Snapshot(
            taken_at=NOW,
            root=self.root,
            workload=self.workload(
                template, **{"desired": wanted, "ready": sum(p.ready for p in pods), **(workload or {})}
            ),
            pods=pods,
            revisions=(current, *((earlier,) if earlier is not None else ())),
            healthy_images=dict.fromkeys(healthy, neighbour),
            **fields,
        )

    def broken(
        self,
        status: ContainerStatus,
        *,
        container: Container | None = None,
        template: PodTemplate | None = None,
        before: Container | None = None,
        before_ready: int = 1,
        logs: Sequence[str] = (),
        **fields: Any,
    ) -> Snapshot:
        """One pod with one container that is in `status`; `before` is the container of the revision before."""
        template = template or self.template(container or self.container())
        pod = self.pod(status, template=template)
        earlier = self.revision(8, self.template(before), ready=before_ready) if before is not None else None
        excerpts = (self.log(*logs, container=status.name),) if logs else ()
        return self.snapshot(pod, earlier=earlier, logs=fields.pop("excerpts", excerpts), **fields)

    def bare_pod(
        self, status: ContainerStatus, *, logs: Sequence[str] = (), container: Container | None = None, **fields: Any
    ) -> Snapshot:
        pod = self.pod(status, template=self.template(container or self.container()))
        return Snapshot(
            taken_at=NOW,
            root=pod.ref,
            pods=(pod,),
            logs=(self.log(*logs, container=status.name),) if logs else (),
            **fields,
        )

    def job(self, status: ContainerStatus, *, condition: str = "Failed", logs: Sequence[str] = ()) -> Snapshot:
        root = ObjectRef(kind="Job", namespace="shop", name="migrate", uid="u-job")
        reason = {"Failed": "BackoffLimitExceeded"}.get(condition, "")
        body = {"status": {"conditions": [{"type": condition, "status": "True", "reason": reason}]}}
        return replace(
            self.bare_pod(status, logs=logs),
            root=root,
            live=LiveObject(ref=root, resource_version="1", generation=1, body=body),
        )

    def service(self, name: str, **ports: int | str) -> ServiceView:
        ref = ObjectRef(kind="Service", namespace="shop", name=name, uid=f"u-{name}")
        return ServiceView(ref=ref, ports={int(port.removeprefix("p")): target for port, target in ports.items()})

    def unread(self, what: str) -> Unchecked:
        return Unchecked(what=what, why="Forbidden: no")

    def diagnose(self, snapshot: Snapshot, **labels: str) -> Diagnosis:
        return diagnose(snapshot, alert_labels=labels)


@pytest.fixture
def build() -> Build:
    return Build()
