"""The approvals queue as rows: what waits, how long still, and who has it on a screen. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from console.lines.formatting import Line, Tone, age, flat, short_key, two_lines
from console.lines.grid import Cell, Column, header, row
from console.reasoning import told_action
from responder.domain.rule import Risk
from responder.domain.views import QueuedPlan, Viewer

RISK_TONES = {Risk.HIGH: Tone.BAD, Risk.MEDIUM: Tone.WAITS, Risk.LOW: Tone.PLAIN}
_SOON_SECONDS = 120.0
"""Below this the time left is told in another tone."""

COLUMNS = (
    Column(title="AGE", width=4, right=True),
    Column(title="LEFT", width=5, right=True),
    Column(title="RISK", width=6),
    Column(title="OBJECT", weight=5),
    Column(title="ACTION", weight=5),
    Column(title="RULE", weight=2, from_columns=110),
    Column(title="SEVERITY", width=8, from_columns=130),
    Column(title="OK", width=3),
    Column(title="LOOKS", weight=2),
)


def head(width: int) -> Line:
    return header(COLUMNS, width)


def queue_row(plan: QueuedPlan, width: int, now: datetime) -> Line:
    left = (plan.expires_at - now).total_seconds()
    approvals = f"{len(plan.approvers)}/{max(plan.approvers_needed, 1)}"
    cells: Sequence[Cell | str] = (
        Cell(age((now - plan.created_at).total_seconds()), Tone.DIM),
        Cell(age(left) if left > 0 else "over", Tone.BAD if left <= _SOON_SECONDS else Tone.PLAIN),
        Cell(plan.risk.value, RISK_TONES[plan.risk]),
        short_key(_object(plan)),
        told_action(plan.action),
        plan.rule,
        plan.severity,
        Cell(approvals, Tone.BUSY if plan.approvers else Tone.PLAIN),
        Cell(looked_at_by(plan.viewers), Tone.BUSY),
    )
    return row(COLUMNS, cells, width, key=plan.plan_id)


def looked_at_by(viewers: Sequence[Viewer]) -> str:
    """Names, once each; whoever is deciding first, with a `!`."""
    deciding = {viewer.name for viewer in viewers if viewer.deciding}
    names = dict.fromkeys(viewer.name for viewer in viewers)
    return ", ".join(sorted((f"!{name}" if name in deciding else name for name in names), key=lambda n: n[:1] != "!"))


def preview(plan: QueuedPlan, width: int) -> str:
    """The row under the cursor, on two lines; dots where there is more."""
    told = [f"{plan.plan_id} for {flat(plan.key)} ({flat(plan.rule) or 'no rule'}): {flat(told_action(plan.action))}"]
    if not plan.reversible:
        told.append("CANNOT be taken back")
    if plan.objections:
        told.append(f"policy says no to {flat(', '.join(plan.objections))}")
    if plan.warnings:
        told.append("1 warning" if plan.warnings == 1 else f"{plan.warnings} warnings")
    if plan.approvers:
        told.append(f"approved by {flat(', '.join(plan.approvers))}")
    deciding = ", ".join(dict.fromkeys(viewer.name for viewer in plan.viewers if viewer.deciding))
    if deciding:
        told.append(f"{flat(deciding)} is deciding")
    return two_lines("; ".join(told), width)


def _object(plan: QueuedPlan) -> str:
    """What would be written; with its incident's key where that is another object."""
    target = plan.action.target.key
    return target if target == plan.key else f"{target} ({plan.key})"
