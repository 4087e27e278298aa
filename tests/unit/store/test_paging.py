"""Pages of incidents, and the counts beside them."""

from __future__ import annotations

from typing import Any

import pytest

from responder.domain.incident import State
from responder.store import incidents
from responder.store.connection import Connection


@pytest.fixture
def seven(con: Connection, make: Any) -> Connection:
    for number in range(7):
        state = State.RESOLVED if number % 2 else State.OPEN
        fields = {"key": f"Deployment/shop/w{number}", "state": state, "summary": f"Fault {number} of 100%"}
        incidents.insert(con, make.incident(id=f"inc-{number}", namespace=f"ns-{number % 2}", **fields))
    return con


def test_pages_cover_every_incident_once_newest_first(seven: Connection) -> None:
    seen, cursor = list[str](), ""
    while True:
        page, cursor = incidents.page(seven, limit=3, cursor=cursor)
        seen += [incident.id for incident in page]
        if not cursor:
            break
    assert seen == [f"inc-{number}" for number in range(6, -1, -1)]


def test_incident_that_opens_between_two_pages_shifts_nothing(seven: Connection, make: Any) -> None:
    first, cursor = incidents.page(seven, limit=3)
    incidents.insert(seven, make.incident(id="inc-9"))
    second, _ = incidents.page(seven, limit=3, cursor=cursor)
    assert [i.id for i in (*first, *second)] == ["inc-6", "inc-5", "inc-4", "inc-3", "inc-2", "inc-1"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"states": (State.RESOLVED,)}, ["inc-5", "inc-3", "inc-1"]),
        ({"namespace": "ns-1", "text": "fAULT 3"}, ["inc-3"]),
        ({"text": "100%"}, [f"inc-{n}" for n in range(6, -1, -1)]),
        ({"text": "1_0"}, []),
        ({"rule": "none"}, []),
        ({"limit": -1}, ["inc-6"]),
        ({"cursor": "' OR 1=1 --"}, []),
    ],
)
def test_filters(seven: Connection, filters: dict[str, Any], expected: list[str]) -> None:
    page, _ = incidents.page(seven, **filters)
    assert [incident.id for incident in page] == expected


def test_active_incidents_come_oldest_first(seven: Connection) -> None:
    assert incidents.active(seven) == ("inc-0", "inc-2", "inc-4", "inc-6")
    assert incidents.count_by_state(seven) == {State.OPEN: 4, State.RESOLVED: 3}
