"""The responder's health as lines: what is wrong first, numbers with words, nothing unknown shown as 0."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from console.health import tell, tell_watches, verdict
from console.lines.formatting import Tone
from responder.domain.mode import ModeSettings
from responder.domain.rule import Mode
from responder.domain.views import BackendStatus, BudgetStatus, Status, StoreStatus, WatchPage, WatchView

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WELL = Status(
    version="1.2",
    started_at=NOW - timedelta(hours=3),
    leader="this process (no election)",
    not_ready=(),
    states={"open": 2, "escalated": 1, "resolved": 0},
    pending_alerts=3,
    quarantined_alerts=0,
    queued=4,
    working=1,
    workers=8,
    timed=5,
    streams=1,
    store=StoreStatus(path="/data/clopus.duckdb", bytes=3 * 2**20, commits=77, waiting=1),
    mode=ModeSettings(),
    budgets=(BudgetStatus(name="writes_cluster_hour", used=5, limit=10, unit="writes"),),
    watches=WatchPage(
        enabled=True,
        watches=(
            WatchView(kind="Pod", namespace="shop", state="live", objects=1200, last_event_seconds=4.0),
            WatchView(kind="Node", namespace="", state="forbidden", problem="nodes is forbidden"),
            WatchView(kind="Rollout", namespace="", state="retrying", optional=True, problem="no such kind"),
        ),
    ),
)
SOUND = replace(WELL, watches=WatchPage(enabled=True))


def told(status, width=80):
    return [line.text.rstrip() for line in tell(status, width=width, now=NOW)]


def line_of(status, begin):
    return next(line for line in told(status) if line.startswith(begin))


def test_all_is_well_and_one_line_says_so():
    assert verdict(SOUND) == ("ready, nothing wrong known", False)
    assert told(SOUND)[0] == "ready, nothing wrong known"


def test_not_ready_is_the_first_word_with_every_reason_below():
    lines = told(replace(SOUND, not_ready=("stopping", "store: full")))
    assert lines[0].startswith("NOT READY: no alert is taken")
    assert lines[1:3] == ["! not ready: stopping", "! not ready: store: full"]


def test_every_number_has_its_words():
    assert line_of(SOUND, "queue") == "queue      4 waiting  ·  1 of 8 workers busy  ·  5 timed for later"
    assert line_of(SOUND, "alerts") == "alerts     3 pending  ·  0 quarantined"
    assert line_of(SOUND, "incidents") == "incidents  2 open  1 escalated"
    assert line_of(SOUND, "store") == "store      3.0 MiB  ·  77 commits  ·  1 job waiting"
    assert "up 3h" in line_of(SOUND, "responder")
    assert line_of(SOUND, "leader") == "leader     this process (no election)"


def test_what_is_not_known_is_said_and_never_a_number():
    why = "the database cannot be read"
    unknown = dict.fromkeys(("states", "pending_alerts", "quarantined_alerts", "budgets"), why)
    dark = replace(SOUND, states={}, pending_alerts=None, quarantined_alerts=None, budgets=(), unknown=unknown)
    lines = told(dark)
    assert any(line.startswith("! not known: states, pending_alerts") for line in lines)
    assert line_of(dark, "alerts") == "alerts     an unknown number pending  ·  an unknown number quarantined"
    assert line_of(dark, "incidents") == "incidents  not known"
    assert lines[lines.index("BUDGETS") + 1] == "not known"


@pytest.mark.parametrize(
    ("used", "bar", "end"),
    [
        (0, "░" * 20, "  0% 0 of 10 writes"),
        (5, "█" * 10 + "░" * 10, " 50% 5 of 10 writes"),
        (8, "█" * 16 + "░" * 4, " 80% 8 of 10 writes, nearly used up"),
        (10, "█" * 20, "100% 10 of 10 writes, used up"),
        (12, "█" * 20, "120% 12 of 10 writes, used up"),
    ],
)
def test_a_budget_is_a_bar_a_number_and_a_word(used, bar, end):
    status = replace(SOUND, budgets=(BudgetStatus(name="writes_cluster_hour", used=used, limit=10, unit="writes"),))
    assert line_of(status, "writes, cluster") == f"writes, cluster, 1 h {bar} {end}"


def test_a_budget_of_nothing_is_used_up():
    status = replace(SOUND, budgets=(BudgetStatus(name="money_hour", used=0, limit=0, unit="USD"),))
    assert line_of(status, "models, money, 1 h").endswith("100% 0.00 of 0.00 USD, used up")


def test_a_backend_that_is_left_alone_tells_its_breaker_and_the_last_refusal():
    status = replace(
        SOUND, backends=(BackendStatus(name="claude", model="opus", breaker="open", problem="overloaded"),)
    )
    assert line_of(status, "  claude") == "  claude opus  ·  breaker open, refused last: overloaded"


def test_brakes_and_breakers_tell_who_and_why():
    mode = ModeSettings(kill_switch=True, ceiling=Mode.REPORT, breakers={"*": "2 failed"}, set_by="ann", reason="storm")
    status = replace(SOUND, mode=mode)
    told_brakes = line_of(status, "brakes")
    assert told_brakes == "brakes     KILL SWITCH ON, ceiling report, breaker open  ·  by ann: storm"
    assert line_of(status, "  every namespace") == "  every namespace: open, 2 failed"


def test_watches_that_should_be_live_and_are_not_come_first_with_their_problem():
    lines = [line.text.rstrip() for line in tell_watches(WELL, width=80)]
    assert lines[0] == "WATCHES  1 of 3 live, 1 silent that should not be"
    assert lines[2].startswith("Node")
    assert lines[3] == "    nodes is forbidden"
    assert [line.split()[0] for line in lines[4:]] == ["Rollout", "Pod"]


def test_below_the_rest_only_the_silent_ones_are_listed():
    lines = [line.text for line in tell_watches(WELL, width=80, silent_only=True)]
    assert not any(line.startswith(("Pod", "Rollout")) for line in lines)
    assert any(line.startswith("Node") for line in lines)


def test_that_nothing_is_watched_is_said():
    lines = tell_watches(replace(WELL, watches=WatchPage(enabled=False)), width=80)
    assert lines[1].text == "nothing is watched: watch.enabled is false"


@pytest.mark.parametrize("width", [40, 78, 80, 120, 200])
def test_no_line_is_wider_than_the_screen(width):
    problem = "nodes is forbidden: " + "x" * 300
    watches = WatchPage(
        enabled=True, watches=(WatchView(kind="Node", namespace="", state="forbidden", problem=problem),)
    )
    status = replace(WELL, not_ready=("a reason " * 30,), watches=watches)
    prose = [line for line in tell(status, width=width, now=NOW) if "█" not in line.text]
    assert max(len(line.text) for line in (*prose, *tell_watches(status, width=width))) <= max(width, 60)


def test_text_from_the_cluster_is_shown_for_what_it_is():
    hostile = "\x1b[2J\u202egone"
    mode = ModeSettings(breakers={hostile: hostile}, set_by=hostile, reason=hostile, kill_switch=True)
    watches = WatchPage(
        enabled=True, watches=(WatchView(kind=hostile, namespace=hostile, state=hostile, problem=hostile),)
    )
    backend = BackendStatus(name=hostile, model=hostile, breaker=hostile, problem=hostile)
    budget = BudgetStatus(name=hostile, used=1, limit=2, unit=hostile)
    status = replace(
        WELL, mode=mode, watches=watches, backends=(backend,), budgets=(budget,), states={hostile: 1},
        not_ready=(hostile,), leader=hostile, version=hostile, unknown={hostile: hostile},
    )  # fmt: skip
    lines = (*tell(status, width=100, now=NOW), *tell_watches(status, width=100))
    assert not set("".join(line.text for line in lines)) & {"\x1b", "\u202e"}


def test_what_is_wrong_carries_a_word_or_a_sign_besides_its_tone():
    lines = tell(replace(SOUND, not_ready=("stopping",), states={}), width=80, now=NOW)
    bad = [span.text for line in lines for span in line.spans if span.tone is Tone.BAD]
    assert [text.strip() for text in bad] == ["NOT READY: no alert is taken; 1 thing wrong", "!"]
