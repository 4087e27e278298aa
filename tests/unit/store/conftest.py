"""A migrated in-memory database, and builders of records with plausible content."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from responder.domain.action import SetImage
from responder.domain.alert import Alert, AlertStatus
from responder.domain.execution import Baseline, Execution, ExecutionKind, Verdict, VerdictKind, Verification
from responder.domain.incident import Incident
from responder.domain.investigation import (
    Conclusion,
    Evidence,
    EvidenceKind,
    Finding,
    Investigation,
    Proposal,
    RuledOut,
    Step,
    StepKind,
    Unchecked,
)
from responder.domain.plan import Approval, Change, Check, PatchOp, Plan
from responder.domain.refs import ObjectRef
from responder.domain.rule import Risk
from responder.store import alerts
from responder.store.connection import MEMORY, Connection, connect
from responder.store.migrate import migrate

T0 = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u-1")
IMAGE = SetImage(target=WEB, container="web", image="shop/web:1.4.1")


@pytest.fixture
def con() -> Iterator[Connection]:
    connection = connect(MEMORY, memory_limit="128MB", threads=1)
    migrate(connection, T0)
    yield connection
    connection.close()


@dataclass(frozen=True)
class Make:
    """Each method builds one record; keywords replace fields."""

    t0: datetime = T0
    web: ObjectRef = WEB

    def at(self, seconds: float) -> datetime:
        return T0 + timedelta(seconds=seconds)

    def join(self, con: Connection, seqs: Iterable[int], incident_id: str, reason: str = "", member: str = "") -> None:
        """Pending alerts become processed and join the incident."""
        alerts.join(con, [alerts.Joining(seq, reason, incident_id, member) for seq in seqs])

    def alert(self, **fields: Any) -> Alert:
        labels = {"alertname": "KubePodCrashLooping", "namespace": "shop", "severity": "warning"}
        return Alert(**{"fingerprint": "f1", "status": AlertStatus.FIRING, "labels": labels, "starts_at": T0} | fields)

    def incident(self, **fields: Any) -> Incident:
        base = {"id": "inc-1", "key": WEB.key, "root": WEB, "namespace": "shop", "opened_at": T0, "updated_at": T0}
        return Incident(**base | {"labels": {"alertname": "A", "quote": "o'\"\\\n\x1b\u202e"}} | fields)

    def investigation(self, **fields: Any) -> Investigation:
        evidence = (
            Evidence(id="e1", kind=EvidenceKind.LOG, source="Pod/shop/web-1", subject=WEB, observed_at=T0, text="boom"),
            Evidence(id="e2", kind=EvidenceKind.POLICY, source="quota", observed_at=T0, text="x", truncated=True),
        )
        base = {
            "id": "inv-1",
            "incident_id": "inc-1",
            "number": 1,
            "analyzer": "heuristic",
            "started_at": T0,
            "ended_at": T0 + timedelta(seconds=2),
            "conclusion": Conclusion.FAULT_FOUND,
            "summary": "the image does not exist",
            "evidence": evidence,
            "steps": (Step(number=1, kind=StepKind.VERDICT, at=T0, text="because", evidence=("e1", "e2")),),
            "findings": (
                Finding(signature="image.not_found", subject=WEB, cause="no", confidence=0.9, evidence=("e1",)),
                Finding(signature="b", subject=WEB, cause="c", confidence=0.1, evidence=(), fixable=False),
            ),
            "ruled_out": (RuledOut(hypothesis="disk", because="no event", evidence=("e2",)),),
            "unchecked": (Unchecked(what="logs", why="403"),),
            "proposals": (Proposal(action=IMAGE, reason="was well", finding="image.not_found", evidence=("e1",)),),
            "cost_usd": 0.25,
        }
        return Investigation(**base | fields)

    def change(self, **fields: Any) -> Change:
        path = "/spec/template/spec/containers/0/image"
        base = {
            "target": WEB,
            "resource_version": "41",
            "base_hash": "b" * 64,
            "patch": (
                PatchOp(op="test", path=path, value="shop/web:1.4.2"),
                PatchOp(op="replace", path=path, value={"nested": [1, 2.5, None, True]}),
            ),
            "inverse": (PatchOp(op="remove", path=path),),
            "replicas_at_risk": 3,
        }
        return Change(**base | fields)

    def plan(self, **fields: Any) -> Plan:
        base = {
            "id": "pln-1",
            "incident_id": "inc-1",
            "investigation_id": "inv-1",
            "finding": "image.not_found",
            "action": IMAGE,
            "reason": "was well",
            "changes": (self.change(), self.change(resource_version="42", inverse=())),
            "diff": "--- a\n+++ b\n",
            "risk": Risk.MEDIUM,
            "reversible": True,
            "warnings": ("owned by helm",),
            "restores_not": ("the pods",),
            "checks": (Check(name="risk_ceiling", passed=False, detail="medium > low"),),
            "digest": "d" * 64,
            "created_at": T0,
            "expires_at": T0 + timedelta(minutes=15),
            "approvers_needed": 2,
        }
        return Plan(**base | fields)

    def approval(self, **fields: Any) -> Approval:
        base = {"id": "app-1", "plan_id": "pln-1", "digest": "d" * 64, "approver": "ada", "kind": "human"}
        times = {"decided_at": T0 + timedelta(seconds=30), "expires_at": T0 + timedelta(minutes=15)}
        return Approval(**base | times | fields)

    def execution(self, **fields: Any) -> Execution:
        base = {
            "id": "exe-1",
            "plan_id": "pln-1",
            "incident_id": "inc-1",
            "kind": ExecutionKind.APPLY,
            "change": self.change(),
            "requested_by": "ada",
            "intent_at": T0,
            "baseline": Baseline(ready=1, desired=3, restarts=2**31),
        }
        return Execution(**base | fields)

    def verification(self, verdict: VerdictKind = VerdictKind.PASSED, **fields: Any) -> Verification:
        base = {
            "execution_id": "exe-1",
            "number": 1,
            "at": T0 + timedelta(seconds=60),
            "elapsed_seconds": 60.5,
            "verdict": Verdict(kind=verdict, reason="3 of 3 ready", healthy=True),
            "ready": 3,
            "desired": 3,
            "restarts": 0,
        }
        return Verification(**base | fields)


@pytest.fixture
def make() -> Make:
    return Make()


@pytest.fixture
def columns_of(con: Connection) -> Callable[[str], set[str]]:
    def columns(table: str) -> set[str]:
        rows = con.execute("SELECT column_name FROM duckdb_columns() WHERE table_name = ?", [table]).fetchall()
        return {name for (name,) in rows}

    return columns
