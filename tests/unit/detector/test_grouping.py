"""What alerts are about, and which episode they belong to."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.detector.grouping import Fold, KnownAlert, KnownEpisode, fold, incident_key, target_of
from responder.domain.alert import Alert, AlertSource, AlertStatus
from responder.domain.refs import ObjectRef

T0 = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
GRACE = 300.0
PAYLOADS = Path(__file__).parents[2] / "fixtures" / "payloads"
EXPORTER = {
    "job": "kube-state-metrics",
    "pod": "mon-kube-state-metrics-8667fd9775-dmqfj",
    "container": "kube-state-metrics",
    "service": "mon-kube-state-metrics",
    "endpoint": "http",
    "instance": "10.244.0.11:8080",
}


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def alert(*, status: str = "firing", starts_at: datetime = T0, ends_at: datetime | None = None, **labels: str) -> Alert:
    return Alert(
        fingerprint="00000000000000aa",
        status=AlertStatus(status),
        labels={"alertname": "Custom", **labels},
        starts_at=starts_at,
        ends_at=ends_at,
    )


def target(**labels: str) -> str:
    found = target_of(alert(**labels))
    return "" if found is None else found.key


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"namespace": "shop", "deployment": "web"}, "Deployment/shop/web"),
        ({"namespace": "shop", "statefulset": "db"}, "StatefulSet/shop/db"),
        ({"namespace": "shop", "daemonset": "agent"}, "DaemonSet/shop/agent"),
        ({"namespace": "shop", "job_name": "backup-1", "job": "kube-state-metrics"}, "Job/shop/backup-1"),
        ({"namespace": "shop", "cronjob": "backup"}, "CronJob/shop/backup"),
        ({"namespace": "shop", "replicaset": "web-5d6b"}, "ReplicaSet/shop/web-5d6b"),
        ({"namespace": "shop", "horizontalpodautoscaler": "web"}, "HorizontalPodAutoscaler/shop/web"),
        ({"namespace": "shop", "persistentvolumeclaim": "data"}, "PersistentVolumeClaim/shop/data"),
        ({"namespace": "shop", "pod": "web-1"}, "Pod/shop/web-1"),
        ({"namespace": "shop", "pod": "web-1", "deployment": "web"}, "Deployment/shop/web"),
        ({"namespace": "shop", "pod": "web-1", "node": "worker-1"}, "Pod/shop/web-1"),
        ({"node": "worker-1"}, "Node/worker-1"),
        ({"namespace": "shop"}, ""),
        ({"namespace": "shop", "service": "web", "endpoint": "http", "instance": "10.0.0.1:80"}, ""),
        ({"namespace": "shop", "job": "backup"}, ""),
        ({"pod": "web-1"}, ""),
        ({}, ""),
    ],
)
def test_an_unknown_alert_is_about_the_object_its_labels_name(labels: dict[str, str], expected: str) -> None:
    assert target(**labels) == expected


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"namespace": "default", "deployment": "user-profile"}, "Deployment/default/user-profile"),
        ({"namespace": "shop", "phase": "Terminating"}, ""),
        ({"alertname": "KubeNodeNotReady", "node": "worker-2"}, "Node/worker-2"),
        ({"alertname": "CustomNodeCordoned", "node": "worker-2"}, "Node/worker-2"),
        ({"alertname": "KubePodCrashLooping", "namespace": "monitoring"}, f"Pod/monitoring/{EXPORTER['pod']}"),
        (
            {"namespace": "monitoring", "exported_namespace": "shop", "deployment": "web"},
            "Deployment/shop/web",
        ),
        (
            {"namespace": "monitoring", "exported_namespace": "shop", "exported_pod": "web-1", "container": "x"},
            "Pod/shop/web-1",
        ),
        ({"namespace": "monitoring", "exported_namespace": "shop", "phase": "Active", "pod": "neutral-1"}, ""),
        ({"alertname": "CustomJobFailed", "namespace": "shop", "exported_job": "backup-1"}, "Job/shop/backup-1"),
        ({"alertname": "KubeJobFailed", "namespace": "shop", "job_name": "backup-1"}, "Job/shop/backup-1"),
    ],
)
def test_the_exporters_own_labels_name_nothing(labels: dict[str, str], expected: str) -> None:
    assert target(**{**EXPORTER, **labels}) == expected


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"instance": "worker-1"}, "Node/worker-1"),
        ({"instance": "10.0.0.5:9100"}, ""),
        ({"instance": "10.0.0.5:9100", "node": "worker-1"}, "Node/worker-1"),
    ],
)
def test_node_exporter_speaks_of_the_node_and_never_of_its_own_pod(labels: dict[str, str], expected: str) -> None:
    own = {
        "job": "node-exporter",
        "namespace": "monitoring",
        "pod": "node-exporter-x2x9k",
        "container": "node-exporter",
    }
    assert target(alertname="NodeFilesystemAlmostOutOfSpace", **own, **labels) == expected


def test_a_pushgateways_job_is_no_kubernetes_job() -> None:
    assert target(alertname="BatchJobFailed", job="pushgateway", namespace="shop", exported_job="nightly") == ""


def test_a_program_called_node_is_no_node() -> None:
    labels = {"namespace": "shop", "pod": "api-1", "node": "worker-1", "job": "api"}
    assert target(alertname="NodejsEventLoopLag", **labels) == "Pod/shop/api-1"


@pytest.mark.parametrize(
    "labels",
    [
        {"namespace": "../kube-system", "pod": "web-1"},
        {"namespace": "shop/../kube-system", "pod": "web-1"},
        {"namespace": "shop", "pod": "web/1"},
        {"namespace": "shop", "pod": "web?x=1"},
        {"namespace": "shop", "pod": "web%2f1"},
        {"namespace": "shop", "pod": "../../secrets/x"},
        {"namespace": "shop", "pod": "a..b"},
        {"namespace": "shop", "pod": "web-1\n"},
        {"namespace": "shop", "deployment": "*"},
        {"namespace": "*", "deployment": "web"},
        {"namespace": "shop", "pod": "x" * 300},
        {"node": "../nodes"},
    ],
)
def test_what_cannot_be_a_name_is_no_target(labels: dict[str, str]) -> None:
    assert target(**labels) == ""


def _published() -> list[dict[str, str]]:
    document = json.loads((PAYLOADS / "kube-prometheus-families.json").read_text())
    alerts: list[dict[str, str]] = document["alerts"]
    return alerts


_LABEL_OF = {
    "Pod": "pod",
    "Deployment": "deployment",
    "StatefulSet": "statefulset",
    "DaemonSet": "daemonset",
    "Job": "job_name",
    "HorizontalPodAutoscaler": "horizontalpodautoscaler",
    "PersistentVolumeClaim": "persistentvolumeclaim",
    "Node": "node",
}


@pytest.mark.parametrize("published", _published(), ids=lambda published: published["alert"])
def test_every_kube_prometheus_alert_is_about_what_its_authors_say(published: dict[str, str]) -> None:
    """With the labels of a non-aggregated series: the exporter's own ones stand wherever the metric has none."""
    kind = published["about"]
    label = _LABEL_OF.get(kind)
    own = {"namespace": "shop", **({label: "thing-1"} if label else {})}
    found = target_of(alert(**{**EXPORTER, **own, "alertname": published["alert"]}))
    if label is None and "node" not in published["target_labels"]:
        assert found is None
    else:
        assert found is not None
        assert (found.kind, found.name) == (kind, "thing-1")


