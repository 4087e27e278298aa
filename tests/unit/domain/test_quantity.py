"""What two spellings of an amount mean."""

from __future__ import annotations

from fractions import Fraction

import pytest

from responder.domain.quantity import parse_quantity, same_quantity


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", Fraction(1)),
        ("0.5", Fraction(1, 2)),
        ("500m", Fraction(1, 2)),
        ("1Ki", Fraction(1024)),
        ("1k", Fraction(1000)),
        ("2e3", Fraction(2000)),
        ("1E", Fraction(10**18)),
        ("1e-3", Fraction(1, 1000)),
        ("100n", Fraction(1, 10**7)),
        ("", None),
        ("-1", None),
        ("1 Gi", None),
        ("1GiB", None),
        ("1gi", None),
        ("٣", None),
        ("1e999", None),
        ("9" * 400, None),
        ("1Mi\n", None),
        ("NaN", None),
    ],
)
def test_a_quantity_is_an_exact_number_or_none(text: str, number: Fraction | None) -> None:
    assert parse_quantity(text) == number


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("1024Mi", "1Gi", True), ("1000m", "1", True), ("1G", "1Gi", False), ("", "", True), ("x", "y", False)],
)
def test_amounts_are_compared_by_meaning(one: str, other: str, same: bool) -> None:
    assert same_quantity(one, other) is same
