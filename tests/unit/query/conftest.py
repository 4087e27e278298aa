"""A statement's way through the parser and the allow-list, in this process and without a record."""

from __future__ import annotations

import json
from collections.abc import Callable

import duckdb
import pytest

from responder.query.statement import check

TABLES = frozenset({"incidents", "alerts", "v_incidents", "v_mttr", "v_cost"})


@pytest.fixture
def admit() -> Callable[[str], None]:
    """Raises StatementRefused as `check` does. Nothing is run."""

    def admitted(sql: str) -> None:
        with duckdb.connect(":memory:") as connection:
            found = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
        assert found is not None
        check(json.loads(found[0]), sql, TABLES)

    return admitted
