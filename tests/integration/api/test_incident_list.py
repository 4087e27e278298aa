"""The list of incidents over a real socket: how a search, an order and a place are asked for, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from responder import wire
from responder.domain.incident import Incident, Outcome, State
from responder.domain.refs import ObjectRef
from responder.domain.search import SortBy
from responder.domain.views import IncidentPage
from responder.store import incidents
from responder.store.store import Connection, Store

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def an_incident(number: int, **changes: Any) -> Incident:
    root = ObjectRef(kind="Deployment", namespace="shop", name=f"web-{number}")
    at = NOW - timedelta(hours=10 - number)
    base = {"id": f"inc-{number:012d}", "key": root.key, "root": root, "opened_at": at, "updated_at": at}
    return Incident(**base | {"namespace": "shop", "labels": {"alertname": "A"}} | changes)


FIVE = (
    an_incident(1, severity="info", rule="crash-loops", mode="report", outcome=Outcome.FIXED, state=State.RESOLVED),
    an_incident(2, severity="critical", namespace="shop-test", mode="dry-run"),
    an_incident(3, severity="warning", root=ObjectRef(kind="Node", name="n1"), outcome=Outcome.REPORTED),
    an_incident(4, severity="critical", rule="jobs", summary="a, b"),
    an_incident(5, namespace="pay", state=State.ESCALATED),
)


@pytest.fixture
async def five(api: Any, store: Store) -> Any:
    def add(con: Connection) -> None:
        for incident in FIVE:
            incidents.insert(con, incident)

    await store.write(add)
    return api


async def asked(api: Any, query: str) -> IncidentPage:
    answer = await api("GET", f"/api/v1/incidents?{query}", by="vera")
    assert answer.status == 200, answer.body
    page: IncidentPage = wire.loads(IncidentPage, answer.body)
    return page


def numbers(page: IncidentPage) -> list[int]:
    return [int(one.id[4:]) for one in page.incidents]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [5, 4, 3, 2, 1]),
        ("q=WEB&q=-2", [2]),
        ("q=a,%20b", [4]),
        ("q=", [5, 4, 3, 2, 1]),
        ("q=web&not_q=web-2&not_q=web-5", [4, 3, 1]),
        ("state=open,escalated", [5, 4, 3, 2]),
        ("outcome=fixed&outcome=reported", [3, 1]),
        ("outcome=none", [5, 4, 2]),
        ("outcome=&outcome=fixed", [5, 4, 2, 1]),
        ("namespace=shop*", [4, 3, 2, 1]),
        ("namespace=shop*&not_namespace=*-test", [4, 3, 1]),
        ("namespace=pay,shop-test", [5, 2]),
        ("namespace=pay&namespace=shop-test", [5, 2]),
        ("rule=crash*,jobs", [4, 1]),
        ("not_rule=crash*", [5, 4, 3, 2]),
        ("severity=crit*", [4, 2]),
        ("severity=unheard-of", []),
        ("not_severity=critical,info", [5, 3]),
        ("mode=dry-run,report", [2, 1]),
        ("mode=unheard-of", []),
        ("kind=node", [3]),
        ("younger_than=7h", [5, 4]),
        ("older_than=7h", [2, 1]),
        ("older_than=300m&younger_than=30000s", [4, 3, 2]),
        ("sort=severity", [4, 2, 3, 1, 5]),
        ("sort=-severity", [5, 1, 3, 4, 2]),
        ("sort=age", [5, 4, 3, 2, 1]),
        ("sort=-age&namespace=shop", [1, 3, 4]),
    ],
)
async def test_a_query_finds_in_order(five: Any, query: str, expected: list[int]) -> None:
    page = await asked(five, query)
    assert numbers(page) == expected
    assert (page.offset, page.total) == (0, len(expected))


@pytest.mark.parametrize("by", SortBy)
@pytest.mark.parametrize("sign", ["", "-"])
async def test_every_column_can_be_sorted_by(five: Any, by: SortBy, sign: str) -> None:
    assert sorted(numbers(await asked(five, f"sort={sign}{by}"))) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("query", "expected", "offset"),
    [
        ("limit=2", [5, 4], 0),
        ("limit=2&offset=3", [2, 1], 3),
        ("limit=2&offset=5", [], 5),
        ("limit=2&around=inc-000000000002", [3, 2], 2),
        ("limit=2&around=inc-000000000002&sort=severity", [4, 2], 0),
        ("limit=2&around=inc-zzzzzzzzzzzz&sort=severity", [4, 2], 0),
        ("limit=2&cursor=inc-000000000003", [2, 1], 3),
        ("limit=2&cursor=inc-000000000003&sort=age", [2, 1], 3),
    ],
)
async def test_a_page_begins_where_it_is_asked_to(five: Any, query: str, expected: list[int], offset: int) -> None:
    page = await asked(five, query)
    assert (numbers(page), page.offset, page.total) == (expected, offset, 5)


async def test_only_newest_first_has_a_cursor(five: Any) -> None:
    assert (await asked(five, "limit=2&offset=1")).next_cursor == "inc-000000000003"
    assert (await asked(five, "limit=2&sort=severity")).next_cursor == ""


@pytest.mark.parametrize(
    ("query", "field", "says"),
    [
        ("sort=colour", "sort", "no column"),
        ("sort=--age", "sort", "no column"),
        ("younger_than=soon", "younger_than", "`15m`"),
        ("older_than=0s", "older_than", "`15m`"),
        ("older_than=-1h", "older_than", "`15m`"),
        ("older_than=999999d", "older_than", "36500d"),
        ("older_than=1w", "older_than", "`15m`"),
        ("older_than=05m", "older_than", "`15m`"),
        ("offset=-1", "offset", "whole number"),
        ("offset=1e3", "offset", "whole number"),
        ("offset=1234567890", "offset", "9 digits"),
        ("offset=%D9%A2", "offset", "whole number"),
        ("around=web", "around", "no incident"),
        ("outcome=lovely", "outcome", "none"),
        ("cursor=inc-000000000003&sort=severity", "cursor", "offset with sort"),
        ("cursor=inc-000000000003&sort=-age", "cursor", "offset with sort"),
        ("cursor=inc-000000000003&offset=3", "cursor", "offset"),
        ("cursor=inc-000000000003&around=inc-000000000003", "cursor", "around"),
        ("around=inc-000000000003&offset=0", "around", "offset"),
        ("q=" + "x" * 257, "q", "256"),
        ("q=short&q=" + "x" * 257, "q", "256"),
        ("namespace=ok,a%00b", "namespace", "printable"),
        ("severity=" + ",".join(f"s{n}" for n in range(33)), "severity", "32"),
        ("&".join(f"q=w{n}" for n in range(33)), "q", "32"),
        ("colour=red", "colour", "unknown parameter"),
    ],
)
async def test_what_cannot_be_meant_is_refused_by_name(five: Any, query: str, field: str, says: str) -> None:
    answer = await five("GET", f"/api/v1/incidents?{query}")
    assert answer.status == 422
    assert list(answer.json["errors"]) == [field]
    assert says in answer.json["errors"][field]


async def test_the_description_tells_what_may_be_repeated(api: Any) -> None:
    document = (await api("GET", "/openapi.json")).json
    told = {item["name"]: item["schema"] for item in document["paths"]["/api/v1/incidents"]["get"]["parameters"]}
    assert told["q"] == {"type": "array", "items": {"type": "string"}}
    assert told["state"]["items"]["enum"] == list(State)
    assert "-severity" in told["sort"]["enum"]
    assert told["offset"] == {"type": "integer"}
