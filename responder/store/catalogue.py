"""What people who write SQL can select from: the shipped views and the tables, with their columns."""

from __future__ import annotations

from responder.domain.views import WITHHELD_COLUMNS, CatalogueTable, Column, QueryCatalogue
from responder.store.connection import Connection


def read(con: Connection) -> QueryCatalogue:
    columns: dict[str, list[Column]] = {}
    for table, name, kind in con.execute(
        "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal AND schema_name = 'main' "
        "ORDER BY table_name, column_index"
    ).fetchall():
        if name not in WITHHELD_COLUMNS.get(table, ()):
            columns.setdefault(table, []).append(Column(name=name, type=kind))
    found = con.execute(
        "SELECT view_name, 'view', comment FROM duckdb_views() WHERE NOT internal AND schema_name = 'main' "
        "UNION ALL "
        "SELECT table_name, 'table', comment FROM duckdb_tables() WHERE NOT internal AND schema_name = 'main' "
        "ORDER BY 2 DESC, 1"
    ).fetchall()
    return QueryCatalogue(
        tables=tuple(
            CatalogueTable(name=name, kind=kind, about=comment or "", columns=tuple(columns.get(name, ())))
            for name, kind, comment in found
        )
    )