def test_a_recorded_replicas_mismatch_is_about_the_deployment_not_the_exporter() -> None:
    recorded = json.loads((PAYLOADS / "raw-01-holmes-alertmanager-api-alerts.json").read_text())
    found = [target(**case["raw"]["labels"]) for case in recorded]
    assert found == [
        "Deployment/default/user-profile-resources",
        "Pod/default/payment-processing-worker-747ccfb9db-pd6wz",
        "Pod/default/user-profile-resources-659d4dd659-cq4kq",
        "",
        "Pod/investigate-namespace-15/client",
    ]


def test_the_key_is_the_roots() -> None:
    root = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u-1")
    assert incident_key(root, alert()) == "Deployment/shop/web"


@pytest.mark.inv(4)
def test_the_key_without_an_object_depends_on_nothing_that_differs_between_peers() -> None:
    first = alert(namespace="shop", starts_at=T0, prometheus="a")
    second = alert(namespace="shop", starts_at=T0 + minutes(9), prometheus="b")
    assert incident_key(None, first) == incident_key(None, second) == "alert/shop/Custom"


def test_the_key_is_bounded_however_long_the_alerts_name() -> None:
    first, second = (incident_key(None, alert(alertname="x" * 8_000 + end)) for end in "ab")
    assert len(first) < 250
    assert first != second


FIRING = KnownAlert(status=AlertStatus.FIRING, starts_at=T0)
ENDED = KnownAlert(status=AlertStatus.RESOLVED, starts_at=T0, ends_at=T0 + minutes(10))


