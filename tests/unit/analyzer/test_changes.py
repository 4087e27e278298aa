"""Which changes may explain an incident, and how the diagnosis tells of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from responder.analyzer.changes import MAX_CHANGES, Fault, chosen, concerns, culprit, related
from responder.analyzer.heuristics import diagnose
from responder.domain.investigation import EvidenceKind
from responder.domain.manifest import LiveObject
from responder.domain.refs import ObjectRef
from responder.domain.snapshot import Snapshot
from responder.domain.versions import Difference, ObjectVersion, VersionEvent

IMAGE = "spec.template.spec.containers[web].image"
LIMIT = IMAGE.replace("image", "resources.limits.memory")
PROBE = IMAGE.replace("image", "readinessProbe.httpGet.port")


def version(build: Any, path: str = IMAGE, *, minutes: float = 2, seq: int = 1, **fields: Any) -> ObjectVersion:
    at = build.now - timedelta(minutes=minutes)
    base: dict[str, Any] = {
        "seq": seq,
        "ref": build.root,
        "event": VersionEvent.CHANGED,
        "seen_at": at,
        "changed_at": at,
        "manager": "kubectl-edit",
        "differences": (Difference(path=path, before='"nginx:1.27"', after='"nginx:1.28"'),),
    }
    return ObjectVersion(**base | fields)


def config(name: str) -> ObjectRef:
    return ObjectRef(kind="ConfigMap", namespace="shop", name=name)


def policy(expression: Any) -> Any:
    return {"spec": {"podSelector": {"matchExpressions": [expression]}}}


def test_what_the_pods_name_and_what_selects_them_may_explain(build: Any) -> None:
    container = build.container(references=(build.config_map("app", "A"),))
    template = build.template(container, volumes={"d": "persistentVolumeClaim/data", "s": "secret/tls"})
    body = {"spec": {"template": {"spec": {"serviceAccountName": "runner"}}}}
    live = LiveObject(ref=build.root, resource_version="1", generation=1, body=body)
    snapshot = build.snapshot(build.pod(template=template), services=(build.service("web", p80=8080),), live=live)
    found = related(snapshot)
    assert {ref.key for ref in found.refs} == {
        "Deployment/shop/web",
        "Namespace/shop",
        "ConfigMap/shop/app",
        "PersistentVolumeClaim/shop/data",
        "ServiceAccount/shop/runner",
        "Service/shop/web",
        "Node/n1",
    }
    assert ("ResourceQuota", "shop") in found.kinds
    assert all(not ref.uid for ref in found.refs)


def test_of_a_root_that_is_gone_only_its_name_is_known(build: Any) -> None:
    found = related(Snapshot(taken_at=build.now, root=build.root, gone=True))
    assert found.refs == (build.root.without_uid(), ObjectRef(kind="Namespace", name="shop"))


@pytest.mark.parametrize(
    ("kind", "bodies", "expected"),
    [
        ("HorizontalPodAutoscaler", [{"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}}}], True),
        ("HorizontalPodAutoscaler", [{"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "api"}}}], False),
        ("Service", [{"spec": {"selector": {"app": "web"}}}], True),
        ("Service", [{"spec": {"selector": {"app": "api"}}}], False),
        ("Service", [{"spec": {"selector": {"app": "typo"}}}, {"spec": {"selector": {"app": "web"}}}], True),
        ("PodDisruptionBudget", [{"spec": {"selector": {"matchLabels": {"app": "web"}}}}], True),
        ("PodDisruptionBudget", [{"spec": {"selector": {"matchLabels": {"app": "api"}}}}], False),
        ("NetworkPolicy", [{"spec": {"podSelector": {}}}], True),
        ("NetworkPolicy", [policy({"key": "app", "operator": "In", "values": ["web"]})], True),
        ("NetworkPolicy", [policy({"key": "app", "operator": "DoesNotExist"})], False),
        ("ResourceQuota", [{"spec": {}}], True),
        ("Service", [], True),
    ],
)  # fmt: skip
def test_what_picks_pods_concerns_those_it_picks(build: Any, kind: str, bodies: Any, expected: bool) -> None:
    assert concerns(build.snapshot(build.pod()), kind, bodies) is expected


def test_where_there_are_too_many_those_of_the_namespace_stand_back(build: Any) -> None:
    direct = [version(build, minutes=100 + n, seq=n) for n in range(15)]
    wide = [version(build, minutes=n, seq=50 + n, ref=config(f"c{n}")) for n in range(15)]
    found = chosen(direct, wide)
    assert len(found) == MAX_CHANGES
    assert {v.seq for v in direct} <= {v.seq for v in found}
    assert [v.at for v in found] == sorted((v.at for v in found), reverse=True)


@pytest.mark.parametrize(
    ("fault", "path", "minutes", "blamed"),
    [
        ({"signature": "image.not_found", "container": "web"}, IMAGE, 2, True),
        ({"signature": "image.not_found", "container": "web"}, IMAGE, 20 * 60, True),
        ({"signature": "image.not_found", "container": "web"}, IMAGE, -5, False),
        ({"signature": "image.not_found", "container": "web"}, IMAGE.replace("web", "other"), 20 * 60, False),
        ({"signature": "image.not_found", "container": "web"}, "spec.strategy.type", 2, True),
        ({"signature": "image.not_found", "container": "web"}, "spec.strategy.type", 120, False),
        ({"signature": "image.not_found", "container": "web"}, "spec.replicas", 2, False),
        ({"signature": "image.not_found", "container": "web"}, "metadata.labels.team", 2, False),
        ({"signature": "memory.oom_killed", "container": "web"}, LIMIT, 600, True),
        ({"signature": "rollout.scaled_to_zero"}, "spec.replicas", 600, True),
        ({"signature": "probes.wrong_port", "container": "web"}, PROBE, 600, True),
    ],
)  # fmt: skip
def test_a_change_is_blamed_for_what_it_can_have_brought_about(
    build: Any, fault: Any, path: str, minutes: float, blamed: bool
) -> None:  # fmt: skip
    snapshot = build.snapshot(build.pod(), changes=(version(build, path, minutes=minutes),))
    found = culprit(snapshot, Fault(subject=build.root, **fault), opened_at=build.now)
    assert (found is not None) is blamed


def test_a_deleted_config_map_is_blamed_for_its_absence_and_no_other(build: Any) -> None:
    container = build.container(references=(build.config_map("app", "A"), build.config_map("other", "B")))
    gone = [version(build, ref=config(name), event=VersionEvent.DELETED, differences=()) for name in ("other", "app")]
    snapshot = build.snapshot(build.pod(template=build.template(container)), changes=tuple(gone))
    fault = Fault(signature="references.missing_config_map", subject=build.root, container="web", about="app/A")
    found = culprit(snapshot, fault, opened_at=build.now)
    assert found is not None
    assert found.ref.name == "app"


def broken(build: Any, *changes: ObjectVersion) -> Snapshot:
    status = build.waiting("ImagePullBackOff", 'Back-off pulling image "nginx:1.28"')
    failed = 'Failed to pull image "nginx:1.28": not found'
    snapshot: Snapshot = build.broken(
        status, container=build.container(image="nginx:1.28"), events=(build.event("Failed", failed),), changes=changes
    )
    return snapshot


def test_the_summary_names_the_change_and_the_finding_cites_it(build: Any) -> None:
    snapshot = broken(build, version(build))
    found = diagnose(snapshot, alert_labels={}, opened_at=build.now)
    (evidence,) = [item for item in found.evidence if item.kind is EvidenceKind.CHANGE]
    assert evidence.text == (
        f'Deployment/shop/web changed 2 min before the alert by kubectl-edit: {IMAGE}: "nginx:1.27" -> "nginx:1.28"'
    )
    assert "; changed 2 min before the alert by kubectl-edit" in found.summary
    assert evidence.id in found.findings[0].evidence


def test_a_change_of_something_else_is_evidence_and_not_blamed(build: Any) -> None:
    snapshot = broken(
        build, version(build, "spec.hard.cpu", ref=ObjectRef(kind="ResourceQuota", namespace="shop", name="q"))
    )
    found = diagnose(snapshot, alert_labels={}, opened_at=build.now)
    assert [item.kind for item in found.evidence].count(EvidenceKind.CHANGE) == 1
    assert "before the alert" not in found.summary


def test_without_changes_nothing_is_said_of_them(build: Any) -> None:
    found = diagnose(broken(build), alert_labels={}, opened_at=build.now)
    assert "changed" not in found.summary
    assert EvidenceKind.CHANGE not in {item.kind for item in found.evidence}


def test_of_a_root_that_is_gone_the_deletion_is_told(build: Any) -> None:
    deleted = version(build, event=VersionEvent.DELETED, manager="", differences=())
    snapshot = Snapshot(taken_at=build.now, root=build.root, gone=True, changes=(deleted,))
    found = diagnose(snapshot, alert_labels={}, opened_at=build.now)
    assert found.summary == "Deployment/shop/web does not exist any more; was deleted 2 min before the alert"


def test_text_of_others_cannot_hide_or_leak(build: Any) -> None:
    hostile = (Difference(path="data.x", before='""', after='"\u202eghp_abcdefghijklmnopqrstuvwxyz0123456789"'),)
    snapshot = broken(build, replace(version(build), manager="a\x1b[2Jb\u202e", differences=hostile))
    found = diagnose(snapshot, alert_labels={}, opened_at=build.now)
    assert "\x1b" not in repr([found.summary, found.evidence]).replace("\\x1b", "")
    assert not {"\u202e", "\x1b"} & set(found.summary + "".join(item.text for item in found.evidence))
    assert "ghp_abc" not in repr(found)
