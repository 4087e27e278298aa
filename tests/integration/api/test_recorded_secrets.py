"""Secrets planted in objects reach neither the database file, nor the API, nor an investigation, nor the log."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from responder.analyzer.heuristics import HeuristicAnalyzer
from responder.analyzer.protocol import Assignment
from responder.cluster.owners import live_object
from responder.cluster.watch import Delta, DeltaType
from responder.detector.recorder import Recorder
from responder.domain.incident import Incident
from responder.domain.refs import ObjectRef
from responder.domain.snapshot import Snapshot
from responder.domain.workload import parse_workload
from responder.pipeline.changes import with_changes
from responder.pipeline.context import Context
from responder.redact.placeholders import Placeholders
from responder.store import incidents, investigations, versions

SECRETS = (
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "glpat-abcdefghij0123456789",
    "xoxb-123456789012-abcdefghijkl",
    "sk_live_abcdefghijklmnop0123",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
    "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "npm_abcdefghijklmnopqrstuvwxyz0123456789",
    "hvs.CAESIJabcdefghijklmnopqrst",
    "SG.abcdefghijklmnopqr.abcdefghijklmnopqrstuv",
    "dop_v1_0123456789abcdef0123456789abcdef01234567",
    "shpat_0123456789abcdef0123456789abcdef",
)
ASKED = (
    "/api/v1/changes?limit=500",
    "/api/v1/incidents/inc-000000000001",
    "/api/v1/incidents/inc-000000000001/reasoning",
)
NAMED = "correct-horse-battery"
WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u-1")


def deployment(secret: str) -> Any:
    container = {
        "name": "web",
        "image": "nginx",
        "env": [{"name": "X", "value": f"a {secret} b"}, {"name": "DB_PASSWORD", "value": f"{NAMED}{secret[-4:]}"}],
        "args": ["serve", f"--key={secret}", "--api-token", f"{NAMED}{secret[:4]}"],
        "envFrom": [{"configMapRef": {"name": "app"}}],
    }
    template = {
        "metadata": {"labels": {"app": "web"}, "annotations": {"y": secret}},
        "spec": {"containers": [container]},
    }
    metadata = {"name": "web", "namespace": "shop", "uid": "u-1", "annotations": {"x": f"token: {secret}"}}
    metadata["managedFields"] = [{"manager": f"edit {secret}", "time": "2026-11-23T11:58:00Z"}]
    applied = {"kubectl.kubernetes.io/last-applied-configuration": f"{secret} {NAMED}"}
    metadata["annotations"] |= applied
    return {"kind": "Deployment", "metadata": metadata, "spec": {"template": template}}


def config_map(secret: str) -> Any:
    metadata = {"name": "app", "namespace": "shop", "uid": "u-2"}
    data = {"app.yaml": f"db:\n  password: {NAMED}\n  key: {secret}\n", "PASSWORD": f"{NAMED} {secret}", secret: "x"}
    return {"kind": "ConfigMap", "metadata": metadata, "data": data}


def delta(raw: Any, *, initial: bool) -> Delta:
    metadata = raw["metadata"]
    return Delta(
        kind=raw["kind"],
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        type=DeltaType.UPSERT,
        raw=raw,
        trimmed=None,
        initial=initial,
        relisted=False,
    )


async def test_no_planted_secret_is_kept_shown_or_logged(
    api: Any, store: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recorder = Recorder(store, now=api.services.now)
    for number, secret in enumerate(SECRETS):
        for raw in (deployment(secret), config_map(secret)):
            await recorder.changed(delta(raw, initial=not number))
    await recorder.flush()
    detail = await investigated(api, store)
    assert detail.evidence
    shown = [await api("GET", path, by="vera") for path in ASKED]
    assert all(answer.status == 200 for answer in shown)
    assert len(shown[0].json["changes"]) == 2 * len(SECRETS) - 2
    rows = repr(await store.read(lambda con: con.execute("SELECT * FROM object_versions").fetchall()))
    await asyncio.to_thread(store.close)
    files = await asyncio.to_thread(lambda: [path.read_bytes() for path in tmp_path.glob("clopus.db*")])
    logged = capfd.readouterr()
    everywhere = b"".join(
        (*files, rows.encode(), *(answer.body for answer in shown), logged.out.encode(), logged.err.encode())
    )
    assert b"changed" in everywhere
    assert [secret for secret in (*SECRETS, NAMED) if secret.encode() in everywhere] == []


async def investigated(api: Any, store: Any) -> Any:
    """An investigation over what was recorded, as the pipeline makes it."""
    now = api.services.now()
    incident = Incident(id="inc-000000000001", key=WEB.key, root=WEB, namespace="shop", opened_at=now, updated_at=now)
    live = live_object(deployment(SECRETS[-1]))
    snapshot = Snapshot(taken_at=now + timedelta(seconds=5), root=WEB, live=live, workload=parse_workload(live))
    ctx = cast("Context", SimpleNamespace(store=store))
    snapshot = await with_changes(ctx, incident, snapshot)
    assert {version.ref.name for version in snapshot.changes} == {"web", "app"}
    assignment = Assignment(
        id="inv-1", number=1, incident=incident, snapshot=snapshot, seconds=10, secrets=Placeholders()
    )
    answer = await HeuristicAnalyzer(now=api.services.now).investigate(assignment)

    def record(con: Any) -> None:
        incidents.insert(con, incident)
        investigations.insert(con, answer)
        versions.link(con, incident.id, snapshot.changes)

    await store.write(record)
    return answer
