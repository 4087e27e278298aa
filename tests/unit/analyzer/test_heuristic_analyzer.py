"""The analyzer as the pipeline sees it: an investigation with its steps, whatever the text from outside is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from responder import wire
from responder.analyzer.heuristics import HeuristicAnalyzer
from responder.analyzer.protocol import Assignment
from responder.domain.incident import Incident
from responder.domain.investigation import Conclusion, Investigation, StepKind
from responder.domain.snapshot import Snapshot
from responder.redact.placeholders import Placeholders

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def analyzer() -> HeuristicAnalyzer:
    return HeuristicAnalyzer(now=lambda: NOW)


@pytest.fixture
def incident(build) -> Incident:
    return Incident(
        id="inc-1",
        key=build.root.key,
        root=build.root,
        labels={"alertname": "KubePodCrashLooping", "container": "web"},
        opened_at=NOW,
        updated_at=NOW,
    )


def assigned(incident: Incident, snapshot: Snapshot | None, number: int = 1) -> Assignment:
    return Assignment(
        id="inv-1", number=number, incident=incident, snapshot=snapshot, seconds=30, secrets=Placeholders()
    )


async def test_an_investigation_tells_what_was_looked_at_and_each_verdict(build, analyzer, incident):
    snapshot = build.broken(build.crashing(), logs=["panic: boom"])
    result = await analyzer.investigate(assigned(incident, snapshot, number=2))
    assert (result.id, result.incident_id, result.number, result.analyzer) == ("inv-1", "inc-1", 2, "heuristic")
    assert [step.number for step in result.steps] == list(range(1, len(result.steps) + 1))
    assert result.steps[0].kind is StepKind.TOOL_RESULT
    assert any(step.text.startswith("memory: nothing found") for step in result.steps)
    assert result.steps[-1].text.startswith("unfixable")


async def test_an_alert_without_an_object_is_not_applicable(analyzer, incident):
    result = await analyzer.investigate(assigned(incident, None))
    assert (result.conclusion, result.proposals) == (Conclusion.NOT_APPLICABLE, ())


async def test_an_investigation_survives_the_wire(build, analyzer, incident):
    snapshot = build.broken(build.waiting("ImagePullBackOff", "not found"), healthy=["nginx:1.27"])
    result = await analyzer.investigate(assigned(incident, snapshot))
    assert wire.loads(Investigation, wire.dumps(result)) == result


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.text(max_size=300), message=st.text(max_size=300), reason=st.sampled_from(["", "Failed", "Unhealthy"]))
def test_no_text_from_outside_breaks_the_diagnosis(build, words, message, reason):
    events = (build.event(reason, message),)
    for status in (
        build.crashing(ended=build.ended(1, "Error", message)),
        build.waiting("ImagePullBackOff", message),
        build.waiting("CreateContainerConfigError", message),
        build.running(seconds=600, ready=False),
    ):
        container = build.container(ports={80: ""}, probes=(build.probe(),))
        found = build.diagnose(build.broken(status, container=container, logs=[words], events=events))
        known = {item.id for item in found.evidence}
        assert all(set(finding.evidence) <= known for finding in found.findings)


def test_a_log_of_hostile_size_is_read_in_bounded_time(build):
    hostile = ("mkdir " * 5000 + "permission denied ") * 3
    found = build.diagnose(build.broken(build.crashing(), logs=[hostile, "x" * 100_000, "panic: boom"]))
    assert all(len(item.text.encode()) <= 8192 for item in found.evidence)
