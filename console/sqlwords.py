"""What Tab makes of the word before the cursor: tables, columns, keywords of SQL. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile

from responder.domain.views import CatalogueTable, QueryCatalogue

KEYWORDS = (
    *("SELECT", "DISTINCT", "FROM", "WHERE", "GROUP BY", "HAVING", "QUALIFY", "ORDER BY", "LIMIT", "OFFSET"),
    *("JOIN", "LEFT JOIN", "USING", "ON", "UNION ALL", "WITH", "AS", "AND", "OR", "NOT", "IN", "BETWEEN", "LIKE"),
    *("ILIKE", "IS NULL", "IS NOT NULL", "CASE", "WHEN", "THEN", "ELSE", "END", "EXISTS", "INTERVAL", "FILTER"),
    *("DESC", "ASC", "NULLS LAST", "DESCRIBE", "SUMMARIZE", "OVER", "PARTITION BY", "VALUES"),
    *("count(*)", "sum(", "avg(", "median(", "min(", "max(", "quantile_cont(", "date_trunc(", "now()", "coalesce("),
    *("json_extract_string(", "string_agg(", "round(", "CAST("),
)
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z|\Z")
_ALIASED = re.compile(r"\b(?:from|join)\s+([a-z_][a-z0-9_]*)(?:\s+(?:as\s+)?([a-z_][a-z0-9_]*))?", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Completion:
    """What may stand in the place of the last `length` characters before the cursor."""

    length: int
    choices: tuple[str, ...]

    @property
    def common(self) -> str:
        """What all of them begin with, as the first spells it."""
        if not self.choices:
            return ""
        columns = zip(*(choice.lower() for choice in self.choices), strict=False)
        agreed = sum(1 for _ in takewhile(lambda letters: len(set(letters)) == 1, columns))
        return self.choices[0][:agreed]


def complete(before: str, whole: str, catalogue: QueryCatalogue | None) -> Completion:
    """`before` is the text up to the cursor, `whole` all of it: its FROM says whose columns are meant."""
    found = _WORD.search(before)
    word = found.group() if found else ""
    ahead = before[: len(before) - len(word)]
    owner = ahead[:-1].rpartition(" ")[2].rpartition("(")[2].rpartition(",")[2] if ahead.endswith(".") else ""
    if not word and not owner:
        return Completion(length=0, choices=())
    tables = {table.name.lower(): table for table in catalogue.tables} if catalogue is not None else {}
    named = _named(whole, tables)
    if owner:
        table = named.get(owner.lower()) or tables.get(owner.lower())
        candidates = [column.name for column in table.columns] if table is not None else []
    else:
        columns = dict.fromkeys(column.name for table in named.values() for column in table.columns)
        candidates = [*columns, *(table.name for table in tables.values()), *_keywords(word)]
    begun = [name for name in dict.fromkeys(candidates) if name.lower().startswith(word.lower())]
    return Completion(length=len(word), choices=tuple(begun))


def _named(text: str, tables: dict[str, CatalogueTable]) -> dict[str, CatalogueTable]:
    """Tables that the text selects from, by their name and by their alias."""
    named: dict[str, CatalogueTable] = {}
    for name, alias in _ALIASED.findall(text):
        table = tables.get(name.lower())
        if table is not None:
            named[name.lower()] = table
            if alias:
                named[alias.lower()] = table
    return named


def _keywords(word: str) -> Iterator[str]:
    """In the case in which the word was begun."""
    small = word == word.lower()
    for keyword in KEYWORDS:
        yield keyword.lower() if small else keyword
