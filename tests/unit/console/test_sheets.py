"""Answers of SQL as text and as CSV."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pytest

from console.sheets import cell_text, csv_of, table_of
from responder.domain.manifest import Json
from responder.domain.views import Column, QueryAnswer


def answer(*rows: tuple[Json, ...], columns: tuple[tuple[str, str], ...] = (("a", "VARCHAR"),)) -> QueryAnswer:
    return QueryAnswer(
        columns=tuple(Column(name=name, type=kind) for name, kind in columns),
        rows=rows,
        seconds=0.1,
        as_of=datetime(2026, 11, 23, tzinfo=UTC),
    )


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1"])
def test_text_that_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert next(csv.reader(io.StringIO(csv_of(answer((text,))).split("\r\n", 1)[1])))[0].startswith("'")


def test_a_column_name_is_no_formula_either() -> None:
    assert csv_of(answer(columns=(("=1+1", "INTEGER"),))).startswith("'=1+1")


def test_numbers_stay_numbers_in_csv() -> None:
    written = csv_of(answer((-1, 2.5, True, None, [1]), columns=tuple((name, "X") for name in "abcde")))
    assert written == "a,b,c,d,e\r\n-1,2.5,true,,[1]\r\n"


def test_commas_quotes_and_line_feeds_come_back_from_csv() -> None:
    text = 'a,"b"\nc'
    assert list(csv.reader(io.StringIO(csv_of(answer((text,))), newline="")))[1] == [text]


def test_numbers_stand_to_the_right() -> None:
    columns = (("name", "VARCHAR"), ("n", "BIGINT"))
    assert list(table_of(answer(("x", 5), ("long name", 12345), columns=columns))) == [
        "name           n",
        "---------  -----",
        "x              5",
        "long name  12345",
    ]


def test_long_cells_are_cut_beside_others_and_whole_alone() -> None:
    both = list(table_of(answer(("y" * 100, "z"), columns=(("a", "VARCHAR"), ("b", "VARCHAR")))))
    assert "…" in both[2]
    assert len(both[2]) < 100
    assert list(table_of(answer(("y" * 100,))))[2] == "y" * 100


@pytest.mark.parametrize(
    ("cell", "text"),
    [(None, ""), (True, "true"), (3, "3"), (0.25, "0.25"), (1234567.0, "1234567.0"), ({"a": [1]}, '{"a": [1]}')],
)
def test_a_cell_is_one_line_of_text(cell: Json, text: str) -> None:
    assert cell_text(cell) == text


def test_what_would_drive_the_terminal_is_shown_for_what_it_is() -> None:
    assert cell_text("a\x1b[31m\u202eb\nc") == "a\\x1b[31m\\u202eb c"
