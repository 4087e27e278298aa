"""The incidents read so far, while pages come and go."""

from __future__ import annotations

from datetime import UTC, datetime

from console.listing import Listing
from responder.domain.incident import Incident
from responder.domain.views import IncidentPage

AT = datetime(2026, 1, 1, tzinfo=UTC)


def incident(number, summary=""):
    return Incident(id=f"inc-{number:012}", key=str(number), root=None, summary=summary, opened_at=AT, updated_at=AT)


def page(*numbers, more=False, summary=""):
    rows = tuple(incident(number, summary) for number in numbers)
    return IncidentPage(incidents=rows, next_cursor=rows[-1].id if more else "")


def numbers(listing):
    return [int(row.key) for row in listing.rows]


def test_the_next_page_is_put_below():
    listing = Listing().merged(page(9, 8, 7, more=True))
    assert listing.more
    listing = listing.merged(page(6, 5), cursor=incident(7).id)
    assert numbers(listing) == [9, 8, 7, 6, 5]
    assert not listing.more


def test_new_incidents_stand_at_the_top_and_what_was_read_below_stays():
    listing = Listing(rows=page(9, 8, 7, 6).incidents, more=False).merged(page(11, 10, 9, more=True))
    assert numbers(listing) == [11, 10, 9, 8, 7, 6]
    assert not listing.more


def test_what_a_page_no_longer_names_is_gone():
    listing = Listing(rows=page(9, 8, 7, 6).incidents, more=True).merged(page(9, 7, more=True))
    assert numbers(listing) == [9, 7, 6]


def test_a_row_is_replaced_by_its_newest_form():
    listing = Listing(rows=page(9, 8).incidents).merged(page(9, 8, summary="new"))
    assert [row.summary for row in listing.rows] == ["new", "new"]


def test_a_last_page_says_that_nothing_follows():
    listing = Listing(rows=page(9, 8, 7).incidents, more=True).merged(page(9, 8))
    assert numbers(listing) == [9, 8]
    assert not listing.more


def test_when_so_many_are_new_that_there_is_a_gap_what_lies_below_it_is_forgotten():
    listing = Listing(rows=page(9, 8, 7).incidents, more=False).merged(page(99, 98, more=True))
    assert numbers(listing) == [99, 98]
    assert listing.more


def test_a_page_from_the_middle_leaves_the_rows_above_it():
    listing = Listing(rows=page(9, 8, 7, 6, 5).incidents, more=False)
    assert listing.cursor_before(2) == incident(8).id
    listing = listing.merged(page(7, 6, more=True, summary="new"), cursor=incident(8).id)
    assert numbers(listing) == [9, 8, 7, 6, 5]
    assert [row.summary for row in listing.rows] == ["", "", "new", "new", ""]
    assert listing.cursor_before(0) == ""


def test_nothing_found_is_an_empty_list():
    assert Listing(rows=page(9).incidents).merged(IncidentPage(incidents=())) == Listing(rows=(), more=False)
