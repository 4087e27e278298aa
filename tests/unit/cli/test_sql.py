"""`clopus sql`: what is sent, and the forms of the answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from click.testing import CliRunner, Result

from responder import wire
from responder.cli.sql import sql
from responder.domain.views import Column, QueryAnswer

ANSWER = QueryAnswer(
    columns=(Column(name="rule", type="VARCHAR"), Column(name="n", type="BIGINT")),
    rows=(("image", 3), ("=evil", 1)),
    truncated="cut off at 2 rows (query.rows): narrow it with WHERE, or group",
    seconds=0.01,
    as_of=datetime(2026, 11, 23, 12, 0, tzinfo=UTC),
)


class Api:
    """Answers every POST with ANSWER."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, object]] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                api.asked.append((self.path, json.loads(body)))
                told = wire.dumps(ANSWER)
                self.send_response(200)
                self.send_header("Content-Length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def run(self, *arguments: str, stdin: str = "") -> Result:
        return CliRunner().invoke(
            sql, [*arguments, "--url", f"http://127.0.0.1:{self.server.server_address[1]}"], input=stdin
        )


@pytest.fixture
def api() -> Iterator[Api]:
    started = Api()
    yield started
    started.server.shutdown()
    started.server.server_close()


def test_the_statement_is_sent_as_it_is(api: Api) -> None:
    api.run("SELECT 1 AS x")
    assert api.asked == [("/api/v1/query", {"sql": "SELECT 1 AS x"})]


def test_a_dash_reads_the_statement_from_standard_input(api: Api) -> None:
    api.run("-", stdin="FROM v_cost\n")
    assert api.asked == [("/api/v1/query", {"sql": "FROM v_cost\n"})]


def test_text_shows_a_table_and_says_beside_it_how_old_and_how_whole_it_is(api: Api) -> None:
    result = api.run("FROM v_cost")
    assert result.stdout.splitlines() == ["rule   n", "-----  -", "image  3", "=evil  1"]
    assert "2 rows, as of 2026-11-23 12:00:00 UTC" in result.stderr
    assert "cut off at 2 rows" in result.stderr
    assert result.exit_code == 0


def test_json_is_the_answer_as_it_came(api: Api) -> None:
    assert json.loads(api.run("FROM v_cost", "--output", "json").stdout)["rows"] == [["image", 3], ["=evil", 1]]


def test_csv_has_no_formulas(api: Api) -> None:
    assert api.run("FROM v_cost", "--output", "csv").stdout_bytes == b"rule,n\r\nimage,3\r\n'=evil,1\r\n"
