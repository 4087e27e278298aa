"""`clopus changes`: what it asks for, and how it shows the answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from click.testing import CliRunner, Result

from responder import wire
from responder.cli.changes import changes
from responder.domain.refs import ObjectRef
from responder.domain.versions import HIDDEN, Difference, ObjectVersion, VersionEvent
from responder.domain.views import ChangePage

AT = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


def version(**fields: Any) -> ObjectVersion:
    base: dict[str, Any] = {
        "seq": 7,
        "ref": ObjectRef(kind="Deployment", namespace="shop", name="web"),
        "event": VersionEvent.CHANGED,
        "seen_at": AT,
        "changed_at": AT,
        "manager": "kubectl-edit",
        "differences": (
            Difference(path="spec.x", before='"1"', after='"2"'),
            Difference(path="data.PASSWORD", before=HIDDEN, after=HIDDEN),
        ),
        "more_differences": 3,
    }
    return ObjectVersion(**base | fields)


class Api:
    """Answers every GET with one page and remembers what was asked."""

    def __init__(self) -> None:
        self.page = ChangePage(changes=())
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

    def run(self, *arguments: str) -> Result:
        url = f"http://127.0.0.1:{self.server.server_port}"
        return CliRunner().invoke(changes, [*arguments, "--url", url], catch_exceptions=False)


@pytest.fixture
def api() -> Iterator[Api]:
    served = Api()
    thread = threading.Thread(target=served.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    served.server.shutdown()
    served.server.server_close()
    thread.join()


def test_the_options_become_the_query(api: Api) -> None:
    api.run("--object", "Node/n1", "--since", "2h", "-n", "shop", "--incident", "inc-1", "--limit", "5")
    assert api.asked == [
        "/api/v1/changes?object=Node%2Fn1&incident=inc-1&since=2h&namespace=shop&limit=5",
    ]


def test_changes_are_shown_with_time_author_and_fields(api: Api) -> None:
    api.page = ChangePage(changes=(version(), version(changed_at=None, manager="", while_away=True)), next_cursor="7")
    assert api.run().output.split("\n") == [
        "2026-11-23 03:00:00  Deployment/shop/web changed by kubectl-edit",
        '    spec.x: "1" -> "2"',
        "    data.PASSWORD (a redacted value)",
        "    and 3 more",
        "about 2026-11-23 03:00:00  Deployment/shop/web changed (while nobody watched)",
        '    spec.x: "1" -> "2"',
        "    data.PASSWORD (a redacted value)",
        "    and 3 more",
        "more: --cursor 7",
        "",
    ]


def test_no_changes_are_told_as_such(api: Api) -> None:
    assert api.run().output == "no changes\n"


def test_text_from_the_cluster_cannot_drive_the_terminal(api: Api) -> None:
    hostile = Difference(path="data.x", before="", after="\x1b[2J\u202e")
    api.page = ChangePage(changes=(version(manager="a\x1b[2J\nb", differences=(hostile,)),))
    output = api.run().output
    assert not {"\x1b", "\u202e"} & set(output)
    assert len(output.split("\n")) == 4


def test_json_is_the_page(api: Api) -> None:
    api.page = ChangePage(changes=(version(),))
    assert json.loads(api.run("--output", "json").output)["changes"][0]["ref"]["name"] == "web"
