"""What the main screens look like, cell by cell, compared with pictures under tests/fixtures/console.

A small HTTP server tells what the API would tell, with fixed ids and times, so that a picture changes only where the
console draws otherwise. To take new pictures for right, run these tests with CLOPUS_ACCEPT_SNAPSHOTS=1 and look at what
the version control shows. Fonts are left out: a picture holds which text stands in which cell, and its colours.
"""

from __future__ import annotations

import difflib
import html
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from textual.pilot import Pilot

from console.app import ConsoleApp
from console.remote.client import Client
from responder import wire
from responder.domain.action import SetImage
from responder.domain.alert import Alert, AlertStatus
from responder.domain.audit import AuditRecord
from responder.domain.incident import Incident, Outcome, State
from responder.domain.investigation import (
    Conclusion,
    Evidence,
    EvidenceKind,
    Finding,
    Investigation,
    RuledOut,
    Unchecked,
)
from responder.domain.mode import ModeSettings
from responder.domain.plan import Change, Check, PatchOp, Plan
from responder.domain.refs import ObjectRef
from responder.domain.rule import Mode, Risk
from responder.domain.views import (
    AlertView,
    AuditPage,
    BackendStatus,
    BudgetStatus,
    DecisionView,
    IncidentDetail,
    IncidentPage,
    InvestigationSummary,
    PlanView,
    Presence,
    Reasoning,
    RulePage,
    RuleView,
    Status,
    StoreStatus,
    Viewer,
    WatchPage,
    WatchView,
)

FIXTURES = Path(__file__).parents[1] / "fixtures" / "console"
ACCEPT = "CLOPUS_ACCEPT_SNAPSHOTS"
DEADLINE = 20.0
CELL_WIDTH = 12.2
"""Of a picture, in its own units."""
NOW = datetime(2026, 3, 9, 3, 12, 40, tzinfo=UTC)
OPENED = NOW - timedelta(minutes=4)

SHOP = ObjectRef(kind="Deployment", namespace="shop", name="storefront", uid="u-1")
SLIP = "image nignx:1.27 cannot be pulled: the repository does not exist; nginx:1.27 was likely meant"
DIFF = """\
--- Deployment/shop/storefront (now)
+++ Deployment/shop/storefront (planned)
@@ -18,7 +18,7 @@
     spec:
       containers:
-      - image: nignx:1.27
+      - image: nginx:1.27
         imagePullPolicy: IfNotPresent
         name: web"""
PLAN = Plan(
    id="pln-00000000plan",
    incident_id="inc-000000000001",
    investigation_id="inv-000000000001",
    finding="image.not_found",
    action=SetImage(target=SHOP, container="web", image="nginx:1.27"),
    reason="the written name is a slip away from it, and a ready pod runs exactly this image",
    changes=(
        Change(
            target=SHOP,
            resource_version="41",
            base_hash="b",
            patch=(PatchOp(op="replace", path="/spec/template/spec/containers/0/image", value="nginx:1.27"),),
            inverse=(PatchOp(op="replace", path="/spec/template/spec/containers/0/image", value="nignx:1.27"),),
            replicas_at_risk=2,
        ),
    ),
    diff=DIFF,
    risk=Risk.MEDIUM,
    reversible=True,
    restores_not=("what the other image wrote to volumes or services while it ran",),
    checks=(
        Check(name="mode_autonomous", passed=False, detail="the effective mode is dry-run"),
        Check(name="kill_switch_off", passed=True, detail="the kill switch is off"),
        Check(name="risk_ceiling", passed=True, detail="risk medium, ceiling medium"),
    ),
    digest="5ac1" * 16,
    created_at=OPENED + timedelta(seconds=2),
    expires_at=OPENED + timedelta(minutes=15),
    approvers_needed=2,
)
BEN = Viewer(name="ben", session="5e55", since=NOW - timedelta(seconds=20))