@pytest.mark.inv(4, 5)
@pytest.mark.parametrize(
    ("known", "starts_at", "now", "expected"),
    [
        (None, T0, T0, Fold.OPENS),
        (KnownEpisode(open=True), T0, T0, Fold.JOINS),
        (KnownEpisode(open=True, alert=FIRING), T0, T0 + minutes(1), Fold.DUPLICATE),
        (KnownEpisode(open=True, alert=FIRING), T0 - minutes(5), T0 + minutes(1), Fold.JOINS),
        (KnownEpisode(open=True, alert=FIRING), T0 + minutes(5), T0 + minutes(6), Fold.JOINS),
        (KnownEpisode(open=True, alert=ENDED), T0, T0 + minutes(11), Fold.LATE),
        (KnownEpisode(open=True, alert=ENDED), T0 - minutes(1), T0 + minutes(11), Fold.LATE),
        (KnownEpisode(open=True, alert=ENDED), T0 + minutes(11), T0 + minutes(12), Fold.JOINS),
        (KnownEpisode(open=True, alert=ENDED), T0, T0 + minutes(16), Fold.JOINS),
        (KnownEpisode(open=False, alert=ENDED), T0, T0 + minutes(11), Fold.LATE),
        (KnownEpisode(open=False, alert=ENDED), T0, T0 + minutes(15), Fold.LATE),
        (KnownEpisode(open=False, alert=ENDED), T0, T0 + minutes(16), Fold.OPENS),
        (KnownEpisode(open=False, alert=ENDED), T0 + minutes(11), T0 + minutes(12), Fold.OPENS),
        (KnownEpisode(open=False, resolved_at=T0 + minutes(10), alert=FIRING), T0, T0 + minutes(12), Fold.LATE),
        (KnownEpisode(open=False, resolved_at=T0 + minutes(10), alert=FIRING), T0, T0 + minutes(16), Fold.OPENS),
        (KnownEpisode(open=False, resolved_at=T0 + minutes(10)), T0 + minutes(11), T0 + minutes(11), Fold.OPENS),
        (KnownEpisode(open=False, alert=ENDED), T0 + timedelta(days=2), T0 + minutes(10), Fold.LATE),
        (KnownEpisode(open=False, resolved_at=T0 + timedelta(days=3), alert=FIRING), T0, T0 + minutes(1), Fold.OPENS),
    ],
    ids=[
        "first seen",
        "another alert of the object",
        "a peer's copy",
        "the start moved earlier",
        "a new start in an open episode",
        "late copy, others still fire",
        "late copy with an earlier start",
        "fires again while others still do",
        "same start after the grace window, others still fire",
        "late copy of a closed episode",
        "late copy at the very end of the window",
        "same start after the window: a refire after a resolve by timeout",
        "new start within the window is news",
        "fixed by us, the alert still lags",
        "fixed by us, the alert still fires after the window",
        "another alert of the object begins after the end",
        "a start in the future counts as now",
        "closed before the clock was put back by days",
    ],
)
def test_a_firing_alert_folds_into_the_episode(
    known: KnownEpisode | None, starts_at: datetime, now: datetime, expected: Fold
) -> None:
    assert fold(alert(starts_at=starts_at), known, now=now, grace_seconds=GRACE) is expected


@pytest.mark.inv(5)
@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (None, Fold.IGNORED),
        (KnownEpisode(open=True), Fold.IGNORED),
        (KnownEpisode(open=True, alert=FIRING), Fold.RESOLVES),
        (KnownEpisode(open=True, alert=ENDED), Fold.DUPLICATE),
        (KnownEpisode(open=False, alert=ENDED), Fold.DUPLICATE),
        (KnownEpisode(open=False, resolved_at=T0, alert=FIRING), Fold.IGNORED),
        (
            KnownEpisode(open=True, alert=KnownAlert(status=AlertStatus.FIRING, starts_at=T0 + minutes(11))),
            Fold.LATE,
        ),
    ],
    ids=["unknown", "unknown here", "fires", "again", "again, closed", "closed by us", "of an older episode"],
)
def test_a_resolved_alert_ends_only_what_is_known_to_fire(known: KnownEpisode | None, expected: Fold) -> None:
    resolved = alert(status="resolved", ends_at=T0 + minutes(10))
    assert fold(resolved, known, now=T0 + minutes(10), grace_seconds=GRACE) is expected


