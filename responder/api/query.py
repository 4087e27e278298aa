"""Operators' SQL. What may run is decided by `responder.query`, which also runs it; here it is asked and answered."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiohttp import web

from responder import wire
from responder.api.auth import Role
from responder.api.endpoint import Endpoint, answer
from responder.api.requests import Query, read_body
from responder.api.services import SERVICES
from responder.domain.errors import PolicyViolation
from responder.domain.views import QueryAnswer, QueryCatalogue
from responder.query.runner import Queries
from responder.store import catalogue

MAX_STATEMENT = 16_384
"""Characters."""
_HUNG_UP = 499
"""Nobody reads it; it is what is measured, and what nginx says of the same."""
_LOOK_SECONDS = 0.5
"""How often it is looked whether somebody still waits for the answer."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    sql: str


async def run_query(request: web.Request) -> web.Response:
    Query(request, ())
    queries = _queries(request)
    statement = await read_body(request, Statement, max_text=MAX_STATEMENT)
    found = await _while_awaited(request, queries, statement.sql)
    if found is None:
        return web.Response(status=_HUNG_UP)
    # Of many rows: the loop has other things to do than to write them down.
    body = await asyncio.to_thread(wire.dumps, found)
    return web.Response(body=body, content_type="application/json")


async def query_catalogue(request: web.Request) -> web.Response:
    Query(request, ())
    _queries(request)
    return answer(await request.app[SERVICES].store.read(catalogue.read))


def _queries(request: web.Request) -> Queries:
    queries = request.app[SERVICES].queries
    if queries is None:
        raise PolicyViolation("statements are not answered here: query.enabled is false")
    return queries


async def _while_awaited(request: web.Request, queries: Queries, sql: str) -> QueryAnswer | None:
    """The answer; None where the sender has hung up: the statement is given up, so that it is in nobody's way."""
    task = asyncio.create_task(queries.answer(sql))
    try:
        while not task.done():
            await asyncio.wait([task], timeout=_LOOK_SECONDS)
            if not task.done() and (request.transport is None or request.transport.is_closing()):
                return None
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/api/v1/query",
        handler=run_query,
        role=Role.VIEWER,
        summary="One SELECT on a copy of the record.",
        body=Statement,
        answer=QueryAnswer,
        refusals=(400, 403, 422, 503),
    ),
    Endpoint(
        method="GET",
        path="/api/v1/query/catalogue",
        handler=query_catalogue,
        role=Role.VIEWER,
        summary="Views and tables that a SELECT may name, with their columns.",
        answer=QueryCatalogue,
        refusals=(403,),
    ),
)