def incident(number: int, target: ObjectRef | str, state: State, summary: str, **more: Any) -> Incident:
    root = target if isinstance(target, ObjectRef) else None
    opened_at = OPENED - timedelta(minutes=13 * (number - 1))
    base = {"severity": "warning", "namespace": "shop", "rule": "images", "mode": "dry-run"}
    return Incident(
        id=f"inc-{number:012}",
        key=root.key if root else str(target),
        root=root,
        state=state,
        summary=summary,
        opened_at=opened_at,
        updated_at=opened_at,
        **{**base, **more},
    )


def deployment(name: str) -> ObjectRef:
    return ObjectRef(kind="Deployment", namespace="shop", name=name)


INCIDENTS = (
    incident(1, SHOP, State.AWAITING_APPROVAL, f"container web: {SLIP}", severity="critical"),
    incident(2, deployment("cart"), State.VERIFYING, "set_image was written", mode="autonomous"),
    incident(3, deployment("session-store-of-the-checkout"), State.INVESTIGATING, "", severity="critical"),
    incident(4, "alert/shop/TargetDown", State.ESCALATED, "the alert names no object to look at",
             outcome=Outcome.REPORTED, rule="", mode="report", severity=""),
    incident(5, deployment("検索"), State.ESCALATED, "\x1b[2Jset_image was taken back: \u202e2 of 3 pods fail",
             outcome=Outcome.ROLLED_BACK, cause="image/web:9", members=7),
    incident(90, deployment("assets"), State.RESOLVED, "container nginx: mended by set_image",
             outcome=Outcome.FIXED, mode="autonomous"),
)  # fmt: skip

RUN = Investigation(
    id="inv-000000000001",
    incident_id=PLAN.incident_id,
    number=1,
    analyzer="heuristic",
    started_at=OPENED,
    ended_at=OPENED + timedelta(seconds=1),
    conclusion=Conclusion.FAULT_FOUND,
    summary=f"container web: {SLIP}",
    evidence=(
        Evidence(id="e5", kind=EvidenceKind.STATUS, source="Pod/shop/storefront-7d9-x2 container web",
                 observed_at=OPENED, text="image nignx:1.27, waiting ImagePullBackOff"),
        Evidence(id="e7", kind=EvidenceKind.EVENT, source="event about Pod/shop/storefront-7d9-x2",
                 observed_at=OPENED, text="Warning Failed x8: pull access denied"),
    ),
    findings=(Finding(signature="image.not_found", subject=SHOP, container="web", cause=SLIP, confidence=0.93,
                      evidence=("e5", "e7")),),
    ruled_out=(RuledOut(hypothesis="out of memory", because="no container ended as OOMKilled"),),
    unchecked=(Unchecked(what="metrics and traces", why="the heuristics read none"),),
)  # fmt: skip
ALERT = Alert(
    fingerprint="f1",
    status=AlertStatus.FIRING,
    labels={"alertname": "KubeContainerWaiting", "namespace": "shop", "severity": "critical"},
    starts_at=OPENED - timedelta(minutes=5),
)


def record(seq: int, event: str, detail: Mapping[str, str], actor: str = "clopus") -> AuditRecord:
    at = OPENED + timedelta(seconds=seq)
    return AuditRecord(
        seq=seq, at=at, actor=actor, event=event, incident_id=PLAN.incident_id, detail=dict(detail),
        previous="0" * 64, digest=f"{seq:064}",
    )  # fmt: skip


