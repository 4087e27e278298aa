"""Plans: what waits for a decision, and the decisions. The pipeline checks and records them."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from responder.api.auth import Role
from responder.api.endpoint import IDENTITY, Endpoint, Parameter, answer
from responder.api.problems import RequestInvalid
from responder.api.requests import LIMIT, Query, read_body
from responder.api.services import SERVICES
from responder.domain.incident import Incident
from responder.domain.plan import Plan, PlanState
from responder.domain.views import PlanPage, PlanView
from responder.store import plans
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
    return answer(await request.app[SERVICES].store.read(lambda con: plan_view(con, plans.get(con, plan_id))))


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
        path="/api/v1/plans/{id}",
        handler=get_plan,
        role=Role.VIEWER,
        summary="One plan with its diff, checks, digest and approvals.",
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
