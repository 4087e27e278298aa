"""What Tab makes of a word."""

from __future__ import annotations

import pytest

from console.sqlwords import Completion, complete
from responder.domain.views import CatalogueTable, Column, QueryCatalogue


def table(name: str, *columns: str) -> CatalogueTable:
    kinds = tuple(Column(name=column, type="VARCHAR") for column in columns)
    return CatalogueTable(name=name, kind="view", about="", columns=kinds)


CATALOGUE = QueryCatalogue(
    tables=(table("v_cost", "day", "analyzer", "cost_usd"), table("v_incidents", "id", "opened_at"), table("vip", "x"))
)


@pytest.mark.parametrize(
    ("before", "whole", "choices"),
    [
        ("SELECT * FROM v_", "", ("v_cost", "v_incidents")),
        ("SELECT * FROM V_C", "", ("v_cost",)),
        ("SELECT cost", "SELECT cost FROM v_cost", ("cost_usd",)),
        ("SELECT opened", "SELECT opened FROM v_cost", ()),
        ("SELECT c.an", "SELECT c.an FROM v_cost c JOIN v_incidents AS i", ("analyzer",)),
        ("SELECT i.", "SELECT i. FROM v_cost c JOIN v_incidents AS i", ("id", "opened_at")),
        ("SELECT sum(v_cost.c", "SELECT sum(v_cost.c FROM v_cost", ("cost_usd",)),
        ("SELECT nobody.x", "", ()),
        ("sel", "", ("select",)),
        ("SEL", "", ("SELECT",)),
        ("SELECT ", "", ()),
        ("", "", ()),
    ],
)
def test_choices(before: str, whole: str, choices: tuple[str, ...]) -> None:
    assert complete(before, whole, CATALOGUE).choices == choices


def test_without_a_catalogue_there_are_keywords() -> None:
    assert complete("FRO", "FRO", None).choices == ("FROM",)


def test_what_all_choices_begin_with_is_filled_in() -> None:
    assert Completion(length=2, choices=("v_incidents", "v_investigations")).common == "v_in"
    assert Completion(length=0, choices=()).common == ""
