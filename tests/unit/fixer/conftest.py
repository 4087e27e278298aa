"""Builders of live objects, looks and plans, given to the tests as the fixture `make`."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from responder.cluster.owners import live_object
from responder.domain.action import Action, SetImage
from responder.domain.execution import (
    Baseline,
    Execution,
    ExecutionKind,
    ExecutionOutcome,
    Verdict,
    VerdictKind,
    Verification,
)
from responder.domain.investigation import Finding, Proposal
from responder.domain.manifest import LiveObject, base_hash, dig
from responder.domain.plan import Change, Plan, Verb, plan_digest
from responder.domain.refs import ObjectRef
from responder.domain.rule import Budget, Mode, Risk, Rule
from responder.domain.snapshot import Snapshot
from responder.domain.workload import Revision, parse_pod, parse_template, parse_workload
from responder.fixer.actions import handler_for
from responder.fixer.guard import PolicyFacts
from responder.wire import to_json

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TARGET = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="uid-web")
CURRENT, EARLIER = "h2", "h1"

CONTAINER: Mapping[str, Any] = {
    "name": "web",
    "image": "registry.local/web:2",
    "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
    "env": [
        {"name": "MODE", "value": "live"},
        {"name": "URL", "valueFrom": {"configMapKeyRef": {"name": "web-config", "key": "url"}}},
        {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "web-secret", "key": "password"}}},
    ],
    "envFrom": [{"configMapRef": {"name": "web-config"}}],
    "resources": {"limits": {"memory": "128Mi", "cpu": "500m"}, "requests": {"memory": "64Mi", "cpu": "100m"}},
    "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10},
    "livenessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 10},
    "volumeMounts": [{"name": "config", "mountPath": "/config"}],
}
SIDECAR: Mapping[str, Any] = {
    "name": "metrics",
    "image": "registry.local/metrics:1",
    "ports": [{"containerPort": 9090, "protocol": "TCP"}],
}
INIT: Mapping[str, Any] = {"name": "migrate", "image": "registry.local/migrate:1"}
VOLUMES = [
    {"name": "config", "configMap": {"name": "web-config", "items": [{"key": "url", "path": "url"}]}},
    {
        "name": "all",
        "projected": {
            "sources": [
                {"configMap": {"name": "web-config"}},
                {"secret": {"name": "web-secret", "items": [{"key": "password", "path": "p"}]}},
            ]
        },
    },
    {"name": "tls", "secret": {"secretName": "web-secret"}},
]


@dataclass(frozen=True)
class Make:
    now: datetime = NOW
    target: ObjectRef = TARGET

    def deployment(self, *, template_labels: Mapping[str, str] | None = None, **changes: Any) -> dict[str, Any]:
        """A Deployment with 2 replicas of which all are ready. `changes` by dotted path: `status__readyReplicas=0`."""
        body: dict[str, Any] = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": "web",
                "namespace": "shop",
                "uid": "uid-web",
                "resourceVersion": "100",
                "generation": 2,
                "labels": {"app": "web"},
            },
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": {"app": "web"}},
                "strategy": {"type": "RollingUpdate"},
                "template": {
                    "metadata": {"creationTimestamp": None, "labels": dict(template_labels or {"app": "web"})},
                    "spec": {
                        "initContainers": [copy.deepcopy(dict(INIT))],
                        "containers": [copy.deepcopy(dict(CONTAINER)), copy.deepcopy(dict(SIDECAR))],
                        "volumes": copy.deepcopy(VOLUMES),
                    },
                },
            },
            "status": {
                "observedGeneration": 2,
                "replicas": 2,
                "updatedReplicas": 2,
                "readyReplicas": 2,
                "availableReplicas": 2,
            },
        }
        for path, value in changes.items():
            *above, last = path.split("__")
            holder = body
            for token in above:
                holder = holder.setdefault(token, {})
            holder[last] = value
        return body

    def live(self, body: Mapping[str, Any] | None = None) -> LiveObject:
        return live_object(body or self.deployment())

    def pod(self, name: str = "web-1", **changes: Any) -> Any:
        """A ready pod of the current revision."""
        given = {
            "ready": True,
            "waiting": "",
            "restarts": 0,
            "hash": CURRENT,
            "age": 600.0,
            "deleting": False,
            "exit_code": None,
            "phase": "Running",
            "controller": "ReplicaSet",
            "mirror": False,
            **changes,
        }
        return parse_pod(self.pod_body(name, given))

    def pod_body(self, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        created = (NOW - timedelta(seconds=given["age"])).isoformat()
        metadata: dict[str, Any] = {
            "name": name,
            "namespace": "shop",
            "uid": f"uid-{name}",
            "resourceVersion": "7",
            "creationTimestamp": created,
            "labels": {"app": "web", "pod-template-hash": given["hash"]},
        }
        if given["controller"]:
            metadata["ownerReferences"] = [
                {"kind": given["controller"], "name": f"web-{given['hash']}", "uid": "uid-rs", "controller": True}
            ]
        if given["deleting"]:
            metadata["deletionTimestamp"] = created
        if given["mirror"]:
            metadata["annotations"] = {"kubernetes.io/config.mirror": "x"}
        state: dict[str, Any] = {"running": {"startedAt": created}}
        if given["waiting"]:
            state = {"waiting": {"reason": given["waiting"]}}
        if given["exit_code"] is not None:
            state = {"terminated": {"exitCode": given["exit_code"]}}
        return {
            "kind": "Pod",
            "metadata": metadata,
            "spec": {"containers": [dict(CONTAINER)]},
            "status": {
                "phase": given["phase"],
                "conditions": [{"type": "Ready", "status": "True" if given["ready"] else "False"}],
                "containerStatuses": [
                    {"name": "web", "ready": given["ready"], "restartCount": given["restarts"], "state": state}
                ],
            },
        }

    def revision(self, number: int, *, current: bool = False, ready: int = 1, image: str = "") -> Revision:
        template = copy.deepcopy(self.deployment()["spec"]["template"])
        template["metadata"]["labels"]["pod-template-hash"] = CURRENT if current else EARLIER
        template["spec"]["containers"][0]["image"] = image or f"registry.local/web:{number}"
        return Revision(
            ref=ObjectRef(kind="ReplicaSet", namespace="shop", name=f"web-{number}", uid=f"uid-rs-{number}"),
            number=number,
            hash=CURRENT if current else EARLIER,
            current=current,
            ready=ready,
            template=parse_template(template),
            raw_template=template,
        )

    def snapshot(self, body: Mapping[str, Any] | None = None, **changes: Any) -> Snapshot:
        """A look at a broken rollout: the current revision 2 has no ready pod, revision 1 has two."""
        live = self.live(body)
        given: dict[str, Any] = {
            "taken_at": NOW,
            "root": live.ref,
            "live": live,
            "workload": parse_workload(live),
            "pods": (self.pod(),),
            "revisions": (self.revision(2, current=True, ready=0), self.revision(1, ready=2)),
            "config_maps": {"web-config": ("url",), "web-config-2": ("url", "address")},
            "secrets_in_use": {"web-secret-2": ("password",)},
            "namespace_labels": {},
        }
        return Snapshot(**{**given, **changes})

    def proposal(self, action: Action | None = None, **changes: Any) -> Proposal:
        given: dict[str, Any] = {
            "action": action or SetImage(target=TARGET, container="web", image="registry.local/web:1"),
            "reason": "the tag does not exist",
            "finding": "image.not_found",
            "evidence": ("e1",),
            "suggested_by": ("heuristic",),
        }
        return Proposal(**{**given, **changes})

    def rule(self, **changes: Any) -> Rule:
        given: dict[str, Any] = {
            "name": "r",
            "mode": Mode.AUTONOMOUS,
            "actions": (
                "set_image", "undo_rollout", "restart_rollout", "set_resources", "replace_config_reference",
                "set_probe", "set_ports", "add_scratch_volume", "delete_pod",
            ),
            "max_risk": Risk.MEDIUM,
            "budget": Budget(),
        }  # fmt: skip
        return Rule(**{**given, **changes})

    def facts(self, **changes: Any) -> PolicyFacts:
        given: dict[str, Any] = {
            "workload_actions": 0,
            "namespace_actions": 0,
            "cluster_actions": 0,
            "workload_in_flight": False,
            "rule_in_flight": 0,
            "alert_namespace": "shop",
            "root": TARGET,
        }
        return PolicyFacts(**{**given, **changes})

    def change(self, action: Action, body: Mapping[str, Any] | None = None, **snapshot: Any) -> Change:
        live = self.live(body)
        return handler_for(action).change(action, live, self.snapshot(body, **snapshot), now=NOW)

    def plan(self, action: Action | None = None, **changes: Any) -> Plan:
        action = action or SetImage(target=TARGET, container="web", image="registry.local/web:1")
        change = (
            Change(target=action.target, verb=Verb.EVICT, resource_version="7", base_hash="")
            if action.kind == "delete_pod"
            else self.change(action)
        )
        given: dict[str, Any] = {
            "id": "pln-1",
            "incident_id": "inc-1",
            "investigation_id": "inv-1",
            "finding": "image.not_found",
            "action": action,
            "reason": "the tag does not exist",
            "changes": (change,),
            "diff": "-a\n+b",
            "risk": Risk.MEDIUM,
            "reversible": True,
            "digest": "",
            "created_at": NOW,
            "expires_at": NOW + timedelta(minutes=15),
        }
        plan = Plan(**{**given, **changes})
        if plan.digest:
            return plan
        return replace(plan, digest=plan_digest(action=to_json(plan.action), changes=plan.changes, diff=plan.diff))

    def execution(self, plan: Plan, **changes: Any) -> Execution:
        """Applied; the object answered with generation 3."""
        given: dict[str, Any] = {
            "id": "exe-1",
            "plan_id": plan.id,
            "incident_id": plan.incident_id,
            "kind": ExecutionKind.APPLY,
            "change": plan.changes[0],
            "requested_by": "alice",
            "intent_at": NOW - timedelta(seconds=60),
            "baseline": Baseline(ready=2, desired=2, restarts=0),
            "outcome": ExecutionOutcome.APPLIED,
            "generation_after": 3,
        }
        return Execution(**{**given, **changes})

    def look(
        self, elapsed: float, *, healthy: bool, number: int = 0, ready: int = 2, restarts: int = 0
    ) -> Verification:
        return Verification(
            execution_id="exe-1",
            number=number or int(elapsed),
            at=NOW,
            elapsed_seconds=elapsed,
            verdict=Verdict(kind=VerdictKind.PENDING, reason="", healthy=healthy),
            ready=ready,
            desired=2,
            restarts=restarts,
        )

    def finding(self, signature: str = "image.not_found", **changes: Any) -> Finding:
        given: dict[str, Any] = {
            "signature": signature,
            "subject": TARGET,
            "container": "web",
            "cause": "because",
            "confidence": 0.9,
            "evidence": ("e1",),
        }
        return Finding(**{**given, **changes})

    def mint(self) -> Any:
        numbers = count(1)
        return lambda prefix: f"{prefix}-{next(numbers)}"

    def container(self, body: Mapping[str, Any], index: int = 0) -> Any:
        return dig(body, "spec", "template", "spec", "containers", index)

    def hash_of(self, body: Mapping[str, Any]) -> str:
        return base_hash(body)


@pytest.fixture(scope="session")
def make() -> Make:
    return Make()
