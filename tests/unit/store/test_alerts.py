"""What counts as a duplicate, and what becomes of each accepted alert."""

from __future__ import annotations

from typing import Any

import pytest

from responder.domain.alert import AlertSource, AlertStatus, Delivery, QuarantinedAlert
from responder.domain.errors import NotFound
from responder.domain.incident import State
from responder.store import alerts, arrivals, incidents
from responder.store.connection import Connection

FIRING, RESOLVED = AlertStatus.FIRING, AlertStatus.RESOLVED


def take(con: Connection, make: Any, *received: Any, **delivery: Any) -> list[bool]:
    """Store a delivery; for each alert, whether it was news."""
    rows = arrivals.incoming(Delivery(alerts=received, **delivery), make.t0)
    news = arrivals.fold(con, rows)
    arrivals.insert(con, [row for row, new in zip(rows, news, strict=True) if new], arrivals.last_seq(con) + 1)
    return news


@pytest.mark.inv(4)
@pytest.mark.parametrize("together", [True, False], ids=["in one delivery", "in two"])
@pytest.mark.parametrize(
    ("second", "news"),
    [
        ({}, False),
        ({"annotations": {"summary": "other words"}, "generator_url": "http://other-peer"}, False),
        ({"starts": 10}, True),
        ({"starts": -10}, True),
        ({"fingerprint": "f2"}, True),
        ({"source": AlertSource.KUBERNETES}, True),
        ({"status": RESOLVED}, True),
    ],
)
def test_duplicate_repeats_source_fingerprint_start_and_status(
    con: Connection, make: Any, second: dict[str, Any], news: bool, together: bool
) -> None:
    fields = dict(second)
    if "starts" in fields:
        fields["starts_at"] = make.at(fields.pop("starts"))
    one, two = make.alert(), make.alert(**fields)
    answer = take(con, make, one, two) if together else take(con, make, one) + take(con, make, two)
    assert answer == [True, news]


def test_resolved_alert_whose_end_moved_is_a_duplicate(con: Connection, make: Any) -> None:
    assert take(
        con, make, make.alert(status=RESOLVED, ends_at=make.at(5)), make.alert(status=RESOLVED, ends_at=make.at(9))
    ) == [True, False]


@pytest.mark.inv(5)
def test_alert_that_fires_again_with_the_same_start_is_news(con: Connection, make: Any) -> None:
    take(con, make, make.alert(), make.alert(status=RESOLVED))
    assert take(con, make, make.alert(), make.alert()) == [True, False]


def test_alert_comes_back_as_received(con: Connection, make: Any) -> None:
    alert = make.alert(
        status=RESOLVED,
        ends_at=make.at(60),
        annotations={"text": "NUL \x00, quote ', bidi \u202e, emoji \U0001f600"},
        generator_url="http://p/graph?g0.expr=up",
    )
    take(con, make, alert, receiver="clopus", truncated_alerts=3)
    (stored,) = alerts.pending(con, 10)
    assert stored.alert == alert
    assert (stored.seq, stored.receiver, stored.truncated_alerts, stored.received_at) == (1, "clopus", 3, make.t0)


@pytest.mark.inv(8)
def test_unreadable_alert_is_kept_with_its_reason_beside_the_good_ones(con: Connection, make: Any) -> None:
    bad = QuarantinedAlert(reason="labels is no object", raw='{"labels": 3}')
    assert take(con, make, make.alert(), quarantined=(bad,)) == [True, True]
    assert con.execute("SELECT reason, raw FROM alerts WHERE state = 'quarantined'").fetchall() == [
        ("labels is no object", '{"labels": 3}')
    ]
    assert take(con, make, make.alert(), quarantined=(bad,)) == [False, False]


