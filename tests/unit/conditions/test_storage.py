"""What a claim waits for or has lost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from responder.conditions.model import Severity, Surroundings
from responder.conditions.storage import NAMES, conditions

AROUND = Surroundings(now=datetime(2026, 11, 23, 12, 0, tzinfo=UTC))
CREATED = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)
THEN = datetime(2026, 11, 23, 11, 40, tzinfo=UTC)
KEY = "PersistentVolumeClaim/shop/data"
SELECTED = {"volume.kubernetes.io/selected-node": "worker-1"}
PROVISIONER = {"volume.kubernetes.io/storage-provisioner": "csi.example.com"}


def claim(
    phase: str, *listed: str, annotations: dict[str, str] | None = None, storage_class: str = "fast", volume: str = ""
) -> dict[str, Any]:
    entries = [
        {"type": kind, "status": "True", "message": "words", "lastTransitionTime": "2026-11-23T11:40:00Z"}
        for kind in listed
    ]
    return {
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": "data",
            "namespace": "shop",
            "uid": "u-1",
            "creationTimestamp": "2026-11-23T11:00:00Z",
            "annotations": annotations or {},
        },
        "spec": {"storageClassName": storage_class, "volumeName": volume},
        "status": {"phase": phase, "conditions": entries},
    }


@pytest.mark.parametrize(
    ("body", "severity", "age_seconds", "since", "words"),
    [
        pytest.param(claim("Pending"), Severity.INFO, 900, CREATED, "of class fast", id="may wait for a consumer"),
        pytest.param(
            claim("Pending", storage_class=""), Severity.WARNING, 300, CREATED, "no storage class", id="no class"
        ),
        pytest.param(
            claim("Pending", volume="pv-7"), Severity.WARNING, 300, CREATED, "volume pv-7", id="a volume named"
        ),
        pytest.param(
            claim("Pending", annotations=PROVISIONER),
            Severity.WARNING,
            300,
            CREATED,
            "provisioner csi.example.com has made none",
            id="asked of a provisioner",
        ),
        pytest.param(
            claim("Pending", annotations={**SELECTED, **PROVISIONER}),
            Severity.WARNING,
            300,
            None,
            "provisioner csi.example.com has made none",
            id="asked of a provisioner, for a node",
        ),
        pytest.param(
            claim("Pending", annotations=SELECTED),
            Severity.WARNING,
            300,
            None,
            "for node worker-1",
            id="a node selected",
        ),
    ],
)
def test_a_pending_claim_is_a_fault_where_nothing_is_left_to_wait_for(
    body: dict[str, Any], severity: Severity, age_seconds: float, since: datetime | None, words: str
) -> None:
    (found,) = conditions(body, AROUND)
    assert (found.name, found.severity, found.age_seconds, found.since) == (
        "ClaimPending",
        severity,
        age_seconds,
        since,
    )
    assert words in found.summary


def test_claims_of_one_class_may_share_their_cause() -> None:
    (found,) = conditions(claim("Pending", volume="pv-7"), AROUND)
    assert found.causes == (KEY, "PersistentVolume/pv-7", "StorageClass/fast")


def test_a_lost_claim_is_critical_at_once() -> None:
    (found,) = conditions(claim("Lost", volume="pv-7"), AROUND)
    assert (found.name, found.severity, found.age_seconds) == ("ClaimLost", Severity.CRITICAL, 0)
    assert found.summary == "PersistentVolumeClaim data has lost its volume pv-7"
    assert found.causes == (KEY, "PersistentVolume/pv-7")


@pytest.mark.parametrize(
    ("listed", "told"),
    [
        (["FileSystemResizePending"], {"ClaimResizePending": 600}),
        (["ControllerResizeError"], {"ClaimResizeFailed": 300}),
        (["NodeResizeError", "ControllerResizeError"], {"ClaimResizeFailed": 300}),
        (["ModifyVolumeError"], {"ClaimModifyFailed": 300}),
        (["Resizing", "ModifyingVolume"], {}),
        ([], {}),
    ],
    ids=lambda value: "+".join(value) or "nothing" if isinstance(value, list) else "",
)
def test_a_bound_claim_tells_of_its_resize(listed: list[str], told: dict[str, float]) -> None:
    found = conditions(claim("Bound", *listed), AROUND)
    assert {each.name: each.age_seconds for each in found} == told
    assert all(each.since == THEN and each.causes == (KEY,) for each in found)
    assert set(told) <= set(NAMES)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(claim(""), id="no phase yet"),
        pytest.param({**claim("Pending"), "metadata": {"deletionTimestamp": "x"}}, id="being deleted"),
        pytest.param({**claim("Pending"), "kind": "Pod"}, id="another kind"),
        pytest.param({}, id="nothing"),
    ],
)
def test_nothing_else_is_told(body: dict[str, Any]) -> None:
    assert conditions(body, AROUND) == ()