DETAIL = IncidentDetail(
    incident=INCIDENTS[0],
    alerts=(AlertView(alert=ALERT, received_at=OPENED),),
    timeline=(
        record(1, "incident_opened", {"alertname": "KubeContainerWaiting"}),
        record(2, "investigated", {"analyzer": "heuristic", "conclusion": "fault_found"}),
        record(3, "plan_proposed", {"plan": PLAN.id, "action": "set_image"}),
    ),
    decisions=(
        DecisionView(at=OPENED, rule="images", rule_mode="dry-run", mode="dry-run", rule_set="58cc3be3c6da",
                     why=("alert in KubeContainerWaiting",)),
    ),
    investigations=(InvestigationSummary.of(RUN, evidence_count=2, step_count=13),),
    plans=(PlanView(plan=PLAN),),
)  # fmt: skip
STATUS = Status(
    version="1.2",
    started_at=NOW - timedelta(days=3),
    leader="clopus-0",
    not_ready=(),
    states={"awaiting_approval": 1, "investigating": 1, "verifying": 1, "escalated": 2, "resolved": 1},
    pending_alerts=0,
    quarantined_alerts=1,
    queued=2,
    working=1,
    workers=8,
    timed=3,
    streams=2,
    store=StoreStatus(path="/data/clopus.duckdb", bytes=48 * 2**20, commits=7_719, waiting=1),
    mode=ModeSettings(ceiling=Mode.DRY_RUN, reason="release freeze", set_by="ann"),
    backends=(BackendStatus(name="claude", model="a-model", breaker="open", problem="overloaded"),),
    budgets=(
        BudgetStatus(name="writes_cluster_hour", used=8, limit=10, unit="writes"),
        BudgetStatus(name="money_day", used=12.5, limit=100.0, unit="USD"),
    ),
    watches=WatchPage(
        enabled=True,
        watches=(
            WatchView(kind="Pod", namespace="shop", state="live", objects=1200, last_event_seconds=4.0),
            WatchView(kind="Node", namespace="", state="forbidden", problem="nodes is forbidden"),
        ),
    ),
)
RULES = RulePage(
    digest="58cc3be3c6da",
    rules=tuple(
        RuleView(name=name, mode=mode, actions=("set_image",), alerts=(), matchers=(), max_risk="medium",
                 file="rules.yaml", line=line)
        for name, mode, line in (("images", "dry-run", 2), ("crash-loops", "autonomous", 9))
    ),
)  # fmt: skip
ANSWERS: Mapping[str, object] = {
    "incidents": IncidentPage(incidents=INCIDENTS, total=len(INCIDENTS)),
    f"incidents/{PLAN.incident_id}": DETAIL,
    f"incidents/{PLAN.incident_id}/reasoning": Reasoning(incident_id=PLAN.incident_id, investigations=(RUN,)),
    f"plans/{PLAN.id}": DETAIL.plans[0],
    "status": STATUS,
    "rules": RULES,
    "audit": AuditPage(records=()),
}


class Told(BaseHTTPRequestHandler):
    """Always the same, and a stream in which nothing happens."""

    protocol_version = "HTTP/1.1"
    ending: ClassVar[threading.Event] = threading.Event()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].removeprefix("/api/v1/")
        if path == "stream":
            self._stream()
        elif path in ANSWERS:
            self._answer(ANSWERS[path])
        else:
            self.send_error(404)

    def do_PUT(self) -> None:
        """Presence: whoever asks is ann, and ben looks as well."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(Presence(viewers=(Viewer(name="ann", session=body["session"], since=NOW), BEN)))

    def _answer(self, told: object) -> None:
        body = wire.dumps(told)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            self.wfile.write(b"id: 1\n\n")
            while not self.ending.wait(1.0):
                self.wfile.write(b": nothing new\n\n")
        except OSError:
            return  # the console has left

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name for it
        pass


@pytest.fixture
def told_url() -> Iterator[str]:
    Told.ending.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Told)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    Told.ending.set()
    server.shutdown()
    thread.join(DEADLINE)
    server.server_close()


class Stopped(datetime):
    """The clock of the console stands still."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return NOW.astimezone(tz)


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """At a fixed time, where the operator's wall clock shows UTC, in colour."""
    monkeypatch.setattr("console.screens.polled.datetime", Stopped)
    monkeypatch.delenv("NO_COLOR", raising=False)
    with monkeypatch.context() as zone:
        zone.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


