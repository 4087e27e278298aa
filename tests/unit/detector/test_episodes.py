"""Conditions over time: when one fires, when it is over, and that no jump of a clock and no blind spot decides it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from responder.conditions.model import Condition, Severity
from responder.detector.condition_alert import alert_of, fingerprint_of
from responder.detector.episodes import MOST_AT_ONCE, Episodes
from responder.domain.alert import Alert, AlertSource, AlertStatus
from responder.domain.refs import ObjectRef

T0 = datetime(2026, 5, 4, 8, 0, 0, tzinfo=UTC)
WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u-web")


def pod(name: str) -> ObjectRef:
    return ObjectRef(kind="Pod", namespace="shop", name=name, uid=f"u-{name}")


POD = pod("web-1")
OTHER = pod("web-2")


def crash(
    about: ObjectRef = POD,
    *,
    name: str = "CrashLoopBackOff",
    container: str = "app",
    severity: Severity = Severity.WARNING,
    summary: str = "it crashes",
    since: datetime | None = None,
    age: float = 0.0,
    soak: float = 60.0,
    causes: tuple[str, ...] = (),
    proactive: bool = False,
) -> Condition:
    return Condition(
        name=name,
        about=about,
        container=container,
        severity=severity,
        summary=summary,
        since=since,
        age_seconds=age,
        soak_seconds=soak,
        causes=causes,
        proactive=proactive,
    )


@dataclass
class Watched:
    """Episodes with both clocks; the wall clock can be set."""

    episodes: Episodes = field(default_factory=lambda: Episodes(soak_seconds=60.0, age_factor=1.0))
    at: float = 1_000.0
    now: datetime = T0
    blind: set[str] = field(default_factory=set)

    def after(self, seconds: float) -> Watched:
        self.at += seconds
        self.now += timedelta(seconds=seconds)
        return self

    def shows(self, source: ObjectRef, *conditions: Condition, root: ObjectRef = WEB) -> Watched:
        self.episodes.observe(source, root, conditions, now=self.now, at=self.at)
        return self

    def gone(self, source: ObjectRef) -> Watched:
        self.episodes.gone(source, self.at)
        return self

    def due(self) -> list[Alert]:
        return list(self.episodes.due(self.now, self.at, lambda source: source.kind not in self.blind))

    def told(self) -> list[str]:
        return [f"{alert.name} {alert.status}" for alert in self.due()]


@pytest.fixture
def watched() -> Watched:
    return Watched()


def ended(watched: Watched, seconds: float = 60.0) -> Alert:
    """One episode from its beginning to its end; the resolved alert."""
    watched.shows(POD, crash()).due()
    watched.shows(POD).after(seconds)
    (alert,) = watched.due()
    assert alert.status is AlertStatus.RESOLVED
    return alert


def test_a_condition_without_an_age_fires_at_once(watched: Watched) -> None:
    assert watched.shows(POD, crash()).told() == ["CrashLoopBackOff firing"]


def test_a_condition_fires_once_it_has_lasted_its_age(watched: Watched) -> None:
    watched.shows(POD, crash(age=30))
    assert watched.after(29.9).told() == []
    assert watched.after(0.1).told() == ["CrashLoopBackOff firing"]


def test_the_age_factor_stretches_every_age() -> None:
    watched = Watched(episodes=Episodes(soak_seconds=60.0, age_factor=3.0))
    watched.shows(POD, crash(age=30))
    assert watched.after(89).told() == []
    assert watched.after(1).told() == ["CrashLoopBackOff firing"]


def test_a_firing_alert_is_sent_once_however_often_it_is_seen(watched: Watched) -> None:
    watched.shows(POD, crash()).due()
    assert watched.after(5).shows(POD, crash(summary="it crashes again", severity=Severity.CRITICAL)).told() == []
    assert watched.after(500).shows(POD, crash()).told() == []


@pytest.mark.parametrize(
    ("since", "waits"),
    [
        (None, 30.0),
        (timedelta(0), 30.0),
        (timedelta(seconds=-10), 20.0),
        (timedelta(seconds=-30), 0.0),
        (timedelta(days=-400), 0.0),
        (timedelta(seconds=+10), 30.0),
        (timedelta(days=+400), 30.0),
    ],
)
def test_what_the_object_says_about_its_beginning_is_credited_and_never_more(
    watched: Watched, since: timedelta | None, waits: float
) -> None:
    watched.shows(POD, crash(age=30, since=None if since is None else T0 + since))
    if waits:
        assert watched.after(waits - 0.1).told() == []
        watched.after(0.1)
    assert watched.told() == ["CrashLoopBackOff firing"]


@pytest.mark.parametrize("jump", [timedelta(days=-30), timedelta(days=30)])
def test_a_jump_of_the_wall_clock_neither_hastens_nor_delays_a_pending_condition(
    watched: Watched, jump: timedelta
) -> None:
    watched.shows(POD, crash(age=30))
    watched.now += jump
    assert watched.after(29).told() == []
    assert watched.after(1).told() == ["CrashLoopBackOff firing"]


@pytest.mark.parametrize("jump", [timedelta(days=-30), timedelta(days=30)])
def test_an_alert_never_ends_before_it_began_whatever_the_wall_clock_says(watched: Watched, jump: timedelta) -> None:
    watched.shows(POD, crash()).due()
    watched.now += jump
    (alert,) = watched.shows(POD).after(60).due()
    assert alert.ends_at is not None
    assert alert.ends_at >= alert.starts_at


@pytest.mark.parametrize(
    ("since", "starts_at"),
    [
        (None, T0),
        (T0 - timedelta(seconds=300), T0 - timedelta(seconds=300)),
        (T0 + timedelta(seconds=300), T0),
    ],
)
def test_an_alert_starts_when_the_object_says_and_never_in_the_future(
    watched: Watched, since: datetime | None, starts_at: datetime
) -> None:
    (alert,) = watched.shows(POD, crash(since=since)).due()
    assert alert.starts_at == starts_at


def test_a_condition_that_goes_before_it_is_old_enough_makes_no_alert(watched: Watched) -> None:
    watched.shows(POD, crash(age=30)).after(29).shows(POD)
    assert watched.after(1).told() == []
    assert watched.after(10_000).told() == []


def test_what_was_old_enough_when_it_went_still_makes_its_alert(watched: Watched) -> None:
    watched.shows(POD, crash(age=30)).after(30).gone(POD)
    assert watched.told() == ["CrashLoopBackOff firing"]
    assert watched.after(59).told() == []
    assert watched.after(1).told() == ["CrashLoopBackOff resolved"]


def test_one_call_never_tells_both_the_beginning_and_the_end(watched: Watched) -> None:
    watched.shows(POD, crash()).gone(POD).after(1_000)
    assert watched.told() == ["CrashLoopBackOff firing"]
    assert watched.told() == ["CrashLoopBackOff resolved"]


def test_many_that_are_due_at_once_come_in_pieces(watched: Watched) -> None:
    names = [f"w{number}" for number in range(2 * MOST_AT_ONCE + 1)]
    for name in names:
        watched.shows(pod(name), crash(pod(name)), root=replace(WEB, name=name))
    pieces = [watched.due() for _ in range(4)]
    assert [len(piece) for piece in pieces] == [MOST_AT_ONCE, MOST_AT_ONCE, 1, 0]
    assert {alert.labels["name"] for piece in pieces for alert in piece} == set(names)


def test_a_short_absence_does_not_begin_the_age_anew(watched: Watched) -> None:
    for _ in range(3):
        watched.shows(POD, crash(age=30)).after(5).shows(POD).after(5)
        assert watched.told() == []
    assert watched.shows(POD, crash(age=30)).told() == ["CrashLoopBackOff firing"]


def test_an_absence_as_long_as_the_age_begins_it_anew(watched: Watched) -> None:
    watched.shows(POD, crash(age=30)).after(25).shows(POD).after(30).shows(POD, crash(age=30))
    assert watched.after(29).told() == []
    assert watched.after(1).told() == ["CrashLoopBackOff firing"]


def test_the_age_runs_on_while_one_pod_takes_over_from_another(watched: Watched) -> None:
    watched.shows(POD, crash(age=30)).after(20).shows(OTHER, crash(OTHER, age=30)).gone(POD)
    assert watched.after(10).told() == ["CrashLoopBackOff firing"]


def test_an_alert_is_over_once_nothing_shows_it_for_its_soak(watched: Watched) -> None:
    watched.shows(POD, crash()).due()
    went = watched.after(100).now
    assert watched.shows(POD).after(59.9).told() == []
    (alert,) = watched.after(0.1).due()
    assert (alert.status, alert.ends_at) == (AlertStatus.RESOLVED, went)


@pytest.mark.parametrize(("asked", "least", "soak"), [(60, 10, 60), (10, 60, 60), (0, 0, 0), (600, 60, 600)])
def test_the_longer_of_both_soaks_counts(asked: float, least: float, soak: float) -> None:
    watched = Watched(episodes=Episodes(soak_seconds=least, age_factor=1.0))
    watched.shows(POD, crash(soak=asked)).due()
    watched.shows(POD)
    if soak:
        assert watched.after(soak - 0.1).told() == []
        watched.after(0.1)
    assert watched.told() == ["CrashLoopBackOff resolved"]


def test_coming_back_within_the_soak_changes_nothing(watched: Watched) -> None:
    watched.shows(POD, crash()).due()
    for _ in range(5):
        watched.shows(POD).after(50).shows(POD, crash())
        assert watched.told() == []
        assert watched.after(50).told() == []


def test_an_alert_is_over_only_when_the_last_of_its_pods_is_well(watched: Watched) -> None:
    watched.shows(POD, crash()).shows(OTHER, crash(OTHER))
    assert watched.told() == ["CrashLoopBackOff firing"]
    assert watched.shows(POD).after(300).told() == []
    assert watched.gone(OTHER).after(60).told() == ["CrashLoopBackOff resolved"]


def test_a_source_that_gets_another_root_counts_there_and_no_longer_here(watched: Watched) -> None:
    watched.shows(POD, crash(), root=POD).due()
    (firing,) = watched.shows(POD, crash(), root=WEB).due()
    assert (firing.labels["kind"], firing.labels["name"]) == ("Deployment", "web")
    (over,) = watched.after(60).due()
    assert (over.labels["kind"], over.status) == ("Pod", AlertStatus.RESOLVED)


def test_containers_of_one_pod_are_alerts_of_their_own(watched: Watched) -> None:
    alerts = watched.shows(POD, crash(container="app"), crash(container="proxy")).due()
    assert {alert.labels["container"] for alert in alerts} == {"app", "proxy"}
    assert len({alert.fingerprint for alert in alerts}) == 2
    (over,) = watched.shows(POD, crash(container="app")).after(60).due()
    assert over.labels["container"] == "proxy"


@pytest.mark.inv(34)
def test_nothing_is_over_while_its_watch_is_not_live(watched: Watched) -> None:
    watched.shows(POD, crash()).due()
    watched.shows(POD).blind.add("Pod")
    assert watched.after(10_000).told() == []
    watched.blind.clear()
    assert watched.after(59.9).told() == []
    assert watched.after(0.1).told() == ["CrashLoopBackOff resolved"]


def test_an_outage_in_the_middle_of_the_soak_begins_it_anew_and_leaves_the_end_where_it_was(watched: Watched) -> None:
    watched.shows(POD, crash()).due()
    went = watched.shows(POD).now
    watched.after(30).blind.add("Pod")
    assert watched.told() == []
    watched.blind.clear()
    assert watched.after(59).told() == []
    (alert,) = watched.after(1).due()
    assert alert.ends_at == went


def test_deleted_pods_end_nothing_while_nobody_sees_the_pods_that_replace_them(watched: Watched) -> None:
    watched.shows(POD, crash()).due()
    watched.gone(POD).blind.add("Pod")
    assert watched.after(10_000).told() == []


def test_every_kind_of_watch_that_showed_it_has_to_be_live(watched: Watched) -> None:
    event = ObjectRef(kind="Event", namespace="shop", name="web-1.17c", uid="u-e")
    watched.shows(POD, crash()).shows(event, crash()).due()
    watched.gone(event).shows(POD).blind.add("Event")
    assert watched.after(500).told() == []
    watched.blind.clear()
    assert watched.after(60).told() == ["CrashLoopBackOff resolved"]


def test_each_return_soon_after_the_end_doubles_the_soak_up_to_a_quarter_of_an_hour(watched: Watched) -> None:
    soaks = []
    for _ in range(7):
        watched.shows(POD, crash()).due()
        watched.shows(POD)
        waited = 0
        while not watched.due():
            watched.after(10)
            waited += 10
        soaks.append(waited)
        watched.after(30)
    assert soaks == [60, 120, 240, 480, 900, 900, 900]


def test_a_return_after_ten_soaks_is_no_flapping(watched: Watched) -> None:
    ended(watched)
    watched.after(601).due()
    ended(watched, 60)


def test_a_soak_longer_than_the_cap_is_kept_and_not_doubled() -> None:
    watched = Watched(episodes=Episodes(soak_seconds=1_200.0, age_factor=1.0))
    ended(watched, 1_200)
    watched.after(10)
    ended(watched, 1_200)


def test_the_next_episode_begins_after_the_end_of_the_last_whatever_the_object_says(watched: Watched) -> None:
    first = ended(watched)
    second = watched.after(10).shows(POD, crash(since=T0 - timedelta(hours=1))).due()[0]
    assert first.ends_at is not None
    assert second.starts_at > first.ends_at
    assert second.fingerprint == first.fingerprint


def test_a_restored_alert_fires_on_without_being_sent_again(watched: Watched) -> None:
    (before,) = Watched().shows(POD, crash()).due()
    watched.episodes.restore([before], watched.at)
    watched.shows(POD, crash())
    watched.episodes.settled(watched.at)
    assert watched.told() == []
    (over,) = watched.after(10).shows(POD).after(60).due()
    assert over == replace(before, status=AlertStatus.RESOLVED, ends_at=over.ends_at)


def test_a_restored_alert_that_nothing_shows_is_over_a_soak_after_everything_was_told(watched: Watched) -> None:
    (before,) = Watched().shows(POD, crash()).due()
    watched.episodes.restore([before], watched.at)
    assert watched.after(10_000).told() == []
    watched.episodes.settled(watched.at)
    assert watched.after(59).told() == []
    assert watched.after(1).told() == ["CrashLoopBackOff resolved"]


def test_a_restored_alert_that_shows_and_goes_before_everything_was_told_waits_as_well(watched: Watched) -> None:
    (before,) = Watched().shows(POD, crash()).due()
    watched.episodes.restore([before], watched.at)
    watched.shows(POD, crash()).shows(POD)
    assert watched.after(1_000).told() == []
    watched.episodes.settled(watched.at)
    assert watched.after(60).told() == ["CrashLoopBackOff resolved"]


def test_a_restored_alert_is_not_over_while_the_watch_of_its_object_is_broken(watched: Watched) -> None:
    (before,) = Watched().shows(POD, crash()).due()
    watched.episodes.restore([before], watched.at)
    watched.episodes.settled(watched.at)
    watched.blind.add("Pod")
    assert watched.after(1_000).told() == []


def test_a_restored_end_keeps_the_next_episode_after_it_and_counts_for_flapping(watched: Watched) -> None:
    over = ended(Watched())
    watched.now = over.ends_at + timedelta(seconds=70) if over.ends_at else T0
    watched.episodes.restore([over], watched.at)
    (alert,) = watched.shows(POD, crash(since=T0 - timedelta(hours=1))).due()
    assert alert.starts_at == watched.now
    assert watched.shows(POD).after(119).told() == []
    assert watched.after(1).told() == ["CrashLoopBackOff resolved"]


def test_alerts_of_another_source_are_not_restored(watched: Watched) -> None:
    (before,) = Watched().shows(POD, crash()).due()
    watched.episodes.restore([replace(before, source=AlertSource.ALERTMANAGER)], watched.at)
    watched.episodes.settled(watched.at)
    assert watched.after(10_000).told() == []


def test_the_labels_name_the_root_and_no_pod(watched: Watched) -> None:
    (alert,) = watched.shows(POD, crash(proactive=True)).due()
    assert alert.source is AlertSource.KUBERNETES
    assert alert.labels == {
        "alertname": "CrashLoopBackOff",
        "namespace": "shop",
        "severity": "warning",
        "kind": "Deployment",
        "name": "web",
        "container": "app",
        "proactive": "true",
    }


def test_labels_that_say_nothing_are_left_out() -> None:
    node = ObjectRef(kind="Node", name="worker-1", uid="u-n")
    alert = alert_of(crash(node, name="NodeNotReady", container=""), node, starts_at=T0)
    assert alert.labels == {
        "alertname": "NodeNotReady",
        "severity": "warning",
        "kind": "Node",
        "name": "worker-1",
    }


def test_the_fingerprint_survives_other_pods_other_words_and_another_severity() -> None:
    first = alert_of(crash(), WEB, starts_at=T0)
    second = alert_of(
        crash(OTHER, severity=Severity.CRITICAL, summary="x", causes=("Node/n",)),
        WEB.without_uid(),
        starts_at=T0 + timedelta(days=1),
    )
    assert first.fingerprint == second.fingerprint == fingerprint_of(first.labels)
    assert len(first.fingerprint) == 16
    assert int(first.fingerprint, 16) >= 0


@pytest.mark.parametrize(
    "other",
    [
        crash(name="OOMKilled"),
        crash(container="proxy"),
        crash(container=""),
        crash(proactive=True),
    ],
)
def test_the_fingerprint_tells_names_containers_and_checks_apart(other: Condition) -> None:
    assert alert_of(other, WEB, starts_at=T0).fingerprint != alert_of(crash(), WEB, starts_at=T0).fingerprint


def test_the_most_severe_of_several_pods_speaks(watched: Watched) -> None:
    watched.shows(POD, crash()).shows(OTHER, crash(OTHER, severity=Severity.CRITICAL, summary="worse"))
    (alert,) = watched.due()
    assert alert.severity == "critical"
    assert alert.annotations == {"summary": "worse", "object": "Pod/shop/web-2"}


def test_annotations_hold_no_secrets_and_are_cut() -> None:
    token = "ghp_" + "a1B2" * 9
    noisy = crash(summary=f"pull with {token} failed " + "x" * 5_000, causes=(f"image/https://u:{token}@reg/web",))
    alert = alert_of(noisy, WEB, starts_at=T0)
    assert token not in repr(alert)
    assert "[redacted:github-token]" in alert.annotations["summary"]
    assert len(alert.annotations["summary"]) == 1_000


@pytest.mark.parametrize(
    "cause",
    [
        "image/ghcr.io/external-secrets/external-secrets:v0.9.11",
        "image/registry.local:5000/shop/web:1.9",
        "image/registry/shop/web@sha256:" + "0a" * 32,
        "Secret/shop/api-token",
        "Node/worker-1",
    ],
)
def test_names_of_causes_stay_as_they_are(cause: str) -> None:
    assert alert_of(crash(causes=(cause,)), WEB, starts_at=T0).annotations["causes"] == cause


def test_hostile_labels_are_cut_and_can_be_stored() -> None:
    alert = alert_of(crash(container="\ud800\0" + "c" * 999), WEB, starts_at=T0)
    assert len(alert.labels["container"].encode()) <= 253 * 3
    assert len(alert.labels["container"]) == 253
    assert "\0" not in alert.labels["container"]


def test_the_causes_of_several_pods_are_one_list_most_common_first_at_most_eight(watched: Watched) -> None:
    many = tuple(f"ConfigMap/shop/c{n}" for n in range(9))
    watched.shows(POD, crash(causes=("Node/a", *many))).shows(OTHER, crash(OTHER, causes=("Node/b", many[3])))
    (alert,) = watched.due()
    assert watched.episodes.causes(WEB) == (many[3], "Node/a", *many[:3], *many[4:7])
    assert alert.annotations["causes"].split() == list(watched.episodes.causes(WEB))


def test_what_is_told_again_fires_and_is_shown(watched: Watched) -> None:
    watched.shows(POD, crash(), crash(name="Unschedulable", age=60)).shows(OTHER, crash(name="OOMKilled")).due()
    watched.shows(OTHER)
    assert [alert.name for alert in watched.episodes.firing()] == ["CrashLoopBackOff"]


def test_a_restored_alert_is_told_again_only_once_something_shows_it(watched: Watched) -> None:
    before = alert_of(crash(), WEB, starts_at=T0)
    watched.episodes.restore([before], watched.at)
    assert watched.episodes.firing() == ()
    watched.shows(POD, crash())
    assert watched.episodes.firing() == (before,)


def test_who_suffers_from_a_cause_is_known_before_it_counts_and_until_it_has_gone(watched: Watched) -> None:
    watched.shows(POD, crash(age=60, causes=("ConfigMap/shop/app", "Node/n1")))
    assert watched.episodes.suffering("ConfigMap/shop/app") == {WEB.without_uid()}
    assert watched.episodes.suffering("ConfigMap/shop/other") == frozenset()
    watched.shows(POD)
    assert watched.episodes.suffering("ConfigMap/shop/app") == frozenset()


def test_an_alert_in_its_soak_has_the_causes_that_were_seen_last(watched: Watched) -> None:
    watched.shows(POD, crash(causes=("Node/a",))).due()
    watched.shows(POD)
    assert watched.episodes.causes(WEB) == ("Node/a",)
    watched.after(60).due()
    assert watched.episodes.causes(WEB) == ()


def test_a_restored_alert_still_knows_its_causes(watched: Watched) -> None:
    (before,) = Watched().shows(POD, crash(causes=("Node/a", "image/r/w:1"))).due()
    watched.episodes.restore([before], watched.at)
    assert watched.episodes.causes(WEB) == ("Node/a", "image/r/w:1")


def test_due_looks_only_at_what_is_due(watched: Watched) -> None:
    for number in range(2_000):
        name = f"web-{number}"
        root = ObjectRef(kind="Deployment", namespace="shop", name=name)
        watched.shows(pod(name), crash(pod(name), age=300), root=root)
    asked: list[ObjectRef] = []
    watched.after(299)
    assert watched.episodes.due(watched.now, watched.at, lambda source: bool(asked.append(source))) == ()
    assert asked == []
    assert len(watched.after(1).due()) == MOST_AT_ONCE


def test_watches_are_asked_about_only_for_what_is_in_its_soak(watched: Watched) -> None:
    asked: list[ObjectRef] = []
    watched.shows(POD, crash()).due()
    watched.shows(POD)
    watched.episodes.due(watched.now, watched.at, lambda source: not asked.append(source))
    assert asked == [POD]
    watched.shows(POD, crash())
    watched.episodes.due(watched.now, watched.at, lambda source: not asked.append(source))
    assert asked == [POD]


def test_flapping_leaves_one_entry_per_episode_and_not_one_per_flap(watched: Watched) -> None:
    watched.shows(POD, crash()).due()
    for _ in range(1_000):
        watched.shows(POD).shows(POD, crash()).after(0.001)
    assert len(watched.episodes._heap) <= 2


NAMES = ("Quick", "Slow")
AGES = {"Quick": 0.0, "Slow": 30.0}
SOAKS = {"Quick": 10.0, "Slow": 60.0}
ROOTS = tuple(ObjectRef(kind="Deployment", namespace="shop", name=name) for name in ("one", "two"))
SOURCES = tuple(
    ObjectRef(kind=kind, namespace="shop", name=f"{kind.lower()}-{number}", uid=f"u-{kind}-{number}")
    for kind in ("Pod", "ReplicaSet")
    for number in range(4)
)
Identity = tuple[str, str]
"""Root's name and alert's name."""


def root_for(source: ObjectRef) -> ObjectRef:
    return ROOTS[int(source.name[-1]) % 2]


@dataclass
class Course:
    """What is known of one alert without looking into Episodes."""

    shown: set[ObjectRef] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)
    present_since: float = 0.0
    run_since: float = 0.0
    absent_since: float = 0.0
    blind_at: float = float("-inf")
    firing: bool = False
    restored: bool = False


class EpisodesMachine(RuleBasedStateMachine):
    """Any order of sights, deletions, outages, restarts and jumps of the wall clock."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0.0
        self.wall = T0
        self.blind: set[str] = set()
        self.shown: dict[ObjectRef, frozenset[str]] = {}
        self.courses: dict[Identity, Course] = {(root.name, name): Course() for root in ROOTS for name in NAMES}
        self.record: dict[Identity, Alert] = {}
        self.settled = True
        self.episodes = Episodes(soak_seconds=10.0, age_factor=1.0)

    @rule(source=st.sampled_from(SOURCES), names=st.frozensets(st.sampled_from(NAMES)))
    def observe(self, source: ObjectRef, names: frozenset[str]) -> None:
        if source.kind in self.blind:
            return
        conditions = tuple(
            crash(source, name=name, container="", age=AGES[name], soak=SOAKS[name]) for name in sorted(names)
        )
        self.episodes.observe(source, root_for(source), conditions, now=self.wall, at=self.at)
        self._now_shows(source, names)

    @rule(source=st.sampled_from(SOURCES))
    def delete(self, source: ObjectRef) -> None:
        if source.kind not in self.blind:
            self.episodes.gone(source, self.at)
            self._now_shows(source, frozenset())

    @rule(kind=st.sampled_from(["Pod", "ReplicaSet"]))
    def break_or_mend(self, kind: str) -> None:
        self.blind ^= {kind}

    @rule(seconds=st.sampled_from([0.5, 1.0, 5.0, 9.0, 10.0, 29.0, 31.0, 60.0, 700.0]))
    def pass_time(self, seconds: float) -> None:
        self.at += seconds
        self.wall += timedelta(seconds=seconds)
        self.look()

    @rule(days=st.sampled_from([-3, 3]))
    def set_the_wall_clock(self, days: int) -> None:
        self.wall += timedelta(days=days)

    @rule()
    def look(self) -> None:
        self._note_blindness()
        for alert in self.episodes.due(self.wall, self.at, lambda source: source.kind not in self.blind):
            self._judge(alert)
        for (root, name), course in self.courses.items():
            lasted = self.at - course.present_since
            assert course.firing or not course.shown or lasted < AGES[name], (root, name)

    @rule()
    def restart(self) -> None:
        self.episodes = Episodes(soak_seconds=10.0, age_factor=1.0)
        self.episodes.restore(self.record.values(), self.at)
        self.shown.clear()
        self.settled = False
        self.courses = {
            identity: Course(firing=identity in self.record, restored=identity in self.record, absent_since=self.at)
            for identity in self.courses
        }

    @rule()
    def settle(self) -> None:
        self.episodes.settled(self.at)
        if not self.settled:
            self.settled = True
            for course in self.courses.values():
                course.absent_since = max(course.absent_since, self.at)

    @invariant()
    def a_source_without_conditions_holds_no_memory(self) -> None:
        assert set(self.episodes._sources) == {source for source, names in self.shown.items() if names}

    def teardown(self) -> None:
        """Once everything is well and seen to be, everything ends, and nothing is left."""
        self.blind.clear()
        for source in SOURCES:
            self.delete(source)
        self.settle()
        for _ in range(4):
            self.at += 1_000.0
            self.look()
        assert not self.record
        self.at += 20_000.0
        self.look()
        for kept in (self.episodes._episodes, self.episodes._by_root, self.episodes._soaking, self.episodes._heap):
            assert not kept

    def _now_shows(self, source: ObjectRef, names: frozenset[str]) -> None:
        self.shown[source] = names
        for name in NAMES:
            course = self.courses[root_for(source).name, name]
            if name in names:
                if not course.shown:
                    bridged = self.at - course.absent_since < min(AGES[name], SOAKS[name])
                    course.run_since = course.run_since if bridged else self.at
                    course.present_since = self.at
                course.shown.add(source)
                course.kinds.add(source.kind)
            elif source in course.shown:
                course.shown.remove(source)
                course.absent_since = self.at

    def _note_blindness(self) -> None:
        for course in self.courses.values():
            if not course.shown and course.firing and course.kinds & self.blind:
                course.blind_at = self.at

    def _judge(self, alert: Alert) -> None:
        identity = (alert.labels["name"], alert.name)
        course = self.courses[identity]
        if alert.status is AlertStatus.FIRING:
            assert not course.firing, "fires twice without an end between"
            assert self.at - course.run_since >= AGES[alert.name], "fires before it is old enough"
            course.firing = True
            self.record[identity] = alert
            return
        assert course.firing, "ends without having fired"
        assert not course.shown, "ends while it shows"
        assert not course.kinds & self.blind, "ends where nobody looks"
        assert self.settled or not course.restored, "ends before everything was told"
        least = 10.0 if course.restored and not course.kinds else SOAKS[alert.name]
        assert self.at - max(course.absent_since, course.blind_at) >= least, "ends within its soak"
        assert alert.ends_at is not None
        assert alert.ends_at >= alert.starts_at
        assert alert.fingerprint == self.record[identity].fingerprint
        course.firing = course.restored = False
        course.kinds.clear()
        del self.record[identity]


TestAnyCourseOfConditions = EpisodesMachine.TestCase
TestAnyCourseOfConditions.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
