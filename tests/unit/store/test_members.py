"""Incidents with members: who belongs, what a batch of alerts finds on record, and what it leaves there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from responder.domain.alert import Alert, AlertStatus, Delivery
from responder.domain.errors import NotFound
from responder.domain.incident import Incident, State
from responder.domain.refs import ObjectRef
from responder.store import alerts, arrivals, incidents
from responder.store.batch import Batch, Entry
from responder.store.connection import Connection

CAUSE = "image/shop/web:1.9"
FIRING, RESOLVED = AlertStatus.FIRING, AlertStatus.RESOLVED


def ref(name: str, *, namespace: str = "shop", uid: str = "") -> ObjectRef:
    return ObjectRef(kind="Deployment", namespace=namespace, name=name, uid=uid)


def shared(make: Any, **fields: Any) -> Incident:
    return make.incident(**{"id": "inc-9", "key": f"cause/{CAUSE}", "cause": CAUSE} | fields)


def arrived(con: Connection, make: Any, name: str, **fields: Any) -> Entry:
    """A pending alert about a Deployment."""
    alert: Alert = make.alert(**{"fingerprint": f"f-{name}"} | fields)
    rows = arrivals.incoming(Delivery(alerts=(alert,)), make.t0)
    arrivals.insert(con, rows, arrivals.last_seq(con) + 1)
    return Entry(pending=alerts.pending(con)[-1], root=ref(name), key=ref(name).key)


def folded(con: Connection, incident: Incident, *entries: Entry) -> None:
    batch = Batch(con, entries)
    for entry in entries:
        batch.record(entry, incident, "joins")
    batch.flush()


def test_members_come_back_in_the_order_in_which_they_joined(con: Connection, make: Any) -> None:
    incidents.insert(con, shared(make))
    assert incidents.add_members(con, "inc-9", [ref("b", uid="u"), ref("a"), ref("b")], make.at(1)) == 2
    assert incidents.add_members(con, "inc-9", [ref("a", uid="other"), ref("0")], make.at(2)) == 1
    assert incidents.members(con, "inc-9") == (ref("b", uid="u"), ref("a"), ref("0"))
    assert incidents.members(con, "inc-9", 1) == (ref("b", uid="u"),)
    assert incidents.get(con, "inc-9").members == 3


def test_a_step_that_ends_after_others_joined_loses_none_of_them(con: Connection, make: Any) -> None:
    incidents.insert(con, shared(make))
    before = incidents.get(con, "inc-9")
    incidents.add_members(con, "inc-9", [ref("a"), ref("b")], make.at(1))
    assert incidents.get(con, "inc-9").updated_at == before.updated_at
    incidents.update(con, before)
    assert incidents.get(con, "inc-9").members == 2


@pytest.mark.parametrize(("state", "found"), [(State.ESCALATED, True), (State.RESOLVED, False)])
def test_the_open_incident_of_a_cause_is_found(con: Connection, make: Any, state: State, found: bool) -> None:
    incidents.insert(con, shared(make, state=state))
    assert (incidents.find_open_by_cause(con, CAUSE) is not None) is found
    assert incidents.find_open_by_cause(con, "") is None


def test_incidents_of_one_object_are_found_by_what_they_could_have_in_common(con: Connection, make: Any) -> None:
    for number, (opened, state) in enumerate([(0, State.OPEN), (50, State.OPEN), (60, State.RESOLVED)], start=1):
        one = make.incident(id=f"inc-{number}", key=ref(f"w{number}").key, opened_at=make.at(opened), state=state)
        incidents.insert(con, one)
        incidents.note_causes(con, one.id, [CAUSE, "alertname/A"])
    incidents.insert(con, shared(make, opened_at=make.at(55)))
    incidents.note_causes(con, "inc-9", [CAUSE])
    found = incidents.alone_by_cause(con, [CAUSE, "image/other"], make.at(40))
    assert found == {CAUSE: frozenset({"Deployment/shop/w2"})}


def test_what_is_known_of_a_member_is_that_of_its_shared_incident(con: Connection, make: Any) -> None:
    incidents.insert(con, shared(make))
    incidents.add_members(con, "inc-9", [ref("a")], make.t0)
    batch = Batch(con, [entry := arrived(con, make, "a"), stranger := arrived(con, make, "b")])
    home = batch.home(entry)
    assert home is not None
    assert home.id == "inc-9"
    assert batch.home(stranger) is None


def test_an_alert_stays_where_it_was_last_heard_of(con: Connection, make: Any) -> None:
    incidents.insert(con, shared(make))
    folded(con, incidents.get(con, "inc-9"), arrived(con, make, "a"))
    incidents.insert(con, make.incident(key=ref("a").key))
    again = arrived(con, make, "a", status=RESOLVED, ends_at=make.at(1))
    home = Batch(con, [again]).home(again)
    assert home is not None
    assert home.id == "inc-9"


def test_a_warning_that_many_share_takes_no_trouble_in(con: Connection, make: Any) -> None:
    incidents.insert(con, shared(make, labels={"proactive": "true"}))
    incidents.add_members(con, "inc-9", [ref("a")], make.t0)
    trouble = arrived(con, make, "a")
    warning = arrived(con, make, "a", fingerprint="w", labels={"alertname": "A", "proactive": "true"})
    batch = Batch(con, [trouble, warning])
    assert batch.home(trouble) is None
    assert batch.home(warning) is not None


def test_a_batch_counts_what_fires_as_the_record_does(con: Connection, make: Any) -> None:
    incident = shared(make)
    incidents.insert(con, incident)
    folded(con, incident, *(arrived(con, make, name) for name in "abc"))
    entries = [
        arrived(con, make, "a", status=RESOLVED, ends_at=make.at(1)),
        arrived(con, make, "b", starts_at=make.at(-9)),
        arrived(con, make, "d"),
        arrived(con, make, "d", status=RESOLVED, ends_at=make.at(2)),
    ]
    batch = Batch(con, entries)
    for entry in entries:
        batch.record(entry, incident, "joins")
    batch.flush()
    assert batch.firing(incident) == alerts.firing_count(con, "inc-9") == 2
    assert alerts.firing_counts(con, ["inc-9", "inc-0"]) == {"inc-9": (2, 0)}
    assert alerts.firing_members(con, "inc-9") == ("Deployment/shop/b", "Deployment/shop/c")
    assert alerts.firing_count(con, "inc-9", "Deployment/shop/b") == 1
    assert alerts.firing_count(con, "inc-9", "Deployment/shop/a") == 0


@pytest.mark.inv(6)
@pytest.mark.parametrize(("labels", "counted"), [({}, 0), ({"proactive": "true"}, 1)], ids=["trouble", "a warning"])
def test_a_warning_keeps_no_incident_open_but_one_that_warns(
    con: Connection, make: Any, labels: Any, counted: int
) -> None:
    incident = shared(make, labels=labels, state=State.ESCALATED)
    incidents.insert(con, incident)
    entries = [
        arrived(con, make, "a", fingerprint="w", labels={"alertname": "A", "proactive": "true"}),
        arrived(con, make, "a"),
        arrived(con, make, "a", status=RESOLVED, ends_at=make.at(1)),
    ]
    batch = Batch(con, entries)
    for entry in entries:
        batch.record(entry, incident, "joins")
    batch.flush()
    assert batch.firing(incident) == Batch(con, [entries[0]]).firing(incident) == counted
    assert alerts.firing_count(con, "inc-9") == len(alerts.firing_members(con, "inc-9")) == counted
    assert alerts.quiet_escalated(con) == (() if counted else ("inc-9",))


def test_a_late_copy_is_nobodys_last_word(con: Connection, make: Any) -> None:
    incident = shared(make)
    incidents.insert(con, incident)
    folded(con, incident, arrived(con, make, "a", status=RESOLVED, ends_at=make.at(1)))
    late = arrived(con, make, "a")
    batch = Batch(con, [late])
    batch.record(late, incident, "late", last_word=False)
    batch.flush()
    word = batch.last_word(late)
    assert word is not None
    assert word.status is RESOLVED
    assert batch.firing(incident) == alerts.firing_count(con, "inc-9") == 0


def test_when_a_members_incident_ended_is_known_for_the_member(con: Connection, make: Any) -> None:
    incidents.insert(con, shared(make, state=State.RESOLVED, resolved_at=make.at(7)))
    incidents.add_members(con, "inc-9", [ref("a")], make.t0)
    batch = Batch(con, [entry := arrived(con, make, "a")])
    assert batch.ended_at(entry) == make.at(7)
    assert batch.home(entry) is None


def test_an_incident_that_closes_in_the_batch_is_nobodys_home_any_more(con: Connection, make: Any) -> None:
    incident = shared(make)
    incidents.insert(con, incident)
    incidents.add_members(con, "inc-9", [ref("a")], make.t0)
    batch = Batch(con, [entry := arrived(con, make, "a")])
    batch.record(entry, incident, "joins")
    batch.put(shared(make, state=State.RESOLVED, resolved_at=make.at(3)))
    assert batch.home(entry) is None
    assert batch.ended_at(entry) == make.at(3)


def test_the_newest_firing_alert_speaks_for_a_member(con: Connection, make: Any) -> None:
    incident = shared(make)
    incidents.insert(con, incident)
    first = arrived(con, make, "a", labels={"alertname": "First"})
    second = arrived(con, make, "a", fingerprint="f2", status=RESOLVED, ends_at=make.at(1))
    folded(con, incident, first, second)
    found = alerts.last_about(con, "inc-9", "Deployment/shop/a")
    assert found is not None
    assert found.name == "First"
    assert alerts.last_about(con, "inc-9", "Deployment/shop/b") is None


def test_incidents_about_an_object_are_its_own_and_those_it_is_a_member_of(con: Connection, make: Any) -> None:
    incidents.insert(con, make.incident(key=ref("a").key, state=State.RESOLVED, resolved_at=make.at(1)))
    incidents.insert(con, shared(make))
    incidents.add_members(con, "inc-9", [ref("a")], make.t0)
    assert [incident.id for incident in incidents.of_object(con, ref("a"))] == ["inc-9", "inc-1"]


def test_members_and_roots_are_what_alerts_in_a_namespace(con: Connection, make: Any) -> None:
    incidents.insert(con, make.incident(key=ref("a").key))
    incidents.insert(con, make.incident(id="inc-2", key=ref("p").key, labels={"proactive": "true"}))
    incidents.insert(con, make.incident(id="inc-3", key=ref("r").key, state=State.RESOLVED, resolved_at=make.t0))
    incidents.insert(con, shared(make, state=State.ESCALATED))
    members = [ref("a"), ref("b"), ref("c"), ref("d", namespace="other")]
    incidents.add_members(con, "inc-9", members, make.t0 + timedelta(seconds=1))
    assert incidents.alerting_objects(con, "shop") == 3
    assert incidents.alerting_objects(con, "other") == 1


def test_cause_and_members_are_columns_of_the_view(con: Connection, make: Any) -> None:
    incidents.insert(con, shared(make))
    incidents.add_members(con, "inc-9", [ref("a"), ref("b")], make.t0)
    assert con.execute("SELECT cause, members FROM v_incidents").fetchall() == [(CAUSE, 2)]


def test_an_unknown_incident_has_no_members_to_count(con: Connection, make: Any) -> None:
    with pytest.raises(NotFound):
        incidents.update(con, shared(make))