class Record:
    """The least that has to be kept for `fold`: the incident's end and the last word on one fingerprint."""

    def __init__(self) -> None:
        self.opened = 0
        self.open = False
        self.resolved_at: datetime | None = None
        self.last: KnownAlert | None = None

    def take(self, received: Alert, now: datetime) -> None:
        known = None
        if self.opened or self.last is not None:
            known = KnownEpisode(open=self.open, resolved_at=self.resolved_at, alert=self.last)
        verdict = fold(received, known, now=now, grace_seconds=GRACE)
        if verdict is Fold.LATE:
            return
        self.last = KnownAlert(status=received.status, starts_at=received.starts_at, ends_at=received.ends_at)
        if verdict is Fold.OPENS:
            self.opened, self.open, self.resolved_at = self.opened + 1, True, None
        elif verdict is Fold.RESOLVES:
            self.open, self.resolved_at = False, now


FIRST = alert()
EARLIER = alert(starts_at=T0 - minutes(2))
END = alert(status="resolved", ends_at=T0 + minutes(4))
END_OF_EARLIER = alert(status="resolved", starts_at=T0 - minutes(2), ends_at=T0 + minutes(4))


@pytest.mark.inv(4, 5)
@given(deliveries=st.lists(st.sampled_from([FIRST, EARLIER, END, END_OF_EARLIER]), max_size=8))
def test_copies_in_any_order_and_number_make_at_most_one_incident(deliveries: list[Alert]) -> None:
    record = Record()
    for number, received in enumerate(deliveries):
        record.take(received, T0 + minutes(4) + timedelta(seconds=number))
    assert record.opened <= 1
    assert record.open == (bool(deliveries) and all(d.status is AlertStatus.FIRING for d in deliveries))


@pytest.mark.inv(5)
@given(copies=st.lists(st.sampled_from([FIRST, EARLIER, END]), max_size=6), same_start=st.booleans())
def test_a_refire_after_the_grace_window_is_a_new_incident_whatever_came_before(
    copies: list[Alert], same_start: bool
) -> None:
    record = Record()
    for number, received in enumerate([FIRST, END, *copies]):
        record.take(received, T0 + minutes(4) + timedelta(seconds=number))
    refire = alert(starts_at=T0 if same_start else T0 + minutes(20))
    record.take(refire, T0 + minutes(20))
    assert (record.opened, record.open) == (2, True)


def seen_by_the_watch(**labels: str) -> Alert:
    return replace(alert(**labels), source=AlertSource.KUBERNETES)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"kind": "Deployment", "namespace": "shop", "name": "web"}, "Deployment/shop/web"),
        ({"kind": "Service", "namespace": "shop", "name": "web"}, "Service/shop/web"),
        ({"kind": "Node", "name": "worker-1"}, "Node/worker-1"),
        ({"kind": "Node", "namespace": "shop", "name": "worker-1"}, "Node/worker-1"),
        ({"kind": "Deployment", "namespace": "shop", "name": "web", "pod": "other"}, "Deployment/shop/web"),
        ({"kind": "Deployment", "namespace": "shop", "name": "../web"}, ""),
        ({"kind": "Deployment", "namespace": "Shop", "name": "web"}, ""),
        ({"kind": "Deployment", "name": "web"}, ""),
        ({"kind": "deployments/x", "namespace": "shop", "name": "web"}, ""),
        ({"namespace": "shop", "name": "web", "deployment": "web"}, ""),
    ],
)
def test_an_alert_of_the_watch_names_its_object_outright(labels: dict[str, str], expected: str) -> None:
    found = target_of(seen_by_the_watch(**labels))
    assert ("" if found is None else found.key) == expected


def test_kind_and_name_of_another_sender_name_nothing() -> None:
    assert target(kind="Deployment", namespace="shop", name="web") == ""


@pytest.mark.inv(5)
@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (KnownEpisode(open=True, alert=ENDED), Fold.JOINS),
        (KnownEpisode(open=False, alert=ENDED), Fold.OPENS),
        (KnownEpisode(open=False, resolved_at=T0 + minutes(10), alert=FIRING), Fold.OPENS),
        (KnownEpisode(open=True, alert=FIRING), Fold.DUPLICATE),
    ],
    ids=["others still fire", "after its end", "closed while it fired", "told again"],
)
def test_what_the_watch_says_is_never_late(known: KnownEpisode, expected: Fold) -> None:
    told = replace(alert(), source=AlertSource.KUBERNETES)
    assert fold(told, known, now=T0 + minutes(11), grace_seconds=GRACE) is expected


def test_the_watch_and_alertmanager_mean_one_episode() -> None:
    told = alert(namespace="shop", deployment="web")
    seen = seen_by_the_watch(kind="Deployment", namespace="shop", name="web")
    assert incident_key(target_of(told), told) == incident_key(target_of(seen), seen)
