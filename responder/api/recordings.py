"""What is kept of an incident for another analyzer to work on: `clopus investigate --replay` reads it.

Only what was redacted before it was stored. A snapshot that another release kept in another form is none.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from aiohttp import web

from responder import wire
from responder.analyzer.kept import unpack
from responder.api.auth import Role
from responder.api.endpoint import Endpoint
from responder.api.requests import Query
from responder.api.services import SERVICES
from responder.domain.views import Recording
from responder.store import alerts, attempts, incidents, investigations, snapshots
from responder.store.store import Connection

_NOT_KEPT = (
    "no snapshot of it is kept: analysis.keep_snapshot_days is over, it was too large, or nothing was looked at;"
    " `clopus investigate ID` without --replay takes a new one"
)


async def get_recording(request: web.Request) -> web.Response:
    Query(request, ())
    incident_id = request.match_info["id"]
    recording, packed = await request.app[SERVICES].store.read(lambda con: _read(con, incident_id))
    body = await asyncio.to_thread(_encoded, recording, packed)  # megabytes: not on the event loop
    return web.Response(body=body, content_type="application/json")


def _read(con: Connection, incident_id: str) -> tuple[Recording, bytes | None]:
    incident = incidents.get(con, incident_id)
    found = snapshots.newest_of_incident(con, incident_id)
    recording = Recording(
        incident=incident,
        snapshot=None,
        snapshot_of=found[0] if found is not None else "",
        investigations=investigations.of_incident(con, incident_id),
        attempts=attempts.of_incident(con, incident_id),
        annotations=alerts.last_annotations(con, incident_id),
    )
    return recording, found[1] if found is not None else None


def _encoded(recording: Recording, packed: bytes | None) -> bytes:
    if packed is None:
        return wire.dumps(replace(recording, problem=_NOT_KEPT))
    try:
        recording = replace(recording, snapshot=unpack(packed))
    except ValueError as exc:
        recording = replace(recording, problem=str(exc))
    return wire.dumps(recording)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/incidents/{id}/recording",
        handler=get_recording,
        role=Role.VIEWER,
        summary="What another analyzer needs to work on it once more: snapshot, investigations, changes so far.",
        answer=Recording,
        refusals=(404,),
    ),
)
