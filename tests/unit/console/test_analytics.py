"""Answers of the analytics statements as lines."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from rich.cells import cell_len

from console.analytics import PAGES, Extent, Form, Page, Section, lasting, quantity, statements, tell
from console.lines.formatting import Tone
from responder.domain.manifest import Json
from responder.domain.views import Column, QueryAnswer

NOW = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)


def answer(columns: dict[str, str], *rows: tuple[Json, ...]) -> QueryAnswer:
    kinds = tuple(Column(name=name, type=kind) for name, kind in columns.items())
    return QueryAnswer(columns=kinds, rows=rows, seconds=0.0, as_of=NOW)


def told(section: Section, found: QueryAnswer | str | None, *, extent: Extent = Extent.WEEK, width: int = 78) -> str:
    answers = {} if found is None else {section.statement(extent): found}
    lines = tell(Page(name="p", sections=(section,)), extent, answers, width)
    assert all(cell_len(line.text) <= width for line in lines)
    return "\n".join(line.text.rstrip() for line in lines)


RANKED = Section(title="by rule", sql="SELECT 1")
TIMED = Section(title="over time", sql="SELECT 1", form=Form.TIMED)
SPREAD = Section(title="spread", sql="SELECT 1", form=Form.SPREAD)


def test_a_row_is_a_bar_with_its_number_and_what_stands_beside_it() -> None:
    columns = {"rule": "VARCHAR", "median_seconds": "DOUBLE", "incidents": "BIGINT"}
    text = told(RANKED, answer(columns, ("image", 200.0, 5), ("", 100.0, 1)))
    assert "image   3m20s  ██" in text
    assert "(none)  1m40s" in text
    assert "incidents 5" in text


@pytest.mark.parametrize(("ratio", "tone"), [(0.9, Tone.GOOD), (0.6, Tone.WAITS), (0.1, Tone.BAD), (None, Tone.BUSY)])
def test_success_has_a_tone_and_its_percentage(ratio: float | None, tone: Tone) -> None:
    section = Section(title="success", sql="SELECT 1")
    found = answer({"action": "VARCHAR", "success_ratio": "DOUBLE"}, ("set_image", ratio))
    lines = tell(Page(name="p", sections=(section,)), Extent.DAY, {section.statement(Extent.DAY): found}, 78)
    assert tone in [span.tone for span in lines[1].spans]
    assert (f"{ratio:.0%}".replace("%", " %") if ratio is not None else "-") in lines[1].text


def test_times_without_a_row_are_dots_and_the_newest_and_greatest_are_told() -> None:
    columns = {"at": "TIMESTAMP", "median_seconds": "DOUBLE", "incidents": "BIGINT"}
    rows = (("2026-11-20T00:00:00.000000Z", 600.0, 4), ("2026-11-23T00:00:00.000000Z", 60.0, 1))
    text = told(TIMED, answer(columns, *rows))
    assert "median         ····█··▁  newest 1m00s, most 10m00s" in text
    assert "incidents" in text
    assert "11-16 to 11-23 UTC, one block per day" in text


def test_a_day_is_drawn_by_the_hour() -> None:
    rows = (("2026-11-23T12:00:00.000000Z", 3),)
    text = told(TIMED, answer({"at": "TIMESTAMP", "storms": "BIGINT"}, *rows), extent=Extent.DAY)
    assert "·" * 24 + "█" in text
    assert "11-22 12h to 11-23 12h UTC, one block per hour" in text


def test_a_column_of_days_is_drawn_by_the_day_however_short_the_time() -> None:
    text = told(TIMED, answer({"day": "DATE", "cost_usd": "DOUBLE"}, ("2026-11-23", 1.5)), extent=Extent.DAY)
    assert "cost           ·█  newest $1.50, most $1.50" in text


def test_columns_of_the_only_row_are_bars() -> None:
    text = told(SPREAD, answer({"under 1m": "BIGINT", "1h and more": "BIGINT"}, (3, 1)))
    assert "under 1m     3  ██" in text
    assert "1h and more  1  " in text


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (None, "reading"),
        ("busy: r reads again", "busy: r reads again"),
        (answer({"rule": "VARCHAR", "n": "BIGINT"}), "nothing in this time"),
    ],
)
def test_what_is_not_there_is_said(found: QueryAnswer | str | None, sentence: str) -> None:
    assert sentence in told(RANKED, found)


def test_nothing_spread_is_said_too() -> None:
    assert "nothing in this time" in told(SPREAD, answer({"under 1m": "BIGINT"}, (0,)))


def test_more_rows_than_fit_are_counted() -> None:
    found = answer({"rule": "VARCHAR", "n": "BIGINT"}, *((f"r{n}", n) for n in range(40)))
    assert "and 28 more" in told(RANKED, found)


@pytest.mark.parametrize("width", [40, 78, 198])
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_labels_of_any_length_stay_on_the_screen(page: Page, width: int) -> None:
    hostile = "\x1b[31m" + "very-long-name-" * 20
    answers = {
        section.statement(Extent.MONTH): answer(
            {f"c{n}": "VARCHAR" for n in range(section.labels)} | {"v_seconds": "DOUBLE", "w": "BIGINT"},
            (*[hostile] * section.labels, 5.0, 10**12),
        )
        for section in page.sections
        if section.form is Form.RANKED
    }
    for line in tell(page, Extent.MONTH, answers, width):
        assert cell_len(line.text) <= max(width, 60)
        assert "\x1b" not in line.text


def test_every_line_leads_to_its_statement() -> None:
    lines = tell(PAGES[0], Extent.WEEK, {}, 78)
    assert {line.key for line in lines if line.spans} == set(statements(PAGES[0], Extent.WEEK))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.6, "1m00s"), (200, "3m20s"), (0.25, "0.2s"), (7500, "2h05m"), (273600, "3d04h")],
)
def test_a_duration_has_two_units(seconds: float, text: str) -> None:
    assert lasting(seconds) == text


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("cost_usd", 1234.5, "$1,234.50"),
        ("n", 1234567, "1,234,567"),
        ("share", 0.25, "0.25"),
        ("last_decided_at", "2026-11-23T12:00:00.000000Z", "2026-11-23 12:00"),
        ("median_seconds", None, "-"),
        ("state", "re\nsolved", "re solved"),
    ],
)
def test_the_name_of_a_column_tells_its_unit(column: str, value: Json, text: str) -> None:
    assert quantity(column, value) == text
