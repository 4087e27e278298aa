"""The API over a real socket and a real store: answers, refusals, credentials, limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from responder import wire
from responder.api.auth import Role
from responder.api.listener import ListenerLimits
from responder.domain.action import SetImage
from responder.domain.errors import (
    ApprovalMismatch,
    ClusterUnavailable,
    IllegalTransition,
    NotFound,
    PermanentError,
    PlanStale,
    PolicyViolation,
    QueueFull,
    StoreUnavailable,
)
from responder.domain.execution import Execution, ExecutionKind, Verdict, VerdictKind, Verification
from responder.domain.incident import Incident, State
from responder.domain.investigation import (
    Conclusion,
    Consulted,
    Evidence,
    EvidenceKind,
    Finding,
    Investigation,
    Proposal,
    Step,
    StepKind,
)
from responder.domain.mode import ModeSettings
from responder.domain.plan import Approval, Change, Check, PatchOp, Plan, PlanState
from responder.domain.refs import ObjectRef
from responder.domain.rule import Mode, Risk
from responder.domain.views import AuditPage, IncidentDetail, IncidentPage, PlanPage, PlanView, Reasoning
from responder.store import alerts, audit, decisions, executions, incidents, investigations, plans
from responder.store.store import Connection, Store
from responder.telemetry import Metrics

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u-1")
INCIDENT_ID = "inc-000000000001"


def make_incident(number: int = 1, **changes: Any) -> Incident:
    values: dict[str, Any] = {
        "id": f"inc-{number:012d}",
        "key": f"Deployment/shop/web-{number}",
        "root": WEB,
        "namespace": "shop",
        "labels": {"alertname": "A"},
        "opened_at": NOW,
        "updated_at": NOW,
    }
    return Incident(**{**values, **changes})


def make_plan(number: int = 1, **changes: Any) -> Plan:
    change = Change(
        target=WEB,
        resource_version="7",
        base_hash="b" * 64,
        patch=(PatchOp(op="replace", path="/spec/x", value={"a": [1, None]}),),
        inverse=(PatchOp(op="replace", path="/spec/x", value=1),),
    )
    values: dict[str, Any] = {
        "id": f"pln-{number:012d}",
        "incident_id": INCIDENT_ID,
        "investigation_id": "inv-000000000001",
        "finding": "image.not_found",
        "action": SetImage(target=WEB, container="web", image="nginx:1.27"),
        "reason": "the image has a typing error",
        "changes": (change,),
        "diff": "-nignx\n+nginx",
        "risk": Risk.LOW,
        "reversible": True,
        "checks": (Check(name="action_allowed", passed=True, detail="ok"),),
        "digest": "d" * 64,
        "created_at": NOW + timedelta(seconds=number),
        "expires_at": NOW + timedelta(minutes=15),
    }
    return Plan(**{**values, **changes})


INVESTIGATION = Investigation(
    id="inv-000000000001",
    incident_id=INCIDENT_ID,
    number=1,
    analyzer="heuristic",
    started_at=NOW,
    ended_at=NOW,
    conclusion=Conclusion.FAULT_FOUND,
    summary="a mistyped image",
    evidence=(Evidence(id="e1", kind=EvidenceKind.EVENT, source="Pod/shop/web-1", observed_at=NOW, text="not found"),),
    steps=(Step(number=1, kind=StepKind.VERDICT, at=NOW, text="image.not_found", evidence=("e1",)),),
    findings=(Finding(signature="image.not_found", subject=WEB, cause="typo", confidence=0.9, evidence=("e1",)),),
    proposals=(
        Proposal(
            action=SetImage(target=WEB, container="web", image="nginx:1.27"), reason="typo", finding="image.not_found"
        ),
    ),
)
EXECUTION = Execution(
    id="exe-000000000001",
    plan_id="pln-000000000001",
    incident_id=INCIDENT_ID,
    kind=ExecutionKind.APPLY,
    change=make_plan().changes[0],
    requested_by="olga",
    intent_at=NOW,
)


def fill(con: Connection) -> None:
    """One incident with everything that can belong to it."""
    incidents.insert(con, make_incident(state=State.VERIFYING, rule="shop", mode="dry-run"))
    investigations.insert(con, INVESTIGATION)
    decisions.insert(
        con,
        incident_id=INCIDENT_ID,
        at=NOW,
        rule="shop",
        mode="dry-run",
        rule_set="r" * 64,
        why=("it matches",),
        consulted=(Consulted(analyzer="claude", answered=False, why="no key"),),
    )
    plans.insert(con, make_plan())
    plans.add_approval(
        con,
        Approval(
            id="app-000000000001",
            plan_id="pln-000000000001",
            digest="d" * 64,
            approver="olga",
            kind="human",
            decided_at=NOW,
            expires_at=NOW,
        ),
    )
    executions.insert_intent(con, EXECUTION)
    executions.add_verification(
        con,
        Verification(
            execution_id=EXECUTION.id,
            number=1,
            at=NOW,
            elapsed_seconds=5.0,
            verdict=Verdict(kind=VerdictKind.PENDING, reason="too early"),
            ready=1,
            desired=2,
            restarts=0,
        ),
    )
    for event in ("incident_opened", "approved"):
        audit.append(con, at=NOW, actor="olga", event=event, incident_id=INCIDENT_ID, subject="s", detail={"n": 1})


async def test_one_incident_is_shown_with_all_that_belongs_to_it(api: Any, store: Store) -> None:
    await store.write(fill)
    answer = await api("GET", f"/api/v1/incidents/{INCIDENT_ID}", by="vera")
    assert answer.status == 200
    detail = wire.loads(IncidentDetail, answer.body)
    assert detail.incident.root == WEB
    assert [record.event for record in detail.timeline] == ["incident_opened", "approved"]
    assert detail.decisions[0].why == ("it matches",)
    assert detail.investigations[0].findings == INVESTIGATION.findings
    assert (detail.investigations[0].evidence_count, detail.investigations[0].step_count) == (1, 1)
    assert detail.decisions[0].consulted[0].why == "no key"
    assert detail.plans[0].plan == make_plan()
    assert detail.plans[0].approvals[0].approver == "olga"
    assert detail.executions[0].execution == EXECUTION
    assert detail.executions[0].verifications[0].verdict.kind is VerdictKind.PENDING


async def test_the_alerts_of_an_incident_are_shown(api: Any, store: Store) -> None:
    await api.post_alerts({"alerts": [{"labels": {"alertname": "A"}, "startsAt": "2026-11-23T11:00:00Z"}]})

    def fold(con: Connection) -> None:
        incidents.insert(con, make_incident())
        pending = alerts.pending(con, 10)
        alerts.join(con, [alerts.Joining(item.seq, "opens", INCIDENT_ID) for item in pending])

    await store.write(fold)
    detail = wire.loads(IncidentDetail, (await api("GET", f"/api/v1/incidents/{INCIDENT_ID}")).body)
    assert [(view.alert.name, view.received_at) for view in detail.alerts] == [("A", NOW)]


async def test_the_reasoning_has_every_step_and_all_evidence(api: Any, store: Store) -> None:
    await store.write(fill)
    answer = await api("GET", f"/api/v1/incidents/{INCIDENT_ID}/reasoning", by="vera")
    chain = wire.loads(Reasoning, answer.body)
    assert chain.investigations == (INVESTIGATION,)
    assert [(item.plan_id, item.outcome) for item in chain.attempts] == [("pln-000000000001", "pending")]


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/incidents/inc-000000000009",
        "/api/v1/incidents/inc-000000000009/reasoning",
        "/api/v1/incidents/..%2f..%2fetc%2fpasswd",
        "/api/v1/plans/pln-000000000009",
        "/api/v1/nothing",
        "/",
    ],
)
async def test_what_is_not_there_is_a_404_problem(api: Any, path: str) -> None:
    answer = await api("GET", path)
    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")


async def test_incidents_are_paged_newest_first(api: Any, store: Store) -> None:
    def add(con: Connection) -> None:
        for number in range(1, 6):
            incidents.insert(con, make_incident(number))

    await store.write(add)
    seen, cursor, pages = [], "", 0
    while cursor or not pages:
        answer = await api("GET", "/api/v1/incidents", params={"limit": "2", **({"cursor": cursor} if cursor else {})})
        page = wire.loads(IncidentPage, answer.body)
        seen += [incident.id for incident in page.incidents]
        cursor, pages = page.next_cursor, pages + 1
    assert seen == [f"inc-{number:012d}" for number in range(5, 0, -1)]
    assert pages == 3


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [3, 2, 1]),
        ("?state=escalated", [2]),
        ("?state=escalated,open", [2, 1]),
        ("?state=escalated&state=resolved", [3, 2]),
        ("?namespace=other", [3]),
        ("?rule=r", [2]),
        ("?q=WEB-3", [3]),
        ("?q=%25", []),
        ("?q=' OR 1=1 --", []),
    ],
)
async def test_incidents_are_filtered(api: Any, store: Store, query: str, expected: list[int]) -> None:
    def add(con: Connection) -> None:
        incidents.insert(con, make_incident(1))
        incidents.insert(con, make_incident(2, state=State.ESCALATED, rule="r"))
        incidents.insert(con, make_incident(3, state=State.RESOLVED, namespace="other"))

    await store.write(add)
    page = wire.loads(IncidentPage, (await api("GET", f"/api/v1/incidents{query}")).body)
    assert [int(incident.id[-1]) for incident in page.incidents] == expected


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=501", "limit"),
        ("limit=1000000000", "limit"),
        ("limit=ten", "limit"),
        ("limit=%D9%A2", "limit"),
        ("cursor=forged", "cursor"),
        ("cursor=inc-000000000001'", "cursor"),
        ("state=opened", "state"),
        ("state=open,nope", "state"),
        ("sort=asc", "sort"),
        ("q=" + "x" * 300, "q"),
        ("namespace=a%00b", "namespace"),
    ],
)
async def test_a_wrong_parameter_is_a_422_that_names_it(api: Any, query: str, field: str) -> None:
    answer = await api("GET", f"/api/v1/incidents?{query}")
    assert (answer.status, list(answer.json["errors"])) == (422, [field])


@pytest.mark.parametrize("cursor", ["0", "-1", "1e9", "9" * 30, "x"])
async def test_a_forged_audit_cursor_is_refused(api: Any, cursor: str) -> None:
    assert (await api("GET", "/api/v1/audit", params={"cursor": cursor})).status == 422


async def test_the_audit_chain_is_paged_newest_first(api: Any, store: Store) -> None:
    await store.write(fill)
    first = wire.loads(AuditPage, (await api("GET", f"/api/v1/audit?limit=1&incident={INCIDENT_ID}")).body)
    path = f"/api/v1/audit?limit=1&incident={INCIDENT_ID}&cursor={first.next_cursor}"
    second = wire.loads(AuditPage, (await api("GET", path)).body)
    assert [page.records[0].event for page in (first, second)] == ["approved", "incident_opened"]
    assert second.next_cursor == ""


async def test_plans_are_listed_by_state(api: Any, store: Store) -> None:
    def add(con: Connection) -> None:
        for number, state in enumerate((PlanState.PROPOSED, PlanState.APPLIED, PlanState.PROPOSED), start=1):
            plans.insert(con, make_plan(number, state=state))

    await store.write(add)
    page = wire.loads(PlanPage, (await api("GET", "/api/v1/plans?state=proposed", by="vera")).body)
    assert [view.plan.id[-1] for view in page.plans] == ["3", "1"]
    one = wire.loads(PlanView, (await api("GET", "/api/v1/plans/pln-000000000002", by="vera")).body)
    assert one.plan.state is PlanState.APPLIED


@pytest.mark.parametrize(
    ("path", "body", "result", "status", "call"),
    [
        ("/api/v1/plans/p/approve", {"digest": "d"}, make_plan(), 200, ("approve", "p", "d", "olga")),
        ("/api/v1/plans/p/reject", {"reason": "no"}, make_plan(), 200, ("reject", "p", "no", "olga")),
        ("/api/v1/executions/e/rollback", None, make_incident(), 202, ("roll_back", "e", "olga")),
        ("/api/v1/incidents/i/investigate", None, make_incident(), 202, ("investigate_again", "i", "olga")),
    ],
)
async def test_a_verb_is_passed_on_with_the_name_of_who_asks(
    api: Any, path: str, body: object, result: Plan | Incident, status: int, call: tuple[str, ...]
) -> None:
    api.pipeline.result = result
    answer = await api("POST", path, json=body) if body is not None else await api("POST", path)
    assert (answer.status, wire.loads(type(result), answer.body)) == (status, result)
    assert api.pipeline.calls == [call]


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (NotFound("no"), 404, "not-found"),
        (ApprovalMismatch("no"), 409, "approval-mismatch"),
        (PlanStale("no"), 409, "plan-stale"),
        (IllegalTransition("no"), 409, "illegal-transition"),
        (PolicyViolation("no"), 403, "policy-violation"),
        (StoreUnavailable("no"), 503, "store-unavailable"),
        (QueueFull("no"), 503, "queue-full"),
        (ClusterUnavailable("no"), 503, "cluster-unavailable"),
        (PermanentError("no"), 500, "internal-error"),
        (ZeroDivisionError("no"), 500, "internal-error"),
    ],
)
async def test_an_error_of_the_pipeline_becomes_a_problem(
    api: Any, metrics: Metrics, error: Exception, status: int, kind: str
) -> None:
    api.pipeline.error = error
    answer = await api("POST", "/api/v1/plans/p/approve", json={"digest": "d"})
    assert (answer.status, answer.json["type"]) == (status, f"urn:clopus:problem:{kind}")
    assert answer.json["instance"] == "/api/v1/plans/p/approve"
    assert ("Retry-After" in answer.headers) is (status == 503)
    assert metrics.registry.get_sample_value("clopus_http_errors_total") == float(status == 500)
    assert (answer.json["detail"] == "no") is (status != 500)


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/api/v1/plans/p/approve", b"", "digest"),
        ("POST", "/api/v1/plans/p/approve", b"[]", "body"),
        ("POST", "/api/v1/plans/p/approve", b"{", "body"),
        ("POST", "/api/v1/plans/p/approve", b'{"digest": 7}', "digest"),
        ("POST", "/api/v1/plans/p/approve", b'{"digest": null}', "digest"),
        ("POST", "/api/v1/plans/p/approve", b'{"digest": "d", "approver": "root"}', "approver"),
        ("POST", "/api/v1/plans/p/approve", b'{"digest": "' + b"d" * 5_000 + b'"}', "digest"),
        ("POST", "/api/v1/plans/p/approve", b'{"digest": "' + b"d" * 100_000 + b'"}', "body"),
        ("POST", "/api/v1/plans/p/reject", b"{}", "reason"),
        ("POST", "/api/v1/plans/p/reject", b'{"reason": "  "}', "reason"),
        ("POST", "/api/v1/executions/e/rollback", b'{"force": true}', "force"),
        ("PUT", "/api/v1/mode", b'{"kill_swich": true}', "kill_swich"),
        ("PUT", "/api/v1/mode", b'{"kill_switch": "yes"}', "kill_switch"),
        ("PUT", "/api/v1/mode", b'{"ceiling": "AUTONOMOUS"}', "ceiling"),
        ("PUT", "/api/v1/mode", b'{"namespaces": {"shop": "full"}}', "namespaces.shop"),
        ("PUT", "/api/v1/mode", b'{"namespaces": {"../x": "report"}}', "namespaces"),
        ("PUT", "/api/v1/mode", b'{"namespaces": []}', "namespaces"),
        ("PUT", "/api/v1/mode", b'{"reason": "a\\u0000"}', "reason"),
        ("POST", "/api/v1/rules/explain", b"{}", "labels"),
        ("POST", "/api/v1/rules/explain", b'{"labels": {"a": 1}}', "labels.a"),
        ("POST", "/api/v1/rules/explain", b'{"labels": {}, "source": "email"}', "source"),
    ],
)
async def test_a_wrong_body_is_a_422_that_names_the_field(
    api: Any, method: str, path: str, body: bytes, field: str
) -> None:
    answer = await api(method, path, data=body)
    assert (answer.status, list(answer.json["errors"])) == (422, [field])
    assert api.pipeline.calls == []


async def test_the_mode_is_read(api: Any) -> None:
    settings = wire.loads(ModeSettings, (await api("GET", "/api/v1/mode", by="vera")).body)
    assert settings == ModeSettings(kill_switch=True, namespaces={"shop": Mode.DRY_RUN})


@pytest.mark.inv(31)
async def test_what_a_mode_change_leaves_out_stays_as_it_is(api: Any) -> None:
    answer = await api("PUT", "/api/v1/mode", json={"ceiling": "report", "reason": "night"})
    settings = wire.loads(ModeSettings, answer.body)
    assert settings == ModeSettings(
        ceiling=Mode.REPORT, kill_switch=True, namespaces={"shop": Mode.DRY_RUN}, reason="night", set_by="olga"
    )


async def test_breakers_are_reset_with_the_time_of_the_reset(api: Any) -> None:
    api.pipeline.settings = ModeSettings(breakers={"*": "two failed"})
    settings = wire.loads(ModeSettings, (await api("PUT", "/api/v1/mode", json={"reset_breakers": True})).body)
    assert (settings.breakers, settings.breakers_reset_at) == ({}, NOW)


async def test_the_rules_are_listed(api: Any) -> None:
    page = (await api("GET", "/api/v1/rules", by="vera")).json
    assert page["digest"] == "d" * 64
    assert page["rules"][0]["matchers"] == ['namespace="shop"']


@pytest.mark.parametrize(
    ("labels", "rule", "effective"),
    [({"alertname": "A", "namespace": "shop"}, "shop", "dry-run"), ({"alertname": "B"}, "", "report")],
)
async def test_a_rule_is_explained_with_the_mode_after_ceilings(
    api: Any, labels: dict[str, str], rule: str, effective: str
) -> None:
    explanation = (await api("POST", "/api/v1/rules/explain", by="vera", json={"labels": labels})).json
    assert (explanation["rule"], explanation["effective_mode"]) == (rule, effective)
    assert explanation["why"]


@pytest.mark.inv(50)
async def test_every_route_but_health_needs_a_credential(api: Any) -> None:
    for path, operations in (await api("GET", "/openapi.json")).json["paths"].items():
        for method in operations:
            answer = await api(method.upper(), path.replace("{id}", "x"), by="")
            expected = 200 if path in ("/healthz", "/readyz") else 401
            assert answer.status == expected, path


@pytest.mark.inv(50)
@pytest.mark.parametrize("path", ["/api/v1/nothing", "/", "/api/v1/incidents/"])
async def test_an_unknown_path_tells_nothing_without_a_credential(api: Any, path: str) -> None:
    answer = await api("GET", path, by="")
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


CHANGES_NOTHING = ("/api/v1/rules/explain", "/api/v1/plans/{id}/presence")
"""What anyone who may read may send: a question, and that he looks."""


@pytest.mark.inv(31, 50)
async def test_a_viewer_changes_nothing(api: Any) -> None:
    for path, operations in (await api("GET", "/openapi.json")).json["paths"].items():
        for method in operations.keys() & {"post", "put"}:
            if path not in CHANGES_NOTHING:
                answer = await api(method.upper(), path.replace("{id}", "x"), by="vera", data=b"{}")
                assert answer.status == 403, path
    assert api.pipeline.calls == []


@pytest.mark.inv(50)
@pytest.mark.parametrize("path", ["/api/v1/incidents", "/metrics", "/openapi.json", "/api/v1/mode"])
async def test_the_webhook_credential_reads_nothing(api: Any, path: str) -> None:
    assert (await api("GET", path, by="alertmanager")).status == 403


async def test_a_token_in_the_query_string_is_no_credential(api: Any) -> None:
    assert (await api("GET", "/api/v1/mode?token=viewer-token-0123456789", by="")).status == 401


@pytest.mark.inv(50)
async def test_a_rotated_token_is_taken_without_a_restart(api: Any, token_files: dict[Role, Path]) -> None:
    fresh = {"Authorization": "Bearer fresh-viewer-token-0123"}
    assert (await api("GET", "/api/v1/mode", by="", headers=fresh)).status == 401
    replacement = token_files[Role.VIEWER].with_suffix(".new")
    replacement.write_text("vera:fresh-viewer-token-0123\n")
    replacement.replace(token_files[Role.VIEWER])
    assert (await api("GET", "/api/v1/mode", by="", headers=fresh)).status == 200
    assert (await api("GET", "/api/v1/mode", by="vera")).status == 401


@pytest.mark.inv(50)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, 403),
        ({"Host": "localhost:8080"}, 200),
        ({"Host": "localhost:8080", "Origin": "http://localhost:8080"}, 200),
        ({"Host": "127.0.0.1:8080", "Origin": "http://localhost:8080"}, 403),
        ({"Host": "[::1]:8080"}, 200),
        ({"Host": "clopus.monitoring.svc"}, 200),
    ],
)
async def test_host_and_origin_are_checked(serve: Callable[..., Any], headers: dict[str, str], status: int) -> None:
    api = await serve(allowed_hosts=frozenset({"clopus.monitoring.svc"}))
    assert (await api("GET", "/api/v1/mode", headers=headers)).status == status


async def test_readiness_gives_its_reasons(serve: Callable[..., Any]) -> None:
    api = await serve(not_ready=lambda: ("standby: another replica leads",))
    answer = await api("GET", "/readyz", by="")
    assert (answer.status, answer.json["reasons"]) == (503, ["standby: another replica leads"])
    assert (await api("GET", "/healthz", by="")).status == 200


async def test_readiness_without_reasons_is_ok(api: Any) -> None:
    answer = await api("GET", "/readyz", by="")
    assert (answer.status, answer.json["status"]) == (200, "ok")


@pytest.mark.inv(49)
async def test_metrics_labels_come_from_the_routes_alone(api: Any) -> None:
    for number in range(20):
        await api("GET", f"/api/v1/incidents/inc-{number:012d}")
        await api("GET", f"/scan/{number}")
        await api(("PROPFIND", "MKCOL", "REPORT")[number % 3], "/api/v1/mode")
    text = (await api("GET", "/metrics", by="vera")).body.decode()
    counts = [line for line in text.splitlines() if line.startswith("clopus_http_request_seconds_count")]
    assert len(counts) == 3
    assert any('route="/api/v1/incidents/{id}"' in line for line in counts)


async def test_the_description_names_every_route_and_nothing_else(api: Any) -> None:
    document = (await api("GET", "/openapi.json", by="vera")).json
    described = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    assert described == {
        ("POST", "/webhook/alertmanager"),
        ("GET", "/api/v1/incidents"),
        ("GET", "/api/v1/incidents/{id}"),
        ("GET", "/api/v1/incidents/{id}/reasoning"),
        ("GET", "/api/v1/incidents/{id}/report"),
        ("GET", "/api/v1/incidents/{id}/recording"),
        ("POST", "/api/v1/incidents/{id}/investigate"),
        ("GET", "/api/v1/plans"),
        ("GET", "/api/v1/plans/{id}"),
        ("POST", "/api/v1/plans/{id}/approve"),
        ("POST", "/api/v1/plans/{id}/reject"),
        ("PUT", "/api/v1/plans/{id}/presence"),
        ("GET", "/api/v1/approvals"),
        ("GET", "/api/v1/executions"),
        ("GET", "/api/v1/executions/{id}"),
        ("POST", "/api/v1/executions/{id}/rollback"),
        ("GET", "/api/v1/mode"),
        ("PUT", "/api/v1/mode"),
        ("GET", "/api/v1/audit"),
        ("GET", "/api/v1/audit/state"),
        ("GET", "/api/v1/changes"),
        ("GET", "/api/v1/rules"),
        ("GET", "/api/v1/watches"),
        ("GET", "/api/v1/status"),
        ("POST", "/api/v1/query"),
        ("GET", "/api/v1/query/catalogue"),
        ("GET", "/api/v1/stream"),
        ("POST", "/api/v1/rules/explain"),
        ("GET", "/metrics"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/openapi.json"),
    }


async def test_every_reference_of_the_description_resolves(api: Any) -> None:
    answer = await api("GET", "/openapi.json")
    schemas = answer.json["components"]["schemas"]
    text = answer.body.decode()
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= schemas.keys()
    assert all("properties" in schema for schema in schemas.values())
    assert {"SetImage", "IncidentDetail", "Problem", "AuditRecord"} <= named


@asynccontextmanager
async def connected(
    port: int, count: int = 1
) -> AsyncIterator[list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]:
    """Bare connections, closed at the end whatever the test says."""
    opened = []
    try:
        for _ in range(count):
            opened.append(await asyncio.open_connection("127.0.0.1", port))
        async with asyncio.timeout(30):
            yield opened
    finally:
        for _, writer in opened:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for _, writer in opened), return_exceptions=True)


@pytest.mark.inv(51)
async def test_headers_that_trickle_in_do_not_hold_a_connection(serve: Callable[..., Any]) -> None:
    api = await serve(limits=ListenerLimits(header_timeout_seconds=0.3))
    async with connected(api.port) as [(reader, writer)]:
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        assert await reader.read() == b""


@pytest.mark.inv(51)
async def test_one_connection_more_than_the_limit_is_closed_at_once(serve: Callable[..., Any]) -> None:
    api = await serve(limits=ListenerLimits(max_connections=3))
    async with connected(api.port, 3) as held:
        for reader, writer in held:
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
        async with connected(api.port) as [(reader, _)]:
            assert await reader.read() == b""


@pytest.mark.inv(51)
async def test_oversized_headers_are_refused(api: Any) -> None:
    async with connected(api.port) as [(reader, writer)]:
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Big: " + b"x" * 100_000 + b"\r\n\r\n")
        assert (await reader.readline()).split()[1] == b"400"


@pytest.mark.inv(51)
async def test_a_thousand_slow_connections_do_not_stop_ingest(api: Any) -> None:
    async with connected(api.port, 1_000) as slow:
        for _, writer in slow:
            writer.write(b"POST /webhook/alertmanager HTTP/1.1\r\nHost: x\r\n")
        answer = await api.post_alerts({"alerts": [{"labels": {"alertname": "A"}}]})
        assert answer.status == 200
