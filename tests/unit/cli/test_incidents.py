"""`clopus incidents`: what it asks the API for, and how it says what is left."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner, Result

from responder import wire
from responder.cli.show import incidents
from responder.domain.incident import Incident
from responder.domain.views import IncidentPage

AT = datetime(2026, 3, 1, tzinfo=UTC)
ONE = Incident(id="inc-000000000001", key="alert/shop/A", root=None, opened_at=AT, updated_at=AT, summary="full")


class Api:
    """Answers every GET with one page."""

    def __init__(self) -> None:
        self.page = IncidentPage(incidents=(ONE,), total=1)
        self.asked: dict[str, list[str]] = {}
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                api.asked = parse_qs(urlsplit(self.path).query)
                body = wire.dumps(api.page)
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)

    def run(self, *options: str) -> Result:
        url = f"http://127.0.0.1:{self.server.server_port}"
        return CliRunner().invoke(incidents, [*options, "--url", url], catch_exceptions=False)


@pytest.fixture
def api() -> Iterator[Api]:
    served = Api()
    thread = threading.Thread(target=served.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    served.server.shutdown()
    served.server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ((), {}),
        (("--sort", "-severity"), {"sort": ["-severity"]}),
        (("--severity", "crit*", "--severity", "error"), {"severity": ["crit*,error"]}),
        (("-n", "shop-*", "--kind", "*Set"), {"namespace": ["shop-*"], "kind": ["*Set"]}),
        (("--mode", "dry-run", "--rule", "crash*"), {"mode": ["dry-run"], "rule": ["crash*"]}),
        (("--younger-than", "2h", "--older-than", "15m"), {"younger_than": ["2h"], "older_than": ["15m"]}),
        (("--state", "open", "--state", "escalated"), {"state": ["open,escalated"]}),
        (("-q", "a, b"), {"q": ["a, b"]}),
        (("--offset", "100", "--limit", "10"), {"offset": ["100"], "limit": ["10"]}),
    ],
)
def test_options_become_parameters(api: Api, options: tuple[str, ...], asked: dict[str, list[str]]) -> None:
    assert api.run(*options).exit_code == 0
    assert api.asked == {"limit": ["50"]} | asked


@pytest.mark.parametrize(
    ("page", "last_line"),
    [
        ({"total": 1}, "1 of 1"),
        ({"total": 7, "next_cursor": ONE.id}, f"1 of 7; more: --cursor {ONE.id}"),
        ({"total": 7, "offset": 3}, "1 of 7; more: --offset 4"),
        ({"total": 7, "offset": 6}, "1 of 7"),
    ],
)
def test_the_last_line_says_how_many_of_how_many(api: Api, page: dict[str, Any], last_line: str) -> None:
    api.page = IncidentPage(incidents=(ONE,), **page)
    assert api.run().output.splitlines()[-1] == last_line


def test_nothing_found_is_said(api: Api) -> None:
    api.page = IncidentPage(incidents=())
    assert api.run().output == "no incidents\n"


def test_a_column_that_does_not_exist_is_a_usage_error(api: Api) -> None:
    assert api.run("--sort", "colour").exit_code == 2
