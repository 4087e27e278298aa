"""An answer's rows as lines of the screen."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from rich.cells import cell_len

from console.lines.formatting import Tone
from console.resultgrid import WIDEST, ResultGrid, tell_row
from responder.domain.manifest import Json
from responder.domain.views import Column, QueryAnswer


def grid(columns: dict[str, str], *rows: tuple[Json, ...]) -> ResultGrid:
    kinds = tuple(Column(name=name, type=kind) for name, kind in columns.items())
    return ResultGrid(QueryAnswer(columns=kinds, rows=rows, seconds=0.0, as_of=datetime(2026, 11, 23, tzinfo=UTC)))


def test_names_stand_over_their_cells_and_numbers_to_the_right() -> None:
    found = grid({"rule": "VARCHAR", "n": "BIGINT"}, ("image", 5), ("oom", 12345))
    assert found.head(0, 80).text == "rule       n"
    assert [found.row(at, 0, 80).text for at in (0, 1)] == ["image      5", "oom    12345"]


def test_no_number_is_ever_cut_however_late_it_comes() -> None:
    found = grid({"n": "BIGINT", "x": "DOUBLE"}, *((n, n / 7) for n in range(3000)), (-(10**15), 0.5))
    assert str(-(10**15)) in found.row(3000, 0, 80).text


def test_a_long_text_is_cut_with_dots_and_whole_in_its_row() -> None:
    text = "word " * 60
    found = grid({"a": "VARCHAR", "b": "VARCHAR"}, (text, "end"))
    assert cell_len(found.row(0, 0, 200).text) == WIDEST + 2 + 3
    assert ".." in found.row(0, 0, 200).text
    assert sum(line.text.count("word") for line in tell_row(found.answer, 0, 80)) == 60


def test_the_last_column_takes_the_room_that_is_left() -> None:
    found = grid({"n": "BIGINT", "a": "VARCHAR"}, (1, "word " * 20 + "end"))
    assert found.row(0, 0, 200).text.endswith("word end")
    assert cell_len(found.row(0, 0, 60).text) == 60


def test_scrolling_begins_with_another_column_and_ends_with_the_last_one_seen() -> None:
    found = grid({f"column_{n}": "VARCHAR" for n in range(10)}, tuple(f"cell_{n}" for n in range(10)))
    assert found.row(0, 3, 80).text.startswith("cell_3")
    last = found.last_first(40)
    assert "cell_9" in found.row(0, last, 40).text
    assert found.told_columns(0, 40) == "columns 1-4 of 10, left and right scroll"
    assert found.told_columns(0, 400) == ""


def test_null_is_a_word_and_not_an_empty_text() -> None:
    spans = grid({"a": "VARCHAR", "b": "VARCHAR"}, (None, "")).row(0, 0, 40).spans
    assert (spans[0].text, spans[0].tone) == ("null", Tone.DIM)


def test_times_are_shown_to_the_second_and_whole_in_their_row() -> None:
    found = grid({"at": "TIMESTAMP"}, ("2026-11-23T22:34:21.123456Z",))
    assert found.row(0, 0, 80).text == "2026-11-23 22:34:21"
    assert "21.123456Z" in next(tell_row(found.answer, 0, 80)).text


@pytest.mark.parametrize("width", [1, 8, 80])
def test_lines_stay_within_the_width(width: int) -> None:
    found = grid({"a": "VARCHAR", "b": "BIGINT"}, ("日本語" * 30, 7))
    assert cell_len(found.row(0, 0, width).text) <= width
    assert cell_len(found.head(0, width).text) <= width


def test_an_answer_without_columns_or_rows_can_be_shown() -> None:
    found = grid({})
    assert found.head(0, 80).text == ""
    assert found.last_first(80) == 0
    assert grid({"a": "VARCHAR"}).head(0, 80).text == "a"
