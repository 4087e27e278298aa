"""What was written to the cluster: the list, newest first, and one write with what taking it back would write."""

from __future__ import annotations

import re

from aiohttp import web

from responder.api.auth import Role
from responder.api.endpoint import Endpoint, answer
from responder.api.requests import CURSOR, LIMIT, Query
from responder.api.services import SERVICES
from responder.domain.execution import Execution, Verification
from responder.domain.incident import Incident
from responder.domain.plan import Plan
from responder.domain.undoing import keeps
from responder.domain.views import ExecutionDetail, ExecutionPage, ExecutionRow, ExecutionView
from responder.store import executions, incidents, plans
from responder.store.store import Connection

_CURSOR = re.compile(r"exe-[0-9a-z]{12}\Z", re.ASCII)
_EXECUTION_QUERY = (LIMIT, CURSOR)


async def list_executions(request: web.Request) -> web.Response:
    query = Query(request, _EXECUTION_QUERY)
    limit, cursor = query.limit(), query.cursor(_CURSOR)

    def read(con: Connection) -> ExecutionPage:
        found, following = executions.page(con, limit=limit, cursor=cursor)
        return ExecutionPage(executions=_rows(con, found), next_cursor=following)

    return answer(await request.app[SERVICES].store.read(read))


async def get_execution(request: web.Request) -> web.Response:
    Query(request, ())
    execution_id = request.match_info["id"]
    return answer(await request.app[SERVICES].store.read(lambda con: _detail(con, execution_id)))


def _rows(con: Connection, found: tuple[Execution, ...]) -> tuple[ExecutionRow, ...]:
    incident_ids = sorted({execution.incident_id for execution in found})
    concerned = {item.id: item for item in incidents.find(con, incident_ids)}
    planned = {plan.id: plan for plan in plans.find(con, sorted({execution.plan_id for execution in found}))}
    beside = executions.of_incidents(con, incident_ids)
    looks = executions.last_looks(con, incident_ids)
    verdicts = {execution_id: look.verdict.kind for execution_id, look in looks.items()}
    return tuple(
        _row(
            execution,
            planned[execution.plan_id],
            concerned[execution.incident_id],
            looks.get(execution.id),
            keeps(
                execution,
                done=[other for other in beside if other.incident_id == execution.incident_id],
                verdicts=verdicts,
                state=concerned[execution.incident_id].state,
            ),
        )
        for execution in found
    )


def _row(execution: Execution, plan: Plan, incident: Incident, look: Verification | None, kept: str) -> ExecutionRow:
    return ExecutionRow(
        execution_id=execution.id,
        plan_id=plan.id,
        incident_id=incident.id,
        key=incident.key,
        rule=incident.rule,
        kind=execution.kind,
        outcome=execution.outcome,
        action=plan.action,
        risk=plan.risk,
        requested_by=execution.requested_by,
        intent_at=execution.intent_at,
        verdict=look.verdict.kind if look else None,
        reason=look.verdict.reason if look else "",
        keeps=kept,
    )


def _detail(con: Connection, execution_id: str) -> ExecutionDetail:
    execution = executions.get(con, execution_id)
    incident = incidents.get(con, execution.incident_id)
    return ExecutionDetail(
        view=ExecutionView(execution=execution, verifications=executions.verifications(con, execution_id)),
        plan=plans.get(con, execution.plan_id),
        incident=incident,
        keeps=keeps(
            execution,
            done=executions.of_incident(con, incident.id),
            verdicts=executions.last_verdicts(con, [incident.id]),
            state=incident.state,
        ),
    )


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/executions",
        handler=list_executions,
        role=Role.VIEWER,
        summary="What was written to the cluster, newest first, its verdict, and why it cannot be taken back.",
        query=_EXECUTION_QUERY,
        answer=ExecutionPage,
    ),
    Endpoint(
        method="GET",
        path="/api/v1/executions/{id}",
        handler=get_execution,
        role=Role.VIEWER,
        summary="One write with its plan, its verifications, and why it cannot be taken back. Whether somebody else "
        "changed the object since is known only when that is tried.",
        answer=ExecutionDetail,
        refusals=(404,),
    ),
)
