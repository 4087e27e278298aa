"""`clopus watches`: what stands first, and what the exit status says."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from click.testing import CliRunner, Result

from responder import wire
from responder.cli.watches import watches
from responder.domain.views import WatchPage, WatchView


def view(kind: str, namespace: str = "", state: str = "live", **fields: Any) -> WatchView:
    return WatchView(kind=kind, namespace=namespace, state=state, **fields)


class Api:
    """Answers every GET with one page."""

    def __init__(self) -> None:
        self.page = WatchPage(enabled=True)
        self.asked: list[str] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                api.asked.append(self.path)
                body = wire.dumps(api.page)
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)

    def run(self, *found: WatchView, options: tuple[str, ...] = ()) -> Result:
        if found:
            self.page = WatchPage(enabled=True, watches=found)
        url = f"http://127.0.0.1:{self.server.server_port}"
        return CliRunner().invoke(watches, [*options, "--url", url], catch_exceptions=False)


@pytest.fixture
def api() -> Iterator[Api]:
    served = Api()
    thread = threading.Thread(target=served.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    served.server.shutdown()
    served.server.server_close()
    thread.join()


def test_what_is_in_trouble_stands_first_then_by_kind_and_namespace(api: Api) -> None:
    result = api.run(
        view("Pod", "shop", objects=12, last_event_seconds=3.6),
        view("Event", "shop"),
        view("Pod", "crm"),
        view("Service", "shop", "forbidden", problem="services is forbidden"),
        view("Node", "", "retrying", problem="timeout"),
    )
    assert api.asked == ["/api/v1/watches"]
    assert result.output.split("\n") == [
        "KIND     NAMESPACE  STATE      OBJECTS  LAST EVENT  PROBLEM",
        "Node     (all)      retrying   0        -           timeout",
        "Service  shop       forbidden  0        -           services is forbidden",
        "Event    shop       live       0        -",
        "Pod      crm        live       0        -",
        "Pod      shop       live       12       4s",
        "",
    ]


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (("live", "live"), 0),
        (("live", "forbidden"), 1),
        (("retrying",), 1),
        (("starting",), 1),
    ],
)
@pytest.mark.parametrize("options", [(), ("--output", "json")])
def test_the_exit_status_says_whether_anything_goes_unseen(
    api: Api, states: tuple[str, ...], expected: int, options: tuple[str, ...]
) -> None:
    assert (
        api.run(*(view("Pod", f"n{n}", state) for n, state in enumerate(states)), options=options).exit_code == expected
    )


def test_watching_nothing_on_purpose_is_no_failure(api: Api) -> None:
    api.page = WatchPage(enabled=False)
    result = api.run()
    assert (result.output, result.exit_code) == ("nothing is watched: watch.enabled is false\n", 0)


def test_json_is_the_page_as_the_api_gives_it(api: Api) -> None:
    result = api.run(view("Pod", "shop", "forbidden", problem="no"), options=("--output", "json"))
    assert wire.loads(WatchPage, result.output) == api.page


def test_a_problem_cannot_move_the_cursor(api: Api) -> None:
    assert "\x1b" not in api.run(view("Pod", "shop", "retrying", problem="\x1b[2Jgone")).output


def test_a_kind_that_the_cluster_need_not_know_is_no_gap(api: Api) -> None:
    assert api.run(view("Pod"), view("Certificate", state="retrying", optional=True)).exit_code == 0
