"""Plans: what waits for a decision, and the decisions. The pipeline checks and records them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from aiohttp import web

from responder.api.auth import Role
from responder.api.endpoint import IDENTITY, Endpoint, Parameter, answer
from responder.api.presence import VIEWERS
from responder.api.problems import RequestInvalid
from responder.api.requests import LIMIT, Query, read_body
from responder.api.services import SERVICES
from responder.domain.incident import Incident
from responder.domain.plan import Approval, Plan, PlanState
from responder.domain.views import PlanPage, PlanQueue, PlanView, QueuedPlan
from responder.fixer.approval import HUMAN
from responder.store import incidents, plans
from responder.store.store import Connection

_PLAN_QUERY = (Parameter(name="state", meaning="only plans in this state", choices=tuple(PlanState)), LIMIT)


@dataclass(frozen=True, kw_only=True)
class ApproveRequest:
    digest: str
    """Of the plan as it was shown: an approval of anything else is refused."""


@dataclass(frozen=True, kw_only=True)
class RejectRequest:
    reason: str


@dataclass(frozen=True, kw_only=True)
class NoBody:
    """The request needs none; an empty object is fine."""


def plan_view(con: Connection, plan: Plan) -> PlanView:
    return PlanView(plan=plan, approvals=plans.approvals(con, plan.id, consumed=True))


async def list_queue(request: web.Request) -> web.Response:
    Query(request, ())
    viewers = request.app[VIEWERS]
    queue = await request.app[SERVICES].store.read(_queue)
    return answer(PlanQueue(plans=tuple(replace(row, viewers=viewers.of(row.plan_id)) for row in queue)))


def _queue(con: Connection) -> tuple[QueuedPlan, ...]:
    waiting = sorted(plans.awaiting_a_person(con), key=lambda plan: (-plan.risk.rank, plan.created_at, plan.id))
    concerned = {item.id: item for item in incidents.find(con, [plan.incident_id for plan in waiting])}
    given = plans.approvals_of(con, [plan.id for plan in waiting])
    return tuple(
        _queued(plan, concerned[plan.incident_id], [approval for approval in given if approval.plan_id == plan.id])
        for plan in waiting
    )


def _queued(plan: Plan, incident: Incident, approvals: Sequence[Approval]) -> QueuedPlan:
    return QueuedPlan(
        plan_id=plan.id,
        incident_id=incident.id,
        key=incident.key,
        namespace=incident.namespace,
        severity=incident.severity,
        rule=incident.rule,
        action=plan.action,
        risk=plan.risk,
        reversible=plan.reversible,
        created_at=plan.created_at,
        expires_at=plan.expires_at,
        approvers_needed=plan.approvers_needed,
        approvers=tuple(approval.approver for approval in approvals if approval.kind == HUMAN),
        warnings=len(plan.warnings),
        objections=tuple(check.name for check in plan.checks if not check.passed),
    )


async def list_plans(request: web.Request) -> web.Response:
    query = Query(request, _PLAN_QUERY)
    states, limit = tuple(PlanState(value) for value in query.choices("state", PlanState)), query.limit()

    def read(con: Connection) -> PlanPage:
        found = plans.page(con, states=states, limit=limit)
        return PlanPage(plans=tuple(plan_view(con, plan) for plan in found))

    return answer(await request.app[SERVICES].store.read(read))


async def get_plan(request: web.Request) -> web.Response:
    Query(request, ())
    plan_id = request.match_info["id"]
    view = await request.app[SERVICES].store.read(lambda con: plan_view(con, plans.get(con, plan_id)))
    return answer(replace(view, viewers=request.app[VIEWERS].of(plan_id)))


async def approve(request: web.Request) -> web.Response:
    body = await read_body(request, ApproveRequest)
    pipeline = request.app[SERVICES].pipeline
    return answer(await pipeline.approve(request.match_info["id"], body.digest, request[IDENTITY].name))


async def reject(request: web.Request) -> web.Response:
    body = await read_body(request, RejectRequest)
    if not body.reason.strip():
        raise RequestInvalid("reason", "say why: it is what the next person reads")
    pipeline = request.app[SERVICES].pipeline
    return answer(await pipeline.reject(request.match_info["id"], body.reason, request[IDENTITY].name))


async def roll_back(request: web.Request) -> web.Response:
    await read_body(request, NoBody)
    pipeline = request.app[SERVICES].pipeline
    return answer(await pipeline.roll_back(request.match_info["id"], request[IDENTITY].name), status=202)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/plans",
        handler=list_plans,
        role=Role.VIEWER,
        summary="Plans, newest first.",
        query=_PLAN_QUERY,
        answer=PlanPage,
    ),
    Endpoint(
        method="GET",
        path="/api/v1/approvals",
        handler=list_queue,
        role=Role.VIEWER,
        summary="Plans that wait for a person, riskiest first, and of one risk the oldest.",
        answer=PlanQueue,
    ),
    Endpoint(
        method="GET",
        path="/api/v1/plans/{id}",
        handler=get_plan,
        role=Role.VIEWER,
        summary="One plan with its diff, checks, digest, approvals, and who looks at it now.",
        answer=PlanView,
        refusals=(404,),
    ),
    Endpoint(
        method="POST",
        path="/api/v1/plans/{id}/approve",
        handler=approve,
        role=Role.OPERATOR,
        summary="Approve exactly the digest that was shown.",
        body=ApproveRequest,
        answer=Plan,
        refusals=(404, 409),
    ),
    Endpoint(
        method="POST",
        path="/api/v1/plans/{id}/reject",
        handler=reject,
        role=Role.OPERATOR,
        summary="Refuse a plan that waits.",
        body=RejectRequest,
        answer=Plan,
        refusals=(404, 409),
    ),
    Endpoint(
        method="POST",
        path="/api/v1/executions/{id}/rollback",
        handler=roll_back,
        role=Role.OPERATOR,
        summary="Take an applied change back.",
        body=NoBody,
        answer=Incident,
        refusals=(404, 409),
    ),
)
