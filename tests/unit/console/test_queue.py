"""Rows of what waits for a person."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.cells import cell_len

from console.queue import head, looked_at_by, preview, queue_row
from responder.domain.action import SetImage
from responder.domain.refs import ObjectRef
from responder.domain.rule import Risk
from responder.domain.views import QueuedPlan, Viewer

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u-1")
ROW = QueuedPlan(
    plan_id="pln-1",
    incident_id="inc-1",
    key="Deployment/shop/web",
    namespace="shop",
    severity="warning",
    rule="images",
    action=SetImage(target=WEB, container="web", image="nginx:1.27"),
    risk=Risk.HIGH,
    reversible=True,
    created_at=NOW - timedelta(minutes=3),
    expires_at=NOW + timedelta(minutes=12),
    approvers_needed=2,
    approvers=("ann",),
)


def viewer(name, *, deciding=False):
    return Viewer(name=name, session=f"s-{name}", since=NOW, deciding=deciding)


@pytest.mark.parametrize("width", [78, 118, 198])
def test_a_row_fits_its_header_at_every_width(width):
    row = queue_row(ROW, width, NOW)
    assert cell_len(row.text) == cell_len(head(width).text) <= width
    assert row.key == "pln-1"


def test_a_row_tells_age_time_left_risk_object_action_and_approvals():
    told = queue_row(ROW, 78, NOW).text.split()
    assert told[:3] == ["3m", "12m", "high"]
    assert "deploy/shop/web" in told
    assert "1/2" in told


def test_what_is_over_says_so():
    assert " over " in queue_row(ROW, 78, ROW.expires_at).text


def test_who_looks_is_named_once_and_who_decides_first():
    viewers = (viewer("ann"), viewer("ben", deciding=True), viewer("ann"))
    assert looked_at_by(viewers) == "!ben, ann"


def test_an_object_that_is_not_the_incidents_own_is_told_with_it():
    row = replace(ROW, key="Service/shop/front")
    assert "(Service/shop/front)" in queue_row(row, 300, NOW).text


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"reversible": False}, "CANNOT be taken back"),
        ({"objections": ("mode", "risk_ceiling")}, "policy says no to mode, risk_ceiling"),
        ({"warnings": 2}, "2 warnings"),
        ({"viewers": (viewer("ben", deciding=True),)}, "ben is deciding"),
        ({"key": "Ev\x1b[31mil"}, "Ev\\x1b[31mil"),
    ],
)
def test_the_preview_says_what_speaks_against_it(changes, told):
    assert told in preview(replace(ROW, **changes), 200)
