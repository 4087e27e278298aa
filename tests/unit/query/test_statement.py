"""What may be asked, and what is refused by which sentence. Only the parser runs here."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import pytest

from responder.query.statement import ENGINE_VIEWS, REFUSED_FUNCTIONS, StatementRefused, check

ALLOWED = [
    "SELECT * FROM v_incidents",
    "select id, count(*) from main.incidents group by all having count(*) > 1 order by 2 desc limit 5 offset 1",
    "FROM v_mttr",
    "TABLE incidents",
    "VALUES (1, 'a'), (2, 'b')",
    "WITH recent AS (SELECT * FROM incidents) SELECT * FROM recent r JOIN v_mttr m USING (namespace)",
    "WITH RECURSIVE n AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM n WHERE x < 9) SELECT * FROM n",
    "WITH a AS MATERIALIZED (SELECT 1), b AS (FROM a) FROM b",
    "SELECT 1 UNION ALL BY NAME SELECT 2 EXCEPT SELECT 3",
    "SELECT * FROM incidents WHERE opened_at > now() - INTERVAL 7 DAY",
    "SELECT * FROM incidents i, LATERAL (SELECT i.id) x",
    "SELECT x FROM unnest([1, 2]) t(x), range(3), generate_series(1, 2) g(y)",
    "SELECT list_transform([1], lambda x: x + 1), [x FOR x IN [1]], {'a': 1}, MAP {1: 2}",
    "SELECT CASE WHEN id IN (SELECT id FROM alerts) THEN 1 ELSE 2 END, id::VARCHAR, TRY_CAST(id AS INT) FROM incidents",
    "SELECT row_number() OVER (PARTITION BY rule ORDER BY id), lag(id) OVER w FROM incidents WINDOW w AS (ORDER BY id)",
    "SELECT json_extract_string(labels, '$.team'), labels->>'team' FROM incidents",
    "SELECT * FROM json_each('{\"a\": 1}')",
    "SELECT * EXCLUDE (id) REPLACE (upper(rule) AS rule), COLUMNS('op.*') FROM incidents",
    "SELECT sum(1) FILTER (id <> '') FROM incidents TABLESAMPLE 10 PERCENT (bernoulli)",
    "SELECT * FROM incidents PIVOT (count(*) FOR state IN ('open', 'closed'))",
    "UNPIVOT incidents ON id, key INTO NAME n VALUE v",
    "SELECT DISTINCT ON (rule) rule FROM incidents QUALIFY row_number() OVER () < 3",
    "SELECT rule, count(*) FROM incidents GROUP BY GROUPING SETS ((rule), ())",
    "SELECT 'x' COLLATE NOCASE, EXISTS (FROM alerts), 1 = ANY (SELECT 2), x'00', NOT true, -1, #1 FROM incidents",
    "DESCRIBE v_cost",
    "SUMMARIZE SELECT * FROM incidents",
    "SELECT 1; -- and a comment",
    "/* a comment */ SELECT 'DELETE FROM incidents; COPY x TO y'",
    'SELECT id AS "😀 -- no comment" FROM "incidents" AS "päron"',
    "SELECT 'ignore; DROP TABLE incidents' WHERE 'a;b' LIKE '%;%'",
]


@pytest.mark.parametrize("sql", ALLOWED)
def test_a_select_over_the_record_is_allowed(admit: Callable[[str], None], sql: str) -> None:
    admit(sql)


REFUSED = [
    # changes, and whatever else begins a statement
    ("DELETE FROM incidents", "only SELECT"),
    ("INSERT INTO incidents SELECT * FROM incidents", "only SELECT"),
    ("UPDATE incidents SET id = ''", "only SELECT"),
    ("MERGE INTO incidents USING alerts ON (true) WHEN MATCHED THEN DELETE", "only SELECT"),
    ("TRUNCATE incidents", "only SELECT"),
    ("DROP TABLE incidents", "only SELECT"),
    ("ALTER TABLE incidents ADD COLUMN x INT", "only SELECT"),
    ("CREATE TABLE x AS SELECT 1", "only SELECT"),
    ("CREATE TEMP TABLE x (a INT)", "only SELECT"),
    ("CREATE MACRO f(a) AS a", "only SELECT"),
    ("CREATE SECRET s (TYPE s3)", "only SELECT"),
    ("COPY incidents TO '/tmp/x.csv'", "only SELECT"),
    ("COPY FROM DATABASE a TO b", "only SELECT"),
    ("ATTACH '/tmp/x.db'", "only SELECT"),
    ("ATTACH ':memory:' AS m", "only SELECT"),
    ("DETACH x", "only SELECT"),
    ("USE x", "only SELECT"),
    ("INSTALL httpfs", "only SELECT"),
    ("LOAD httpfs", "only SELECT"),
    ("SET memory_limit = '1TB'", "only SELECT"),
    ("RESET memory_limit", "only SELECT"),
    ("SET VARIABLE x = 1", "only SELECT"),
    ("PRAGMA database_list", ""),
    ("PRAGMA memory_limit = '1TB'", ""),
    ("CALL pragma_version()", "only SELECT"),
    ("CHECKPOINT", "only SELECT"),
    ("FORCE CHECKPOINT", "only SELECT"),
    ("EXPORT DATABASE '/tmp/x'", "only SELECT"),
    ("IMPORT DATABASE '/tmp/x'", "only SELECT"),
    ("VACUUM", "only SELECT"),
    ("BEGIN", "only SELECT"),
    ("COMMIT", "only SELECT"),
    ("PREPARE p AS SELECT 1", "only SELECT"),
    ("EXECUTE p", "only SELECT"),
    ("EXPLAIN SELECT 1", "only SELECT"),
    ("EXPLAIN ANALYZE DELETE FROM incidents", "only SELECT"),
    ("SHOW TABLES", "catalogue"),
    ("SHOW ALL TABLES", ""),
    ("SHOW DATABASES", "catalogue"),
    # changes and files behind the word SELECT
    ("WITH c AS (COPY (SELECT 1) TO '/tmp/x' (FORMAT csv)) SELECT 1", "COPY is not allowed"),
    ("WITH d AS (DELETE FROM incidents RETURNING *) SELECT * FROM d", "DELETE is not allowed"),
    ("WITH u AS (UPDATE incidents SET id = '' RETURNING *) SELECT * FROM u", "UPDATE is not allowed"),
    ("WITH i AS (INSERT INTO incidents SELECT * FROM incidents RETURNING *) FROM i", "INSERT is not allowed"),
    ("SELECT * FROM (WITH d AS (DELETE FROM incidents RETURNING *) SELECT * FROM d)", "DELETE is not allowed"),
    ("SELECT (WITH d AS (DELETE FROM incidents RETURNING *) SELECT count(*) FROM d)", "DELETE is not allowed"),
    ("WITH a AS (WITH c AS (COPY incidents TO '/tmp/x') SELECT 1) SELECT 1", "COPY is not allowed"),
    # names of a WITH that lead to what the engine itself has
    ("WITH pg_settings AS (SELECT * FROM pg_settings) SELECT * FROM pg_settings", "WITH pg_settings"),
    ("WITH pragma_database_list AS (SELECT 1) FROM main.pragma_database_list", "WITH pragma_database_list"),
    ("WITH a AS (FROM duckdb_logs), DuckDB_Logs AS (SELECT 1) FROM a", "WITH duckdb_logs"),
    ("WITH RECURSIVE sqlite_master AS (FROM sqlite_master) FROM sqlite_master", "WITH sqlite_master"),
    # more than one statement
    ("SELECT 1; SELECT 2", "one statement"),
    ("SELECT 1; DELETE FROM incidents", "only SELECT"),
    ("SELECT 1 /* ; */; /* hidden */ DROP TABLE incidents", "only SELECT"),
    ("commit; SELECT 1", "only SELECT"),
    # files
    ("SELECT * FROM 'file.csv'", "neither a view nor a table"),
    ("SELECT * FROM '/etc/passwd'", "neither a view nor a table"),
    ('SELECT * FROM "/tmp/x.parquet"', "neither a view nor a table"),
    ("SELECT * FROM 's3://bucket/x.parquet'", "neither a view nor a table"),
    ("SELECT * FROM ['a.csv', 'b.csv']", ""),
    ("SELECT * FROM read_csv('/etc/passwd')", "read_csv() is not allowed"),
    ("SELECT * FROM READ_Text('/etc/hostname')", "read_text() is not allowed"),
    ("SELECT * FROM read_blob('clopus.duckdb')", "read_blob() is not allowed"),
    ("SELECT * FROM read_json_auto('x')", "is not allowed"),
    ("SELECT * FROM parquet_scan('x')", "is not allowed"),
    ("SELECT * FROM glob('/*')", "glob() is not allowed"),
    ("SELECT * FROM sniff_csv('x')", "is not allowed"),
    ("SELECT * FROM read_duckdb('x.db')", "is not allowed"),
    ('WITH "x.csv" AS (SELECT 1) SELECT * FROM "x.csv"', "letters, digits"),
    ("SELECT (SELECT 1 FROM named), 2 FROM (WITH named AS (SELECT 1) FROM named)", "neither a view nor a table"),
    # the engine
    ("SELECT * FROM duckdb_settings()", "duckdb_settings() is not allowed"),
    ("SELECT * FROM duckdb_settings", "neither a view nor a table"),
    ("SELECT * FROM duckdb_secrets()", "duckdb_secrets() is not allowed"),
    ("SELECT * FROM which_secret('x', 's3')", "is not allowed"),
    ("SELECT * FROM pragma_database_size()", "is not allowed"),
    ("SELECT * FROM pragma_storage_info('incidents')", "is not allowed"),
    ("SELECT * FROM sqlite_master", "neither a view nor a table"),
    ("SELECT * FROM information_schema.tables", "not of the record"),
    ("SELECT * FROM pg_catalog.pg_class", "not of the record"),
    ("SELECT * FROM system.main.duckdb_tables", "not of the record"),
    ("SELECT * FROM temp.main.x", "not of the record"),
    ("SELECT * FROM query('DELETE FROM incidents')", "query() is not allowed"),
    ("SELECT * FROM query_table(['incidents'])", "query_table() is not allowed"),
    ("SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))", "is not allowed"),
    ("SELECT * FROM seq_scan('incidents')", "is not allowed"),
    ("SELECT * FROM pandas_scan(1)", "is not allowed"),
    ("SELECT * FROM python_map_function(1)", "is not allowed"),
    ("SELECT * FROM checkpoint()", "is not allowed"),
    ("SELECT * FROM force_checkpoint()", "is not allowed"),
    ("SELECT * FROM enable_logging()", "is not allowed"),
    ("SELECT current_setting('memory_limit')", "current_setting() is not allowed"),
    ("SELECT system.main.current_setting('memory_limit')", "is not allowed"),
    ("SELECT 'memory_limit'.current_setting()", "current_setting() is not allowed"),
    ("SELECT getenv('HOME')", "getenv() is not allowed"),
    ("SELECT getvariable('x')", "getvariable() is not allowed"),
    ("SELECT pg_sleep(60)", "pg_sleep() is not allowed"),
    ('SELECT "PG_Sleep"(60)', "is not allowed"),
    ("SELECT sleep_ms(60000)", "sleep_ms() is not allowed"),
    ("SELECT nextval('s')", "nextval() is not allowed"),
    ("SELECT write_log('x')", "write_log() is not allowed"),
    ("SELECT json_serialize_plan('SELECT 1')", "is not allowed"),
    ("SELECT * FROM incidents AT (VERSION => 1)", "AT is not allowed"),
    ("SELECT ?", "parameters"),
    ("SELECT $1::INT + $2", "parameters"),
    # texts that are no statement
    ("", "write a SELECT"),
    ("  -- nothing", "write a SELECT"),
    ("SELEC 1", "line 1, column 1"),
    ("SELECT 1 +\n  FROM FROM", "line 2, column 3"),
    ("SELECT ((1)", "line 1"),
    ("SELECT 1 \x00 DELETE FROM incidents", "line 1"),
    ("SELECT '", "line 1"),
    ("SELECT " + "(" * 10_000 + "1" + ")" * 10_000, "nested too deeply"),
    ("SELECT 1" + " + 1" * 10_000, "nested too deeply"),
]


@pytest.mark.parametrize(("sql", "sentence"), REFUSED, ids=[sql[:50] for sql, _ in REFUSED])
def test_everything_else_is_refused_by_name(admit: Callable[[str], None], sql: str, sentence: str) -> None:
    with pytest.raises(StatementRefused, match=r"\w") as refused:
        admit(sql)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "FUTURE_QUERY_NODE"},
        {"class": "FUTURE", "type": "FUTURE"},
        {"type": "BASE_TABLE", "table_name": "incidents", "catalog_name": "other"},
        {"type": "SHOW_REF", "show_type": "FUTURE", "query": {"type": "SELECT_NODE"}},
        {"type": "TABLE_FUNCTION", "function": None},
    ],
)
def test_what_a_newer_parser_brings_is_refused(part: dict[str, object]) -> None:
    tree = {"error": False, "statements": [{"node": {"type": "SELECT_NODE", "from_table": part}}]}
    with pytest.raises(StatementRefused, match="not"):
        check(tree, "", frozenset({"incidents"}))


def test_a_long_name_is_not_repeated_whole(admit: Callable[[str], None]) -> None:
    with pytest.raises(StatementRefused) as refused:
        admit(f'SELECT * FROM "{"x" * 5000}"')
    assert len(str(refused.value)) < 200


def test_every_function_of_the_engine_that_is_more_than_its_arguments_was_looked_at() -> None:
    """A new one that waits, writes or tells settings shall be seen when the engine is brought up to date."""
    harmless = {
        *("now", "today", "current_date", "get_current_time", "get_current_timestamp", "transaction_timestamp"),
        *("uuid", "uuidv4", "uuidv7", "gen_random_uuid", "random", "setseed", "error", "vector_type"),
        *("current_database", "current_schema", "current_schemas", "txid_current"),
        *("current_connection_id", "current_transaction_id"),
    }
    with duckdb.connect(":memory:") as connection:
        found = connection.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions() "
            "WHERE function_type = 'scalar' AND stability <> 'CONSISTENT'"
        ).fetchall()
    assert {name for (name,) in found} - harmless <= REFUSED_FUNCTIONS


def test_every_view_that_the_engine_finds_without_a_schema_begins_as_no_with_may() -> None:
    with duckdb.connect(":memory:") as connection:
        found = connection.execute(
            "SELECT view_name FROM duckdb_views() WHERE internal AND schema_name IN ('main', 'pg_catalog')"
        ).fetchall()
    assert [name for (name,) in found if not name.startswith(ENGINE_VIEWS)] == []
