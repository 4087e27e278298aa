"""When a run has to conclude because its time runs out."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from responder.analyzer.llm.budget import Prices, Room, RunLimits, Spent
from responder.analyzer.llm.conversation import Conversation
from responder.analyzer.llm.meter import Meter
from responder.analyzer.llm.run import Clock, Run
from responder.analyzer.llm.steps import Steps
from responder.analyzer.protocol import Assignment
from responder.domain.incident import Incident
from responder.redact.placeholders import Placeholders
from responder.telemetry import Metrics

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LIMITS = RunLimits(
    turns=12, tool_calls=40, evidence_bytes=262_144, tokens=1_000_000, usd=10.0, output_tokens=4096, retry_seconds=60
)


def _run(*, seconds: float, left: float, turns: int = 0, provider_seconds: float = 0.0) -> Run:
    incident = Incident(id="inc-1", key="k", root=None, opened_at=AT, updated_at=AT)
    assignment = Assignment(
        id="inv-1", number=1, incident=incident, snapshot=None, seconds=seconds, secrets=Placeholders()
    )
    return Run(
        assignment=assignment,
        steps=Steps(assignment, now=lambda: AT),
        conversation=Conversation("You look.", (), "Why?"),
        limits=LIMITS,
        prices=Prices(input=3.0, cache_read=0.3, cache_write=3.75, output=15.0),
        clock=Clock(now=lambda: AT, monotonic=lambda: 0.0),
        meter=Meter(Metrics(), "claude"),
        deadline=left,
        spent=Spent(turns=turns),
        provider_seconds=provider_seconds,
    )


@pytest.mark.inv(42)
@pytest.mark.parametrize(
    ("seconds", "left", "turns", "provider_seconds", "last"),
    [
        (300.0, 300.0, 0, 0.0, False),
        (300.0, 31.0, 4, 0.4, False),
        (300.0, 29.0, 4, 0.4, True),
        (300.0, 60.0, 4, 160.0, True),
        (300.0, 80.0, 4, 160.0, False),
        (20.0, 5.0, 1, 0.1, False),
        (20.0, 3.0, 1, 0.1, True),
    ],
)
def test_the_next_reply_has_to_conclude_where_no_other_would_be_done_in_time(
    seconds: float, left: float, turns: int, provider_seconds: float, last: bool
) -> None:
    room = _run(seconds=seconds, left=left, turns=turns, provider_seconds=provider_seconds).room()
    assert isinstance(room, Room)
    assert room.last is last
