"""Lengths of time as they are written."""

from __future__ import annotations

from datetime import timedelta

import pytest

from responder.domain import spans


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("2h", timedelta(hours=2)),
        ("7d", timedelta(days=7)),
        ("36500d", spans.MOST),
    ],
)
def test_a_number_and_its_unit_is_a_span_and_is_spelt_so_again(text, span):
    assert spans.parse(text) == span
    assert spans.spelt(span) == text


@pytest.mark.parametrize("text", ["", "7", "d", "0d", "-1d", "1.5h", "7d ", "7w", "36501d", "\u0667d", "7d\n"])
def test_anything_else_is_none(text):
    assert spans.parse(text) is None


@pytest.mark.parametrize(("seconds", "text"), [(3600, "1h"), (5400, "90m"), (86_401, "86401s")])
def test_it_is_spelt_in_the_largest_unit_that_is_exact(seconds, text):
    assert spans.spelt(timedelta(seconds=seconds)) == text
