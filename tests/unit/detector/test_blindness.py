"""What cannot be watched is told, in time, once, and until it can be again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from responder.cluster.watch import WatchState, WatchStatus
from responder.detector.blindness import AGE_SECONDS, ALERT_NAME, SOAK_SECONDS, Blindness
from responder.domain.alert import Alert, AlertSource, AlertStatus

T0 = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def gap(
    kind: str = "Pod", namespace: str = "", *, state: WatchState = WatchState.FORBIDDEN, problem: str = "403"
) -> WatchStatus:
    return WatchStatus(
        kind=kind,
        namespace=namespace,
        state=state,
        problem=problem,
        objects=0,
        version="",
        relists=0,
        failures=1,
        undelivered=0,
        last_contact=None,
        last_event=None,
        synced_once=False,
    )


@dataclass
class Watched:
    blindness: Blindness = field(default_factory=Blindness)
    seconds: float = 0.0

    def after(self, seconds: float, *gaps: WatchStatus) -> tuple[Alert, ...]:
        """What is told when time has passed and these gaps are open."""
        self.seconds += seconds
        return self.blindness.alerts(gaps, now=T0 + timedelta(seconds=self.seconds), at=self.seconds)


def brief(alerts: Sequence[Alert]) -> list[tuple[str, str, str]]:
    return [(alert.status.value, alert.labels["resource"], alert.labels.get("namespace", "")) for alert in alerts]


def blind(*gaps: WatchStatus) -> tuple[Watched, tuple[Alert, ...]]:
    watched = Watched()
    watched.after(0, *gaps)
    return watched, watched.after(AGE_SECONDS, *gaps)


def test_a_gap_is_told_once_it_has_lasted() -> None:
    watched = Watched()
    assert watched.after(0, gap()) == ()
    assert watched.after(AGE_SECONDS - 0.1, gap()) == ()
    assert brief(watched.after(0.1, gap())) == [("firing", "Pod", "")]
    assert watched.after(AGE_SECONDS, gap()) == ()


def test_a_gap_that_closes_in_time_begins_anew() -> None:
    watched = Watched()
    watched.after(0, gap())
    watched.after(AGE_SECONDS - 0.1)
    assert watched.after(0.1, gap()) == ()
    assert watched.after(AGE_SECONDS - 0.1, gap()) == ()


def test_a_gap_is_over_once_it_has_been_closed_for_a_while() -> None:
    watched, (fired,) = blind(gap())
    assert watched.after(1) == ()
    assert watched.after(SOAK_SECONDS - 0.1) == ()
    (ended,) = watched.after(0.1)
    assert (ended.status, ended.fingerprint, ended.labels) == (AlertStatus.RESOLVED, fired.fingerprint, fired.labels)
    assert ended.ends_at == T0 + timedelta(seconds=watched.seconds)
    assert watched.after(SOAK_SECONDS) == ()


def test_a_gap_that_opens_again_meanwhile_goes_on() -> None:
    watched, _ = blind(gap())
    watched.after(1)
    assert watched.after(SOAK_SECONDS - 1, gap()) == ()
    assert watched.after(0) == ()
    assert watched.after(SOAK_SECONDS - 0.1) == ()
    assert brief(watched.after(0.1)) == [("resolved", "Pod", "")]


def test_several_gaps_of_one_namespace_are_told_and_over_one_by_one() -> None:
    pods, jobs = gap("Pod", "shop"), gap("Job", "shop")
    watched, told = blind(pods, jobs)
    assert brief(told) == [("firing", "Pod", "shop"), ("firing", "Job", "shop")]
    assert len({alert.fingerprint for alert in told}) == 2
    watched.after(0, jobs)
    assert brief(watched.after(SOAK_SECONDS, jobs)) == [("resolved", "Pod", "shop")]
    watched.after(0)
    assert brief(watched.after(SOAK_SECONDS)) == [("resolved", "Job", "shop")]


def test_the_same_kind_in_two_namespaces_is_two_gaps() -> None:
    _, told = blind(gap("Pod", "shop"), gap("Pod", "crm"))
    assert len({alert.fingerprint for alert in told}) == 2


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (gap("Pod", "shop"), "Pod objects of namespace shop may not be watched: 403."),
        (gap(state=WatchState.RETRYING, problem="timeout"), "Pod objects of the cluster cannot be watched: timeout."),
        (
            gap(state=WatchState.STARTING, problem=""),
            "Pod objects of the cluster cannot be watched: its first list is not complete.",
        ),
    ],
)
def test_the_alert_says_what_is_not_seen_and_why(status: WatchStatus, words: str) -> None:
    _, (alert,) = blind(status)
    assert alert.annotations["summary"] == f"{words} Trouble there is not seen, and not over."
    assert (alert.name, alert.source, alert.severity) == (ALERT_NAME, AlertSource.KUBERNETES, "critical")


def test_the_servers_words_are_redacted() -> None:
    _, (alert,) = blind(gap(problem="Authorization: Bearer abcdefghijklmnopqrstuvwxyz0123456789"))
    assert "abcdefghijklmnop" not in alert.annotations["summary"]


def test_after_a_restart_a_gap_that_is_still_there_is_not_told_again() -> None:
    _, (before,) = blind(gap("Pod", "shop"))
    watched = Watched()
    assert watched.blindness.adopt(before)
    assert watched.after(0, gap("Pod", "shop")) == ()
    assert watched.after(2 * AGE_SECONDS, gap("Pod", "shop")) == ()


def test_after_a_restart_a_gap_that_has_closed_is_over() -> None:
    _, (before,) = blind(gap("Pod", "shop"))
    watched = Watched()
    watched.blindness.adopt(before)
    watched.after(0)
    (ended,) = watched.after(SOAK_SECONDS)
    assert (ended.fingerprint, ended.starts_at) == (before.fingerprint, before.starts_at)


def test_a_gap_that_had_ended_before_the_restart_is_told_as_a_new_one() -> None:
    first, _ = blind(gap())
    first.after(0)
    (ended,) = first.after(SOAK_SECONDS)
    watched = Watched()
    assert watched.blindness.adopt(ended)
    assert watched.after(SOAK_SECONDS) == ()
    watched.after(0, gap())
    assert brief(watched.after(AGE_SECONDS, gap())) == [("firing", "Pod", "")]


@pytest.mark.inv(17)
def test_a_gap_that_ends_after_the_clock_was_put_back_ends_no_earlier_than_it_began() -> None:
    watched, (told,) = blind(gap())
    before = T0 - timedelta(days=3)
    watched.blindness.alerts((), now=before, at=watched.seconds + 1)
    (over,) = watched.blindness.alerts((), now=before, at=watched.seconds + 1 + SOAK_SECONDS)
    assert (over.status, over.ends_at) == (AlertStatus.RESOLVED, told.starts_at)


def test_other_alerts_are_not_taken_over() -> None:
    _, (alert,) = blind(gap())
    labels = {**alert.labels, "alertname": "CrashLoopBackOff"}
    other = Alert(
        fingerprint="f", source=AlertSource.KUBERNETES, status=AlertStatus.FIRING, labels=labels, starts_at=T0
    )
    assert not Blindness().adopt(other)


def test_what_has_been_told_is_there_to_be_told_again() -> None:
    watched, told = blind(gap())
    assert watched.blindness.firing() == told
    watched.after(1)
    watched.after(SOAK_SECONDS)
    assert watched.blindness.firing() == ()
