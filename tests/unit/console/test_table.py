"""The list as columns."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.cells import cell_len

from console.table import COLUMNS, column_at, header, order_words, placeholder, preview, row, turned
from responder.domain.incident import Incident, Outcome, State
from responder.domain.search import NEWEST_FIRST, Order, SortBy

AT = datetime(2026, 1, 1, tzinfo=UTC)
INCIDENT = Incident(
    id="inc-1",
    key="Deployment/shop/storefront",
    root=None,
    state=State.ESCALATED,
    outcome=Outcome.ROLLED_BACK,
    summary="日本語\x1b[31m and [bold]markup[/bold]\nsecond line " + "long " * 60,
    severity="critical",
    rule="images",
    mode="autonomous",
    opened_at=AT,
    updated_at=AT,
)


def told(incident, width):
    return row(incident, width=width, now=AT + timedelta(minutes=3)).text


@pytest.mark.parametrize("width", [77, 78, 95, 96, 119, 120, 149, 150, 197])
def test_header_and_rows_have_one_width_at_every_size(width):
    text = told(INCIDENT, width)
    assert cell_len(text) == cell_len(header(width, NEWEST_FIRST).text) <= width
    assert cell_len(placeholder(width).text) == width
    assert "\x1b" not in text
    assert "\n" not in text


def test_a_narrow_row_names_age_state_severity_target_and_summary():
    assert told(INCIDENT, 77).split()[:5] == [
        "3m",
        "escalated",
        "critical",
        "deploy/shop/storefront",
        "日本語\\x1b[31m",
    ]


def test_a_wide_row_names_rule_mode_and_outcome_as_well():
    wide = told(INCIDENT, 197)
    assert all(word in wide for word in ("images", "autonomous", "rolled back"))


def test_on_a_wide_screen_the_summary_gets_what_no_target_needs():
    head = header(197, NEWEST_FIRST).text
    assert head.index("SUMMARY") - head.index("TARGET") == 45


@pytest.mark.parametrize(
    ("target", "told_as"),
    [
        ("shop/storefront", "deploy/shop/storefront"),
        ("payments/checkout-api", "payments/checkout-api"),
        ("payments-production/checkout-api", "payments-pr../checkout-api"),
        ("payments-production/checkout-api-of-the-second-region", "..api-of-the-second-region"),
    ],
)
def test_of_a_long_target_the_name_is_kept(target, told_as):
    assert f" {told_as} " in told(replace(INCIDENT, key=f"Deployment/{target}"), 81)


def test_every_state_is_told_in_a_word_of_its_own():
    rows = {told(replace(INCIDENT, state=state), 77) for state in State}
    assert len(rows) == len(State)


def test_the_preview_has_two_lines_and_says_when_there_is_more():
    first, second = preview(INCIDENT, 78).split("\n")
    assert "Deployment/shop/storefront (rolled back), rule images in autonomous mode:" in first
    assert second.endswith("..")
    assert max(cell_len(first), cell_len(second)) <= 78


def test_the_number_of_workloads_stands_before_the_target():
    shared = replace(INCIDENT, key="cause/image/registry.example/shop/storefront:1.9", cause="image/x", members=7)
    assert "(7 workloads) cause/image" in told(shared, 160)
    assert "workloads" not in told(INCIDENT, 160)


@pytest.mark.parametrize("by", SortBy)
def test_an_arrow_marks_the_column_that_is_sorted_by_and_words_say_how(by):
    up, down = Order(by=by), Order(by=by, descending=True)
    title = next(column.column.title for column in COLUMNS if column.sort is by)
    assert f"{title}↑" in header(197, up).text
    assert f"{title}↓" in header(197, down).text
    assert order_words(up)
    assert order_words(up) != order_words(down)


@pytest.mark.parametrize("width", [77, 197])
@pytest.mark.parametrize("by", [SortBy.AGE, SortBy.STATE, SortBy.SEVERITY, SortBy.TARGET, SortBy.SUMMARY])
def test_a_click_on_a_title_hits_its_column(width, by):
    title = next(column.column.title for column in COLUMNS if column.sort is by)
    start = header(width, NEWEST_FIRST).text.index(title)
    assert column_at(start, width) is by
    assert column_at(start + len(title) - 1, width) is by


def test_a_click_on_what_nothing_is_sorted_by_means_nothing():
    assert column_at(header(197, NEWEST_FIRST).text.index("OUTCOME"), 197) is None
    assert column_at(500, 197) is None


def test_the_same_column_again_turns_the_order_and_another_begins_from_its_start():
    once = turned(NEWEST_FIRST, SortBy.STATE)
    assert once == Order(by=SortBy.STATE)
    assert turned(once, SortBy.STATE) == Order(by=SortBy.STATE, descending=True)
    assert turned(turned(once, SortBy.STATE), SortBy.STATE) == once
    assert turned(once, SortBy.AGE) == NEWEST_FIRST
