"""The list of incidents: what a search finds, in every order, from wherever a page begins."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responder.domain.incident import Incident, Outcome, State
from responder.domain.refs import ObjectRef
from responder.domain.search import EVERYTHING, NEWEST_FIRST, Order, Search, SortBy
from responder.store import incidents, listing
from responder.store.connection import MEMORY, Connection, connect
from responder.store.migrate import migrate

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def an_incident(number: int, **fields: Any) -> Incident:
    """The higher the number, the younger: a minute apart, 0 an hour ago."""
    root = fields.pop("root", ObjectRef(kind="Deployment", namespace="shop", name=f"web-{number}"))
    at = NOW - timedelta(minutes=60 - number)
    base = {
        "id": f"inc-{number:012d}",
        "key": root.key if root else f"alert/shop/A{number}",
        "root": root,
        "namespace": "shop",
        "opened_at": at,
        "updated_at": at,
    }
    return Incident(**base | fields)


def listed(con: Connection, search: Search = EVERYTHING, order: Order = NEWEST_FIRST, **place: Any) -> list[int]:
    return [int(one.id[4:]) for one in listing.page(con, search, order, now=NOW, **place).incidents]


def insert(con: Connection, found: Iterable[Incident]) -> None:
    for incident in found:
        incidents.insert(con, incident)


SIX = (
    an_incident(1, severity="critical", rule="crash-loops", mode="autonomous", outcome=Outcome.FIXED),
    an_incident(2, namespace="shop-test", state=State.ESCALATED, severity="Warning", rule="crash_loops"),
    an_incident(3, namespace="pay%", severity="warning", rule="jobs", mode="dry-run", labels={"team": "Ä-Team"}),
    an_incident(
        4, namespace="Shop", root=ObjectRef(kind="Node", name="n1"), summary="100% of C:\\temp is full", mode="report"
    ),
    an_incident(5, namespace="", root=None, state=State.RESOLVED, severity="page", outcome=Outcome.RECOVERED),
    an_incident(
        6,
        namespace="shöp",
        root=ObjectRef(kind="StatefulSet", namespace="shop", name="db"),
        state=State.AWAITING_APPROVAL,
        summary="nothing_to see",
    ),
)


@pytest.fixture(scope="module")
def shared() -> Iterator[Connection]:
    connection = connect(MEMORY, memory_limit="128MB", threads=1)
    migrate(connection, NOW)
    yield connection
    connection.close()


@contextmanager
def emptied(connection: Connection) -> Iterator[Connection]:
    """Nothing stays of what is inserted."""
    connection.execute("BEGIN TRANSACTION")
    try:
        yield connection
    finally:
        connection.execute("ROLLBACK")


@pytest.fixture
def con(shared: Connection) -> Iterator[Connection]:
    with emptied(shared) as connection:
        yield connection


@pytest.fixture
def six(con: Connection) -> Connection:
    insert(con, SIX)
    return con


def told(search: object) -> str | None:
    """The conditions of a search, for the name of a test."""
    if not isinstance(search, Search):
        return None
    return ",".join(
        f"{item.name}={getattr(search, item.name)}" for item in fields(search) if getattr(search, item.name)
    )


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        (Search(), [6, 5, 4, 3, 2, 1]),
        (Search(text=("WEB-",)), [3, 2, 1]),
        (Search(text=("web-", "JOBS")), []),
        (Search(text=("deployment", "-2")), [2]),
        (Search(text=("000000003",)), [3]),
        (Search(text=("ä-team",)), [3]),
        (Search(text=("Ä-TEAM",)), [3]),
        (Search(text=("0%",)), [4]),
        (Search(text=("1_0",)), []),
        (Search(text=("c:\\TEMP",)), [4]),
        (Search(text=("*",)), []),
        (Search(text=("' OR 1=1 --",)), []),
        (Search(not_text=("web-",)), [6, 5, 4]),
        (Search(not_text=("web-", "node")), [6, 5]),
        (Search(text=("web-",), not_text=("web-2",)), [3, 1]),
        (Search(states=(State.ESCALATED, State.RESOLVED)), [5, 2]),
        (Search(outcomes=(Outcome.FIXED, Outcome.RECOVERED)), [5, 1]),
        (Search(outcomes=(Outcome.NONE,)), [6, 4, 3, 2]),
        (Search(states=(State.RESOLVED,), outcomes=(Outcome.FIXED,)), []),
        (Search(namespaces=("shop",)), [4, 1]),
        (Search(namespaces=("SHOP*",)), [4, 2, 1]),
        (Search(namespaces=("sh?p",)), [6, 4, 1]),
        (Search(namespaces=("*-*", "pay*")), [3, 2]),
        (Search(namespaces=("pay%",)), [3]),
        (Search(namespaces=("%",)), []),
        (Search(namespaces=("sh_p",)), []),
        (Search(namespaces=("*",)), [6, 5, 4, 3, 2, 1]),
        (Search(namespaces=("?*",)), [6, 4, 3, 2, 1]),
        (Search(namespaces=("shop\\",)), []),
        (Search(namespaces=("\\*",)), []),
        (Search(not_namespaces=("shop*",)), [6, 5, 3]),
        (Search(not_namespaces=("shop*", "pay*")), [6, 5]),
        (Search(namespaces=("shop*",), not_namespaces=("*-test",)), [4, 1]),
        (Search(rules=("crash_loops",)), [2]),
        (Search(rules=("crash?loops",)), [2, 1]),
        (Search(not_rules=("crash*",)), [6, 5, 4, 3]),
        (Search(severities=("warning",)), [3, 2]),
        (Search(severities=("w*", "PAGE")), [5, 3, 2]),
        (Search(severities=("unheard of",)), []),
        (Search(not_severities=("*a*",)), [6, 4]),
        (Search(modes=("dry*",)), [3]),
        (Search(kinds=("deploy*",)), [3, 2, 1]),
        (Search(kinds=("NODE", "statefulset")), [6, 4]),
        (Search(kinds=("*",)), [6, 5, 4, 3, 2, 1]),
        (Search(younger_than=timedelta(minutes=56)), [6, 5]),
        (Search(older_than=timedelta(minutes=56)), [3, 2, 1]),
        (Search(younger_than=timedelta(minutes=59), older_than=timedelta(minutes=55)), [4, 3, 2]),
    ],
    ids=told,
)
def test_a_search_finds_what_every_condition_admits(six: Connection, search: Search, expected: list[int]) -> None:
    found = listing.page(six, search, now=NOW)
    assert [int(one.id[4:]) for one in found.incidents] == expected
    assert found.total == len(expected)


@pytest.mark.parametrize(
    ("by", "ascending", "descending"),
    [
        (SortBy.AGE, [6, 5, 4, 3, 2, 1], [1, 2, 3, 4, 5, 6]),
        (SortBy.STATE, [6, 2, 4, 3, 1, 5], [5, 4, 3, 1, 2, 6]),
        (SortBy.SEVERITY, [1, 3, 2, 5, 6, 4], [6, 4, 5, 3, 2, 1]),
        (SortBy.RULE, [6, 5, 4, 1, 2, 3], [3, 2, 1, 6, 5, 4]),
        (SortBy.MODE, [1, 3, 4, 6, 5, 2], [6, 5, 2, 4, 3, 1]),
        (SortBy.TARGET, [4, 5, 1, 2, 3, 6], [6, 3, 2, 1, 5, 4]),
        (SortBy.SUMMARY, [5, 3, 2, 1, 4, 6], [6, 4, 5, 3, 2, 1]),
    ],
)
def test_every_column_sorts_both_ways_and_what_is_equal_stands_newest_first(
    six: Connection, by: SortBy, ascending: list[int], descending: list[int]
) -> None:
    assert listed(six, order=Order(by=by)) == ascending
    assert listed(six, order=Order(by=by, descending=True)) == descending


def test_urgency_knows_every_state() -> None:
    assert sorted(listing.URGENCY) == sorted(State)


def test_a_target_sorts_by_namespace_before_name(con: Connection) -> None:
    namespaces = ("shop-test", "shop", "shop.old")
    roots = [ObjectRef(kind="Deployment", namespace=namespace, name="web") for namespace in namespaces]
    insert(con, (an_incident(number, root=root) for number, root in enumerate(roots)))
    assert listed(con, order=Order(by=SortBy.TARGET)) == [1, 0, 2]


@pytest.fixture
def twenty(con: Connection) -> Connection:
    insert(con, (an_incident(number, severity=("critical", "", "info")[number % 3]) for number in range(20)))
    return con


BY_SEVERITY = [*range(18, -1, -3), *range(17, -1, -3), *range(19, -1, -3)]
SEVEREST = Order(by=SortBy.SEVERITY)


@pytest.mark.parametrize("offset", [0, 3, 9, 12, 18])
@pytest.mark.parametrize("search", [EVERYTHING, Search(text=("web",))], ids=told)
def test_a_page_begins_at_its_offset(twenty: Connection, offset: int, search: Search) -> None:
    found = listing.page(twenty, search, SEVEREST, now=NOW, limit=3, offset=offset)
    assert [int(one.id[4:]) for one in found.incidents] == BY_SEVERITY[offset : offset + 3]
    assert (found.offset, found.total, found.next_cursor) == (offset, 20, "")


@pytest.mark.parametrize("offset", [20, 21, 999_999_999])
@pytest.mark.parametrize("search", [EVERYTHING, Search(text=("web",))], ids=told)
def test_past_the_end_there_is_nothing_but_the_total(twenty: Connection, offset: int, search: Search) -> None:
    found = listing.page(twenty, search, now=NOW, offset=offset)
    assert (found.incidents, found.offset, found.total, found.next_cursor) == ((), offset, 20, "")


def test_nothing_matches(twenty: Connection) -> None:
    found = listing.page(twenty, Search(rules=("none",)), now=NOW, around="inc-000000000003")
    assert (found.incidents, found.offset, found.total, found.next_cursor) == ((), 0, 0, "")


@pytest.mark.parametrize(("limit", "rows"), [(-1, 1), (0, 1), (7, 7), (10**9, 20)])
def test_a_limit_is_kept_within_bounds(twenty: Connection, limit: int, rows: int) -> None:
    assert len(listed(twenty, limit=limit)) == rows


@pytest.mark.parametrize("order", [Order.parse(sort) for sort in ("age", "-age", "severity", "-severity")], ids=str)
def test_around_an_incident_is_the_page_that_holds_it(twenty: Connection, order: Order) -> None:
    for place, number in enumerate(listed(twenty, order=order)):
        found = listing.page(twenty, order=order, now=NOW, limit=6, around=f"inc-{number:012d}")
        assert number in [int(one.id[4:]) for one in found.incidents]
        assert found.offset == place // 6 * 6


@pytest.mark.parametrize(
    ("number", "order", "offset"),
    [
        (18, SEVEREST, 0),  # a critical one, before all that is found
        (1, SEVEREST, 4),  # without severity, after the last: the last page
        (16, NEWEST_FIRST, 0),
        (9, NEWEST_FIRST, 2),
    ],
)
def test_around_what_the_search_does_not_find_is_where_it_would_stand(
    twenty: Connection, number: int, order: Order, offset: int
) -> None:
    found = listing.page(twenty, Search(severities=("info",)), order, now=NOW, limit=2, around=f"inc-{number:012d}")
    assert found.offset == offset


@pytest.mark.parametrize("order", [NEWEST_FIRST, SEVEREST], ids=str)
def test_around_what_does_not_exist_is_the_first_page(twenty: Connection, order: Order) -> None:
    assert listing.page(twenty, order=order, now=NOW, limit=3, around="inc-zzzzzzzzzzzz").offset == 0


def test_a_cursor_goes_on_where_the_page_before_ended_whatever_opens_meanwhile(twenty: Connection) -> None:
    first = listing.page(twenty, now=NOW, limit=8)
    incidents.insert(twenty, an_incident(50))
    second = listing.page(twenty, now=NOW, limit=8, cursor=first.next_cursor)
    assert [int(one.id[4:]) for one in (*first.incidents, *second.incidents)] == list(range(19, 3, -1))
    assert (second.offset, second.total) == (9, 21)


def test_a_cursor_goes_on_after_an_incident_that_the_search_no_longer_finds(twenty: Connection) -> None:
    search = Search(severities=("critical",))
    first = listing.page(twenty, search, now=NOW, limit=2)
    incidents.update(twenty, replace(first.incidents[-1], severity="info"))
    second = listing.page(twenty, search, now=NOW, limit=2, cursor=first.next_cursor)
    assert [int(one.id[4:]) for one in second.incidents] == [12, 9]
    assert (second.offset, second.total) == (1, 6)


def test_the_last_page_has_no_cursor(twenty: Connection) -> None:
    assert listing.page(twenty, now=NOW, limit=10, offset=10).next_cursor == ""
    assert listing.page(twenty, now=NOW, limit=10, offset=9).next_cursor == "inc-000000000001"


# What a search and an order mean, once more and without SQL.

WORDS = ("shop", "Shop-test", "a_b", "a%b", "a\\b", "axb", "", "*")
PATTERNS = ("shop", "SHOP*", "*b", "a?b", "a_b", "a%b", "a\\b", "?*", "*", "s*p*t", "none")
SEVERITIES = ("critical", "Error", "warning", "INFO", "page", "")


@dataclass(frozen=True)
class Asked:
    search: Search
    order: Order


def texts(of: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(of), max_size=2, unique=True).map(tuple)


def rarely(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.just(()), st.just(()), strategy)


ROOTS = st.one_of(
    st.none(),
    st.builds(ObjectRef, kind=st.sampled_from(("Deployment", "Node")), namespace=st.sampled_from(("shop", "shop-a")),
              name=st.sampled_from(("web", "db"))),
)  # fmt: skip
SPANS = st.none() | st.integers(30, 62).map(lambda minutes: timedelta(minutes=minutes))
FACTS = st.fixed_dictionaries(
    {
        "root": ROOTS,
        "state": st.sampled_from(State),
        "outcome": st.sampled_from((Outcome.NONE, Outcome.FIXED, Outcome.FAILED)),
        "severity": st.sampled_from(SEVERITIES),
        "namespace": st.sampled_from(WORDS),
        "rule": st.sampled_from(WORDS),
        "mode": st.sampled_from(("report", "dry-run", "autonomous", "", "other")),
        "summary": st.sampled_from(WORDS),
        "labels": st.dictionaries(st.sampled_from(("team", "B")), st.sampled_from(WORDS), max_size=2),
    }
)
ASKED = st.builds(
    Asked,
    search=st.builds(
        Search,
        text=rarely(texts(("SHOP", "b", "%", "_", "\\", "0"))),
        not_text=rarely(texts(("shop-", "A", "%"))),
        states=rarely(st.lists(st.sampled_from(State), max_size=4).map(tuple)),
        outcomes=rarely(texts((Outcome.NONE, Outcome.FIXED))),
        namespaces=rarely(texts(PATTERNS)),
        not_namespaces=rarely(texts(PATTERNS)),
        rules=rarely(texts(PATTERNS)),
        not_rules=rarely(texts(PATTERNS)),
        severities=rarely(texts(("c*", "*r*", "info", "?"))),
        not_severities=rarely(texts(("c*", "*r*", "info", "?"))),
        modes=rarely(texts(("dry-run", "*o*"))),
        kinds=rarely(texts(("node", "D*"))),
        younger_than=SPANS,
        older_than=SPANS,
    ),
    order=st.builds(Order, by=st.sampled_from(SortBy), descending=st.booleans()),
)


def matches(pattern: str, text: str) -> bool:
    parts = {"*": ".*", "?": "."}
    return re.fullmatch("".join(parts.get(char, re.escape(char)) for char in pattern), text, re.I | re.S) is not None


def admitted(incident: Incident, search: Search) -> Iterator[bool]:
    labels = "".join(f"{name}\n{value}\n" for name, value in incident.labels.items())
    said = "\n".join((incident.id, incident.key, incident.summary, labels.replace("\\", "\\\\"))).lower()
    yield all(text.lower() in said for text in search.text)
    yield not any(text.lower() in said for text in search.not_text)
    yield not search.states or incident.state in search.states
    yield not search.outcomes or incident.outcome in search.outcomes
    for value, wanted, out in (
        (incident.namespace, search.namespaces, search.not_namespaces),
        (incident.rule, search.rules, search.not_rules),
        (incident.severity, search.severities, search.not_severities),
        (incident.mode, search.modes, ()),
        (incident.root.kind if incident.root else "", search.kinds, ()),
    ):
        yield not wanted or any(matches(pattern, value) for pattern in wanted)
        yield not any(matches(pattern, value) for pattern in out)
    yield search.younger_than is None or NOW - incident.opened_at < search.younger_than
    yield search.older_than is None or NOW - incident.opened_at > search.older_than


def rank(word: str, known: tuple[str, ...]) -> int:
    return known.index(word.lower()) if word.lower() in known else len(known) + (not word)


KEYS: dict[SortBy, Callable[[Incident], Any]] = {
    SortBy.AGE: lambda one: NOW - one.opened_at,
    SortBy.STATE: lambda one: listing.URGENCY.index(one.state),
    SortBy.SEVERITY: lambda one: rank(one.severity, ("critical", "error", "warning", "info")),
    SortBy.RULE: lambda one: one.rule.lower(),
    SortBy.MODE: lambda one: rank(one.mode, ("autonomous", "dry-run", "report")),
    SortBy.TARGET: lambda one: (
        f"{one.root.namespace} {one.root.kind} {one.root.name}" if one.root else one.key
    ).lower(),
    SortBy.SUMMARY: lambda one: one.summary.lower(),
}


def plainly(found: Iterable[Incident], asked: Asked) -> list[Incident]:
    chosen = [one for one in found if all(admitted(one, asked.search))]
    chosen.sort(key=lambda one: one.id, reverse=True)
    return sorted(chosen, key=KEYS[asked.order.by], reverse=asked.order.descending)


@given(
    facts=st.lists(FACTS, max_size=12),
    asked=ASKED,
    offset=st.integers(0, 13),
    limit=st.integers(1, 6),
    around=st.integers(0, 12),
)
@settings(max_examples=60, deadline=None)
def test_sql_finds_and_sorts_as_a_loop_would(
    shared: Connection, facts: list[dict[str, Any]], asked: Asked, offset: int, limit: int, around: int
) -> None:
    everything = [an_incident(number, key=f"key/{number}", **fields) for number, fields in enumerate(facts)]
    expected = plainly(everything, asked)
    with emptied(shared) as con:
        insert(con, everything)
        page = listing.page(con, asked.search, asked.order, now=NOW, offset=offset, limit=limit)
        near = listing.page(con, asked.search, asked.order, now=NOW, around=f"inc-{around:012d}", limit=limit)
    assert list(page.incidents) == expected[offset : offset + limit]
    assert page.total == len(expected)
    assert list(near.incidents) == expected[near.offset : near.offset + limit]
    ids = [one.id for one in expected]
    if f"inc-{around:012d}" in ids:
        assert near.offset == ids.index(f"inc-{around:012d}") // limit * limit
