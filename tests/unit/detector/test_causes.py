"""Who shares an incident with whom, as a table."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from responder.detector.causes import (
    Limits,
    Newcomer,
    Standing,
    assign,
    causes_of,
    headline,
    is_cause,
    root_of_cause,
    shared_key,
)
from responder.domain.alert import Alert, AlertSource, AlertStatus
from responder.domain.refs import ObjectRef

IMAGE = "image/shop/web:1.9"
CONFIG = "ConfigMap/shop/app"
NODE = "Node/worker-1"
NOT_READY = "alertname/KubePodNotReady"


def some(count: int, *causes: str, names: tuple[str, ...] = ("KubePodNotReady",), prefix: str = "w") -> list[Newcomer]:
    return [Newcomer(key=f"Deployment/shop/{prefix}{n}", causes=causes, alert_names=names) for n in range(1, count + 1)]


def told(assigned: dict[str, str]) -> dict[str, str]:
    return {key.rpartition("/")[2]: cause for key, cause in assigned.items()}


def alone(cause: str, *names: str) -> Standing:
    return Standing(alone={cause: frozenset(f"Deployment/shop/{name}" for name in names)})


@pytest.mark.parametrize(
    ("newcomers", "standing", "expected"),
    [
        pytest.param([], Standing(), {}, id="nobody"),
        pytest.param(some(2, IMAGE), Standing(), {}, id="two of a cause are two problems"),
        pytest.param(some(3, IMAGE), Standing(), dict.fromkeys(("w1", "w2", "w3"), IMAGE), id="three are one"),
        pytest.param(some(1, IMAGE), alone(IMAGE, "a", "b"), {"w1": IMAGE}, id="those that are open count"),
        pytest.param(some(1, IMAGE), alone(IMAGE, "a"), {}, id="and are too few"),
        pytest.param(some(1, IMAGE), alone(IMAGE, "a", "w1"), {}, id="nobody counts twice"),
        pytest.param(
            some(1, IMAGE),
            Standing(shared={IMAGE: frozenset({"shop"})}),
            {"w1": IMAGE},
            id="an open shared incident is joined",
        ),
        pytest.param(some(1, NODE), Standing(), {"w1": NODE}, id="one pod of a lost node is the node's"),
        pytest.param(
            [Newcomer(key=NODE, causes=(NODE,), alert_names=("KubeNodeNotReady",))],
            Standing(),
            {},
            id="the node itself has an incident of its own",
        ),
        pytest.param(some(1, CONFIG, NODE), Standing(), {"w1": NODE}, id="a lost node before what too few share"),
        pytest.param(
            [*some(1, CONFIG, IMAGE), *some(2, CONFIG, prefix="c"), *some(2, IMAGE, prefix="i")],
            Standing(),
            {"w1": CONFIG, "c1": CONFIG, "c2": CONFIG, "i1": IMAGE, "i2": IMAGE},
            id="the most telling cause wins",
        ),
        pytest.param(some(4), Standing(), {}, id="four of a name are no storm"),
        pytest.param(some(5), Standing(), {f"w{n}": NOT_READY for n in range(1, 6)}, id="five are"),
        pytest.param(some(1), alone(NOT_READY, "a", "b", "c", "d"), {"w1": NOT_READY}, id="over several batches too"),
        pytest.param(
            some(1), Standing(shared={NOT_READY: frozenset({"shop"})}), {"w1": NOT_READY}, id="while the storm lasts"
        ),
        pytest.param(
            [*some(4, IMAGE), *some(1, prefix="x")],
            Standing(),
            {f"w{n}": IMAGE for n in range(1, 5)},
            id="who has a better cause is no part of the storm",
        ),
        pytest.param(
            [*some(2, names=("A", "B")), *some(3, names=("B",), prefix="b")],
            Standing(),
            dict.fromkeys(("w1", "w2", "b1", "b2", "b3"), "alertname/B"),
            id="a name of several",
        ),
    ],
)
def test_a_root_object_has_its_own_incident_or_shares_one(
    newcomers: list[Newcomer], standing: Standing, expected: dict[str, str]
) -> None:
    assert told(assign(newcomers, standing, Limits())) == expected


def test_a_storm_does_not_stop_at_a_namespace() -> None:
    newcomers = [Newcomer(key=f"Deployment/team-{n}/web", alert_names=("KubePodNotReady",)) for n in range(5)]
    assert set(assign(newcomers, Standing(), Limits()).values()) == {NOT_READY}


@pytest.mark.parametrize(
    "standing",
    [
        pytest.param(
            Standing(shared={IMAGE: frozenset({"evil"}), NOT_READY: frozenset({"evil"})}), id="open incidents"
        ),
        pytest.param(
            Standing(
                alone={cause: frozenset(f"Deployment/evil/e{n}" for n in range(9)) for cause in (IMAGE, NOT_READY)}
            ),
            id="many alone",
        ),
    ],
)
def test_one_namespace_draws_no_other_into_its_trouble(standing: Standing) -> None:
    assert assign(some(1, IMAGE), standing, Limits()) == {}


def test_as_many_namespaces_as_workloads_agree_on_a_cause() -> None:
    newcomers = [Newcomer(key=f"Deployment/team-{n}/web", causes=(IMAGE,)) for n in range(3)]
    assert assign(newcomers[:2], Standing(), Limits()) == {}
    assert set(assign(newcomers, Standing(), Limits()).values()) == {IMAGE}
    inside = Standing(shared={IMAGE: frozenset({"team-0", "team-1"})})
    assert assign(newcomers[2:], inside, Limits()) == {newcomers[2].key: IMAGE}


@pytest.mark.parametrize("causes", [(IMAGE,), (NODE,)])
def test_zero_workloads_share_nothing(causes: tuple[str, ...]) -> None:
    limits = Limits(shared_cause_workloads=0, storm_workloads=0)
    standing = Standing(shared=dict.fromkeys((IMAGE, NODE, NOT_READY), frozenset({"shop"})))
    assert assign(some(9, *causes), standing, limits) == {}


def test_causes_are_switched_off_without_the_storms() -> None:
    limits = Limits(shared_cause_workloads=0, storm_workloads=5)
    assert set(assign(some(9, IMAGE), Standing(), limits).values()) == {NOT_READY}


@pytest.mark.parametrize(
    ("source", "annotation", "causes"),
    [
        (AlertSource.KUBERNETES, f"{NODE} {IMAGE} {NODE}", (NODE, IMAGE)),
        (AlertSource.KUBERNETES, "", ()),
        (AlertSource.KUBERNETES, f"alertname/X image/ /x word Node/Not-A-Name {CONFIG}", (CONFIG,)),
        (AlertSource.ALERTMANAGER, IMAGE, ()),
    ],
)
def test_only_the_watch_says_what_the_cause_is(source: AlertSource, annotation: str, causes: tuple[str, ...]) -> None:
    alert = Alert(
        fingerprint="f",
        source=source,
        status=AlertStatus.FIRING,
        labels={},
        annotations={"causes": annotation},
        starts_at=datetime(2026, 11, 23, tzinfo=UTC),
    )
    assert causes_of(alert) == causes


def test_a_cause_has_a_bounded_length() -> None:
    assert not is_cause(f"image/{'x' * 1000}")


def test_a_lost_node_answers_for_itself_and_other_causes_for_nothing() -> None:
    assert (shared_key(NODE), root_of_cause(NODE)) == (NODE, ObjectRef(kind="Node", name="worker-1"))
    assert (shared_key(IMAGE), root_of_cause(IMAGE)) == (f"cause/{IMAGE}", None)


@pytest.mark.parametrize(
    ("cause", "count", "named", "text"),
    [
        (IMAGE, 1, 1, "image shop/web:1.9 fails in 1 workload: Deployment/shop/w1"),
        (IMAGE, 7, 3, "image shop/web:1.9 fails in 7 workloads: Deployment/shop/w1, Deployment/shop/w2, "
         "Deployment/shop/w3 (4 more)"),
        (NOT_READY, 1, 1, "KubePodNotReady fires for 1 workload: Deployment/shop/w1"),
        (CONFIG, 1, 1, "ConfigMap/shop/app is behind the failures of 1 workload: Deployment/shop/w1"),
    ],
)  # fmt: skip
def test_the_headline_counts_and_names(cause: str, count: int, named: int, text: str) -> None:
    refs = [ObjectRef(kind="Deployment", namespace="shop", name=f"w{n}") for n in range(1, named + 1)]
    assert headline(cause, count, refs) == text
