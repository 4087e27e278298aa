"""What a Node says about itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from responder.conditions.model import Severity, Surroundings
from responder.conditions.nodes import NAMES, conditions

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
AROUND = Surroundings(now=NOW)
STAMP = "2026-11-23T11:59:10Z"
THEN = datetime(2026, 11, 23, 11, 59, 10, tzinfo=UTC)


def entry(kind: str, status: str, message: str = "", at: str = STAMP) -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": f"Because{kind}", "message": message, "lastTransitionTime": at}


def node(*listed: dict[str, Any], cordoned: bool = False) -> dict[str, Any]:
    return {
        "kind": "Node",
        "metadata": {"name": "worker-1", "uid": "u-1"},
        "spec": {"unschedulable": True} if cordoned else {},
        "status": {"conditions": list(listed)},
    }


READY = entry("Ready", "True")
SILENT = [entry(kind, "Unknown") for kind in ("MemoryPressure", "DiskPressure", "PIDPressure")]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        pytest.param(node(entry("Ready", "False")), {"NodeNotReady": 45}, id="not ready"),
        pytest.param(node(entry("Ready", "Unknown"), *SILENT), {"NodeNotReady": 45}, id="silent"),
        pytest.param(node(READY, entry("MemoryPressure", "True")), {"NodePressure": 60}, id="memory"),
        pytest.param(node(READY, entry("DiskPressure", "True")), {"NodePressure": 60}, id="disk"),
        pytest.param(node(READY, entry("PIDPressure", "True")), {"NodePressure": 60}, id="process ids"),
        pytest.param(node(READY, entry("NetworkUnavailable", "True")), {"NodeNetworkUnavailable": 300}, id="network"),
        pytest.param(node(READY), {}, id="healthy"),
        pytest.param(node(READY, entry("EtcdIsVoter", "False"), entry("FrequentRestarts", "True")), {}, id="add-ons"),
        pytest.param(node(), {}, id="just registered"),
        pytest.param({**node(entry("Ready", "False")), "kind": "Pod"}, {}, id="another kind"),
        pytest.param({}, {}, id="nothing"),
    ],
)
def test_a_nodes_own_conditions_are_told(body: dict[str, Any], told: dict[str, float]) -> None:
    found = conditions(body, AROUND)
    assert {each.name: each.age_seconds for each in found} == told
    assert all(each.since == THEN and each.causes == ("Node/worker-1",) for each in found)


@pytest.mark.parametrize(("status", "fact"), [("False", "is not ready"), ("Unknown", "has stopped reporting")])
def test_a_node_that_is_not_ready_is_critical_and_says_why(status: str, fact: str) -> None:
    (found,) = conditions(node(entry("Ready", status, "container runtime is down")), AROUND)
    assert found.severity is Severity.CRITICAL
    assert found.summary == f"Node worker-1 {fact}: container runtime is down"


def test_pressures_at_once_are_one_condition_since_the_first() -> None:
    body = node(READY, entry("MemoryPressure", "True"), entry("DiskPressure", "True", at="2026-11-23T11:00:00Z"))
    (found,) = conditions(body, AROUND)
    assert found.summary.startswith("Node worker-1 runs short of memory and disk: ")
    assert found.since == datetime(2026, 11, 23, 11, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cordoned", "waiting", "told"),
    [
        pytest.param(True, 4, ["CordonedWithPendingPods"], id="cordoned, pods wait"),
        pytest.param(True, 0, [], id="cordoned, none waits"),
        pytest.param(True, None, [], id="cordoned, not known"),
        pytest.param(False, 4, [], id="pods wait for something else"),
    ],
)
def test_a_cordon_is_told_while_pods_wait(cordoned: bool, waiting: int | None, told: list[str]) -> None:
    around = Surroundings(now=NOW, unschedulable_pods=waiting)
    assert [found.name for found in conditions(node(READY, cordoned=cordoned), around)] == told
    assert set(told) <= set(NAMES)