Pressed = Pilot[None]


async def seen(pilot: Pressed, *texts: str) -> None:
    """Until all of these stand on the screen, the bar is as it will be, and nothing waits to be drawn."""
    texts = (*texts, "● live", "ceiling dry-run")
    deadline = time.monotonic() + DEADLINE
    while not all(text in drawn(pilot.app) for text in texts):
        assert time.monotonic() < deadline, f"{texts} did not come:\n{drawn(pilot.app)}"
        await pilot.pause(0.02)
    await pilot.pause()


def drawn(app: Any) -> str:
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip if not segment.control) for strip in strips)


def without_chance(svg: str) -> str:
    """Names of classes hang on addresses in memory, and fonts are a matter of who looks."""
    named = re.sub(r"terminal-\d+", "console", svg)
    return re.sub(r"\s*@font-face \{.*?\}", "", named, flags=re.DOTALL)


def rows(svg: str) -> list[str]:
    """Its text, for people."""
    found: dict[float, str] = {}
    for x, y, text in re.findall(r'<text[^>]* x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>', svg):
        before = found.get(float(y), "").ljust(round(float(x) / CELL_WIDTH))
        found[float(y)] = before + html.unescape(text).replace("\xa0", " ")
    return [found[y].rstrip() for y in sorted(found)]


def compare(name: str, svg: str, folder: Path) -> None:
    wanted = FIXTURES / f"{name}.svg"
    if os.environ.get(ACCEPT):
        wanted.parent.mkdir(parents=True, exist_ok=True)
        wanted.write_text(svg, encoding="utf-8")
        return
    before = wanted.read_text(encoding="utf-8") if wanted.exists() else ""
    if before == svg:
        return
    now = folder / wanted.name
    now.write_text(svg, encoding="utf-8")
    changed = "\n".join(difflib.unified_diff(rows(before), rows(svg), "as accepted", "as drawn now", lineterm="", n=1))
    told = changed or "the text is the same: colours or places differ"
    pytest.fail(f"{name} looks different: compare {wanted} with {now}.\n{ACCEPT}=1 accepts it.\n{told}", pytrace=False)


async def look_at_incidents(pilot: Pressed) -> None:
    await seen(pilot, "1 of 6", "storefront")


async def look_at_incident(pilot: Pressed) -> None:
    await look_at_incidents(pilot)
    await pilot.press("enter")
    await seen(pilot, "a approves, x rejects")


async def look_at_armed(pilot: Pressed) -> None:
    await look_at_incident(pilot)
    await pilot.press("a")
    await seen(pilot, "ben", "DIFF")
    await pilot.press("G")
    await seen(pilot, "a begins to approve")
    await pilot.press("a")
    await seen(pilot, "Y APPROVES")


async def look_at_health(pilot: Pressed) -> None:
    pilot.app.go("health")
    await seen(pilot, "clopus-0")


async def look_at_mode(pilot: Pressed) -> None:
    pilot.app.go("mode")
    await seen(pilot, "WHAT IS LEFT OF THE RULES")


SMALL, WIDE = (80, 24), (150, 40)


@pytest.mark.parametrize(
    ("name", "size", "look"),
    [
        ("incidents", SMALL, look_at_incidents),
        ("incident", SMALL, look_at_incident),
        ("incident-wide", WIDE, look_at_incident),
        ("approve-armed", SMALL, look_at_armed),
        ("health", SMALL, look_at_health),
        ("mode", SMALL, look_at_mode),
    ],
)
async def test_the_screen_looks_as_it_was_accepted(
    name: str, size: tuple[int, int], look: Callable[[Pressed], Any], told_url: str, tmp_path: Path
) -> None:
    app = ConsoleApp(Client(told_url, timeout_seconds=5.0))
    async with app.run_test(size=size) as pilot:
        await look(pilot)
        svg = without_chance(app.export_screenshot(simplify=True))
    compare(name, svg, tmp_path)
