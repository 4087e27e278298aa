"""What a statement may be: one SELECT over the record. It decides on the syntax tree and touches no database.

The tree is what DuckDB's own parser makes of the text (`json_serialize_sql`,
https://duckdb.org/docs/stable/data/json/sql_to_and_from_json). The engine's type of a statement is not enough: it says
SELECT of one whose common table expression deletes, or writes a file. Whatever is not known here is refused, so that a
newer parser cannot bring something along.

That a statement is admitted does not make it harmless: it may still take all memory and time there are. `child` and
`runner` bound that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from typing import TypeAlias

from responder.domain.errors import PermanentError

Tree: TypeAlias = "Mapping[str, Tree] | Sequence[Tree] | str | int | float | bool | None"

TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest", "json_each", "json_tree", "repeat"})

REFUSED_FUNCTIONS = frozenset(
    {
        # settings and variables of the engine
        *("current_setting", "getvariable", "getenv", "in_search_path", "get_block_size"),
        # waiting, and writing to the engine's log
        *("sleep_ms", "pg_sleep", "write_log", "parse_duckdb_log_message"),
        # sequences
        *("nextval", "currval", "setval"),
        # other statements, as text
        *("json_serialize_sql", "json_deserialize_sql", "json_serialize_plan", "json_execute_serialized_sql"),
        *("query", "query_table", "current_query", "current_query_id", "stats"),
    }
)
"""Scalar functions are many and harmless but for these. None reads a file: those that do are table functions."""

_EXPRESSIONS = frozenset(
    {
        *("BETWEEN", "CASE", "CAST", "COLLATE", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT", "FUNCTION"),
        *("LAMBDA", "OPERATOR", "POSITIONAL_REFERENCE", "STAR", "SUBQUERY", "TYPE", "WINDOW"),
    }
)
_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "CTE_NODE", "RECURSIVE_CTE_NODE"})
_SOURCES = frozenset(
    {"BASE_TABLE", "EMPTY", "EXPRESSION_LIST", "JOIN", "PIVOT", "SHOW_REF", "SUBQUERY", "TABLE_FUNCTION"}
)
_PARTS = frozenset(
    {
        *("ORDER_MODIFIER", "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "DISTINCT_MODIFIER"),
        *("ORDER_DEFAULT", "ASCENDING", "DESCENDING"),
    }
)
_KNOWN = _NODES | _SOURCES | _PARTS
_SHOWN = frozenset({"DESCRIBE", "SUMMARY"})

ENGINE_VIEWS = ("duckdb_", "pg_", "pragma_", "sqlite_")
"""How the engine's own views begin. They are found without a schema, and a WITH of such a name would lead to them: it
does not hold inside itself, and not behind `main.`."""

_CTE_NAME = re.compile(r"[^\W\d]\w*", re.ASCII)
_LONGEST = 80
"""Characters of a name that are repeated in a refusal."""


class StatementRefused(PermanentError):
    """The statement is no single SELECT over the record, or DuckDB cannot make sense of it."""


def check(tree: Tree, sql: str, tables: Set[str]) -> None:
    """Admit `tree`, the answer of `json_serialize_sql` to `sql`; `tables` are those of the record, in lower case.

    Raises:
        StatementRefused: names what is not allowed.
    """
    if not isinstance(tree, Mapping):
        raise StatementRefused("the statement was not understood")
    if tree.get("error"):
        raise StatementRefused(_unreadable(tree, sql))
    statements = tree.get("statements")
    if not isinstance(statements, Sequence) or len(statements) != 1:
        raise StatementRefused("write one statement, and nothing after its `;`" if statements else "write a SELECT")
    pending: list[tuple[Tree, frozenset[str]]] = [(statements[0], frozenset(tables))]
    while pending:
        value, names = pending.pop()
        if isinstance(value, Mapping):
            names |= _expressions_named(value)
            _check_part(value, names)
            pending.extend((item, names) for item in value.values())
        elif isinstance(value, Sequence) and not isinstance(value, str):
            pending.extend((item, names) for item in value)


def _check_part(part: Mapping[str, Tree], names: frozenset[str]) -> None:
    kind, expression = part.get("type"), part.get("class")
    if expression is not None:
        if expression not in _EXPRESSIONS:
            raise StatementRefused(_not_an_expression(str(expression)))
        if expression in ("FUNCTION", "WINDOW"):
            _check_function(part)
    elif isinstance(kind, str):
        if kind not in _KNOWN:
            word = kind.removesuffix("_NODE").removesuffix("_QUERY").replace("_", " ")
            raise StatementRefused(f"{word} is not allowed: only SELECT is answered, and nothing is changed by it")
        _check_source(kind, part, names)


def _check_source(kind: str, part: Mapping[str, Tree], names: frozenset[str]) -> None:
    if kind == "BASE_TABLE":
        _check_table(part, names)
    elif kind == "TABLE_FUNCTION":
        function = part.get("function")
        name = _text(function, "function_name").lower() if isinstance(function, Mapping) else ""
        if name not in TABLE_FUNCTIONS:
            allowed = ", ".join(sorted(TABLE_FUNCTIONS))
            raise StatementRefused(f"{_short(name)}() is not allowed where a table stands; allowed are {allowed}")
    elif kind == "SHOW_REF" and (part.get("show_type") not in _SHOWN or part.get("query") is None):
        raise StatementRefused("SHOW is not allowed; the views and tables are listed at /api/v1/query/catalogue")


def _check_table(part: Mapping[str, Tree], names: frozenset[str]) -> None:
    name, schema = _text(part, "table_name"), _text(part, "schema_name")
    if _text(part, "catalog_name") or schema.lower() not in ("", "main"):
        raise StatementRefused(
            f"{_short(f'{schema}.{name}')} is not of the record: write the name of a view or table alone"
        )
    if part.get("at_clause") is not None:
        raise StatementRefused("AT is not allowed: the record has no older versions of itself")
    if name.lower() not in names:
        raise StatementRefused(f"{_short(name)} is neither a view nor a table of the record")


def _check_function(part: Mapping[str, Tree]) -> None:
    name = _text(part, "function_name")
    if _text(part, "catalog") or _text(part, "schema").lower() not in ("", "main", "pg_catalog"):
        raise StatementRefused(f"{_short(name)}() of another schema is not allowed")
    lowered = name.lower()
    if lowered in REFUSED_FUNCTIONS or lowered.startswith(("__internal", "pragma_", "duckdb_", "read_")):
        raise StatementRefused(f"{_short(name)}() is not allowed: it is not about the record")


def _expressions_named(part: Mapping[str, Tree]) -> frozenset[str]:
    """Names that a WITH gives; they hold for everything inside the node that carries it.

    Raises:
        StatementRefused: one reads like a file's, or like that of a view of the engine.
    """
    ctes = part.get("cte_map")
    entries = ctes.get("map") if isinstance(ctes, Mapping) else None
    if not isinstance(entries, Sequence):
        return frozenset()
    names = frozenset(_text(entry, "key").lower() for entry in entries if isinstance(entry, Mapping))
    for name in names:
        if not _CTE_NAME.fullmatch(name):
            raise StatementRefused(f"WITH {_short(name)}: name it with letters, digits and underscores")
        if name.startswith(ENGINE_VIEWS):
            raise StatementRefused(f"WITH {_short(name)}: views of the engine begin like this, take another name")
    return names


def _not_an_expression(kind: str) -> str:
    if kind == "PARAMETER":
        return "parameters (?, $1) are not allowed: write the value"
    return f"{kind.replace('_', ' ')} is not allowed in an expression"


def _unreadable(tree: Mapping[str, Tree], sql: str) -> str:
    if tree.get("error_type") == "not implemented":
        return "only SELECT is answered: it may begin with SELECT, WITH, FROM, VALUES, DESCRIBE or SUMMARIZE"
    message = " ".join(_text(tree, "error_message").split())[:500]
    if "max_expression_depth" in message:
        return "the statement is nested too deeply"
    position = _text(tree, "position")
    if not position.isdigit():
        return message
    before = sql.encode()[: int(position)].decode(errors="replace")
    return f"line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}: {message}"


def _text(part: Mapping[str, Tree], key: str) -> str:
    value = part.get(key)
    return value if isinstance(value, str) else ""


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[:_LONGEST]}..."
