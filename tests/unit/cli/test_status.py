"""`clopus status`: what it says first, what it does not know, and what the exit status says."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from click.testing import CliRunner, Result

from responder import wire
from responder.cli.status import status
from responder.domain.mode import ModeSettings
from responder.domain.rule import Mode
from responder.domain.views import BackendStatus, BudgetStatus, Status, StoreStatus, WatchPage, WatchView

WELL = Status(
    version="1.2",
    started_at=datetime(2026, 11, 23, 9, 0, tzinfo=UTC),
    leader="this process (no election)",
    not_ready=(),
    states={"open": 2, "escalated": 1, "resolved": 0},
    pending_alerts=3,
    quarantined_alerts=0,
    queued=4,
    working=1,
    workers=8,
    timed=5,
    streams=2,
    store=StoreStatus(path="/data/clopus.duckdb", bytes=3 * 2**20, commits=77, waiting=0),
    mode=ModeSettings(),
    budgets=(BudgetStatus(name="writes_cluster_hour", used=1, limit=10, unit="writes"),),
    watches=WatchPage(enabled=True, watches=(WatchView(kind="Pod", namespace="", state="live"),)),
)
FORBIDDEN = WatchPage(enabled=True, watches=(WatchView(kind="Node", namespace="", state="forbidden"),))
OPTIONAL = WatchPage(enabled=True, watches=(WatchView(kind="Rollout", namespace="", state="retrying", optional=True),))


class Api:
    """Answers every GET with one status."""

    def __init__(self) -> None:
        self.status = WELL
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = wire.dumps(api.status)
                self.send_response(200 if self.path == "/api/v1/status" else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)

    def run(self, *options: str, **changes: Any) -> Result:
        self.status = replace(WELL, **changes)
        url = f"http://127.0.0.1:{self.server.server_port}"
        return CliRunner().invoke(status, [*options, "--url", url], catch_exceptions=False)


@pytest.fixture
def api() -> Iterator[Api]:
    served = Api()
    thread = threading.Thread(target=served.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    served.server.shutdown()
    served.server.server_close()
    thread.join()


def test_all_is_well_and_says_so_with_every_number(api: Api) -> None:
    done = api.run()
    assert done.exit_code == 0
    assert done.output.splitlines() == [
        "wrong        nothing known",
        "version      1.2, since 2026-11-23 09:00:00Z",
        "leader       this process (no election)",
        "incidents    2 open, 1 escalated",
        "queue        4 waiting, 1 of 8 workers busy, 5 timed",
        "alerts       3 pending, 0 quarantined",
        "store        /data/clopus.duckdb, 3.0 MiB, 77 commits, 0 waiting",
        "brakes       none: rules act as they say",
        "budget       writes_cluster_hour: 1 of 10 writes",
        "watches      1, 0 not live",
        "streams      2 open",
    ]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"not_ready": ("stopping",)}, "not ready: stopping"),
        ({"store": replace(WELL.store, problem="the disk is full")}, "store: the disk is full"),
        ({"store": replace(WELL.store, quarantined="/data/old")}, "put aside at the start, see /data/old"),
        ({"mode": ModeSettings(breakers={"*": "2 failed"})}, "breaker open for every namespace: 2 failed"),
        ({"mode": ModeSettings(breakers={"shop": "many"})}, "breaker open for shop: many"),
        (
            {"backends": (BackendStatus(name="claude", model="m", breaker="open", problem="overloaded"),)},
            "claude is left alone (open): overloaded",
        ),
        (
            {"budgets": (BudgetStatus(name="money_day", used=100.0, limit=100.0, unit="USD"),)},
            "budget money_day is used up: 100 of 100 USD",
        ),
        ({"watches": FORBIDDEN}, "1 of 1 watches are not live: trouble there goes unseen"),
        ({"unknown": {"states": "disk", "budgets": "disk"}}, "not known: states, budgets: disk"),
    ],
)
def test_what_is_wrong_stands_first_and_makes_the_exit_status_1(api: Api, changes: dict[str, Any], told: str) -> None:
    done = api.run(**changes)
    assert done.exit_code == 1
    assert done.output.splitlines()[0].startswith("wrong  ")
    assert told in done.output.splitlines()[0]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"mode": ModeSettings(kill_switch=True)}, "brakes       KILL SWITCH ON"),
        ({"mode": ModeSettings(ceiling=Mode.REPORT)}, "brakes       ceiling report"),
        ({"mode_limit": Mode.DRY_RUN}, "brakes       ceiling dry-run"),
        ({"mode": ModeSettings(namespaces={"shop": Mode.REPORT})}, "brakes       1 namespace lowered"),
        ({"watches": OPTIONAL}, "watches      1, 0 not live"),
    ],
)
def test_what_people_have_set_and_what_may_be_absent_is_told_and_is_nothing_wrong(
    api: Api, changes: dict[str, Any], told: str
) -> None:
    done = api.run(**changes)
    assert done.exit_code == 0
    assert told in done.output.splitlines()


def test_what_is_not_known_is_never_a_number(api: Api) -> None:
    unknown = {"states": "disk", "pending_alerts": "disk", "quarantined_alerts": "disk"}
    done = api.run(states={}, pending_alerts=None, quarantined_alerts=None, unknown=unknown)
    assert "incidents    not known" in done.output
    assert "alerts       an unknown number pending, an unknown number quarantined" in done.output


def test_json_is_the_status_as_the_api_gives_it(api: Api) -> None:
    done = api.run("--output", "json", not_ready=("stopping",))
    assert done.exit_code == 1
    assert json.loads(done.output)["not_ready"] == ["stopping"]


def test_text_from_the_cluster_cannot_drive_the_terminal(api: Api) -> None:
    done = api.run(mode=ModeSettings(breakers={"shop": "\x1b[2Jgone"}))
    assert "\x1b" not in done.output
