"""One incident: all that is known of it, its reasoning, and the request to look again. The list is `incidentlist`'s."""

from __future__ import annotations

from aiohttp import web

from responder.api.approvals import NoBody, plan_view
from responder.api.auth import Role
from responder.api.changes import around
from responder.api.endpoint import IDENTITY, Endpoint, answer
from responder.api.requests import Query, read_body
from responder.api.services import SERVICES
from responder.domain.incident import Incident
from responder.domain.views import (
    AlertView,
    DecisionView,
    ExecutionView,
    IncidentDetail,
    InvestigationSummary,
    Reasoning,
)
from responder.store import alerts, attempts, decisions, executions, incidents, investigations, plans
from responder.store.investigations import Outline
from responder.store.store import Connection

MAX_ALERTS = 500
"""Alerts in one detail answer, newest first: an incident may have gathered ten thousand."""


async def get_incident(request: web.Request) -> web.Response:
    Query(request, ())
    incident_id = request.match_info["id"]
    return answer(await request.app[SERVICES].store.read(lambda con: detail_of(con, incident_id)))


async def get_reasoning(request: web.Request) -> web.Response:
    Query(request, ())
    incident_id = request.match_info["id"]

    return answer(await request.app[SERVICES].store.read(lambda con: reasoning_of(con, incident_id)))


async def investigate(request: web.Request) -> web.Response:
    await read_body(request, NoBody)
    pipeline = request.app[SERVICES].pipeline
    return answer(await pipeline.investigate_again(request.match_info["id"], request[IDENTITY].name), status=202)


def reasoning_of(con: Connection, incident_id: str) -> Reasoning:
    """Raises NotFound for an incident that is not there."""
    incidents.get(con, incident_id)
    return Reasoning(
        incident_id=incident_id,
        investigations=investigations.of_incident(con, incident_id),
        attempts=attempts.of_incident(con, incident_id),
    )


def detail_of(con: Connection, incident_id: str) -> IncidentDetail:
    incident = incidents.get(con, incident_id)
    return IncidentDetail(
        incident=incident,
        members=incidents.members(con, incident_id) if incident.cause else (),
        alerts=tuple(
            AlertView(alert=alert, received_at=received_at)
            for alert, received_at in alerts.of_incident(con, incident_id, MAX_ALERTS)
        ),
        timeline=incidents.timeline(con, incident_id),
        decisions=_decisions(con, incident_id),
        investigations=tuple(_summary(item) for item in investigations.summaries_of_incident(con, incident_id)),
        plans=tuple(plan_view(con, plan) for plan in plans.of_incident(con, incident_id)),
        executions=tuple(
            ExecutionView(execution=item, verifications=executions.verifications(con, item.id))
            for item in executions.of_incident(con, incident_id)
        ),
        changes=around(con, incident),
    )


def _decisions(con: Connection, incident_id: str) -> tuple[DecisionView, ...]:
    return tuple(
        DecisionView(
            at=item.decided_at,
            rule=item.rule,
            rule_mode=item.rule_mode,
            mode=item.mode,
            rule_set=item.rule_set,
            why=item.why,
            consulted=item.consulted,
        )
        for item in decisions.of_incident(con, incident_id)
    )


def _summary(outline: Outline) -> InvestigationSummary:
    return InvestigationSummary.of(
        outline.investigation, evidence_count=outline.evidence_count, step_count=outline.step_count
    )


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/incidents/{id}",
        handler=get_incident,
        role=Role.VIEWER,
        summary="One incident: alerts, timeline, decisions, investigations, plans, executions, verifications.",
        answer=IncidentDetail,
        refusals=(404,),
    ),
    Endpoint(
        method="GET",
        path="/api/v1/incidents/{id}/reasoning",
        handler=get_reasoning,
        role=Role.VIEWER,
        summary="Its investigations with every step and all evidence, and the changes between them.",
        answer=Reasoning,
        refusals=(404,),
    ),
    Endpoint(
        method="POST",
        path="/api/v1/incidents/{id}/investigate",
        handler=investigate,
        role=Role.OPERATOR,
        summary="Look at it afresh; a plan that waits is withdrawn.",
        body=NoBody,
        answer=Incident,
        refusals=(404, 409),
    ),
)
