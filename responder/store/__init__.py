"""The record of everything, in one DuckDB file. The only package that imports `duckdb`.

`store.Store` commits and reads; `database` keeps the file open and comes back after failures; `opening`, `migrate` and
`chainhead` decide what a file that is found may be used for. One module per noun holds the plain functions that are
given to `Store.write` and `Store.read`; `rows` says how a record stands in a row, `sql/` what the tables and views are.
"""
