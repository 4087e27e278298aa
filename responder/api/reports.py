"""One incident as a file to keep: the same record as `/api/v1/incidents/{id}`, in Markdown."""

from __future__ import annotations

import asyncio

from aiohttp import web

from responder.api.auth import Role
from responder.api.endpoint import Endpoint
from responder.api.incidents import detail_of, reasoning_of
from responder.api.requests import Query
from responder.api.services import SERVICES
from responder.reporter.markdown import render_markdown


async def get_report(request: web.Request) -> web.Response:
    Query(request, ())
    incident_id = request.match_info["id"]
    detail, reasoning = await request.app[SERVICES].store.read(
        lambda con: (detail_of(con, incident_id), reasoning_of(con, incident_id))
    )
    report = await asyncio.to_thread(render_markdown, detail, reasoning)  # hundreds of observations: not on the loop
    headers = {"Content-Disposition": f'attachment; filename="clopus-{detail.incident.id}.md"'}
    return web.Response(text=report, content_type="text/markdown", headers=headers)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/incidents/{id}/report",
        handler=get_report,
        role=Role.VIEWER,
        summary="One incident as Markdown (text/markdown): what, why, what was changed, how to take it back.",
        answer=None,
        refusals=(404,),
    ),
)
