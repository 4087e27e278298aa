"""An incident from the record: which looks are answered, with what, and what a run starts from."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from responder.analyzer.collect import MAX_EVENTS
from responder.analyzer.llm.turn import Given, Observation
from responder.analyzer.protocol import Assignment
from responder.analyzer.remembered import RememberedCluster
from responder.analyzer.replay import NOT_RECORDED, RecordedTools, assignment_of, replayed
from responder.analyzer.tools.toolbox import Toolbox
from responder.domain.action import RestartRollout
from responder.domain.errors import AnalyzerUnavailable, ClusterUnavailable, NotFound, ReplyInvalid
from responder.domain.incident import Incident
from responder.domain.investigation import (
    Attempt,
    Conclusion,
    Evidence,
    EvidenceKind,
    Investigation,
    Step,
    StepKind,
    Unchecked,
    Usage,
)
from responder.domain.manifest import LiveObject
from responder.domain.plan import Change
from responder.domain.refs import ObjectRef
from responder.domain.snapshot import LogExcerpt, Snapshot
from responder.domain.views import Recording
from responder.domain.workload import EventRecord, parse_pod

AT = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u1")
POD = ObjectRef(kind="Pod", namespace="shop", name="web-1", uid="u2")
LIVE = LiveObject(
    ref=WEB,
    resource_version="7",
    generation=1,
    body={"kind": "Deployment", "metadata": {"name": "web", "managedFields": [{"manager": "m"}]}, "spec": {"a": 1}},
)
INCIDENT = Incident(id="inc-1", key=WEB.key, root=WEB, namespace="shop", opened_at=AT, updated_at=AT)


def pod(*containers: str) -> Any:
    body = {
        "metadata": {"name": POD.name, "namespace": POD.namespace, "uid": POD.uid},
        "spec": {"containers": [{"name": name, "image": "x"} for name in containers]},
    }
    return parse_pod(body)


def log(text: str, **changes: Any) -> LogExcerpt:
    return LogExcerpt(**{"pod": POD, "container": "app", "previous": True, "text": text} | changes)


def step(number: int, kind: StepKind, text: str = "", **fields: Any) -> Step:
    return Step(number=number, kind=kind, at=AT, text=text, **fields)


def look(tool: str, arguments: object, seen: str = "", *, label: str = "c1") -> tuple[Step, ...]:
    """A call and its result; `seen` is the id of the evidence that it gave."""
    raw = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return (
        step(1, StepKind.TOOL_CALL, raw, tool=tool, call=label),
        step(2, StepKind.TOOL_RESULT, "told", tool=tool, call=label, evidence=(seen,) if seen else ()),
    )


def seen(id: str, text: str) -> Evidence:  # noqa: A002 - the field is called so
    return Evidence(id=id, kind=EvidenceKind.STATUS, source="quota", subject=WEB, observed_at=AT, text=text)


def run(analyzer: str = "heuristic", number: int = 1, **changes: Any) -> Investigation:
    base = {
        "id": f"inv-{number}",
        "incident_id": "inc-1",
        "started_at": AT,
        "ended_at": AT,
        "conclusion": Conclusion.UNEXPLAINED,
        "summary": "nothing known fits",
    }
    return Investigation(analyzer=analyzer, number=number, **base | changes)


def recording(*runs: Investigation, **changes: Any) -> Recording:
    base = {"incident": INCIDENT, "snapshot": Snapshot(taken_at=AT, root=WEB, live=LIVE), "snapshot_of": "inv-1"}
    return Recording(investigations=runs, **base | changes)


def tools_of(found: Recording) -> RecordedTools:
    return RecordedTools(found, assigned(found))


def with_look(*steps: Step, evidence: tuple[Evidence, ...] = (seen("e2", "cpu 1 of 2"),)) -> RecordedTools:
    return tools_of(recording(run(), run("claude", 2, steps=steps, evidence=evidence)))


def with_logs(*logs: LogExcerpt, pods: tuple[Any, ...] = ()) -> RecordedTools:
    return tools_of(recording(snapshot=Snapshot(taken_at=AT, root=WEB, live=LIVE, logs=logs, pods=pods)))


async def missing(tools: RecordedTools, name: str, arguments: Any) -> bool:
    observation = await tools.call(name, arguments)
    assert (observation.given is Given.ERROR) == bool(tools.missing)
    return observation == Observation(given=Given.ERROR, text=NOT_RECORDED)


def test_a_model_is_told_of_the_same_tools_as_on_the_cluster() -> None:
    assert RecordedTools.specs == Toolbox.specs


@pytest.mark.parametrize(
    ("recorded", "asked"),
    [
        ({}, {}),
        ({"kind": "Pod", "limit": 50}, {"kind": "Pod"}),
        ({"kind": "Pod"}, {"kind": "Pod", "limit": 50, "label_selector": ""}),
        ('{"limit":7,"kind":"Pod"}', {"kind": "Pod", "limit": 7}),
    ],
)
async def test_the_same_look_is_answered_with_what_it_gave_however_it_is_spelt(recorded: Any, asked: Any) -> None:
    tool = "list_objects" if recorded else "quota"
    asked = {key: value for key, value in asked.items() if value != ""}
    observation = await with_look(*look(tool, recorded, "e2")).call(tool, asked)
    assert observation == Observation(
        given=Given.SEEN, text="cpu 1 of 2", kind=EvidenceKind.STATUS, source="quota", subject=WEB
    )


@pytest.mark.parametrize(
    ("steps", "name", "arguments"),
    [
        (look("quota", {}, "e2"), "list_objects", {"kind": "Pod"}),
        (look("list_objects", {"kind": "Job"}, "e2"), "list_objects", {"kind": "Pod"}),
        (look("quota", {}), "quota", {}),
        (look("quota", {}, "e9"), "quota", {}),
        (look("quota", "{", "e2"), "quota", {}),
        (look("quota", {"of": "another release"}, "e2"), "quota", {}),
        (look("removed", {}, "e2"), "quota", {}),
        (look("quota", {}, "e2", label=""), "quota", {}),
    ],
)
async def test_a_look_that_is_not_on_record_is_an_error_and_no_absence(
    steps: tuple[Step, ...], name: str, arguments: Any
) -> None:
    tools = with_look(*steps)
    assert await missing(tools, name, arguments)
    assert tools.missing == [f"{name} {json.dumps(arguments)}"]


async def test_of_the_same_look_the_newest_answer_counts() -> None:
    older = run("claude", 2, steps=look("quota", {}, "e2"), evidence=(seen("e2", "older"),))
    newer = run("claude", 3, steps=look("quota", {}, "e2"), evidence=(seen("e2", "newer"),))
    assert (await tools_of(recording(older, newer)).call("quota", {})).text == "newer"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("quota", {"namespace": "other"}), ("list_objects", {"kind": "Secret"}), ("shell", {}), ("logs", {})],
)
async def test_what_the_tools_refuse_is_refused_here_too(name: str, arguments: Any) -> None:
    tools = with_look()
    assert (await tools.call(name, arguments)).given is Given.REFUSED
    assert tools.missing == []


async def test_the_root_object_is_read_from_the_snapshot() -> None:
    observation = await tools_of(recording()).call("get_object", {"kind": "Deployment", "name": "web"})
    assert observation.given is Given.SEEN
    assert (observation.source, observation.subject) == ("Deployment/shop/web", WEB)
    assert "managedFields" not in observation.text
    assert "spec:\n  a: 1" in observation.text


async def test_another_object_is_not_read_from_the_snapshot() -> None:
    assert await missing(tools_of(recording()), "get_object", {"kind": "Deployment", "name": "api"})


def event(subject: ObjectRef = POD, **changes: Any) -> EventRecord:
    base = {"type": "Warning", "reason": "BackOff", "message": "again", "subject": subject, "count": 3}
    return EventRecord(**base | {"first_at": AT - timedelta(hours=1), "last_at": AT, "component": "kubelet"} | changes)


def with_events(*events: EventRecord, **changes: Any) -> RecordedTools:
    snapshot = Snapshot(taken_at=AT, root=WEB, live=LIVE, pods=(pod("app"),), events=events)
    return tools_of(recording(snapshot=replace(snapshot, **changes)))


async def test_events_of_the_root_and_its_pods_are_told_from_the_snapshot() -> None:
    tools = with_events(event(), event(WEB, reason="Scaled"))
    observation = await tools.call("events", {"kind": "Pod", "name": "web-1"})
    assert observation.text.splitlines()[1:] == [
        "- 0 s ago x3 since 1 h ago: Warning BackOff Pod/web-1 (kubelet) | again"
    ]


async def test_the_root_is_described_as_it_was_then() -> None:
    observation = await with_events(event(WEB, reason="Scaled")).call("describe", {"kind": "Deployment", "name": "web"})
    assert observation.given is Given.SEEN
    assert "Warning Scaled Deployment/web" in observation.text


@pytest.mark.parametrize(
    ("arguments", "changes"),
    [
        ({}, {}),
        ({"kind": "Pod"}, {}),
        ({"kind": "Pod", "name": "web-2"}, {}),
        ({"kind": "Pod", "name": "web-1"}, {"events": (event(),) * MAX_EVENTS}),
        (
            {"kind": "Pod", "name": "web-1"},
            {"unchecked": (Unchecked(what="Event objects of namespace shop", why="403"),)},
        ),
    ],
)
async def test_events_that_the_snapshot_may_not_hold_all_are_unknown(arguments: Any, changes: Any) -> None:
    assert await missing(with_events(**changes), "events", arguments)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("describe", {"kind": "Pod", "name": "web-1"}),
        ("rollout_history", {"kind": "Deployment", "name": "web"}),
        ("owners", {"kind": "Deployment", "name": "web"}),
        ("changes", {}),
        ("history", {}),
        ("metric_now", {"metric": "up"}),
        ("top", {}),
    ],
)
async def test_a_look_of_which_the_snapshot_holds_a_part_is_unknown(name: str, arguments: Any) -> None:
    assert await missing(with_events(event()), name, arguments)


@pytest.mark.inv(32)
async def test_nothing_can_be_written_to_what_is_remembered() -> None:
    cluster = RememberedCluster(Snapshot(taken_at=AT, root=WEB, live=LIVE))
    change = Change(target=WEB, resource_version="7", base_hash="h")
    with pytest.raises(ClusterUnavailable):
        await cluster.apply(change, execution_id="exe-1", dry_run=False)


@pytest.mark.parametrize(
    ("lines", "truncated", "asked", "told"),
    [
        (3, False, 100, 3),  # the whole log
        (3, False, 2, 2),
        (3, False, 1000, 3),
        (100, False, 100, 100),
        (100, False, 101, None),  # there may have been more
        (100, False, 5, 5),
        (50, True, 49, 49),
        (50, True, 50, None),  # the first line may be half of one
        (0, False, 100, 0),
    ],
)
async def test_the_end_of_a_log_is_told_where_the_snapshot_holds_all_of_it(
    lines: int, truncated: bool, asked: int, told: int | None
) -> None:
    texts = [f"line {number}" for number in range(lines)]
    tools = with_logs(log("\n".join(texts), truncated=truncated))
    arguments = {"pod": "web-1", "container": "app", "previous": True, "tail_lines": asked}
    if told is None:
        assert await missing(tools, "logs", arguments)
        return
    head, *rest = (await tools.call("logs", arguments)).text.split("\n")
    assert head.startswith("Pod/shop/web-1 container app, previous log:")
    assert rest == texts[lines - told :]


@pytest.mark.parametrize(
    "changes",
    [{"pod": "web-2"}, {"container": "sidecar"}, {"previous": False}, {"grep": "fatal"}],
)
async def test_another_log_is_not_told_in_its_place(changes: Any) -> None:
    arguments = {"pod": "web-1", "container": "app", "previous": True} | changes
    assert await missing(with_logs(log("a\nb")), "logs", arguments)


@pytest.mark.parametrize(("containers", "answered"), [(("app",), True), (("app", "sidecar"), False)])
async def test_a_log_without_a_container_is_that_of_the_only_one(containers: tuple[str, ...], answered: bool) -> None:
    tools = with_logs(log("fatal"), pods=(pod(*containers),))
    observation = await tools.call("logs", {"pod": "web-1", "previous": True})
    assert (observation.given is Given.SEEN) is answered


async def test_control_characters_of_what_was_kept_are_made_visible() -> None:
    observation = await with_logs(log("\x1b[2J")).call("logs", {"pod": "web-1", "container": "app", "previous": True})
    assert "\\x1b[2J" in observation.text


def assigned(found: Recording, analyzer: str = "claude") -> Assignment:
    return assignment_of(found, id="inv-9", analyzer=analyzer, seconds=30)


def attempt(at: datetime) -> Attempt:
    action = RestartRollout(target=WEB)
    return Attempt(plan_id="pln-1", investigation_id="inv-1", action=action, diff="", at=at, state="applied")


def test_a_model_starts_from_what_the_detectors_found_on_the_snapshot() -> None:
    found = recording(run(), run("claude", 2), run("heuristic", 3), run("claude", 4), snapshot_of="inv-1")
    assignment = assigned(found)
    assert assignment.detected is not None
    assert assignment.detected.id == "inv-1"
    assert assignment.number == 5


def test_the_detectors_start_from_the_snapshot_alone() -> None:
    assert assigned(recording(run()), "heuristic").detected is None


def test_changes_that_came_after_the_snapshot_are_not_told() -> None:
    before, after = attempt(AT - timedelta(seconds=1)), attempt(AT + timedelta(seconds=1))
    assert assigned(recording(run(), attempts=(before, after))).attempts == (before,)


@pytest.mark.parametrize(("problem", "said"), [("too large", "too large"), ("", "no snapshot of it is kept")])
def test_without_a_snapshot_there_is_nothing_to_work_on(problem: str, said: str) -> None:
    with pytest.raises(NotFound, match=said):
        assigned(recording(snapshot=None, problem=problem))


class Fails:
    """Tells a turn that it paid for, then gives up."""

    name = "claude"

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def investigate(self, assignment: Assignment) -> Investigation:
        turn = step(1, StepKind.TURN, usage=Usage(input_tokens=10, output_tokens=2), cost_usd=0.5, seconds=1.5)
        await assignment.record((turn,), (seen("e1", "x"),))
        raise self._error


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (AnalyzerUnavailable("no key"), "no key"),
        (ReplyInvalid("not JSON"), "not JSON"),
        (TimeoutError(), "did not answer within 30 s"),
    ],
)
async def test_a_run_that_comes_to_nothing_has_what_it_said_and_cost(error: Exception, why: str) -> None:
    assignment = replace(assigned(recording(run(evidence=(seen("e0", "y"),)))), seconds=30)
    answer, problem = await replayed(Fails(error), assignment, now=lambda: AT)
    assert (problem, answer.conclusion) == (why, Conclusion.NO_ANSWER)
    assert answer.usage == Usage(input_tokens=10, output_tokens=2)
    assert (answer.cost_usd, answer.provider_seconds) == (0.5, 1.5)
    assert [item.id for item in answer.evidence] == ["e0", "e1"]