@pytest.mark.inv(8)
@pytest.mark.parametrize("field", ["labels", "annotations", "fingerprint"])
def test_alert_that_cannot_be_encoded_is_quarantined(con: Connection, make: Any, field: str) -> None:
    broken = make.alert(**{field: "\ud800" if field == "fingerprint" else {"a": "\ud800"}})
    assert take(con, make, broken, make.alert(fingerprint="f2")) == [True, True]
    assert alerts.counts(con) == (2, 0, 1, 1)


@pytest.mark.inv(9)
def test_accepted_is_processed_and_pending_and_quarantined(con: Connection, make: Any) -> None:
    take(con, make, *(make.alert(fingerprint=f"f{n}") for n in range(6)))
    make.join(con, [1, 2], "inc-1", "opens")
    make.join(con, [3], "", "ignored")
    alerts.quarantine(con, 4, "no such namespace")
    counts = alerts.counts(con)
    assert counts == alerts.AlertCounts(accepted=6, processed=3, pending=2, quarantined=1)
    assert counts.accepted == counts.processed + counts.pending + counts.quarantined


def test_processed_alert_is_not_processed_or_quarantined_again(con: Connection, make: Any) -> None:
    take(con, make, make.alert())
    make.join(con, [1], "inc-1", "opens")
    make.join(con, [1], "inc-1", "again")
    with pytest.raises(NotFound):
        alerts.quarantine(con, 1, "late")
    assert con.execute("SELECT state, reason FROM alerts").fetchall() == [("processed", "opens")]
    assert len(alerts.of_incident(con, "inc-1")) == 1


def test_firing_count_takes_the_last_word_of_each_alert(con: Connection, make: Any) -> None:
    incidents.insert(con, make.incident())
    take(con, make, make.alert(), make.alert(fingerprint="f2"), make.alert(status=RESOLVED))
    make.join(con, [1, 2, 3], "inc-1")
    assert alerts.firing_count(con, "inc-1") == 1
    assert [alert.status for alert, _ in alerts.of_incident(con, "inc-1")] == [FIRING, FIRING, RESOLVED]


@pytest.mark.inv(5)
@pytest.mark.parametrize(
    ("grace_seconds", "after", "news"),
    [(300, 299, False), (300, 301, True), (0.5, 1, True), (300, -299, False), (300, -3 * 86400, True)],
)
def test_alert_that_still_fires_after_its_incident_was_closed_is_news_once_the_grace_is_over(
    con: Connection, make: Any, grace_seconds: float, after: float, news: bool
) -> None:
    take(con, make, make.alert())
    make.join(con, [1], "inc-1")
    incidents.insert(con, make.incident(state=State.RESOLVED, resolved_at=make.t0))
    rows = arrivals.incoming(Delivery(alerts=(make.alert(),)), make.at(after))
    assert arrivals.fold(con, rows, grace_seconds) == [news]


@pytest.mark.parametrize(
    ("state", "statuses", "quiet"),
    [
        (State.ESCALATED, [FIRING, RESOLVED], True),
        (State.ESCALATED, [FIRING], False),
        (State.ESCALATED, [FIRING, RESOLVED, FIRING], False),
        (State.ESCALATED, [], False),
        (State.OPEN, [FIRING, RESOLVED], False),
    ],
)
def test_escalated_incident_is_quiet_once_none_of_its_alerts_fires(
    con: Connection, make: Any, state: State, statuses: list[AlertStatus], quiet: bool
) -> None:
    incidents.insert(con, make.incident(state=state))
    take(con, make, *(make.alert(status=status) for status in statuses))
    make.join(con, list(range(1, len(statuses) + 1)), "inc-1")
    assert alerts.quiet_escalated(con) == (("inc-1",) if quiet else ())


def test_escalated_incident_is_not_quiet_while_one_of_its_alerts_fires(con: Connection, make: Any) -> None:
    incidents.insert(con, make.incident(state=State.ESCALATED))
    take(con, make, make.alert(), make.alert(fingerprint="f2"), make.alert(status=RESOLVED))
    make.join(con, [1, 2, 3], "inc-1")
    assert alerts.quiet_escalated(con) == ()
