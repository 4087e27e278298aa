"""Diffs as rows: nothing is lost, one form or the other."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from console.lines import diffs
from console.lines.folding import Shelf, lay, revealed, search
from console.lines.formatting import Tone
from console.reasoning import Body, Form, Node

DIFF = "\n".join(
    [
        "--- Deployment/shop/web (now)",
        "+++ Deployment/shop/web (planned)",
        "@@ -1,4 +1,5 @@",
        " spec:",
        "-  image: nignx:1.27",
        "-  gone: yes",
        "+  image: nginx:1.27",
        "+  --- looks like a head",
        "+  more: 1",
        " end: 1",
    ]
)


def told(text, width=100, **more):
    return [line.text.rstrip() for line in diffs.lines(text, width, **more)]


def spans_of(text, tone, width=100, **more):
    return [span.text for line in diffs.lines(text, width, **more) for span in line.spans if span.tone is tone]


def test_one_under_the_other_is_the_diff_as_it_came():
    assert told(DIFF) == DIFF.split("\n")


def test_side_by_side_puts_what_is_planned_beside_what_it_stands_for():
    rows = [[half.rstrip() for half in row.split(" │ ")] for row in told(DIFF, sides=True)]
    assert rows[0] == ["--- Deployment/shop/web (now)"]
    assert rows[2] == ["@@ -1,4 +1,5 @@"]
    assert rows[3] == [" spec:", " spec:"]
    assert rows[4] == ["-  image: nignx:1.27", "+  image: nginx:1.27"]
    assert rows[5] == ["-  gone: yes", "+  --- looks like a head"]
    assert rows[6] == ["", "+  more: 1"]
    assert rows[7] == [" end: 1", " end: 1"]


@pytest.mark.parametrize("text", ["", "-", "+", "no diff at all", "--- a\n+++ b", "\n\n", "# note", "- --- x\n+ +++ y"])
@pytest.mark.parametrize("sides", [False, True])
def test_anything_can_be_drawn(text, sides):
    kept = "".join(told(text, sides=sides)).replace("│", "")
    assert set(text.replace("\n", "")) - {" "} <= set(kept) - {" "} | {" "}


def test_what_differs_within_a_line_is_marked_in_both():
    assert spans_of(DIFF, Tone.REMOVED_WORD) == ["nignx"]
    assert "nginx" in spans_of(DIFF, Tone.ADDED_WORD)


def test_lines_that_have_nothing_in_common_are_marked_as_lines_only():
    assert spans_of("-abc def ghi\n+1 2.3", Tone.ADDED_WORD) == []


def test_a_line_added_without_one_removed_is_marked_as_a_line_only():
    assert spans_of("+only", Tone.ADDED_WORD) == []
    assert spans_of("+only", Tone.ADDED) == ["+", "only"]


@pytest.mark.parametrize("sides", [False, True])
@pytest.mark.parametrize("width", [20, 41, 100])
@pytest.mark.inv(24)
def test_no_character_of_a_long_line_is_lost_and_its_sign_is_repeated(sides, width):
    long = "".join(chr(0x4E00 + number) if number % 7 == 0 else "abcdefghij"[number % 10] for number in range(400))
    rows = diffs.lines(f"-{long}\n+{long}z", width, sides=sides)
    assert max(cell_len(line.text) for line in rows) <= width
    for sign, tones, whole in (
        ("-", (Tone.REMOVED, Tone.REMOVED_WORD), long),
        ("+", (Tone.ADDED, Tone.ADDED_WORD), f"{long}z"),
    ):
        parts = ["".join(span.text for span in line.spans if span.tone in tones) for line in rows]
        parts = [part for part in parts if part]
        assert all(part.startswith(sign) for part in parts)
        assert "".join(part[1:] for part in parts) == whole


def test_a_line_that_goes_on_says_so():
    rows = told("+" + "x" * 30, 20)
    assert [row.endswith("\\") for row in rows] == [True, False]


def test_hostile_text_is_shown_for_what_it_is():
    seen = "".join(told("-a\x1b[2J\u202e\n+b\t\u200b", sides=True))
    assert not set("\x1b\u202e\t\u200b") & set(seen)
    assert "\\x1b[2J\\u202e" in seen


@pytest.mark.parametrize("form", [Form.DIFF, Form.SIDES])
def test_a_search_marks_what_it_finds_and_leads_to_its_row(form):
    node = Node(key="diff", bodies=(Body(text=DIFF, form=form),))
    shelf = Shelf()
    hits = search([node], "nginx", shelf)
    assert len(hits.places) == 1
    sheet = lay([node], revealed([node], hits.places, {}), 110, shelf)
    row = sheet.row_of(hits.places[0])
    assert row is not None
    assert [span.text for span in sheet.line(row, hits).spans if span.tone is Tone.MATCH] == ["nginx"]


def test_a_search_finds_a_place_in_a_line_that_goes_on():
    node = Node(key="diff", bodies=(Body(text="+" + "x" * 90 + "needle", form=Form.DIFF),))
    shelf = Shelf()
    hits = search([node], "needle", shelf)
    sheet = lay([node], {"diff": True}, 40, shelf)
    row = sheet.row_of(hits.places[0])
    assert row is not None
    assert "needle" in sheet.line(row, hits).text
