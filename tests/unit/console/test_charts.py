"""Bars and lines of block characters."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from console.lines.charts import NOTHING, Bar, bar, bars, sparkline, squeezed


@pytest.mark.parametrize(
    ("share", "drawn"),
    [
        (0.0, "    "),
        (1.0, "████"),
        (0.5, "██  "),
        (0.25 + 0.125, "█▌  "),
        (0.0001, "▏   "),
        (7.0, "████"),
        (-1.0, "    "),
    ],
)
def test_a_bar_is_as_long_as_its_share(share: float, drawn: str) -> None:
    assert bar(share, 4) == drawn


def test_a_line_has_the_label_the_number_and_the_note_beside_the_bar() -> None:
    items = [Bar(label="image", value=10, told="10", note="of 12"), Bar(label="oom", value=5, told="5", note="of 9")]
    texts = [line.text for line in bars(items, 40)]
    assert texts[0].startswith("image  10  ████")
    assert texts[1].startswith("oom     5  ")
    assert texts[0].rstrip().endswith("of 12")
    assert {cell_len(text) for text in texts} <= set(range(30, 41))


def test_lines_stay_within_the_width_at_any_label() -> None:
    items = [Bar(label="長い名前" * 30, value=1, told="1"), Bar(label="a\x1b[31mb", value=0, told="0")]
    for line in bars(items, 60):
        assert cell_len(line.text) <= 60
        assert "\x1b" not in line.text


def test_nothing_to_compare_draws_no_bar() -> None:
    assert bars([], 40) == []
    (line,) = bars([Bar(label="a", value=0, told="0")], 40)
    assert "█" not in line.text


def test_a_scale_of_ones_own_is_kept() -> None:
    (line,) = bars([Bar(label="a", value=0.5, told="50 %")], 40, most=1.0)
    assert line.text.count("█") == pytest.approx(len(line.text.partition("50 %")[2].strip(" ")), abs=30)
    assert line.text.count("█") < 20


def test_a_sparkline_tells_no_value_from_a_small_one() -> None:
    assert sparkline([None, 0, 1, 8]) == f"{NOTHING}▁▂█"
    assert sparkline([]) == ""
    assert sparkline([0, 0]) == "▁▁"


def test_peaks_survive_squeezing() -> None:
    assert squeezed([1, 9, 1, 1, None, None], 3) == (9, 1, None)
    assert squeezed([1, 2], 10) == (1, 2)
