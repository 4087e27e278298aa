"""Tab in the filter line."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from console.filterwords import Seen, complete
from responder.domain.incident import Incident

AT = datetime(2026, 1, 1, tzinfo=UTC)
SEEN = Seen(namespaces=frozenset({"shop", "shop-test", "web"}), rules=frozenset({"images"}))


@pytest.mark.parametrize(
    ("typed", "completed", "choices"),
    [
        ("st", "state:", ()),
        ("web !st", "web !state:", ()),
        ("ag", "age<", ()),
        ("state:aw", "state:awaiting_approval ", ()),
        ("state:escalated,aw", "state:escalated,awaiting_approval ", ()),
        ("state:r", "state:r", ("resolved", "rolling_back")),
        ("ns:s", "ns:shop", ("shop", "shop-test")),
        ("namespace:w", "namespace:web ", ()),
        ("-ns:SHOP-", "-ns:shop-test ", ()),
        ("rule:", "rule:images ", ()),
        ("sev:c", "sev:critical ", ()),
        ("mode:d", "mode:dry-run ", ()),
        ("kind:d", "kind:d", ("deploy", "ds")),
        ("outcome:fi", "outcome:fixed ", ()),
        ("checkout", "checkout", ()),
        ("ns:nowhere", "ns:nowhere", ()),
        ("age<1", "age<1", ()),
        ('"state:r', '"state:r', ()),
    ],
)
def test_a_begun_word_is_finished_as_far_as_that_is_certain(typed, completed, choices):
    done = complete(typed, len(typed), SEEN)
    assert (done.typed, done.cursor, done.choices) == (completed, len(completed), choices)


def test_with_nothing_begun_every_key_is_a_choice():
    done = complete("web ", 4, SEEN)
    assert done.typed == "web "
    assert "ns:" in done.choices
    assert "age<" in done.choices


def test_what_stands_after_the_cursor_stays():
    done = complete("st web", 2, SEEN)
    assert (done.typed, done.cursor) == ("state: web", 6)


def test_only_names_that_can_be_typed_are_learnt_from_rows():
    rows = (
        Incident(
            id="1", key="k", root=None, namespace="shop", severity="page", rule="a b", opened_at=AT, updated_at=AT
        ),
        Incident(id="2", key="k", root=None, severity="\x1b[31m", rule="x,y", opened_at=AT, updated_at=AT),
    )
    assert Seen().with_rows(rows) == Seen(namespaces=frozenset({"shop"}), severities=frozenset({"page"}))
