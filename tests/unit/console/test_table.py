"""The list as columns."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.cells import cell_len

from console.table import header, preview, row
from responder.domain.incident import Incident, Outcome, State

AT = datetime(2026, 1, 1, tzinfo=UTC)
INCIDENT = Incident(
    id="inc-1",
    key="Deployment/shop/storefront",
    root=None,
    state=State.ESCALATED,
    outcome=Outcome.ROLLED_BACK,
    summary="日本語\x1b[31m and [bold]markup[/bold]\nsecond line " + "long " * 60,
    severity="critical",
    mode="autonomous",
    opened_at=AT,
    updated_at=AT,
)


@pytest.mark.parametrize("width", [20, 77, 78, 119, 120, 197])
def test_header_and_rows_have_one_width_at_every_size(width):
    line = row(INCIDENT, width=width, now=AT + timedelta(minutes=3))
    assert cell_len(line.text) == cell_len(header(width).text)
    assert "\x1b" not in line.text
    assert "\n" not in line.text


def test_a_row_names_state_object_and_age_and_a_wide_one_the_outcome():
    narrow = row(INCIDENT, width=78, now=AT + timedelta(minutes=3)).text
    assert narrow.split()[:4] == ["3m", "escalated", "critical", "auto"]
    assert "deploy/shop/storefront" in narrow
    assert "rolled back" in row(INCIDENT, width=160, now=AT).text


def test_every_state_is_told_in_a_word_of_its_own():
    rows = {row(Incident(id="i", key="k", root=None, state=state, opened_at=AT, updated_at=AT), width=78, now=AT).text
            for state in State}  # fmt: skip
    assert len(rows) == len(State)


def test_the_preview_has_two_lines_and_says_when_there_is_more():
    first, second = preview(INCIDENT, 78).split("\n")
    assert "Deployment/shop/storefront (rolled back), rule none: 日本語\\x1b[31m and" in first
    assert second.endswith("..")
    assert max(cell_len(first), cell_len(second)) <= 78


def test_the_number_of_workloads_stands_before_the_object():
    shared = replace(INCIDENT, key="cause/image/registry.example/shop/storefront:1.9", cause="image/x", members=7)
    assert "(7 workloads) cause/image" in row(shared, width=160, now=AT).text
    assert "workloads" not in row(INCIDENT, width=160, now=AT).text
