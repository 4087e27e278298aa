"""What was written, as rows, and the way back as a diff."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.cells import cell_len

from console.executions import execution_row, head, inverted, preview, tell_execution
from responder.domain.action import SetImage
from responder.domain.execution import Execution, ExecutionKind, ExecutionOutcome, Verdict, VerdictKind, Verification
from responder.domain.incident import Incident
from responder.domain.plan import Change, PatchOp, Plan
from responder.domain.refs import ObjectRef
from responder.domain.rule import Risk
from responder.domain.views import ExecutionDetail, ExecutionRow, ExecutionView

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u-1")
ACTION = SetImage(target=WEB, container="web", image="nginx:1.27")
DIFF = """\
--- Deployment/shop/web (now)
+++ Deployment/shop/web (planned)
@@ -1,3 +1,4 @@
 spec:
-  image: nignx
-  other: a
+  image: nginx
 tail: 1
+more: 2"""
TURNED = """\
--- Deployment/shop/web (now)
+++ Deployment/shop/web (planned)
@@ -1,4 +1,3 @@
 spec:
-  image: nginx
+  image: nignx
+  other: a
 tail: 1
-more: 2"""
ROW = ExecutionRow(
    execution_id="exe-1",
    plan_id="pln-1",
    incident_id="inc-1",
    key="Deployment/shop/web",
    rule="images",
    kind=ExecutionKind.APPLY,
    outcome=ExecutionOutcome.APPLIED,
    action=ACTION,
    risk=Risk.LOW,
    requested_by="ann",
    intent_at=NOW,
    verdict=VerdictKind.PASSED,
    reason="1 of 1 ready",
)


@pytest.fixture
def detail() -> ExecutionDetail:
    change = Change(
        target=WEB,
        resource_version="7",
        base_hash="b",
        patch=(PatchOp(op="replace", path="/spec/image", value="nginx"),),
        inverse=(PatchOp(op="replace", path="/spec/image", value="nignx"),),
    )
    plan = Plan(
        id="pln-1",
        incident_id="inc-1",
        investigation_id="inv-1",
        finding="image.not_found",
        action=ACTION,
        reason="a typing error",
        changes=(change,),
        diff=DIFF,
        risk=Risk.LOW,
        reversible=True,
        restores_not=("the pods that were replaced",),
        digest="d" * 64,
        created_at=NOW,
        expires_at=NOW + timedelta(minutes=15),
    )
    execution = Execution(
        id="exe-1",
        plan_id="pln-1",
        incident_id="inc-1",
        kind=ExecutionKind.APPLY,
        change=change,
        requested_by="ann",
        intent_at=NOW,
        outcome=ExecutionOutcome.APPLIED,
    )
    look = Verification(
        execution_id="exe-1",
        number=1,
        at=NOW,
        elapsed_seconds=5.0,
        verdict=Verdict(kind=VerdictKind.PASSED, reason="well"),
        ready=1,
        desired=1,
        restarts=0,
    )
    incident = Incident(id="inc-1", key=WEB.key, root=WEB, opened_at=NOW, updated_at=NOW)
    return ExecutionDetail(view=ExecutionView(execution=execution, verifications=(look,)), plan=plan, incident=incident)


def told(detail, width=100):
    return "\n".join(line.text for line in tell_execution(detail, width=width))


def test_a_diff_is_turned_round():
    assert inverted(DIFF).split("\n")[2:] == TURNED.split("\n")[2:]


def test_turned_twice_it_is_what_it_was():
    assert inverted(inverted(DIFF)) == DIFF


@pytest.mark.parametrize("width", [78, 118, 198])
def test_a_row_fits_its_header_at_every_width(width):
    assert cell_len(execution_row(ROW, width, NOW).text) == cell_len(head(width).text) <= width


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ["passed", "ann", "can"]),
        ({"verdict": None}, ["not yet", "can"]),
        ({"outcome": ExecutionOutcome.UNKNOWN, "keeps": "x"}, ["unknown", "no"]),
        ({"kind": ExecutionKind.ROLLBACK, "keeps": "x"}, ["undo", "no"]),
        ({"verdict": VerdictKind.REVERTED}, ["reverted"]),
    ],
)
def test_a_row_says_what_came_of_it_and_whether_it_can_be_taken_back(changes, words):
    row = execution_row(replace(ROW, **changes), 100, NOW).text
    assert all(word in row for word in words), row


def test_the_preview_says_why_it_stays():
    assert "stays: exe-1 has no recorded inverse" in preview(replace(ROW, keeps="exe-1 has no recorded inverse"), 100)
    assert "can be taken back" in preview(ROW, 100)


def test_a_write_is_told_with_its_diff_its_looks_and_its_way_back(detail):
    text = told(detail)
    assert text.index("+  image: nginx") < text.index("TAKING IT BACK") < text.index("+  image: nignx")
    assert "well, 1 of 1 ready" in text
    assert "the pods that were replaced" in text
    assert "shows when it is tried" in " ".join(text.split())


def test_what_cannot_be_taken_back_says_why(detail):
    assert "exe-1 is being taken back already" in told(replace(detail, keeps="exe-1 is being taken back already"))


def test_an_undoing_shows_what_it_wrote_and_no_way_back(detail):
    undo = replace(detail.view.execution, kind=ExecutionKind.ROLLBACK)
    text = told(replace(detail, view=replace(detail.view, execution=undo), keeps="it took a change back"))
    assert "takes back set_image" in text
    assert "+  image: nignx" in text
    assert "TAKING IT BACK" not in text


@pytest.mark.parametrize("width", [60, 78, 200])
def test_no_line_is_wider_than_the_screen(detail, width):
    assert all(cell_len(line.text) <= width for line in tell_execution(detail, width=width))
